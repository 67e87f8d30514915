//! `ucf`, `ucfr`, `ucfq`: configuration files that are not conffiles; ucf(1), ucfr(1), ucfq(1) of ucf 3.0052.
//!
//! On a first installation there is no record and mostly no file, so ucf installs the new file and books its digest in
//! `/var/lib/ucf/hashfile`, with a copy in `cache`. A file that is there already (a recipe's, another script's) is treated
//! as the real ucf treats it: replaced when its digest is one of the historical ones, kept when it is like the new
//! one; anything else would be a question, to which nobody says anything, and then the present file is kept.

use hah_format::path::TreePath;

use super::dpkg::md5_hex;
use super::options::Order;
use super::{Command, Process, Refusal};
use crate::world::{Follow, World};

pub(super) const COMMANDS: &[Command] =
    &[Command::in_tree("ucf", ucf), Command::in_tree("ucfr", ucfr), Command::in_tree("ucfq", ucfq)];

/// Files below this many bytes are kept in the cache.
const CACHED_BELOW: usize = 25_600;

/// What stands for a digest that matches none.
const NO_SUM: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// One run of ucf.
struct Run {
    /// Where the records are.
    state: String,
    /// The file that is registered.
    destination: String,
    /// The new file.
    new: String,
    three_way: bool,
    /// Whether the numbers of earlier records go up. They do not once ucf 3.0052 has talked to debconf, for confmodule(3)
    /// leaves an `IFS` behind that splits no list.
    rotates: bool,
}

impl Process<'_, '_> {
    /// The bytes of a file; `None` when it is not there.
    fn bytes_at(&mut self, path: &str) -> Result<Option<Vec<u8>>, Refusal> {
        match self.world.read(&self.cwd, path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_final() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    fn text_at(&mut self, path: &str) -> Result<Option<String>, Refusal> {
        Ok(self.bytes_at(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn put_text(&mut self, path: &str, text: String) -> Result<bool, Refusal> {
        let written = self.world.write(&TreePath::root(), path, 0o644, text.into_bytes());
        Ok(self.check(path, written)?.is_some())
    }

    /// `readlink -m`: every link followed, what is not there taken by the word.
    fn real_path(&self, path: &str) -> String {
        match self.world.resolve(&self.cwd, path, Follow::Yes) {
            Ok(real) => real.to_string(),
            Err(_) => World::absolute(&self.cwd, path),
        }
    }

    /// As `cp -pf`: the attributes too, where the file is new; only the bytes where one is there.
    fn copy_file(&mut self, from: &str, to: &str, preserve: bool) -> Result<bool, Refusal> {
        let top = TreePath::root();
        let Some(bytes) = self.bytes_at(from)? else { return Ok(false) };
        let stat = self.world.stat(&self.cwd, from, Follow::Yes);
        let there = self.world.exists(&top, to);
        let written = self.world.write(&top, to, 0o644, bytes);
        if self.check(to, written)?.is_none() {
            return Ok(false);
        }
        if let (Ok(stat), true) = (stat, preserve || !there) {
            let moded = self.world.set_mode(&top, to, stat.meta.mode);
            self.check(to, moded)?;
            let owner = (Some(stat.meta.user), Some(stat.meta.group));
            let owned = self.world.set_owner(&top, to, Follow::Yes, owner);
            self.check(to, owned)?;
        }
        Ok(true)
    }

    /// Copies `FILE.6` to `FILE.7`, … where `all` is wanted, and `FILE` to `FILE.0`.
    fn rotate(&mut self, file: &str, all: bool) -> Result<(), Refusal> {
        for number in (0..if all { 7 } else { 0 }).rev() {
            if let Some(text) = self.text_at(&format!("{file}.{number}"))? {
                self.put_text(&format!("{file}.{}", number + 1), text)?;
            }
        }
        if let Some(text) = self.text_at(file)? {
            self.put_text(&format!("{file}.0"), text)?;
        }
        Ok(())
    }

    fn state_dir(&mut self, given: Option<&str>) -> Result<String, Refusal> {
        // Comments only, unless a recipe has placed it.
        let text = self.text_at("/etc/ucf.conf")?.unwrap_or_default();
        if let Some(line) = text.lines().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
            return Err(Refusal::new(format!("`{line}` in /etc/ucf.conf is not known")));
        }
        if let Some(name) = ["UCF_FORCE_CONFFOLD", "UCF_FORCE_CONFFNEW", "UCF_FORCE_CONFFMISS", "DPKG_FORCE"]
            .into_iter()
            .find(|name| self.env.get(*name).is_some_and(|value| !value.is_empty()))
        {
            return self.unknown(&format!("with {name} set"));
        }
        let of_env = self.env.get("UCF_STATE_DIR").filter(|dir| !dir.is_empty()).cloned();
        Ok(given.map(str::to_owned).or(of_env).unwrap_or_else(|| "/var/lib/ucf".to_owned()))
    }
}

fn without(text: &str, path: &str) -> String {
    text.lines().filter(|line| !is_entry(line, path)).map(|line| format!("{line}\n")).collect()
}

/// Whether a line of the records is about `path`: it ends with it, after a blank.
fn is_entry(line: &str, path: &str) -> bool {
    line.strip_suffix(path).is_some_and(|rest| rest.ends_with([' ', '\t']))
}

/// ucf(1).
fn ucf(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "h,help s,src-dir= d,debug=? D,DEBUG=? n,no-action p,purge P,package= Z v,verbose ,sum-file= \
        ,three-way ,debconf-ok ,debconf-template= ,state-dir=";
    // It asks `getopt -a`: a long option may have one dash.
    let args: Vec<String> = args
        .iter()
        .map(|arg| match ["-three-way", "-debconf-ok", "-purge", "-verbose"].contains(&arg.as_str()) {
            true => format!("-{arg}"),
            false => arg.clone(),
        })
        .collect();
    let options = process.options(&args, spec, Order::Any)?;
    if options.has("h") || options.has("n") {
        return process.unknown("--help or --no-action");
    }
    let state = process.state_dir(options.value("state-dir"))?;
    let (new, destination) = match (options.has("p"), options.operands.as_slice()) {
        (true, [destination]) => (String::new(), destination.clone()),
        (false, [new, destination]) => (new.clone(), destination.clone()),
        (purge, operands) => {
            let wanted = if purge { "one file argument when purging" } else { "two file arguments" };
            process
                .stderr
                .extend_from_slice(format!("*** ERROR: Need exactly {wanted}, got {}\n", operands.len()).as_bytes());
            return Ok(2);
        }
    };
    if !options.has("p") && !process.world.exists(&process.cwd, &new) {
        process.stderr.extend_from_slice(format!("Error: The new file {new} does not exist!\n").as_bytes());
        return Ok(1);
    }
    let new = if new.is_empty() { new } else { process.real_path(&new) };
    let mut destination = match process.world.exists(&process.cwd, &destination) {
        true => process.real_path(&destination),
        false => destination,
    };
    let diverted = process.world.effects.diversions.iter().find(|entry| *entry.what.path == *destination);
    if let Some(entry) = diverted
        && options.value("P") != Some(&*entry.what.package)
    {
        destination = entry.what.to.to_string();
    }
    let made = process.world.make_dirs(&TreePath::root(), &format!("{state}/cache"), 0o755);
    if process.check(&state, made)?.is_none() {
        return Ok(1);
    }
    let in_frontend = process.env.get("DEBIAN_HAS_FRONTEND").is_some_and(|value| !value.is_empty());
    let has_debconf = process.world.exists(&TreePath::root(), "/usr/share/debconf/confmodule");
    let talks = has_debconf && !options.has("p") && (options.has("debconf-ok") || !in_frontend);
    let run = Run { state, destination, new, three_way: options.has("three-way"), rotates: !talks };
    if options.has("p") {
        return purge(process, &run);
    }
    let history = History {
        directory: options.value("s").map(str::to_owned),
        file: options.value("sum-file").map(str::to_owned),
    };
    install(process, &run, &history)
}

/// Where the digests of earlier versions may be.
struct History {
    directory: Option<String>,
    file: Option<String>,
}

impl Run {
    fn hashfile(&self) -> String {
        format!("{}/hashfile", self.state)
    }

    fn cached(&self) -> String {
        format!("{}/cache/{}", self.state, self.destination.replace('/', ":"))
    }
}

fn purge(process: &mut Process<'_, '_>, run: &Run) -> Result<u8, Refusal> {
    process.rotate(&run.hashfile(), run.rotates)?;
    if let Some(text) = process.text_at(&run.hashfile())? {
        process.put_text(&run.hashfile(), without(&text, &run.destination))?;
    }
    if process.world.exists(&TreePath::root(), &run.cached()) {
        let removed = process.world.unlink(&TreePath::root(), &run.cached());
        process.check(&run.cached(), removed)?;
    }
    Ok(0)
}

fn install(process: &mut Process<'_, '_>, run: &Run, history: &History) -> Result<u8, Refusal> {
    let records = process.text_at(&run.hashfile())?.unwrap_or_default();
    let last = records.lines().find(|line| is_entry(line, &run.destination));
    let mut last = last.and_then(|line| line.split_ascii_whitespace().next()).map(str::to_owned);
    let new = process.bytes_at(&run.new)?.unwrap_or_default();
    let new_sum = md5_hex(&new);
    let replaced = |process: &mut Process<'_, '_>, words: &str| {
        process
            .stderr
            .extend_from_slice(format!("{words} config file {} with new version\n", run.destination).as_bytes());
    };
    let Some(present) = process.bytes_at(&run.destination)? else {
        match last {
            None => {
                replaced(process, "Creating");
                return replace_file(process, run);
            }
            Some(last) if last == new_sum => {
                process
                    .stderr
                    .extend_from_slice(format!("Not replacing deleted config file {}\n", run.destination).as_bytes());
                // Falls through to the digests, which match.
                return Ok(0);
            }
            // A question whether a deleted file is to come back: it stays away.
            Some(_) => return keep(process, run),
        }
    };
    let present_sum = md5_hex(&present);
    let mut replace_sum = false;
    if last.is_none() {
        let (known, default) = historical(process, run, history)?;
        if known.contains(&present_sum) {
            return replace_file(process, run);
        }
        replace_sum = default.is_some();
        last = default;
    }
    let last = last.unwrap_or_else(|| NO_SUM.to_owned());
    if last == new_sum {
        return if replace_sum { record(process, run) } else { Ok(0) };
    }
    if present_sum == last {
        replaced(process, "Replacing");
        return replace_file(process, run);
    }
    if new_sum == present_sum {
        return record(process, run);
    }
    keep(process, run)
}

/// The digests of earlier versions, and the one that counts as the last when none matches.
fn historical(
    process: &mut Process<'_, '_>,
    run: &Run,
    history: &History,
) -> Result<(Vec<String>, Option<String>), Refusal> {
    let (parent, name) = run.new.rsplit_once('/').unwrap_or(("", &run.new));
    let source = history.directory.clone().unwrap_or_else(|| parent.to_owned());
    let directory = format!("{source}/{name}.md5sum.d");
    let file = history.file.clone().unwrap_or_else(|| format!("{source}/{name}.md5sum"));
    let first = |text: &str| text.split_ascii_whitespace().next().map(str::to_owned);
    if process.world.stat(&process.cwd, &directory, Follow::Yes).is_ok_and(|stat| stat.is_dir()) {
        let names = process.world.list(&process.cwd, &directory).unwrap_or_default();
        let (mut known, mut default) = (Vec::new(), None);
        for name in names {
            let sum = process.text_at(&format!("{directory}/{name}"))?.as_deref().and_then(first);
            if name == "default" {
                default = sum.clone();
            }
            known.extend(sum);
        }
        return Ok((known, default));
    }
    let Some(text) = process.text_at(&file)? else { return Ok((Vec::new(), None)) };
    let known = text.lines().filter_map(first).collect();
    let default = text.lines().find(|line| is_entry(line, "default")).and_then(first);
    Ok((known, default))
}

/// The question about a changed file, to which `keep_current` is the answer when nobody is asked.
///
/// The real one ends with status 2 where debconf is not there to ask; its package depends on debconf. Beside a file that a
/// recipe has placed there is no `.ucf-dist`: the recipe has had the last word already.
fn keep(process: &mut Process<'_, '_>, run: &Run) -> Result<u8, Refusal> {
    record(process, run)?;
    let is_of_recipe =
        TreePath::parse(run.destination.trim_start_matches('/')).is_ok_and(|at| process.world.is_kept(&at));
    if !is_of_recipe {
        process.copy_file(&run.new, &format!("{}.ucf-dist", run.destination), true)?;
    }
    Ok(0)
}

fn replace_file(process: &mut Process<'_, '_>, run: &Run) -> Result<u8, Refusal> {
    let real = process.real_path(&run.destination);
    if !process.copy_file(&run.new, &real, false)? {
        return Ok(1);
    }
    record(process, run)
}

/// Books the new file's digest, and keeps a copy of it.
fn record(process: &mut Process<'_, '_>, run: &Run) -> Result<u8, Refusal> {
    let new = process.bytes_at(&run.new)?.unwrap_or_default();
    process.rotate(&run.hashfile(), run.rotates)?;
    let before = process.text_at(&run.hashfile())?.unwrap_or_default();
    let text = format!("{}{}  {}\n", without(&before, &run.destination), md5_hex(&new), run.destination);
    process.put_text(&run.hashfile(), text)?;
    if run.three_way || new.len() < CACHED_BELOW {
        process.copy_file(&run.new, &run.cached(), true)?;
    }
    Ok(0)
}

/// ucfr(1): which package a file belongs to.
fn ucfr(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let spec = "h,help d,debug=? D,DEBUG=? f,force n,no-action v,verbose p,purge ,state-dir=";
    let options = process.options(args, spec, Order::Any)?;
    if options.has("h") || options.has("n") {
        return process.unknown("--help or --no-action");
    }
    let [package, file] = options.operands.as_slice() else {
        process.complain(format_args!("*** ERROR: Need exactly two arguments, got {}", options.operands.len()));
        return Ok(if options.operands.len() < 2 { 1 } else { 3 });
    };
    let real = process.real_path(file);
    let state = process.state_dir(options.value("state-dir"))?;
    let registry = format!("{state}/registry");
    let made = process.world.make_dirs(&TreePath::root(), &state, 0o755);
    if process.check(&state, made)?.is_none() {
        return Ok(1);
    }
    if process.text_at(&registry)?.is_none() {
        process.put_text(&registry, String::new())?;
    }
    let text = process.text_at(&registry)?.unwrap_or_default();
    let entries: Vec<&str> = text.lines().filter(|line| is_entry(line, &real)).collect();
    if entries.len() > 1 {
        process.complain(format_args!("Corrupt registry: Duplicate entries for {file}"));
        return Ok(u8::try_from(entries.len()).unwrap_or(u8::MAX));
    }
    let owner = entries.first().and_then(|line| line.split_ascii_whitespace().next()).map(str::to_owned);
    if options.has("p") {
        let Some(owner) = owner else { return Ok(0) };
        if owner != *package {
            process
                .stderr
                .extend_from_slice(format!("ucfr: Association belongs to {owner}, not {package}\n").as_bytes());
            if !options.has("f") {
                process.stderr.extend_from_slice(b"ucfr: Aborting\n");
                return Ok(5);
            }
        }
        process.rotate(&registry, true)?;
        process.put_text(&registry, without(&text, &real))?;
        return Ok(0);
    }
    match owner {
        Some(owner) if owner == *package => return Ok(0),
        Some(owner) => {
            if process.world.effects.diversions.iter().any(|entry| *entry.what.path == **file) {
                return Ok(0);
            }
            if !options.has("f") {
                process
                    .complain(format_args!("Attempt from package {package}  to take {real} away from package {owner}"));
                process.stderr.extend_from_slice(b"ucfr: Aborting.\n");
                return Ok(4);
            }
        }
        None => {}
    }
    process.rotate(&registry, true)?;
    process.put_text(&registry, format!("{}{package} \t {real}\n", without(&text, &real)))?;
    Ok(0)
}

/// ucfq(1) with `-w`: file, package, whether it exists, whether it was changed.
fn ucfq(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "d,debug v,verbose w,with-colons ,state-dir=", Order::Any)?;
    if !options.has("w") {
        return process.unknown("without --with-colons");
    }
    let state = process.state_dir(options.value("state-dir"))?;
    let registry = process.text_at(&format!("{state}/registry"))?.unwrap_or_default();
    let hashes = process.text_at(&format!("{state}/hashfile"))?.unwrap_or_default();
    for operand in &options.operands {
        let files: Vec<String> = match operand.starts_with('/') {
            true => vec![operand.clone()],
            false => {
                let mut files: Vec<String> = registry
                    .lines()
                    .filter_map(|line| {
                        let mut words = line.split_ascii_whitespace();
                        (words.next() == Some(operand)).then(|| words.next().map(str::to_owned))?
                    })
                    .collect();
                files.sort();
                files
            }
        };
        for file in files {
            let package = registry.lines().find(|line| is_entry(line, &file));
            let package = package.and_then(|line| line.split_ascii_whitespace().next()).unwrap_or_default();
            let sum = hashes.lines().find(|line| is_entry(line, &file));
            let sum = sum.and_then(|line| line.split_ascii_whitespace().next()).unwrap_or_default();
            let present = process.bytes_at(&file)?;
            let exists = if present.is_some() { "Yes" } else { "No" };
            let changed = match present {
                Some(bytes) if md5_hex(&bytes) != sum => "Yes",
                _ => "No",
            };
            process.print_line(format!("{file}:{package}:{exists}:{changed}"));
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
