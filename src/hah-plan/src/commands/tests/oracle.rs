//! Runs one command line twice.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command as Program, Stdio};

use hah_format::path::TreePath;
use hah_format::tree::{Kind, Node};

use crate::commands::{Finished, Process, Refusal};
use crate::contents::{Contents, InlineOnly};
use crate::merge::Provenance;
use crate::rootfs::{Content, Root};
use crate::world::World;

/// The time of all files, and of now.
pub(super) const EPOCH: u32 = 1_700_000_000;

/// One file of a fixture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum File {
    Text(u16, Vec<u8>),
    Dir(u16),
    Link(String),
    Fifo(u16),
}

/// A fixture, by path below the working directory.
pub(super) type Files = BTreeMap<String, File>;

/// Short words for fixtures: `d/` is a directory, `l -> t` a link, everything else a file of mode 0644 with this text.
pub(super) fn files(entries: &[(&str, &str)]) -> Files {
    let mut files = Files::new();
    for (name, text) in entries {
        let (name, mode) = match name.split_once('@') {
            Some((name, mode)) => match mode.strip_suffix('/') {
                Some(mode) => (format!("{name}/"), Some(u16::from_str_radix(mode, 8).unwrap())),
                None => (name.to_owned(), Some(u16::from_str_radix(mode, 8).unwrap())),
            },
            None => ((*name).to_owned(), None),
        };
        let file = match name.strip_suffix('/') {
            Some(_) => File::Dir(mode.unwrap_or(0o755)),
            None if text.starts_with("-> ") => File::Link(text[3..].to_owned()),
            None => File::Text(mode.unwrap_or(0o644), text.as_bytes().to_vec()),
        };
        files.insert(name.trim_end_matches('/').to_owned(), file);
    }
    files
}

/// Splits a line at blanks, with single and double quotation marks, and `$'…'` with escapes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut left = line.chars().peekable();
    while let Some(letter) = left.next() {
        match letter {
            ' ' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                word.extend(left.by_ref().take_while(|inner| *inner != letter));
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// A row: its words, and the file that standard input comes from.
struct Row {
    words: Vec<String>,
    stdin: Option<String>,
    sorted: bool,
}

impl Row {
    fn parse(line: &str, files: &Files) -> Self {
        let (line, sorted) = match line.strip_suffix(" | sort") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let (line, stdin) = match line.rsplit_once(" < ") {
            Some((line, name)) if files.contains_key(name) => (line, Some(name.to_owned())),
            _ => (line, None),
        };
        Self { words: words(line), stdin, sorted }
    }
}

/// What is seen of a run.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: i32,
    stdout: String,
    files: Files,
}

/// Whether `program` is there; a missing one is a failure in CI.
pub(super) fn has(program: &str) -> bool {
    let found = std::env::var("PATH").unwrap_or_default().split(':').any(|dir| Path::new(dir).join(program).exists());
    assert!(found || std::env::var_os("HAH_REQUIRE_ORACLES").is_none(), "{program} is not installed");
    found
}

/// A process of a tree that holds `files` below `/work`.
pub(super) fn with_process<T>(files: &Files, run: impl FnOnce(&mut Process<'_, '_>) -> T) -> (T, Root) {
    let mut tree = Root::new();
    let path = |text: &str| TreePath::parse(text).unwrap();
    tree.insert(path("work"), Node::dir(0o755)).unwrap();
    tree.insert(path("dev"), Node::dir(0o755)).unwrap();
    tree.insert(path("tmp"), Node::dir(0o1777)).unwrap();
    let text = |text: &str| Node::file(0o644, Content::inline(text.as_bytes()));
    let passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
    tree.insert(path("etc/passwd"), text(passwd)).unwrap();
    tree.insert(path("etc/group"), text("root:x:0:\ndaemon:x:1:\nadm:x:4:daemon\n")).unwrap();
    for (name, file) in files {
        let mut node = match file {
            File::Text(mode, bytes) => Node::file(*mode, Content::inline(bytes.clone())),
            File::Dir(mode) => Node::dir(*mode),
            File::Link(target) => Node::symlink(target),
            File::Fifo(_) => continue,
        };
        node.meta.mtime = EPOCH;
        tree.insert(path(&format!("work/{name}")), node).unwrap();
    }
    let mut world = World::new(tree, Provenance::default(), &InlineOnly, EPOCH);
    let env =
        BTreeMap::from([("LC_ALL".to_owned(), "C.UTF-8".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let mut stdin = Vec::new();
    let result = {
        let mut process = Process {
            world: &mut world,
            name: String::new(),
            cwd: path("work"),
            umask: 0o022,
            env: &env,
            stdin: &mut stdin,
            stdout: Vec::new(),
            stderr: Vec::new(),
            assign: Vec::new(),
            programs: None,
            calls: 0,
        };
        run(&mut process)
    };
    (result, world.tree)
}

/// Runs `words` on our side.
pub(super) fn run_ours(files: &Files, words: &[String], stdin: Vec<u8>) -> (Result<Finished, Refusal>, Root) {
    with_process(files, |process| crate::shell::launch(process, words, stdin))
}

fn ours(row: &Row, files: &Files) -> Result<(Seen, String), Refusal> {
    let stdin = match row.stdin.as_ref().map(|name| &files[name]) {
        Some(File::Text(_, bytes)) => bytes.clone(),
        _ => Vec::new(),
    };
    let (finished, tree) = run_ours(files, &row.words, stdin);
    let finished = finished?;
    let below = TreePath::parse("work").unwrap();
    let mut left = Files::new();
    for (path, node) in tree.below(&below) {
        let name = path.as_str()["work/".len()..].to_owned();
        let file = match &node.kind {
            Kind::Dir => File::Dir(node.meta.mode),
            Kind::File(content) => File::Text(node.meta.mode, InlineOnly.bytes(content).unwrap()),
            Kind::HardLink(first) => match &tree.get(first).unwrap().kind {
                Kind::File(content) => File::Text(node.meta.mode, InlineOnly.bytes(content).unwrap()),
                other => panic!("a name of {other:?}"),
            },
            Kind::Symlink(target) => File::Link(target.to_string()),
            Kind::Fifo => File::Fifo(node.meta.mode),
            other => panic!("{other:?}"),
        };
        left.insert(name, file);
    }
    let seen = Seen {
        status: finished.status.into(),
        stdout: String::from_utf8_lossy(&finished.stdout).into_owned(),
        files: left,
    };
    Ok((seen, String::from_utf8_lossy(&finished.stderr).into_owned()))
}

fn real(row: &Row, files: &Files) -> (Seen, String) {
    let scratch = tempfile::tempdir().unwrap();
    let work = scratch.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let mode = |path: &Path, mode: u16| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode.into())).unwrap();
    };
    for (name, file) in files {
        let path = work.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match file {
            File::Text(bits, bytes) => {
                std::fs::write(&path, bytes).unwrap();
                mode(&path, *bits);
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(EPOCH.into());
                std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            }
            File::Dir(bits) => {
                std::fs::create_dir_all(&path).unwrap();
                mode(&path, *bits);
            }
            File::Link(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
            File::Fifo(_) => {}
        }
    }
    let at = scratch.path().to_str().unwrap().to_owned();
    let real_words: Vec<String> = row.words.iter().map(|word| word.replace("/work", &format!("{at}/work"))).collect();
    let mut child = Program::new("/bin/sh")
        .args(["-c", "umask 022; exec \"$@\"", "sh"])
        .args(&real_words)
        .current_dir(&work)
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let (Some(name), Some(mut stdin)) = (&row.stdin, child.stdin.take())
        && let File::Text(_, bytes) = &files[name]
    {
        // A program may end before it has read all.
        let _ = stdin.write_all(bytes);
    }
    let output = child.wait_with_output().unwrap();
    let mut left = Files::new();
    walk(&work, "", &mut left);
    let seen = Seen {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).replace(&format!("{at}/work"), "/work"),
        files: left,
    };
    (seen, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn walk(dir: &Path, name: &str, left: &mut Files) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = format!("{name}{}", entry.file_name().to_str().unwrap());
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let mode = (meta.mode() & 0o7777) as u16;
        if meta.is_symlink() {
            left.insert(name, File::Link(std::fs::read_link(&path).unwrap().to_str().unwrap().to_owned()));
        } else if meta.is_dir() {
            left.insert(name.clone(), File::Dir(mode));
            walk(&path, &format!("{name}/"), left);
        } else if meta.is_file() {
            left.insert(name, File::Text(mode, std::fs::read(&path).unwrap()));
        } else {
            left.insert(name, File::Fifo(mode));
        }
    }
}

/// Runs every row on both sides and names all that differ.
#[track_caller]
pub(super) fn check_rows(files: &Files, rows: &str) {
    let mut wrong = Vec::new();
    for line in rows.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("##")) {
        let line = line.replace('\u{2424}', "\n");
        let row = Row::parse(&line, files);
        if !has(&row.words[0]) {
            continue;
        }
        let (mut want, want_stderr) = real(&row, files);
        match ours(&row, files) {
            Ok((mut got, stderr)) => {
                if row.sorted {
                    for seen in [&mut want, &mut got] {
                        let mut lines: Vec<&str> = seen.stdout.lines().collect();
                        lines.sort_unstable();
                        seen.stdout = lines.join("\n");
                    }
                }
                if got.stdout != want.stdout || got.status != want.status {
                    wrong.push(format!(
                        "{line}\n  want {} {:?}\n   got {} {:?}\n  want stderr {want_stderr:?}\n   got stderr {stderr:?}",
                        want.status, want.stdout, got.status, got.stdout
                    ));
                } else if got.files != want.files {
                    let differ = |left: &Files, right: &Files| -> Files {
                        left.iter()
                            .filter(|(name, file)| right.get(*name) != Some(file))
                            .map(|(n, f)| (n.clone(), f.clone()))
                            .collect()
                    };
                    wrong.push(format!(
                        "{line}\n  want {:?}\n   got {:?}\n  stderr {want_stderr:?}",
                        differ(&want.files, &got.files),
                        differ(&got.files, &want.files)
                    ));
                } else if want_stderr.is_empty() != stderr.is_empty() {
                    wrong.push(format!("{line}\n  want stderr {want_stderr:?}\n   got stderr {stderr:?}"));
                }
            }
            Err(refusal) => wrong.push(format!(
                "{line}\n  refused: {refusal}\n  want {} {:?} {want_stderr:?}",
                want.status, want.stdout
            )),
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// What a real program makes of its standard input.
pub(super) fn piped(program: &str, args: &[&str], stdin: &[u8]) -> Option<Vec<u8>> {
    if !has(program) {
        return None;
    }
    let mut child = Program::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    Some(child.wait_with_output().unwrap().stdout)
}
