//! The shell: POSIX sh with dash's semantics, whose system is a [`World`].
//!
//! | module | is |
//! |---|---|
//! | [`syntax`] | what a script says |
//! | [`parser`] | from text to that |
//! | [`expand`] | words to arguments: parameters, commands, arithmetic, splitting, paths |
//! | [`pattern`], [`arithmetic`], [`fields`] | what they need |
//! | [`evaluate`] | commands, functions, subshells, `set -e` |
//! | [`redirect`] | file descriptors |
//! | [`builtins`] | what is a part of the shell |
//! | [`bash`] | what scripts of bash have besides |
//! | [`external`] | what is not: native commands, scripts of the tree, refused programs |
//!
//! Nothing runs at the same time: the commands of a pipeline run one after the other, each to its end, and a command
//! behind `&` runs where it stands.
//! Everything has one answer: `$$` is always the same, and there is no clock.
//!
//! What dash does and this does not is refused, never done in another way: signals that a script sends itself,
//! output to a file that has been removed or renamed since it was opened.
//! A syntax error ends the evaluation even where dash would go on behind the `eval`, since it may as well be text for
//! another shell. Of bash, what its scripts use is known ([`bash`]); the rest is refused.
//!
//! Hostile scripts are bounded: nesting by [`parser::NESTING_MAX`] and [`CALLS_MAX`], work and memory by the world's budget.

mod syntax;
mod parser;
mod pattern;
mod arithmetic;
mod fields;
mod expand;
mod evaluate;
mod redirect;
mod jobs;
mod builtins;
mod test;
mod bash;
mod external;

use std::collections::BTreeMap;
use std::rc::Rc;

use hah_format::path::TreePath;

use crate::commands::{Finished, Process, Programs, Refusal};
use crate::world::{Errno, World};
use jobs::Jobs;
use redirect::Descriptors;
use syntax::Command;

/// What `$$` says.
const PROCESS_ID: u32 = 4242;
/// Deepest nesting of functions, subshells and scripts. Each level takes some kilobytes of the machine's stack.
const CALLS_MAX: u32 = 60;

/// A script about to be evaluated.
#[derive(Clone, Debug)]
pub struct Script {
    /// `$0`.
    pub name: String,
    /// `$1`, …
    pub args: Vec<String>,
    /// Exported variables.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: TreePath,
    /// Standard input.
    pub stdin: Vec<u8>,
}

/// Where and why evaluation ended before the script did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Line of the script, from 1.
    pub line: u32,
    /// What cannot be evaluated.
    pub what: String,
    /// The command line of the target's program that would have to run, where that is the reason.
    pub program: Option<String>,
}

/// Nobody knows any program.
struct NoPrograms;

impl Programs for NoPrograms {
    fn call(&self, _: &mut Process<'_, '_>, _: &[String]) -> Result<Option<u8>, Refusal> {
        Ok(None)
    }
}

/// Evaluates `text`. `programs` is asked about every program of the target before it is refused.
///
/// # Errors
/// [`Stopped`] at a syntax error, and at whatever cannot be evaluated. A command that fails is no error: the result has
/// the script's exit status.
pub fn run(world: &mut World<'_>, text: &str, script: Script, programs: &dyn Programs) -> Result<Finished, Stopped> {
    let mut shell = Shell::new(world, script, programs);
    shell.bash = external::is_for_bash(text.as_bytes());
    let done = shell.script(text);
    shell.end(done)
}

/// Runs another program for a command that starts one (`xargs`, `find -exec`, `env`, …), as execvp(3) would find it:
/// a native command, or a shell script of the tree.
///
/// It shares the world, the working directory, the mask and the exported variables of `process`.
///
/// # Errors
/// A [`Refusal`] when the program is neither.
pub fn launch(process: &mut Process<'_, '_>, words: &[String], stdin: Vec<u8>) -> Result<Finished, Refusal> {
    let script = Script {
        name: process.name.clone(),
        args: Vec::new(),
        env: process.env.clone(),
        cwd: process.cwd.clone(),
        stdin,
    };
    let programs = process.programs.unwrap_or(&NoPrograms);
    let umask = process.umask;
    let mut shell = Shell::new(process.world, script, programs);
    shell.umask = umask;
    shell.calls = process.calls + 1;
    shell.traced = false;
    let done = shell.external(words);
    match shell.end(done) {
        Ok(finished) => Ok(finished),
        Err(stopped) => Err(Refusal { what: stopped.what, program: stopped.program }),
    }
}

/// Why evaluation does not go on with the next command.
enum Halt {
    /// It cannot: the build is to hear of it.
    Stop(Box<Stopped>),
    /// `exit`, or `set -e`; the status is [`Shell::status`].
    Exit,
    /// An error after which a shell exits, unless it happened in a built-in that is not special; so has the status.
    Error,
    /// `return`.
    Return,
    /// `break` out of so many loops.
    Break(u32),
    /// `continue` with the so-many-th loop around.
    Continue(u32),
}

/// What evaluating gives: nothing but a changed shell.
type Eval = Result<(), Halt>;

/// What a function's `local` has hidden.
#[derive(Debug, Default)]
struct Frame {
    variables: Vec<(String, Option<Variable>)>,
    /// For `local -`.
    options: Option<Options>,
}

#[derive(Clone, Debug, Default)]
struct Variable {
    /// `None` for one that is exported, read-only or local, and unset.
    value: Option<String>,
    exported: bool,
    readonly: bool,
}

/// The options of `set`.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    allexport: bool,
    errexit: bool,
    noclobber: bool,
    noexec: bool,
    noglob: bool,
    nounset: bool,
    verbose: bool,
    xtrace: bool,
    pipefail: bool,
}

impl Options {
    /// The option of a letter.
    fn letter(&mut self, letter: char) -> Option<&mut bool> {
        match letter {
            'a' => Some(&mut self.allexport),
            'C' => Some(&mut self.noclobber),
            'e' => Some(&mut self.errexit),
            'f' => Some(&mut self.noglob),
            'n' => Some(&mut self.noexec),
            'u' => Some(&mut self.nounset),
            'v' => Some(&mut self.verbose),
            'x' => Some(&mut self.xtrace),
            _ => None,
        }
    }

    /// The option of a long name.
    fn named(&mut self, name: &str) -> Option<&mut bool> {
        let letter = match name {
            "allexport" => 'a',
            "noclobber" => 'C',
            "errexit" => 'e',
            "noglob" => 'f',
            "noexec" => 'n',
            "nounset" => 'u',
            "verbose" => 'v',
            "xtrace" => 'x',
            "pipefail" => return Some(&mut self.pipefail),
            _ => return None,
        };
        self.letter(letter)
    }

    /// `$-`
    fn letters(mut self) -> String {
        "efnuvxaC".chars().filter(|letter| self.letter(*letter).is_some_and(|on| *on)).collect()
    }
}

/// A shell in the middle of a script.
struct Shell<'s, 'w> {
    world: &'s mut World<'w>,
    programs: &'s dyn Programs,
    /// `$0`.
    name: String,
    positional: Vec<String>,
    variables: BTreeMap<String, Variable>,
    functions: BTreeMap<String, Rc<Command>>,
    aliases: Rc<BTreeMap<String, String>>,
    /// What `local` has hidden, a list for each function that runs.
    hidden: Vec<Frame>,
    options: Options,
    /// Where it really is.
    cwd: TreePath,
    /// Where it is by the words of `cd`, links not followed.
    logical: String,
    umask: u16,
    descriptors: Descriptors,
    /// `$?`: 0 to 255, and what `return` has made of it, which is not cut to eight bits.
    status: u32,
    /// Status of the last command substitution of the command at hand.
    substituted: Option<u32>,
    traps: BTreeMap<String, String>,
    /// Line of the command at hand.
    line: u32,
    /// Whether lines are those of the maintainer script: not in files that it reads with `.`, nor in other scripts.
    traced: bool,
    /// Functions, subshells and scripts around the command at hand.
    calls: u32,
    /// Loops of this function around it.
    loops: u32,
    /// Conditions around it, in which `set -e` does not count.
    conditions: u32,
    /// The word that getopts(1) reads next, from 1. Each function has its own, as in dash.
    option_index: usize,
    /// Where it is in a word that holds several options.
    option_at: usize,
    /// What was started with `&`.
    jobs: Jobs,
    /// Whether the script is one of bash.
    bash: bool,
}

impl<'s, 'w> Shell<'s, 'w> {
    fn new(world: &'s mut World<'w>, script: Script, programs: &'s dyn Programs) -> Self {
        let variable =
            |(name, value): (String, String)| (name, Variable { value: Some(value), exported: true, readonly: false });
        let mut variables: BTreeMap<String, Variable> = script.env.into_iter().map(variable).collect();
        let own = |value: &str| Variable { value: Some(value.to_owned()), ..Variable::default() };
        variables.insert("IFS".to_owned(), own(" \t\n"));
        variables.insert("OPTIND".to_owned(), own("1"));
        variables.entry("PATH".to_owned()).or_insert_with(|| own("/usr/sbin:/usr/bin:/sbin:/bin"));
        variables.insert("PPID".to_owned(), own(&(PROCESS_ID - 1).to_string()));
        variables.insert("PS4".to_owned(), own("+ "));
        let exported = variables.get("PWD").is_some_and(|found| found.exported);
        let pwd = Some(format!("/{}", script.cwd.as_str()));
        variables.insert("PWD".to_owned(), Variable { value: pwd, exported, readonly: false });
        Self {
            world,
            programs,
            name: script.name,
            positional: script.args,
            variables,
            functions: BTreeMap::new(),
            aliases: Rc::default(),
            hidden: Vec::new(),
            options: Options::default(),
            logical: format!("/{}", script.cwd.as_str()),
            cwd: script.cwd,
            umask: 0o022,
            descriptors: Descriptors::new(script.stdin),
            status: 0,
            substituted: None,
            traps: BTreeMap::new(),
            line: 1,
            traced: true,
            calls: 0,
            loops: 0,
            conditions: 0,
            option_index: 1,
            option_at: 0,
            jobs: Jobs::default(),
            bash: false,
        }
    }

    /// What a script leaves, its EXIT trap included.
    fn end(mut self, done: Eval) -> Result<Finished, Stopped> {
        if let Err(Halt::Stop(stopped)) = done {
            return Err(*stopped);
        }
        let done = self.leave();
        if let Err(Halt::Stop(stopped)) = done {
            return Err(*stopped);
        }
        let (stdout, stderr) = self.descriptors.printed();
        Ok(Finished { status: (self.status & 0xff) as u8, stdout, stderr })
    }

    /// A stop at the line at hand.
    fn stop(&self, refusal: Refusal) -> Halt {
        Halt::Stop(Box::new(Stopped { line: self.line, what: refusal.what, program: refusal.program }))
    }

    /// A stop for something that is more than this shell can do.
    fn refuse<T>(&self, what: impl Into<String>) -> Result<T, Halt> {
        Err(self.stop(Refusal::new(what)))
    }

    /// Complains, as dash does with an error after which it exits with status 2.
    fn die(&mut self, what: &str) -> Halt {
        self.complain(what);
        self.status = 2;
        Halt::Error
    }

    /// `NAME: LINE: what` on standard error.
    fn complain(&mut self, what: &str) {
        let text = format!("{}: {}: {what}\n", self.name, self.line);
        // What nobody can read is lost, as it is for a real shell.
        let _ = self.write_to(2, text.as_bytes());
    }

    fn spend_bytes(&mut self, count: usize) -> Eval {
        let spent = self.world.spend_bytes(count as u64 + 1);
        self.final_only(spent).map(drop)
    }

    /// An error of the tree that no script can go on from ends the evaluation; another is left to the caller.
    fn final_only<T>(&self, result: Result<T, Errno>) -> Result<Result<T, Errno>, Halt> {
        match result {
            Err(error) if error.is_final() => Err(self.stop(error.into())),
            other => Ok(other),
        }
    }

    /// Sets a variable.
    fn assign(&mut self, name: &str, value: String) -> Eval {
        self.spend_bytes(value.len())?;
        if self.variables.get(name).is_some_and(|found| found.readonly) {
            return Err(self.die(&format!("{name}: is read only")));
        }
        let export = self.options.allexport;
        if name == "OPTIND" {
            (self.option_index, self.option_at) = (value.parse().unwrap_or(1).max(1), 0);
        }
        let variable = self.variables.entry(name.to_owned()).or_default();
        variable.value = Some(value);
        variable.exported |= export;
        Ok(())
    }

    /// The exported variables.
    fn environment(&self) -> BTreeMap<String, String> {
        let exported = self.variables.iter().filter(|(_, variable)| variable.exported);
        exported.filter_map(|(name, variable)| Some((name.clone(), variable.value.clone()?))).collect()
    }
}

#[cfg(test)]
mod tests;
