//! `systemd-tmpfiles --create`: what packages' tmpfiles.d(5) files make in the image.
//!
//! Everything is made again at each boot, so an image only needs what other scripts look for:
//! lines below `/run`, `/dev`, `/sys` and `/proc`, those marked `!` (for boots only), and lines whose specifiers ask the
//! running machine (`%m`, `%b`, `%H`, `%v`, …) are left to the node.
//! So are access control lists and file attributes (`a A t T h H`): the image's file systems get them at boot.

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Owner};

use crate::commands::{Process, Refusal};
use crate::configure::units::matches;
use crate::world::{Errno, Follow};

/// Places that are not the image's.
const VOLATILE: [&str; 4] = ["run", "dev", "sys", "proc"];

const DIRS: [&str; 3] = ["/etc/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d"];

/// Status of a file with lines that are not understood (`EX_DATAERR`).
const MALFORMED: u8 = 65;

/// Status when something could not be made (`EX_CANTCREAT`).
const CANNOT_CREATE: u8 = 73;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    kind: char,
    /// `+`: what is there is replaced or emptied.
    replaces: bool,
    /// `?` of `L?`: only when the target is there.
    needs_target: bool,
    /// `-`: failing is no failure.
    may_fail: bool,
    path: String,
    mode: Option<u16>,
    user: Option<Owner>,
    group: Option<Owner>,
    argument: Option<String>,
}

/// The command.
pub(super) fn systemd_tmpfiles(process: &mut Process<'_, '_>, arguments: &[String]) -> Result<u8, Refusal> {
    let (mut creates, mut files, mut prefixes, mut excluded) = (false, Vec::new(), Vec::new(), Vec::new());
    for word in arguments {
        let (option, value) =
            word.split_once('=').map_or((word.as_str(), None), |(option, value)| (option, Some(value)));
        match (option, value) {
            ("--create", None) => creates = true,
            // Nothing in a new image is old.
            ("--clean" | "--no-pager", None) => {}
            // The lines that it leaves out are left out here anyway.
            ("-E", None) => {}
            ("--root", Some("" | "/")) => {}
            ("--prefix", Some(prefix)) => prefixes.push(prefix.to_owned()),
            ("--exclude-prefix", Some(prefix)) => excluded.push(prefix.to_owned()),
            _ if word.starts_with('-') && word != "-" => return process.unknown(word),
            _ => files.push(word.clone()),
        }
    }
    if !creates {
        return Ok(0);
    }
    if files.is_empty() {
        files = all_files(process)?;
    }
    let (mut lines, mut status) = (Vec::new(), 0);
    for file in &files {
        let Some(text) = read(process, file)? else {
            say(process, &format!("Failed to open '{file}': No such file or directory"));
            return Ok(1);
        };
        for (index, line) in text.lines().enumerate() {
            match parse(line) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => {}
                Err(what) => {
                    say(process, &format!("{file}:{}: {what}", index + 1));
                    status = MALFORMED;
                }
            }
        }
    }
    let under =
        |path: &str, prefix: &String| path == prefix || path.starts_with(&format!("{}/", prefix.trim_end_matches('/')));
    lines.retain(|line| {
        (prefixes.is_empty() || prefixes.iter().any(|prefix| under(&line.path, prefix)))
            && !excluded.iter().any(|prefix| under(&line.path, prefix))
    });
    // Globs come last, and what is above before what is in it; of two lines for one path the first counts.
    lines.sort_by(|a, b| (is_glob(a), &a.path).cmp(&(is_glob(b), &b.path)));
    lines.dedup_by(|b, a| !is_glob(a) && a.path == b.path && a.kind == b.kind);
    for line in &lines {
        match create(process, line) {
            Ok(()) => {}
            Err(error) if error.is_final() => return Err(error.into()),
            Err(_) if line.may_fail => {}
            Err(error) => {
                say(process, &format!("Failed to create '{}': {error}", line.path));
                status = status.max(CANNOT_CREATE);
            }
        }
    }
    Ok(status)
}

fn say(process: &mut Process<'_, '_>, line: &str) {
    process.stderr.extend_from_slice(format!("{line}\n").as_bytes());
}

/// All files in order of name; of namesakes the first directory's.
fn all_files(process: &Process<'_, '_>) -> Result<Vec<String>, Refusal> {
    let mut found = std::collections::BTreeMap::new();
    for dir in DIRS.iter().rev() {
        match process.world.list(&TreePath::root(), dir) {
            Ok(names) => found.extend(
                names
                    .into_iter()
                    .filter(|name| name.ends_with(".conf"))
                    .map(|name| (name.clone(), format!("{dir}/{name}"))),
            ),
            Err(error) if error.is_final() => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(found.into_values().collect())
}

/// The text of a file: standard input for `-`, a path, or a name that is looked for.
fn read(process: &mut Process<'_, '_>, file: &str) -> Result<Option<String>, Refusal> {
    if file == "-" {
        return Ok(Some(String::from_utf8_lossy(&process.take_stdin()).into_owned()));
    }
    let places = match file.contains('/') {
        true => vec![file.to_owned()],
        false => DIRS.iter().map(|dir| format!("{dir}/{file}")).collect(),
    };
    for place in places {
        match process.world.read(&process.cwd, &place) {
            Ok(bytes) => return Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.is_final() => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(None)
}

/// One line; `None` when there is nothing to do for an image.
fn parse(line: &str) -> Result<Option<Line>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (fields, argument) = fields(line)?;
    let [action, path, ..] = &fields[..] else { return Err("Syntax error.".to_owned()) };
    let mut letters = action.chars();
    let kind = letters.next().unwrap_or_default();
    let modifiers: String = letters.collect();
    if !kind.is_ascii_alphabetic() || !modifiers.chars().all(|modifier| "!+-=~^?$".contains(modifier)) {
        return Err(format!("Unknown modifiers in command: {action}"));
    }
    if modifiers.contains(['!', '~', '^']) || "xXrRaAtThH".contains(kind) {
        return Ok(None);
    }
    if !"fFwdDevqQpLcbCmzZ".contains(kind) {
        return Err(format!("Unknown command type '{kind}'."));
    }
    let Some(path) = expanded(path) else { return Ok(None) };
    if !path.starts_with('/') {
        return Err(format!("Path '{path}' not absolute."));
    }
    let field = |index: usize| fields.get(index).map(String::as_str).filter(|field| *field != "-");
    let mode = match field(2) {
        None => None,
        Some(text) => {
            let digits = text.trim_start_matches(['~', ':']);
            let mode = u16::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777);
            Some(mode.ok_or_else(|| format!("Invalid mode '{text}'."))?)
        }
    };
    let owner = |index: usize| {
        let name = field(index).map(|name| name.trim_start_matches(':'))?;
        Some(Owner::parse(&expanded(name)?))
    };
    let argument = match argument.filter(|argument| argument != "-") {
        Some(argument) => match expanded(&argument) {
            Some(argument) => Some(argument),
            None => return Ok(None),
        },
        None => None,
    };
    Ok(Some(Line {
        kind: if kind == 'F' { 'f' } else { kind },
        replaces: modifiers.contains('+') || kind == 'F',
        needs_target: modifiers.contains('?'),
        may_fail: modifiers.contains('-'),
        path: squeezed(&path),
        mode,
        user: owner(3),
        group: owner(4),
        argument,
    }))
}

/// The first six fields, quotes and escapes taken away, and the rest of the line.
fn fields(line: &str) -> Result<(Vec<String>, Option<String>), String> {
    let (mut fields, mut left) = (Vec::new(), line);
    while fields.len() < 6 && !left.is_empty() {
        let (field, rest) = word(left)?;
        fields.push(field);
        left = rest.trim_start();
    }
    Ok((fields, (!left.is_empty()).then(|| unescaped(left))))
}

fn word(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    match quote {
        Some(quote) => {
            let end = text[1..].find(quote).ok_or_else(|| "unbalanced quotes".to_owned())? + 1;
            Ok((unescaped(&text[1..end]), &text[end + 1..]))
        }
        None => {
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            Ok((unescaped(&text[..end]), &text[end..]))
        }
    }
}

/// C escapes of one letter, `\xNN` and a backslash before a space.
fn unescaped(text: &str) -> String {
    let (mut out, mut left) = (String::new(), text.chars());
    while let Some(letter) = left.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match left.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('s') => out.push(' '),
            Some('x') => {
                let digits: String = left.by_ref().take(2).collect();
                out.extend(u8::from_str_radix(&digits, 16).ok().map(char::from));
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

/// Specifiers that have one answer on every node; `None` when one asks the machine.
fn expanded(text: &str) -> Option<String> {
    let (mut out, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        out.push_str(match letters.next()? {
            'C' => "/var/cache",
            'L' => "/var/log",
            'S' => "/var/lib",
            't' => "/run",
            'T' => "/tmp",
            'V' => "/var/tmp",
            'h' => "/root",
            'u' | 'g' => "root",
            'U' | 'G' => "0",
            '%' => "%",
            _ => return None,
        });
    }
    Some(out)
}

fn squeezed(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

fn is_glob(line: &Line) -> bool {
    "wezZm".contains(line.kind)
}

fn create(process: &mut Process<'_, '_>, line: &Line) -> Result<(), Errno> {
    let root = TreePath::root();
    if is_glob(line) {
        for path in matching(process, &line.path)? {
            if is_volatile(process, &path) {
                continue;
            }
            match line.kind {
                'w' => write(process, line, &path)?,
                'Z' => {
                    adjust(process, line, &path)?;
                    let real = process.world.resolve(&root, &path, Follow::No)?;
                    let below: Vec<String> = process.world.tree.below(&real).map(|(at, _)| at.to_string()).collect();
                    for path in below {
                        adjust(process, line, &path)?;
                    }
                }
                'e' if !process.world.stat(&root, &path, Follow::No)?.is_dir() => {}
                _ => adjust(process, line, &path)?,
            }
        }
        return Ok(());
    }
    if is_volatile(process, &line.path) {
        return Ok(());
    }
    let there = process.world.stat(&root, &line.path, Follow::No);
    let there = match there {
        Ok(stat) => Some(stat),
        Err(Errno::NotFound) => None,
        Err(error) => return Err(error),
    };
    let parent = line.path.rsplit_once('/').map_or("/", |(parent, _)| parent);
    if !parent.is_empty() && there.is_none() {
        process.world.make_dirs(&root, parent, 0o755)?;
    }
    match line.kind {
        'd' | 'D' | 'v' | 'q' | 'Q' => match there {
            Some(stat) if stat.is_dir() => adjust(process, line, &line.path),
            Some(_) => Err(Errno::Exists),
            None => {
                process.world.make_dir(&root, &line.path, line.mode.unwrap_or(0o755))?;
                adjust(process, line, &line.path)
            }
        },
        'f' => match there {
            Some(stat) if stat.is_file() => {
                if line.replaces {
                    let text = line.argument.clone().unwrap_or_default();
                    process.world.write(&root, &line.path, 0o644, text.into_bytes())?;
                }
                adjust(process, line, &line.path)
            }
            Some(_) => Err(Errno::Exists),
            None => {
                let text = line.argument.clone().unwrap_or_default();
                process.world.write(&root, &line.path, line.mode.unwrap_or(0o644), text.into_bytes())?;
                adjust(process, line, &line.path)
            }
        },
        'L' => link(process, line, there.is_some()),
        'C' if there.is_none() => copy(process, line),
        'p' if there.is_none() => {
            let node = hah_format::tree::Node {
                meta: hah_format::tree::Meta::root(line.mode.unwrap_or(0o644)),
                kind: Kind::Fifo,
            };
            process.world.create(&root, &line.path, node)?;
            adjust(process, line, &line.path)
        }
        // Device nodes outside /dev: nobody has any.
        _ => Ok(()),
    }
}

fn link(process: &mut Process<'_, '_>, line: &Line, is_taken: bool) -> Result<(), Errno> {
    let root = TreePath::root();
    let target = match &line.argument {
        Some(target) => target.clone(),
        None => format!("/usr/share/factory{}", line.path),
    };
    if line.needs_target && !process.world.exists(&root, &target) {
        return Ok(());
    }
    if is_taken {
        let is_same = process
            .world
            .stat(&root, &line.path, Follow::No)
            .is_ok_and(|stat| matches!(stat.kind, Kind::Symlink(to) if *to == *target));
        if is_same || !line.replaces {
            return Ok(());
        }
        process.world.remove_all(&root, &line.path)?;
    }
    match process.world.make_symlink(&root, &line.path, &target) {
        // A recipe's own file has stayed.
        Err(Errno::Exists) => Ok(()),
        done => done,
    }
}

fn copy(process: &mut Process<'_, '_>, line: &Line) -> Result<(), Errno> {
    let root = TreePath::root();
    let source = match &line.argument {
        Some(source) => source.clone(),
        None => format!("/usr/share/factory{}", line.path),
    };
    let real = match process.world.resolve(&root, &source, Follow::Yes) {
        Ok(real) if process.world.tree.contains(&real) => real,
        // systemd-tmpfiles says so on its debug level and goes on.
        Ok(_) | Err(Errno::NotFound) => return Ok(()),
        Err(error) => return Err(error),
    };
    let nodes: Vec<_> = process
        .world
        .tree
        .get(&real)
        .into_iter()
        .map(|node| (real.clone(), node.clone()))
        .chain(process.world.tree.below(&real).map(|(at, node)| (at.clone(), node.clone())))
        .collect();
    for (at, mut node) in nodes {
        let path = format!("{}{}", line.path, &at.as_str()[real.as_str().len()..]);
        if let Kind::HardLink(first) = &node.kind
            && let Some(file) = process.world.tree.get(first)
        {
            node = file.clone();
        }
        process.world.create(&root, &path, node)?;
    }
    adjust(process, line, &line.path)
}

fn write(process: &mut Process<'_, '_>, line: &Line, path: &str) -> Result<(), Errno> {
    let text = line.argument.clone().unwrap_or_default().into_bytes();
    match line.replaces {
        true => process.world.append(&TreePath::root(), path, 0o644, &text),
        false => process.world.write(&TreePath::root(), path, 0o644, text),
    }
}

/// Mode and owner as the line says; links keep theirs.
fn adjust(process: &mut Process<'_, '_>, line: &Line, path: &str) -> Result<(), Errno> {
    let root = TreePath::root();
    let stat = process.world.stat(&root, path, Follow::No)?;
    if stat.is_symlink() {
        return Ok(());
    }
    let (user, group) = (line.user.clone(), line.group.clone());
    if user.as_ref().is_some_and(|user| *user != stat.meta.user)
        || group.as_ref().is_some_and(|group| *group != stat.meta.group)
    {
        process.world.set_owner(&root, path, Follow::No, (user, group))?;
    }
    match line.mode {
        Some(mode) if mode != stat.meta.mode => process.world.set_mode(&root, path, mode),
        _ => Ok(()),
    }
}

fn is_volatile(process: &Process<'_, '_>, path: &str) -> bool {
    // /var/run leads there as well.
    let real = process.world.resolve(&TreePath::root(), path, Follow::No);
    let real = real.map_or_else(|_| path.trim_start_matches('/').to_owned(), |real| real.as_str().to_owned());
    let is_below = |path: &str| VOLATILE.contains(&path.split('/').next().unwrap_or_default());
    is_below(&real) || is_below(path.trim_start_matches('/')) || path.starts_with("/var/run/")
}

/// The paths that a pattern matches, component by component.
fn matching(process: &Process<'_, '_>, pattern: &str) -> Result<Vec<String>, Errno> {
    let root = TreePath::root();
    let mut found = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for directory in &found {
            if !part.contains(['*', '?']) {
                let path = format!("{directory}/{part}");
                match process.world.stat(&root, &path, Follow::No) {
                    Ok(_) => next.push(path),
                    Err(Errno::NotFound | Errno::NotADirectory) => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            let at = if directory.is_empty() { "/" } else { directory };
            for name in process.world.list(&root, at).unwrap_or_default() {
                let is_hidden = name.starts_with('.') && !part.starts_with('.');
                if !is_hidden && matches(part.as_bytes(), name.as_bytes()) {
                    next.push(format!("{directory}/{name}"));
                }
            }
        }
        found = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
