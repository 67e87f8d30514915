//! `/etc/nsswitch.conf`: libc-bin's default and the services that packages add to its lines, as dh_installnss does with sed.

use hah_format::path::TreePath;

use super::{ConfigureError, Target, path};
use crate::scripts::{NssPosition, NssService};

/// The pass.
pub(super) fn run(target: &mut Target<'_>) -> Result<(), ConfigureError> {
    let at = path("etc/nsswitch.conf")?;
    if target.provenance.is_from_recipe(&at) {
        return Ok(());
    }
    let Some(mut text) = first_of(target, &[&at, &path("usr/share/libc-bin/nsswitch.conf")?])? else { return Ok(()) };
    for wanted in &target.effects.nss {
        text = with_service(&text, &wanted.what);
    }
    target.put(&at, text)
}

fn first_of(target: &Target<'_>, paths: &[&TreePath]) -> Result<Option<String>, ConfigureError> {
    for path in paths {
        if let Some(text) = target.read_text(path)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

/// `text` with `service` in the line of its database, unless it is there or its neighbour is not.
fn with_service(text: &str, service: &NssService) -> String {
    let mut out = String::with_capacity(text.len() + service.service.len() + 1);
    for line in text.lines() {
        match line.strip_prefix(&*service.database).and_then(|rest| rest.strip_prefix(':')) {
            Some(rest) => out.push_str(&edited(line, rest, service)),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn edited(line: &str, rest: &str, service: &NssService) -> String {
    let (list, comment) = rest.split_once('#').map_or((rest, None), |(list, comment)| (list, Some(comment)));
    // A word in brackets belongs to the service before it.
    let mut services: Vec<String> = Vec::new();
    for word in list.split_ascii_whitespace() {
        match services.last_mut() {
            Some(last) if word.starts_with('[') || (last.contains('[') && !last.ends_with(']')) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => services.push(word.to_owned()),
        }
    }
    let name = |entry: &str| entry.split(' ').next().unwrap_or_default().to_owned();
    if services.iter().any(|entry| name(entry) == name(&service.service)) {
        return line.to_owned();
    }
    let place_of = |wanted: &str| services.iter().position(|entry| name(entry) == *wanted);
    let place = match &service.position {
        NssPosition::First => Some(0),
        NssPosition::Last => Some(services.len()),
        NssPosition::Before(other) => place_of(other),
        NssPosition::After(other) => place_of(other).map(|place| place + 1),
    };
    let Some(place) = place else { return line.to_owned() };
    services.insert(place, service.service.to_string());
    let gap = &list[..list.len() - list.trim_start().len()];
    let comment = comment.map_or_else(String::new, |comment| format!(" #{comment}"));
    format!("{}:{gap}{}{comment}", service.database, services.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_find_their_place() {
        let add = |text: &str, service: &str, position| {
            with_service(text, &NssService { database: "hosts".into(), service: service.into(), position })
        };
        let table = [
            (
                "hosts:          files dns\n",
                "resolve [!UNAVAIL=return]",
                NssPosition::Before("dns".into()),
                "hosts:          files resolve [!UNAVAIL=return] dns\n",
            ),
            (
                "hosts: files dns # x\n",
                "myhostname",
                NssPosition::After("files".into()),
                "hosts: files myhostname dns # x\n",
            ),
            (
                "hosts: files [NOTFOUND=return] dns\n",
                "a",
                NssPosition::After("files".into()),
                "hosts: files [NOTFOUND=return] a dns\n",
            ),
            ("hosts: files\n", "a", NssPosition::Before("dns".into()), "hosts: files\n"),
            ("hosts: a files\n", "a", NssPosition::Last, "hosts: a files\n"),
            ("passwd: files\nhosts: files\n", "a", NssPosition::First, "passwd: files\nhosts: a files\n"),
        ];
        for (text, service, position, want) in table {
            assert_eq!(add(text, service, position), want);
        }
    }
}
