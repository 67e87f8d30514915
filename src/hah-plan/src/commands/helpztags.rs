//! helpztags(1) of vim-common: the index `tags` of each directory of Vim's help.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use super::{Command, Process, Refusal};
use crate::world::World;

pub(super) const COMMANDS: &[Command] = &[Command::in_tree("helpztags", helpztags)];

/// Largest help file, unpacked, in bytes.
const TEXT_MAX: u64 = 16 << 20;

fn helpztags(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    if args.is_empty() {
        process.complain("no directories given. Check manpage for details.");
        return Ok(255);
    }
    for directory in args {
        let Ok(names) = process.world.list(&process.cwd, directory) else { continue };
        process.print_line(format!("Processing {directory}"));
        // By file of tags, tag: the file that has it. Of two, the later file counts.
        let mut tags: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for name in names {
            let Some(index) = index_of(&name) else { continue };
            let path = format!("{}/{name}", World::absolute(&process.cwd, directory));
            let bytes = match process.world.read(&process.cwd, &path) {
                Ok(bytes) => bytes,
                Err(error) if error.is_final() => return Err(error.into()),
                Err(_) => continue,
            };
            let text = match name.ends_with(".gz") {
                true => unpacked(&bytes).ok_or_else(|| Refusal::new(format!("{path} cannot be unpacked")))?,
                false => bytes,
            };
            let text = String::from_utf8_lossy(&text);
            let found = tags.entry(index).or_default();
            found.extend(text.lines().flat_map(tags_of).map(|tag| (tag.to_owned(), name.clone())));
        }
        for (index, tags) in tags.into_iter().filter(|(_, tags)| !tags.is_empty()) {
            let lines = tags.iter().map(|(tag, file)| format!("{tag}\t{file}\t/*{}*\n", tag.replace('\\', "\\\\")));
            let path = format!("{}/{index}", World::absolute(&process.cwd, directory));
            let written = process.world.write(&process.cwd, &path, 0o644, lines.collect::<String>().into_bytes());
            if process.check(&path, written)?.is_none() {
                return Ok(2);
            }
        }
    }
    Ok(0)
}

/// The index that a help file goes into: `tags`, or `tags-LL` for a translation `NAME.LLx`; `None` when it is no help file.
fn index_of(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".gz").unwrap_or(name);
    let (base, kind) = stem.rsplit_once('.')?;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    if base.is_empty() || !base.chars().all(is_word) {
        return None;
    }
    match kind.strip_suffix('x') {
        _ if kind == "txt" => Some("tags".to_owned()),
        Some(language) if language.len() == 2 && language.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            Some(format!("tags-{language}"))
        }
        _ => None,
    }
}

/// Every `*tag*` of a line that stands between blanks and the line's ends.
fn tags_of(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace().filter_map(|word| {
        let tag = word.strip_prefix('*')?.strip_suffix('*')?;
        (!tag.is_empty() && !tag.contains(['*', '|'])).then_some(tag)
    })
}

fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).take(TEXT_MAX + 1).read_to_end(&mut out).ok()?;
    (out.len() as u64 <= TEXT_MAX).then_some(out)
}

#[cfg(test)]
mod tests {
    use crate::commands::playground::{Entry, Playground};

    #[test]
    fn tags_of_help_files_are_indexed() {
        let mut ours = Playground::of(&[
            ("doc/b.txt", Entry::File(0o644, "*b.txt*  For Vim\n  *two* *thr\\ee*\t*no|bar* x*not* *nor*x\n")),
            ("doc/a.dex", Entry::File(0o644, "*eins*\n")),
            ("doc/readme", Entry::File(0o644, "*nothing*\n")),
            ("empty", Entry::Dir(0o755)),
        ]);
        assert_eq!(
            ours.said(&["helpztags", "/doc", "/empty", "/none"]),
            (0, "Processing /doc\nProcessing /empty\n".to_owned(), String::new())
        );
        let tags = "b.txt\tb.txt\t/*b.txt*\nthr\\ee\tb.txt\t/*thr\\\\ee*\ntwo\tb.txt\t/*two*\n";
        assert_eq!(ours.text("doc/tags").unwrap(), tags);
        assert_eq!(ours.text("doc/tags-de").unwrap(), "eins\ta.dex\t/*eins*\n");
        assert!(ours.text("empty/tags").is_none());
    }
}
