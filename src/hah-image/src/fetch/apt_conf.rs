//! apt's configuration (apt.conf(5)), for what it says of proxies (apt-transport-http(1), apt-transport-https(1)).
//!
//! ```text
//! Acquire::http::Proxy "http://proxy.example:3128";        // the same:   Acquire { http { Proxy "…"; }; };
//! Acquire::http::Proxy::mirror.example "DIRECT";           # for one host
//! APT::NeverAutoRemove { "^linux-.*"; };                   /* a list: items have no names */
//! #clear Acquire::http::Proxy;                             #include "/etc/apt/more.conf";
//! ```
//!
//! Names do not mind case, the last value counts, and files are read in apt's order: `APT_CONFIG`, `apt.conf.d` by name,
//! `apt.conf`. Like apt's sources this is a convenience: what follows something that cannot be read in a file is left out.

#![cfg_attr(
    not(test),
    expect(clippy::disallowed_methods, reason = "also compiled into fuzz targets, without the doorway")
)]

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Deepest nesting of scopes, and of files that include files.
const MAX_DEPTH: usize = 32;

/// One thing that a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// `NAME "VALUE";` with the scopes around it in the name, in lower case. An item of a list has a name that ends in `::`.
    Set {
        /// `acquire::http::proxy`.
        name: String,
        /// As written, without quotes.
        value: String,
        /// Line in the file, from 1.
        line: usize,
    },
    /// `#clear NAME;`: this and all below it is unsaid.
    Clear(String),
    /// `#include "PATH";`: a file, or the files of a directory.
    Include(String),
}

/// What `text` says, up to what cannot be read.
pub(crate) fn parse(text: &str) -> Vec<Statement> {
    let mut parser = Parser { rest: text, line: 1, scopes: Vec::new(), said: Vec::new() };
    // An error ends the file; what came before it counts.
    let _ = parser.file();
    parser.said
}

/// Why a file ends early.
struct Unreadable;

enum Token<'a> {
    Word(&'a str),
    Open,
    Close,
    End,
}

struct Parser<'a> {
    rest: &'a str,
    line: usize,
    scopes: Vec<String>,
    said: Vec<Statement>,
}

impl<'a> Parser<'a> {
    fn file(&mut self) -> Result<(), Unreadable> {
        let mut words: Vec<&'a str> = Vec::new();
        while let Some(token) = self.token()? {
            match token {
                Token::Word(word) if words.len() < 3 => words.push(word),
                Token::Word(_) => return Err(Unreadable),
                Token::Open => {
                    if self.scopes.len() == MAX_DEPTH {
                        return Err(Unreadable);
                    }
                    // `Name "value" { … };` is both.
                    if let [_, _] = words[..] {
                        self.say(&words)?;
                    }
                    self.scopes.push(self.full_name(words.first().copied().unwrap_or_default()));
                    words.clear();
                }
                Token::Close => {
                    self.say(&words)?;
                    words.clear();
                    self.scopes.pop().ok_or(Unreadable)?;
                }
                Token::End => {
                    self.say(&words)?;
                    words.clear();
                }
            }
        }
        Ok(())
    }

    fn say(&mut self, words: &[&str]) -> Result<(), Unreadable> {
        let set = |name: String, value: &str, line| Statement::Set { name, value: value.to_owned(), line };
        match words {
            [] => {}
            ["#clear", name] if self.scopes.is_empty() => self.said.push(Statement::Clear(name.to_lowercase())),
            ["#include", path] if self.scopes.is_empty() => self.said.push(Statement::Include((*path).to_owned())),
            [directive, ..] if directive.starts_with('#') => return Err(Unreadable),
            [name, value] => self.said.push(set(self.full_name(name), value, self.line)),
            // An item of a list, in the scope that is its name.
            [item] => {
                if let Some(scope) = self.scopes.last() {
                    self.said.push(set(format!("{scope}::"), item, self.line));
                }
            }
            _ => return Err(Unreadable),
        }
        Ok(())
    }

    fn full_name(&self, name: &str) -> String {
        let name = name.to_lowercase();
        match self.scopes.last() {
            Some(scope) if name.is_empty() => scope.clone(),
            Some(scope) if !scope.is_empty() => format!("{scope}::{name}"),
            _ => name,
        }
    }

    fn token(&mut self) -> Result<Option<Token<'a>>, Unreadable> {
        loop {
            let trimmed = self.rest.trim_start();
            self.skip(self.rest.len() - trimmed.len());
            if let Some(comment) = self.rest.strip_prefix("/*") {
                self.skip(comment.find("*/").ok_or(Unreadable)? + 4);
            } else if self.rest.starts_with("//") || self.rest.starts_with('#') && !self.is_directive() {
                self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else {
                break;
            }
        }
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let simple = match first {
            '{' => Some(Token::Open),
            '}' => Some(Token::Close),
            ';' => Some(Token::End),
            _ => None,
        };
        if let Some(token) = simple {
            self.skip(1);
            return Ok(Some(token));
        }
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let word = quoted.get(..quoted.find('"').ok_or(Unreadable)?).ok_or(Unreadable)?;
            self.skip(word.len() + 2);
            return Ok(Some(Token::Word(word)));
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let word = self.rest.get(..end).unwrap_or_default();
        // A comment ends an unquoted word, too: an address needs quotes.
        let word = word.find("//").and_then(|at| word.get(..at)).unwrap_or(word);
        if word.is_empty() {
            return Err(Unreadable);
        }
        self.skip(word.len());
        Ok(Some(Token::Word(word)))
    }

    fn is_directive(&self) -> bool {
        ["#clear", "#include"].iter().any(|directive| {
            self.rest.strip_prefix(directive).is_some_and(|rest| rest.starts_with(char::is_whitespace))
        })
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

/// What all files together say.
#[derive(Clone, Debug, Default)]
pub struct AptConf {
    /// By full name in lower case. Lists are not kept: nothing that is asked for is one.
    values: BTreeMap<String, Setting>,
}

/// A value and the place that says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value, not empty.
    pub value: String,
    /// Its name, as apt's manual spells it for proxies: `Acquire::http::Proxy`.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Line in the file, from 1.
    pub line: usize,
}

/// `/etc/apt/apt.conf.d/01proxy:3 Acquire::http::Proxy`.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.file.display(), self.line, self.name)
    }
}

/// What apt would do about a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// None is used.
    Direct,
    /// This one.
    Proxy(String),
    /// The one that this program names, given the address of the host.
    Ask(PathBuf),
}

impl AptConf {
    /// Reads the configuration below `directory` (`/etc/apt`) and the file that `APT_CONFIG` names.
    /// A host without apt has none.
    pub fn read(directory: &Path, apt_config: Option<&Path>) -> Self {
        let mut conf = Self::default();
        let parts = parts(&directory.join("apt.conf.d"));
        let main = directory.join("apt.conf");
        for file in apt_config.map(Path::to_owned).into_iter().chain(parts).chain([main]) {
            conf.file(&file, 0);
        }
        conf
    }

    fn file(&mut self, file: &Path, depth: usize) {
        let small = std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_FILE);
        let Some(text) = small.then(|| std::fs::read_to_string(file).ok()).flatten() else { return };
        for statement in parse(&text) {
            match statement {
                Statement::Include(path) if depth < MAX_DEPTH => {
                    let path = Path::new(&path);
                    let files = if path.is_dir() { parts(path) } else { vec![path.to_owned()] };
                    files.iter().for_each(|file| self.file(file, depth + 1));
                }
                Statement::Include(_) => {}
                other => self.apply(other, file),
            }
        }
    }

    /// Takes over what one statement of `file` says.
    pub(crate) fn apply(&mut self, statement: Statement, file: &Path) {
        match statement {
            Statement::Clear(name) => {
                let below = format!("{}::", name.trim_end_matches(':'));
                self.values.retain(|known, _| *known != name && !known.starts_with(&below));
            }
            Statement::Set { name, value, line } if !name.ends_with("::") => {
                if value.is_empty() {
                    self.values.remove(&name);
                } else {
                    let setting = Setting { value, name: spelled(&name), file: file.to_owned(), line };
                    self.values.insert(name, setting);
                }
            }
            Statement::Set { .. } | Statement::Include(_) => {}
        }
    }

    /// The value of `name`, in any case.
    fn get(&self, name: &str) -> Option<&Setting> {
        self.values.get(&name.to_lowercase())
    }

    /// What is said of a proxy for `host` by `scheme` (`http`, `https`), and where: that host's own, then a program's, then
    /// the general one. https takes http's where it has none. Without an answer the environment decides.
    pub fn proxy(&self, scheme: &str, host: &str) -> Option<(Told, &Setting)> {
        let schemes: &[&str] = if scheme == "https" { &["https", "http"] } else { &["http"] };
        let first = |name: &dyn Fn(&str) -> String| schemes.iter().find_map(|scheme| self.get(&name(scheme)));
        if let Some(own) = first(&|scheme| format!("acquire::{scheme}::proxy::{host}")) {
            return Some((told(own), own));
        }
        let program = ["proxy-auto-detect", "proxyautodetect"]
            .iter()
            .find_map(|name| self.get(&format!("acquire::{scheme}::{name}")));
        if let Some(program) = program {
            return Some((Told::Ask(PathBuf::from(&program.value)), program));
        }
        self.general_proxy(scheme)
    }

    /// The proxy for hosts of which nothing else is said.
    pub fn general_proxy(&self, scheme: &str) -> Option<(Told, &Setting)> {
        let schemes: &[&str] = if scheme == "https" { &["https", "http"] } else { &["http"] };
        let general = schemes.iter().find_map(|scheme| self.get(&format!("acquire::{scheme}::proxy")))?;
        Some((told(general), general))
    }
}

fn told(setting: &Setting) -> Told {
    match setting.value.as_str() {
        // apt's manual has the first; the second is what people write.
        "DIRECT" | "false" => Told::Direct,
        value => Told::Proxy(value.to_owned()),
    }
}

/// The name as the manual spells it.
fn spelled(name: &str) -> String {
    let word = |word: &str| match word {
        "acquire" => "Acquire".to_owned(),
        "proxy" => "Proxy".to_owned(),
        "proxy-auto-detect" => "Proxy-Auto-Detect".to_owned(),
        "proxyautodetect" => "ProxyAutoDetect".to_owned(),
        other => other.to_owned(),
    };
    name.split("::").map(word).collect::<Vec<_>>().join("::")
}

/// The files of a directory that apt reads, in its order: names of letters, digits, `-`, `_` and `.`, with the extension
/// `conf` or none.
fn parts(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| is_part(name)).collect();
    names.sort();
    names.into_iter().map(|name| directory.join(name)).collect()
}

fn is_part(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    !name.starts_with('.') && name.chars().all(plain) && extension.is_none_or(|extension| extension == "conf")
}

#[cfg(test)]
mod tests;
