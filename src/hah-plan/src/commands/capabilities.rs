//! setcap(8) and getcap(8) of libcap2-bin: the attribute `security.capability`.

use hah_format::path::TreePath;

use super::{Command, Process, Refusal};
use crate::capability::FileCapabilities;
use crate::world::Follow;

pub(super) const COMMANDS: &[Command] = &[Command::in_tree("setcap", setcap), Command::in_tree("getcap", getcap)];

const ATTRIBUTE: &str = "security.capability";

const USAGE: &str =
    "usage: setcap [-h] [-q] [-v] [-n <rootid>] (-r|-|<caps>) <filename> [ ... (-r|-|<capsN>) <filenameN> ]\n";

fn setcap(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut is_quiet, mut verifies) = (false, false);
    let mut words = arguments.iter().map(String::as_str);
    let usage = |process: &mut Process<'_, '_>| {
        process.stderr.extend_from_slice(USAGE.as_bytes());
        Ok(1)
    };
    if arguments.is_empty() {
        return usage(process);
    }
    while let Some(word) = words.next() {
        let wanted = match word {
            "-q" => {
                is_quiet = true;
                continue;
            }
            "-v" => {
                verifies = true;
                continue;
            }
            // A root of a user namespace: no script of Debian's knows one.
            "-n" | "-h" | "--license" => return process.unknown(word),
            "-r" => None,
            "-" => Some(String::from_utf8_lossy(&process.take_stdin()).into_owned()),
            text => Some(text.to_owned()),
        };
        let parsed = match wanted.as_deref().map(FileCapabilities::parse) {
            Some(None) => {
                process.stderr.extend_from_slice(b"fatal error: Invalid argument\n");
                return usage(process);
            }
            Some(Some(parsed)) => Some(parsed),
            None => None,
        };
        let Some(file) = words.next() else { return usage(process) };
        let stat = match process.world.stat(&process.cwd, file, Follow::No) {
            Ok(stat) => stat,
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => return Ok(failed(process, &format!("Failed to set capabilities on file '{file}': {error}"))),
        };
        if !stat.is_file() {
            return Ok(failed(process, &format!("Invalid file '{file}' for capability operation")));
        }
        let kept = stat.meta.xattrs.get(ATTRIBUTE).and_then(|bytes| FileCapabilities::from_attribute(bytes));
        if verifies {
            let (kept, parsed) = (kept.unwrap_or_default(), parsed.unwrap_or_default());
            let mut differs = String::new();
            for (letter, ours, theirs) in [
                ('p', kept.permitted, parsed.permitted),
                ('i', kept.inheritable, parsed.inheritable),
                ('e', kept.effective, parsed.effective),
            ] {
                if ours != theirs {
                    differs.push(letter);
                }
            }
            if !is_quiet {
                match differs.is_empty() {
                    true => process.print_line(format!("{file}: OK")),
                    false => process.print_line(format!("{file} differs in [{differs}]")),
                }
            }
            if !differs.is_empty() {
                return Ok(1);
            }
            continue;
        }
        let value = match parsed {
            None if !stat.meta.xattrs.contains_key(ATTRIBUTE) => {
                return Ok(failed(process, &format!("File '{file}' has no capablity to remove")));
            }
            None => None,
            Some(parsed) => match parsed.attribute() {
                Some(value) => Some(value),
                None => return Ok(failed(process, &format!("Invalid file '{file}' for capability operation"))),
            },
        };
        let path = stat.path.to_string();
        process.world.set_attribute(&TreePath::root(), &path, ATTRIBUTE, value)?;
    }
    Ok(0)
}

fn failed(process: &mut Process<'_, '_>, line: &str) -> u8 {
    process.stderr.extend_from_slice(format!("{line}\n").as_bytes());
    1
}

fn getcap(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut is_verbose, mut is_recursive, mut status, mut files) = (false, false, 0, Vec::new());
    for word in arguments {
        match word.as_str() {
            "-v" => is_verbose = true,
            "-r" => is_recursive = true,
            option if option.starts_with('-') => return process.unknown(option),
            file => files.push(file.to_owned()),
        }
    }
    if files.is_empty() {
        process.stderr.extend_from_slice(b"usage: getcap [-h] [-l] [-n] [-r] [-v] <filename> [<filename> ...]\n");
        return Ok(1);
    }
    for file in files {
        let stat = match process.world.stat(&process.cwd, &file, Follow::No) {
            Ok(stat) => stat,
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                status = status.max(failed(process, &format!("{file} ({error})")));
                continue;
            }
        };
        let mut found = vec![(file.clone(), stat.meta.xattrs.get(ATTRIBUTE).cloned())];
        if is_recursive && stat.is_dir() {
            found = Vec::new();
            for (at, node) in process.world.tree.below(&stat.path) {
                let rest = &at.as_str()[stat.path.as_str().len()..];
                let name = format!("{}/{}", file.trim_end_matches('/'), rest.trim_start_matches('/'));
                found.push((name, node.meta.xattrs.get(ATTRIBUTE).cloned()));
            }
        }
        for (name, bytes) in found {
            match bytes.as_deref().and_then(FileCapabilities::from_attribute) {
                Some(kept) => process.print_line(format!("{name} {kept}")),
                None if is_verbose && !is_recursive => process.print_line(name),
                None => {}
            }
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use crate::commands::playground::{Entry, Playground, on_disk, real, text};

    const TREE: &[(&str, Entry<'static>)] = &[
        ("usr/bin/ping", Entry::File(0o755, "x")),
        ("usr/bin/link", Entry::Link("ping")),
        ("usr/sbin/setcap", Entry::File(0o755, "x")),
    ];

    const TEXTS: &[&str] = &[
        "cap_net_raw=ep",
        "cap_net_raw,cap_net_admin+ep",
        "all=ep",
        "=ep",
        "=",
        "cap_net_raw=",
        "CAP_NET_RAW=p",
        "net_raw=p",
        "13=p",
        "cap_net_raw=eip cap_chown=eip",
        "cap_net_raw=ep cap_chown+i",
        "cap_net_raw=e",
        "cap_net_raw=ip",
        "cap_net_raw+p-p",
        "cap_net_raw=p+i",
        "all=p cap_chown-p",
        "all=eip cap_chown-eip",
        "cap_net_raw",
        "+p",
        "cap_net_raw,=p",
        "cap_net_raw=x",
        "cap_net_raw+",
        "=p cap_net_raw=",
        "cap_net_raw=ip+e",
        "cap_net_raw=i cap_chown=p",
        "cap_net_raw=p cap_chown=ip",
        "= cap_net_raw+ep",
        "cap_net_raw=+ep",
        "=+p",
        "cap_none=p",
        "cap_bpf=ep",
        "all=p cap_net_raw+i",
        "",
        "cap_net_raw==p",
        "cap_net_raw=p=i",
    ];

    #[test]
    fn grammar_and_texts_agree_with_setcap_and_getcap() {
        let scratch = on_disk("setcap", TREE);
        let place = format!("{}/usr/bin/ping", scratch.path());
        // Attributes of the kernel's own need privileges that a test may lack.
        let Some(probe) = real(&["setcap", "cap_net_raw=p", &place], &[]) else { return };
        if probe.status != 0 {
            println!("skipped: setcap may not set capabilities here");
            return;
        }
        let mut ours = Playground::of(TREE);
        for spelled in TEXTS {
            let _ = real(&["setcap", "-q", "-r", &place], &[]);
            let _ = ours.run(&["setcap", "-r", "/usr/bin/ping"]);
            let theirs = real(&["setcap", spelled, &place], &[]).unwrap();
            let found = ours.run(&["setcap", spelled, "/usr/bin/ping"]);
            assert_eq!(found.status, theirs.status, "{spelled}");
            let theirs = real(&["getcap", &place], &[]).unwrap();
            let found = ours.said(&["getcap", "/usr/bin/ping"]);
            assert_eq!(found.1, text(&theirs).1.replace(scratch.path(), ""), "{spelled}");
        }
    }

    #[test]
    fn what_is_no_regular_file_has_no_capabilities() {
        let mut ours = Playground::of(TREE);
        assert_eq!(ours.run(&["setcap", "cap_net_raw=p", "/usr/bin/link"]).status, 1);
        assert_eq!(ours.run(&["setcap", "cap_net_raw=p", "/usr/bin"]).status, 1);
        assert_eq!(ours.said(&["setcap", "cap_net_raw=p", "/none"]).0, 1);
        assert_eq!(ours.run(&["setcap", "-r", "/usr/bin/ping"]).status, 1);
        ours.run(&["setcap", "cap_net_raw+ep", "/usr/bin/ping"]);
        assert_eq!(
            ours.said(&["setcap", "-v", "cap_net_raw=p", "/usr/bin/ping"]),
            (1, "/usr/bin/ping differs in [e]\n".into(), String::new())
        );
        assert_eq!(ours.said(&["getcap", "-r", "/usr"]).1, "/usr/bin/ping cap_net_raw=ep\n");
    }
}
