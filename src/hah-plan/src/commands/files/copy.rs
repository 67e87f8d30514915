//! cp(1).
//!
//! As root copies: a new file has its source's mode less the mask and belongs to root; one that is there keeps both.
//! `-p` and `-a` keep mode, owner and time, `-a` also attributes, links and special files.

use std::collections::BTreeMap;

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Meta, Node};

use crate::commands::operands::{base_name, in_directory, shell_quoted};
use crate::commands::options::{Options, Order};
use crate::commands::{Process, Refusal};
use crate::world::{Errno, Follow, Stat};

const SPEC: &str = "a,archive d H L,dereference P,no-dereference R,recursive r f,force i,interactive n,no-clobber \
    l,link p s,symbolic-link t,target-directory= T,no-target-directory u,update v,verbose x,one-file-system Z \
    ,preserve=? ,no-preserve= ,remove-destination ,reflink=? ,sparse= ,strip-trailing-slashes ,parents";

/// Which links of the source are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    All,
    Operands,
    None,
}

/// What is kept of a source besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Preserved {
    mode: bool,
    owner: bool,
    time: bool,
    links: bool,
    attributes: bool,
}

struct Copier {
    recursive: bool,
    links: Links,
    preserved: Preserved,
    no_clobber: bool,
    update: bool,
    interactive: bool,
    remove_destination: bool,
    force: bool,
    as_links: Option<char>,
    /// New files have the mode that any new file has: `--no-preserve=mode`.
    plain_mode: bool,
    verbose: bool,
    /// Where a file with several names was copied to first.
    copied: BTreeMap<TreePath, String>,
}

impl Copier {
    fn of(process: &Process<'_, '_>, options: &Options) -> Result<Self, Refusal> {
        let mut copier = Self {
            recursive: false,
            links: Links::All,
            preserved: Preserved::default(),
            no_clobber: false,
            update: false,
            interactive: false,
            remove_destination: false,
            force: false,
            as_links: None,
            plain_mode: false,
            verbose: false,
            copied: BTreeMap::new(),
        };
        let mut links = None;
        let all = Preserved { mode: true, owner: true, time: true, links: true, attributes: true };
        for given in &options.given {
            match given.name {
                "a" => {
                    copier.recursive = true;
                    links = Some(Links::None);
                    copier.preserved = all;
                }
                "d" => {
                    links = Some(Links::None);
                    copier.preserved.links = true;
                }
                "H" => links = Some(Links::Operands),
                "L" => links = Some(Links::All),
                "P" => links = Some(Links::None),
                "R" | "r" => copier.recursive = true,
                "p" => copier.preserve("mode,ownership,timestamps", true).map_or_else(|| process.unknown("-p"), Ok)?,
                "preserve" | "no-preserve" => {
                    let what = given.value.as_deref().unwrap_or("mode,ownership,timestamps");
                    if copier.preserve(what, given.name == "preserve").is_none() {
                        return process.unknown(&format!("--{}={what}", given.name));
                    }
                }
                "l" => copier.as_links = Some('l'),
                "s" => copier.as_links = Some('s'),
                "n" => copier.no_clobber = true,
                "i" => copier.interactive = true,
                "u" => copier.update = true,
                "f" => copier.force = true,
                "remove-destination" => copier.remove_destination = true,
                "v" => copier.verbose = true,
                "parents" => return process.unknown("--parents"),
                // How bytes are stored, file systems beside the one, and contexts of SELinux are nothing here.
                _ => {}
            }
        }
        copier.links =
            links.unwrap_or(if copier.recursive && copier.as_links != Some('l') { Links::None } else { Links::All });
        Ok(copier)
    }

    fn preserve(&mut self, what: &str, on: bool) -> Option<()> {
        for part in what.split(',') {
            let kept = &mut self.preserved;
            match part {
                "mode" => {
                    kept.mode = on;
                    self.plain_mode = !on;
                }
                "ownership" => kept.owner = on,
                "timestamps" => kept.time = on,
                "links" => kept.links = on,
                "xattr" => kept.attributes = on,
                "context" => {}
                "all" => *kept = Preserved { mode: on, owner: on, time: on, links: on, attributes: on },
                _ => return None,
            }
        }
        Some(())
    }

    /// Copies one source to one place; whether all went well.
    fn copy(&mut self, process: &mut Process<'_, '_>, from: &str, to: &str, operand: bool) -> Result<bool, Refusal> {
        process.step()?;
        let follow = match self.links {
            Links::All => Follow::Yes,
            Links::Operands if operand => Follow::Yes,
            _ => Follow::No,
        };
        let stat = process.world.stat(&process.cwd, from, follow);
        let Some(source) = process.check(&format!("cannot stat {}", shell_quoted(from)), stat)? else {
            return Ok(false);
        };
        if source.is_dir() && !self.recursive {
            process.complain(format_args!("-r not specified; omitting directory {}", shell_quoted(from)));
            return Ok(false);
        }
        let target = match process.lstat(to) {
            Ok(target) => Some(target),
            Err(Errno::NotFound) => None,
            Err(error) => {
                process.check::<()>(&format!("cannot create {} {}", noun(&source), shell_quoted(to)), Err(error))?;
                return Ok(false);
            }
        };
        if let Some(target) = &target {
            match self.settle(process, (from, &source), (to, target))? {
                Settled::Go => {}
                Settled::Skip => return Ok(true),
                Settled::Fail => return Ok(false),
            }
        }
        if source.is_dir() {
            return self.copy_directory(process, from, to, &source);
        }
        let result = self.copy_node(process, from, to, &source);
        if result.is_ok() && self.verbose {
            process.print_line(format!("{} -> {}", shell_quoted(from), shell_quoted(to)));
        }
        let what = format!("cannot create {} {}", noun(&source), shell_quoted(to));
        Ok(process.check(&what, result)?.is_some())
    }

    /// Whether a target that is there may be replaced, and makes room for it.
    fn settle(
        &self,
        process: &mut Process<'_, '_>,
        (from, source): (&str, &Stat),
        (to, target): (&str, &Stat),
    ) -> Result<Settled, Refusal> {
        let behind = process.stat(to).ok();
        if self.no_clobber {
            return Ok(Settled::Skip);
        }
        let is_dir = behind.as_ref().is_some_and(Stat::is_dir);
        if source.is_dir() {
            return match is_dir {
                true => Ok(Settled::Go),
                false => {
                    let (to, from) = (shell_quoted(to), shell_quoted(from));
                    process.complain(format_args!("cannot overwrite non-directory {to} with directory {from}"));
                    Ok(Settled::Fail)
                }
            };
        }
        if target.is_dir() || is_dir && !source.is_symlink() && !self.remove_destination {
            let to = shell_quoted(to);
            process.complain(format_args!("cannot overwrite directory {to} with non-directory"));
            return Ok(Settled::Fail);
        }
        if self.update && behind.as_ref().is_some_and(|old| old.meta.mtime >= source.meta.mtime) {
            return Ok(Settled::Skip);
        }
        if self.interactive {
            return process.unknown("-i on a file that is there");
        }
        let same = match source.is_symlink() {
            true => {
                let behind = process.stat(from).map(|stat| stat.path);
                target.path == source.path || behind.is_ok_and(|behind| behind == target.path)
            }
            false => behind.as_ref().is_some_and(|old| process.world.is_same_file(&old.path, &source.path)),
        };
        if same
            && (target.path == source.path
                || source.is_symlink()
                || !self.remove_destination && self.as_links.is_none())
        {
            let (from, to) = (shell_quoted(from), shell_quoted(to));
            process.complain(format_args!("{from} and {to} are the same file"));
            return Ok(Settled::Fail);
        }
        if target.is_symlink() && behind.is_none() && !source.is_symlink() && !self.remove_destination {
            let to = shell_quoted(to);
            process.complain(format_args!("not writing through dangling symlink {to}"));
            return Ok(Settled::Fail);
        }
        let replaced = self.remove_destination
            || self.force && self.as_links.is_some()
            || !source.is_file()
            || self.preserved.links && target.links > 1;
        if replaced {
            let gone = process.world.unlink(&process.cwd, to);
            let what = format!("cannot remove {}", shell_quoted(to));
            if process.check(&what, gone)?.is_none() {
                return Ok(Settled::Fail);
            }
        }
        Ok(Settled::Go)
    }

    fn copy_node(&mut self, process: &mut Process<'_, '_>, from: &str, to: &str, source: &Stat) -> Result<(), Errno> {
        match self.as_links {
            Some('l') => return process.world.make_hard_link(&process.cwd, from, to),
            Some(_) => return process.world.make_symlink(&process.cwd, to, from),
            None => {}
        }
        if self.preserved.links && source.links > 1 {
            let file = process.world.file_of(&source.path);
            if let Some(first) = self.copied.get(&file) {
                return process.world.make_hard_link(&process.cwd, &first.clone(), to);
            }
            self.copied.insert(file, to.to_owned());
        }
        let kind = match &source.kind {
            Kind::File(()) | Kind::HardLink(_) => None,
            Kind::Symlink(target) => Some(Kind::Symlink(target.clone())),
            Kind::Fifo => Some(Kind::Fifo),
            Kind::CharDevice(..) | Kind::BlockDevice(..) if !self.recursive => None,
            Kind::CharDevice(major, minor) => Some(Kind::CharDevice(*major, *minor)),
            Kind::BlockDevice(major, minor) => Some(Kind::BlockDevice(*major, *minor)),
            Kind::Dir => return Err(Errno::IsADirectory),
        };
        let mode = self.mode_of(process, source);
        match kind {
            Some(kind) => {
                let mode = if matches!(kind, Kind::Symlink(_)) { 0o777 } else { mode };
                process.world.create(&process.cwd, to, Node { meta: Meta::root(mode), kind })?;
            }
            None => {
                let content = process.world.content(&process.cwd, from)?;
                match to {
                    "/dev/stdout" | "/dev/stderr" => {
                        let bytes = process.world.read(&process.cwd, from)?;
                        return process.write_file(to, &bytes);
                    }
                    _ => process.world.write_content(&process.cwd, to, mode, content)?,
                }
            }
        }
        self.keep(process, to, source)
    }

    fn copy_directory(
        &mut self,
        process: &mut Process<'_, '_>,
        from: &str,
        to: &str,
        source: &Stat,
    ) -> Result<bool, Refusal> {
        let made = match process.lstat(to) {
            Ok(_) => Ok(false),
            // Its owner must be able to fill it, whatever the source's mode is.
            Err(Errno::NotFound) => {
                process.world.make_dir(&process.cwd, to, self.mode_of(process, source)).map(|()| true)
            }
            Err(error) => Err(error),
        };
        let what = format!("cannot create directory {}", shell_quoted(to));
        let Some(made) = process.check(&what, made)? else { return Ok(false) };
        if made && self.verbose {
            process.print_line(format!("{} -> {}", shell_quoted(from), shell_quoted(to)));
        }
        let target = process.stat(to)?;
        if made && target.path.starts_with(&source.path) || target.path == source.path {
            let (from, to) = (shell_quoted(from), shell_quoted(to));
            process.complain(format_args!("cannot copy a directory, {from}, into itself, {to}"));
            return Ok(false);
        }
        let mut well = true;
        for name in process.world.list(&process.cwd, from)? {
            well &= self.copy(process, &in_directory(from, &name), &in_directory(to, &name), false)?;
        }
        let kept = self.keep(process, to, source);
        Ok(process.check(&what, kept)?.is_some() && well)
    }

    /// The mode of a new file before anything is kept.
    fn mode_of(&self, process: &Process<'_, '_>, source: &Stat) -> u16 {
        let mode = match (self.plain_mode, source.is_dir()) {
            (true, true) => 0o777,
            (true, false) => 0o666,
            (false, _) => source.meta.mode & 0o777,
        };
        mode & !process.umask
    }

    /// Gives the copy what is to be kept of its source.
    fn keep(&self, process: &mut Process<'_, '_>, to: &str, source: &Stat) -> Result<(), Errno> {
        let follow = if source.is_symlink() { Follow::No } else { Follow::Yes };
        let (world, cwd) = (&mut *process.world, &process.cwd);
        if self.preserved.owner {
            let owner = (Some(source.meta.user.clone()), Some(source.meta.group.clone()));
            world.set_owner(cwd, to, follow, owner)?;
        }
        if self.preserved.mode && !source.is_symlink() {
            world.set_mode(cwd, to, source.meta.mode)?;
        }
        if self.preserved.attributes && !source.is_symlink() {
            for (name, value) in &source.meta.xattrs {
                world.set_attribute(cwd, to, name, Some(value.clone()))?;
            }
        }
        if self.preserved.time {
            world.set_time(cwd, to, follow, source.meta.mtime)?;
        }
        Ok(())
    }
}

enum Settled {
    Go,
    Skip,
    Fail,
}

fn noun(stat: &Stat) -> &'static str {
    match stat.kind {
        Kind::Symlink(_) => "symbolic link",
        Kind::Fifo => "fifo",
        Kind::CharDevice(..) | Kind::BlockDevice(..) => "special file",
        Kind::Dir => "directory",
        _ => "regular file",
    }
}

/// Where sources go: into a directory, or onto one path.
pub(super) enum Destination {
    Into(String),
    Onto(String),
}

/// The destination that `-t`, `-T` or the last operand names, taken off `operands`; `None` after a complaint.
pub(super) fn destination(
    process: &mut Process<'_, '_>,
    options: &Options,
    operands: &mut Vec<String>,
) -> Result<Option<Destination>, Refusal> {
    if let Some(directory) = options.value("t") {
        if !process.is_dir(directory) {
            let quoted = shell_quoted(directory);
            let why = if process.stat(directory).is_ok() { "Not a directory" } else { "No such file or directory" };
            process.complain(format_args!("target directory {quoted}: {why}"));
            return Ok(None);
        }
        if operands.is_empty() {
            process.complain("missing file operand");
            return Ok(None);
        }
        return Ok(Some(Destination::Into(directory.to_owned())));
    }
    let Some(last) = operands.pop() else {
        process.complain("missing file operand");
        return Ok(None);
    };
    if operands.is_empty() {
        let last = shell_quoted(&last);
        process.complain(format_args!("missing destination file operand after {last}"));
        return Ok(None);
    }
    if options.has("T") {
        if operands.len() > 1 {
            let extra = process.quote(&last);
            process.complain(format_args!("extra operand {extra}"));
            return Ok(None);
        }
        return Ok(Some(Destination::Onto(last)));
    }
    if process.is_dir(&last) {
        return Ok(Some(Destination::Into(last)));
    }
    if operands.len() > 1 {
        let why = if process.stat(&last).is_ok() { "Not a directory" } else { "No such file or directory" };
        let last = shell_quoted(&last);
        process.complain(format_args!("target {last}: {why}"));
        return Ok(None);
    }
    Ok(Some(Destination::Onto(last)))
}

impl Destination {
    /// Where `source` goes.
    pub(super) fn of(&self, source: &str) -> String {
        match self {
            Self::Into(directory) => match base_name(source) {
                // `cp -r x/. d` and `cp -r .. d` copy what is in the directory.
                "." | "/" => directory.clone(),
                name => in_directory(directory, name),
            },
            Self::Onto(path) => path.clone(),
        }
    }
}

/// cp(1). Backups, contexts and `--parents` are not.
pub(super) fn cp(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut options = process.options(args, SPEC, Order::Any)?;
    let mut operands = std::mem::take(&mut options.operands);
    let mut copier = Copier::of(process, &options)?;
    let Some(destination) = destination(process, &options, &mut operands)? else { return Ok(1) };
    let mut status = 0;
    for source in &operands {
        let source = match options.has("strip-trailing-slashes") {
            true => source.trim_end_matches('/'),
            false => source,
        };
        if let Destination::Onto(to) = &destination
            && to.ends_with('/')
            && !process.is_dir(to)
            && !process.is_dir(source)
        {
            let to = shell_quoted(to);
            process.complain(format_args!("cannot create regular file {to}: Not a directory"));
            return Ok(1);
        }
        if !copier.copy(process, source, destination.of(source).as_str(), true)? {
            status = 1;
        }
    }
    Ok(status)
}
