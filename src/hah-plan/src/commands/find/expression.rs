//! The expression of a find(1) command line, parsed.

use hah_format::tree::Owner;

use crate::commands::accounts;
use crate::commands::files::mode::parse_mode;
use crate::commands::operands::shell_quoted;
use crate::commands::regex::{Dialect, Pattern, Reading};
use crate::commands::{Process, Refusal};

/// More than, less than, or exactly a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    More(u64),
    Less(u64),
    Exactly(u64),
}

impl Amount {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('+') {
            Some(digits) => digits.parse().ok().map(Self::More),
            None => match text.strip_prefix('-') {
                Some(digits) => digits.parse().ok().map(Self::Less),
                None => text.parse().ok().map(Self::Exactly),
            },
        }
    }

    /// Whether `value` is such.
    pub(super) fn holds(self, value: u64) -> bool {
        match self {
            Self::More(than) => value > than,
            Self::Less(than) => value < than,
            Self::Exactly(as_much) => value == as_much,
        }
    }
}

/// How `-perm` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permission {
    Exactly,
    All,
    Any,
}

/// A node of the expression.
#[derive(Debug)]
pub(super) enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Both(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Always(bool),
    /// A glob on the name; whether case counts.
    Name(String, bool),
    /// A glob on the whole path.
    Path(String, bool),
    /// A glob on a link's target.
    LinkName(String, bool),
    Regex(Box<Pattern>),
    /// Letters of kinds; whether links are followed for it (`-xtype`).
    Kind(String, bool),
    Mode(u16, Permission),
    User(Owner),
    Group(Owner),
    UserId(Amount),
    GroupId(Amount),
    NoUser,
    NoGroup,
    /// In units of so many bytes.
    Size(Amount, u64),
    Empty,
    NewerThan(u32),
    /// Age in units of so many seconds.
    Age(Amount, u64),
    Links(Amount),
    SameFile(hah_format::path::TreePath),
    Access(u16),
    Print,
    Print0,
    Printf(String),
    Delete,
    Prune,
    Quit,
    /// A command for each path; whether it runs in the entry's directory.
    Execute(Vec<String>, bool),
    /// A command for many paths, by its number.
    Batch(usize, Vec<String>),
}

/// A whole command line's.
#[derive(Debug)]
pub(super) struct ParsedExpression {
    pub(super) root: Expression,
    pub(super) least_depth: usize,
    pub(super) most_depth: usize,
    pub(super) children_first: bool,
    pub(super) follow: bool,
}

type Parsed<T> = Result<Result<T, String>, Refusal>;

macro_rules! given {
    ($parsed:expr) => {
        match $parsed? {
            Ok(value) => value,
            Err(message) => return Ok(Err(message)),
        }
    };
}

/// Reads `words`; the inner error is what find complains of.
pub(super) fn parse(process: &mut Process<'_, '_>, words: &[String]) -> Parsed<ParsedExpression> {
    let mut parser = Parser {
        process,
        words,
        at: 0,
        acts: false,
        batches: 0,
        dialect: None,
        least_depth: 0,
        most_depth: usize::MAX,
        children_first: false,
        follow: false,
    };
    let root = match words.is_empty() {
        true => Expression::Always(true),
        false => given!(parser.list()),
    };
    if let Some(word) = words.get(parser.at) {
        return Ok(Err(match word.as_str() {
            ")" => "you have too many ')'".to_owned(),
            word => format!("paths must precede expression: {}", shell_quoted(word)),
        }));
    }
    let root = match parser.acts {
        true => root,
        false => Expression::And(Box::new(root), Box::new(Expression::Print)),
    };
    Ok(Ok(ParsedExpression {
        root,
        least_depth: parser.least_depth,
        most_depth: parser.most_depth,
        children_first: parser.children_first,
        follow: parser.follow,
    }))
}

struct Parser<'a, 'p, 'w> {
    process: &'a mut Process<'p, 'w>,
    words: &'a [String],
    at: usize,
    acts: bool,
    batches: usize,
    dialect: Option<Dialect>,
    least_depth: usize,
    most_depth: usize,
    children_first: bool,
    follow: bool,
}

impl Parser<'_, '_, '_> {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn list(&mut self) -> Parsed<Expression> {
        let mut left = given!(self.either());
        while self.peek() == Some(",") {
            self.at += 1;
            left = Expression::Both(Box::new(left), Box::new(given!(self.either())));
        }
        Ok(Ok(left))
    }

    fn either(&mut self) -> Parsed<Expression> {
        let mut left = given!(self.all());
        while matches!(self.peek(), Some("-o" | "-or")) {
            self.at += 1;
            left = Expression::Or(Box::new(left), Box::new(given!(self.all())));
        }
        Ok(Ok(left))
    }

    fn all(&mut self) -> Parsed<Expression> {
        let mut left = given!(self.not());
        while let Some(word) = self.peek() {
            match word {
                "-a" | "-and" => self.at += 1,
                "-o" | "-or" | "," | ")" => break,
                _ => {}
            }
            left = Expression::And(Box::new(left), Box::new(given!(self.not())));
        }
        Ok(Ok(left))
    }

    fn not(&mut self) -> Parsed<Expression> {
        match self.peek() {
            Some("!" | "-not") => {
                self.at += 1;
                Ok(Ok(Expression::Not(Box::new(given!(self.not())))))
            }
            Some("(") => {
                self.at += 1;
                if self.at > 10_000 {
                    return Err(Refusal::new("an expression of find that long"));
                }
                let inner = given!(self.list());
                if self.peek() != Some(")") {
                    return Ok(Err(
                        "invalid expression; I was expecting to find a ')' somewhere but did not see one.".into()
                    ));
                }
                self.at += 1;
                Ok(Ok(inner))
            }
            Some(")") => Ok(Err("invalid expression; expected to find an expression before ')'".into())),
            Some(_) => self.primary(),
            None => Ok(Err("invalid expression: an argument is missing".to_owned())),
        }
    }

    fn value(&mut self, name: &str) -> Result<String, String> {
        let value = self.words.get(self.at).cloned().ok_or_else(|| format!("missing argument to `{name}'"))?;
        self.at += 1;
        Ok(value)
    }

    fn pattern(&self, text: &str, fold: bool) -> Parsed<Expression> {
        // The default is Emacs' language, which is the basic one but for `+` and `?`, and without groups in most scripts.
        let dialect = match self.dialect {
            Some(dialect) => dialect,
            None if text.contains(['+', '?', '{', '\\']) && text.contains(['+', '?', '{']) => {
                return self.process.unknown("-regex in Emacs' language with `+`, `?` or `{`");
            }
            None => Dialect::Basic,
        };
        let reading = Reading { fold, ..Reading::plain(dialect, self.process.is_utf8()) };
        Ok(Ok(Expression::Regex(Box::new(Pattern::new(text.as_bytes(), reading)?))))
    }

    fn owner(&mut self, text: &str, of_user: bool) -> Parsed<Owner> {
        let known = match of_user {
            true => accounts::accounts_know_user(self.process.world, text)?,
            false => accounts::accounts_know_group(self.process.world, text)?,
        };
        if !known && text.parse::<u32>().is_err() {
            let noun = if of_user { "user" } else { "group" };
            return Ok(Err(format!("invalid {noun} name or UID argument to -{noun}: {}", shell_quoted(text))));
        }
        Ok(Ok(Owner::parse(text)))
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let name = self.words[self.at].clone();
        self.at += 1;
        macro_rules! value {
            () => {
                match self.value(&name) {
                    Ok(value) => value,
                    Err(message) => return Ok(Err(message)),
                }
            };
        }
        macro_rules! amount {
            ($text:expr) => {
                match Amount::parse($text) {
                    Some(amount) => amount,
                    None => return Ok(Err(format!("invalid argument `{}' to `{name}'", $text))),
                }
            };
        }
        Ok(Ok(match name.as_str() {
            "-true" => Expression::Always(true),
            "-false" => Expression::Always(false),
            "-noleaf"
            | "-xdev"
            | "-mount"
            | "-ignore_readdir_race"
            | "-noignore_readdir_race"
            | "-nowarn"
            | "-warn"
            | "-daystart" => Expression::Always(true),
            "-follow" => {
                self.follow = true;
                Expression::Always(true)
            }
            "-depth" | "-d" => {
                self.children_first = true;
                Expression::Always(true)
            }
            "-mindepth" | "-maxdepth" => {
                let text = value!();
                let Ok(depth) = text.parse() else {
                    return Ok(Err(format!(
                        "Expected a positive decimal integer argument to {name}, but got {}",
                        shell_quoted(&text)
                    )));
                };
                if name == "-mindepth" {
                    self.least_depth = depth;
                } else {
                    self.most_depth = depth;
                }
                Expression::Always(true)
            }
            "-regextype" => {
                self.dialect = Some(match value!().as_str() {
                    "posix-basic" | "sed" | "grep" | "ed" => Dialect::Basic,
                    "posix-extended" | "egrep" | "posix-egrep" => Dialect::Extended,
                    other => return self.process.unknown(&format!("-regextype {other}")),
                });
                Expression::Always(true)
            }
            "-name" => Expression::Name(value!(), true),
            "-iname" => Expression::Name(value!(), false),
            "-path" | "-wholename" => Expression::Path(value!(), true),
            "-ipath" | "-iwholename" => Expression::Path(value!(), false),
            "-lname" => Expression::LinkName(value!(), true),
            "-ilname" => Expression::LinkName(value!(), false),
            "-regex" => given!({
                let text = value!();
                self.pattern(&text, false)
            }),
            "-iregex" => given!({
                let text = value!();
                self.pattern(&text, true)
            }),
            "-type" | "-xtype" => {
                let text = value!();
                if !text.split(',').all(|letter| matches!(letter, "f" | "d" | "l" | "b" | "c" | "p" | "s")) {
                    return Ok(Err(format!("Unknown argument to {name}: {text}")));
                }
                Expression::Kind(text, name == "-xtype")
            }
            "-perm" => {
                let text = value!();
                let (how, mode) = match text.strip_prefix('-') {
                    Some(mode) => (Permission::All, mode),
                    None => match text.strip_prefix('/') {
                        Some(mode) => (Permission::Any, mode),
                        None => (Permission::Exactly, text.as_str()),
                    },
                };
                match parse_mode(mode) {
                    Some(change) => Expression::Mode(change.apply(0, false, 0), how),
                    None => return Ok(Err(format!("invalid mode {}", shell_quoted(&text)))),
                }
            }
            "-user" => Expression::User(given!({
                let text = value!();
                self.owner(&text, true)
            })),
            "-group" => Expression::Group(given!({
                let text = value!();
                self.owner(&text, false)
            })),
            "-uid" => Expression::UserId(amount!(&value!())),
            "-gid" => Expression::GroupId(amount!(&value!())),
            "-nouser" => Expression::NoUser,
            "-nogroup" => Expression::NoGroup,
            "-size" => {
                let text = value!();
                let (digits, unit) = match text.char_indices().last() {
                    Some((at, letter)) if letter.is_ascii_alphabetic() => (&text[..at], letter),
                    _ => (text.as_str(), 'b'),
                };
                let unit = match unit {
                    'b' => 512,
                    'c' => 1,
                    'w' => 2,
                    'k' => 1 << 10,
                    'M' => 1 << 20,
                    'G' => 1 << 30,
                    _ => return Ok(Err(format!("invalid -size type `{unit}'"))),
                };
                Expression::Size(amount!(digits), unit)
            }
            "-empty" => Expression::Empty,
            "-newer" | "-anewer" | "-cnewer" | "-newermm" => {
                let path = value!();
                let stat = self.process.stat(&path);
                match stat {
                    Ok(stat) => Expression::NewerThan(stat.meta.mtime),
                    Err(error) if error.is_final() => return Err(error.into()),
                    Err(error) => return Ok(Err(format!("{}: {error}", shell_quoted(&path)))),
                }
            }
            "-mtime" | "-atime" | "-ctime" => Expression::Age(amount!(&value!()), 86_400),
            "-mmin" | "-amin" | "-cmin" => Expression::Age(amount!(&value!()), 60),
            "-links" => Expression::Links(amount!(&value!())),
            "-samefile" => {
                let path = value!();
                match self.process.lstat(&path) {
                    Ok(stat) => Expression::SameFile(self.process.world.file_of(&stat.path)),
                    Err(error) if error.is_final() => return Err(error.into()),
                    Err(error) => return Ok(Err(format!("{}: {error}", shell_quoted(&path)))),
                }
            }
            "-readable" | "-writable" => Expression::Always(true),
            "-executable" => Expression::Access(0o111),
            "-print" => self.acting(Expression::Print),
            "-print0" => self.acting(Expression::Print0),
            "-printf" => {
                let format = value!();
                self.acting(Expression::Printf(format))
            }
            "-delete" => {
                self.children_first = true;
                self.acting(Expression::Delete)
            }
            "-prune" => Expression::Prune,
            "-quit" => self.acting(Expression::Quit),
            "-exec" | "-execdir" => given!(self.execute(&name)),
            "-ls" | "-fls" | "-fprint" | "-fprintf" | "-fprint0" | "-ok" | "-okdir" | "-used" | "-inum"
            | "-context" | "-fstype" => return self.process.unknown(&name),
            _ if name.starts_with('-') => return Ok(Err(format!("unknown predicate `{name}'"))),
            _ => return Ok(Err(format!("paths must precede expression: `{name}'"))),
        }))
    }

    fn acting(&mut self, action: Expression) -> Expression {
        self.acts = true;
        action
    }

    fn execute(&mut self, name: &str) -> Parsed<Expression> {
        self.acts = true;
        let mut command: Vec<String> = Vec::new();
        while let Some(word) = self.words.get(self.at) {
            self.at += 1;
            if word == ";" && !command.is_empty() {
                return Ok(Ok(Expression::Execute(command, name == "-execdir")));
            }
            if word == "+" && command.len() > 1 && command.last().is_some_and(|last| last == "{}") {
                if name == "-execdir" {
                    return self.process.unknown("-execdir … +");
                }
                command.pop();
                self.batches += 1;
                return Ok(Ok(Expression::Batch(self.batches - 1, command)));
            }
            command.push(word.clone());
        }
        Ok(Err(format!("missing argument to `{name}'")))
    }
}
