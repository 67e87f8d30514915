//! Paths that the image, stage 1 and the agent agree on.

/// The data partition's file system is mounted here.
pub const VAR: &str = "/var";
/// State that must outlive a reboot: machine id, SSH host keys, node identity.
pub const STATE: &str = "/var/lib/hah";
/// The machine id that stage 1 made on first boot, as `/etc/machine-id` is to read.
pub const MACHINE_ID: &str = "/var/lib/hah/machine-id";
/// SSH host keys.
pub const SSH_HOST_KEYS: &str = "/var/lib/hah/ssh";
/// Written last by stage 1 when `/var` has been filled from the image: the id of that image.
pub const SEEDED: &str = "/var/lib/hah/seeded";
/// What stage 1 did and saw, for `hah-agent status`; on the `/run` tmpfs.
pub const STAGE1_REPORT: &str = "/run/hah/stage1.json";
/// Upper and work directory of the `/etc` overlay are below this tmpfs.
pub const ETC_OVERLAY: &str = "/run/hah/etc";
/// The agent in the root file system.
pub const AGENT: &str = "/usr/lib/hah/hah-agent";
/// Stage 1's configuration inside the initramfs.
pub const STAGE1_CONFIG: &str = "/hah/stage1.json";
/// Kernel modules inside the initramfs, as the kernel package ships them.
pub const STAGE1_MODULES: &str = "/hah/modules";
/// Where the boot partition is mounted on a running node.
pub const BOOT: &str = "/boot/firmware";
/// The node identity that `flash` writes, relative to the boot partition.
pub const IDENTITY_ON_BOOT: &str = "hah/node.json";
/// What Raspberry Pi Imager leaves on the boot partition of an image that says `init_format: rpi-preseed`.
pub const PRESEED_ON_BOOT: &str = "rpi-preseed.toml";
/// Files whose mere presence on the boot partition switches the SSH server on.
pub const SSH_ON_BOOT: [&str; 2] = ["ssh", "ssh.txt"];
/// The node identity on the data partition: mode 0600, in a directory of mode 0700.
pub const IDENTITY: &str = "/var/lib/hah/identity/node.json";
/// Certificates, keys and tokens for the programs that run, on the `/run` tmpfs: `PROGRAM/{ca,cert,key}.pem`,
/// `{consul,nomad}.token`, `prometheus/consul_token`, `vault/{role-id,wrapped-secret-id}`; each owned by its program's user, mode 0400.
pub const SECRETS: &str = "/run/hah/secrets";
/// [`crate::identity::Setup`] of this node as JSON, below [`SECRETS`]: root's, until the set-up is done.
pub const SETUP: &str = "/run/hah/secrets/setup.json";
/// Authorities of the programs' certificates, for everybody: `{consul,nomad,vault}.pem`.
pub const AUTHORITIES: &str = "/run/hah/ca";
/// What nft(8) has counted, in its own JSON, on images with a firewall.
pub const FIREWALL_COUNT: &str = "/run/hah/firewall.json";
/// The token that a server's agent made for itself in Nomad: mode 0600.
pub const NOMAD_TOKEN_MADE: &str = "/var/lib/hah/nomad.token";
/// In the root file system: the version of Consul whose spelling of TLS and ACL settings identity fragments use.
/// `1.8` is the one before `tls {}`; without the file it is the newest.
pub const CONSUL_DIALECT: &str = "/usr/share/hah/consul-dialect";
/// The data partition's copies of the directories in [`crate::stage1::Stage1::persist`] are below this one.
pub const PERSIST: &str = "/var/lib/hah/persist";
