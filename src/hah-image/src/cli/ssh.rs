//! `ssh`: a shell on a node, or a command there.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use clap::Args;

use super::Context;
use crate::failure::Failure;
use crate::programs::ssh::{Route, SshError};
use crate::project::Project;
use crate::project::fleet::{cluster_of, route_to};

/// Arguments of `ssh`.
#[derive(Debug, Args)]
pub(super) struct SshArgs {
    #[command(flatten)]
    options: SshOptions,
    /// The node, as cluster.toml calls it
    #[arg(value_name = "NODE")]
    node: String,
    /// A command to run there, as ssh takes it; a shell without
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// What goes to `ssh` as it is.
#[derive(Debug, Clone, Args)]
pub(super) struct SshOptions {
    /// An option of ssh_config(5), which counts before those of hah-image; repeatable
    #[arg(short = 'o', long = "ssh-option", value_name = "KEY=VALUE", value_parser = parse_option)]
    options: Vec<String>,
}

fn parse_option(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic()) => Ok(text.to_owned()),
        _ => Err("expected KEY=VALUE, for example ProxyJump=me@gateway".to_owned()),
    }
}

impl SshOptions {
    /// The way to a node of the project's fleet.
    pub(super) fn route(&self, context: &Context, node: &str) -> Result<Route, Failure> {
        let project = Project::open(&context.directory)?;
        let cluster = cluster_of(&project)?;
        let route = route_to(&project, &cluster, node)?;
        Ok(Route { options: self.options.clone(), ..route })
    }
}

/// Runs `ssh`, and ends as it does: with the code of the remote command, or 255.
pub(super) fn run(context: &Context, args: &SshArgs) -> Result<u8, Failure> {
    let route = args.options.route(context, &args.node)?;
    let status = route.command().args(&args.words).status().map_err(SshError::from)?;
    Ok(code(status))
}

/// What a shell makes of a status.
pub(super) fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(255)
}
