//! File capabilities, from the text that setcap(8) takes to the attribute that the kernel reads.

/// Names of capabilities by number; `<linux/capability.h>`.
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

/// The `security.capability` attribute, 20 bytes, for a text as setcap(8) takes it: `vfs_cap_data` of revision 2
/// in `<linux/capability.h>`, little-endian words: magic and flags, then permitted and inheritable sets, low and high half.
pub(crate) fn attribute(text: &str) -> Option<Vec<u8>> {
    let (names, flags) = text.split_once(['=', '+'])?;
    if flags.is_empty() || !flags.bytes().all(|flag| b"eip".contains(&flag)) {
        return None;
    }
    let mut set = 0u64;
    for name in names.split(',') {
        let name = name.strip_prefix("cap_")?;
        set |= 1 << CAPABILITIES.iter().position(|known| *known == name)?;
    }
    let chosen = |flag: char| if flags.contains(flag) { set } else { 0 };
    let (permitted, inheritable) = (chosen('p'), chosen('i'));
    let magic = 0x0200_0000 | u32::from(flags.contains('e'));
    let half = |set: u64, shift: u32| (set >> shift & 0xffff_ffff) as u32;
    let words = [magic, half(permitted, 0), half(inheritable, 0), half(permitted, 32), half(inheritable, 32)];
    Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_as_setcap_writes_them() {
        // `setcap cap_net_raw=ep FILE; getfattr -e hex -n security.capability FILE`
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(attribute("cap_net_raw=ep").map(hex).as_deref(), Some("0100000200200000000000000000000000000000"));
        assert_eq!(
            attribute("cap_dac_override,cap_bpf,cap_net_admin+ep").map(hex).as_deref(),
            Some("0100000202100000000000008000000000000000")
        );
        for text in ["cap_net_raw", "cap_none=ep", "net_raw=ep", "cap_net_raw=x", "cap_net_raw="] {
            assert_eq!(attribute(text), None, "{text}");
        }
    }
}
