//! A find(1) expression on one entry: tests, and actions on the tree.

use std::collections::BTreeMap;

use hah_format::tree::Kind;

use super::expression::{Expression, Permission};
use super::glob::glob_matches;
use crate::commands::operands::{base_name, shell_quoted};
use crate::commands::{Process, Refusal, accounts, listing};
use crate::shell;
use crate::world::Stat;

/// What find stands at.
pub(super) struct Entry<'e> {
    pub(super) path: &'e str,
    /// The operand that it was found under.
    pub(super) start: &'e str,
    pub(super) depth: usize,
    pub(super) stat: Stat,
}

/// What an expression has brought about besides its value.
pub(super) struct Outcome {
    pub(super) pruned: bool,
    pub(super) quit: bool,
    pub(super) failed: bool,
}

/// Paths that wait for `-exec … +`.
#[derive(Default)]
pub(super) struct Batches(BTreeMap<usize, (Vec<String>, Vec<String>)>);

impl Batches {
    /// Runs what waits; a command that fails makes find fail.
    pub(super) fn finish(&mut self, process: &mut Process<'_, '_>, status: &mut u8) -> Result<(), Refusal> {
        for (command, paths) in std::mem::take(&mut self.0).into_values() {
            let words: Vec<String> = command.into_iter().chain(paths).collect();
            if run(process, &words)? != 0 {
                *status = 1;
            }
        }
        Ok(())
    }
}

fn run(process: &mut Process<'_, '_>, words: &[String]) -> Result<u8, Refusal> {
    let finished = shell::launch(process, words, Vec::new())?;
    process.stdout.extend_from_slice(&finished.stdout);
    process.stderr.extend_from_slice(&finished.stderr);
    Ok(finished.status)
}

/// Whether the expression holds.
pub(super) fn evaluate(
    process: &mut Process<'_, '_>,
    expression: &Expression,
    entry: &Entry<'_>,
    to: &mut (&mut Batches, &mut Outcome),
) -> Result<bool, Refusal> {
    let stat = &entry.stat;
    let folded = |text: &str, case: bool| if case { text.to_owned() } else { text.to_lowercase() };
    Ok(match expression {
        Expression::And(left, right) => evaluate(process, left, entry, to)? && evaluate(process, right, entry, to)?,
        Expression::Or(left, right) => evaluate(process, left, entry, to)? || evaluate(process, right, entry, to)?,
        Expression::Both(left, right) => {
            evaluate(process, left, entry, to)?;
            evaluate(process, right, entry, to)?
        }
        Expression::Not(inner) => !evaluate(process, inner, entry, to)?,
        Expression::Always(value) => *value,
        Expression::Name(glob, case) => glob_matches(&folded(glob, *case), &folded(base_name(entry.path), *case)),
        Expression::Path(glob, case) => glob_matches(&folded(glob, *case), &folded(entry.path, *case)),
        Expression::LinkName(glob, case) => match &stat.kind {
            Kind::Symlink(target) => glob_matches(&folded(glob, *case), &folded(target, *case)),
            _ => false,
        },
        Expression::Regex(pattern) => pattern.is_full_match(entry.path.as_bytes())?,
        Expression::Kind(letters, followed) => {
            let behind =
                if *followed { process.stat(entry.path).unwrap_or_else(|_| stat.clone()) } else { stat.clone() };
            let letter = match listing::kind_letter(&behind) {
                '-' => 'f',
                letter => letter,
            };
            letters.split(',').any(|wanted| wanted.starts_with(letter))
        }
        Expression::Mode(mode, how) => match how {
            Permission::Exactly => stat.meta.mode == *mode,
            Permission::All => stat.meta.mode & mode == *mode,
            Permission::Any => *mode == 0 || stat.meta.mode & mode != 0,
        },
        Expression::User(user) => accounts::is_same(user, &stat.meta.user, &accounts::users(process.world)?),
        Expression::Group(group) => accounts::is_same(group, &stat.meta.group, &accounts::groups(process.world)?),
        Expression::UserId(amount) => {
            amount.holds(accounts::id_of(&stat.meta.user, &accounts::users(process.world)?)?.into())
        }
        Expression::GroupId(amount) => {
            amount.holds(accounts::id_of(&stat.meta.group, &accounts::groups(process.world)?)?.into())
        }
        Expression::NoUser => accounts::name_of(&stat.meta.user, &accounts::users(process.world)?).is_none(),
        Expression::NoGroup => accounts::name_of(&stat.meta.group, &accounts::groups(process.world)?).is_none(),
        Expression::Size(amount, unit) => amount.holds(stat.size.div_ceil(*unit)),
        Expression::Empty => match stat.kind {
            Kind::Dir => process.world.list(&process.cwd, entry.path)?.is_empty(),
            Kind::File(()) => stat.size == 0,
            _ => false,
        },
        Expression::NewerThan(time) => stat.meta.mtime > *time,
        Expression::Age(amount, unit) => {
            let age = u64::from(process.world.epoch.saturating_sub(stat.meta.mtime));
            // `-mmin -5` counts a part of a minute as one.
            amount.holds(age / unit)
        }
        Expression::Links(amount) => amount.holds(stat.links),
        Expression::SameFile(file) => process.world.file_of(&stat.path) == *file,
        Expression::Access(bits) => process.stat(entry.path).is_ok_and(|stat| stat.meta.mode & bits != 0),
        Expression::Print => {
            process.print_line(entry.path);
            true
        }
        Expression::Print0 => {
            process.print(entry.path);
            process.print("\0");
            true
        }
        Expression::Printf(format) => {
            let text = formatted(process, format, entry)?;
            process.print(text);
            true
        }
        Expression::Delete => {
            if entry.path == "." {
                return Ok(true);
            }
            let gone = match stat.is_dir() && !process.lstat(entry.path).is_ok_and(|stat| stat.is_symlink()) {
                true => process.world.remove_dir(&process.cwd, entry.path),
                false => process.world.unlink(&process.cwd, entry.path),
            };
            let gone = process.check(&format!("cannot delete {}", shell_quoted(entry.path)), gone)?;
            to.1.failed |= gone.is_none();
            gone.is_some()
        }
        Expression::Prune => {
            to.1.pruned = true;
            true
        }
        Expression::Quit => {
            to.1.quit = true;
            true
        }
        Expression::Execute(command, in_directory) => execute(process, command, *in_directory, entry)?,
        Expression::Batch(number, command) => {
            let batch = to.0.0.entry(*number).or_insert_with(|| (command.clone(), Vec::new()));
            batch.1.push(entry.path.to_owned());
            true
        }
    })
}

fn execute(
    process: &mut Process<'_, '_>,
    command: &[String],
    in_directory: bool,
    entry: &Entry<'_>,
) -> Result<bool, Refusal> {
    if !in_directory {
        let words: Vec<String> = command.iter().map(|word| word.replace("{}", entry.path)).collect();
        return Ok(run(process, &words)? == 0);
    }
    let name = format!("./{}", base_name(entry.path));
    let words: Vec<String> = command.iter().map(|word| word.replace("{}", &name)).collect();
    let directory = entry.stat.path.parent().unwrap_or_else(hah_format::path::TreePath::root);
    let cwd = std::mem::replace(&mut process.cwd, directory);
    let status = run(process, &words);
    process.cwd = cwd;
    Ok(status? == 0)
}

fn formatted(process: &mut Process<'_, '_>, format: &str, entry: &Entry<'_>) -> Result<String, Refusal> {
    let mut out = String::new();
    let mut left = format.chars().peekable();
    while let Some(letter) = left.next() {
        match letter {
            '\\' => match left.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some('\\') | None => out.push('\\'),
                Some('c') => break,
                Some(other) => return process.unknown(&format!("-printf with \\{other}")),
            },
            '%' => {
                let mut flags = String::new();
                while let Some(flag) = left.next_if(|flag| "#-0 +".contains(*flag) || flag.is_ascii_digit()) {
                    flags.push(flag);
                }
                let Some(letter) = left.next() else { break };
                let stat = &entry.stat;
                let relative = entry.path.strip_prefix(entry.start).unwrap_or(entry.path).trim_start_matches('/');
                let value = match letter {
                    '%' => "%".to_owned(),
                    'p' => entry.path.to_owned(),
                    'P' => relative.to_owned(),
                    'H' => entry.start.to_owned(),
                    'f' => base_name(entry.path).to_owned(),
                    'h' => match entry.path.rsplit_once('/') {
                        Some(("", _)) => String::new(),
                        Some((directory, _)) => directory.to_owned(),
                        None => ".".to_owned(),
                    },
                    'd' => entry.depth.to_string(),
                    's' => stat.size.to_string(),
                    'l' => match &stat.kind {
                        Kind::Symlink(target) => target.to_string(),
                        _ => String::new(),
                    },
                    'm' => format!("{:o}", stat.meta.mode),
                    'M' => format!("{}{}", listing::kind_letter(stat), listing::mode_letters(stat.meta.mode)),
                    'n' => stat.links.to_string(),
                    'y' => match listing::kind_letter(stat) {
                        '-' => "f".to_owned(),
                        letter => letter.to_string(),
                    },
                    'u' => accounts::name_of(&stat.meta.user, &accounts::users(process.world)?)
                        .unwrap_or_else(|| stat.meta.user.to_string()),
                    'g' => accounts::name_of(&stat.meta.group, &accounts::groups(process.world)?)
                        .unwrap_or_else(|| stat.meta.group.to_string()),
                    'U' => accounts::id_of(&stat.meta.user, &accounts::users(process.world)?)?.to_string(),
                    'G' => accounts::id_of(&stat.meta.group, &accounts::groups(process.world)?)?.to_string(),
                    'T' | 'A' | 'C' => match left.next() {
                        Some('@') => format!("{}.0000000000", stat.meta.mtime),
                        _ => return process.unknown("-printf with a time other than %T@"),
                    },
                    other => return process.unknown(&format!("-printf with %{other}")),
                };
                let value = if letter == 'm' && flags.contains('#') { format!("0{value}") } else { value };
                let wide: usize = flags.trim_start_matches(['#', '-', '+', ' ']).parse().unwrap_or(0).min(4096);
                let padding = " ".repeat(wide.saturating_sub(value.chars().count()));
                match flags.contains('-') {
                    true => out.push_str(&format!("{value}{padding}")),
                    false => out.push_str(&format!("{padding}{value}")),
                }
            }
            _ => out.push(letter),
        }
    }
    Ok(out)
}
