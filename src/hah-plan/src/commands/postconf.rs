//! postconf(1): parameters of `/etc/postfix/main.cf`, shown (`-h`, `-x`) and set (`-e`).
//!
//! What the file does not name has the default that Debian's Postfix was built with; of those, [`DEFAULTS`] has what
//! scripts ask for.

use hah_format::path::TreePath;

use super::options::Order;
use super::{Command, Process, Refusal};

pub(super) const COMMANDS: &[Command] = &[Command::in_tree("postconf", postconf)];

const DEFAULTS: [(&str, &str); 10] = [
    ("alias_database", "hash:/etc/aliases"),
    ("cyrus_sasl_config_path", ""),
    ("default_transport", "smtp"),
    ("html_directory", "no"),
    ("multi_instance_directories", ""),
    ("multi_instance_name", ""),
    ("queue_directory", "/var/spool/postfix"),
    ("readme_directory", "no"),
    ("relay_transport", "relay"),
    ("relayhost", ""),
];

fn postconf(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "c= e h x #", Order::Any)?;
    let directory = options.value("c").unwrap_or("/etc/postfix");
    let file = format!("{directory}/main.cf");
    let read = process.world.read(&TreePath::root(), &file);
    let text = match process.check(&format!("fatal: open {file}"), read)? {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => return Ok(1),
    };
    let mut lines = logical_lines(&text);
    if options.has("#") {
        return process.unknown("-#");
    }
    let sets = options.has("e") || options.operands.iter().any(|word| word.contains('='));
    if !sets {
        for name in &options.operands {
            let own = lines.iter().rev().find_map(|line| value_of(line, name));
            let default = DEFAULTS.iter().find(|(known, _)| known == name).map(|(_, value)| (*value).to_owned());
            let Some(value) = own.or(default) else { return process.unknown(name) };
            if options.has("x") && value.contains('$') {
                return process.unknown("-x where a value names another parameter");
            }
            match options.has("h") {
                true => process.print_line(value),
                false => process.print_line(format!("{name} = {value}").trim_end()),
            }
        }
        return Ok(0);
    }
    for word in &options.operands {
        let Some((name, value)) = word.split_once('=') else { return process.unknown(word) };
        let (name, value) = (name.trim(), value.trim());
        let line = format!("{name} = {value}\n");
        let is_own = |line: &String| value_of(line, name).is_some();
        match lines.iter().position(is_own) {
            Some(at) => {
                lines[at] = line;
                // Of several, the first one stays.
                let mut index = 0;
                lines.retain(|line| {
                    index += 1;
                    index - 1 <= at || !is_own(line)
                });
            }
            None => lines.push(line),
        }
    }
    let written = process.world.write(&TreePath::root(), &file, 0o644, lines.concat().into_bytes());
    Ok(u8::from(process.check(&file, written)?.is_none()))
}

/// Lines with what continues them: a line that begins with a blank belongs to the one before. Comments and empty lines
/// stand alone.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        let continues = line.starts_with([' ', '\t']) && !line.trim().is_empty() && !line.trim_start().starts_with('#');
        match lines.last_mut() {
            Some(last) if continues && !last.starts_with('#') && !last.trim().is_empty() => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push('\n');
    }
    lines
}

/// The value, when the line sets `name`.
fn value_of(line: &str, name: &str) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    (key.trim() == name).then(|| value.split('\n').map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use crate::commands::playground::{Entry, Playground};

    /// As Postfix 3.10 leaves the file.
    #[test]
    fn parameters_are_set_in_their_place_or_behind_all() {
        let text = "# comment\nmydestination = a,\n  b\nrelayhost=\n\nmydestination = c\ninet_interfaces = all";
        let mut ours = Playground::of(&[
            ("etc/postfix/main.cf", Entry::File(0o644, text)),
            ("usr/sbin/postconf", Entry::File(0o755, "\x7fELF")),
        ]);
        let shown = |ours: &mut Playground, name: &str| {
            let done = ours.run(&["postconf", "-hx", name]);
            String::from_utf8_lossy(&done.stdout).into_owned()
        };
        assert_eq!(shown(&mut ours, "mydestination"), "c\n");
        assert_eq!(shown(&mut ours, "default_transport"), "smtp\n");
        ours.run(&["postconf", "-e", "mydestination = $myhostname, localhost"]);
        ours.run(&["postconf", "-e", "myorigin=/etc/mailname"]);
        assert_eq!(
            ours.text("etc/postfix/main.cf").as_deref(),
            Some(
                "# comment\nmydestination = $myhostname, localhost\nrelayhost=\n\ninet_interfaces = all\nmyorigin = /etc/mailname\n"
            )
        );
        assert!(ours.try_run(&["postconf", "-h", "nobody_knows"], "").is_err());
        assert!(ours.try_run(&["postconf", "-hx", "mydestination"], "").is_err());
    }
}
