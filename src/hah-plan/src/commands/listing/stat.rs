//! stat(1) with a format; its long form is not.

use hah_format::tree::Kind;

use super::{kind_letter, mode_letters};
use crate::commands::accounts;
use crate::commands::date::format_time;
use crate::commands::operands::shell_quoted;
use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::world::Stat;

/// stat(1): `-c FORMAT`, `--printf=FORMAT`, `-L`.
///
/// Inode numbers are those of the order of paths: equal for names of one file, otherwise different.
pub(super) fn stat(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "c,format= ,printf= L,dereference t,terse f,file-system", Order::Any)?;
    if options.operands.is_empty() {
        return process.missing_operand(1);
    }
    let (format, escapes) = match (options.value("c"), options.value("printf")) {
        _ if options.has("f") || options.has("t") => return process.unknown("-f or -t"),
        (Some(format), None) => (format.to_owned(), false),
        (None, Some(format)) => (format.to_owned(), true),
        _ => return process.unknown("without one format"),
    };
    let mut status = 0;
    for path in &options.operands {
        let found = if options.has("L") { process.stat(path) } else { process.lstat(path) };
        match process.check(&format!("cannot statx {}", shell_quoted(path)), found)? {
            Some(found) => {
                let text = formatted(process, path, &found, (&format, escapes))?;
                process.print(text);
                if !escapes {
                    process.print("\n");
                }
            }
            None => status = 1,
        }
    }
    Ok(status)
}

fn formatted(
    process: &mut Process<'_, '_>,
    path: &str,
    stat: &Stat,
    (format, escapes): (&str, bool),
) -> Result<String, Refusal> {
    let mut out = String::new();
    let mut left = format.chars().peekable();
    while let Some(character) = left.next() {
        if character == '\\' && escapes {
            match left.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some('\\') | None => out.push('\\'),
                Some('"') => out.push('"'),
                Some(other) => return process.unknown(&format!("--printf with \\{other}")),
            }
            continue;
        }
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = left.next_if(|flag| "#-+ 0'".contains(*flag)) {
            flags.push(flag);
        }
        let mut width = String::new();
        while let Some(digit) = left.next_if(|digit| digit.is_ascii_digit() || *digit == '.') {
            width.push(digit);
        }
        let mut letter = left.next().unwrap_or('%');
        if matches!(letter, 'H' | 'L') && left.peek().is_some_and(|next| matches!(next, 'd' | 'r')) {
            return process.unknown(&format!("%{letter}d"));
        }
        if letter == '%' && flags.is_empty() && width.is_empty() {
            out.push('%');
            continue;
        }
        let meta = &stat.meta;
        let value = match letter {
            'a' if flags.contains('#') => format!("0{:o}", meta.mode),
            'a' => format!("{:o}", meta.mode),
            'A' => format!("{}{}", kind_letter(stat), mode_letters(meta.mode)),
            'f' => format!("{:x}", u32::from(meta.mode) | kind_bits(stat)),
            'F' => kind_words(stat).to_owned(),
            'n' => path.to_owned(),
            'N' => match &stat.kind {
                Kind::Symlink(target) => format!("{} -> {}", shell_quoted(path), shell_quoted(target)),
                _ => shell_quoted(path),
            },
            's' => stat.size.to_string(),
            'h' => stat.links.to_string(),
            'i' => inode(process, stat).to_string(),
            'u' => accounts::id_of(&meta.user, &accounts::users(process.world)?)?.to_string(),
            'g' => accounts::id_of(&meta.group, &accounts::groups(process.world)?)?.to_string(),
            'U' => name(&meta.user, &accounts::users(process.world)?),
            'G' => name(&meta.group, &accounts::groups(process.world)?),
            'X' | 'Y' | 'Z' => meta.mtime.to_string(),
            'W' => {
                letter = 'X';
                meta.mtime.to_string()
            }
            'x' | 'y' | 'z' => {
                let time = format_time("%Y-%m-%d %H:%M:%S.%N %z", i64::from(meta.mtime));
                time.map_or_else(|letter| process.unknown(&format!("%{letter}")), Ok)?
            }
            't' | 'T' => match &stat.kind {
                Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => {
                    format!("{:x}", if letter == 't' { major } else { minor })
                }
                _ => "0".to_owned(),
            },
            'B' => "512".to_owned(),
            'b' => stat.size.div_ceil(4096).saturating_mul(8).to_string(),
            'o' => "4096".to_owned(),
            other => return process.unknown(&format!("the format %{other}")),
        };
        let wide: usize = width.parse().unwrap_or(0);
        let zero = flags.contains('0') && "aufghisXYZ".contains(letter);
        let padding = wide.saturating_sub(value.chars().count()).min(4096);
        match (flags.contains('-'), zero) {
            (true, _) => out.extend(value.chars().chain(std::iter::repeat_n(' ', padding))),
            (false, zero) => {
                out.extend(std::iter::repeat_n(if zero { '0' } else { ' ' }, padding));
                out.push_str(&value);
            }
        }
    }
    Ok(out)
}

fn name(owner: &hah_format::tree::Owner, known: &[accounts::Account]) -> String {
    accounts::name_of(owner, known).unwrap_or_else(|| "UNKNOWN".to_owned())
}

/// A number that two paths share exactly when they are names of one file.
pub(super) fn inode(process: &Process<'_, '_>, stat: &Stat) -> usize {
    let file = process.world.file_of(&stat.path);
    // The first numbers are reserved in most file systems.
    11 + process.world.tree.iter().take_while(|(path, _)| **path < file).count()
}

fn kind_bits(stat: &Stat) -> u32 {
    match stat.kind {
        Kind::Dir => 0o040_000,
        Kind::Symlink(_) => 0o120_000,
        Kind::CharDevice(..) => 0o020_000,
        Kind::BlockDevice(..) => 0o060_000,
        Kind::Fifo => 0o010_000,
        Kind::File(()) | Kind::HardLink(_) => 0o100_000,
    }
}

fn kind_words(stat: &Stat) -> &'static str {
    match stat.kind {
        Kind::Dir => "directory",
        Kind::Symlink(_) => "symbolic link",
        Kind::CharDevice(..) => "character special file",
        Kind::BlockDevice(..) => "block special file",
        Kind::Fifo => "fifo",
        Kind::File(()) | Kind::HardLink(_) if stat.size == 0 => "regular empty file",
        Kind::File(()) | Kind::HardLink(_) => "regular file",
    }
}
