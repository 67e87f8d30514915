//! mktemp(1) and tempfile(1). Names are counted, so that they are the same in every build.

use hah_format::tree::{Kind, Meta, Node};

use crate::commands::options::Order;
use crate::commands::{Process, Refusal};
use crate::rootfs::Content;
use crate::world::Errno;

/// Characters of a name, as mkstemp(3) draws them.
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// mktemp(1): `TEMPLATE`, `-d`, `-t`, `-p DIR`, `--tmpdir[=DIR]`, `-u`, `-q`, `--suffix`.
pub(super) fn mktemp(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "d,directory u,dry-run q,quiet p= ,tmpdir=? t ,suffix=", Order::Any)?;
    let template = match options.operands.as_slice() {
        [] => None,
        [template] => Some(template.as_str()),
        _ => {
            process.complain("too many templates");
            return Ok(1);
        }
    };
    let mut directory = None;
    let from_env = process.env.get("TMPDIR").filter(|value| !value.is_empty()).cloned();
    let default = from_env.unwrap_or_else(|| "/tmp".to_owned());
    for given in &options.given {
        match given.name {
            "p" | "tmpdir" => {
                let named = given.value.clone().filter(|value| !value.is_empty());
                directory = Some(named.unwrap_or_else(|| default.clone()));
            }
            "t" if directory.is_none() => directory = Some(default.clone()),
            _ => {}
        }
    }
    if template.is_none() && directory.is_none() {
        directory = Some(default);
    }
    let template = template.unwrap_or("tmp.XXXXXXXXXX");
    let (stem, suffix) = match options.value("suffix") {
        Some(suffix) => (template, suffix),
        None => template.rfind('X').map_or((template, ""), |last| template.split_at(last + 1)),
    };
    let count = stem.len() - stem.trim_end_matches('X').len();
    if count < 3 || suffix.contains('/') {
        let template = process.quote(template);
        process.complain(format_args!("too few X's in template {template}"));
        return Ok(1);
    }
    let stem = &stem[..stem.len() - count];
    let stem = match &directory {
        Some(directory) => format!("{}/{stem}", directory.trim_end_matches('/')),
        None => stem.to_owned(),
    };
    let what = if options.has("d") { "directory" } else { "file" };
    let made = make(process, &stem, count, suffix, if options.has("u") { Make::Nothing } else { Make::from(what) });
    match made {
        Ok(path) => {
            process.print_line(path);
            Ok(0)
        }
        Err(error) if error.is_final() => Err(error.into()),
        Err(error) => {
            if !options.has("q") {
                let template = process.quote(&format!("{stem}{}{suffix}", "X".repeat(count)));
                process.complain(format_args!("failed to create {what} via template {template}: {error}"));
            }
            Ok(1)
        }
    }
}

/// tempfile(1) of old debianutils: `-d DIR`, `-p PREFIX`, `-s SUFFIX`, `-m MODE`, `-n NAME`.
pub(super) fn tempfile(process: &mut Process<'_, '_>, args: &[String]) -> Result<u8, Refusal> {
    let options = process.options(args, "d,directory= p,prefix= s,suffix= m,mode= n,name=", Order::Any)?;
    if options.has("n") || options.has("m") {
        return process.unknown("--name or --mode");
    }
    let directory = options.value("d").unwrap_or("/tmp").trim_end_matches('/').to_owned();
    let stem = format!("{directory}/{}", options.value("p").unwrap_or("file"));
    let made = make(process, &stem, 6, options.value("s").unwrap_or_default(), Make::File);
    match process.check("cannot create", made)? {
        Some(path) => {
            process.print_line(path);
            Ok(0)
        }
        None => Ok(1),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Make {
    File,
    Directory,
    Nothing,
}

impl From<&str> for Make {
    fn from(what: &str) -> Self {
        if what == "directory" { Self::Directory } else { Self::File }
    }
}

fn make(process: &mut Process<'_, '_>, stem: &str, count: usize, suffix: &str, kind: Make) -> Result<String, Errno> {
    // Every root has /tmp, be it made by a package that comes later.
    if stem.starts_with("/tmp/") && !process.world.exists(&process.cwd, "/tmp") {
        process.world.make_dir(&process.cwd, "/tmp", 0o1777)?;
    }
    loop {
        process.world.spend_steps(1)?;
        process.world.temporary += 1;
        let path = format!("{stem}{}{suffix}", counted(process.world.temporary, count));
        let node = match kind {
            Make::Nothing if process.lstat(&path).is_ok() => continue,
            Make::Nothing => return Ok(path),
            Make::File => Node { meta: Meta::root(0o600), kind: Kind::File(Content::inline([])) },
            Make::Directory => Node { meta: Meta::root(0o700), kind: Kind::Dir },
        };
        match process.world.create(&process.cwd, &path, node) {
            Ok(()) => return Ok(path),
            Err(Errno::Exists) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A number in so many letters.
fn counted(mut number: u32, count: usize) -> String {
    let mut letters = vec![LETTERS[0]; count];
    for letter in letters.iter_mut().rev() {
        *letter = LETTERS[number as usize % LETTERS.len()];
        number /= LETTERS.len() as u32;
    }
    letters.into_iter().map(char::from).collect()
}
