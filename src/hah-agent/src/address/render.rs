//! The files that depend on the address.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use hah_node::address::{ADDRESS, HOST, TEMPLATES};
use hah_node::host;

use super::Error;
use crate::durable;

/// How deep directories may nest.
const DEPTH_MAX: usize = 8;

/// Writes every file to its place; the names of the units that read them.
pub(super) fn all(root: &Path, address: IpAddr) -> Result<Vec<String>, Error> {
    let templates = root.join(TEMPLATES.trim_start_matches('/'));
    let mut units = Vec::new();
    for unit in names(&templates)? {
        directory(&templates.join(&unit), root, (address, DEPTH_MAX))?;
        units.push(unit);
    }
    Ok(units)
}

fn directory(from: &Path, to: &Path, (address, depth): (IpAddr, usize)) -> Result<(), Error> {
    for name in names(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            if depth > 0 {
                directory(&from, &to, (address, depth - 1))?;
            }
            continue;
        }
        let text = fs::read_to_string(&from).map_err(|source| Error::Read { path: from, source })?;
        let text = text.replace(ADDRESS, &address.to_string()).replace(HOST, &host::in_url(address));
        // Another boot may have left it as it is to be: nothing is written then, and no program is made to look.
        if fs::read(&to).is_ok_and(|old| old == text.as_bytes()) {
            continue;
        }
        let write = || {
            fs::create_dir_all(to.parent().unwrap_or(Path::new("/")))?;
            durable::write(&to, text.as_bytes(), 0o644)
        };
        write().map_err(|source| Error::Write { path: to.clone(), source })?;
    }
    Ok(())
}

/// The names in a directory, in order; none without the directory.
fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Read { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let names: io::Result<Vec<String>> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names.map_err(failed)?;
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_hosts_of_urls() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join("usr/share/hah/address").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let get = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
        assert_eq!(all(root.path(), "10.0.0.1".parse().unwrap()).unwrap(), [""; 0]);
        put("vault.service/etc/vault.d/address.json", r#"{"api_addr": "http://@HOST@:8200"}"#);
        put("consul.service/etc/consul.d/address.json", r#"{"client_addr": "127.0.0.1 @ADDRESS@"}"#);
        let units = all(root.path(), "10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(units, ["consul.service", "vault.service"]);
        assert_eq!(get("etc/vault.d/address.json"), r#"{"api_addr": "http://10.0.0.1:8200"}"#);
        all(root.path(), "fd00:0::1".parse().unwrap()).unwrap();
        assert_eq!(get("etc/vault.d/address.json"), r#"{"api_addr": "http://[fd00::1]:8200"}"#);
        assert_eq!(get("etc/consul.d/address.json"), r#"{"client_addr": "127.0.0.1 fd00::1"}"#);
    }
}
