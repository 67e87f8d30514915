//! sysusers.d(5): the users, groups and memberships that packages and recipes declare for systemd-sysusers.
//!
//! ```text
//! u  messagebus -          "System Message Bus" /nonexistent
//! u! systemd-network -     "systemd Network Management"
//! u  sshd       -:nogroup  "sshd user"          /run/sshd
//! g  render     -
//! m  user       group
//! ```
//!
//! Specifiers (`%`), ids taken from the owner of a path, and `r` lines ask the running system, and are errors here.

/// Longest file that is read, in bytes.
const FILE_MAX: usize = 64 << 10;

/// One declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `u` or `u!`.
    User(UserLine),
    /// `g`: name, and the id when it is given.
    Group(String, Option<u32>),
    /// `m`: user, group.
    Member(String, String),
}

impl Line {
    /// Place in the order of work: groups before the users that want them, memberships last.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Group(..) => 0,
            Self::User(_) => 1,
            Self::Member(..) => 2,
        }
    }
}

/// A `u` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine {
    /// Login name.
    pub name: String,
    /// Its id, when one is given.
    pub uid: Option<u32>,
    /// Primary group.
    pub group: UserGroup,
    /// Comment field.
    pub gecos: String,
    /// Home directory; `/` when none is given.
    pub home: String,
    /// Login shell; the system's default when none is given.
    pub shell: Option<String>,
    /// `u!`: the account expires at once, so that nothing logs in.
    pub locked: bool,
}

impl UserLine {
    /// `u NAME -`.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            uid: None,
            group: UserGroup::Own,
            gecos: String::new(),
            home: "/".to_owned(),
            shell: None,
            locked: false,
        }
    }
}

/// The primary group of a `u` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserGroup {
    /// A group of the user's name.
    Own,
    /// The group of this id.
    Id(u32),
    /// The group of this name.
    Name(String),
}

/// Parses one file; an error is a line, from 1, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<(usize, Line)>, (usize, String)> {
    if text.len() > FILE_MAX {
        return Err((1, format!("the file is longer than {FILE_MAX} bytes")));
    }
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parsed = fields(line).and_then(declaration).map_err(|what| (number + 1, what))?;
        lines.push((number + 1, parsed));
    }
    Ok(lines)
}

/// Splits at blanks; quotation marks keep blanks together.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field, mut quote, mut inside) = (Vec::new(), String::new(), None, false);
    for character in line.chars() {
        match (quote, character) {
            (Some(mark), _) if character == mark => quote = None,
            (Some(_), '\\') | (None, '\\') => return Err("backslashes are not understood".to_owned()),
            (None, '"' | '\'') => {
                quote = Some(character);
                inside = true;
            }
            (None, ' ' | '\t') => {
                if inside {
                    fields.push(std::mem::take(&mut field));
                }
                inside = false;
            }
            _ => {
                field.push(character);
                inside = true;
            }
        }
    }
    if quote.is_some() {
        return Err("a quotation has no end".to_owned());
    }
    if inside {
        fields.push(field);
    }
    match fields.iter().any(|field| field.contains('%')) {
        true => Err("specifiers (%) are not understood".to_owned()),
        false => Ok(fields),
    }
}

fn declaration(fields: Vec<String>) -> Result<Line, String> {
    let field = |index: usize| fields.get(index).map(String::as_str).filter(|text| !matches!(*text, "-" | ""));
    let name = field(1).ok_or("no name is given")?.to_owned();
    check_name(&name)?;
    match fields.first().map(String::as_str) {
        Some(kind @ ("u" | "u!")) => {
            let (uid, group) = user_ids(field(2).unwrap_or("-"))?;
            let text = |index: usize| field(index).map(str::to_owned);
            for value in [text(3), text(4), text(5)].into_iter().flatten() {
                if value.contains([':', '\n']) {
                    return Err(format!("`{value}` cannot stand in a passwd file"));
                }
            }
            Ok(Line::User(UserLine {
                name,
                uid,
                group,
                gecos: text(3).unwrap_or_default(),
                home: text(4).unwrap_or_else(|| "/".to_owned()),
                shell: text(5),
                locked: kind == "u!",
            }))
        }
        Some("g") => Ok(Line::Group(name, field(2).map(id).transpose()?)),
        Some("m") => {
            let group = field(2).ok_or("no group is given")?.to_owned();
            check_name(&group)?;
            Ok(Line::Member(name, group))
        }
        Some(kind) => Err(format!("lines of type `{kind}` are not understood")),
        None => Err("the line is empty".to_owned()),
    }
}

fn id(text: &str) -> Result<u32, String> {
    // 65535 and 4294967295 mean `no id` in the kernel's interfaces.
    match text.parse() {
        Ok(id) if id != 0xffff && id != u32::MAX => Ok(id),
        _ => Err(format!("`{text}` is not an id")),
    }
}

fn user_ids(text: &str) -> Result<(Option<u32>, UserGroup), String> {
    let (user, group) = match text.split_once(':') {
        None => (text, UserGroup::Own),
        Some((user, group)) => match group.parse::<u32>() {
            Ok(_) => (user, UserGroup::Id(id(group)?)),
            Err(_) => {
                check_name(group)?;
                (user, UserGroup::Name(group.to_owned()))
            }
        },
    };
    Ok((if user == "-" { None } else { Some(id(user)?) }, group))
}

/// The names that useradd(8) takes without being forced to.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    match first && rest && name.len() <= 31 {
        true => Ok(()),
        false => Err(format!("`{name}` is not a user or group name: a-z, 0-9, - and _, at most 31, not a digit first")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_lines() {
        let text =
            "# x\nu! net - \"Net Work\"\nu sshd -:nogroup \"\" /run/sshd\nu a 4:60 - - /bin/sh\ng r -\ng s 12\nm a r\n";
        let lines: Vec<Line> = parse(text).unwrap().into_iter().map(|(_, line)| line).collect();
        let user = |name: &str| UserLine {
            name: name.to_owned(),
            uid: None,
            group: UserGroup::Own,
            gecos: String::new(),
            home: "/".to_owned(),
            shell: None,
            locked: false,
        };
        assert_eq!(
            lines,
            [
                Line::User(UserLine { gecos: "Net Work".to_owned(), locked: true, ..user("net") }),
                Line::User(UserLine {
                    group: UserGroup::Name("nogroup".to_owned()),
                    home: "/run/sshd".to_owned(),
                    ..user("sshd")
                }),
                Line::User(UserLine {
                    uid: Some(4),
                    group: UserGroup::Id(60),
                    shell: Some("/bin/sh".to_owned()),
                    ..user("a")
                }),
                Line::Group("r".to_owned(), None),
                Line::Group("s".to_owned(), Some(12)),
                Line::Member("a".to_owned(), "r".to_owned()),
            ]
        );
    }

    #[test]
    fn what_asks_the_system_or_is_wrong_is_refused_with_its_line() {
        for line in
            ["r - 500-900", "u a /path", "u %H -", "g 9x -", "u a - \"x", "z a", "u", "u a 65535", "u a - x:y", "m a"]
        {
            assert_eq!(parse(&format!("\n{line}\n")).map_err(|(line, _)| line), Err(2), "{line}");
        }
        assert!(parse(&"#".repeat(FILE_MAX + 1)).is_err());
    }
}
