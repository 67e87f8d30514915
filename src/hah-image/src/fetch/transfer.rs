//! One attempt at one place: HTTP with `Range` and timeouts, or a local file.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tokio::time::timeout;

use super::partial::Part;
use super::route::Route;
use super::{FetchError, FetchOptions, Problem, Proxies};
use crate::files;

/// Longest wait that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Why an attempt failed, and so what comes next.
pub(super) enum Setback {
    /// Our side: nothing more can be fetched.
    Fatal(FetchError),
    /// This place will not do better.
    Next(Problem),
    /// It may do better after a while, perhaps after one that it named.
    Again(Problem, Option<Duration>),
}

impl From<FetchError> for Setback {
    fn from(error: FetchError) -> Self {
        Self::Fatal(error)
    }
}

/// An HTTP client for one runtime, whose connections go by `route`.
pub(super) fn client(options: &FetchOptions, route: &Route) -> Result<reqwest::Client, FetchError> {
    #[expect(clippy::disallowed_methods, reason = "the doorway to the network")]
    let builder = reqwest::Client::builder()
        .user_agent(concat!("hah-image/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout);
    let failed = |error: reqwest::Error| FetchError::Client(chain(&error));
    let builder = match (options.proxies, route) {
        (Proxies::Direct, _) | (_, Route::Direct) => builder.no_proxy(),
        (_, Route::Proxy(url)) => builder.no_proxy().proxy(reqwest::Proxy::all(url.clone()).map_err(failed)?),
        (_, Route::Environment | Route::Ask(_)) => builder,
    };
    builder.build().map_err(failed)
}

/// How long a file should be.
#[derive(Clone, Copy)]
pub(super) enum Length {
    /// Exactly this many bytes.
    Exact(u64),
    /// At most this many bytes.
    AtMost(u64),
}

impl Length {
    /// What to say of `bytes` of a file that has not ended yet.
    fn check(self, bytes: u64) -> Result<(), Setback> {
        match self {
            Self::Exact(want) if bytes > want => Err(Setback::Next(Problem::Size { got: bytes, want })),
            Self::AtMost(limit) if bytes > limit => Err(Setback::Next(Problem::TooLong(limit))),
            _ => Ok(()),
        }
    }
}

/// Where received bytes go.
pub(super) trait Sink {
    /// Bytes that are there already.
    fn bytes(&self) -> u64;
    /// Adds bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError>;
    /// Forgets all bytes.
    fn restart(&mut self) -> Result<(), FetchError>;
}

impl Sink for Part {
    fn bytes(&self) -> u64 {
        Part::bytes(self)
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        Part::append(self, bytes)
    }
    fn restart(&mut self) -> Result<(), FetchError> {
        Part::restart(self)
    }
}

impl Sink for Vec<u8> {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.extend_from_slice(bytes);
        Ok(())
    }
    fn restart(&mut self) -> Result<(), FetchError> {
        self.clear();
        Ok(())
    }
}

/// Gets the rest of `url`'s file into `sink`, from where it stands.
pub(super) async fn http<S: Sink>(
    client: &reqwest::Client,
    url: &Url,
    (length, idle): (Length, Duration),
    sink: &mut S,
    mut progress: impl FnMut(u64),
) -> Result<(), Setback> {
    let from = sink.bytes();
    let mut request = client.get(url.clone());
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    let silence = |_| Setback::Again(Problem::Silence(idle.as_secs()), None);
    let mut response = timeout(idle, request.send()).await.map_err(silence)?.map_err(broken)?;
    judge_status(&response, from, sink)?;
    let announced = response.content_length().map(|rest| sink.bytes() + rest);
    match (announced, length) {
        (Some(got), Length::Exact(want)) if got != want => return Err(Setback::Next(Problem::Size { got, want })),
        (Some(got), _) => length.check(got)?,
        (None, _) => {}
    }
    while let Some(chunk) = timeout(idle, response.chunk()).await.map_err(silence)?.map_err(broken)? {
        length.check(sink.bytes() + chunk.len() as u64)?;
        sink.append(&chunk)?;
        progress(sink.bytes());
    }
    let want = match length {
        Length::Exact(want) => Some(want),
        Length::AtMost(_) => announced,
    };
    match want {
        Some(want) if sink.bytes() < want => Err(Setback::Again(Problem::Short { got: sink.bytes(), want }, None)),
        _ => Ok(()),
    }
}

/// Leaves `sink` where the body that follows begins.
fn judge_status<S: Sink>(response: &Response, from: u64, sink: &mut S) -> Result<(), Setback> {
    let status = response.status();
    match status {
        StatusCode::OK => {
            // The server has no ranges, or does not care.
            if from > 0 {
                sink.restart()?;
            }
            Ok(())
        }
        StatusCode::PARTIAL_CONTENT if range_start(response.headers()) == Some(from) && from > 0 => Ok(()),
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            sink.restart()?;
            Err(Setback::Again(Problem::Status(status.as_u16()), Some(Duration::ZERO)))
        }
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
            Err(Setback::Next(Problem::NotThere(format!("HTTP {}", status.as_u16()))))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(Setback::Again(Problem::Status(status.as_u16()), retry_after(response.headers())))
        }
        _ if status.is_server_error() => {
            Err(Setback::Again(Problem::Status(status.as_u16()), retry_after(response.headers())))
        }
        _ => Err(Setback::Next(Problem::Status(status.as_u16()))),
    }
}

/// `Content-Range: bytes FIRST-LAST/TOTAL` (RFC 9110, 14.4).
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

/// Seconds; the form with a date is not worth a calendar.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

fn broken(error: reqwest::Error) -> Setback {
    // A redirect loop stays as it is.
    let hopeless = error.is_redirect() || error.is_builder();
    let problem = Problem::Connect(chain(&error.without_url()));
    if hopeless { Setback::Next(problem) } else { Setback::Again(problem, None) }
}

/// reqwest's own message ends where it gets interesting.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// Copies a local file into `sink`.
pub(super) fn local<S: Sink>(path: &Path, length: Length, sink: &mut S) -> Result<(), Setback> {
    let not_there = |error: std::io::Error| Setback::Next(Problem::NotThere(error.to_string()));
    sink.restart()?;
    let mut file = files::open(path).map_err(|error| not_there(error.into_cause()))?;
    let meta = file.metadata().map_err(not_there)?;
    if !meta.is_file() {
        return Err(Setback::Next(Problem::NotThere("it is not a file".to_owned())));
    }
    match length {
        Length::Exact(want) if meta.len() != want => {
            return Err(Setback::Next(Problem::Size { got: meta.len(), want }));
        }
        _ => length.check(meta.len())?,
    }
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer).map_err(not_there)?;
        if read == 0 {
            return Ok(());
        }
        // It may grow while it is read.
        length.check(sink.bytes() + read as u64)?;
        sink.append(&buffer[..read])?;
    }
}
