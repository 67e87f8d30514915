//! What a node gets by a generation, beside the one that it runs: how much is sent, and which packages change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use hah_format::digest::Sha256;
use hah_node::generation::Digest;
use hah_node::generation::closure::{self, Closure};
use serde::{Deserialize, Serialize};

use crate::store::generations::KeptGeneration;
use crate::store::{Access, Store};

/// Names that are told one by one.
const TOLD: usize = 12;

/// The difference between two generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Bytes that a node lacks which has the older one and nothing else.
    pub bytes: u64,
    /// By name.
    pub packages: Vec<PackageChange>,
}

/// A package or artifact that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// The version in the older one, if it is there.
    pub from: Option<String>,
    /// The version in the newer one, if it is there.
    pub to: Option<String>,
}

/// Of an image's manifest, what counts here.
#[derive(Deserialize)]
struct Manifest {
    packages: Vec<Input>,
    artifacts: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    version: String,
    sha256: String,
}

impl Changes {
    /// From the generation that a node runs; `None` when the store at `cache` does not know it.
    pub fn from_running(cache: &Path, running: Digest, newer: &Closure, manifest: &[u8]) -> Option<Self> {
        let store = Store::open(cache, Access::Shared).ok()?;
        let older = store.generation(&Sha256::from_bytes(running.0)).ok().flatten()?;
        Self::between(&older, newer, manifest)
    }

    /// Between two generations; `None` when one of them cannot be read.
    pub fn between(older: &KeptGeneration, newer: &Closure, manifest: &[u8]) -> Option<Self> {
        let there: BTreeSet<_> =
            closure::parse(&older.closure).ok()?.distinct().into_iter().map(|chunk| chunk.0).collect();
        let lacking = newer.distinct().into_iter().filter(|chunk| !there.contains(&chunk.0));
        let bytes = lacking.map(|chunk| u64::from(chunk.1)).sum();
        let (before, after) = (inputs(&older.manifest)?, inputs(manifest)?);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let version = |input: Option<&(String, String)>| input.map(|(version, _)| version.clone());
        let packages = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).map(|name| {
            PackageChange { name: name.clone(), from: version(before.get(name)), to: version(after.get(name)) }
        });
        Some(Self { bytes, packages: packages.collect() })
    }
}

/// Version and digest by name.
fn inputs(manifest: &[u8]) -> Option<BTreeMap<String, (String, String)>> {
    let Manifest { packages, artifacts } = serde_json::from_slice(manifest).ok()?;
    Some(packages.into_iter().chain(artifacts).map(|input| (input.name, (input.version, input.sha256))).collect())
}

impl fmt::Display for PackageChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, from, to } = self;
        match (from, to) {
            (Some(from), Some(to)) if from == to => write!(f, "{name} {to} built anew"),
            (Some(from), Some(to)) => write!(f, "{name} {from} → {to}"),
            (None, Some(to)) => write!(f, "new {name} {to}"),
            (Some(_), None) | (None, None) => write!(f, "no more {name}"),
        }
    }
}

/// The packages in words; `no package` when it is configuration alone.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.packages.is_empty() {
            return f.write_str("no package changes");
        }
        let told: Vec<String> = self.packages.iter().take(TOLD).map(ToString::to_string).collect();
        f.write_str(&told.join(", "))?;
        match self.packages.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_come_go_and_change() {
        let manifest = |packages: &[(&str, &str, &str)]| {
            let rows = packages.iter().map(|(name, version, sha256)| {
                serde_json::json!({"name": name, "version": version, "sha256": sha256, "size": 1})
            });
            let rows: Vec<_> = rows.collect();
            serde_json::to_vec(&serde_json::json!({"packages": rows, "artifacts": [], "version": 1})).unwrap()
        };
        let text = include_str!("../../../../fuzz/seeds/generation/closure");
        let closure = closure::parse(text.as_bytes()).unwrap();
        let older = KeptGeneration {
            closure: text.into(),
            manifest: manifest(&[("a", "1", "x"), ("b", "1", "x"), ("c", "1", "x"), ("d", "1", "x")]),
        };
        let newer = manifest(&[("a", "1", "x"), ("b", "2", "y"), ("d", "1", "y"), ("e", "1", "x")]);
        let changes = Changes::between(&older, &closure, &newer).unwrap();
        assert_eq!(changes.to_string(), "b 1 → 2, no more c, d 1 built anew, new e 1");
        assert_eq!(changes.bytes, 0);
        let none = Changes::between(&older, &closure, &older.manifest).unwrap();
        assert_eq!(none.to_string(), "no package changes");
        let mut other = closure.clone();
        other.root.push(closure::Chunk(hah_node::generation::Digest([9; 32]), 500));
        assert_eq!(Changes::between(&older, &other, &older.manifest).unwrap().bytes, 500);
        assert_eq!(Changes::between(&older, &closure, b"{}"), None);
        let many: Vec<PackageChange> =
            (0..20).map(|n| PackageChange { name: format!("p{n}"), from: None, to: Some("1".into()) }).collect();
        assert!(Changes { bytes: 0, packages: many }.to_string().ends_with("new p11 1, and 8 more"));
    }
}
