//! `hah-agent first-boot NAME`: a task that a build leaves to the node, once in a card's life.
//!
//! ```text
//! done?  ── yes ─→ put back what it left below /etc
//!   │ no
//!   ▼
//! look at /etc ─→ run the command ─→ copy what changed below /etc to STATE/NAME/etc ─→ flush ─→ done.json
//! ```
//!
//! `done.json` is written last and gets its name when it is on the medium, so a power cut runs the command again: such
//! commands make what is missing. A failure is written down, and the next boot tries again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use hah_node::first_boot::{Done, Failed, STATE, TASKS, Task, VERSION};

use crate::stage1::seed::{self, Durability};
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

/// Where everything is; `/` but in tests.
pub(crate) struct Places {
    tasks: PathBuf,
    state: PathBuf,
    etc: PathBuf,
}

impl Places {
    /// Those below `root`.
    pub(crate) fn below(root: &Path) -> Self {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        Self { tasks: at(TASKS), state: at(STATE), etc: at("/etc") }
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

/// Runs the task `name`, or puts back what it has left.
pub(crate) fn run(places: &Places, name: &str) -> Result<(), Error> {
    let task = task(places, name)?;
    let state = places.state.join(name);
    make_private_directory(&state)?;
    if let Some(done) = read::<Done>(&state.join("done.json")) {
        return put_back(places, &state, &done);
    }
    match attempt(places, &task, &state) {
        Ok(()) => {
            let _ = fs::remove_file(state.join("failed.json"));
            console::complain(&format!("first boot of {}: {}: done", task.package, task.summary));
            Ok(())
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

/// How far all tasks are, in order of name.
pub(crate) fn standings(places: &Places) -> Vec<Standing> {
    let mut names: Vec<String> = fs::read_dir(&places.tasks)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    let standing = |name: String| {
        let task = task(places, &name).ok()?;
        let state = places.state.join(&name);
        let done = read::<Done>(&state.join("done.json")).map(|done| done.at);
        let failed = if done.is_none() { read(&state.join("failed.json")) } else { None };
        Some(Standing { name, summary: task.summary, done, failed })
    };
    names.into_iter().filter_map(standing).collect()
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

fn attempt(places: &Places, task: &Task, state: &Path) -> Result<(), Error> {
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
    let removed = keep(places, &before, state)?;
    write(&state.join("done.json"), &Done { at: now(), removed })
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

/// Copies what is new or changed below `/etc` to the data partition; returns what is gone.
fn keep(places: &Places, before: &BTreeMap<PathBuf, Marks>, state: &Path) -> Result<Vec<String>, Error> {
    let after = look(&places.etc)?;
    let kept = state.join("etc");
    // A part of an attempt that was cut short says nothing.
    match fs::remove_dir_all(&kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::Io { doing: format!("remove {}", kept.display()), source: error });
        }
        _ => {}
    }
    for path in after.iter().filter(|(path, marks)| before.get(*path) != Some(marks)).map(|(path, _)| path) {
        let Ok(relative) = path.strip_prefix(&places.etc) else { continue };
        copy_with_parents(&places.etc, &kept, relative)?;
    }
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let gone = gone.filter_map(|path| path.strip_prefix(&places.etc).ok()?.to_str().map(str::to_owned));
    let gone = gone.collect();
    if kept.exists() {
        File::open(&kept)
            .and_then(|directory| rustix::fs::syncfs(&directory).map_err(io::Error::from))
            .map_err(|source| Error::Io { doing: format!("flush {}", kept.display()), source })?;
    }
    Ok(gone)
}

/// Copies `from/relative` to `to/relative`, over what is there, and the directories above it when they are missing.
fn copy_with_parents(from: &Path, to: &Path, relative: &Path) -> Result<(), Error> {
    let mut missing: Vec<&Path> = relative.ancestors().skip(1).filter(|path| !to.join(path).exists()).collect();
    // The outermost first.
    missing.reverse();
    for path in missing.into_iter().chain([relative]) {
        let (from, to) = (from.join(path), to.join(path));
        seed::put(&from, &to, Durability::AtTheEnd)
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

fn make_private_directory(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Error::Io { doing: format!("make {}", path.display()), source })
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let io = |source| Error::Io { doing: format!("write {}", path.display()), source };
    let text = serde_json::to_vec(value).map_err(|error| io(error.into()))?;
    durable::write(path, &text, 0o600).map_err(io)
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
        run(&places, "some").unwrap();
        assert!(standings(&places)[0].done.is_some());
        for _ in 0..2 {
            node.fresh_etc();
            run(&places, "some").unwrap();
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
        assert!(error.ends_with("its version is 9, and this agent reads 1"), "{error}");
    }
}
