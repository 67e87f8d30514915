//! locale(1): what the variables say, `charmap`, and `-a`.

use hah_format::path::TreePath;

use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[Command::always("locale", locale)];

const CATEGORIES: [&str; 12] = [
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_TIME",
    "LC_COLLATE",
    "LC_MONETARY",
    "LC_MESSAGES",
    "LC_PAPER",
    "LC_NAME",
    "LC_ADDRESS",
    "LC_TELEPHONE",
    "LC_MEASUREMENT",
    "LC_IDENTIFICATION",
];

fn locale(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "a,all-locales", Order::Any)?;
    if options.has("a") {
        let shipped = process.world.list(&TreePath::root(), "/usr/lib/locale").unwrap_or_default();
        let mut names: Vec<String> = shipped.into_iter().filter(|name| name != "locale-archive").collect();
        names.extend(["C", "POSIX"].map(str::to_owned));
        names.sort();
        names.dedup();
        names.into_iter().for_each(|name| process.print_line(name));
        return Ok(0);
    }
    match options.operands.as_slice() {
        [] => {}
        [word] if word == "charmap" => {
            let name = effective(process, "LC_CTYPE");
            let codeset = name.split('@').next().unwrap_or_default().split_once('.').map(|(_, codeset)| codeset);
            match codeset {
                Some("UTF-8" | "utf8") => process.print_line("UTF-8"),
                None if ["C", "POSIX"].contains(&name.as_str()) => process.print_line("ANSI_X3.4-1968"),
                _ => return process.unknown(&format!("charmap of {name}")),
            }
            return Ok(0);
        }
        words => return process.unknown(&words.join(" ")),
    }
    let (lang, language, all) = (variable(process, "LANG"), variable(process, "LANGUAGE"), variable(process, "LC_ALL"));
    process.print_line(format!("LANG={lang}"));
    process.print_line(format!("LANGUAGE={language}"));
    for category in CATEGORIES {
        // Quotation marks say that another variable decides.
        match (process.env.get(category).cloned(), all.is_empty()) {
            (Some(own), true) => process.print_line(format!("{category}={own}")),
            _ => {
                let value = effective(process, category);
                process.print_line(format!("{category}=\"{value}\""));
            }
        }
    }
    process.print_line(format!("LC_ALL={all}"));
    Ok(0)
}

fn variable(process: &Process<'_, '_>, name: &str) -> String {
    process.env.get(name).cloned().unwrap_or_default()
}

/// The locale of a category: `LC_ALL`, its own variable, `LANG`, `POSIX`.
fn effective(process: &Process<'_, '_>, category: &str) -> String {
    let values = ["LC_ALL", category, "LANG"].map(|name| variable(process, name));
    values.into_iter().find(|value| !value.is_empty()).unwrap_or_else(|| "POSIX".to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests ask the machine's own locale(1)")]

    use crate::commands::playground::Playground;

    #[test]
    fn variables_are_shown_as_the_real_one_shows_them() {
        let is_there = std::process::Command::new("locale").output().is_ok();
        if !is_there {
            assert!(std::env::var("HAH_REQUIRE_ORACLES").as_deref() != Ok("1"), "locale is missing");
            return;
        }
        for env in [
            &[][..],
            &[("LANG", "C.UTF-8")],
            &[("LANG", "de_DE.UTF-8"), ("LC_TIME", "C")],
            &[("LC_ALL", "C.UTF-8"), ("LANG", "C"), ("LANGUAGE", "de:en")],
            &[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LC_NAME", "")],
        ] {
            for arguments in [&[][..], &["charmap"]] {
                if arguments == ["charmap"] && env.contains(&("LANG", "de_DE.UTF-8")) {
                    // The machine does not have it.
                    continue;
                }
                let theirs =
                    std::process::Command::new("locale").args(arguments).env_clear().envs(env.iter().copied()).output();
                let mut ours = Playground::of(&[]);
                ours.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                ours.env.insert("PATH".to_owned(), "/usr/bin".to_owned());
                let done = ours.run(&[&["locale"][..], arguments].concat());
                let theirs = String::from_utf8_lossy(&theirs.unwrap().stdout).into_owned();
                assert_eq!(String::from_utf8_lossy(&done.stdout), theirs, "{env:?} {arguments:?}");
            }
        }
    }
}
