//! From a believed `Release` to a `Packages` file: the forms that it lists, from the smallest to the largest.
//!
//! A release lists an index compressed in several ways, each with a digest and a size of its own, and a mirror need not
//! have them all. What is not there, or is not what was listed, is passed over for the next form, as apt passes over what
//! is not there. Mirrors are asked for every form before the snapshot archive is asked for any.
//! With `Acquire-By-Hash` a form has two paths: that of its digest stays for a while after the next index has come; the
//! plain one is there on mirrors that copy by name.

use std::io::Read;

use hah_plan::debian::archive::{Listed, Release};

use super::super::{Events, FetchError, Fetcher, Item, Problem, Source, Tried, Unavailable};
use super::{ReleaseError, SuiteRequest};

use crate::files;

/// Longest `Packages`, uncompressed, in bytes; Debian 13 has 60 MB.
const MAX_PACKAGES: u64 = 1 << 30;
/// Memory for a decompressor, in bytes.
const DECODER_MEMORY: u64 = 128 << 20;

/// How an index is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Xz,
    Zstd,
    Bzip2,
    Lzma,
    Gzip,
    Plain,
}

impl Form {
    /// Every form, the better of two equally long ones first.
    const ALL: [Self; 6] = [Self::Xz, Self::Zstd, Self::Bzip2, Self::Lzma, Self::Gzip, Self::Plain];

    fn file_name(self) -> &'static str {
        match self {
            Self::Xz => "Packages.xz",
            Self::Zstd => "Packages.zst",
            Self::Bzip2 => "Packages.bz2",
            Self::Lzma => "Packages.lzma",
            Self::Gzip => "Packages.gz",
            Self::Plain => "Packages",
        }
    }

    pub(super) fn unpack(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut packages = Vec::new();
        let lzma = |stream| Box::new(liblzma::bufread::XzDecoder::new_stream(bytes, stream));
        let reader: Box<dyn Read + '_> = match self {
            Self::Xz => lzma(liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY, 0)?),
            Self::Lzma => lzma(liblzma::stream::Stream::new_lzma_decoder(DECODER_MEMORY)?),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
                decoder.window_log_max(DECODER_MEMORY.ilog2())?;
                Box::new(decoder)
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(bytes)),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
            Self::Plain => Box::new(bytes),
        };
        if reader.take(MAX_PACKAGES + 1).read_to_end(&mut packages)? as u64 > MAX_PACKAGES {
            return Err(std::io::Error::other(format!("it has more than {MAX_PACKAGES} bytes")));
        }
        Ok(packages)
    }
}

/// One way to get the index of a component.
#[derive(Clone, Debug)]
struct Way {
    item: Item,
    form: Form,
}

/// The ways to get the index of one component, the best first.
fn ways(release: &Release, request: &SuiteRequest, component: &str, now: u64) -> Result<Vec<Way>, ReleaseError> {
    let SuiteRequest { archive, suite, architecture, snapshot, .. } = request;
    let below = match request.is_flat() {
        true => String::new(),
        false => format!("{component}/binary-{architecture}/"),
    };
    let listed = |form: Form| Some((form, *release.files.get(&format!("{below}{}", form.file_name()))?));
    let mut forms: Vec<(Form, Listed)> = Form::ALL.into_iter().filter_map(listed).collect();
    forms.sort_by_key(|(_, listed)| listed.size);
    if forms.is_empty() {
        return Err(ReleaseError::NoIndex {
            archive: archive.clone(),
            suite: suite.clone(),
            component: component.to_owned(),
            architecture: *architecture,
        });
    }
    let time = snapshot.unwrap_or(now);
    // A snapshot that was asked for is where to look; else it is the last resort.
    let rounds: &[Option<u64>] = if snapshot.is_some() { &[Some(time)] } else { &[None, Some(time)] };
    let mut ways = Vec::new();
    for snapshot in rounds {
        for (form, listed) in &forms {
            let by_hash =
                release.acquire_by_hash.then(|| request.path(&format!("{below}by-hash/SHA256/{}", listed.sha256)));
            let by_name = request.path(&format!("{below}{}", form.file_name()));
            ways.extend(by_hash.into_iter().chain([by_name]).map(|path| Way {
                item: Item {
                    name: format!("index of {suite} {component} {architecture}"),
                    sha256: listed.sha256,
                    size: Some(listed.size),
                    source: Source::Debian { archive: archive.clone(), path, snapshot: *snapshot },
                },
                form: *form,
            }));
        }
    }
    Ok(ways)
}

impl Fetcher {
    /// The uncompressed index of each component of `request`, as `release` names it.
    pub(super) fn indexes(
        &self,
        release: &Release,
        request: &SuiteRequest,
        now: u64,
        events: &dyn Events,
    ) -> Result<Vec<Vec<u8>>, ReleaseError> {
        let all = request.indexed().into_iter().map(|component| ways(release, request, component, now));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        // The first way is the usual one, and the components go it together.
        let first: Vec<Item> = all.iter().filter_map(|ways| Some(ways.first()?.item.clone())).collect();
        let mut failed = match self.fetch_all(&first, events) {
            Ok(_) => Vec::new(),
            Err(FetchError::Unavailable(failed)) => failed,
            Err(other) => return Err(other.into()),
        };
        let mut indexes = Vec::new();
        for ways in &all {
            let of_this = |failed: &Unavailable| ways.first().is_some_and(|way| Some(way.item.sha256) == failed.sha256);
            let known = failed.iter().position(of_this).map(|position| failed.swap_remove(position));
            indexes.push(self.index(ways, known, events)?);
        }
        Ok(indexes)
    }

    /// The index by the first of `ways` that leads to it. The first way has failed as `known` says.
    fn index(&self, ways: &[Way], known: Option<Unavailable>, events: &dyn Events) -> Result<Vec<u8>, ReleaseError> {
        let mut tried: Vec<Tried> = Vec::new();
        let mut broken = None;
        let mut known = known;
        for way in ways {
            let fetched = match known.take() {
                Some(known) => Err(FetchError::Unavailable(vec![known])),
                None => self.fetch_all(std::slice::from_ref(&way.item), events),
            };
            match fetched {
                Ok(paths) => {
                    let bytes = paths.first().map(files::read).transpose().map_err(std::io::Error::from);
                    match bytes.and_then(|bytes| way.form.unpack(&bytes.unwrap_or_default())) {
                        Ok(packages) => return Ok(packages),
                        Err(error) => {
                            let name = format!("{} ({})", way.item.name, way.form.file_name());
                            broken = broken.or(Some(ReleaseError::Unpack { name, reason: error.to_string() }));
                        }
                    }
                }
                Err(FetchError::Unavailable(failed)) => {
                    let new: Vec<Tried> = failed.into_iter().flat_map(|failed| failed.tried).collect();
                    // Where nobody answers, asking for something else is no use.
                    let answered = new.is_empty() || new.iter().any(|tried| is_answer(&tried.problem));
                    tried.extend(new);
                    if !answered {
                        break;
                    }
                }
                Err(other) => return Err(other.into()),
            }
        }
        let name = ways.first().map(|way| way.item.name.clone()).unwrap_or_default();
        Err(broken.unwrap_or_else(|| FetchError::Unavailable(vec![Unavailable { name, sha256: None, tried }]).into()))
    }
}

/// Whether somebody was there to say so.
fn is_answer(problem: &Problem) -> bool {
    !matches!(problem, Problem::Connect(_) | Problem::Silence(_) | Problem::Down)
}
