//! [`FileCapabilities`]: what a file gives to who executes it; capabilities(7), cap_from_text(3).
//!
//! The attribute `security.capability` is `vfs_cap_data` of revision 2 in `<linux/capability.h>`, 20 bytes of little-endian words:
//! magic and effective flag, then permitted and inheritable sets, low half and high half.

use std::fmt::{self, Write as _};

/// Names by number, without `cap_`; `<linux/capability.h>`.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// Every capability of that list.
const ALL: u64 = (1 << CAPABILITIES.len()) - 1;

const REVISION_2: u32 = 0x0200_0000;
const REVISION_MASK: u32 = 0xff00_0000;

/// Three sets, of which a file keeps two and whether it has the third.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileCapabilities {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    /// Whether the effective flag was asked for, which a file can have without any capability.
    has_effective: bool,
}

impl FileCapabilities {
    /// Reads clauses as `cap_net_raw,cap_net_admin=ep cap_chown+i`; `None` when libcap would not take them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        for clause in text.split_whitespace() {
            found.apply(clause)?;
        }
        Some(found)
    }

    fn apply(&mut self, clause: &str) -> Option<()> {
        let at = clause.find(['=', '+', '-'])?;
        let (names, mut left) = clause.split_at(at);
        let set = match names {
            // Only what is assigned may be about all of them without saying so.
            "" if !left.starts_with('=') || left[1..].starts_with(['+', '-']) => return None,
            "" => ALL,
            names => names.split(',').try_fold(0, |set, name| Some(set | number(name)?))?,
        };
        // `=+ep` is `+ep` on what `=` has emptied.
        let mut is_first = true;
        while let Some(operator) = left.chars().next() {
            let end = left[1..].find(['=', '+', '-']).map_or(left.len(), |end| end + 1);
            let flags = &left[1..end];
            left = &left[end..];
            if !flags.chars().all(|flag| "eip".contains(flag)) || (operator == '=' && !is_first) {
                return None;
            }
            if flags.is_empty() && operator != '=' {
                return None;
            }
            is_first = false;
            for (flag, kept) in [('e', &mut self.effective), ('p', &mut self.permitted), ('i', &mut self.inheritable)] {
                match (operator, flags.contains(flag)) {
                    ('-', true) | ('=', false) => *kept &= !set,
                    (_, true) => *kept |= set,
                    _ => {}
                }
            }
        }
        self.has_effective = self.effective != 0;
        Some(())
    }

    /// Whether it gives nothing.
    pub(crate) fn is_empty(&self) -> bool {
        (self.permitted | self.inheritable) == 0
    }

    /// The attribute's bytes; `None` when some but not all of the capabilities are effective, which no file can say.
    pub(crate) fn attribute(&self) -> Option<Vec<u8>> {
        let kept = self.permitted | self.inheritable;
        if self.has_effective && kept & !self.effective != 0 {
            return None;
        }
        let half = |set: u64, shift: u32| (set >> shift & 0xffff_ffff) as u32;
        let words = [
            REVISION_2 | u32::from(self.has_effective),
            half(self.permitted, 0),
            half(self.inheritable, 0),
            half(self.permitted, 32),
            half(self.inheritable, 32),
        ];
        Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    /// Reads an attribute of revision 2 or 3.
    pub(crate) fn from_attribute(bytes: &[u8]) -> Option<Self> {
        let word = |index: usize| {
            let bytes = bytes.get(index * 4..index * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let magic = word(0)?;
        if ![REVISION_2, 0x0300_0000].contains(&(magic & REVISION_MASK)) {
            return None;
        }
        let set = |low: usize, high: usize| Some(u64::from(word(low)?) | u64::from(word(high)?) << 32);
        let (permitted, inheritable) = (set(1, 3)?, set(2, 4)?);
        let has_effective = magic & 1 == 1;
        let effective = if has_effective { permitted | inheritable } else { 0 };
        Some(Self { effective, permitted, inheritable, has_effective })
    }

    /// The flags of one capability, as bits: effective 1, permitted 2, inheritable 4.
    fn flags(&self, number: usize) -> usize {
        let bit = |set: u64| usize::from(set >> number & 1 == 1);
        bit(self.effective) | bit(self.permitted) << 1 | bit(self.inheritable) << 2
    }
}

/// The bit of a name, with `cap_` in any case; of a number; of `all`.
fn number(name: &str) -> Option<u64> {
    let name = name.to_ascii_lowercase();
    if name == "all" {
        return Some(ALL);
    }
    let number = match name.strip_prefix("cap_") {
        Some(name) => CAPABILITIES.iter().position(|known| *known == name)?,
        None => name.parse().ok().filter(|number| *number < CAPABILITIES.len())?,
    };
    Some(1 << number)
}

/// As cap_to_text(3) has it: what most capabilities have first, then those that have something else.
impl fmt::Display for FileCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut count = [0usize; 8];
        (0..CAPABILITIES.len()).for_each(|number| count[self.flags(number)] += 1);
        let usual = (0..7).rev().fold(7, |best, flags| if count[flags] >= count[best] { flags } else { best });
        let letters = |flags: usize| -> String {
            [(1, 'e'), (4, 'i'), (2, 'p')]
                .iter()
                .filter(|(bit, _)| flags & bit != 0)
                .map(|(_, letter)| *letter)
                .collect()
        };
        let mut out = format!("={}", letters(usual));
        for flags in (0..8).rev().filter(|flags| *flags != usual && count[*flags] > 0) {
            let names = (0..CAPABILITIES.len()).filter(|number| self.flags(*number) == flags);
            let names: Vec<String> = names.map(|number| format!("cap_{}", CAPABILITIES[number])).collect();
            out.push(' ');
            out.push_str(&names.join(","));
            let (more, less) = (letters(flags & !usual), letters(!flags & usual));
            if !more.is_empty() {
                let _ = write!(out, "+{more}");
            }
            if !less.is_empty() {
                let _ = write!(out, "-{less}");
            }
        }
        // `= cap_x+p` is `cap_x=p`.
        match out.strip_prefix("= ") {
            Some(rest) => f.write_str(&rest.replacen('+', "=", 1)),
            None => f.write_str(&out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_as_setcap_writes_them() {
        // `setcap cap_net_raw=ep FILE; getfattr -e hex -n security.capability FILE`
        let hex = |text: &str| {
            let bytes = FileCapabilities::parse(text)?.attribute()?;
            Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        for (text, want) in [
            ("cap_net_raw=ep", "0100000200200000000000000000000000000000"),
            ("cap_dac_override,cap_bpf,cap_net_admin+ep", "0100000202100000000000008000000000000000"),
            ("=ep", "01000002ffffffff00000000ff01000000000000"),
            ("cap_net_raw=e", "0100000200000000000000000000000000000000"),
            ("all=eip cap_chown-eip", "01000002fefffffffeffffffff010000ff010000"),
        ] {
            assert_eq!(hex(text).as_deref(), Some(want), "{text}");
        }
        for text in
            ["cap_net_raw", "cap_none=ep", "net_raw=ep", "cap_net_raw=x", "+p", "=+p", "cap_net_raw=ep cap_chown+i"]
        {
            assert_eq!(hex(text), None, "{text}");
        }
    }

    #[test]
    fn texts_come_back() {
        for text in ["=", "=ep", "cap_chown,cap_net_raw=eip", "=p cap_chown-p", "cap_net_raw=i cap_chown+p"] {
            let bytes = FileCapabilities::parse(text).unwrap().attribute().unwrap();
            assert_eq!(FileCapabilities::from_attribute(&bytes).unwrap().to_string(), text);
        }
    }
}
