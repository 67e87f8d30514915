//! sed(1): the whole language of POSIX and GNU's additions, but `e`, which would run programs.

mod escapes;
mod replace;
mod script;
mod run;

use super::operands::{base_name, in_directory, lines_with_ends, shell_quoted, without_end};
use super::options::Order;
use super::{Command, Process, Refusal};
use crate::world::Follow;

use run::{Editor, Input, Line};
use script::{Script, ScriptError};

pub(super) const COMMANDS: &[Command] = &[Command::always("sed", sed)];

const SPEC: &str = "n,quiet ,silent e,expression= f,file= E,regexp-extended r i,in-place=? s,separate u,unbuffered \
    z,null-data l,line-length= b,binary ,follow-symlinks ,sandbox";

/// sed(1): `-n -e -f -E -r -i[SUFFIX] -s -z -u`, `--follow-symlinks`.
fn sed(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let mut options = process.options(args, SPEC, Order::Any)?;
    let mut text = String::new();
    let mut pieces = 0;
    for given in &options.given {
        let piece = match given.name {
            "e" => given.text().to_owned(),
            "f" => match process.read_operand(given.text())? {
                Some(bytes) => {
                    let piece = String::from_utf8(bytes).map_err(|_| Refusal::new("a sed script that is not UTF-8"))?;
                    piece.strip_suffix('\n').map(str::to_owned).unwrap_or(piece)
                }
                None => return Ok(1),
            },
            _ => continue,
        };
        if pieces > 0 {
            text.push('\n');
        }
        pieces += 1;
        text.push_str(&piece);
    }
    if pieces == 0 {
        if options.operands.is_empty() {
            process
                .stderr
                .extend_from_slice(b"Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...\n");
            return Ok(1);
        }
        text = options.operands.remove(0);
    }
    let extended = options.has("E") || options.has("r");
    let script = match Script::parse(&text, extended, process.is_utf8()) {
        Ok(script) => script,
        Err(ScriptError::Invalid(message)) => {
            process.complain(format_args!("-e expression #1, {message}"));
            return Ok(1);
        }
        Err(ScriptError::NoLabel(label)) => {
            process.complain(format_args!("can't find label for jump to `{label}'"));
            return Ok(4);
        }
        Err(ScriptError::Refused(what)) => return Err(Refusal::new(format!("the sed script: {what}"))),
    };
    let end = if options.has("z") { 0 } else { b'\n' };
    let quiet = options.has("n") || options.has("silent") || script.quiet;
    let in_place = options.given.iter().rev().find(|given| given.name == "i").map(|given| given.value.clone());
    let mut operands = options.operands.clone();
    let (mut status, mut inputs) = (0, Vec::new());
    if operands.is_empty() {
        operands.push("-".to_owned());
    }
    for name in operands {
        if in_place.is_some() {
            match process.stat(&name) {
                Ok(stat) if !stat.is_file() => {
                    process.complain(format_args!("couldn't edit {name}: not a regular file"));
                    status = 4;
                    continue;
                }
                _ => {}
            }
        }
        let read = match name.as_str() {
            "-" if in_place.is_none() => Ok(process.take_stdin()),
            _ => process.world.read(&process.cwd, &name),
        };
        match read {
            Ok(bytes) => inputs.push((name, bytes)),
            Err(error) if error.is_final() => return Err(error.into()),
            Err(crate::world::Errno::IsADirectory) => {
                process.complain(format_args!("couldn't read {name}: Is a directory"));
                status = 2;
            }
            Err(error) => {
                process.complain(format_args!("can't read {name}: {error}"));
                status = 2;
            }
        }
    }
    let lines = |name: &str, bytes: &[u8]| {
        let lines = lines_with_ends(bytes, end)
            .map(|line| Line { text: without_end(line, end).to_vec(), ended: line.ends_with(&[end]) });
        Input { name: name.to_owned(), lines: lines.collect() }
    };
    let mut editor = Editor::new(&script, quiet, end);
    match in_place {
        None => {
            let inputs = inputs.iter().map(|(name, bytes)| lines(name, bytes)).collect();
            let separate = options.has("s");
            let quit = editor.run(process, inputs, separate)?;
            editor.close(process, None)?;
            if let Some(code) = quit {
                return Ok(code);
            }
        }
        Some(suffix) => {
            for (name, bytes) in inputs {
                let quit = editor.run(process, vec![lines(&name, &bytes)], true)?;
                let edited = editor.take_output();
                if !replace_file(process, &name, edited, suffix.as_deref(), options.has("follow-symlinks"))? {
                    status = 4;
                }
                if let Some(code) = quit {
                    editor.close(process, Some(()))?;
                    return Ok(code);
                }
            }
            editor.close(process, Some(()))?;
        }
    }
    Ok(status)
}

/// Puts the edited text in the place of a file, which keeps mode and owner; the old one stays under a backup's name.
fn replace_file(
    process: &mut Process<'_, '_>,
    name: &str,
    text: Vec<u8>,
    suffix: Option<&str>,
    follow: bool,
) -> Result<bool, Refusal> {
    let stat = process.stat(name)?;
    let name = if follow { process.absolute(&stat.path) } else { name.to_owned() };
    let result = (|| {
        match suffix.filter(|suffix| !suffix.is_empty()) {
            Some(suffix) => {
                let base = base_name(&name);
                let backup = match suffix.contains('*') {
                    true => suffix.replace('*', base),
                    false => format!("{base}{suffix}"),
                };
                let directory = name
                    .rsplit_once('/')
                    .map_or(".", |(directory, _)| if directory.is_empty() { "/" } else { directory });
                let backup = if backup.contains('/') { backup } else { in_directory(directory, &backup) };
                process.world.rename(&process.cwd, &name, &backup)?;
            }
            None => process.world.unlink(&process.cwd, &name)?,
        }
        process.world.write(&process.cwd, &name, 0o600, text)?;
        let owner = (Some(stat.meta.user.clone()), Some(stat.meta.group.clone()));
        process.world.set_owner(&process.cwd, &name, Follow::Yes, owner)?;
        process.world.set_mode(&process.cwd, &name, stat.meta.mode)
    })();
    Ok(process.check(&format!("cannot rename {}", shell_quoted(&name)), result)?.is_some())
}
