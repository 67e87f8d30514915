//! run-parts(8) of debianutils: the executables of a directory, in order of name.
//!
//! Hooks of the kernel (`/etc/kernel/*.d`, `/etc/initramfs/post-update.d`) are not run: what they make is an initial
//! file system, a boot menu or files of a boot partition, and all of these are hah-image's own.

use super::{Command, Process, Refusal};
use crate::shell;
use crate::world::Follow;

pub(super) const COMMANDS: &[Command] = &[Command::always("run-parts", run_parts)];

/// Directories whose programs are not run.
const BOOT_HOOKS: [&str; 7] = [
    "/etc/kernel/postinst.d",
    "/etc/kernel/preinst.d",
    "/etc/kernel/postrm.d",
    "/etc/kernel/prerm.d",
    "/etc/kernel/header_postinst.d",
    "/etc/kernel/install.d",
    "/etc/initramfs/post-update.d",
];

/// What is done with each file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Run,
    Test,
    List,
}

fn run_parts(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut mode, mut is_verbose, mut reports, mut reverses, mut stops) = (Mode::Run, false, false, false, false);
    let (mut passed, mut dirs, mut regex) = (Vec::new(), Vec::new(), None);
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        let mut take = || value.map(str::to_owned).or_else(|| words.next().map(str::to_owned)).unwrap_or_default();
        match option {
            "--test" => mode = Mode::Test,
            "--list" => mode = Mode::List,
            "-v" | "--verbose" => is_verbose = true,
            "--report" => reports = true,
            "--reverse" => reverses = true,
            "--exit-on-error" => stops = true,
            "--new-session" => {}
            "-a" | "--arg" => passed.push(take()),
            "-u" | "--umask" => {
                let mask = take();
                process.umask = match u16::from_str_radix(&mask, 8) {
                    Ok(mask) => mask & 0o777,
                    Err(_) => return process.unknown(&format!("--umask={mask}")),
                };
            }
            "--regex" => {
                let text = take();
                regex = match regex_lite::Regex::new(&text) {
                    Ok(regex) => Some(regex),
                    Err(_) => return process.unknown(&format!("--regex={text}")),
                };
            }
            "--" => dirs.extend(words.by_ref().map(str::to_owned)),
            _ if word.starts_with('-') => return process.unknown(word),
            _ => dirs.push(word.to_owned()),
        }
    }
    let [dir] = &dirs[..] else {
        process.complain("missing operand\nTry `run-parts --help' for more information.");
        return Ok(1);
    };
    let absolute = crate::world::World::absolute(&process.cwd, dir);
    if BOOT_HOOKS.contains(&absolute.as_str()) {
        return Ok(0);
    }
    let names = match process.world.list(&process.cwd, dir) {
        Ok(names) => names,
        Err(error) if error.is_final() => return Err(error.into()),
        Err(error) => {
            process.complain(format_args!("failed to open directory {dir}: {error}"));
            return Ok(1);
        }
    };
    let mut names: Vec<String> = names
        .into_iter()
        .filter(|name| match &regex {
            Some(regex) => regex.is_match(name),
            None => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
        })
        .collect();
    if reverses {
        names.reverse();
    }
    let mut status = 0;
    for name in names {
        let path = format!("{}/{name}", dir.strip_suffix('/').unwrap_or(dir));
        let stat = match process.world.stat(&process.cwd, &path, Follow::Yes) {
            Ok(stat) => stat,
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                process.complain(format_args!("failed to stat component {path}: {error}"));
                if stops {
                    return Ok(1);
                }
                continue;
            }
        };
        if !stat.is_file() {
            if !stat.is_dir() {
                process.complain(format_args!("component {path} is not an executable plain file"));
                status = 1;
            }
            continue;
        }
        match mode {
            Mode::List => process.print_line(&path),
            Mode::Test if stat.is_executable() => process.print_line(&path),
            Mode::Run if stat.is_executable() => {
                if is_verbose {
                    process.stderr.extend_from_slice(format!("run-parts: executing {path}\n").as_bytes());
                }
                let command: Vec<String> = std::iter::once(path.clone()).chain(passed.iter().cloned()).collect();
                let input = process.take_stdin();
                let finished = shell::launch(process, &command, input)?;
                if reports && !is_verbose {
                    if !finished.stdout.is_empty() {
                        process.print_line(format!("{path}:"));
                    } else if !finished.stderr.is_empty() {
                        process.stderr.extend_from_slice(format!("{path}:\n").as_bytes());
                    }
                }
                process.print(finished.stdout);
                process.stderr.extend_from_slice(&finished.stderr);
                if finished.status != 0 {
                    process.complain(format_args!("{path} exited with return code {}", finished.status));
                    status = 1;
                    if stops {
                        return Ok(1);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use crate::commands::playground::{Entry, Playground, on_disk, real, text};

    const TREE: &[(&str, Entry<'static>)] = &[
        ("etc/x.d/20-b", Entry::File(0o755, "#!/bin/sh\n")),
        ("etc/x.d/10_a", Entry::File(0o755, "#!/bin/sh\n")),
        ("etc/x.d/plain", Entry::File(0o644, "")),
        ("etc/x.d/dotted.sh", Entry::File(0o755, "")),
        ("etc/x.d/dir", Entry::Dir(0o755)),
        ("etc/x.d/dangling", Entry::Link("none")),
        ("etc/kernel/postinst.d/zz-hook", Entry::File(0o755, "#!/bin/sh\nexit 1\n")),
    ];

    #[test]
    fn the_same_files_are_chosen() {
        let scratch = on_disk("run-parts", TREE);
        let mut ours = Playground::of(TREE);
        let dir = format!("{}/etc/x.d", scratch.path());
        for options in [&["--test"][..], &["--list"], &["--test", "--reverse"], &["--test", "--regex=.*[.]sh$"]] {
            let Some(theirs) = real(&[&["run-parts"][..], options, &[&dir]].concat(), &[]) else { return };
            let (status, stdout, _) = text(&theirs);
            let found = ours.said(&[&["run-parts"][..], options, &["/etc/x.d"]].concat());
            assert_eq!((found.0, found.1), (status, stdout.replace(scratch.path(), "")), "{options:?}");
        }
    }

    #[test]
    fn hooks_of_the_kernel_are_not_run() {
        let mut ours = Playground::of(TREE);
        let words = ["run-parts", "--report", "--exit-on-error", "--arg=6.12", "/etc/kernel/postinst.d"];
        assert_eq!(ours.said(&words), (0, String::new(), String::new()));
        assert_eq!(ours.said(&["run-parts", "/none"]).0, 1);
    }
}
