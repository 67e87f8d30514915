//! Here-documents: `<<-` takes away the indentation that the lines share.
//!
//! hcl-edit does so while it parses, by a rule of its own that takes characters from lines without indentation. So the text is
//! parsed with `<<-` written as ` <<`, which leaves every offset as it was, and the indentation is taken away here, by the
//! rule of HCL's parser: lines of white space alone do not count and stay as they are, and an interpolation at the start of
//! a line counts as no indentation.

use hcl_edit::Span as _;
use hcl_edit::expr::Expression;
use hcl_edit::parser::Error;
use hcl_edit::structure::Body;
use hcl_edit::visit::{self, Visit};

/// What a template is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text, of any number of lines.
    Literal(String),
    /// `${…}`, which stays as it is.
    Interpolation(String),
}

impl Piece {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Literal(text) | Self::Interpolation(text) => text,
        }
    }
}

/// The document, with here-documents as they were written.
///
/// # Errors
/// Text that is no HCL.
pub(super) fn as_written(text: &str) -> Result<Body, Error> {
    let body: Body = text.parse()?;
    if !text.contains("<<-") {
        return Ok(body);
    }
    let mut indented = Indented { text, starts: Vec::new() };
    indented.visit_body(&body);
    let mut plain = text.to_owned();
    for start in indented.starts {
        plain.replace_range(start..start + 3, " <<");
    }
    plain.parse()
}

/// Finds where `<<-` stands, which comments and strings may hold as well.
struct Indented<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl Visit for Indented<'_> {
    fn visit_expr(&mut self, node: &Expression) {
        if let Expression::HeredocTemplate(_) = node
            && let Some(span) = node.span()
            && self.text.get(span.start..).is_some_and(|text| text.starts_with("<<-"))
        {
            self.starts.push(span.start);
        }
        visit::visit_expr(self, node);
    }
}

/// The text of a here-document of `<<-`.
pub(super) fn without_indentation(pieces: Vec<Piece>) -> String {
    // Each token ends at the end of a line at the latest; with the number of white characters that it begins a line with.
    let mut tokens: Vec<(String, Option<usize>)> = Vec::new();
    let mut starts_line = true;
    for piece in pieces {
        match piece {
            Piece::Literal(text) => {
                for token in text.split_inclusive('\n') {
                    let white = token.chars().take_while(|character| character.is_whitespace()).count();
                    let is_blank = token.ends_with('\n') && token.trim_start().is_empty();
                    tokens.push((token.to_owned(), (starts_line && !is_blank).then_some(white)));
                    starts_line = token.ends_with('\n');
                }
            }
            Piece::Interpolation(text) => {
                tokens.push((text, starts_line.then_some(0)));
                starts_line = false;
            }
        }
    }
    let least = tokens.iter().filter_map(|(_, white)| *white).min().unwrap_or(0);
    let shortened = |(token, white): (String, Option<usize>)| match white {
        Some(_) => token.chars().skip(least).collect(),
        None => token,
    };
    tokens.into_iter().map(shortened).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &str, expected: &str) {
        assert_eq!(without_indentation(vec![Piece::Literal(lines.to_owned())]), expected);
    }

    #[test]
    fn the_shared_indentation_goes() {
        check("  a\n    b\n", "a\n  b\n");
        check("\ta\n\tb\n", "a\nb\n");
        check("", "");
    }

    #[test]
    fn a_line_without_indentation_keeps_all_others() {
        check("a\n  b\n", "a\n  b\n");
        check("  a\nb\n", "  a\nb\n");
    }

    #[test]
    fn lines_of_white_space_do_not_count_and_stay() {
        check("    a\n\n  \n    b\n", "a\n\n  \nb\n");
    }

    #[test]
    fn an_interpolation_begins_a_line_without_indentation() {
        let literal = |text: &str| Piece::Literal(text.to_owned());
        let interpolation = || Piece::Interpolation("${x}".to_owned());
        assert_eq!(without_indentation(vec![literal("  a\n"), interpolation(), literal("\n")]), "  a\n${x}\n");
        assert_eq!(without_indentation(vec![literal("  a\n  "), interpolation(), literal(" b\n")]), "a\n${x} b\n");
    }

    #[test]
    fn what_looks_like_one_in_a_comment_or_a_string_is_left_alone() {
        let text = "# <<-A\na = \"<<-B\"\nc = <<-D\n  d\n  D\n";
        let body = as_written(text).unwrap();
        assert_eq!(body.get_attribute("a").unwrap().value.as_str(), Some("<<-B"));
        let Expression::HeredocTemplate(heredoc) = &body.get_attribute("c").unwrap().value else { panic!() };
        assert_eq!(heredoc.template.to_string(), "  d\n");
    }
}
