//! One item from the places that may have it, and many items at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hah_format::digest::Sha256;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::mirrors::{Candidate, Place};
use super::partial::{Claim, Part};
use super::route::Route;
use super::transfer::{self, Length, Setback};
use super::{Document, Events, FetchError, FetchOptions, Item, Mode, Problem, Provenance, Tried, Unavailable};

/// So many items may be unavailable before the rest is given up.
const MAX_FAILURES: usize = 5;
/// Longest wait between attempts that the server has not asked for.
const MAX_DELAY: Duration = Duration::from_secs(20);
/// Bytes between two reports of progress.
const PROGRESS_STEP: u64 = 256 << 10;

/// What a download tells the caller's thread, by index of the item.
enum Message {
    Started(usize),
    Progress(usize, u64),
    Retrying(usize, String),
    Waiting(usize),
    Finished(usize, Option<String>),
}

/// What all downloads of one call share.
struct Job {
    options: FetchOptions,
    /// By route, made when they are first needed.
    clients: Mutex<BTreeMap<String, reqwest::Client>>,
    /// Hosts that have not answered at all.
    down: Mutex<BTreeSet<String>>,
    messages: mpsc::UnboundedSender<Message>,
}

/// Downloads the items at `missing`.
pub(super) fn run(
    options: &FetchOptions,
    items: &[Item],
    missing: &[usize],
    events: &dyn Events,
) -> Result<(), FetchError> {
    let relay = |message| match message {
        Message::Started(index) => events.started(&items[index]),
        Message::Progress(index, bytes) => events.progress(&items[index], bytes),
        Message::Retrying(index, why) => events.retrying(&items[index], &why),
        Message::Waiting(index) => events.waiting(&items[index]),
        Message::Finished(index, url) => {
            events.finished(&items[index], url.as_deref().map_or(Provenance::Cache, Provenance::Url));
        }
    };
    runtime(options)?.block_on(async {
        let (messages, mut inbox) = mpsc::unbounded_channel();
        let job = Arc::new(Job::new(options, messages));
        let permits = Arc::new(Semaphore::new(options.jobs.get()));
        let mut tasks = JoinSet::new();
        for index in missing.iter().copied() {
            let (job, permits, item) = (Arc::clone(&job), Arc::clone(&permits), items[index].clone());
            tasks.spawn(async move {
                // The semaphore is never closed, so there is always a permit in the end.
                let _permit = permits.acquire().await;
                job.item(index, &item).await
            });
        }
        let mut failures = Vec::new();
        while !tasks.is_empty() {
            tokio::select! {
                biased;
                Some(message) = inbox.recv() => relay(message),
                Some(joined) = tasks.join_next() => match joined {
                    Ok(Ok(())) => {}
                    Ok(Err(FetchError::Unavailable(more))) => {
                        failures.extend(more);
                        if failures.len() >= MAX_FAILURES {
                            break;
                        }
                    }
                    Ok(Err(fatal)) => return Err(fatal),
                    Err(panic) => return Err(FetchError::Client(panic.to_string())),
                },
            }
        }
        // Parts of what is cut off here stay and are resumed by the next run.
        tasks.shutdown().await;
        while let Ok(message) = inbox.try_recv() {
            relay(message);
        }
        if failures.is_empty() { Ok(()) } else { Err(FetchError::Unavailable(failures)) }
    })
}

/// The file at `candidate`, at most `max` bytes.
pub(super) fn document(options: &FetchOptions, candidate: &Candidate, max: u64) -> Result<Document, Problem> {
    let mut bytes = Vec::new();
    let fail = |error: FetchError| Problem::Connect(error.to_string());
    runtime(options).map_err(fail)?.block_on(async {
        let (messages, _inbox) = mpsc::unbounded_channel();
        let job = Job::new(options, messages);
        match job.receive(0, candidate, Length::AtMost(max), &mut bytes).await {
            Ok(()) => Ok(()),
            Err(Setback::Fatal(error)) => Err(fail(error)),
            Err(Setback::Next(problem) | Setback::Again(problem, _)) => Err(problem),
        }
    })?;
    Ok(Document { bytes, url: candidate.url() })
}

fn runtime(options: &FetchOptions) -> Result<tokio::runtime::Runtime, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| FetchError::Disk { path: options.downloads.clone(), source })
}

impl Job {
    fn new(options: &FetchOptions, messages: mpsc::UnboundedSender<Message>) -> Self {
        Self { options: options.clone(), clients: Mutex::default(), down: Mutex::default(), messages }
    }

    /// The client whose connections go by `route`.
    fn client(&self, route: &Route) -> Result<reqwest::Client, FetchError> {
        let route = route.resolved();
        let key = match route {
            Route::Proxy(url) => url.to_string(),
            other => other.to_string(),
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = transfer::client(&self.options, route)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    async fn item(&self, index: usize, item: &Item) -> Result<(), FetchError> {
        let complete = self.options.downloads.join("sha256").join(item.sha256.to_string());
        let waiting = || self.tell(Message::Waiting(index));
        let mut part = match Part::claim(&complete, item.size, waiting).await? {
            Claim::Complete => {
                self.tell(Message::Finished(index, None));
                return Ok(());
            }
            Claim::Ours(part) => part,
        };
        self.tell(Message::Started(index));
        let length = item.size.map_or(Length::AtMost(self.options.max_bytes), Length::Exact);
        let mut tried = Vec::new();
        for candidate in self.options.mirrors.candidates(&item.source) {
            match self.verified(index, &candidate, (length, &item.sha256), &mut part).await {
                Ok(()) => {
                    self.tell(Message::Finished(index, Some(candidate.url())));
                    return Ok(());
                }
                Err(Setback::Fatal(error)) => return Err(error),
                Err(Setback::Next(problem) | Setback::Again(problem, _)) => {
                    let failed = Tried { url: candidate.url(), told_by: candidate.told_by, problem };
                    self.tell(Message::Retrying(index, failed.to_string()));
                    tried.push(failed);
                }
            }
        }
        let (name, sha256) = (item.name.clone(), Some(item.sha256));
        Err(FetchError::Unavailable(vec![Unavailable { name, sha256, tried }]))
    }

    /// The file from one place, checked and published.
    async fn verified(
        &self,
        index: usize,
        candidate: &Candidate,
        (length, sha256): (Length, &Sha256),
        part: &mut Part,
    ) -> Result<(), Setback> {
        loop {
            let resumed = part.bytes() > 0;
            if !matches!(length, Length::Exact(size) if size == part.bytes()) {
                self.receive(index, candidate, length, part).await?;
            }
            match part.publish(sha256)? {
                Ok(()) => return Ok(()),
                // Whoever wrote the first bytes may be to blame: this place gets a chance to send them all.
                Err(_) if resumed => self.tell(Message::Retrying(index, "the resumed part was damaged".to_owned())),
                Err(got) => return Err(Setback::Next(Problem::Digest { got })),
            }
        }
    }

    /// The bytes from one place, in as many attempts as are allowed.
    async fn receive<S: transfer::Sink>(
        &self,
        index: usize,
        candidate: &Candidate,
        length: Length,
        sink: &mut S,
    ) -> Result<(), Setback> {
        let url = match &candidate.place {
            Place::Local(path) => return transfer::local(path, length, sink),
            Place::Odd(text) => return Err(Setback::Next(Problem::Url(text.clone()))),
            Place::Http(_) if self.options.mode == Mode::Offline => return Err(Setback::Next(Problem::Offline)),
            Place::Http(url) => url,
        };
        let client = self.client(&candidate.route)?;
        let host = url.origin().ascii_serialization();
        let mut attempt = 0;
        loop {
            if self.down().contains(&host) {
                return Err(Setback::Next(Problem::Down));
            }
            let before = sink.bytes();
            let mut reported = before;
            let progress = |bytes: u64| {
                if bytes >= reported + PROGRESS_STEP || matches!(length, Length::Exact(size) if size == bytes) {
                    reported = bytes;
                    self.tell(Message::Progress(index, bytes));
                }
            };
            let limits = (length, self.options.idle_timeout);
            let (problem, asked) = match transfer::http(&client, url, limits, sink, progress).await {
                Err(Setback::Again(problem, asked)) => (problem, asked),
                outcome => return outcome,
            };
            // A connection that brings something each time may break as often as it likes.
            attempt = if sink.bytes() > before { 1 } else { attempt + 1 };
            if attempt >= self.options.attempts {
                if matches!(problem, Problem::Connect(_) | Problem::Silence(_)) {
                    self.down().insert(host);
                }
                return Err(Setback::Next(problem));
            }
            self.tell(Message::Retrying(index, format!("{}: {problem}", candidate.url())));
            let wait = asked.unwrap_or_else(|| backoff(self.options.first_delay, attempt, url.as_str()));
            tokio::time::sleep(wait).await;
        }
    }

    fn down(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, message: Message) {
        // Nobody listens any more when the caller has given up.
        let _ = self.messages.send(message);
    }
}

/// The wait before attempt `attempt + 1`: doubling, plus up to a half.
///
/// The jitter is a hash of URL and attempt: different for every file, so that a crowd spreads out, and the same in every run.
fn backoff(first: Duration, attempt: u32, url: &str) -> Duration {
    let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    let hash = Sha256::of(format!("{url} {attempt}").as_bytes());
    let share = u32::from(hash.as_bytes()[0]);
    (doubled + doubled.saturating_mul(share) / 512).min(MAX_DELAY)
}
