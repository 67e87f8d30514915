//! `store verify`: re-hashes everything, and removes what does not hold what its name or footer says.

use std::path::PathBuf;

use fs_err as fs;
use hah_format::digest::{Hashing, Sha256};
use hah_format::pack::PackReader;

use super::{Bucket, Store, StoreError};

/// What a verification found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that are as they should be.
    pub good: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Files that were not, now removed, and why.
    pub removed: Vec<(PathBuf, String)>,
}

impl Store {
    /// Re-hashes all downloads and packs. What is corrupt is removed, so that the next build makes it anew.
    ///
    /// Derived files are removed unseen: nothing says what they should be, and making them again is the surest check.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let mut result = Verified::default();
        for bucket in [Bucket::Downloads, Bucket::Packs] {
            for entry in fs::read_dir(self.root().join(bucket.directory()))? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "part" || extension == "lock") {
                    continue;
                }
                match check(bucket, &path)? {
                    Ok(bytes) => {
                        result.good += 1;
                        result.bytes += bytes;
                    }
                    Err(why) => {
                        fs::remove_file(&path)?;
                        result.removed.push((path, why));
                    }
                }
            }
        }
        for entry in fs::read_dir(self.root().join(Bucket::Derived.directory()))? {
            fs::remove_file(entry?.path())?;
        }
        result.removed.sort();
        Ok(result)
    }
}

/// The length of a good file, or why it is not good.
fn check(bucket: Bucket, path: &PathBuf) -> Result<Result<u64, String>, StoreError> {
    let file = fs::File::open(path)?;
    if bucket == Bucket::Packs {
        let bytes = file.metadata()?.len();
        return Ok(match PackReader::open(std::io::BufReader::new(file)).and_then(|mut pack| pack.verify()) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(error.to_string()),
        });
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(want) = name.parse::<Sha256>() else {
        return Ok(Err("its name is not a digest".to_owned()));
    };
    let mut reader = Hashing::new(file);
    std::io::copy(&mut reader, &mut std::io::sink())?;
    let (digest, bytes, _) = reader.finish();
    Ok(if digest == want { Ok(bytes) } else { Err(format!("its digest is {digest}")) })
}
