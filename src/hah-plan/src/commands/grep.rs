//! grep(1), egrep(1), fgrep(1).

mod matcher;

use super::operands::{in_directory, lines_with_ends, without_end};
use super::options::{Options, Order};
use super::{Command, Process, Refusal};

use matcher::Matcher;

pub(super) const COMMANDS: &[Command] = &[
    Command::always("grep", grep),
    Command::always("egrep", egrep),
    Command::always("fgrep", fgrep),
    Command::always("rgrep", rgrep),
];

const SPEC: &str = "A,after-context= a,text B,before-context= b C,context= c,count E,extended-regexp e,regexp= \
    F,fixed-strings f,file= G,basic-regexp H,with-filename h,no-filename I i,ignore-case y L,files-without-match \
    l,files-with-matches m,max-count= n,line-number o,only-matching P,perl-regexp q,quiet ,silent r,recursive \
    R,dereference-recursive s,no-messages U,binary u v,invert-match w,word-regexp x,line-regexp z,null-data Z,null \
    ,color=? ,colour=? ,include= ,exclude= ,exclude-dir= ,line-buffered ,no-ignore-case ,label= ,binary-files=";

fn egrep(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    search(process, args, 'E')
}

fn fgrep(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    search(process, args, 'F')
}

fn grep(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    search(process, args, 'G')
}

fn rgrep(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let args: Vec<String> = std::iter::once("-r".to_owned()).chain(args.iter().cloned()).collect();
    search(process, &args, 'G')
}

/// grep(1): `-E -F -G -i -v -w -x -e -f -c -l -L -n -o -q -s -h -H -m -A -B -C -r -R -z -Z -a --include --exclude`.
///
/// Of Perl's expressions (`-P`), those that POSIX has in other words; byte offsets (`-b`) are not, and colour is never shown.
/// A line that is not UTF-8 in a UTF-8 locale makes a file binary, as a NUL byte does.
fn search(process: &mut Process<'_, '_>, args: &[String], language: char) -> Result<u8, Refusal> {
    let args: Vec<String> = args
        .iter()
        .take_while(|arg| *arg != "--")
        .map(|arg| match arg.strip_prefix('-') {
            Some(digits) if !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit()) => {
                format!("-C{digits}")
            }
            _ => arg.clone(),
        })
        .chain(args.iter().skip_while(|arg| *arg != "--").cloned())
        .collect();
    let mut options = process.options(&args, SPEC, Order::Any)?;
    for refused in ["b", "u"] {
        if options.has(refused) {
            return process.unknown(&format!("-{refused}"));
        }
    }
    if matches!(options.value("color").or(options.value("colour")), Some("always")) {
        return process.unknown("--color=always");
    }
    if options.value("binary-files").is_some_and(|kind| kind != "text") {
        return process.unknown("--binary-files");
    }
    let mut patterns: Vec<Vec<u8>> = Vec::new();
    for given in &options.given {
        match given.name {
            "e" => patterns.extend(given.text().split('\n').map(|line| line.as_bytes().to_vec())),
            "f" => match process.read_operand(given.text())? {
                Some(bytes) => {
                    patterns.extend(lines_with_ends(&bytes, b'\n').map(|line| without_end(line, b'\n').to_vec()));
                }
                None => return Ok(2),
            },
            _ => {}
        }
    }
    if !options.has("e") && !options.has("f") {
        if options.operands.is_empty() {
            process.stderr.extend_from_slice(b"Usage: grep [OPTION]... PATTERNS [FILE]...\n");
            return Ok(2);
        }
        let first = options.operands.remove(0);
        patterns.extend(first.split('\n').map(|line| line.as_bytes().to_vec()));
    }
    let language = options
        .given
        .iter()
        .rev()
        .find(|given| matches!(given.name, "E" | "F" | "G" | "P"))
        .and_then(|given| given.name.chars().next())
        .unwrap_or(language);
    let language = match language {
        'P' if options.has("o") => return process.unknown("-P with -o"),
        'P' => {
            for pattern in &mut patterns {
                match posix_of_perl(pattern) {
                    Some(posix) => *pattern = posix,
                    None => return process.unknown(&format!("-P '{}'", String::from_utf8_lossy(pattern))),
                }
            }
            'E'
        }
        language => language,
    };
    let matcher = match Matcher::new(&patterns, language, &options, process.is_utf8())? {
        Ok(matcher) => matcher,
        Err(message) => {
            process.complain(message);
            return Ok(2);
        }
    };
    let recursive = options.has("r") || options.has("R");
    let mut operands = options.operands.clone();
    let names_given = operands.len();
    if operands.is_empty() {
        operands.push(if recursive { ".".to_owned() } else { "-".to_owned() });
    }
    let mut job = Search::of(process, &options, matcher, names_given > 1 || recursive)?;
    for name in &operands {
        if recursive && name != "-" && process.is_dir(name) {
            let bare = names_given == 0;
            job.directory(process, name, &options, bare)?;
        } else {
            job.operand(process, name)?;
        }
        if job.quiet && job.found {
            return Ok(0);
        }
    }
    Ok(match (job.trouble, job.found) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 1,
    })
}

/// One of Perl's expressions as a POSIX one that matches the same lines; `None` for what only Perl has.
fn posix_of_perl(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = pattern.iter().copied().peekable();
    let mut last = None;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next()? {
                b'd' => out.extend(b"[0-9]"),
                class @ (b's' | b'S' | b'w' | b'W' | b'b' | b'B') => out.extend([b'\\', class]),
                quoted if quoted.is_ascii_punctuation() => out.extend([b'\\', quoted]),
                _ => return None,
            },
            // Classes with backslashes are read in another way; `(?…)`, `*?` and `*+` are Perl's own.
            b'[' => {
                out.push(byte);
                let mut length = 0;
                loop {
                    let next = bytes.next().filter(|next| *next != b'\\')?;
                    out.push(next);
                    if next == b']' && length > usize::from(out.ends_with(b"[^]")) {
                        break;
                    }
                    length += 1;
                }
            }
            b'?' | b'+' if matches!(last, Some(b'(' | b'*' | b'+' | b'?' | b'}')) => return None,
            b'(' if bytes.peek() == Some(&b'?') => return None,
            _ => out.push(byte),
        }
        last = Some(byte);
    }
    Some(out)
}

struct Search {
    matcher: Matcher,
    invert: bool,
    quiet: bool,
    silent: bool,
    names: bool,
    numbers: bool,
    only: bool,
    count: bool,
    list: Option<bool>,
    most: u64,
    before: usize,
    after: usize,
    end: u8,
    name_end: u8,
    label: String,
    text: bool,
    utf8: bool,
    separated: bool,
    found: bool,
    trouble: bool,
}

impl Search {
    fn of(process: &Process<'_, '_>, options: &Options, matcher: Matcher, several: bool) -> Result<Self, Refusal> {
        let number = |name: &str| match options.value(name) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).or_else(|_| process.unknown(&format!("-{name} {text}"))),
        };
        let context = number("C")?.unwrap_or(0);
        let shown = options.given.iter().rev().find(|given| matches!(given.name, "h" | "H"));
        let listed = options.given.iter().rev().find(|given| matches!(given.name, "l" | "L"));
        let lines = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self {
            matcher,
            invert: options.has("v"),
            quiet: options.has("q") || options.has("silent"),
            silent: options.has("s"),
            names: shown.map_or(several, |given| given.name == "H"),
            numbers: options.has("n"),
            only: options.has("o"),
            count: options.has("c"),
            list: listed.map(|given| given.name == "l"),
            most: number("m")?.unwrap_or(u64::MAX),
            before: lines(number("B")?.unwrap_or(context)),
            after: lines(number("A")?.unwrap_or(context)),
            end: if options.has("z") { 0 } else { b'\n' },
            name_end: if options.has("Z") { 0 } else { b':' },
            label: options.value("label").unwrap_or("(standard input)").to_owned(),
            text: options.has("a") || options.has("binary-files") || options.has("z"),
            utf8: process.is_utf8(),
            separated: false,
            found: false,
            trouble: false,
        })
    }

    fn operand(&mut self, process: &mut Process<'_, '_>, name: &str) -> Result<(), Refusal> {
        let read = match name {
            "-" => Ok(process.take_stdin()),
            _ => process.world.read(&process.cwd, name),
        };
        match read {
            Ok(bytes) => {
                let label = if name == "-" { self.label.clone() } else { name.to_owned() };
                self.file(process, &label, &bytes)
            }
            Err(error) if error.is_final() => Err(error.into()),
            Err(error) => {
                self.trouble = true;
                if !self.silent {
                    process.complain(format_args!("{name}: {error}"));
                }
                Ok(())
            }
        }
    }

    fn directory(
        &mut self,
        process: &mut Process<'_, '_>,
        path: &str,
        options: &Options,
        bare: bool,
    ) -> Result<(), Refusal> {
        process.step()?;
        let any = |name: &str, text: &str| -> Result<bool, Refusal> {
            for given in options.given.iter().filter(|given| given.name == name) {
                if crate::commands::find::glob_matches(given.text(), text) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        for name in process.world.list(&process.cwd, path)? {
            let child = if bare { name.clone() } else { in_directory(path, &name) };
            let stat = match options.has("R") {
                true => process.stat(&child).or_else(|_| process.lstat(&child)),
                false => process.lstat(&child),
            }?;
            if stat.is_dir() {
                if !any("exclude-dir", &name)? {
                    self.directory(process, &child, options, false)?;
                }
            } else if stat.is_file() && (!options.has("include") || any("include", &name)?) && !any("exclude", &name)? {
                self.operand(process, &child)?;
            }
            if self.quiet && self.found {
                break;
            }
        }
        Ok(())
    }

    fn file(&mut self, process: &mut Process<'_, '_>, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let has_nul = bytes.contains(&0);
        let mut binary = !self.text && has_nul;
        let lines: Vec<&[u8]> = lines_with_ends(bytes, self.end).map(|line| without_end(line, self.end)).collect();
        process.world.spend_steps(lines.len() as u64)?;
        let (mut selected, mut shown_to, mut left_after) = (0, 0, 0);
        let talks = !self.quiet && !self.count && self.list.is_none();
        for (index, line) in lines.iter().enumerate() {
            if selected >= self.most && left_after == 0 {
                break;
            }
            let hit = selected < self.most && self.matcher.is_match(line)? != self.invert;
            if hit {
                selected += 1;
                if self.quiet || self.list.is_some() {
                    break;
                }
            }
            if !talks {
                continue;
            }
            if hit {
                binary |= !self.text && self.utf8 && std::str::from_utf8(line).is_err();
                if binary {
                    process.complain(format_args!("{name}: binary file matches"));
                    break;
                }
                let first = index.saturating_sub(self.before).max(shown_to);
                if (self.before > 0 || self.after > 0)
                    && self.separated
                    && (first > shown_to || shown_to == 0)
                    && !self.only
                {
                    process.print("--\n");
                }
                self.separated = true;
                if !self.only {
                    for (number, before) in lines.iter().enumerate().take(index).skip(first) {
                        self.prefix(process, name, number, '-');
                        process.print(*before);
                        process.print([self.end]);
                    }
                }
                self.selected_line(process, name, index, line)?;
                shown_to = index + 1;
                left_after = self.after;
            } else if left_after > 0 && !self.only {
                self.prefix(process, name, index, '-');
                process.print(*line);
                process.print([self.end]);
                shown_to = index + 1;
                left_after -= 1;
            } else {
                left_after = left_after.saturating_sub(1);
            }
        }
        self.found |= match self.list {
            Some(false) => selected == 0,
            _ => selected > 0,
        };
        if self.quiet {
            return Ok(());
        }
        if let Some(wanted) = self.list {
            if (selected > 0) == wanted {
                process.print(name);
                process.print([if self.name_end == 0 { 0 } else { b'\n' }]);
            }
        } else if self.count {
            if self.names {
                process.print(name);
                process.print([self.name_end]);
            }
            process.print_line(selected.to_string());
        }
        Ok(())
    }

    fn prefix(&self, process: &mut Process<'_, '_>, name: &str, index: usize, mark: char) {
        if self.names {
            process.print(name);
            process.print(if self.name_end == 0 { "\0".to_owned() } else { mark.to_string() });
        }
        if self.numbers {
            process.print(format!("{}{mark}", index + 1));
        }
    }

    fn selected_line(
        &self,
        process: &mut Process<'_, '_>,
        name: &str,
        index: usize,
        line: &[u8],
    ) -> Result<(), Refusal> {
        if !self.only {
            self.prefix(process, name, index, ':');
            process.print(line);
            process.print([self.end]);
            return Ok(());
        }
        if self.invert {
            return Ok(());
        }
        let mut from = 0;
        while let Some(found) = self.matcher.find_at(line, from)? {
            from = found.end;
            if found.is_empty() {
                from += 1;
                if from > line.len() {
                    break;
                }
                continue;
            }
            self.prefix(process, name, index, ':');
            process.print(&line[found]);
            process.print([self.end]);
        }
        Ok(())
    }
}
