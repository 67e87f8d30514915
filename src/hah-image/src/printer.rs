//! The one road to the terminal: data on stdout, talk on stderr.
//!
//! A step is drawn according to [`Mode`]: as a live line on a terminal, as one plain line when it ends elsewhere, as JSON
//! lines with `--json`, not at all with `-q`. All modes see the same events: started, progress, finished, note, warning.
//!
//! JSON events, one object a line on stdout, each with `event` and:
//!
//! | event | fields |
//! |---|---|
//! | `started` | `step` (the verb), `subject`, `bytes` (expected total, or null) |
//! | `progress` | `step`, `subject`, `bytes` (so far), `total` (or null), `bytes_per_second`, `seconds_left` (or null); of transfers, twice a second |
//! | `finished` | `step`, `subject`, `outcome`, `millis` |
//! | `derivation` | `kind`, `key`, `derivation` (what it makes), `outcome` (`fetched` or `made`): a step of the plan was realised |
//! | `note`, `warning` | `message` |
//! | `error` | `message`, `hint` (or null), for recipes also `place` (`PATH:LINE:COLUMN` or null) |
//! | `result` | what the verb made, by verb |

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hah_plan::diagnostic::{Diagnostics, Style};
use hah_plan::plan::Derivation;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use unit_prefix::NumberPrefix;

/// How much is said, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Errors and results only.
    Quiet,
    /// One line per finished step.
    Plain,
    /// Live lines on a terminal.
    Terminal,
    /// JSON lines on stdout.
    Json,
}

/// Whether steps that had nothing to do are worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// What was made.
    Normal,
    /// Also what was found made.
    Verbose,
}

/// The printer.
pub struct Printer {
    mode: Mode,
    detail: Detail,
    color: bool,
    bars: MultiProgress,
    /// JSON lines of several threads must not mix.
    output: Mutex<Output>,
}

/// What has become of standard output.
#[derive(Debug)]
enum Output {
    /// Everything so far was written.
    Open,
    /// Its reader has gone, which is the reader's choice: nothing more is written, and nothing is said.
    Closed,
    /// What was asked for is not there, or not whole.
    Failed(io::Error),
}

/// Standard output lacks something; that has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten;

/// Says that standard output could not be written.
pub fn tell_unwritten(error: &io::Error, color: bool) {
    let word = if color { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    let _ = writeln!(io::stderr(), "{word} cannot write to standard output: {error}");
}

/// How long to wait for the reader of a pipe that somebody else made non-blocking.
const PAUSE: Duration = Duration::from_millis(5);

/// Writes to standard output, all of it or an error: `std::io::stdout` keeps quiet about a descriptor that cannot be
/// written to.
fn write_out(mut bytes: &[u8]) -> io::Result<()> {
    use rustix::io::Errno;
    while !bytes.is_empty() {
        match rustix::io::write(io::stdout(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The width of the verb column, as in cargo.
const VERB: usize = 12;

impl Printer {
    /// A printer; `color` is for stderr.
    pub fn new(mode: Mode, detail: Detail, color: bool) -> Self {
        let target = match mode {
            Mode::Terminal => ProgressDrawTarget::stderr(),
            Mode::Quiet | Mode::Plain | Mode::Json => ProgressDrawTarget::hidden(),
        };
        Self { mode, detail, color, bars: MultiProgress::with_draw_target(target), output: Mutex::new(Output::Open) }
    }

    /// The mode that suits where stderr goes.
    pub fn detect(progress_wanted: bool) -> Mode {
        if progress_wanted && io::stderr().is_terminal() { Mode::Terminal } else { Mode::Plain }
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Starts a step: `verb` as in "Packing", `subject` as in "systemd 257.13", `bytes` its expected size.
    pub fn step(&self, verb: &'static str, subject: impl Into<String>, bytes: Option<u64>) -> Step<'_> {
        let subject = subject.into();
        self.json(|| serde_json::json!({"event": "started", "step": verb, "subject": subject, "bytes": bytes}));
        let bar = (self.mode == Mode::Terminal)
            .then(|| self.bar(verb, &subject, bytes, "{prefix} {msg:!26} {bar:14} {bytes:>10}/{total_bytes:>10}"));
        Step { printer: self, verb, subject, bar, started: now(), transfer: None }
    }

    /// Starts a step whose speed and end people wait for: a card being written.
    pub fn transfer(&self, verb: &'static str, subject: impl Into<String>, bytes: Option<u64>) -> Step<'_> {
        let subject = subject.into();
        self.json(|| serde_json::json!({"event": "started", "step": verb, "subject": subject, "bytes": bytes}));
        let template =
            "{prefix} {msg:!18} {bar:14} {bytes:>10}/{total_bytes:>10} {binary_bytes_per_sec:>11}, {eta} left";
        let bar = (self.mode == Mode::Terminal).then(|| self.bar(verb, &subject, bytes, template));
        let transfer = Transfer { total: bytes, done: AtomicU64::new(0), told: AtomicU64::new(0) };
        Step { printer: self, verb, subject, bar, started: now(), transfer: Some(transfer) }
    }

    fn bar(&self, verb: &str, subject: &str, bytes: Option<u64>, template: &str) -> ProgressBar {
        let bar = match bytes {
            Some(bytes) => ProgressBar::new(bytes).with_style(style(template)),
            None => ProgressBar::new_spinner().with_style(style("{prefix} {msg} {spinner} {so_far}")),
        };
        let bar = self.bars.add(bar);
        bar.set_prefix(self.verb(verb, "36"));
        bar.set_message(subject.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// A step of a plan has been realised; `outcome` is `fetched` or `made`.
    pub fn derivation(&self, step: &Derivation, outcome: &'static str) {
        self.json(|| {
            serde_json::json!({"event": "derivation", "kind": step.kind.as_str(), "key": step.key.to_string(),
                "derivation": step.to_string(), "outcome": outcome})
        });
    }

    /// A fact worth knowing.
    pub fn note(&self, message: &str) {
        self.json(|| serde_json::json!({"event": "note", "message": message}));
        if self.mode != Mode::Quiet {
            self.talk(&format!("{} {message}", self.verb("Note", "36")));
        }
    }

    /// Something that may surprise later.
    pub fn warning(&self, message: &str) {
        self.json(|| serde_json::json!({"event": "warning", "message": message}));
        self.talk(&format!("{} {message}", self.paint("warning:", "1;33")));
    }

    /// The reason why the program ends without success.
    pub fn error(&self, message: &str, hint: Option<&str>) {
        self.json(|| serde_json::json!({"event": "error", "message": message, "hint": hint}));
        self.talk(&format!("{} {message}", self.paint("error:", "1;31")));
        if let Some(hint) = hint {
            self.talk(&format!("{} {hint}", self.paint(" hint:", "1;36")));
        }
    }

    /// Everything that is wrong with the recipes; one `error` event each with `--json`.
    pub fn diagnostics(&self, diagnostics: &Diagnostics) {
        for diagnostic in diagnostics.iter() {
            self.json(|| {
                serde_json::json!({"event": "error", "message": diagnostic.message, "hint": diagnostic.hint,
                    "place": diagnostic.place.as_ref().map(|place| format!("{}:{}:{}", place.path, place.line, place.column))})
            });
        }
        let style = if self.color { Style::Colour } else { Style::Plain };
        self.talk(diagnostics.render(style).trim_end());
    }

    /// Whether there is a person who can be asked.
    pub fn can_ask(&self) -> bool {
        self.mode != Mode::Json && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for a line of text; the end of the input is an empty one.
    pub fn ask(&self, question: &str) -> io::Result<String> {
        Ok(self.ask_line(question)?.unwrap_or_default())
    }

    /// Asks for a line of text; none at the end of the input.
    pub fn ask_line(&self, question: &str) -> io::Result<Option<String>> {
        self.bars.suspend(|| {
            let mut out = io::stderr().lock();
            write!(out, "{question} ")?;
            out.flush()?;
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line)?;
            Ok((read > 0).then(|| line.trim().to_owned()))
        })
    }

    /// Asks for a line that the terminal does not show.
    pub fn ask_secret(&self, question: &str) -> io::Result<zeroize::Zeroizing<String>> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let terminal = io::stdin();
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        let answer = self.ask(question);
        let restored = tcsetattr(&terminal, OptionalActions::Flush, &before);
        self.talk("");
        let answer = zeroize::Zeroizing::new(answer?);
        restored?;
        Ok(answer)
    }

    /// A multi-line text for people, such as rendered diagnostics, on stderr.
    pub fn say(&self, text: &str) {
        if self.mode != Mode::Json {
            self.talk(text);
        }
    }

    /// What was asked for, on stdout: text, or a path with whatever bytes it has. [`Printer::finish`] tells what became of it.
    pub fn data(&self, bytes: impl AsRef<[u8]>) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*output, Output::Open) {
            return;
        }
        self.bars.suspend(|| match write_out(bytes.as_ref()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => *output = Output::Closed,
            Err(error) => *output = Output::Failed(error),
        });
    }

    /// Ends standard output while the program goes on: whoever reads it to its end need not wait. What is written
    /// afterwards goes nowhere.
    ///
    /// # Errors
    /// When there is no `/dev/null`.
    pub fn end_data(&self) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let nowhere = crate::files::open("/dev/null")?;
        rustix::stdio::dup2_stdout(nowhere)?;
        if matches!(*output, Output::Open) {
            *output = Output::Closed;
        }
        Ok(())
    }

    /// A path, on stdout, as the system has it, and a line end.
    pub fn path(&self, path: &Path) {
        self.data([path.as_os_str().as_bytes(), b"\n"].concat());
    }

    /// Says on stderr, whatever the mode, that standard output could not be written.
    ///
    /// # Errors
    /// [`Unwritten`] when that is so. A closed pipe is not: its reader has what it wanted.
    pub fn finish(self) -> Result<(), Unwritten> {
        match self.output.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Output::Open | Output::Closed => Ok(()),
            Output::Failed(error) => {
                tell_unwritten(&error, self.color);
                Err(Unwritten)
            }
        }
    }

    /// What the verb made, as one JSON line; with `--json` only.
    pub fn result(&self, value: impl FnOnce() -> serde_json::Value) {
        self.json(value);
    }

    fn json(&self, value: impl FnOnce() -> serde_json::Value) {
        if self.mode == Mode::Json {
            self.data(format!("{}\n", value()));
        }
    }

    fn talk(&self, line: &str) {
        if self.mode == Mode::Json {
            return;
        }
        self.bars.suspend(|| {
            let mut out = io::stderr().lock();
            let _ = writeln!(out, "{line}");
        });
    }

    fn verb(&self, verb: &str, color: &str) -> String {
        self.paint(&format!("{verb:>VERB$}"), &format!("1;{color}"))
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
        // Not every step counts bytes.
        .with_key("so_far", |state: &ProgressState, text: &mut dyn fmt::Write| {
            if state.pos() > 0 {
                let _ = text.write_str(&human_bytes(state.pos()));
            }
        })
}

/// Time is measured for display only.
fn now() -> Instant {
    Instant::now()
}

/// Whether a step did its work or found it done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It made something.
    Made,
    /// There was nothing to do.
    Cached,
}

/// A step under way. Dropped without [`Step::done`], it has failed and its line goes away; the error tells why.
pub struct Step<'a> {
    printer: &'a Printer,
    verb: &'static str,
    subject: String,
    bar: Option<ProgressBar>,
    started: Instant,
    transfer: Option<Transfer>,
}

/// How far a transfer is.
struct Transfer {
    total: Option<u64>,
    done: AtomicU64,
    /// When that was last told, in milliseconds since the start.
    told: AtomicU64,
}

/// Milliseconds between two `progress` events.
const PROGRESS: u64 = 500;

impl Step<'_> {
    /// `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
        if let Some(Transfer { total, done, told }) = &self.transfer {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let millis = self.millis();
            if millis < told.load(Ordering::Relaxed) + PROGRESS {
                return;
            }
            told.store(millis, Ordering::Relaxed);
            self.printer.json(|| {
                let speed = self.speed(done);
                let left = speed
                    .filter(|speed| *speed > 0)
                    .and_then(|speed| Some(total.as_ref()?.saturating_sub(done) / speed));
                serde_json::json!({"event": "progress", "step": self.verb, "subject": self.subject, "bytes": done,
                    "total": total, "bytes_per_second": speed, "seconds_left": left})
            });
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Bytes per second so far, when `bytes` are done.
    pub fn speed(&self, bytes: u64) -> Option<u64> {
        bytes.saturating_mul(1000).checked_div(self.millis())
    }

    /// `bytes` are done in all.
    pub fn set_position(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    /// Shows what the step is at.
    pub fn set_message(&self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
        }
    }

    /// The step is over. `past` is the verb as in "Packed", `summary` the rest of its line.
    pub fn done(self, past: &str, summary: &str, outcome: Outcome) {
        let least = if outcome == Outcome::Cached { Detail::Verbose } else { Detail::Normal };
        self.over(past, summary, outcome, least);
    }

    /// The step is over and had nothing to do, which is what people wait to hear.
    pub fn unchanged(self, past: &str, summary: &str) {
        self.over(past, summary, Outcome::Cached, Detail::Normal);
    }

    /// `least` is the detail from which on the line is shown.
    fn over(mut self, past: &str, summary: &str, outcome: Outcome, least: Detail) {
        let millis = self.millis();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let printer = self.printer;
        printer.json(|| {
            let outcome = if outcome == Outcome::Made { "made" } else { "cached" };
            serde_json::json!({"event": "finished", "step": self.verb, "subject": self.subject, "outcome": outcome, "millis": millis})
        });
        if printer.mode != Mode::Quiet && printer.detail >= least {
            printer.talk(&format!("{} {summary}", printer.verb(past, "32")));
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// `1.4 GiB`, `12.0 MiB`, `310 B`.
pub fn human_bytes(bytes: u64) -> String {
    match NumberPrefix::binary(bytes as f64) {
        NumberPrefix::Standalone(bytes) => format!("{bytes} B"),
        NumberPrefix::Prefixed(prefix, value) => format!("{value:.1} {prefix}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well() {
        for (bytes, want) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (12 << 20, "12.0 MiB"), (3 << 29, "1.5 GiB")]
        {
            assert_eq!(human_bytes(bytes), want);
        }
    }
}
