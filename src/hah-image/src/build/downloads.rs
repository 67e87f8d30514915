//! Fetching for a build: mirrors from settings and host, progress for the printer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;

use hah_plan::lock::LockedPackage;
use hah_plan::system::{Archive, OwnArchive};

use crate::advice::Exit;
use crate::build::{Tools, fetch_failure};
use crate::failure::Failure;
use crate::fetch::{AptEnvironment, Events, FetchOptions, Fetcher, Item, Mirrors, Mode, Provenance, Source};
use crate::printer::{Outcome, Printer, Step, human_bytes};
use crate::project::settings::{Environment, Settings};
use crate::store::Store;

/// Where apt keeps its sources and its configuration.
const APT: &str = "/etc/apt";

/// Adds the mirrors that this machine's apt uses, with its proxies.
pub fn add_apt_mirrors(mirrors: &mut Mirrors, settings: &Settings) {
    let Environment { no_proxy, apt_config, .. } = &settings.environment;
    let environment = AptEnvironment { no_proxy: no_proxy.clone(), apt_config: apt_config.clone() };
    mirrors.add_apt_sources(Path::new(APT), &environment);
}

/// The name that the mirrors of `archive` are known under. One of a person's own may be called like a release site.
pub fn mirrored_as(archive: &Archive) -> String {
    match archive {
        Archive::Debian | Archive::DebianSecurity => archive.as_str().to_owned(),
        Archive::Own(name) => format!("archive {name}"),
    }
}

/// A fetcher into `store`, as the settings say, that knows where `archives` are besides.
pub fn fetcher(tools: Tools<'_>, store: &Store, archives: &[OwnArchive]) -> Result<Fetcher, Failure> {
    let mut mirrors = Mirrors::new();
    let mut add = |name: &str, base: &str, told_by: &dyn fmt::Display| {
        mirrors
            .add(name, base, told_by)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string(), Some(error.hint().to_owned())))
    };
    for (archive, mirror) in
        tools.settings.mirrors.iter().flat_map(|(name, all)| all.iter().map(move |one| (name, one)))
    {
        add(archive, &mirror.value, &mirror.origin)?;
    }
    for archive in archives {
        let name = mirrored_as(&Archive::Own(archive.name.clone()));
        for mirror in tools.settings.mirrors.get(&*archive.name).into_iter().flatten() {
            add(&name, &mirror.value, &mirror.origin)?;
        }
        for uri in &archive.uris {
            add(&name, uri, &archive.recipe)?;
        }
    }
    add_apt_mirrors(&mut mirrors, tools.settings);
    let mut options = FetchOptions::new(store.root().join("downloads"), mirrors);
    options.mode = if tools.settings.offline.value { Mode::Offline } else { Mode::Online };
    // Downloads wait for the network, not for the processor.
    options.jobs = NonZeroUsize::new(tools.settings.jobs.value.max(8)).unwrap_or(NonZeroUsize::MIN);
    Ok(Fetcher::new(options))
}

/// Makes sure that `packages` of an image with this epoch and these archives are in the download cache.
pub fn packages(
    tools: Tools<'_>,
    store: &Store,
    packages: &[&LockedPackage],
    (epoch, archives): (u32, &[OwnArchive]),
) -> Result<(), Failure> {
    let items: Vec<Item> = packages
        .iter()
        .map(|package| Item {
            name: format!("{} {} ({})", package.name, package.version, package.architecture),
            sha256: package.sha256,
            size: Some(package.size),
            source: Source::Debian {
                archive: mirrored_as(&package.archive),
                path: package.path.clone(),
                snapshot: Some(u64::from(epoch)),
            },
        })
        .collect();
    if items.is_empty() {
        return Ok(());
    }
    let events = Progress::new(tools.printer);
    fetcher(tools, store, archives)?.fetch_all(&items, &events).map_err(|error| fetch_failure(&error))?;
    events.done();
    Ok(())
}

/// Draws all downloads as one step: how many bytes of how many.
pub struct Progress<'a> {
    printer: &'a Printer,
    state: RefCell<State<'a>>,
}

#[derive(Default)]
struct State<'a> {
    step: Option<Step<'a>>,
    /// Bytes of items under way or done, by name.
    bytes: BTreeMap<String, u64>,
    finished: u64,
}

impl<'a> Progress<'a> {
    /// Nothing is shown until the first download begins.
    pub fn new(printer: &'a Printer) -> Self {
        Self { printer, state: RefCell::default() }
    }

    /// All downloads are done.
    pub fn done(self) {
        let state = self.state.into_inner();
        if let Some(step) = state.step {
            let bytes: u64 = state.bytes.values().sum();
            step.done("Fetched", &format!("{} files, {}", state.finished, human_bytes(bytes)), Outcome::Made);
        }
    }

    fn show(state: &State<'_>, item: &Item) {
        if let Some(step) = &state.step {
            step.set_message(&item.name);
            step.set_position(state.bytes.values().sum());
        }
    }
}

impl Events for Progress<'_> {
    fn started(&self, item: &Item) {
        let mut state = self.state.borrow_mut();
        if state.step.is_none() {
            state.step = Some(self.printer.step("Fetching", item.name.clone(), None));
        }
        state.bytes.insert(item.name.clone(), 0);
        Self::show(&state, item);
    }

    fn progress(&self, item: &Item, bytes: u64) {
        let mut state = self.state.borrow_mut();
        state.bytes.insert(item.name.clone(), bytes);
        Self::show(&state, item);
    }

    fn retrying(&self, item: &Item, why: &str) {
        self.printer.note(&format!("{}: {why}; trying again", item.name));
    }

    fn waiting(&self, item: &Item) {
        self.printer.note(&format!("{}: another hah-image is downloading it", item.name));
    }

    fn finished(&self, item: &Item, from: Provenance<'_>) {
        if let Provenance::Url(_) = from {
            let mut state = self.state.borrow_mut();
            state.finished += 1;
            if let Some(size) = item.size {
                state.bytes.insert(item.name.clone(), size);
            }
            Self::show(&state, item);
        }
    }
}
