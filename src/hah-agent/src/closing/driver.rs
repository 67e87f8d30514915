//! Runs the machine: on one thread, one question at a time, with the watchdog fed in between.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hah_node::closing::{self, Loop};
use hah_node::paths;
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;
use sha2::{Digest as _, Sha256};

use super::api::{Api, JobText};
use super::http::AddressError;
use super::machine::{Action, Event, Now, Settings, State, step};
use super::pace::Millis;
use super::publish::Publisher;
use super::reply;
use super::words::{Program, Unmet};

/// The longest configuration or job file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// How often the watchdog is fed when systemd does not say.
const ALIVE: Duration = Duration::from_secs(30);

/// How `hah-agent loop` was called. Everything but the defaults is for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Stands for `/` before every path that the loop reads or writes.
    pub(crate) root: PathBuf,
    /// Instead of the hostname.
    pub(crate) node: Option<String>,
    /// Time runs so many times faster: delays and timeouts are divided by it.
    pub(crate) hurry: u32,
}

impl Options {
    /// Reads the words behind `loop`; nothing when they make no sense.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let mut options = Self { root: PathBuf::from("/"), node: None, hurry: 1 };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = words.next()?;
            match *word {
                "--root" => options.root = PathBuf::from(value),
                "--node" => options.node = Some((*value).to_owned()),
                "--hurry" => options.hurry = value.parse().ok().filter(|times| (1..=1000).contains(times))?,
                _ => return None,
            }
        }
        Some(options)
    }

    pub(crate) fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// Why the loop cannot start. Once it runs, nothing ends it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is no configuration of this agent's version: {source}", path = path.display())]
    Config { path: PathBuf, source: serde_json::Error },
    #[error("{path} has version {found}, and this agent reads {}; image and agent were not built together", closing::VERSION, path = path.display())]
    Version { path: PathBuf, found: u32 },
    #[error("{path}: {source}", path = path.display())]
    Address { path: PathBuf, source: AddressError },
    #[error("{path} cannot be submitted to Nomad: {why}", path = path.display())]
    Job { path: PathBuf, why: String },
    #[error("the runtime does not start: {0}")]
    Runtime(io::Error),
}

/// The clocks, as the machine gets them.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    started: Millis,
    hurry: u32,
}

impl Clock {
    pub(crate) fn new(hurry: u32) -> Self {
        Self { started: since_boot(), hurry }
    }

    pub(crate) fn now(self) -> Now {
        let running = since_boot().saturating_sub(self.started);
        let boot = self.started.saturating_add(running.saturating_mul(u64::from(self.hurry)));
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Now { boot, wall }
    }

    pub(crate) fn until(self, at: Millis) -> Duration {
        // One more than is left: a tick that comes too early would only have to be repeated.
        Duration::from_millis(at.saturating_sub(self.now().boot) / u64::from(self.hurry) + 1)
    }
}

/// Milliseconds since the kernel started, suspended ones included.
fn since_boot() -> Millis {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1000) + u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000_000
}

/// Runs the loop until the process is ended.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let path = options.below(closing::CONFIG);
    let config = read_config(&path)?;
    let job = config.job.as_ref().map(|path| read_job(options, path)).transpose()?;
    let node = options.node.clone().unwrap_or_else(hostname);
    let settings = Settings {
        node: node.clone(),
        consul: config.consul.expect,
        nomad: config.nomad.as_ref().map(|nomad| nomad.expect),
        job: match &job {
            Some(JobText::Api(job)) => Some(job.into()),
            Some(JobText::Hcl { .. }) | None => None,
        },
        hcl: matches!(job, Some(JobText::Hcl { .. })),
        submit: config.submit && config.nomad.is_some() && job.is_some(),
        resubmit: config.resubmit,
        vault: config.vault.is_some(),
        closed: config.closed,
        holds: config.closed && options.below(paths::SETUP).exists(),
        #[cfg(test)]
        mutation: None,
    };
    let api = Api::new(&config, job, (&options.root, &node), options.hurry)
        .map_err(|source| Error::Address { path, source })?;
    let publisher = Publisher::new(options, &config, node);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    runtime.block_on(drive(&settings, api, publisher, Clock::new(options.hurry)));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    use io::Read;
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

pub(crate) fn read_config(path: &Path) -> Result<Loop, Error> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let text = read(path)?;
    let failed = |source| Error::Config { path: path.to_owned(), source };
    // The version first: a later one may have fields that this one does not know.
    let Version { version } = serde_json::from_slice(&text).map_err(failed)?;
    if version != closing::VERSION {
        return Err(Error::Version { path: path.to_owned(), found: version });
    }
    serde_json::from_slice(&text).map_err(failed)
}

/// Reads the job. Where the build could not make the JSON, [`closing::hcl_of`] names the same job as HCL.
fn read_job(options: &Options, path: &str) -> Result<JobText, Error> {
    let given = options.below(path);
    let (file, text) = match (read(&given), closing::hcl_of(path)) {
        (Err(Error::Read { source, .. }), Some(hcl)) if source.kind() == io::ErrorKind::NotFound => {
            let hcl = options.below(&hcl);
            let text = read(&hcl)?;
            (hcl, text)
        }
        (text, _) => (given, text?),
    };
    let refused = |why: String| Error::Job { path: file.clone(), why };
    let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    if file.extension().is_some_and(|extension| extension == "json") {
        return reply::job_file(&text, &digest).map(JobText::Api).map_err(|why| refused(why.to_string()));
    }
    let text = String::from_utf8(text).map_err(|_| refused("it is not UTF-8".to_owned()))?;
    Ok(JobText::Hcl { text, digest })
}

pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(crate) fn seed() -> u64 {
    let mut seed = [0; 8];
    // Without random numbers agents start at the same moment, which costs them a lost race and no more.
    let _ = getrandom(&mut seed[..], GetRandomFlags::NONBLOCK);
    u64::from_ne_bytes(seed)
}

async fn drive(settings: &Settings, mut api: Api, mut publisher: Publisher, clock: Clock) {
    let mut state = State::new(seed(), clock.now());
    let mut event = Event::Tick;
    publisher.publish(&state, clock.now());
    tell_systemd(&[NotifyState::Ready]);
    loop {
        let before = state.transitions;
        let (next, actions) = step(settings, state, event, clock.now());
        state = next;
        let (mut question, mut wake, mut ended) = (None, 0, false);
        for action in actions {
            match action {
                Action::Ask(number, what) => question = Some((number, what)),
                Action::Wake(at) => wake = at,
                Action::Say(said) => publisher.say(&state, &said),
                Action::Publish => ended = true,
            }
        }
        if ended || state.transitions != before {
            publisher.publish(&state, clock.now());
        }
        if ended && !matches!(state.waiting, Some(Unmet::Silent(Program::Consul, _))) {
            let (passing, text) = publisher.check(&state);
            let reported = alive(api.report(passing, &text)).await;
            publisher.reported(reported.err().map(|why| why.0));
        }
        event = match question {
            Some((number, what)) => Event::Reply(number, alive(api.ask(&what, clock.now().wall)).await),
            None => {
                alive(tokio::time::sleep(clock.until(wake))).await;
                Event::Tick
            }
        };
    }
}

/// Waits for something, and feeds systemd's watchdog meanwhile: it sees that the loop turns, however slow the answers.
async fn alive<T>(future: impl Future<Output = T>) -> T {
    let period = sd_notify::watchdog_enabled().map_or(ALIVE, |limit| limit / 3);
    let mut future = pin!(future);
    loop {
        tell_systemd(&[NotifyState::Watchdog]);
        if let Ok(done) = tokio::time::timeout(period, future.as_mut()).await {
            return done;
        }
    }
}

/// Tells systemd, if it started us.
pub(crate) fn tell_systemd(state: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and nothing else to do about a failure.
    let _ = sd_notify::notify(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let parse = |words: &str| Options::parse(&words.split_whitespace().collect::<Vec<&str>>());
        assert_eq!(parse("").unwrap().below("/etc/hah/loop.json"), Path::new("/etc/hah/loop.json"));
        let all = parse("--root /tmp/x --node n1 --hurry 20").unwrap();
        assert_eq!(all, Options { root: "/tmp/x".into(), node: Some("n1".to_owned()), hurry: 20 });
        assert_eq!(all.below("/run/hah"), Path::new("/tmp/x/run/hah"));
        for bad in ["--root", "--hurry 0", "--hurry fast", "--what 1", "now"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn configurations_that_are_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("loop.json");
        let failure = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_config(&path).unwrap_err().to_string().replace(&path.display().to_string(), "loop.json")
        };
        assert_eq!(
            failure(r#"{"version":2,"more":true}"#),
            "loop.json has version 2, and this agent reads 1; image and agent were not built together"
        );
        assert!(failure(r#"{"version":1,"consul":{}}"#).starts_with("loop.json is no configuration"));
        assert!(failure("").starts_with("loop.json is no configuration"));
    }
}
