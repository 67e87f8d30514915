//! The lines of passwd(5), shadow(5) and authorized_keys that an identity changes.

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The accounts of a passwd(5) file; lines that are none are skipped.
pub(crate) fn parse(passwd: &str) -> Vec<Account> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let mut number = fields.skip(1).map(|field| field.parse().ok());
        Some(Account { name, uid: number.next()??, gid: number.next()?? })
    };
    passwd.lines().filter_map(account).collect()
}

/// passwd(5) with a second name for an account: same id, same home. The first name stays the one that ids show.
pub(crate) fn with_alias(passwd: &str, name: &str, alias: &str) -> String {
    with_copy(passwd, name, alias)
}

/// shadow(5) with the password of an account and of its second name.
pub(crate) fn with_password(shadow: &str, name: &str, alias: Option<&str>, hash: Option<&str>) -> String {
    let set = |line: &str| match (hash, line.split_once(':')) {
        (Some(hash), Some((found, rest))) if found == name => {
            let (_, rest) = rest.split_once(':').unwrap_or((rest, ""));
            format!("{found}:{hash}:{rest}\n")
        }
        _ => format!("{line}\n"),
    };
    let text: String = shadow.lines().map(set).collect();
    alias.map_or_else(|| text.clone(), |alias| with_copy(&text, name, alias))
}

/// The line of `name` once more, for `alias`.
fn with_copy(text: &str, name: &str, alias: &str) -> String {
    let mut text: String = text.lines().flat_map(|line| [line, "\n"]).collect();
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    if let Some(line) = rest.map(|rest| format!("{alias}:{rest}\n")) {
        text.push_str(&line);
    }
    text
}

/// The password's hash of an account, if it has one.
pub(crate) fn password_hash(shadow: &str, name: &str) -> Option<String> {
    let hash = shadow.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.split(':').next())?;
    hash.starts_with('$').then(|| hash.to_owned())
}

/// The image's keys, then those of the identity, each once.
pub(crate) fn authorized_keys(image: &str, keys: &[String]) -> String {
    let mut lines: Vec<&str> = image.lines().collect();
    for key in keys {
        if !lines.contains(&key.as_str()) {
            lines.push(key);
        }
    }
    lines.into_iter().flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nhah:x:1000:1001:Hashi:/home/hah:/bin/bash\nodd\n";
    const SHADOW: &str = "root:*:1:0:99999:7:::\nhah:!:1:0:99999:7:::\n";

    #[test]
    fn accounts() {
        let found = parse(PASSWD);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], Account { name: "hah".into(), uid: 1000, gid: 1001 });
    }

    #[test]
    fn a_second_name() {
        let passwd = with_alias(PASSWD, "hah", "pi");
        assert!(passwd.ends_with("odd\npi:x:1000:1001:Hashi:/home/hah:/bin/bash\n"), "{passwd}");
        assert_eq!(with_alias(PASSWD, "nobody", "pi"), PASSWD);
    }

    #[test]
    fn passwords() {
        let shadow = with_password(SHADOW, "hah", Some("pi"), Some("$6$a$b"));
        assert_eq!(shadow, "root:*:1:0:99999:7:::\nhah:$6$a$b:1:0:99999:7:::\npi:$6$a$b:1:0:99999:7:::\n");
        assert_eq!(password_hash(&shadow, "pi").as_deref(), Some("$6$a$b"));
        assert_eq!(password_hash(SHADOW, "hah"), None);
        assert_eq!(with_password(SHADOW, "hah", None, None), SHADOW);
    }

    #[test]
    fn keys_come_once() {
        let keys = ["ssh-ed25519 A a".to_owned(), "ssh-ed25519 B b".to_owned()];
        assert_eq!(authorized_keys("ssh-ed25519 B b", &keys), "ssh-ed25519 B b\nssh-ed25519 A a\n");
        assert_eq!(authorized_keys("", &[]), "");
    }
}
