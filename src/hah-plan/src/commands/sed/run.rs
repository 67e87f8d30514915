//! A sed script at work: pattern space, hold space, and what is printed.

use std::collections::BTreeMap;

use super::replace::expand;
use super::script::{Action, Address, Script, Step, Substitute};
use crate::commands::operands::{lines_with_ends, without_end};
use crate::commands::{Process, Refusal};

/// Commands without reading a line, and lines printed beyond the input's, are bounded by the world's budget.
/// One input line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Without its end.
    pub(super) text: Vec<u8>,
    /// Whether it has an end: the last of a file may have none.
    pub(super) ended: bool,
}

/// One file.
#[derive(Debug)]
pub(super) struct Input {
    /// Its name.
    pub(super) name: String,
    /// Its lines.
    pub(super) lines: Vec<Line>,
}

/// Where lines go, with the end that the last one lacks kept back.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    lacks_end: bool,
}

impl Output {
    fn line(&mut self, text: &[u8], ended: bool, end: u8) {
        self.raw(text, end);
        match ended {
            true => self.bytes.push(end),
            false => self.lacks_end = true,
        }
    }

    fn raw(&mut self, text: &[u8], end: u8) {
        if std::mem::take(&mut self.lacks_end) {
            self.bytes.push(end);
        }
        self.bytes.extend_from_slice(text);
    }
}

/// What comes after a line.
#[derive(Debug)]
enum Queued {
    Text(Vec<u8>),
    File(String),
    Line(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RangeState {
    Off,
    /// On, to this line where the end is a number.
    On(Option<u64>),
    /// Never again: `0,/re/` that has ended.
    Done,
}

/// How a step ends.
enum Next {
    Step(usize),
    /// The end of the script.
    Cycle,
    /// The next line, without printing.
    Delete,
    /// The script again without a new line.
    Restart,
    /// No more lines: prints what is there.
    End,
    Quit(u8, bool),
}

/// The editor.
pub(super) struct Editor<'s> {
    script: &'s Script,
    quiet: bool,
    end: u8,
    pattern: Vec<u8>,
    ended: bool,
    hold: Vec<u8>,
    line: u64,
    replaced: bool,
    last_pattern: Option<usize>,
    ranges: Vec<RangeState>,
    queue: Vec<Queued>,
    output: Output,
    files: BTreeMap<String, Output>,
    /// Files that `R` reads, and how far.
    reading: BTreeMap<String, Vec<Vec<u8>>>,
    inputs: std::collections::VecDeque<Input>,
    at: usize,
    separate: bool,
}

impl<'s> Editor<'s> {
    /// An editor of lines that end with `end`.
    pub(super) fn new(script: &'s Script, quiet: bool, end: u8) -> Self {
        let ranges = script.steps.iter().map(|step| match step.addresses {
            (Some(Address::Line(0)), _) => RangeState::On(None),
            _ => RangeState::Off,
        });
        // Files of `w` are made empty before the first line.
        let written = script.steps.iter().filter_map(|step| match &step.action {
            Action::WriteFile(name, _) => Some(name),
            Action::Substitute(substitute) => substitute.write.as_ref(),
            _ => None,
        });
        Self {
            script,
            quiet,
            end,
            pattern: Vec::new(),
            ended: true,
            hold: Vec::new(),
            line: 0,
            replaced: false,
            last_pattern: None,
            ranges: ranges.collect(),
            queue: Vec::new(),
            output: Output::default(),
            files: written.map(|name| (name.clone(), Output::default())).collect(),
            reading: BTreeMap::new(),
            inputs: std::collections::VecDeque::new(),
            at: 0,
            separate: false,
        }
    }

    /// Edits files one after the other; the status when the script has quit.
    pub(super) fn run(
        &mut self,
        process: &mut Process<'_, '_>,
        inputs: Vec<Input>,
        separate: bool,
    ) -> Result<Option<u8>, Refusal> {
        self.inputs = inputs.into();
        self.at = 0;
        self.separate = separate;
        self.line = 0;
        while self.next_line() {
            loop {
                let next = self.cycle(process)?;
                match next {
                    Next::Restart => {
                        self.flush(process)?;
                        continue;
                    }
                    Next::Quit(status, print) => {
                        if print && !self.quiet {
                            self.print_pattern();
                        }
                        self.flush(process)?;
                        return Ok(Some(status));
                    }
                    Next::Cycle | Next::Step(_) => {
                        if !self.quiet {
                            self.print_pattern();
                        }
                        self.flush(process)?;
                    }
                    Next::End => {
                        if !self.quiet {
                            self.print_pattern();
                        }
                        self.flush(process)?;
                        return Ok(None);
                    }
                    Next::Delete => self.flush(process)?,
                }
                break;
            }
        }
        Ok(None)
    }

    /// What was printed.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output).bytes
    }

    /// Writes what is left: files of `w`, and standard output.
    pub(super) fn close(&mut self, process: &mut Process<'_, '_>, in_place: Option<()>) -> Result<(), Refusal> {
        if in_place.is_none() {
            let output = self.take_output();
            process.print(output);
        }
        for (name, output) in std::mem::take(&mut self.files) {
            let written = process.write_file(&name, &output.bytes);
            process.check(&format!("couldn't open file {name}"), written)?;
        }
        Ok(())
    }

    fn next_line(&mut self) -> bool {
        loop {
            let Some(input) = self.inputs.front() else { return false };
            match input.lines.get(self.at) {
                Some(line) => {
                    self.pattern = line.text.clone();
                    self.ended = line.ended;
                    self.at += 1;
                    self.line += 1;
                    self.replaced = false;
                    return true;
                }
                None => {
                    if self.inputs.len() == 1 {
                        return false;
                    }
                    self.inputs.pop_front();
                    self.at = 0;
                    if self.separate {
                        self.line = 0;
                    }
                }
            }
        }
    }

    fn is_last(&self) -> bool {
        let more_here = self.inputs.front().is_some_and(|input| self.at < input.lines.len());
        !more_here && (self.separate || self.inputs.iter().skip(1).all(|input| input.lines.is_empty()))
    }

    fn has_more(&self) -> bool {
        let more_here = self.inputs.front().is_some_and(|input| self.at < input.lines.len());
        more_here || self.inputs.iter().skip(1).any(|input| !input.lines.is_empty())
    }

    fn print_pattern(&mut self) {
        self.output.line(&self.pattern, self.ended, self.end);
    }

    /// What `a`, `r` and `R` have queued.
    fn flush(&mut self, process: &mut Process<'_, '_>) -> Result<(), Refusal> {
        for queued in std::mem::take(&mut self.queue) {
            match queued {
                Queued::Text(text) => self.output.raw(&text, self.end),
                Queued::Line(line) => self.output.line(&line, true, self.end),
                // A file that is not there is nothing, but the line before it is ended.
                Queued::File(name) => {
                    self.output.raw(b"", self.end);
                    let read = match name.as_str() {
                        "/dev/stdin" => Ok(process.take_stdin()),
                        _ => process.world.read(&process.cwd, &name),
                    };
                    match read {
                        Ok(bytes) if !bytes.is_empty() => self.output.raw(&bytes, self.end),
                        Err(error) if error.is_final() => return Err(error.into()),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn cycle(&mut self, process: &mut Process<'_, '_>) -> Result<Next, Refusal> {
        let script = self.script;
        let mut at = 0;
        while let Some(step) = script.steps.get(at) {
            process.step()?;
            if self.selects(step, at)? == step.negated {
                at = match step.action {
                    Action::Block(end) => end + 1,
                    _ => at + 1,
                };
                continue;
            }
            match self.act(process, step, at)? {
                Next::Step(next) => at = next,
                other => return Ok(other),
            }
        }
        Ok(Next::Cycle)
    }

    fn matches(&mut self, address: &Address) -> Result<bool, Refusal> {
        Ok(match address {
            Address::Line(line) => self.line == *line,
            Address::Step(first, 0) => self.line == *first,
            Address::Step(first, step) => self.line >= *first && (self.line - first).is_multiple_of(*step),
            Address::Last => self.is_last(),
            Address::Match(pattern) => {
                let pattern = self.pattern_of(*pattern)?;
                self.script.patterns[pattern].is_match(&self.pattern)?
            }
            Address::Plus(_) | Address::Multiple(_) => false,
        })
    }

    /// The pattern of this number, or the last one that was used.
    fn pattern_of(&mut self, pattern: Option<usize>) -> Result<usize, Refusal> {
        self.last_pattern = pattern.or(self.last_pattern);
        self.last_pattern.ok_or_else(|| Refusal::new("the sed script: no previous regular expression"))
    }

    fn selects(&mut self, step: &Step, at: usize) -> Result<bool, Refusal> {
        let (first, second) = match &step.addresses {
            (None, _) => return Ok(true),
            (Some(first), None) => return self.matches(first),
            (Some(first), Some(second)) => (first, second),
        };
        match self.ranges[at] {
            RangeState::Done => Ok(false),
            RangeState::Off => {
                if !self.matches(first)? {
                    return Ok(false);
                }
                let to = match second {
                    Address::Line(line) => Some(*line),
                    Address::Plus(count) => Some(self.line.saturating_add(*count)),
                    Address::Multiple(0) => Some(self.line),
                    Address::Multiple(step) => Some(self.line.div_ceil(*step).saturating_mul(*step)),
                    _ => None,
                };
                // An end that is not behind the start is one line.
                if to.is_none_or(|to| to > self.line) {
                    self.ranges[at] = RangeState::On(to);
                }
                Ok(true)
            }
            RangeState::On(Some(to)) => {
                if self.line >= to {
                    self.ranges[at] = RangeState::Off;
                }
                // Lines may have been skipped by `n` or `N`: what is behind the end is not in the range.
                match self.line <= to {
                    true => Ok(true),
                    false => self.selects(step, at),
                }
            }
            RangeState::On(None) => {
                if self.matches(second)? {
                    self.ranges[at] = match first {
                        Address::Line(0) => RangeState::Done,
                        _ => RangeState::Off,
                    };
                }
                Ok(true)
            }
        }
    }

    fn act(&mut self, process: &mut Process<'_, '_>, step: &Step, at: usize) -> Result<Next, Refusal> {
        match &step.action {
            Action::Block(_) | Action::Nothing => {}
            Action::Append(text) => self.queue.push(Queued::Text(text.clone())),
            Action::Insert(text) => self.output.raw(text, self.end),
            Action::Change(text) => {
                let inside =
                    step.addresses.1.is_some() && !step.negated && matches!(self.ranges[at], RangeState::On(_));
                if !inside {
                    self.output.raw(text, self.end);
                }
                return Ok(Next::Delete);
            }
            Action::Jump(to) => return Ok(Next::Step(*to)),
            Action::JumpIfReplaced(to) if std::mem::take(&mut self.replaced) => return Ok(Next::Step(*to)),
            Action::JumpUnlessReplaced(to) if !std::mem::take(&mut self.replaced) => return Ok(Next::Step(*to)),
            Action::JumpIfReplaced(_) | Action::JumpUnlessReplaced(_) => {}
            Action::Quit(status, print) => return Ok(Next::Quit(*status, *print)),
            Action::ReadFile(name) => self.queue.push(Queued::File(name.clone())),
            Action::ReadLine(name) => {
                if !self.reading.contains_key(name) {
                    let bytes = match process.world.read(&process.cwd, name) {
                        Err(error) if error.is_final() => return Err(error.into()),
                        read => read.unwrap_or_default(),
                    };
                    let lines = lines_with_ends(&bytes, self.end).map(|line| without_end(line, self.end).to_vec());
                    self.reading.insert(name.clone(), lines.rev_collected());
                }
                if let Some(line) = self.reading.get_mut(name).and_then(Vec::pop) {
                    self.queue.push(Queued::Line(line));
                }
            }
            Action::WriteFile(name, first_line) => {
                let text = match first_line {
                    true => self.pattern.split(|byte| *byte == self.end).next().unwrap_or_default().to_vec(),
                    false => self.pattern.clone(),
                };
                self.write(name, &text, self.ended || *first_line);
            }
            Action::Substitute(substitute) => self.substitute(process, substitute)?,
            Action::Translate(table) => {
                let text = match String::from_utf8(std::mem::take(&mut self.pattern)) {
                    Ok(text) => text,
                    Err(_) => return Err(Refusal::new("sed's `y` on a line that is not UTF-8")),
                };
                self.pattern =
                    text.chars().map(|one| table.get(&one).copied().unwrap_or(one)).collect::<String>().into();
            }
            Action::Letter(letter) => return self.letter(process, *letter, at),
        }
        Ok(Next::Step(at + 1))
    }

    fn letter(&mut self, process: &mut Process<'_, '_>, letter: char, at: usize) -> Result<Next, Refusal> {
        match letter {
            'd' => return Ok(Next::Delete),
            'D' => match self.pattern.iter().position(|byte| *byte == self.end) {
                Some(end) => {
                    self.pattern.drain(..=end);
                    return Ok(Next::Restart);
                }
                None => return Ok(Next::Delete),
            },
            'g' => self.pattern.clone_from(&self.hold),
            'G' => {
                process.world.spend_bytes(self.hold.len() as u64)?;
                self.pattern.push(self.end);
                self.pattern.extend_from_slice(&self.hold);
            }
            'h' => self.hold.clone_from(&self.pattern),
            'H' => {
                process.world.spend_bytes(self.pattern.len() as u64)?;
                self.hold.push(self.end);
                self.hold.extend_from_slice(&self.pattern);
            }
            'x' => std::mem::swap(&mut self.pattern, &mut self.hold),
            'z' => self.pattern.clear(),
            'n' => {
                if !self.has_more() || self.separate && self.is_last() {
                    return Ok(Next::End);
                }
                if !self.quiet {
                    self.print_pattern();
                }
                self.flush(process)?;
                self.next_line();
            }
            'N' => {
                if !self.has_more() || self.separate && self.is_last() {
                    return Ok(Next::End);
                }
                let mut text = std::mem::take(&mut self.pattern);
                self.flush(process)?;
                self.next_line();
                text.push(self.end);
                text.append(&mut self.pattern);
                self.pattern = text;
            }
            'p' => self.print_pattern(),
            'P' => match self.pattern.iter().position(|byte| *byte == self.end) {
                Some(end) => {
                    let first = self.pattern[..end].to_vec();
                    self.output.line(&first, true, self.end);
                }
                None => self.output.line(&self.pattern, true, self.end),
            },
            '=' => {
                let number = format!("{}\n", self.line);
                self.output.raw(number.as_bytes(), self.end);
            }
            'F' => {
                let name = self.inputs.front().map(|input| input.name.clone()).unwrap_or_default();
                self.output.raw(format!("{name}\n").as_bytes(), self.end);
            }
            _ => {
                let shown = visible(&self.pattern);
                self.output.raw(&shown, self.end);
            }
        }
        process.world.spend_bytes(self.pattern.len() as u64 / 16)?;
        Ok(Next::Step(at + 1))
    }

    fn write(&mut self, name: &str, text: &[u8], ended: bool) {
        match name {
            "/dev/stdout" => self.output.line(text, ended, self.end),
            _ => self.files.entry(name.to_owned()).or_default().line(text, ended, self.end),
        }
    }

    fn substitute(&mut self, process: &mut Process<'_, '_>, substitute: &Substitute) -> Result<(), Refusal> {
        let pattern = &self.script.patterns[self.pattern_of(substitute.pattern)?];
        let line = std::mem::take(&mut self.pattern);
        let mut out = Vec::with_capacity(line.len());
        let (mut from, mut copied, mut count, mut done) = (0, 0, 0_u64, false);
        let mut last_end = None;
        while from <= line.len() {
            process.step()?;
            let Some(groups) = pattern.groups_at(&line, from)? else { break };
            let Some(found) = groups[0].clone() else { break };
            // Nothing right behind a match is no further match.
            if found.is_empty() && last_end == Some(found.start) {
                from = next_character(&line, found.end, self.script.utf8);
                continue;
            }
            count += 1;
            last_end = Some(found.end);
            if count >= substitute.number {
                out.extend_from_slice(&line[copied..found.start]);
                expand(&substitute.replacement, &line, &groups, &mut out);
                process.world.spend_bytes(out.len() as u64 / 64)?;
                copied = found.end;
                done = true;
                if !substitute.global {
                    break;
                }
            }
            from = if found.is_empty() { next_character(&line, found.end, self.script.utf8) } else { found.end };
        }
        out.extend_from_slice(&line[copied..]);
        self.pattern = out;
        if done {
            self.replaced = true;
            if substitute.print {
                self.print_pattern();
            }
            if let Some(name) = &substitute.write {
                let (text, ended) = (self.pattern.clone(), self.ended);
                self.write(name, &text, ended);
            }
        }
        Ok(())
    }
}

/// The place of the character after the one at `at`.
fn next_character(line: &[u8], at: usize, utf8: bool) -> usize {
    let mut next = at + 1;
    while utf8 && line.get(next).is_some_and(|byte| byte & 0xc0 == 0x80) {
        next += 1;
    }
    next
}

trait RevCollected<T> {
    /// Everything, the last first: to be taken off the end.
    fn rev_collected(self) -> Vec<T>;
}

impl<T, I: Iterator<Item = T>> RevCollected<T> for I {
    fn rev_collected(self) -> Vec<T> {
        let mut all: Vec<T> = self.collect();
        all.reverse();
        all
    }
}

/// A line as `l` shows it, in rows of 69 characters.
fn visible(text: &[u8]) -> Vec<u8> {
    let mut parts: Vec<String> = Vec::new();
    let mut left = String::from_utf8_lossy(text).into_owned();
    if std::str::from_utf8(text).is_err() {
        left = text.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }).collect();
    }
    for character in left.chars() {
        parts.push(match character {
            '\\' => "\\\\".to_owned(),
            '\u{7}' => "\\a".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\u{b}' => "\\v".to_owned(),
            other if other.is_ascii_control() => format!("\\{:03o}", other as u32),
            other if other.is_ascii() => other.to_string(),
            other => other.to_string().bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        });
    }
    let (mut out, mut width) = (Vec::new(), 0);
    for part in parts {
        if width + part.chars().count() > 69 {
            out.extend_from_slice(b"\\\n");
            width = 0;
        }
        width += part.chars().count();
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"$\n");
    out
}
