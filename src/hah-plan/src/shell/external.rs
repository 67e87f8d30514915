//! Simple commands: what a command's name stands for, and what is no part of the shell.
//!
//! A name is looked for in this order (POSIX.1-2017, 2.9.1.1): special built-in, function, built-in, then on `PATH` in the
//! tree: native command, shell script of the tree, reviewed call; everything else that the tree has is refused.

use super::syntax::{Redirect, RedirectKind, Word};
use super::{Eval, Halt, Refusal, Script, Shell, Variable, bash, builtins};
use crate::commands::{self, Command, Presence, Process};
use crate::world::{Errno, Follow};

/// What `. confmodule` reads; its commands are native.
pub(super) const CONFMODULES: [&str; 2] = ["/usr/share/debconf/confmodule", "/usr/share/debconf/confmodule.sh"];
/// Interpreters that are this shell.
const SHELLS: [&str; 5] = ["sh", "dash", "bash", "ash", "posh"];

/// What a name on `PATH` leads to.
pub(super) enum Found {
    /// A native command; the path is where a program of the name would be.
    Native(&'static Command, String),
    /// A file of the tree that may be executed.
    File(String),
    /// Something stands there and cannot be executed.
    NotExecutable,
    /// Nothing.
    Nothing,
}

impl Shell<'_, '_> {
    pub(super) fn simple(&mut self, assignments: &[(String, Word)], words: &[Word], redirects: &[Redirect]) -> Eval {
        self.substituted = None;
        let argv = self.expand_words(words)?;
        self.trace(assignments, &argv)?;
        let Some(name) = argv.first().cloned() else { return self.assignments_alone(assignments, redirects) };
        let special = builtins::special(self, &name);
        if argv.iter().take_while(|word| *word == "command").count() + 1 == argv.len()
            && argv.last().is_some_and(|last| last == "exec")
        {
            let done = self.redirect_for_good(redirects).and_then(|()| self.set_all(assignments));
            self.status = if done.is_ok() { 0 } else { 2 };
            return match done {
                Err(Halt::Error) if argv.len() > 1 => Ok(()),
                done => done,
            };
        }
        let part_of_shell =
            special.is_some() || self.functions.contains_key(&name) || builtins::regular(self, &name).is_some();
        let done = self.with_redirects(redirects, |shell, opened| {
            if !opened {
                shell.status = 2;
                return if special.is_some() { Err(Halt::Error) } else { Ok(()) };
            }
            match special {
                // What is assigned for a special built-in stays.
                Some(builtin) => {
                    shell.set_all(assignments)?;
                    if name == "exec" {
                        for (name, _) in assignments {
                            shell.variables.entry(name.clone()).or_default().exported = true;
                        }
                    }
                    builtin(shell, &argv[1..])
                }
                None => shell.with_assignments(assignments, |shell| shell.run_words(&name, &argv)),
            }
        });
        match done {
            // A program's here-document is expanded in the process that becomes the program.
            Err(Halt::Error)
                if !part_of_shell
                    && redirects.iter().any(|redirect| matches!(redirect.kind, RedirectKind::Here(_))) =>
            {
                Ok(())
            }
            done => done,
        }
    }

    fn run_words(&mut self, name: &str, argv: &[String]) -> Eval {
        if let Some(body) = self.functions.get(name).cloned() {
            return self.call(&body, &argv[1..]);
        }
        match builtins::regular(self, name) {
            Some(builtin) => match builtin(self, &argv[1..]) {
                // An error in a built-in that is not special ends nothing else.
                Err(Halt::Error) if !builtins::declares(name) => Ok(()),
                done => done,
            },
            None => self.external(argv),
        }
    }

    fn trace(&mut self, assignments: &[(String, Word)], argv: &[String]) -> Eval {
        if self.options.xtrace {
            let mut text = self.value("PS4").unwrap_or_default();
            text.extend(assignments.iter().map(|(name, _)| format!("{name}= ")));
            text.push_str(&argv.join(" "));
            text.push('\n');
            let written = self.write_to(2, text.as_bytes());
            self.final_only(written)?.ok();
        }
        Ok(())
    }

    fn assignments_alone(&mut self, assignments: &[(String, Word)], redirects: &[Redirect]) -> Eval {
        self.with_redirects(redirects, |shell, opened| {
            if opened {
                shell.set_all(assignments)?;
            }
            shell.status = match opened {
                true => shell.substituted.take().unwrap_or(0),
                false => 2,
            };
            Ok(())
        })
    }

    fn set_all(&mut self, assignments: &[(String, Word)]) -> Eval {
        for (name, word) in assignments {
            let value = self.expand_value(word)?;
            self.assign(name, value)?;
        }
        Ok(())
    }

    /// Sets exported variables for one command, and puts them back.
    fn with_assignments(&mut self, assignments: &[(String, Word)], run: impl FnOnce(&mut Self) -> Eval) -> Eval {
        let mut before: Vec<(String, Option<Variable>)> = Vec::new();
        for (name, word) in assignments {
            let value = self.expand_value(word)?;
            before.push((name.clone(), self.variables.get(name).cloned()));
            self.assign(name, value)?;
            if let Some(variable) = self.variables.get_mut(name) {
                variable.exported = true;
            }
        }
        let done = run(self);
        for (name, variable) in before.into_iter().rev() {
            self.restore(name, variable);
        }
        done
    }

    /// Runs what is no part of the shell.
    pub(super) fn external(&mut self, argv: &[String]) -> Eval {
        let Some(name) = argv.first() else { return Ok(()) };
        let base = name.rsplit('/').next().unwrap_or_default();
        match self.find(name) {
            Found::Native(command, _) => self.native(command, argv),
            Found::File(_) if SHELLS.contains(&base) => self.shell_command(&argv[1..]),
            Found::File(path) => self.program(&path, argv),
            Found::NotExecutable => {
                self.complain(&format!("{name}: Permission denied"));
                self.status = 126;
                Ok(())
            }
            Found::Nothing if SHELLS.contains(&base) => self.shell_command(&argv[1..]),
            Found::Nothing if self.bash && bash::is_a_word(name) => self.refuse(format!("`{name}` of bash")),
            Found::Nothing => {
                let why = if name.contains('/') { "No such file or directory" } else { "not found" };
                self.complain(&format!("{name}: {why}"));
                self.status = 127;
                Ok(())
            }
        }
    }

    /// Looks for a program as execvp(3) does.
    pub(super) fn find(&self, name: &str) -> Found {
        let base = name.rsplit('/').next().unwrap_or_default();
        if name.is_empty() {
            return Found::Nothing;
        }
        let native = commands::find(base);
        let candidates: Vec<String> = match name.contains('/') {
            true => vec![name.to_owned()],
            false => {
                let path = self.value("PATH").unwrap_or_default();
                path.split(':').map(|dir| format!("{}/{name}", if dir.is_empty() { "." } else { dir })).collect()
            }
        };
        let mut blocked = false;
        for path in &candidates {
            let Ok(stat) = self.world.stat(&self.cwd, path, Follow::Yes) else { continue };
            if !stat.is_file() || !stat.is_executable() {
                blocked = true;
                continue;
            }
            return match native {
                // A program of the same name elsewhere is another program.
                Some(command) if is_system(&stat.path) => Found::Native(command, path.clone()),
                _ => Found::File(path.clone()),
            };
        }
        match native {
            Some(command)
                if command.presence == Presence::Always && candidates.iter().any(|path| is_system_text(path)) =>
            {
                Found::Native(
                    command,
                    candidates.iter().find(|path| path.starts_with("/usr/bin/")).unwrap_or(&candidates[0]).clone(),
                )
            }
            _ if blocked => Found::NotExecutable,
            _ => Found::Nothing,
        }
    }

    fn native(&mut self, command: &'static Command, argv: &[String]) -> Eval {
        if let Err(stop) = self.refuse_random_input() {
            return if self.reviewed(argv)? { Ok(()) } else { Err(stop) };
        }
        let env = self.environment();
        let input = self.descriptors.input(0);
        let mut stdin = input.take();
        let mut process = Process {
            world: self.world,
            name: argv[0].clone(),
            cwd: self.cwd.clone(),
            umask: self.umask,
            env: &env,
            stdin: &mut stdin,
            stdout: Vec::new(),
            stderr: Vec::new(),
            assign: Vec::new(),
            programs: Some(self.programs),
            calls: self.calls,
        };
        let done = (command.run)(&mut process, &argv[1..]);
        let Process { stdout, stderr, assign, .. } = process;
        input.put(stdin);
        self.finish(&stdout, &stderr)?;
        for (name, value) in assign {
            self.assign(&name, value)?;
        }
        match done {
            Ok(status) => {
                self.status = u32::from(status);
                Ok(())
            }
            // What a native command cannot do, a review may know.
            Err(refusal) => match self.reviewed(argv)? {
                true => Ok(()),
                false => Err(self.stop(refusal)),
            },
        }
    }

    fn finish(&mut self, stdout: &[u8], stderr: &[u8]) -> Eval {
        let printed = self.write_to(1, stdout);
        self.final_only(printed)?.ok();
        let complained = self.write_to(2, stderr);
        self.final_only(complained)?.ok();
        Ok(())
    }

    /// Has a review stand in for the call, if there is one.
    fn reviewed(&mut self, argv: &[String]) -> Result<bool, Halt> {
        let Some(name) = argv.first() else { return Ok(false) };
        let env = self.environment();
        let input = self.descriptors.input(0);
        let mut stdin = input.take();
        let mut process = Process {
            world: self.world,
            name: name.clone(),
            cwd: self.cwd.clone(),
            umask: self.umask,
            env: &env,
            stdin: &mut stdin,
            stdout: Vec::new(),
            stderr: Vec::new(),
            assign: Vec::new(),
            programs: Some(self.programs),
            calls: self.calls,
        };
        let reviewed = self.programs.call(&mut process, argv);
        let Process { stdout, stderr, .. } = process;
        input.put(stdin);
        match reviewed {
            Ok(Some(status)) => {
                self.finish(&stdout, &stderr)?;
                self.status = u32::from(status);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(refusal) => Err(self.stop(refusal)),
        }
    }

    /// A file of the tree: a shell script, or a program that a review knows, or a refusal.
    fn program(&mut self, path: &str, argv: &[String]) -> Eval {
        if self.reviewed(argv)? {
            return Ok(());
        }
        if let Some(status) = self.init_script(path, argv) {
            self.status = status;
            return Ok(());
        }
        let read = self.world.read(&self.cwd, path);
        let bytes = match self.final_only(read)? {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.stop(Refusal::new(format!("{path}: {error}")))),
        };
        // A text without `#!` is run by the shell that calls it.
        let text = !bytes.starts_with(b"#!") && !bytes.starts_with(b"\x7fELF") && !bytes.contains(&0);
        if let Some(options) = shebang(&bytes).or_else(|| text.then(String::new)) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return self.nested(path, &text, &argv[1..], &options);
        }
        let kind = match bytes.split(|byte| *byte == b'\n').next() {
            Some(line) if line.starts_with(b"#!") => {
                let line = String::from_utf8_lossy(&line[2..]);
                format!("a script for {}", line.trim())
            }
            _ => "a program".to_owned(),
        };
        let words: Vec<String> = argv.iter().map(|word| shown(word)).collect();
        Err(self.stop(Refusal {
            what: format!("`{}` is {kind} of the target, which a build never runs", words.join(" ")),
            program: Some(argv.join(" ")),
        }))
    }

    /// The status of an init script that is called by its name (LSB 3.1, 20.2): nothing is started, so nothing runs.
    fn init_script(&self, path: &str, argv: &[String]) -> Option<u32> {
        let stat = self.world.stat(&self.cwd, path, Follow::Yes).ok()?;
        if stat.path.parent().is_none_or(|directory| directory.as_str() != "etc/init.d") {
            return None;
        }
        match argv.get(1)?.as_str() {
            "status" => Some(3),
            "start" | "stop" | "restart" | "try-restart" | "reload" | "force-reload" => Some(0),
            _ => None,
        }
    }

    /// `sh …`
    fn shell_command(&mut self, args: &[String]) -> Eval {
        let (mut letters, mut at, mut command, mut from_input) = (String::new(), 0, false, false);
        while let Some(word) = args.get(at) {
            let Some(found) = word.strip_prefix('-').filter(|found| !found.is_empty()) else { break };
            at += 1;
            if found == "-" {
                break;
            }
            command |= found.contains('c');
            from_input |= found.contains('s');
            letters.extend(found.chars().filter(|c| !matches!(c, 'c' | 's')));
        }
        let first = args.get(at).filter(|_| command || !from_input);
        let Some(first) = first else {
            // The script comes through standard input.
            self.refuse_random_input()?;
            let input = self.descriptors.input(0).take();
            let text = String::from_utf8_lossy(&input).into_owned();
            return self.nested("sh", &text, args.get(at..).unwrap_or_default(), &letters);
        };
        let rest = &args[at + 1..];
        if command {
            let (name, rest) = rest.split_first().map_or(("sh", rest), |(name, rest)| (name.as_str(), rest));
            return self.nested(name, first, rest, &letters);
        }
        // `bash FILE …` is a call of FILE.
        if self.reviewed(&args[at..])? {
            return Ok(());
        }
        let read = self.world.read(&self.cwd, first);
        match self.final_only(read)? {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.nested(first, &text, rest, &letters)
            }
            Err(error) => {
                self.complain(&format!("cannot open {first}: {error}"));
                self.status = if error == Errno::NotFound { 127 } else { 126 };
                Ok(())
            }
        }
    }

    /// Evaluates another script, with these option letters, as a program of its own.
    fn nested(&mut self, name: &str, text: &str, args: &[String], letters: &str) -> Eval {
        self.deeper()?;
        let script = Script {
            name: name.to_owned(),
            args: args.to_vec(),
            env: self.environment(),
            cwd: self.cwd.clone(),
            stdin: Vec::new(),
        };
        let mut child = Shell::new(self.world, script, self.programs);
        child.descriptors = self.descriptors.clone();
        child.umask = self.umask;
        child.calls = self.calls;
        child.line = self.line;
        child.traced = false;
        child.bash = is_for_bash(text.as_bytes());
        child.logical.clone_from(&self.logical);
        for letter in letters.chars() {
            if let Some(option) = child.options.letter(letter) {
                *option = true;
            }
        }
        let mut done = child.script(text);
        if !matches!(done, Err(Halt::Stop(_))) {
            done = child.leave();
        }
        let status = child.status & 0xff;
        self.calls -= 1;
        self.status = status;
        match done {
            Err(Halt::Stop(mut stopped)) => {
                stopped.what = format!("in {name}: {}", stopped.what);
                Err(Halt::Stop(stopped))
            }
            _ => Ok(()),
        }
    }
}

/// The option letters behind `#!/bin/sh`, when `bytes` is a script of this shell.
pub(super) fn shebang(bytes: &[u8]) -> Option<String> {
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let mut program = words.next()?;
    if program.ends_with("/env") {
        program = words.next()?;
    }
    if !SHELLS.contains(&program.rsplit('/').next().unwrap_or_default()) {
        return None;
    }
    Some(words.filter_map(|word| word.strip_prefix('-')).filter(|word| !word.starts_with('-')).collect())
}

/// Whether `bytes` is a script that asks for bash.
pub(super) fn is_for_bash(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    shebang(bytes).is_some() && first.windows(4).any(|word| word == b"bash")
}

/// A word as a person would type it.
fn shown(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./=:,+@%".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''").replace('\n', "\\n")) }
}

fn is_system(path: &hah_format::path::TreePath) -> bool {
    is_system_text(&format!("/{}", path.as_str()))
}

/// Whether programs of packages stand there.
fn is_system_text(path: &str) -> bool {
    ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/libexec/", "/lib/", "/usr/share/"]
        .iter()
        .any(|dir| path.starts_with(dir))
}
