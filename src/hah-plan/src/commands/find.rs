//! find(1). Entries of a directory come in byte order, where a disk has an order of its own.

mod glob;
mod expression;
mod evaluate;

use super::operands::{in_directory, shell_quoted};
use super::{Command, Process, Refusal};
use crate::world::{Errno, Stat};

use evaluate::{Batches, Entry};
use expression::{Expression, ParsedExpression};

pub(super) use glob::glob_matches;

pub(super) const COMMANDS: &[Command] = &[Command::always("find", find)];

/// Which links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    None,
    Operands,
    All,
}

struct Finder {
    expression: ParsedExpression,
    links: Links,
    batches: Batches,
    quit: bool,
    status: u8,
}

/// find(1): tests `-name -iname -path -ipath -wholename -regex -iregex -lname -type -xtype -perm -user -group -uid -gid
/// -nouser -nogroup -size -empty -newer -mtime -mmin -links -samefile -inum -readable -writable -executable -true -false`,
/// actions `-print -print0 -printf -delete -prune -exec -execdir -quit -ls`, options `-mindepth -maxdepth -depth -d -xdev -mount
/// -regextype -ignore_readdir_race -noleaf -follow`, operators `( ) ! -not -a -and -o -or ,`, `-H -L -P`.
fn find(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut links = Links::None;
    let mut args = args;
    while let [first, rest @ ..] = args {
        links = match first.as_str() {
            "-P" => Links::None,
            "-H" => Links::Operands,
            "-L" => Links::All,
            _ => break,
        };
        args = rest;
    }
    let starts =
        args.iter().take_while(|arg| !(arg.starts_with('-') && arg.len() > 1 || *arg == "(" || *arg == "!")).count();
    let (paths, words) = args.split_at(starts);
    let expression = match expression::parse(process, words)? {
        Ok(expression) => expression,
        Err(message) => {
            process.complain(message);
            return Ok(1);
        }
    };
    if expression.follow {
        links = Links::All;
    }
    let mut finder = Finder { expression, links, batches: Batches::default(), quit: false, status: 0 };
    let here = [".".to_owned()];
    let paths = if paths.is_empty() { &here } else { paths };
    for path in paths {
        let stat = match links {
            Links::None => process.lstat(path),
            Links::Operands | Links::All => process.stat(path).or_else(|_| process.lstat(path)),
        };
        match process.check(&format!("‘{path}’"), stat)? {
            Some(stat) => finder.visit(process, path, (path, 0, stat), &mut Vec::new())?,
            None => finder.status = 1,
        }
        if finder.quit {
            break;
        }
    }
    finder.batches.finish(process, &mut finder.status)?;
    Ok(finder.status)
}

impl Finder {
    fn visit(
        &mut self,
        process: &mut Process<'_, '_>,
        path: &str,
        (start, depth, stat): (&str, usize, Stat),
        above: &mut Vec<hah_format::path::TreePath>,
    ) -> Result<(), Refusal> {
        process.step()?;
        let reached = depth >= self.expression.least_depth && depth <= self.expression.most_depth;
        let mut pruned = false;
        let is_dir = stat.is_dir();
        let real = stat.path.clone();
        let entry = Entry { path, start, depth, stat };
        if reached && !self.expression.children_first {
            self.test(process, &entry, &mut pruned)?;
        }
        let prunes = pruned && !self.expression.children_first;
        if is_dir && !prunes && depth < self.expression.most_depth && !self.quit {
            if above.contains(&real) {
                process.complain(format_args!("File system loop detected; {} is part of the loop", shell_quoted(path)));
                self.status = 1;
                return Ok(());
            }
            above.push(real);
            // What an action has removed in the meantime has no entries any more.
            let names = match process.world.list(&process.cwd, path) {
                Err(Errno::NotFound | Errno::NotADirectory) => Vec::new(),
                names => names?,
            };
            for name in names {
                let child = in_directory(path, &name);
                let stat = match self.links {
                    Links::All => process.stat(&child).or_else(|_| process.lstat(&child)),
                    _ => process.lstat(&child),
                };
                match stat {
                    Ok(stat) => self.visit(process, &child, (start, depth + 1, stat), above)?,
                    Err(Errno::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
                if self.quit {
                    break;
                }
            }
            above.pop();
        }
        if reached && self.expression.children_first && !self.quit {
            self.test(process, &entry, &mut pruned)?;
        }
        Ok(())
    }

    fn test(&mut self, process: &mut Process<'_, '_>, entry: &Entry<'_>, pruned: &mut bool) -> Result<(), Refusal> {
        let mut outcome = evaluate::Outcome { pruned: false, quit: false, failed: false };
        let root: &Expression = &self.expression.root;
        evaluate::evaluate(process, root, entry, &mut (&mut self.batches, &mut outcome))?;
        *pruned |= outcome.pruned;
        self.quit |= outcome.quit;
        if outcome.failed {
            self.status = 1;
        }
        Ok(())
    }
}
