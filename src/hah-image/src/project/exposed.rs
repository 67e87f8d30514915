//! What an image tells whoever has it, and would better be kept from him: images are copied, published, and thrown away with
//! old cards, and secrets belong onto the card of the node that needs them.

use hah_plan::system::{Password, System};

/// Where the recipe `alertmanager` puts its configuration.
const ALERTMANAGER: &str = "/etc/prometheus/alertmanager.yml";

/// A secret in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// What it is; never the secret itself.
    pub what: String,
    /// What to do instead.
    pub instead: &'static str,
}

/// The secrets that the files and accounts of an image hold.
pub fn exposed(system: &System) -> Vec<Exposed> {
    let hashes = system.users.iter().filter(|user| matches!(user.password, Password::Hash(_))).map(|user| Exposed {
        what: format!("the password hash of `{}`", user.name),
        instead: "`hah-image secrets set password-hash` puts one onto cards only",
    });
    let hooks = system.files.iter().filter(|file| file.path.to_string() == ALERTMANAGER).filter_map(|file| {
        let text = String::from_utf8_lossy(&file.bytes);
        text.lines().any(|line| line.trim().trim_start_matches("- ").starts_with("url:")).then(|| Exposed {
            what: "the URL of a webhook".to_owned(),
            instead: "`alertmanager.webhook = \"identity\"` and `hah-image secrets set alertmanager-webhook --node NODE` \
                      put one onto that node's card only; likewise `heartbeat`",
        })
    });
    hashes.chain(hooks).collect()
}

#[cfg(test)]
mod tests {
    use hah_plan::recipe::{self, Override};

    use super::*;
    use crate::project::Project;

    #[test]
    fn secrets_in_an_image_are_named_and_not_shown() {
        let project = Project::shipped();
        let found = |sets: &[&str]| {
            let mut sources = project.sources().clone();
            let image = "summary = \"x\"\nboard = \"virt\"\nrecipes = [\"base\", \"alertmanager\"]\n";
            sources.insert("images/own.toml", "images/own.toml", image);
            let sets: Vec<Override> =
                sets.iter().map(|text| Override { origin: "--set".to_owned(), text: (*text).to_owned() }).collect();
            exposed(&recipe::load(&sources, "own", &sets).unwrap_or_else(|problems| panic!("{problems}")))
        };
        assert_eq!(found(&[]), []);
        let said = found(&["base.password-hash=$6$CANARY$x", "alertmanager.webhook=https://example.org/CANARY"]);
        let what: Vec<&str> = said.iter().map(|exposed| &*exposed.what).collect();
        assert_eq!(what, ["the password hash of `hah`", "the URL of a webhook"]);
        assert!(!format!("{said:?}").contains("CANARY"));
        assert_eq!(found(&["alertmanager.heartbeat=https://example.org/x"]).len(), 1);
        assert_eq!(found(&["alertmanager.heartbeat=identity", "alertmanager.webhook=identity"]), []);
    }
}
