//! Writing `hah.lock`: our own writer, because the bytes are the contract.

use std::fmt::{self, Write as _};

use crate::debian::archive::rfc3339;

use super::{Lock, VERSION};

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# The inputs of every image, pinned. Written by `hah-image lock`: commit it, do not edit it.")?;
        writeln!(f, "version = {VERSION}")?;
        for archive in &self.archives {
            writeln!(f, "\n[[archive]]")?;
            text(f, "suite", &archive.suite)?;
            text(f, "archive", &archive.archive)?;
            writeln!(f, "date = {}", rfc3339(archive.date))?;
            text(f, "inrelease", &archive.inrelease)?;
            if let Some(key) = &archive.key {
                text(f, "key", key)?;
            }
            row(f, "images", &archive.images)?;
        }
        for image in &self.images {
            writeln!(f, "\n[[image]]")?;
            text(f, "name", &image.name)?;
            text(f, "architecture", &image.architecture)?;
            text(f, "request", &image.request)?;
            writeln!(f, "epoch = {}", rfc3339(image.epoch.into()))?;
            row(f, "askers", &image.askers)?;
        }
        for package in &self.packages {
            writeln!(f, "\n[[package]]")?;
            text(f, "name", &package.name)?;
            text(f, "version", &package.version)?;
            text(f, "architecture", &package.architecture)?;
            text(f, "suite", &package.suite)?;
            text(f, "archive", &package.archive)?;
            text(f, "path", &package.path)?;
            writeln!(f, "size = {}", package.size)?;
            text(f, "sha256", &package.sha256)?;
            row(f, "images", &package.images)?;
            row(f, "why", &package.why)?;
            column(f, "suite-why", &package.suite_why)?;
            column(f, "needs", &package.needs)?;
        }
        for artifact in &self.artifacts {
            writeln!(f, "\n[[artifact]]")?;
            text(f, "name", &artifact.name)?;
            text(f, "version", &artifact.version)?;
            if let Some(url) = &artifact.url {
                text(f, "url", url)?;
            }
            writeln!(f, "size = {}", artifact.size)?;
            text(f, "sha256", &artifact.sha256)?;
            text(f, "verify", &artifact.trust.method())?;
            text(f, "signature", &artifact.trust)?;
            row(f, "images", &artifact.images)?;
            row(f, "why", &artifact.why)?;
        }
        Ok(())
    }
}

fn text(f: &mut fmt::Formatter<'_>, key: &str, value: &dyn fmt::Display) -> fmt::Result {
    write!(f, "{key} = ")?;
    quoted(f, value)?;
    f.write_char('\n')
}

/// A list on one line; an empty one is left out.
fn row<T: fmt::Display>(f: &mut fmt::Formatter<'_>, key: &str, values: impl IntoIterator<Item = T>) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    write!(f, "{key} = [")?;
    for (position, value) in values.enumerate() {
        f.write_str(if position == 0 { "" } else { ", " })?;
        quoted(f, &value)?;
    }
    f.write_str("]\n")
}

/// A list with a line for each value; an empty one is left out.
fn column<T: fmt::Display>(f: &mut fmt::Formatter<'_>, key: &str, values: impl IntoIterator<Item = T>) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    writeln!(f, "{key} = [")?;
    for value in values {
        f.write_str("  ")?;
        quoted(f, &value)?;
        f.write_str(",\n")?;
    }
    f.write_str("]\n")
}

/// A TOML basic string.
fn quoted(f: &mut fmt::Formatter<'_>, value: &dyn fmt::Display) -> fmt::Result {
    f.write_char('"')?;
    for c in value.to_string().chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
