//! gzip(1), gunzip(1), zcat(1).

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

use super::options::{Options, Order};
use super::{Command, Process, Refusal};
use crate::world::{Errno, Follow};

pub(super) const COMMANDS: &[Command] = &[
    Command::always("gzip", |process, args| gzip(process, args, "")),
    Command::always("gunzip", |process, args| gzip(process, args, "d")),
    Command::always("zcat", |process, args| gzip(process, args, "dc")),
];

/// Most bytes that one file may unpack to.
const UNPACKED_MAX: u64 = 1 << 30;
/// The operating system of gzip's header: Unix.
const UNIX: u8 = 3;

const SPEC: &str = "c,stdout ,to-stdout d,decompress ,uncompress f,force k,keep n,no-name N,name q,quiet t,test v,verbose \
    1,fast 2 3 4 5 6 7 8 9,best ,rsyncable";

/// gzip(1): `-c -d -f -k -n -t -q -1…-9`, of files and of standard input. Other suffixes (`-S`) and `-r` are not.
///
/// Its compressed bytes are those of zlib-rs, which differ from gzip's own; what they unpack to is the same.
fn gzip(process: &mut Process<'_, '_>, args: &[String], how: &str) -> Result<u8, Refusal> {
    let options = process.options(args, SPEC, Order::Any)?;
    let unpack = how.contains('d') || options.has("d") || options.has("uncompress") || options.has("t");
    let to_stdout = how.contains('c') || options.has("c") || options.has("to-stdout");
    let standard = ["-".to_owned()];
    let names = if options.operands.is_empty() { &standard } else { options.operands.as_slice() };
    let mut status = 0;
    for name in names {
        status = status.max(one_file(process, name, &options, (unpack, to_stdout))?);
    }
    Ok(status)
}

fn one_file(
    process: &mut Process<'_, '_>,
    name: &str,
    options: &Options,
    (unpack, to_stdout): (bool, bool),
) -> Result<u8, Refusal> {
    let mut path = name.to_owned();
    if unpack && name != "-" && !process.world.exists(&process.cwd, name) {
        path = format!("{name}.gz");
    }
    if name != "-" {
        match process.lstat(&path) {
            Ok(stat) if stat.is_dir() => {
                process.complain(format_args!("{path} is a directory -- ignored"));
                return Ok(2);
            }
            Ok(stat) if !stat.is_file() && !options.has("f") && !to_stdout => {
                process.complain(format_args!("{path} is not a directory or a regular file - ignored"));
                return Ok(2);
            }
            _ => {}
        }
    }
    let Some(bytes) = process.read_operand(&path)? else { return Ok(1) };
    let target = match (unpack, name) {
        _ if to_stdout || name == "-" || options.has("t") => None,
        (true, _) => match path.strip_suffix(".gz").or_else(|| path.strip_suffix(".z")) {
            Some(stem) => Some(stem.to_owned()),
            None => match path.strip_suffix(".tgz") {
                Some(stem) => Some(format!("{stem}.tar")),
                None => {
                    process.complain(format_args!("{path}: unknown suffix -- ignored"));
                    return Ok(2);
                }
            },
        },
        (false, _) if path.ends_with(".gz") => {
            process.complain(format_args!("{path} already has .gz suffix -- unchanged"));
            return Ok(2);
        }
        (false, _) => Some(format!("{path}.gz")),
    };
    let out = match unpack {
        true => match unpacked(&bytes) {
            Some(out) => out,
            None if options.has("f") && to_stdout && !bytes.starts_with(&[0x1f, 0x8b]) => bytes,
            None => {
                process.complain(format_args!("{path}: not in gzip format"));
                return Ok(1);
            }
        },
        false => {
            let level = options.given.iter().rev().find_map(|given| given.name.parse().ok()).unwrap_or(6);
            let header = GzBuilder::new().operating_system(UNIX);
            let header = match name != "-" && !options.has("n") {
                true => {
                    let base = super::operands::base_name(&path).as_bytes().to_vec();
                    header.filename(base).mtime(process.stat(&path)?.meta.mtime)
                }
                false => header,
            };
            let mut encoder = header.write(Vec::new(), Compression::new(level));
            let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
            packed.map_err(|error| Refusal::new(format!("gzip fails: {error}")))?
        }
    };
    process.world.spend_bytes(out.len() as u64)?;
    if options.has("t") {
        return Ok(0);
    }
    let Some(target) = target else {
        process.print(out);
        return Ok(0);
    };
    if process.lstat(&target).is_ok() && !options.has("f") {
        process.complain(format_args!("{target} already exists;\tnot overwritten"));
        return Ok(2);
    }
    let result = replace(process, &path, &target, out, options.has("k"));
    Ok(u8::from(process.check(&target, result)?.is_none()))
}

/// Puts the new file beside the old one, with its mode, owner and time, and takes the old one away.
fn replace(process: &mut Process<'_, '_>, path: &str, target: &str, out: Vec<u8>, keep: bool) -> Result<(), Errno> {
    let meta = process.stat(path)?.meta;
    let (world, cwd) = (&mut *process.world, &process.cwd);
    world.write(cwd, target, 0o600, out)?;
    world.set_owner(cwd, target, Follow::Yes, (Some(meta.user), Some(meta.group)))?;
    world.set_mode(cwd, target, meta.mode)?;
    world.set_time(cwd, target, Follow::Yes, meta.mtime)?;
    if keep { Ok(()) } else { world.unlink(cwd, path) }
}

fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).take(UNPACKED_MAX + 1).read_to_end(&mut out).ok()?;
    (out.len() as u64 <= UNPACKED_MAX).then_some(out)
}
