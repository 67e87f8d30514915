//! Which way to a mirror: straight, or through the proxy that apt's configuration names for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};

use reqwest::Url;

use super::apt_conf::{AptConf, Told};
use crate::programs;

/// What counts besides apt's files, where apt looks, too.
#[derive(Clone, Debug, Default)]
pub struct AptEnvironment {
    /// `APT_CONFIG`.
    pub apt_config: Option<PathBuf>,
    /// `no_proxy`: ends of host names, with commas between them. It beats apt's configuration, as in apt.
    pub no_proxy: Option<String>,
}

/// The way to a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// As `http_proxy` and its like say.
    Environment,
    /// Without a proxy.
    Direct,
    /// Through this one.
    Proxy(Url),
    /// Through the one that a program names when it is first needed.
    Ask(Arc<Question>),
}

/// A program to ask for a proxy, and its answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    program: PathBuf,
    /// `http://mirror.example`: the program's only argument.
    site: String,
    /// The route if it says nothing.
    otherwise: Route,
    answer: OnceLock<Route>,
}

/// A route, and who says so; nobody for that of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directed {
    pub(super) route: Route,
    pub(super) told_by: Option<String>,
}

impl Directed {
    /// The route of what is not apt's.
    pub(super) fn by_environment() -> Self {
        Self { route: Route::Environment, told_by: None }
    }

    /// apt's route to `url`.
    pub(super) fn by_apt(url: &Url, conf: &AptConf, environment: &AptEnvironment) -> Self {
        let Some(host) = url.host_str() else { return Self::by_environment() };
        let Some((told, place)) = conf.proxy(url.scheme(), host) else { return Self::by_environment() };
        let listed = environment.no_proxy.as_deref().unwrap_or_default();
        if names_host(listed, host) {
            return Self { route: Route::Direct, told_by: Some("environment no_proxy".to_owned()) };
        }
        let plain = |told: Told| match told {
            Told::Direct => Some(Route::Direct),
            Told::Proxy(text) => Url::parse(&text).ok().filter(Url::has_host).map(Route::Proxy),
            Told::Ask(_) => None,
        };
        let route = match told {
            Told::Ask(program) => {
                let otherwise = conf.general_proxy(url.scheme()).and_then(|(told, _)| plain(told));
                Some(Route::Ask(Arc::new(Question {
                    program,
                    site: url.origin().ascii_serialization(),
                    otherwise: otherwise.unwrap_or(Route::Environment),
                    answer: OnceLock::new(),
                })))
            }
            told => plain(told),
        };
        // What is no address is no proxy; apt says so whenever it runs.
        route.map_or_else(Self::by_environment, |route| Self { route, told_by: Some(place.to_string()) })
    }
}

/// Whether `host` ends in one of the names of `no_proxy`, as apt compares them.
fn names_host(no_proxy: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    no_proxy.split(',').map(str::trim).any(|name| !name.is_empty() && host.ends_with(&name.to_ascii_lowercase()))
}

impl Route {
    /// The route itself, for which a program may have to be asked.
    pub(super) fn resolved(&self) -> &Self {
        match self {
            Self::Ask(question) => question.answer(),
            plain => plain,
        }
    }
}

impl Question {
    /// What the program says, once. As in apt: an address, `DIRECT`, or nothing.
    fn answer(&self) -> &Route {
        self.answer.get_or_init(|| {
            let said = ask(&self.program, &self.site).unwrap_or_default();
            match said.as_str() {
                "DIRECT" => Route::Direct,
                text => Url::parse(text)
                    .ok()
                    .filter(Url::has_host)
                    .map_or_else(|| self.otherwise.resolved().clone(), Route::Proxy),
            }
        })
    }
}

/// The first line that the program writes, if it ends well.
fn ask(program: &Path, site: &str) -> Option<String> {
    let output = programs::command(program).arg(site).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// For people, without a password.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("as http_proxy says"),
            Self::Direct => f.write_str("DIRECT"),
            Self::Proxy(url) => {
                let mut url = url.clone();
                if url.password().is_some() {
                    // Only addresses without a host have no place for a password, and those are not taken.
                    let _ = url.set_password(None);
                }
                f.write_str(url.as_str().trim_end_matches('/'))
            }
            Self::Ask(question) => write!(f, "what {} says", question.program.display()),
        }
    }
}

#[cfg(test)]
mod tests;
