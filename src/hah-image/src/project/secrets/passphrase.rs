//! What a new passphrase weighs. `secrets.age` lies in a repository, which others may have one day: whoever has the file may
//! guess for as long as he likes.

use age::secrecy::{ExposeSecret as _, SecretString};
use hah_plan::cluster::Cluster;

use crate::advice::{Advised, Exit};

/// The guesses, as a power of ten, that a passphrase must take. age makes one cost about a second of a processor and 256 MB
/// (scrypt with the work factor that it chooses), so that these are three hundred years of one processor, and a day of a
/// hundred thousand.
const GUESSES_LOG10: f64 = 10.0;
/// Longest part that is weighed, in characters: what is longer is heavy enough, and weighing takes time.
const WEIGHED: usize = 100;

/// A passphrase that would be guessed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// There is none.
    #[error("an empty passphrase protects nothing; nothing was written")]
    Empty,
    /// Too few guesses; none of the words repeats a part of it.
    #[error("the passphrase is weak: about 10^{log10} guesses find it, and it should take 10^10; nothing was written")]
    Guessed {
        /// Guesses, as a power of ten, rounded down.
        log10: u32,
        /// What is weak about it, when it is something in particular.
        reason: Option<String>,
    },
}

impl Advised for Weak {
    fn hint(&self) -> Option<String> {
        let better =
            "five words chosen by dice are enough, or encrypt for keys: `recipients` below `[secrets]` in cluster.toml";
        match self {
            Self::Empty => Some(better.into()),
            Self::Guessed { reason, .. } => {
                let reason = reason.as_ref().map(|reason| format!("{reason} ")).unwrap_or_default();
                Some(format!("{reason}{better}; --weak-passphrase takes it all the same"))
            }
        }
    }

    fn exit(&self) -> Exit {
        Exit::User
    }
}

/// Weighs a passphrase. Names of the cluster and its nodes are the first that somebody tries.
///
/// # Errors
/// When it is empty, or too few guesses find it.
pub fn weigh(phrase: &SecretString, cluster: &Cluster) -> Result<(), Weak> {
    let phrase = phrase.expose_secret();
    if phrase.is_empty() {
        return Err(Weak::Empty);
    }
    let weighed: String = phrase.chars().take(WEIGHED).collect();
    let weighed = zeroize::Zeroizing::new(weighed);
    let names: Vec<&str> = [&*cluster.name, &*cluster.datacenter, "hah", "hah-image", "hashistack", "raspberry"]
        .into_iter()
        .chain(cluster.nodes.keys().map(String::as_str))
        .chain(cluster.wifi.iter().map(|wifi| &*wifi.ssid))
        .collect();
    let entropy = zxcvbn::zxcvbn(&weighed, &names);
    if entropy.guesses_log10() >= GUESSES_LOG10 {
        return Ok(());
    }
    let reason = entropy.feedback().and_then(|feedback| feedback.warning()).map(|warning| warning.to_string());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10")]
    let log10 = entropy.guesses_log10().max(0.0) as u32;
    Err(Weak::Guessed { log10, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(phrase: &str) -> Result<(), Weak> {
        let text = "name = \"kitchen-lab\"\n[nodes.pi4-a]\nimage = \"x\"\n";
        let cluster = hah_plan::recipe::load_cluster("cluster.toml", text).unwrap();
        weigh(&SecretString::from(phrase.to_owned()), &cluster)
    }

    #[test]
    fn passphrases_that_hold() {
        for phrase in [
            "correct battery horse staple",
            "mitten plural gallery oxidize wick",
            "k8Qz!vN2rT7e",
            "Der Kater sitzt seit gestern im Apfelbaum",
            "\u{1f984}\u{1f984} wir essen heute nichts mit tofu",
        ] {
            assert_eq!(weighed(phrase), Ok(()), "{phrase}");
        }
        assert_eq!(weighed(&"mitten plural gallery ".repeat(5_000)), Ok(()), "and are weighed quickly");
    }

    #[test]
    fn passphrases_that_are_guessed() {
        assert_eq!(weighed(""), Err(Weak::Empty));
        for phrase in [
            "a",
            "raspberry",
            "password123",
            "kitchen-lab",
            "Pi4-a1",
            "correct horse",
            "qwertyuiop",
            "2026-11-28",
            "aaaaaaaaaaaa",
        ] {
            let weak = weighed(phrase).unwrap_err();
            let told = format!("{weak} {}", weak.hint().unwrap());
            assert!(told.contains("--weak-passphrase"), "{told}");
            assert!(phrase.len() < 3 || !told.contains(phrase), "no part of it is told: {told}");
        }
    }
}
