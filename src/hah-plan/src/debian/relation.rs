//! Relations between packages: `Depends:` and its kin (Debian Policy 7.1, deb-control(5), deb-src-control(5)).
//!
//! ```text
//! field        = alternatives *( "," alternatives )          Relations
//! alternatives = relation *( "|" relation )                  Alternatives
//! relation     = name [":" qualifier] ["(" op version ")"] ["[" architectures "]"] *( "<" profiles ">" )
//! ```
//!
//! `Display` writes the canonical form, which parses back to an equal value.

use std::fmt;
use std::str::FromStr;

use super::{Architecture, PackageName, Version};

/// Longest field in bytes that is read; the longest in Debian 13 is below 40 KiB.
const MAX_FIELD: usize = 1 << 20;
/// Most relations in one field.
const MAX_RELATIONS: usize = 20_000;

/// How a relation restricts the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    const ALL: [Self; 5] = [Self::Earlier, Self::EarlierOrEqual, Self::Equal, Self::LaterOrEqual, Self::Later];

    /// As written in a field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }
}

/// A version restriction: `(>= 1.2)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionConstraint {
    /// The comparison.
    pub operator: Operator,
    /// What is compared with.
    pub version: Version,
}

impl VersionConstraint {
    /// Whether `version` satisfies the restriction.
    pub fn admits(&self, version: &Version) -> bool {
        match self.operator {
            Operator::Earlier => version < &self.version,
            Operator::EarlierOrEqual => version <= &self.version,
            Operator::Equal => version == &self.version,
            Operator::LaterOrEqual => version >= &self.version,
            Operator::Later => version > &self.version,
        }
    }
}

impl fmt::Display for VersionConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} {})", self.operator.as_str(), self.version)
    }
}

/// The part behind the colon of `python3:any`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qualifier {
    /// `:any`: any architecture, for packages that are `Multi-Arch: allowed`.
    Any,
    /// `:native`: the architecture that the build runs on.
    Native,
    /// `:arm64`: this architecture.
    Architecture(String),
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Native => f.write_str("native"),
            Self::Architecture(name) => f.write_str(name),
        }
    }
}

/// Whether a restriction's term asks for a thing or for its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sense {
    /// The term as it stands.
    Is,
    /// The term behind `!`.
    IsNot,
}

/// One word of an architecture list or of a profile list: `arm64`, `!nocheck`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// Plain or negated.
    pub sense: Sense,
    /// Architecture, architecture wildcard or profile name.
    pub word: String,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sense == Sense::IsNot {
            f.write_str("!")?;
        }
        f.write_str(&self.word)
    }
}

/// One package asked for, or warned of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The package, real or virtual.
    pub name: PackageName,
    /// Architecture qualifier.
    pub qualifier: Option<Qualifier>,
    /// Version restriction.
    pub constraint: Option<VersionConstraint>,
    /// `[arm64 !armel]`: the architectures on which the relation counts; empty means all.
    pub architectures: Vec<Term>,
    /// `<!nocheck> <cross>`: lists of which one must hold; empty means always.
    pub profiles: Vec<Vec<Term>>,
}

impl Relation {
    /// The relation to `name` in any version.
    pub fn to(name: PackageName) -> Self {
        Self { name, qualifier: None, constraint: None, architectures: Vec::new(), profiles: Vec::new() }
    }

    /// Whether the version restriction, if any, lets `version` in.
    pub fn admits(&self, version: &Version) -> bool {
        self.constraint.as_ref().is_none_or(|constraint| constraint.admits(version))
    }

    /// Whether the relation counts on `architecture` with no build profile active.
    pub fn applies_to(&self, architecture: Architecture) -> bool {
        let named = |term: &Term| architecture_matches(&term.word, architecture);
        let architectures = match self.architectures.first().map(|term| term.sense) {
            None => true,
            Some(Sense::Is) => self.architectures.iter().any(named),
            Some(Sense::IsNot) => !self.architectures.iter().any(named),
        };
        let holds = |list: &Vec<Term>| list.iter().all(|term| term.sense == Sense::IsNot);
        architectures && (self.profiles.is_empty() || self.profiles.iter().any(holds))
    }
}

/// Architecture names and the wildcards `any`, `linux-any`, `any-arm64` (Policy 11.1).
fn architecture_matches(word: &str, architecture: Architecture) -> bool {
    let name = architecture.as_str();
    word == name
        || matches!(word, "any" | "linux-any")
        || word.strip_prefix("any-").or_else(|| word.strip_prefix("linux-")).is_some_and(|cpu| match architecture {
            Architecture::Armel => matches!(cpu, "armel" | "arm"),
            _ => cpu == name,
        })
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name, f)?;
        if let Some(qualifier) = &self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        if let Some(constraint) = &self.constraint {
            write!(f, " {constraint}")?;
        }
        if !self.architectures.is_empty() {
            write!(f, " [{}]", Joined(&self.architectures, " "))?;
        }
        self.profiles.iter().try_for_each(|list| write!(f, " <{}>", Joined(list, " ")))
    }
}

/// Relations of which one must hold: `a | b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternatives(pub Vec<Relation>);

impl fmt::Display for Alternatives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Joined(&self.0, " | ").fmt(f)
    }
}

/// A whole field: all of its alternatives must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relations(pub Vec<Alternatives>);

impl Relations {
    /// The groups, in field order.
    pub fn iter(&self) -> std::slice::Iter<'_, Alternatives> {
        self.0.iter()
    }

    /// Whether the field is empty or absent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Joined(&self.0, ", ").fmt(f)
    }
}

struct Joined<'a, T>(&'a [T], &'static str);

impl<T: fmt::Display> fmt::Display for Joined<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, item) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(self.1)?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// A field that does not follow Policy 7.1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of the relation field: {problem}, at `{near}`")]
pub struct ParseRelationError {
    /// Offset in bytes into the field's value.
    pub offset: usize,
    /// What is wrong.
    pub problem: String,
    /// The text there.
    pub near: String,
}

impl FromStr for Relations {
    type Err = ParseRelationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { text, at: 0 };
        if text.len() > MAX_FIELD {
            return Err(parser.error("the field is longer than 1 MiB"));
        }
        let mut groups = Vec::new();
        let mut count = 0;
        parser.space();
        while parser.at < text.len() {
            let group = parser.alternatives()?;
            count += group.0.len();
            if count > MAX_RELATIONS {
                return Err(parser.error("more than 20000 relations in one field"));
            }
            groups.push(group);
            // A trailing comma is legal: folded fields end with one.
            if parser.at < text.len() && !parser.take(b',') {
                return Err(parser.error("expected `,` or `|`"));
            }
            parser.space();
        }
        Ok(Self(groups))
    }
}

impl FromStr for Alternatives {
    type Err = ParseRelationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { text, at: 0 };
        parser.space();
        let group = parser.alternatives()?;
        if parser.at < text.len() { Err(parser.error("expected the end")) } else { Ok(group) }
    }
}

impl FromStr for Relation {
    type Err = ParseRelationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { text, at: 0 };
        parser.space();
        let relation = parser.relation()?;
        if parser.at < text.len() { Err(parser.error("expected the end")) } else { Ok(relation) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, problem: impl Into<String>) -> ParseRelationError {
        let near = self.text.get(self.at..).unwrap_or_default().chars().take(24).collect();
        ParseRelationError { offset: self.at, problem: problem.into(), near }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n')) {
            self.at += 1;
        }
    }

    /// Cuts off the longest run of bytes for which `belongs` holds.
    fn word(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&belongs) {
            self.at += 1;
        }
        // Every predicate below accepts ASCII only, so both ends are character boundaries.
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn alternatives(&mut self) -> Result<Alternatives, ParseRelationError> {
        let mut group = vec![self.relation()?];
        while self.take(b'|') {
            self.space();
            group.push(self.relation()?);
            if group.len() > MAX_RELATIONS {
                return Err(self.error("more than 20000 alternatives"));
            }
        }
        Ok(Alternatives(group))
    }

    fn relation(&mut self) -> Result<Relation, ParseRelationError> {
        let start = self.at;
        let name = self.word(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte));
        let name: PackageName = name.parse().map_err(|problem| {
            self.at = start;
            self.error(format!("{problem}"))
        })?;
        let mut relation = Relation::to(name);
        if self.take(b':') {
            relation.qualifier = Some(match self.architecture_word()? {
                "any" => Qualifier::Any,
                "native" => Qualifier::Native,
                word => Qualifier::Architecture(word.to_owned()),
            });
        }
        self.space();
        if self.take(b'(') {
            relation.constraint = Some(self.constraint()?);
            self.space();
        }
        if self.take(b'[') {
            relation.architectures = self.terms(b']', Self::architecture_word)?;
            let first = relation.architectures.first().map(|term| term.sense);
            if relation.architectures.iter().any(|term| Some(term.sense) != first) {
                return Err(self.error("an architecture list is either plain or negated, not both"));
            }
            self.space();
        }
        while self.take(b'<') {
            relation.profiles.push(self.terms(b'>', Self::profile_word)?);
            self.space();
        }
        Ok(relation)
    }

    fn constraint(&mut self) -> Result<VersionConstraint, ParseRelationError> {
        self.space();
        let start = self.at;
        let operator = self.word(|byte| b"<=>".contains(&byte));
        let operator = Operator::ALL.into_iter().find(|known| known.as_str() == operator).ok_or_else(|| {
            self.at = start;
            self.error("expected one of `<<`, `<=`, `=`, `>=`, `>>`")
        })?;
        self.space();
        let start = self.at;
        let version = self.word(|byte| byte.is_ascii_graphic() && byte != b')');
        let version = version.parse().map_err(|problem| {
            self.at = start;
            self.error(format!("{problem}"))
        })?;
        self.space();
        if !self.take(b')') {
            return Err(self.error("expected `)`"));
        }
        Ok(VersionConstraint { operator, version })
    }

    fn terms(
        &mut self,
        end: u8,
        word: fn(&mut Self) -> Result<&'a str, ParseRelationError>,
    ) -> Result<Vec<Term>, ParseRelationError> {
        let mut terms = Vec::new();
        loop {
            self.space();
            if self.take(end) {
                break;
            }
            let sense = if self.take(b'!') { Sense::IsNot } else { Sense::Is };
            terms.push(Term { sense, word: word(self)?.to_owned() });
        }
        if terms.is_empty() { Err(self.error("an empty restriction list")) } else { Ok(terms) }
    }

    fn architecture_word(&mut self) -> Result<&'a str, ParseRelationError> {
        self.nonempty(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-', "an architecture")
    }

    fn profile_word(&mut self) -> Result<&'a str, ParseRelationError> {
        let belongs = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        self.nonempty(belongs, "a build profile")
    }

    fn nonempty(&mut self, belongs: impl Fn(u8) -> bool, what: &str) -> Result<&'a str, ParseRelationError> {
        let word = self.word(belongs);
        if word.is_empty() { Err(self.error(format!("expected {what}"))) } else { Ok(word) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn policy_grammar_is_read() {
        let table = [
            ("libc6 (>= 2.34), libfoo", "libc6 (>= 2.34), libfoo"),
            ("a0|b0 (<<1:2-3)", "a0 | b0 (<< 1:2-3)"),
            ("python3:any (>= 3.5~)", "python3:any (>= 3.5~)"),
            ("gcc:native", "gcc:native"),
            ("perl:arm64", "perl:arm64"),
            ("foo [arm64 linux-any]", "foo [arm64 linux-any]"),
            ("foo (= 1) [!armel] <!nocheck !stage1> <cross>", "foo (= 1) [!armel] <!nocheck !stage1> <cross>"),
            ("\n aa,\n bb (>> 1),\n", "aa, bb (>> 1)"),
            ("", ""),
        ];
        for (text, want) in table {
            let relations: Relations = text.parse().unwrap();
            assert_eq!(relations.to_string(), want, "{text}");
            assert_eq!(relations.to_string().parse::<Relations>().unwrap(), relations);
        }
    }

    #[test]
    fn broken_fields_name_the_place() {
        let table = [
            ("foo (> 1)", 5),
            ("foo (>= 1", 9),
            ("foo (>= )", 8),
            ("foo bar", 4),
            ("foo,,bar", 4),
            ("foo |", 5),
            ("Foo", 0),
            ("foo [arm64 !armel]", 18),
            ("foo []", 6),
            ("foo <", 5),
            ("foo:", 4),
            ("${misc:Depends}", 0),
        ];
        for (text, offset) in table {
            let error = text.parse::<Relations>().unwrap_err();
            assert_eq!(error.offset, offset, "{text}: {error}");
        }
    }

    #[test]
    fn restrictions_decide() {
        let table = [
            ("foo [arm64]", true),
            ("foo [!arm64]", false),
            ("foo [armel amd64]", false),
            ("foo [any-arm64]", true),
            ("foo [linux-any]", true),
            ("foo <!nocheck>", true),
            ("foo <cross>", false),
            ("foo <cross> <!nodoc>", true),
        ];
        for (text, want) in table {
            assert_eq!(text.parse::<Relation>().unwrap().applies_to(Architecture::Arm64), want, "{text}");
        }
    }

    fn term(word: &'static str) -> impl Strategy<Value = Term> {
        (any::<bool>(), word).prop_map(|(not, word)| Term { sense: if not { Sense::IsNot } else { Sense::Is }, word })
    }

    fn relation() -> impl Strategy<Value = Relation> {
        let qualifier = prop_oneof![
            Just(Qualifier::Any),
            Just(Qualifier::Native),
            "[b-m][a-z0-9]{2,5}".prop_map(Qualifier::Architecture)
        ];
        let version = "([0-9]:)?[0-9][a-z0-9.+~]{0,6}(-[0-9a-z.]{1,4})?".prop_map(|text| text.parse().unwrap());
        let constraint = (prop::sample::select(Operator::ALL.to_vec()), version)
            .prop_map(|(operator, version)| VersionConstraint { operator, version });
        (
            "[a-z0-9][a-z0-9+.-]{1,12}".prop_map(|name| name.parse().unwrap()),
            prop::option::of(qualifier),
            prop::option::of(constraint),
            prop::collection::vec("[a-z][a-z0-9-]{1,6}", 0..3),
            prop::collection::vec(prop::collection::vec(term("[a-z][a-z0-9.+-]{0,6}"), 1..3), 0..3),
        )
            .prop_map(|(name, qualifier, constraint, words, profiles)| Relation {
                name,
                qualifier,
                constraint,
                architectures: words.into_iter().map(|word| Term { sense: Sense::IsNot, word }).collect(),
                profiles,
            })
    }

    proptest! {
        #[test]
        fn display_round_trips(groups in prop::collection::vec(prop::collection::vec(relation(), 1..4), 0..5)) {
            let relations = Relations(groups.into_iter().map(Alternatives).collect());
            prop_assert_eq!(relations.to_string().parse::<Relations>().unwrap(), relations);
        }

        #[test]
        fn no_input_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<Relations>();
        }
    }
}
