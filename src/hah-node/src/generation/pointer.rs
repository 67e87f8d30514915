//! The boot pointer: which generation starts next, which one is known to be good, and which one is on trial.
//!
//! It is three characters of one small file of the boot partition, which the firmware or boot loader reads anyway:
//!
//! | file | line that the firmware reads | line for stage 1 |
//! |---|---|---|
//! | `config.txt` (Raspberry Pi) | `os_prefix=gN/` | `# hah good=G trial=T` |
//! | `loader/loader.conf` (systemd-boot) | `default gN.conf` | the same |
//! | `hah/boot.txt` (machines whose loader is QEMU) | `os_prefix=gN/` | the same |
//!
//! `T` is `-` when nothing is on trial. All three lie in the first 512 bytes, and a change writes these in place, so the
//! pointer is the old one or the new one, whenever the power goes. Renaming a file would not do: FAT has no atomic rename.
//!
//! | who | writes |
//! |---|---|
//! | `hah-agent`, to try N | `N, G, N` |
//! | stage 1, whenever it starts, before anything else | `G, G, -` |
//! | `hah-agent`, to keep N | `N, N, -` |
//!
//! So whatever ends a trial, be it a panic, a hang and a power cycle, or a data partition that cannot be read, the next
//! start is the good generation's.

use std::ops::Range;

use super::Slot;

/// The files that may hold the pointer, in the order in which they are looked for, relative to the boot partition; and
/// what stands before the slot on the line that the firmware reads.
pub const FILES: [(&str, &str); 3] =
    [("loader/loader.conf", "default g"), ("config.txt", "os_prefix=g"), ("hah/boot.txt", "os_prefix=g")];
/// The pointer lies before this offset, in bytes: one sector is written whole or not at all.
pub const SECTOR: usize = 512;

const GOOD: &str = "# hah good=";
const TRIAL: &str = " trial=";
/// Nothing is on trial.
const NONE: u8 = b'-';

/// The pointer's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// What starts next.
    pub next: Slot,
    /// What is known to be good.
    pub good: Slot,
    /// What is on trial, until its stage 1 has started.
    pub trial: Option<Slot>,
}

/// Where the pointer is in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    next: usize,
    good: usize,
    trial: usize,
}

/// A file without a pointer that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// No line of the firmware's names a slot.
    #[error("no line says which generation starts")]
    NoNext,
    /// There is no line for stage 1: the card was flashed before there were generations.
    #[error("no line says which generation is good")]
    NoGood,
    /// A slot that is none.
    #[error("it names a slot that is none")]
    NoSlot,
}

impl Pointer {
    /// What stage 1 writes when it starts: the good generation is next, nothing is on trial.
    pub fn settled(self) -> Self {
        Self { next: self.good, good: self.good, trial: None }
    }

    /// What is written to try a generation.
    pub fn trying(self, slot: Slot) -> Self {
        Self { next: slot, good: self.good, trial: Some(slot) }
    }

    /// What is written to keep a generation, or to go back to one.
    pub fn keeping(slot: Slot) -> Self {
        Self { next: slot, good: slot, trial: None }
    }

    /// The line for stage 1, which stands beside the firmware's own, without a line end.
    pub fn line(self) -> String {
        let trial = self.trial.map_or(NONE, Slot::byte);
        format!("{GOOD}{}{TRIAL}{}", self.good, char::from(trial))
    }
}

/// Finds the pointer in the first bytes of a file. `before` is what stands before the slot, from [`FILES`].
///
/// # Errors
/// No pointer, or one with characters that are no slot.
pub fn find(head: &[u8], before: &str) -> Result<(Pointer, Place), PointerError> {
    let head = head.get(..SECTOR).unwrap_or(head);
    let lines: Vec<Range<usize>> = lines(head);
    let after = |prefix: &str| {
        let line =
            lines.iter().find(|line| head.get((*line).clone()).is_some_and(|text| text.starts_with(prefix.as_bytes())));
        line.map(|line| line.start + prefix.len())
    };
    let next = after(before).ok_or(PointerError::NoNext)?;
    let good = after(GOOD).ok_or(PointerError::NoGood)?;
    let trial = good + 1 + TRIAL.len();
    if head.get(good + 1..trial) != Some(TRIAL.as_bytes()) {
        return Err(PointerError::NoGood);
    }
    let byte = |at: usize| head.get(at).copied().ok_or(PointerError::NoSlot);
    let slot = |at: usize| Slot::new(byte(at)?).ok_or(PointerError::NoSlot);
    let on_trial = match byte(trial)? {
        NONE => None,
        name => Some(Slot::new(name).ok_or(PointerError::NoSlot)?),
    };
    Ok((Pointer { next: slot(next)?, good: slot(good)?, trial: on_trial }, Place { next, good, trial }))
}

impl Place {
    /// Puts a pointer into the bytes in which it was found.
    pub fn put(&self, pointer: Pointer, head: &mut [u8]) {
        let trial = pointer.trial.map_or(NONE, Slot::byte);
        for (at, byte) in [(self.next, pointer.next.byte()), (self.good, pointer.good.byte()), (self.trial, trial)] {
            if let Some(place) = head.get_mut(at) {
                *place = byte;
            }
        }
    }
}

/// The lines of a text, without their ends.
fn lines(text: &[u8]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'\n' {
            lines.push(start..at);
            start = at + 1;
        }
    }
    lines.push(start..text.len());
    lines
}

/// Puts the line for stage 1 behind the line of a file that the firmware reads, where the file names generation 0.
///
/// # Errors
/// A file that does not, or in which the pointer would not lie in the first sector.
pub fn equip(text: &str, before: &str) -> Result<String, PointerError> {
    let pointer = Pointer::keeping(Slot::FLASHED);
    let mut equipped = String::new();
    let mut is_put = false;
    for line in text.split_inclusive('\n') {
        equipped.push_str(line);
        if !is_put && line.starts_with(&format!("{before}{}", pointer.next)) {
            if !line.ends_with('\n') {
                equipped.push('\n');
            }
            equipped.push_str(&pointer.line());
            equipped.push('\n');
            is_put = true;
        }
    }
    match find(equipped.as_bytes(), before)? {
        (found, _) if found == pointer => Ok(equipped),
        _ => Err(PointerError::NoNext),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# Written.\narm_64bit=1\nos_prefix=g0/\nkernel=kernel\n";

    #[test]
    fn a_pointer_is_put_in_place() {
        let text = equip(CONFIG, "os_prefix=g").unwrap();
        assert_eq!(text, "# Written.\narm_64bit=1\nos_prefix=g0/\n# hah good=0 trial=-\nkernel=kernel\n");
        let (pointer, place) = find(text.as_bytes(), "os_prefix=g").unwrap();
        assert_eq!(pointer, Pointer::keeping(Slot::FLASHED));
        let one = Slot::new(b'1').unwrap();
        let mut bytes = text.clone().into_bytes();
        for (wanted, shown) in [
            (pointer.trying(one), "os_prefix=g1/\n# hah good=0 trial=1\n"),
            (pointer.trying(one).settled(), "os_prefix=g0/\n# hah good=0 trial=-\n"),
            (Pointer::keeping(one), "os_prefix=g1/\n# hah good=1 trial=-\n"),
        ] {
            place.put(wanted, &mut bytes);
            assert_eq!(find(&bytes, "os_prefix=g").unwrap().0, wanted);
            assert!(std::str::from_utf8(&bytes).unwrap().contains(shown));
            assert_eq!(bytes.len(), text.len());
        }
    }

    #[test]
    fn every_kind_of_file_takes_one() {
        for (file, text) in [
            ("loader/loader.conf", "default g0.conf\ntimeout 0\n"),
            ("config.txt", "os_prefix=g0/"),
            ("hah/boot.txt", "os_prefix=g0/\n"),
        ] {
            let (_, before) = FILES.into_iter().find(|(name, _)| *name == file).unwrap();
            assert!(find(equip(text, before).unwrap().as_bytes(), before).is_ok(), "{file}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_told() {
        let find = |text: &str| find(text.as_bytes(), "os_prefix=g").map(|(pointer, _)| pointer);
        assert_eq!(find(""), Err(PointerError::NoNext));
        assert_eq!(find("xos_prefix=g0/\n"), Err(PointerError::NoNext));
        assert_eq!(find(CONFIG), Err(PointerError::NoGood));
        assert_eq!(find("os_prefix=g0/\n# hah good=0"), Err(PointerError::NoGood));
        assert_eq!(find("os_prefix=g0/\n# hah good=0 trial="), Err(PointerError::NoSlot));
        assert_eq!(find("os_prefix=g0/\n# hah good=A trial=-"), Err(PointerError::NoSlot));
        assert_eq!(find("os_prefix=g\n# hah good=0 trial=-"), Err(PointerError::NoSlot));
        // Beyond the first sector a change could be torn.
        assert_eq!(
            find(&format!("{}\nos_prefix=g0/\n# hah good=0 trial=-\n", "#".repeat(500))),
            Err(PointerError::NoGood)
        );
        assert!(equip(&format!("{}\n{CONFIG}", "#".repeat(500)), "os_prefix=g").is_err());
        assert!(equip("kernel=kernel\n", "os_prefix=g").is_err());
    }
}
