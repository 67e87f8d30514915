//! Artifacts for a lock and for a build: who vouches for each, and its bytes into the store.
//!
//! ```text
//! Artifact ─→ vouched digest ─→ bytes: --input PATH, mirrors, its URL ─→ LockedArtifact    lock
//! LockedArtifact ───────────→ bytes ─→ DOWNLOADS/sha256/HEX                               fetch
//! ```
//!
//! What is handed in with `--input` is verified like everything else: against the lock when it is locked, else against
//! the checksum file, which may lie beside it.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use hah_format::digest::{Hashing, Sha256};
use hah_plan::artifact::checksums::Checksums;
use hah_plan::artifact::{Artifact, Method, VendorKey, Verify};
use hah_plan::diagnostic::did_you_mean;
use hah_plan::lock::{Lock, LockedArtifact, Trust, asker};
use hah_plan::system::System;

use crate::advice::Exit;
use crate::build::Tools;
use crate::build::downloads::{self, Progress};
use crate::clock;
use crate::failure::Failure;
use crate::fetch::{FetchError, Fetcher, Item, Keyring, Problem, Source, VouchError, Vouched};
use crate::files::draft::Draft;
use crate::printer::{Outcome, human_bytes};
use crate::store::{Bucket, Store};

/// What `--input NAME=PATH` handed in, by name.
#[derive(Clone, Debug, Default)]
pub struct Inputs(BTreeMap<String, PathBuf>);

impl Inputs {
    /// From the command line's pairs.
    pub fn new(pairs: &[(String, PathBuf)]) -> Result<Self, Failure> {
        let mut inputs = BTreeMap::new();
        for (name, path) in pairs {
            if inputs.insert(name.clone(), path.clone()).is_some() {
                return Err(Failure::new(Exit::Usage, format!("--input {name} is given twice"), None));
            }
            let hint = || Some("the path is relative to the current directory".to_owned());
            match fs::metadata(path) {
                Ok(found) if found.is_file() => {}
                Ok(_) => {
                    return Err(Failure::user(format!("--input {name}: {} is not a file", path.display()), hint()));
                }
                Err(error) => return Err(Failure::user(format!("--input {name}: {error}"), hint())),
            }
        }
        Ok(Self(inputs))
    }

    /// That every name is an artifact of one of the images.
    pub fn check<'a>(&self, systems: impl IntoIterator<Item = &'a System>) -> Result<(), Failure> {
        let (mut known, mut images) = (Vec::new(), Vec::new());
        for system in systems {
            known.extend(system.artifacts.iter().map(|artifact| artifact.name.as_str()));
            images.push(system.image.as_str());
        }
        known.sort_unstable();
        known.dedup();
        let Some(name) = self.0.keys().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "no recipe of it declares an [[artifact]]".to_owned(),
            None => format!("its artifacts: {}", known.join(", ")),
        };
        Err(Failure::user(format!("image {} has no artifact `{name}`", images.join(", ")), Some(hint)))
    }

    /// Whether `artifact` was handed in.
    pub fn has(&self, artifact: &Artifact) -> bool {
        self.of(artifact).is_some()
    }

    fn of(&self, artifact: &Artifact) -> Option<&Path> {
        self.0.get(&artifact.name).map(PathBuf::as_path)
    }
}

/// An artifact and the digest that its file must have.
struct Wanted<'a> {
    artifact: &'a Artifact,
    sha256: Sha256,
    size: Option<u64>,
    trust: Trust,
    checksums: Checksums,
}

/// Whether `lock` answers what `system` wants of artifacts, with keys that its recipes still name.
pub fn are_locked(system: &System, lock: &Lock) -> bool {
    lock.has_artifacts(&system.image, &system.artifacts)
        && system.artifacts.iter().all(|artifact| {
            lock.artifact_for(&system.image, artifact).is_some_and(|locked| is_key_named(artifact, locked))
        })
}

/// Whether the key that signed is among those that the recipe names: a key file may have been replaced.
fn is_key_named(artifact: &Artifact, locked: &LockedArtifact) -> bool {
    match (&artifact.verify, &locked.trust) {
        (Verify::OpenPgp { key: key @ VendorKey::File { .. }, .. }, Trust::Signed { fingerprint, .. }) => {
            Keyring::names_certificate(key, fingerprint)
        }
        _ => true,
    }
}

/// The lock with an answer for the artifacts of `system`. What is locked already is not asked for again.
pub fn pin_artifacts(
    tools: Tools<'_>,
    store: &Store,
    system: &System,
    (lock, inputs): (&Lock, &Inputs),
) -> Result<Lock, Failure> {
    let fetcher = downloads::fetcher(tools, store, &[])?;
    let mut wanted = Vec::new();
    for artifact in &system.artifacts {
        // Another image may have it already.
        let known = lock.artifacts().iter().find(|locked| locked.answers(artifact) && is_key_named(artifact, locked));
        wanted.push(match known {
            Some(locked) => Wanted {
                artifact,
                sha256: locked.sha256,
                size: Some(locked.size),
                trust: locked.trust.clone(),
                checksums: Checksums::default(),
            },
            None => vouched(tools, &fetcher, artifact, inputs.of(artifact))?,
        });
    }
    for one in &wanted {
        if let Some(path) = inputs.of(one.artifact) {
            ingest(store, one, path)?;
        }
    }
    let unknown: Vec<&Wanted<'_>> = wanted.iter().filter(|one| one.size.is_none()).collect();
    // No checksum file says how long the files are.
    download(tools, store, &fetcher, &unknown)?;
    let mut locked = Vec::new();
    for Wanted { artifact, sha256, size, trust, .. } in wanted {
        let size = match size {
            Some(size) => size,
            None => fs::metadata(store.path(Bucket::Downloads, &sha256))?.len(),
        };
        locked.push(LockedArtifact {
            name: artifact.name.clone(),
            version: artifact.version.clone(),
            url: artifact.url.clone(),
            size,
            sha256,
            trust,
            images: Default::default(),
            why: [asker(artifact)].into(),
        });
    }
    Ok(lock.with_artifacts(&system.image, locked))
}

/// Makes sure that the files of locked artifacts are in the store.
pub fn fetch(
    tools: Tools<'_>,
    store: &Store,
    locked: &[(Artifact, LockedArtifact)],
    inputs: &Inputs,
) -> Result<(), Failure> {
    let wanted: Vec<Wanted<'_>> = locked
        .iter()
        .map(|(artifact, locked)| Wanted {
            artifact,
            sha256: locked.sha256,
            size: Some(locked.size),
            trust: locked.trust.clone(),
            checksums: Checksums::default(),
        })
        .collect();
    for one in &wanted {
        if let Some(path) = inputs.of(one.artifact) {
            ingest(store, one, path)?;
        }
    }
    let fetcher = downloads::fetcher(tools, store, &[])?;
    download(tools, store, &fetcher, &wanted.iter().collect::<Vec<_>>())
}

/// Asks whom the recipe names.
fn vouched<'a>(
    tools: Tools<'_>,
    fetcher: &Fetcher,
    artifact: &'a Artifact,
    input: Option<&Path>,
) -> Result<Wanted<'a>, Failure> {
    let beside =
        input.map(|path| path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")));
    let step = tools.printer.step("Verifying", artifact.to_string(), None);
    let Vouched { sha256, trust, told, checksums } =
        fetcher.vouched(artifact, beside, clock::unix_now()).map_err(|error| vouch_failure(&error, artifact, input))?;
    step.done("Verified", &format!("{artifact}: {told}"), Outcome::Made);
    Ok(Wanted { artifact, sha256, size: None, trust, checksums })
}

fn vouch_failure(error: &VouchError, artifact: &Artifact, input: Option<&Path>) -> Failure {
    let exit = match error {
        _ if error.is_tampered() => Exit::HashMismatch,
        VouchError::Key { .. } => Exit::User,
        _ if error.wants_network() => Exit::User,
        VouchError::Refused { .. } => Exit::Build,
    };
    let other = input.and_then(|path| other_release(artifact, path));
    Failure::new(exit, error.to_string(), Some(other.unwrap_or_else(|| error.hint())))
}

/// What to say of a file that is called like another release than the recipe wants.
fn other_release(artifact: &Artifact, path: &Path) -> Option<String> {
    let (found, want) = (path.file_name()?.to_str()?, artifact.file_name()?);
    (found != want).then(|| {
        format!(
            "the file is called {found}, and {artifact} is {want}: hand that in, or set the version in recipe {} (usually a parameter: `{}.version`) and run `hah-image lock --input {}=PATH`",
            artifact.recipe, artifact.recipe, artifact.name
        )
    })
}

/// Takes the file at `path` into the store, if it is what is wanted.
fn ingest(store: &Store, wanted: &Wanted<'_>, path: &Path) -> Result<(), Failure> {
    let mut source = fs::File::open(path)?;
    let mut draft = Draft::create(&store.root().join("tmp").join(format!("input.{}", std::process::id())))?;
    let mut hashing = Hashing::new(io::BufWriter::with_capacity(1 << 20, draft.file()));
    io::copy(&mut source, &mut hashing)?;
    let (found, _, mut out) = hashing.finish();
    out.flush()?;
    drop(out);
    if found != wanted.sha256 {
        return Err(mismatch(wanted, path, &found));
    }
    draft.publish(&store.path(Bucket::Downloads, &wanted.sha256))?;
    Ok(())
}

/// Why the file of `--input` is refused.
fn mismatch(wanted: &Wanted<'_>, path: &Path, found: &Sha256) -> Failure {
    let artifact = wanted.artifact;
    let who = match &wanted.trust {
        _ if wanted.size.is_some() => "hah.lock",
        Trust::Signed { .. } => "the signed checksum file",
        Trust::Unsigned(Method::Sha256Sums) => "the checksum file",
        Trust::Unsigned(_) => "the recipe",
    };
    let message = format!(
        "--input {}: {} is not {artifact}: its SHA-256 is {found}, and {who} says {}",
        artifact.name,
        path.display(),
        wanted.sha256
    );
    let hint = match wanted.checksums.named(found) {
        Some(name) => {
            format!("it is {name} of the same release: check `arch` in the recipe, or hand in the other file")
        }
        None => other_release(artifact, path).unwrap_or_else(|| match artifact.verify {
            Verify::Sha256(_) => {
                format!("if this is the build that you mean, set `sha256` in recipe {}", artifact.recipe)
            }
            _ => "it was changed, or cut short: get it anew".to_owned(),
        }),
    };
    Failure::new(Exit::HashMismatch, message, Some(hint))
}

/// Fetches what is not in the store.
fn download(tools: Tools<'_>, store: &Store, fetcher: &Fetcher, wanted: &[&Wanted<'_>]) -> Result<(), Failure> {
    let mut items = Vec::new();
    for one in wanted.iter().filter(|one| !store.contains(Bucket::Downloads, &one.sha256)) {
        let Some(url) = &one.artifact.url else {
            return Err(Failure::user(
                format!("artifact {} has no URL, and it is not in the cache", one.artifact),
                Some(format!("hand it in: --input {}=PATH", one.artifact.name)),
            ));
        };
        items.push(Item {
            name: one.artifact.to_string(),
            sha256: one.sha256,
            size: one.size,
            source: Source::Release { mirror: one.artifact.mirror.clone(), url: url.clone() },
        });
    }
    if items.is_empty() {
        return Ok(());
    }
    let events = Progress::new(tools.printer);
    fetcher.fetch_all(&items, &events).map_err(|error| download_failure(&error, &items))?;
    events.done();
    Ok(())
}

fn download_failure(error: &FetchError, items: &[Item]) -> Failure {
    let plain = crate::build::fetch_failure(error);
    let FetchError::Unavailable(files) = error else { return plain };
    let has =
        |wanted: fn(&Problem) -> bool| files.iter().flat_map(|file| &file.tried).any(|tried| wanted(&tried.problem));
    let name = items.first().map_or("NAME", |item| item.name.split(' ').next().unwrap_or_default());
    let hint = if error.is_mismatch() {
        "what was served was thrown away: it is not what the vendor lists; name another mirror, or hand the right file in with --input".to_owned()
    } else if has(|problem| matches!(problem, Problem::Offline)) {
        format!("run once without --offline, name a local mirror, or hand it in: --input {name}=PATH")
    } else if has(|problem| matches!(problem, Problem::NotThere(_))) {
        "release sites answer 403 or 404 for what they do not have: check `version` and `arch` in the recipe".to_owned()
    } else {
        format!(
            "check the network and https_proxy; downloads continue where they stopped; or hand it in: --input {name}=PATH"
        )
    };
    plain.advising(hint)
}

/// Says which artifacts nobody has signed.
pub fn note_unsigned(tools: Tools<'_>, locked: &[(Artifact, LockedArtifact)]) {
    for (artifact, locked) in locked {
        if let Some(why) = locked.trust.method().unsigned_because() {
            tools.printer.note(&format!("artifact {artifact} ({}) is unsigned: {why}", human_bytes(locked.size)));
        }
    }
}
