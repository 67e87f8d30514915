//! Commands: lists, pipelines, compounds, functions, subshells, and what `set -e` makes of their statuses.
//!
//! `set -e` follows dash: a simple command, a subshell or a pipeline that fails ends the shell, unless it stands in a
//! condition, before `&&` or `||`, or behind `!`. What a function, a subshell or `eval` does in a condition is in the
//! condition too; what a command substitution does is not.

use std::rc::Rc;

use super::parser::{Parser, SyntaxError};
use super::pattern;
use super::syntax::{AndOr, Command, CommandKind, Join, List, Pipeline};
use super::{CALLS_MAX, Eval, Frame, Halt, Refusal, Shell, Variable};
use crate::commands::Programs;
use crate::world::World;

impl Shell<'_, '_> {
    /// Evaluates a script's text, one complete command after the other.
    pub(super) fn script(&mut self, text: &str) -> Eval {
        let mut parser = Parser::new(text, 1);
        parser.bash = self.bash;
        let mut empty = true;
        loop {
            // In a script of bash, aliases are for people alone.
            if !self.bash {
                parser.aliases = Rc::clone(&self.aliases);
            }
            let Some(list) = self.parsed(parser.next())? else { break };
            empty = false;
            self.list(&list)?;
        }
        if empty {
            self.status = 0;
        }
        Ok(())
    }

    fn parsed<T>(&mut self, result: Result<T, SyntaxError>) -> Result<T, Halt> {
        result.map_err(|SyntaxError { line, what }| {
            if self.traced {
                self.line = line;
            }
            self.stop(Refusal::new(format!("a syntax error: {what}")))
        })
    }

    /// Evaluates text whose lines nobody should hear of: of `eval`, of a trap.
    pub(super) fn inner_script(&mut self, text: &str) -> Eval {
        let (line, traced) = (self.line, std::mem::replace(&mut self.traced, false));
        let done = self.script(text);
        self.traced = traced;
        self.line = line;
        done
    }

    /// Runs the EXIT trap, once.
    pub(super) fn leave(&mut self) -> Eval {
        let Some(action) = self.traps.remove("EXIT") else { return Ok(()) };
        let status = self.status;
        self.conditions = 0;
        match self.inner_script(&action) {
            // An `exit` of the trap has the last word.
            Err(Halt::Exit | Halt::Error) => Ok(()),
            Err(Halt::Stop(stopped)) => Err(Halt::Stop(stopped)),
            _ => {
                self.status = status;
                Ok(())
            }
        }
    }

    pub(super) fn list(&mut self, list: &List) -> Eval {
        for item in list {
            self.and_or(item)?;
        }
        Ok(())
    }

    fn and_or(&mut self, item: &AndOr) -> Eval {
        if item.background {
            self.subshell(|shell| shell.joined(item))?;
            self.jobs.add(self.status);
            self.status = 0;
            return Ok(());
        }
        self.joined(item)
    }

    fn joined(&mut self, item: &AndOr) -> Eval {
        let count = item.rest.len();
        if count == 0 {
            return self.pipeline(&item.first);
        }
        self.condition(|shell| shell.pipeline(&item.first))?;
        for (index, (join, pipeline)) in item.rest.iter().enumerate() {
            if (self.status == 0) != (*join == Join::And) {
                continue;
            }
            // Only the last one counts for `set -e`.
            if index + 1 == count {
                self.pipeline(pipeline)?;
            } else {
                self.condition(|shell| shell.pipeline(pipeline))?;
            }
        }
        Ok(())
    }

    /// Evaluates where `set -e` does not count.
    pub(super) fn condition(&mut self, evaluate: impl FnOnce(&mut Self) -> Eval) -> Eval {
        self.conditions += 1;
        let done = evaluate(self);
        self.conditions -= 1;
        done
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Eval {
        if pipeline.negated {
            self.condition(|shell| shell.piped(&pipeline.commands))?;
            self.status = u32::from(self.status == 0);
            return Ok(());
        }
        self.piped(&pipeline.commands)
    }

    fn piped(&mut self, commands: &[Command]) -> Eval {
        if let [command] = commands {
            return self.command(command);
        }
        let mut input = None;
        let mut worst = 0;
        for (index, command) in commands.iter().enumerate() {
            let last = index + 1 == commands.len();
            let outer = self.descriptors.clone();
            if let Some(input) = input.take() {
                self.descriptors.read_from(0, input);
            }
            let captured = (!last).then(|| self.descriptors.capture(1));
            let done = self.subshell(|shell| shell.command(command));
            self.descriptors = outer;
            done?;
            worst = if self.status == 0 { worst } else { self.status };
            if let Some(captured) = captured {
                let bytes = captured.take();
                self.spend_bytes(bytes.len())?;
                input = Some(bytes);
            }
        }
        if self.options.pipefail {
            self.status = worst;
        }
        self.check()
    }

    /// `set -e`: a failure outside a condition ends the shell.
    fn check(&mut self) -> Eval {
        match self.options.errexit && self.status != 0 && self.conditions == 0 {
            true => Err(Halt::Exit),
            false => Ok(()),
        }
    }

    fn command(&mut self, command: &Command) -> Eval {
        let spent = self.world.spend_steps(1);
        if self.traced {
            self.line = command.line;
            if let Some(author) = &mut self.world.author {
                author.line = command.line;
            }
        }
        self.final_only(spent)?.ok();
        if self.options.noexec {
            return Ok(());
        }
        if let CommandKind::Simple { assignments, words } = &command.kind {
            self.simple(assignments, words, &command.redirects)?;
            return self.check();
        }
        if command.redirects.is_empty() {
            return self.compound(&command.kind);
        }
        self.with_redirects(&command.redirects, |shell, opened| match opened {
            true => shell.compound(&command.kind),
            false => {
                shell.status = 2;
                shell.check()
            }
        })
    }

    fn compound(&mut self, kind: &CommandKind) -> Eval {
        match kind {
            CommandKind::Simple { .. } => Ok(()),
            CommandKind::Group(list) => self.list(list),
            CommandKind::Subshell(list) => {
                self.subshell(|shell| shell.list(list))?;
                self.check()
            }
            CommandKind::Condition(condition) => {
                let holds = self.holds(condition)?;
                self.status = u32::from(!holds);
                self.check()
            }
            CommandKind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    self.condition(|shell| shell.list(condition))?;
                    if self.status == 0 {
                        return self.list(body);
                    }
                }
                if otherwise.is_empty() {
                    self.status = 0;
                }
                self.list(otherwise)
            }
            CommandKind::Loop { until, condition, body } => {
                let mut status = 0;
                self.repeat(|shell| {
                    shell.condition(|shell| shell.list(condition))?;
                    if (shell.status == 0) == *until {
                        shell.status = status;
                        return Ok(false);
                    }
                    // Until the body has a status of its own, a loop that is left has this one.
                    shell.status = 0;
                    shell.list(body)?;
                    status = shell.status;
                    Ok(true)
                })
            }
            CommandKind::For { name, words, body } => {
                let values = match words {
                    Some(words) => self.expand_words(words)?,
                    None => self.positional.clone(),
                };
                self.status = 0;
                let mut values = values.into_iter();
                self.repeat(|shell| {
                    let Some(value) = values.next() else { return Ok(false) };
                    shell.assign(name, value)?;
                    shell.list(body)?;
                    Ok(true)
                })
            }
            CommandKind::Case { word, arms } => {
                let subject = self.expand_one(word)?;
                for (patterns, body) in arms {
                    for pattern in patterns {
                        let pattern = self.expand_marked(pattern)?;
                        if pattern::matches(&pattern, &subject) {
                            self.status = 0;
                            return self.list(body);
                        }
                    }
                }
                self.status = 0;
                Ok(())
            }
            CommandKind::Function { name, body } => {
                self.functions.insert(name.clone(), Rc::clone(body));
                self.status = 0;
                Ok(())
            }
        }
    }

    /// Calls `turn` until it gives false, or a `break` comes out of it.
    fn repeat(&mut self, mut turn: impl FnMut(&mut Self) -> Result<bool, Halt>) -> Eval {
        self.loops += 1;
        let done = loop {
            let spent = self.world.spend_steps(1);
            if let Err(halt) = self.final_only(spent) {
                break Err(halt);
            }
            match turn(self) {
                Ok(true) | Err(Halt::Continue(1)) => {}
                Ok(false) | Err(Halt::Break(1)) => break Ok(()),
                Err(Halt::Break(count)) => break Err(Halt::Break(count - 1)),
                Err(Halt::Continue(count)) => break Err(Halt::Continue(count - 1)),
                Err(halt) => break Err(halt),
            }
        };
        self.loops -= 1;
        done
    }

    /// Evaluates in a copy of this shell that shares the world and nothing else; its status is taken over.
    pub(super) fn subshell(&mut self, evaluate: impl FnOnce(&mut Shell<'_, '_>) -> Eval) -> Eval {
        self.deeper()?;
        let mut child = fork(
            self.world,
            self.programs,
            Copied {
                name: self.name.clone(),
                positional: self.positional.clone(),
                variables: self.variables.clone(),
                functions: self.functions.clone(),
                descriptors: self.descriptors.clone(),
                cwd: self.cwd.clone(),
            },
        );
        child.options = self.options;
        child.umask = self.umask;
        child.status = self.status;
        child.line = self.line;
        child.traced = self.traced;
        child.calls = self.calls;
        child.loops = self.loops;
        child.conditions = self.conditions;
        (child.option_index, child.option_at) = (self.option_index, self.option_at);
        // `local` works in a subshell of a function, and what it hides comes back with the subshell's end.
        child.hidden = self.hidden.iter().map(|_| Frame::default()).collect();
        child.jobs = self.jobs.clone();
        child.logical.clone_from(&self.logical);
        child.bash = self.bash;
        child.aliases = Rc::clone(&self.aliases);
        let mut done = evaluate(&mut child);
        if !matches!(done, Err(Halt::Stop(_))) {
            let left = child.leave();
            done = if left.is_err() { left } else { done };
        }
        // A process gives its parent the last eight bits.
        let status = child.status & 0xff;
        self.calls -= 1;
        self.status = status;
        match done {
            Err(Halt::Stop(stopped)) => Err(Halt::Stop(stopped)),
            // `exit`, `return` and `break` end the subshell and nothing more.
            _ => Ok(()),
        }
    }

    /// Counts a level of calls.
    pub(super) fn deeper(&mut self) -> Eval {
        self.calls += 1;
        if self.calls > CALLS_MAX {
            return self.refuse(format!("more than {CALLS_MAX} functions, subshells and scripts in one another"));
        }
        Ok(())
    }

    /// The output of a command substitution, without the line ends at its end.
    pub(super) fn substitute(&mut self, list: &List) -> Result<String, Halt> {
        let outer = self.descriptors.clone();
        let captured = self.descriptors.capture(1);
        let conditions = std::mem::take(&mut self.conditions);
        let done = self.subshell(|shell| shell.list(list));
        self.conditions = conditions;
        self.descriptors = outer;
        done?;
        self.substituted = Some(self.status);
        let mut bytes = captured.take();
        self.spend_bytes(bytes.len())?;
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        bytes.retain(|byte| *byte != 0);
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => self.refuse("a command substitution whose output is not UTF-8"),
        }
    }

    /// Calls a function.
    pub(super) fn call(&mut self, body: &Command, args: &[String]) -> Eval {
        self.deeper()?;
        let positional = std::mem::replace(&mut self.positional, args.to_vec());
        let loops = std::mem::take(&mut self.loops);
        let options = std::mem::replace(&mut self.option_index, 1);
        let option_at = std::mem::take(&mut self.option_at);
        self.hidden.push(Frame::default());
        let done = self.command(body);
        let frame = self.hidden.pop().unwrap_or_default();
        for (name, variable) in frame.variables.into_iter().rev() {
            self.restore(name, variable);
        }
        (self.option_index, self.option_at) = (options, option_at);
        self.options = frame.options.unwrap_or(self.options);
        self.loops = loops;
        self.positional = positional;
        self.calls -= 1;
        match done {
            Err(Halt::Return) => Ok(()),
            other => other,
        }
    }

    /// Puts a variable back as it was.
    pub(super) fn restore(&mut self, name: String, variable: Option<Variable>) {
        match variable {
            Some(variable) => self.variables.insert(name, variable),
            None => self.variables.remove(&name),
        };
    }
}

/// What a subshell gets copies of.
struct Copied {
    name: String,
    positional: Vec<String>,
    variables: std::collections::BTreeMap<String, Variable>,
    functions: std::collections::BTreeMap<String, Rc<Command>>,
    descriptors: super::Descriptors,
    cwd: hah_format::path::TreePath,
}

fn fork<'s, 'w>(world: &'s mut World<'w>, programs: &'s dyn Programs, copied: Copied) -> Shell<'s, 'w> {
    let script = super::Script {
        name: copied.name,
        args: copied.positional,
        env: std::collections::BTreeMap::new(),
        cwd: copied.cwd,
        stdin: Vec::new(),
    };
    let mut child = Shell::new(world, script, programs);
    child.variables = copied.variables;
    child.functions = copied.functions;
    child.descriptors = copied.descriptors;
    child
}
