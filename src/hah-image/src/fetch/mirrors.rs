//! Which places may have a file, and in which order they are asked.
//!
//! The order is that of the calls to [`Mirrors::add`]: flags, then settings files, then the host's own apt sources; the
//! snapshot archive comes last, since it keeps everything and is slow.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use hah_plan::system::Archive;
use reqwest::Url;

use super::Source;
use super::apt_conf::AptConf;
use super::apt_sources;
use super::route::{AptEnvironment, Directed, Route};
use crate::calendar::stamp;

/// The archive that keeps every version; addressed by archive and time.
const SNAPSHOT: &str = "https://snapshot.debian.org/archive";

/// Where archives are found.
#[derive(Clone, Debug)]
pub struct Mirrors {
    known: BTreeMap<String, Vec<Mirror>>,
    snapshot: Option<Place>,
}

/// One mirror of one archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    base: Place,
    told_by: String,
    directed: Directed,
}

/// A directory, near or far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `http` or `https`.
    Http(Url),
    /// A local directory or file.
    Local(PathBuf),
    /// Something that is neither, kept for the message.
    Odd(String),
}

/// A file at one mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) place: Place,
    pub(super) told_by: String,
    pub(super) route: Route,
}

/// Not the address of a mirror.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mirror: expected an http, https or file URL, or an absolute path")]
pub struct MirrorError(String);

impl MirrorError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        "write it as --mirror debian=http://HOST/debian or --mirror debian=/path/to/debian"
    }
}

impl Default for Mirrors {
    fn default() -> Self {
        Self::new()
    }
}

impl Mirrors {
    /// No mirror but the snapshot archive.
    pub fn new() -> Self {
        Self { known: BTreeMap::new(), snapshot: Place::parse(SNAPSHOT).ok() }
    }

    /// Puts another archive, laid out like the snapshot archive, in its place.
    pub fn set_snapshot(&mut self, base: &str) -> Result<(), MirrorError> {
        self.snapshot = Some(Place::parse(base)?);
        Ok(())
    }

    /// Adds a mirror of `archive`, to be asked after those that were added before. `told_by` is for messages.
    /// What is there already is not added again.
    pub fn add(&mut self, archive: &str, base: &str, told_by: impl fmt::Display) -> Result<(), MirrorError> {
        self.add_directed(archive, base, told_by, |_| Directed::by_environment())
    }

    fn add_directed(
        &mut self,
        archive: &str,
        base: &str,
        told_by: impl fmt::Display,
        directed: impl FnOnce(&Url) -> Directed,
    ) -> Result<(), MirrorError> {
        let base = Place::parse(base)?;
        let directed = match &base {
            Place::Http(url) => directed(url),
            Place::Local(_) | Place::Odd(_) => Directed::by_environment(),
        };
        let mirror = Mirror { base, told_by: told_by.to_string(), directed };
        let mirrors = self.known.entry(archive.to_owned()).or_default();
        if mirrors.iter().all(|known| known.base != mirror.base) {
            mirrors.push(mirror);
        }
        Ok(())
    }

    /// Adds the mirrors that the apt sources below `directory` (`/etc/apt`) name for `debian` and `debian-security`, with
    /// the proxies that apt's configuration there names for them.
    /// A host without apt, or with sources that cannot be read, has none.
    pub fn add_apt_sources(&mut self, directory: &Path, environment: &AptEnvironment) {
        let conf = AptConf::read(directory, environment.apt_config.as_deref());
        for found in apt_sources::read(directory) {
            let directed = |url: &Url| Directed::by_apt(url, &conf, environment);
            // What apt can use and this program cannot (cdrom, tor) is apt's business.
            let _ = self.add_directed(&found.archive, &found.base, found.file.display(), directed);
        }
    }

    /// `mirrors.NAME`, address and origin of each mirror, and of the proxy that its origin names with it.
    pub fn rows(&self) -> Vec<(String, String, String)> {
        let mut rows = Vec::new();
        for (archive, mirror) in self.known.iter().flat_map(|(archive, all)| all.iter().map(move |one| (archive, one)))
        {
            rows.push((format!("mirrors.{archive}"), mirror.base.to_string(), mirror.told_by.clone()));
            if let Some(told_by) = &mirror.directed.told_by {
                let row = (format!("proxies.{}", mirror.base), mirror.directed.route.to_string(), told_by.clone());
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// The addresses known for `archive`, in order, as text without a trailing slash.
    pub fn bases(&self, archive: &str) -> impl Iterator<Item = String> {
        self.known.get(archive).into_iter().flatten().map(|mirror| mirror.base.to_string())
    }

    /// Where to ask for `source`, in order.
    pub(super) fn candidates(&self, source: &Source) -> Vec<Candidate> {
        match source {
            Source::Debian { archive, path, snapshot } => {
                let mut candidates: Vec<Candidate> = self
                    .known
                    .get(archive)
                    .into_iter()
                    .flatten()
                    .map(|mirror| mirror.candidate(mirror.base.join(path)))
                    .collect();
                candidates.extend(snapshot.and_then(|time| self.snapshot(archive, path, time)));
                candidates
            }
            Source::Release { mirror, url } => {
                let own = || Place::parse(url).unwrap_or_else(|_| Place::Odd(url.clone()));
                let path = release_path(url);
                let mirrors = mirror.as_ref().and_then(|name| self.known.get(name)).into_iter().flatten();
                let mirrored = mirrors
                    .map(|mirror| mirror.candidate(path.as_ref().map_or_else(own, |path| mirror.base.join(path))));
                mirrored.chain([Candidate::new(own(), "its URL")]).collect()
            }
            Source::Urls(urls) => urls
                .iter()
                .map(|url| {
                    let place = Place::parse(url).unwrap_or_else(|_| Place::Odd(url.clone()));
                    Candidate::new(place, "its URL")
                })
                .collect(),
        }
    }
}

impl Mirrors {
    /// The file as `archive` had it at `time`. Only Debian's archives are kept.
    pub(super) fn snapshot(&self, archive: &str, path: &str, time: u64) -> Option<Candidate> {
        if !Archive::ALL.iter().any(|kept| kept.as_str() == archive) {
            return None;
        }
        let place = self.snapshot.as_ref()?.join(&format!("{archive}/{}/{path}", stamp(time)));
        Some(Candidate::new(place, "snapshot archive"))
    }
}

/// The path of a URL, decoded, as it is found below a mirror.
fn release_path(url: &str) -> Option<String> {
    let path = Url::parse(url).ok()?;
    // A file URL's path is decoded on the way; of every other URL the path alone counts.
    let decoded = Url::parse(&format!("file://{}", path.path())).ok()?.to_file_path().ok()?;
    Some(decoded.to_str()?.trim_start_matches('/').to_owned())
}

impl Mirror {
    /// The file at `place`, which is of this mirror. A proxy is named with the mirror: it may be what does not work.
    fn candidate(&self, place: Place) -> Candidate {
        let Directed { route, told_by } = &self.directed;
        let told_by = match (route, told_by) {
            (Route::Proxy(_) | Route::Ask(_), Some(by)) => format!("{}; proxy: {route}, {by}", self.told_by),
            _ => self.told_by.clone(),
        };
        Candidate { place, told_by, route: route.clone() }
    }
}

impl Candidate {
    /// A file of this machine.
    pub(super) fn local(path: PathBuf, told_by: &str) -> Self {
        Self::new(Place::Local(path), told_by)
    }

    /// By the route that the environment names.
    fn new(place: Place, told_by: &str) -> Self {
        Self { place, told_by: told_by.to_owned(), route: Route::Environment }
    }

    pub(super) fn url(&self) -> String {
        self.place.to_string()
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, MirrorError> {
        let error = || MirrorError(text.to_owned());
        if Path::new(text).is_absolute() {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        let url = Url::parse(text.trim_end_matches('/')).map_err(|_| error())?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self::Http(url)),
            "file" => url.to_file_path().map(Self::Local).map_err(|()| error()),
            _ => Err(error()),
        }
    }

    /// `path` below this place. A path that climbs out of it leads nowhere.
    fn join(&self, path: &str) -> Self {
        let climbs = path.split('/').any(|part| matches!(part, ".." | "." | ""));
        match self {
            _ if climbs => Self::Odd(format!("{self}/{path}")),
            Self::Http(base) => {
                let mut url = base.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.pop_if_empty().extend(path.split('/'));
                }
                Self::Http(url)
            }
            Self::Local(base) => Self::Local(base.join(path)),
            Self::Odd(base) => Self::Odd(format!("{base}/{path}")),
        }
    }
}

/// As people write it, without a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) if url.password().is_some() => {
                let mut url = url.clone();
                // Only URLs without a host have no place for a password, and those are not ours.
                let _ = url.set_password(None);
                f.write_str(url.as_str().trim_end_matches('/'))
            }
            Self::Http(url) => f.write_str(url.as_str().trim_end_matches('/')),
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Odd(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(mirrors: &Mirrors, source: &Source) -> Vec<String> {
        mirrors.candidates(source).iter().map(Candidate::url).collect()
    }

    #[test]
    fn the_order_is_flag_config_apt_snapshot() {
        let apt = tempfile::tempdir().unwrap();
        std::fs::create_dir(apt.path().join("sources.list.d")).unwrap();
        let sources = "Types: deb\nURIs: http://c.example/debian/\nSuites: x\nComponents: main\n";
        std::fs::write(apt.path().join("sources.list.d/debian.sources"), sources).unwrap();
        let mut mirrors = Mirrors::new();
        mirrors.add("debian", "file:///a/debian", "--mirror").unwrap();
        mirrors.add("debian", "https://user:secret@b.example/debian", "config").unwrap();
        mirrors.add("debian", "/a/debian", "config").unwrap();
        mirrors.add_apt_sources(apt.path(), &AptEnvironment::default());
        let source = Source::Debian {
            archive: "debian".into(),
            path: "pool/b/b++_1~2.deb".into(),
            snapshot: Some(1_754_742_896),
        };
        assert_eq!(
            urls(&mirrors, &source),
            [
                "/a/debian/pool/b/b++_1~2.deb",
                "https://user@b.example/debian/pool/b/b++_1~2.deb",
                "http://c.example/debian/pool/b/b++_1~2.deb",
                "https://snapshot.debian.org/archive/debian/20250809T123456Z/pool/b/b++_1~2.deb",
            ]
        );
        let other = Source::Debian { archive: "debian-security".into(), path: "p".into(), snapshot: None };
        assert_eq!(urls(&mirrors, &other), [""; 0]);
        assert_eq!(mirrors.bases("debian").next().unwrap(), "/a/debian");
    }

    #[test]
    fn a_mirror_takes_the_place_of_scheme_and_host() {
        let mut mirrors = Mirrors::new();
        mirrors.add("hashicorp", "file:///srv/releases/", "config").unwrap();
        mirrors.add("hashicorp", "http://m.example/hashicorp", "config").unwrap();
        let url = "https://releases.example/nomad/2.0.4%2Bent/nomad_2.0.4+ent.zip?x=y";
        let source = |mirror: Option<&str>| Source::Release { mirror: mirror.map(str::to_owned), url: url.to_owned() };
        assert_eq!(
            urls(&mirrors, &source(Some("hashicorp"))),
            [
                "/srv/releases/nomad/2.0.4+ent/nomad_2.0.4+ent.zip",
                "http://m.example/hashicorp/nomad/2.0.4+ent/nomad_2.0.4+ent.zip",
                url,
            ]
        );
        assert_eq!(urls(&mirrors, &source(None)), [url]);
        assert_eq!(urls(&mirrors, &source(Some("other"))), [url]);
    }

    #[test]
    fn hostile_paths_lead_nowhere() {
        let mut mirrors = Mirrors::new();
        mirrors.add("debian", "/srv/debian", "--mirror").unwrap();
        mirrors.add("debian", "http://m.example/debian", "--mirror").unwrap();
        for path in ["../../etc/passwd", "/etc/passwd", "pool/../x", "pool//x"] {
            let source = Source::Debian { archive: "debian".into(), path: path.into(), snapshot: None };
            assert!(mirrors.candidates(&source).iter().all(|c| matches!(c.place, Place::Odd(_))), "{path}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in ["", "debian", "ftp://m.example/debian", "cdrom:[x]/", "http://", "../relative"] {
            assert!(Mirrors::new().add("debian", text, "--mirror").is_err(), "{text}");
        }
    }
}
