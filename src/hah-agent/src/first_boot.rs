//! `hah-agent first-boot NAME`: a task that a build leaves to the node, once in a card's life.
//!
//! ```text
//! done?  ── yes ─→ nothing: stage 1 has put back what it left below /etc
//!   │ no
//!   ▼
//! begun before? ── yes ─→ undo what that attempt left in the directory that the task names
//!   │ no: begun.json
//!   ▼
//! look at /etc ─→ run the command ─→ flush ─→ copy what changed below /etc to STATE/NAME/etc ─→ flush ─→ done.json
//!   ─→ have systemd read /etc again
//! ```
//!
//! `done.json` is written last and gets its name when everything else is on the medium, so a power cut runs the command
//! again: such commands make what is missing, and of one that would take a half-made directory for somebody's own the
//! task names the directory. A failure is written down, and the next boot tries again. One task runs at a time, so that
//! what changes below `/etc` meanwhile is its own doing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use hah_node::first_boot::{BEGUN_DEPTH, Begun, Done, Failed, STATE, TASKS, Task, VERSION};
use rustix::fs::{FlockOperation, flock, syncfs};

use crate::entry::{self, Durability};
use crate::{console, durable};

/// Why a task is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no first-boot task `{0}` in this image")]
    Unknown(String),
    #[error("the task {path} is not of this agent's version: {why}", path = path.display())]
    Malformed { path: PathBuf, why: String },
    #[error("cannot {doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error("{what}: `{command}` ended with {status}")]
    Command { what: String, command: String, status: String },
}

/// Where everything is; `/` but in stage 1 and in tests.
pub(crate) struct Places {
    root: PathBuf,
    tasks: PathBuf,
    state: PathBuf,
    etc: PathBuf,
}

impl Places {
    /// Those below `root`.
    pub(crate) fn below(root: &Path) -> Self {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        Self { root: root.to_owned(), tasks: at(TASKS), state: at(STATE), etc: at("/etc") }
    }
}

/// One line of `hah-agent status`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Standing {
    /// The task.
    pub(crate) name: String,
    /// What it does.
    pub(crate) summary: String,
    /// When it was done; `null` while it is not.
    pub(crate) done: Option<u64>,
    /// The last failure, if it is not done.
    pub(crate) failed: Option<Failed>,
}

/// What a run of a task has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing below `/etc`: also when it was done before.
    Same,
    /// Something below `/etc`, which systemd and its generators have read already.
    EtcChanged,
}

/// Runs the task `name` unless it is done.
pub(crate) fn run(places: &Places, name: &str) -> Result<Outcome, Error> {
    let task = task(places, name)?;
    let state = places.state.join(name);
    make_directory(&state)?;
    let _turn = turn(&places.state)?;
    if read::<Done>(&state.join("done.json")).is_some() {
        return Ok(Outcome::Same);
    }
    match attempt(places, &task, &state) {
        Ok(outcome) => {
            let _ = fs::remove_file(state.join("failed.json"));
            console::complain(&format!("first boot of {}: {}: done", task.package, task.summary));
            Ok(outcome)
        }
        Err(error) => {
            let times = read::<Failed>(&state.join("failed.json")).map_or(0, |failed| failed.times).saturating_add(1);
            let failed = Failed { at: now(), why: error.to_string(), times };
            // The failure itself is what the caller must hear of.
            let _ = write(&state.join("failed.json"), &failed);
            Err(error)
        }
    }
}

/// Waits until no other task runs; the next one starts when the file is closed.
fn turn(state: &Path) -> Result<File, Error> {
    let io = |source| Error::Io { doing: format!("lock {}", state.display()), source };
    let directory = File::open(state).map_err(io)?;
    flock(&directory, FlockOperation::LockExclusive).map_err(|error| io(error.into()))?;
    Ok(directory)
}

/// Has systemd see what a task has put below `/etc`: units, and what generators make of configuration, as the instances of
/// PostgreSQL's clusters. A unit that waits for the task to end was queued with the needs that it had before, so every
/// waiting one is asked for again.
pub(crate) fn tell_systemd() {
    let systemctl = |arguments: &[&str]| {
        let output = Command::new("systemctl").args(arguments).stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                console::complain(&format!("systemctl {}: {said}", arguments.join(" ")));
                None
            }
            Err(error) => {
                console::complain(&format!("cannot run systemctl: {error}"));
                None
            }
        }
    };
    if systemctl(&["daemon-reload"]).is_none() {
        return;
    }
    let jobs = systemctl(&["list-jobs", "--no-legend", "--plain"]).unwrap_or_default();
    let waiting = waiting(&jobs);
    if !waiting.is_empty() {
        systemctl(&[&["--no-block", "start"], waiting.as_slice()].concat());
    }
}

/// The units that are to be started, by the lines `JOB UNIT TYPE STATE` of `systemctl list-jobs`.
fn waiting(jobs: &str) -> Vec<&str> {
    let of = |line: &'_ str| -> bool {
        let mut words = line.split_whitespace().skip(2);
        words.next() == Some("start") && words.next() == Some("waiting")
    };
    jobs.lines().filter(|line| of(line)).filter_map(|line| line.split_whitespace().nth(1)).collect()
}

/// Puts back what the image's tasks have left below `/etc`; returns what could not be. For stage 1, before systemd starts.
pub(crate) fn put_back_all(places: &Places) -> Vec<String> {
    let mut problems = Vec::new();
    for name in names(places) {
        let state = places.state.join(&name);
        if let Some(done) = read::<Done>(&state.join("done.json"))
            && let Err(error) = put_back(places, &state, &done)
        {
            problems.push(format!("what the first-boot task {name} left below /etc is not back: {error}"));
        }
    }
    problems
}

/// How far all tasks are, in order of name.
pub(crate) fn standings(places: &Places) -> Vec<Standing> {
    let standing = |name: String| {
        let task = task(places, &name).ok()?;
        let state = places.state.join(&name);
        let done = read::<Done>(&state.join("done.json")).map(|done| done.at);
        let failed = if done.is_none() { read(&state.join("failed.json")) } else { None };
        Some(Standing { name, summary: task.summary, done, failed })
    };
    names(places).into_iter().filter_map(standing).collect()
}

/// The image's tasks, in order of name.
fn names(places: &Places) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(&places.tasks)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    names
}

fn task(places: &Places, name: &str) -> Result<Task, Error> {
    if name.contains('/') || name.starts_with('.') {
        return Err(Error::Unknown(name.to_owned()));
    }
    let path = places.tasks.join(format!("{name}.json"));
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Unknown(name.to_owned())),
        Err(source) => return Err(Error::Io { doing: format!("read {}", path.display()), source }),
    };
    let malformed = |why: String| Error::Malformed { path: path.clone(), why };
    let task: Task = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    match (task.version, task.command.is_empty()) {
        (VERSION, false) => Ok(task),
        (VERSION, true) => Err(malformed("it has no command".to_owned())),
        (version, _) => Err(malformed(format!("its version is {version}, and this agent reads {VERSION}"))),
    }
}

fn attempt(places: &Places, task: &Task, state: &Path) -> Result<Outcome, Error> {
    if let Some(directory) = &task.makes_in {
        begin(&places.root.join(directory.trim_start_matches('/')), state)?;
    }
    let before = look(&places.etc)?;
    let [program, arguments @ ..] = task.command.as_slice() else {
        return Err(Error::Unknown(task.package.clone()));
    };
    let status = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs([
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("DPKG_MAINTSCRIPT_PACKAGE", &task.package),
            ("DPKG_MAINTSCRIPT_NAME", "postinst"),
            ("DPKG_ROOT", ""),
        ])
        .current_dir("/")
        .stdin(Stdio::null())
        .status()
        .map_err(|source| Error::Io { doing: format!("run {program}"), source })?;
    if !status.success() {
        let what = format!("first boot of {}: {}", task.package, task.summary);
        return Err(Error::Command { what, command: task.command.join(" "), status: status.to_string() });
    }
    let kept = keep(places, &before, state)?;
    // The command's own files too, which it may not have flushed.
    flush(state)?;
    write(&state.join("done.json"), &Done { at: now(), removed: kept.removed })?;
    Ok(kept.outcome)
}

fn flush(at: &Path) -> Result<(), Error> {
    let done = File::open(at).and_then(|directory| syncfs(&directory).map_err(io::Error::from));
    done.map_err(|source| Error::Io { doing: format!("flush {}", at.display()), source })
}

/// Before the first attempt, writes down what `directory` holds; before every other, removes what is new since.
fn begin(directory: &Path, state: &Path) -> Result<(), Error> {
    let record = state.join("begun.json");
    let Some(begun) = read::<Begun>(&record) else {
        let before = entries(directory, BEGUN_DEPTH)?.into_iter().collect();
        return write(&record, &Begun { before });
    };
    let before: BTreeSet<String> = begun.before.into_iter().collect();
    // What was there comes before what is in it, so that a new directory goes whole.
    for name in entries(directory, BEGUN_DEPTH)?.into_iter().filter(|name| !before.contains(name)) {
        let path = directory.join(&name);
        let gone = match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Io { doing: format!("remove {}", path.display()), source: error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is in `directory`, down to `depth` names deep, as paths below it; nothing when it is not there.
fn entries(directory: &Path, depth: usize) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    let mut left = vec![(PathBuf::new(), depth)];
    while let Some((below, depth)) = left.pop() {
        let at = directory.join(&below);
        let listed = match fs::read_dir(&at) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(Error::Io { doing: format!("list {}", at.display()), source }),
        };
        for entry in listed {
            let entry = entry.map_err(|source| Error::Io { doing: format!("list {}", at.display()), source })?;
            let name = below.join(entry.file_name());
            if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push((name.clone(), depth - 1));
            }
            // A name that is no text is nobody's of ours, and stays.
            found.extend(name.to_str().map(str::to_owned));
        }
    }
    Ok(found)
}

/// What a task has changed below `/etc`.
struct KeptEtc {
    /// Paths below `/etc` that are gone.
    removed: Vec<String>,
    outcome: Outcome,
}

/// What tells whether an entry below `/etc` is the one that it was.
type Marks = (u64, i64, i64, u32, u32, u32, u64);

fn look(etc: &Path) -> Result<BTreeMap<PathBuf, Marks>, Error> {
    let (mut found, mut left) = (BTreeMap::new(), vec![etc.to_owned()]);
    while let Some(directory) = left.pop() {
        let io = |source| Error::Io { doing: format!("list {}", directory.display()), source };
        for entry in fs::read_dir(&directory).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            let size = if meta.is_dir() { 0 } else { meta.size() };
            // A directory's own times change with every entry, which is looked at itself.
            let times = if meta.is_dir() { (0, 0) } else { (meta.ctime(), meta.ctime_nsec()) };
            let inode = if meta.is_dir() { 0 } else { meta.ino() };
            found.insert(path.clone(), (inode, times.0, times.1, meta.mode(), meta.uid(), meta.gid(), size));
            if meta.is_dir() {
                left.push(path);
            }
        }
    }
    Ok(found)
}

/// Copies what is new or changed below `/etc` to the data partition.
fn keep(places: &Places, before: &BTreeMap<PathBuf, Marks>, state: &Path) -> Result<KeptEtc, Error> {
    let after = look(&places.etc)?;
    let kept = state.join("etc");
    // A part of an attempt that was cut short says nothing.
    match fs::remove_dir_all(&kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::Io { doing: format!("remove {}", kept.display()), source: error });
        }
        _ => {}
    }
    let changed: Vec<&PathBuf> =
        after.iter().filter(|(path, marks)| before.get(*path) != Some(marks)).map(|(path, _)| path).collect();
    for path in &changed {
        let Ok(relative) = path.strip_prefix(&places.etc) else { continue };
        copy_with_parents(&places.etc, &kept, relative)?;
    }
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let removed: Vec<String> =
        gone.filter_map(|path| path.strip_prefix(&places.etc).ok()?.to_str().map(str::to_owned)).collect();
    let outcome = if changed.is_empty() && removed.is_empty() { Outcome::Same } else { Outcome::EtcChanged };
    Ok(KeptEtc { removed, outcome })
}

/// Copies `from/relative` to `to/relative`, over what is there, and the directories above it when they are missing.
fn copy_with_parents(from: &Path, to: &Path, relative: &Path) -> Result<(), Error> {
    let mut missing: Vec<&Path> = relative.ancestors().skip(1).filter(|path| !to.join(path).exists()).collect();
    // The outermost first.
    missing.reverse();
    for path in missing.into_iter().chain([relative]) {
        let (from, to) = (from.join(path), to.join(path));
        entry::put(&from, &to, Durability::AtTheEnd)
            .map_err(|source| Error::Io { doing: format!("copy {} to {}", from.display(), to.display()), source })?;
    }
    Ok(())
}

fn put_back(places: &Places, state: &Path, done: &Done) -> Result<(), Error> {
    for path in &done.removed {
        let path = places.etc.join(path);
        let gone = if path.is_dir() && !path.is_symlink() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                console::complain(&format!("cannot remove {}: {error}", path.display()));
            }
            _ => {}
        }
    }
    let kept = state.join("etc");
    if !kept.exists() {
        return Ok(());
    }
    let entries = look(&kept)?;
    for path in entries.keys() {
        let Ok(relative) = path.strip_prefix(&kept) else { continue };
        copy_with_parents(&kept, &places.etc, relative)?;
    }
    Ok(())
}

/// Everybody may see how far a task is; what it keeps has the owners and modes that it has below `/etc`.
fn make_directory(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|source| Error::Io { doing: format!("make {}", path.display()), source })
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let io = |source| Error::Io { doing: format!("write {}", path.display()), source };
    let text = serde_json::to_vec(value).map_err(|error| io(error.into()))?;
    durable::write(path, &text, 0o644).map_err(io)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Node(tempfile::TempDir);

    impl Node {
        fn with(script: &str) -> Self {
            let node = Self(tempfile::tempdir().unwrap());
            let places = node.places();
            fs::create_dir_all(&places.tasks).unwrap();
            fs::create_dir_all(places.etc.join("ssl")).unwrap();
            fs::write(places.etc.join("old"), "old").unwrap();
            fs::write(places.etc.join("same"), "same").unwrap();
            let task = Task {
                version: VERSION,
                package: "some".to_owned(),
                summary: "makes a key".to_owned(),
                makes_in: Some("/var/lib/some".to_owned()),
                command: vec![
                    "/bin/sh".to_owned(),
                    "-c".to_owned(),
                    script.replace("ROOT", node.0.path().to_str().unwrap()),
                ],
            };
            fs::write(places.tasks.join("some.json"), serde_json::to_vec(&task).unwrap()).unwrap();
            node
        }

        fn places(&self) -> Places {
            Places::below(self.0.path())
        }

        /// What a boot makes of `/etc`.
        fn fresh_etc(&self) {
            let etc = self.places().etc;
            fs::remove_dir_all(&etc).unwrap();
            fs::create_dir_all(etc.join("ssl")).unwrap();
            fs::write(etc.join("old"), "old").unwrap();
            fs::write(etc.join("same"), "same").unwrap();
        }
    }

    #[test]
    fn a_task_runs_once_and_its_etc_comes_back() {
        let node = Node::with(
            "echo run >> ROOT/log; mkdir ROOT/etc/ssl/private; chmod 710 ROOT/etc/ssl/private; \
             echo key > ROOT/etc/ssl/private/key; chmod 640 ROOT/etc/ssl/private/key; \
             ln -s key ROOT/etc/ssl/private/link; rm ROOT/etc/old; echo other > ROOT/etc/same",
        );
        let places = node.places();
        assert_eq!(run(&places, "some").unwrap(), Outcome::EtcChanged);
        assert!(standings(&places)[0].done.is_some());
        for _ in 0..2 {
            node.fresh_etc();
            assert_eq!(put_back_all(&places), Vec::<String>::new());
            assert_eq!(run(&places, "some").unwrap(), Outcome::Same);
            assert_eq!(fs::read_to_string(places.etc.join("ssl/private/key")).unwrap(), "key\n");
            assert_eq!(fs::metadata(places.etc.join("ssl/private/key")).unwrap().mode() & 0o7777, 0o640);
            assert_eq!(fs::metadata(places.etc.join("ssl/private")).unwrap().mode() & 0o7777, 0o710);
            assert_eq!(fs::read_link(places.etc.join("ssl/private/link")).unwrap(), Path::new("key"));
            assert_eq!(fs::read_to_string(places.etc.join("same")).unwrap(), "other\n");
            assert!(!places.etc.join("old").exists());
        }
        assert_eq!(fs::read_to_string(node.0.path().join("log")).unwrap(), "run\n");
    }

    #[test]
    fn a_failure_is_told_and_tried_again() {
        let node = Node::with("test -e ROOT/ready");
        let places = node.places();
        for times in 1..=2 {
            let error = run(&places, "some").unwrap_err();
            assert!(error.to_string().contains("first boot of some: makes a key"), "{error}");
            assert_eq!(standings(&places)[0].failed.as_ref().unwrap().times, times);
        }
        fs::write(node.0.path().join("ready"), "").unwrap();
        run(&places, "some").unwrap();
        let standing = &standings(&places)[0];
        assert!(standing.done.is_some() && standing.failed.is_none());
    }

    #[test]
    fn a_power_cut_before_the_record_runs_it_again() {
        let node = Node::with("echo run >> ROOT/log; echo key > ROOT/etc/key");
        let places = node.places();
        run(&places, "some").unwrap();
        // As after a cut between the copy and the record, with a torn copy.
        fs::remove_file(places.state.join("some/done.json")).unwrap();
        fs::write(places.state.join("some/etc/torn"), "").unwrap();
        node.fresh_etc();
        run(&places, "some").unwrap();
        assert_eq!(fs::read_to_string(node.0.path().join("log")).unwrap(), "run\nrun\n");
        assert!(!places.state.join("some/etc/torn").exists());
    }

    /// `pg_createcluster` takes a directory that a power cut left half-made for an old cluster, which then never starts.
    #[test]
    fn what_a_cut_attempt_has_left_is_undone_and_nothing_else() {
        let node = Node::with("mkdir -p ROOT/var/lib/some/17/main && test ! -e ROOT/var/lib/some/17/main/half");
        let places = node.places();
        let data = node.0.path().join("var/lib/some");
        for old in ["16/main", "17/other"] {
            fs::create_dir_all(data.join(old)).unwrap();
            fs::write(data.join(old).join("PG_VERSION"), "").unwrap();
        }
        // As after a cut in the middle of the first attempt.
        begin(&data, &places.state.join("some")).unwrap_err();
        make_directory(&places.state.join("some")).unwrap();
        begin(&data, &places.state.join("some")).unwrap();
        fs::create_dir_all(data.join("17/main/half")).unwrap();
        fs::write(data.join("new"), "").unwrap();
        run(&places, "some").unwrap();
        assert!(data.join("17/main").is_dir() && !data.join("new").exists());
        assert!(data.join("16/main/PG_VERSION").exists() && data.join("17/other/PG_VERSION").exists());
    }

    #[test]
    fn only_waiting_starts_are_asked_for_again() {
        let jobs = "  80 multi-user.target start waiting\n1 a.service start running\n2 b.service stop waiting\n\
                    3 postgresql.service start waiting\n";
        assert_eq!(waiting(jobs), ["multi-user.target", "postgresql.service"]);
        assert_eq!(waiting("No jobs running.\n"), Vec::<&str>::new());
    }

    #[test]
    fn tasks_that_are_none_are_refused() {
        let node = Node::with("true");
        let places = node.places();
        assert!(matches!(run(&places, "other"), Err(Error::Unknown(_))));
        assert!(matches!(run(&places, "../some"), Err(Error::Unknown(_))));
        fs::write(
            places.tasks.join("bad.json"),
            "{\"version\": 9, \"package\": \"\", \"summary\": \"\", \"command\": [\"x\"]}",
        )
        .unwrap();
        let error = run(&places, "bad").unwrap_err().to_string();
        assert!(error.ends_with("its version is 9, and this agent reads 2"), "{error}");
    }
}
