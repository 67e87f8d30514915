//! The command line: what was typed, and the verb that answers it.
//!
//! Each verb has a module below; this one knows flags, exit codes and how errors are shown.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::advice::Exit;
use crate::failure::Failure;
use crate::printer::{self, Detail, Mode, Printer, Unwritten};
use crate::project::settings::{Environment, Flags, Settings};

mod build;
mod config;
mod doctor;
mod flash;
mod generate;
mod identity;
mod init;
mod lock;
mod reference;
mod reporting;
mod review;
mod run;
mod secrets;
mod shell;
mod ssh;
mod store;
mod ui;
mod why;

/// Reproducible SD-card images for the nodes of a home HashiCorp cluster.
///
/// TOML recipes in, a bit-identical bootable image out: no root, no chroot, no emulator.
#[derive(Debug, Parser)]
#[command(name = "hah-image", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done · 1 you can fix it · 2 usage · 100 build failed · 102 hash mismatch · 104 not reproducible";

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The project: the directory with recipes/, images/ and hah.lock
    #[arg(short = 'C', long, value_name = "DIR", global = true)]
    directory: Option<PathBuf>,
    /// Where downloads and packs are kept
    #[arg(long, value_name = "DIR", global = true)]
    cache_dir: Option<PathBuf>,
    /// Use only what is in the cache already
    #[arg(long, global = true)]
    offline: bool,
    /// Prefer a mirror: debian=URL, hashicorp=URL; repeatable; file:// works
    #[arg(long = "mirror", value_name = "NAME=URL", global = true, value_parser = parse_mirror)]
    mirrors: Vec<(String, String)>,
    /// Also believe archives that are signed by the OpenPGP keys in FILE; repeatable
    #[arg(long = "keyring", value_name = "FILE", global = true)]
    keyrings: Vec<PathBuf>,
    /// Threads, and downloads at a time
    #[arg(short, long, value_name = "N", global = true)]
    jobs: Option<usize>,
    /// The agent's static binary for the image, instead of the embedded one
    #[arg(long, value_name = "FILE", global = true)]
    agent: Option<PathBuf>,
    /// Say less: errors and results only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: also what was found done
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Colour on stderr
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    color: Color,
    /// One line per finished step instead of live progress
    #[arg(long, global = true)]
    no_progress: bool,
    /// Events and results as JSON lines on stdout
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

fn parse_mirror(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, url)) if !name.is_empty() && !url.is_empty() => Ok((name.to_owned(), url.to_owned())),
        _ => Err("expected NAME=URL, for example debian=file:///srv/debian".to_owned()),
    }
}

fn parse_input(text: OsString) -> Result<(String, PathBuf), String> {
    named_path(&text)
        .ok_or_else(|| "expected NAME=PATH, for example nomad=downloads/nomad_2.0.4_linux_arm64.zip".to_owned())
}

/// `NAME=PATH`. The path may have `=` and bytes that are not UTF-8.
fn named_path(text: &OsStr) -> Option<(String, PathBuf)> {
    let bytes = text.as_bytes();
    let (name, path) = bytes.split_at(bytes.iter().position(|byte| *byte == b'=')?);
    let (name, path) = (std::str::from_utf8(name).ok()?, OsStr::from_bytes(&path[1..]));
    (!name.is_empty() && !path.is_empty()).then(|| (name.to_owned(), PathBuf::from(path)))
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a new project
    Init(init::InitArgs),
    /// Build images
    Build(build::BuildArgs),
    /// Resolve and pin every input of the images, without building
    Lock(lock::LockArgs),
    /// Move locked packages to the archive's newest versions
    Update(lock::UpdateArgs),
    /// Say why a package or a path is in an image
    Why(why::WhyArgs),
    /// Show an image's packages as a tree of reasons
    Tree(why::TreeArgs),
    /// Show a package's maintainer scripts and a ready review entry, or what becomes of an image's scripts
    Review(review::ReviewArgs),
    /// Boot an image in QEMU
    Run(run::RunArgs),
    /// Write an image to a card, verify it, and give it a node's identity
    Flash(flash::FlashArgs),
    /// Show what a node's card would get
    #[command(subcommand)]
    Identity(identity::IdentityVerb),
    /// Make and change the secrets of the cluster, kept encrypted beside cluster.toml
    #[command(subcommand)]
    Secrets(secrets::SecretsVerb),
    /// Log in on a node of cluster.toml, or run a command there
    Ssh(ssh::SshArgs),
    /// Open a tunnel to a user interface of the cluster
    Ui(ui::UiArgs),
    /// Remove cached inputs that no project's lock needs
    Gc(store::GcArgs),
    /// Look after the store
    #[command(subcommand)]
    Store(store::StoreVerb),
    /// Show settings and where each comes from
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Print the JSON Schema of recipe, image or cluster files, for editors
    Schema(generate::SchemaArgs),
    /// Print the reference of recipes, of files' keys, or of this command line, as Markdown
    Reference(reference::ReferenceArgs),
    /// Print a shell completion script
    Completions(generate::CompletionsArgs),
    /// Print the manual page, in roff
    Man,
    /// Check what this machine lacks for building, running and flashing
    Doctor,
}

/// What every verb gets: settings and the printer.
pub struct Context {
    /// Resolved settings.
    pub settings: Settings,
    /// The one road to the terminal.
    pub printer: Printer,
    /// The project's directory.
    pub directory: PathBuf,
}

impl Context {
    /// What builds may use.
    fn tools(&self) -> crate::build::Tools<'_> {
        crate::build::Tools { settings: &self.settings, printer: &self.printer }
    }
}

/// Runs the program; returns its exit code.
pub fn main() -> u8 {
    let environment = Environment::read();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return refused(&error);
        }
    };
    let printer = printer(&cli.global, &environment);
    let (printer, result) = run(cli, environment, printer);
    let code = result.unwrap_or_else(|failure| {
        failure.print(&printer);
        failure.exit_code()
    });
    match printer.finish() {
        Err(Unwritten) if code == 0 => Exit::User as u8,
        _ => code,
    }
}

/// Prints what clap has to say, and returns the exit code. clap knows which of its answers are data (help, version) and
/// which are talk.
fn refused(error: &clap::Error) -> u8 {
    use std::io::Write as _;
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    match printed {
        Err(failed) if !error.use_stderr() && failed.kind() != std::io::ErrorKind::BrokenPipe => {
            printer::tell_unwritten(&failed, false);
            Exit::User as u8
        }
        _ => u8::try_from(error.exit_code()).unwrap_or(2),
    }
}

fn printer(global: &Global, environment: &Environment) -> Printer {
    use std::io::IsTerminal as _;
    let dumb = environment.term.as_deref() == Some("dumb");
    let mode = if global.json {
        Mode::Json
    } else if global.quiet {
        Mode::Quiet
    } else {
        Printer::detect(!global.no_progress && !environment.no_progress && !environment.ci && !dumb)
    };
    let color = match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && !environment.no_color && !dumb,
    };
    Printer::new(mode, if global.verbose { Detail::Verbose } else { Detail::Normal }, color)
}

fn run(cli: Cli, environment: Environment, printer: Printer) -> (Printer, Result<u8, Failure>) {
    let Global { directory, cache_dir, offline, mirrors, keyrings, jobs, agent, .. } = cli.global;
    let flags = Flags { cache_dir, offline: offline.then_some(true), jobs, mirrors, keyrings, agent };
    let directory = directory.unwrap_or_else(|| PathBuf::from("."));
    let settings = match Settings::resolve(flags, environment, &crate::project::settings_directory(&directory)) {
        Ok(settings) => settings,
        Err(error) => return (printer, Err(error.into())),
    };
    // Only packing and hashing use the pool; failing to size it costs time, not correctness.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(settings.jobs.value).build_global();
    let context = Context { settings, printer, directory };
    let result = match cli.verb {
        Verb::Init(args) => init::run(&context, &args),
        Verb::Build(args) => build::run(&context, &args),
        Verb::Lock(args) => lock::lock(&context, &args),
        Verb::Update(args) => lock::update(&context, &args),
        Verb::Why(args) => why::why(&context, &args),
        Verb::Tree(args) => why::tree(&context, &args),
        Verb::Review(args) => review::run(&context, &args),
        Verb::Run(args) => run::run(&context, &args),
        Verb::Flash(args) => flash::run(&context, &args),
        Verb::Identity(verb) => identity::run(&context, &verb),
        Verb::Secrets(verb) => secrets::run(&context, &verb),
        Verb::Ssh(args) => ssh::run(&context, &args),
        Verb::Ui(args) => ui::run(&context, &args),
        Verb::Gc(args) => store::gc(&context, &args),
        Verb::Store(verb) => store::run(&context, &verb),
        Verb::Config(verb) => config::run(&context, &verb),
        Verb::Schema(args) => generate::schema(&context, &args),
        Verb::Reference(args) => reference::run(&context, &args),
        Verb::Completions(args) => generate::completions(&context, &args),
        Verb::Man => generate::man(&context),
        Verb::Doctor => doctor::run(&context),
    };
    (context.printer, result)
}
