//! Settings: flags, environment and files, read once and resolved to plain values with their origin.
//!
//! Precedence: flag > environment (`HAH_IMAGE_*`) > project (`hah-image.toml`) > user
//! (`$XDG_CONFIG_HOME/hah-image/config.toml`) > default. `hah-image config show` prints the result.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hah_node::identity::Secret;
use hah_plan::line_ends;
use serde::Deserialize;

use crate::files::{self, FileError};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A file of the project or the user.
    File(PathBuf),
    /// Built in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// What the flags said, before environment and files. `None` is "not given".
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `--offline`.
    pub offline: Option<bool>,
    /// `--jobs`.
    pub jobs: Option<usize>,
    /// `--mirror NAME=URL`.
    pub mirrors: Vec<(String, String)>,
    /// `--keyring FILE`.
    pub keyrings: Vec<PathBuf>,
    /// `--agent`.
    pub agent: Option<PathBuf>,
}

/// Everything that can be configured outside recipes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the store is to be, if there is a place for it; see [`Settings::cache_dir`].
    cache: Option<Sourced<PathBuf>>,
    /// Whether the network is forbidden.
    pub offline: Sourced<bool>,
    /// Threads and simultaneous downloads.
    pub jobs: Sourced<usize>,
    /// Mirrors by archive name, in order of preference.
    pub mirrors: BTreeMap<String, Vec<Sourced<String>>>,
    /// OpenPGP key files that are believed besides the embedded ones, for private archives.
    pub keyrings: Vec<Sourced<PathBuf>>,
    /// The agent's binary, when not the embedded one.
    pub agent: Option<Sourced<PathBuf>>,
    /// Values of `HAH_IMAGE_*`, `NO_COLOR` and the like that other modules need.
    pub environment: Environment,
}

/// The environment variables that this program reads. Each is documented here and nowhere else.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NO_COLOR`: no colour when set and not empty (no-color.org).
    pub no_color: bool,
    /// `CI`: no live progress when set and not empty.
    pub ci: bool,
    /// `HAH_IMAGE_NO_PROGRESS`: likewise.
    pub no_progress: bool,
    /// `TERM`; `dumb` has neither colour nor progress.
    pub term: Option<String>,
    /// `HOME`; none when it is relative.
    pub home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`; none when it is relative, as the XDG Base Directory Specification says.
    pub xdg_cache: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`; likewise.
    pub xdg_config: Option<PathBuf>,
    /// `HAH_IMAGE_CACHE_DIR`: the store.
    pub cache_dir: Option<PathBuf>,
    /// `HAH_IMAGE_OFFLINE`: `1`, `true`, `yes` or `on` forbids the network; `0`, `false`, `no` or `off` does not.
    pub offline: Option<bool>,
    /// `HAH_IMAGE_JOBS`: threads, from 1.
    pub jobs: Option<usize>,
    /// `HAH_IMAGE_AGENT`: the agent's binary.
    pub agent: Option<PathBuf>,
    /// `HAH_IMAGE_PASSPHRASE`: opens `secrets.age`.
    pub passphrase: Option<Secret>,
    /// `HAH_IMAGE_AGE_IDENTITY`: a file of age keys that opens `secrets.age`.
    pub age_identity: Option<PathBuf>,
    /// `PATH`, to find QEMU for `run`.
    pub path: Option<std::ffi::OsString>,
    /// `no_proxy`: hosts that apt's proxies are not for. The HTTP client reads its own variables: `http_proxy`, `https_proxy`,
    /// `all_proxy`, `no_proxy`.
    pub no_proxy: Option<String>,
    /// `APT_CONFIG`: a file that apt reads before its own, for its proxies.
    pub apt_config: Option<PathBuf>,
    /// `SSH_AUTH_SOCK`: whether there is an SSH agent, whose keys `init` offers.
    pub ssh_auth_sock: Option<PathBuf>,
    /// The first variable whose value means nothing, and what it takes.
    pub wrong: Option<(&'static str, &'static str)>,
}

impl Environment {
    /// Reads the process's environment, once. An empty variable counts as one that is not set.
    #[expect(clippy::disallowed_methods, reason = "this is the doorway")]
    pub fn read() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| var(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| var(name).map(PathBuf::from);
        let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
        let offline = var("HAH_IMAGE_OFFLINE").map(|value| match value.to_str() {
            Some("1" | "true" | "yes" | "on") => Some(true),
            Some("0" | "false" | "no" | "off") => Some(false),
            _ => None,
        });
        let jobs = var("HAH_IMAGE_JOBS")
            .map(|value| value.to_str().and_then(|text| text.parse().ok()).filter(|jobs: &usize| *jobs > 0));
        let passphrase = var("HAH_IMAGE_PASSPHRASE").map(|value| value.into_string().ok());
        let wrong = [
            (offline == Some(None), "HAH_IMAGE_OFFLINE", "1 or 0"),
            (jobs == Some(None), "HAH_IMAGE_JOBS", "a number from 1"),
            (passphrase == Some(None), "HAH_IMAGE_PASSPHRASE", "UTF-8"),
        ];
        let wrong = wrong.into_iter().find_map(|(is_wrong, name, wanted)| is_wrong.then_some((name, wanted)));
        Self {
            no_color: var("NO_COLOR").is_some(),
            ci: var("CI").is_some(),
            no_progress: var("HAH_IMAGE_NO_PROGRESS").is_some(),
            term: text("TERM"),
            home: absolute("HOME"),
            xdg_cache: absolute("XDG_CACHE_HOME"),
            xdg_config: absolute("XDG_CONFIG_HOME"),
            cache_dir: path("HAH_IMAGE_CACHE_DIR"),
            offline: offline.flatten(),
            jobs: jobs.flatten(),
            agent: path("HAH_IMAGE_AGENT"),
            passphrase: passphrase.flatten().map(Secret::new),
            age_identity: path("HAH_IMAGE_AGE_IDENTITY"),
            path: var("PATH"),
            no_proxy: text("no_proxy"),
            apt_config: path("APT_CONFIG"),
            ssh_auth_sock: path("SSH_AUTH_SOCK"),
            wrong,
        }
    }
}

/// A settings file: `hah-image.toml` of a project, or the user's `config.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SettingsFile {
    cache_dir: Option<PathBuf>,
    offline: Option<bool>,
    jobs: Option<usize>,
    agent: Option<PathBuf>,
    #[serde(default)]
    mirrors: BTreeMap<String, OneOrMany>,
    #[serde(default)]
    archives: ArchivesTable,
}

/// `[archives]` of a settings file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ArchivesTable {
    /// Key files, relative to the settings file.
    #[serde(default)]
    keyrings: Vec<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The settings could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not say what it should.
    #[error("{}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: toml::de::Error,
    },
    /// A variable of the environment has a value that means nothing. The value may be a secret and is not shown.
    #[error("the environment variable {name} takes {wanted}")]
    Variable {
        /// Which.
        name: &'static str,
        /// What it takes.
        wanted: &'static str,
    },
    /// There is neither `--cache-dir` nor a home.
    #[error("there is no place for the cache: HOME and XDG_CACHE_HOME are unset, empty or relative")]
    NoCacheDir,
    /// The home directory is not there. Whoever lacks one does not want it made: a system account, a build sandbox.
    #[error("there is no place for the cache: HOME is {}, and there is no such directory", .0.display())]
    NoHome(PathBuf),
}

impl SettingsError {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            Self::Parse { .. } => None,
            Self::Variable { .. } => Some("set it to that, or unset it"),
            Self::NoCacheDir | Self::NoHome(_) => {
                Some("name one with --cache-dir or HAH_IMAGE_CACHE_DIR, or set HOME to a directory that is there")
            }
        }
    }
}

impl Settings {
    /// Resolves flags, environment and files. `project` is the project's directory.
    pub fn resolve(flags: Flags, environment: Environment, project: &Path) -> Result<Self, SettingsError> {
        if let Some((name, wanted)) = environment.wrong {
            return Err(SettingsError::Variable { name, wanted });
        }
        let user = environment
            .xdg_config
            .clone()
            .or_else(|| environment.home.as_ref().map(|home| home.join(".config")))
            .map(|config| config.join("hah-image/config.toml"));
        let mut files = Vec::new();
        for path in [Some(project.join("hah-image.toml")), user].into_iter().flatten() {
            if let Some(file) = read_file(&path)? {
                files.push((path, file));
            }
        }
        let cache = first(
            flags.cache_dir.map(|value| (value, Origin::Flag("--cache-dir"))),
            environment.cache_dir.clone().map(|value| (value, Origin::Environment("HAH_IMAGE_CACHE_DIR"))),
            from_file(&files, |file| file.cache_dir.as_ref()),
        )
        .or_else(|| {
            let cache =
                environment.xdg_cache.clone().or_else(|| environment.home.as_ref().map(|home| home.join(".cache")))?;
            Some(Sourced { value: cache.join("hah-image"), origin: Origin::Default })
        });
        let offline = first(
            flags.offline.map(|value| (value, Origin::Flag("--offline"))),
            environment.offline.map(|value| (value, Origin::Environment("HAH_IMAGE_OFFLINE"))),
            files.iter().find_map(|(path, file)| Some((file.offline?, Origin::File(path.clone())))),
        )
        .unwrap_or(Sourced { value: false, origin: Origin::Default });
        let jobs = first(
            flags.jobs.map(|value| (value, Origin::Flag("--jobs"))),
            environment.jobs.map(|value| (value, Origin::Environment("HAH_IMAGE_JOBS"))),
            files.iter().find_map(|(path, file)| Some((file.jobs?, Origin::File(path.clone())))),
        )
        .unwrap_or_else(|| Sourced {
            value: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            origin: Origin::Default,
        });
        let agent = first(
            flags.agent.map(|value| (value, Origin::Flag("--agent"))),
            environment.agent.clone().map(|value| (value, Origin::Environment("HAH_IMAGE_AGENT"))),
            from_file(&files, |file| file.agent.as_ref()),
        );
        let mut mirrors: BTreeMap<String, Vec<Sourced<String>>> = BTreeMap::new();
        let from_flags = flags.mirrors.into_iter().map(|(name, url)| (name, url, Origin::Flag("--mirror")));
        let from_files = files.iter().flat_map(|(path, file)| {
            file.mirrors.iter().flat_map(move |(name, urls)| {
                let urls = match urls {
                    OneOrMany::One(url) => std::slice::from_ref(url),
                    OneOrMany::Many(urls) => urls,
                };
                urls.iter().map(move |url| (name.clone(), url.clone(), Origin::File(path.clone())))
            })
        });
        for (name, value, origin) in from_flags.chain(from_files) {
            mirrors.entry(name).or_default().push(Sourced { value, origin });
        }
        let from_flags = flags.keyrings.into_iter().map(|value| Sourced { value, origin: Origin::Flag("--keyring") });
        let from_files = files.iter().flat_map(|(path, file)| {
            let origin = Origin::File(path.clone());
            file.archives.keyrings.iter().map(move |file| Sourced { value: beside(path, file), origin: origin.clone() })
        });
        let keyrings = from_flags.chain(from_files).collect();
        let jobs = Sourced { value: jobs.value.clamp(1, 256), origin: jobs.origin };
        Ok(Self { cache, offline, jobs, mirrors, keyrings, agent, environment })
    }

    /// Where the store is. Only what needs it asks, so that the other verbs work without.
    ///
    /// # Errors
    /// When there is no place for it: nobody named one, and there is no home directory.
    pub fn cache_dir(&self) -> Result<&Path, SettingsError> {
        let Some(Sourced { value, origin }) = &self.cache else { return Err(SettingsError::NoCacheDir) };
        match &self.environment.home {
            Some(home) if *origin == Origin::Default && value.starts_with(home) && !home.is_dir() => {
                Err(SettingsError::NoHome(home.clone()))
            }
            _ => Ok(value),
        }
    }

    /// `name = value  # origin` lines, for `config show`.
    pub fn rows(&self) -> Vec<(String, String, String)> {
        let cache = match (self.cache_dir(), &self.cache) {
            (Ok(path), Some(cache)) => (path.display().to_string(), cache.origin.to_string()),
            (Err(error), _) => ("none".to_owned(), error.to_string()),
            (Ok(_), None) => ("none".to_owned(), Origin::Default.to_string()),
        };
        let mut rows = vec![
            ("cache-dir".into(), cache.0, cache.1),
            ("offline".into(), self.offline.value.to_string(), self.offline.origin.to_string()),
            ("jobs".into(), self.jobs.value.to_string(), self.jobs.origin.to_string()),
        ];
        if let Some(agent) = &self.agent {
            rows.push(("agent".into(), agent.value.display().to_string(), agent.origin.to_string()));
        }
        for (name, mirrors) in &self.mirrors {
            rows.extend(
                mirrors
                    .iter()
                    .map(|mirror| (format!("mirrors.{name}"), mirror.value.clone(), mirror.origin.to_string())),
            );
        }
        rows.extend(self.keyrings.iter().map(|keyring| {
            ("archives.keyrings".to_owned(), keyring.value.display().to_string(), keyring.origin.to_string())
        }));
        rows
    }
}

fn first<T>(
    flag: Option<(T, Origin)>,
    environment: Option<(T, Origin)>,
    file: Option<(T, Origin)>,
) -> Option<Sourced<T>> {
    flag.or(environment).or(file).map(|(value, origin)| Sourced { value, origin })
}

/// A path of the first file that has it.
fn from_file(
    files: &[(PathBuf, SettingsFile)],
    get: impl Fn(&SettingsFile) -> Option<&PathBuf>,
) -> Option<(PathBuf, Origin)> {
    files.iter().find_map(|(path, file)| Some((beside(path, get(file)?), Origin::File(path.clone()))))
}

/// Paths in a settings file are relative to it, wherever the program is started.
fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new(".")).join(path)
}

fn read_file(path: &Path) -> Result<Option<SettingsFile>, SettingsError> {
    let text = match files::read_to_string(path) {
        Ok(text) => text,
        // HOME=/dev/null is how one says that there is none.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let parsed = toml::from_str(&line_ends::normalised(text));
    parsed.map(Some).map_err(|source| SettingsError::Parse { path: path.to_owned(), source })
}

impl crate::advice::Advised for SettingsError {
    fn hint(&self) -> Option<String> {
        Self::hint(self).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn environment(home: &Path) -> Environment {
        Environment { home: Some(home.to_owned()), ..Environment::default() }
    }

    #[test]
    fn precedence() {
        let home = tempfile::tempdir().unwrap();
        let project = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".config/hah-image")).unwrap();
        fs::write(home.path().join(".config/hah-image/config.toml"), "jobs = 3\noffline = true\n").unwrap();
        fs::write(project.path().join("hah-image.toml"), "jobs = 5\n[mirrors]\ndebian = \"http://m/debian\"\n")
            .unwrap();
        let settings = Settings::resolve(Flags::default(), environment(home.path()), project.path()).unwrap();
        assert_eq!((settings.jobs.value, settings.offline.value), (5, true));
        assert_eq!(settings.mirrors["debian"][0].value, "http://m/debian");
        let flags = Flags { jobs: Some(7), mirrors: vec![("debian".into(), "file:///m".into())], ..Flags::default() };
        let env = Environment { jobs: Some(6), ..environment(home.path()) };
        let settings = Settings::resolve(flags, env, project.path()).unwrap();
        assert_eq!((settings.jobs.value, settings.jobs.origin), (7, Origin::Flag("--jobs")));
        assert_eq!(settings.mirrors["debian"].len(), 2);
        assert_eq!(settings.mirrors["debian"][0].value, "file:///m");
    }

    #[test]
    fn keyrings_add_up_and_lie_beside_their_file() {
        let project = tempfile::tempdir().unwrap();
        fs::write(project.path().join("hah-image.toml"), "[archives]\nkeyrings = [\"keys/mine.gpg\", \"/k\"]\n")
            .unwrap();
        let flags = Flags { keyrings: vec!["flag.gpg".into()], ..Flags::default() };
        let settings = Settings::resolve(flags, environment(project.path()), project.path()).unwrap();
        let paths: Vec<&Path> = settings.keyrings.iter().map(|keyring| keyring.value.as_path()).collect();
        assert_eq!(paths, [Path::new("flag.gpg"), &project.path().join("keys/mine.gpg"), Path::new("/k")]);
    }

    #[test]
    fn a_typo_in_the_file_is_an_error() {
        let project = tempfile::tempdir().unwrap();
        fs::write(project.path().join("hah-image.toml"), "jbos = 5\n").unwrap();
        let error = Settings::resolve(Flags::default(), environment(project.path()), project.path()).unwrap_err();
        let text = crate::advice::chain(&error);
        assert!(text.contains("jbos"), "{text}");
    }
}
