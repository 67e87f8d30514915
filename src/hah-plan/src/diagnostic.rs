//! Diagnostics: what is wrong in a text that a person wrote, where, and what to do next.
//!
//! A [`Diagnostic`] carries a copy of the line that it talks about, so it can be kept, sorted and printed long after the
//! text is gone. They are printed as rustc and cargo print theirs:
//!
//! ```text
//! error: unknown key `pakages`
//!   --> recipes/base.toml:3:1
//!    |
//!  3 | pakages = ["bash"]
//!    | ^^^^^^^
//!    = hint: did you mean `packages`?
//! ```

use std::fmt::{self, Write as _};
use std::ops::Range;

/// Longest part of a line that is shown, in characters; the caret always stays in sight.
const LINE_MAX: usize = 160;
/// So many diagnostics are printed; the rest is counted.
const SHOWN_MAX: usize = 50;

/// A place in a text, with the line that holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excerpt {
    /// The file, as the person knows it.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters to underline, at least 1.
    pub width: usize,
    /// The line, without its end, tabs as single spaces and control characters as `�`; clipped when very long.
    pub text: String,
    /// Characters that were clipped at the front of `text`.
    clipped: usize,
}

impl Excerpt {
    /// The place of the bytes `range` of `text`, which is the whole file. Bytes out of range mean the end of the text.
    pub fn new(path: &str, text: &str, range: Range<usize>) -> Self {
        let start = floor_boundary(text, range.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_boundary(text, range.end).clamp(start, line_end);
        let before = text[line_start..start].chars().count();
        let width = text[start..end].trim_end().chars().count().max(1);
        let clipped = before.saturating_sub(LINE_MAX / 2);
        let shown = text[line_start..line_end].chars().skip(clipped).take(LINE_MAX).map(printable).collect::<String>();
        Self {
            path: path.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: before + 1,
            width: width.min(LINE_MAX - (before - clipped)),
            text: shown.trim_end().to_owned(),
            clipped,
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        other if other.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

/// Names and values in messages come from files, which may try to talk to the terminal.
fn clean(text: &str) -> String {
    text.chars().map(printable).collect()
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// Where; `None` when the text is not in a file.
    pub place: Option<Excerpt>,
    /// Other places that have to do with it, each with what it is.
    pub related: Vec<(Excerpt, String)>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A diagnostic that has only a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, related: Vec::new(), hint: None }
    }

    /// With a place.
    pub fn at(self, place: Excerpt) -> Self {
        Self { place: Some(place), ..self }
    }

    /// With a hint.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With one more related place.
    pub fn related(mut self, place: Excerpt, what: impl Into<String>) -> Self {
        self.related.push((place, what.into()));
        self
    }

    fn write(&self, out: &mut String, style: Style) -> fmt::Result {
        let (red, blue, cyan, bold, reset) = style.codes();
        writeln!(out, "{red}error{reset}{bold}: {}{reset}", clean(&self.message))?;
        let lines = self.place.iter().chain(self.related.iter().map(|(place, _)| place)).map(|place| place.line);
        let gutter = lines.max().unwrap_or(0).to_string().len() + 1;
        let notes = self.related.iter().map(|(place, what)| (place, what.as_str(), ":::"));
        for (place, what, arrow) in self.place.iter().map(|place| (place, "", "-->")).chain(notes) {
            let Excerpt { path, line, column, text, .. } = place;
            writeln!(out, "{blue}{:gutter$}{arrow}{reset} {}:{line}:{column}", "", clean(path))?;
            writeln!(out, "{blue}{:gutter$} |{reset}", "")?;
            writeln!(out, "{blue}{line:gutter$} |{reset} {text}")?;
            let mark = if arrow == "-->" { "^" } else { "-" }.repeat(place.width);
            let colour = if arrow == "-->" { red } else { blue };
            let indent = place.column - 1 - place.clipped;
            let line = format!("{:indent$}{colour}{mark} {what}", "");
            writeln!(out, "{blue}{:gutter$} |{reset} {}{reset}", "", line.trim_end())?;
        }
        if let Some(hint) = &self.hint {
            for (index, line) in hint.lines().enumerate() {
                let head = if index == 0 { format!("= {cyan}hint{reset}:") } else { "       ".to_owned() };
                writeln!(out, "{blue}{:gutter$}{reset} {head} {}", "", clean(line))?;
            }
        }
        Ok(())
    }
}

/// Whether the text goes to something that shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With ANSI escape sequences.
    Colour,
}

impl Style {
    fn codes(self) -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Plain => ("", "", "", "", ""),
            Self::Colour => ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1;36m", "\x1b[1m", "\x1b[0m"),
        }
    }
}

/// Everything that is wrong, in the order of files and lines. Never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one, unless the same is already there.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many things are wrong.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Orders them by path, line and column; those without a place come first. Equal places keep their order.
    pub fn sort(&mut self) {
        self.list.sort_by(|left, right| left.place.cmp(&right.place));
    }

    /// All of them as text, a blank line between two.
    pub fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for (index, diagnostic) in self.list.iter().take(SHOWN_MAX).enumerate() {
            if index > 0 {
                out.push('\n');
            }
            // Writing to a String cannot fail.
            let _ = diagnostic.write(&mut out, style);
        }
        if self.list.len() > SHOWN_MAX {
            let _ = writeln!(out, "\n… and {} more errors", self.list.len() - SHOWN_MAX);
        }
        out
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic] }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Style::Plain).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

/// The candidate that `wrong` was probably meant to be, when one is near enough.
pub fn did_you_mean<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong: String = wrong.chars().take(64).collect::<String>().to_lowercase().replace('_', "-");
    let allowed = match wrong.chars().count() {
        // One letter differs from every other letter.
        0..=2 => 0,
        length => (length / 3).max(1),
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wrong, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "summary = \"x\"\n\npakages = [\"bash\"]\nµ = 1\n";

    #[test]
    fn rendered_as_cargo_does() {
        let place = Excerpt::new("recipes/base.toml", TEXT, 15..22);
        let first = Excerpt::new("recipes/base.toml", TEXT, 0..7);
        let all = Diagnostics::from(
            Diagnostic::new("unknown key `pakages`")
                .at(place)
                .related(first, "first")
                .hint("did you\nmean `packages`?"),
        );
        insta::assert_snapshot!(all, @r#"
        error: unknown key `pakages`
          --> recipes/base.toml:3:1
           |
         3 | pakages = ["bash"]
           | ^^^^^^^
          ::: recipes/base.toml:1:1
           |
         1 | summary = "x"
           | ------- first
           = hint: did you
                   mean `packages`?
        "#);
        assert!(all.render(Style::Colour).contains("\x1b[1;31merror\x1b[0m"));
    }

    #[test]
    fn places_survive_odd_ranges() {
        for (range, want) in [(34..36, (4, 1, 1)), (35..36, (4, 1, 1)), (36..99, (4, 2, 4)), (999..1000, (5, 1, 1))] {
            let place = Excerpt::new("x", TEXT, range.clone());
            assert_eq!((place.line, place.column, place.width), want, "{range:?}");
        }
        // The end lies before the start when a template ends in the middle of an escape.
        let backwards = std::ops::Range { start: 3, end: 1 };
        assert_eq!(Excerpt::new("x", TEXT, backwards).column, 4);
        let long = format!("{}\u{1b}[31m{}", "a".repeat(5000), "b".repeat(5000));
        let place = Excerpt::new("x", &long, 5000..9000);
        assert_eq!((place.column, place.text.chars().count()), (5001, LINE_MAX));
        assert!(!Diagnostics::from(Diagnostic::new("m").at(place)).to_string().contains('\u{1b}'));
    }

    #[test]
    fn near_names_are_suggested() {
        let names = ["packages", "provides", "params"];
        assert_eq!(did_you_mean("pakages", names), Some("packages"));
        assert_eq!(did_you_mean("Params", names), Some("params"));
        assert_eq!(did_you_mean("network", names), None);
        assert_eq!(did_you_mean("authorized_keys", ["authorized-keys"]), Some("authorized-keys"));
    }
}
