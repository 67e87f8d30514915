//! The words of a job and what the API calls them.
//!
//! Names are those of the structures in Nomad's `api` package, which are its JSON. [`service`] has what is registered in
//! Consul or Nomad; everything else is here.

mod service;

/// A block of the job specification.
#[derive(Debug)]
pub(super) struct Spec {
    /// For messages.
    pub(super) name: &'static str,
    /// Word, name in the API, kind.
    pub(super) keys: &'static [(&'static str, &'static str, Kind)],
}

impl Spec {
    pub(super) fn key(&self, name: &str) -> Option<&'static (&'static str, &'static str, Kind)> {
        self.keys.iter().find(|(word, ..)| *word == name)
    }
}

/// What a word holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    /// `"90s"` here, nanoseconds there.
    Duration,
    List,
    /// Strings by name, as a block or as an attribute.
    Strings,
    /// Strings by name, as a block only.
    Table,
    /// Lists of strings by name, as a block.
    Lists,
    /// A block whose words are the driver's.
    Free,
    /// `constraint`, whose operator may be a word of its own.
    Constraint,
    /// `affinity`, likewise.
    Affinity,
    /// A block that is there once.
    One(&'static Spec),
    /// A block that repeats.
    Many(&'static Spec),
    /// A block with a name, that repeats: a list, each with its `Name`.
    Named(&'static Spec),
    /// A block with a label, that repeats: a list, each with the label under this name.
    Labelled(&'static Spec, &'static str),
    /// A block with a name, that repeats: a table by name.
    ByName(&'static Spec),
    /// A port, which is in one list when its number is given and in another when Nomad chooses it.
    Port,
}

use Kind::{
    Affinity, Boolean, ByName, Constraint, Duration, Free, Integer, Labelled, List, Many, Named, One, Port, Strings,
    Table, Text,
};
use service::SERVICE;

/// Where a block `vault` of a job or a group waits for its tasks: no name of the API.
pub(super) const INHERITED_VAULT: &str = " vault";

pub(super) static JOB: Spec = Spec {
    name: "job",
    keys: &[
        ("type", "Type", Text),
        ("priority", "Priority", Integer),
        ("region", "Region", Text),
        ("namespace", "Namespace", Text),
        ("datacenters", "Datacenters", List),
        ("node_pool", "NodePool", Text),
        ("all_at_once", "AllAtOnce", Boolean),
        ("id", "ID", Text),
        ("name", "Name", Text),
        ("meta", "Meta", Strings),
        ("constraint", "Constraints", Constraint),
        ("affinity", "Affinities", Affinity),
        ("spread", "Spreads", Many(&SPREAD)),
        ("update", "Update", One(&UPDATE)),
        ("reschedule", "Reschedule", One(&RESCHEDULE)),
        ("migrate", "Migrate", One(&MIGRATE)),
        ("periodic", "Periodic", One(&PERIODIC)),
        ("parameterized", "ParameterizedJob", One(&PARAMETERIZED)),
        ("ui", "UI", One(&UI)),
        ("vault", INHERITED_VAULT, One(&VAULT)),
        ("group", "TaskGroups", Named(&GROUP)),
    ],
};

/// `constraint`: its operator is `operator`, or a word that is also the operator's name.
pub(super) static CONSTRAINT: Spec = Spec {
    name: "constraint",
    keys: &[
        ("attribute", "LTarget", Text),
        ("operator", "Operand", Text),
        ("value", "RTarget", Text),
        ("version", "version", Text),
        ("semver", "semver", Text),
        ("regexp", "regexp", Text),
        ("set_contains", "set_contains", Text),
        ("distinct_hosts", "distinct_hosts", Boolean),
        ("distinct_property", "distinct_property", Text),
    ],
};

/// `affinity`, likewise.
pub(super) static AFFINITY: Spec = Spec {
    name: "affinity",
    keys: &[
        ("attribute", "LTarget", Text),
        ("operator", "Operand", Text),
        ("value", "RTarget", Text),
        ("weight", "Weight", Integer),
        ("version", "version", Text),
        ("semver", "semver", Text),
        ("regexp", "regexp", Text),
        ("set_contains_any", "set_contains_any", Text),
        ("set_contains_all", "set_contains_all", Text),
        ("set_contains", "set_contains", Text),
    ],
};

static SPREAD: Spec = Spec {
    name: "spread",
    keys: &[
        ("attribute", "Attribute", Text),
        ("weight", "Weight", Integer),
        ("target", "SpreadTarget", Labelled(&SPREAD_TARGET, "Value")),
    ],
};

static SPREAD_TARGET: Spec = Spec { name: "target", keys: &[("percent", "Percent", Integer)] };

static PERIODIC: Spec = Spec {
    name: "periodic",
    keys: &[
        ("enabled", "Enabled", Boolean),
        ("cron", "Spec", Text),
        ("crons", "Specs", List),
        ("prohibit_overlap", "ProhibitOverlap", Boolean),
        ("time_zone", "TimeZone", Text),
    ],
};

static PARAMETERIZED: Spec = Spec {
    name: "parameterized",
    keys: &[
        ("payload", "Payload", Text),
        ("meta_required", "MetaRequired", List),
        ("meta_optional", "MetaOptional", List),
    ],
};

static UI: Spec = Spec { name: "ui", keys: &[("description", "Description", Text), ("link", "Links", Many(&UI_LINK))] };

static UI_LINK: Spec = Spec { name: "link", keys: &[("label", "Label", Text), ("url", "URL", Text)] };

static VAULT: Spec = Spec {
    name: "vault",
    keys: &[
        ("policies", "Policies", List),
        ("role", "Role", Text),
        ("namespace", "Namespace", Text),
        ("cluster", "Cluster", Text),
        ("env", "Env", Boolean),
        ("disable_file", "DisableFile", Boolean),
        ("change_mode", "ChangeMode", Text),
        ("change_signal", "ChangeSignal", Text),
        ("allow_token_expiration", "AllowTokenExpiration", Boolean),
    ],
};

static CONSUL: Spec = Spec {
    name: "consul",
    keys: &[("namespace", "Namespace", Text), ("cluster", "Cluster", Text), ("partition", "Partition", Text)],
};

static UPDATE: Spec = Spec {
    name: "update",
    keys: &[
        ("stagger", "Stagger", Duration),
        ("max_parallel", "MaxParallel", Integer),
        ("health_check", "HealthCheck", Text),
        ("min_healthy_time", "MinHealthyTime", Duration),
        ("healthy_deadline", "HealthyDeadline", Duration),
        ("progress_deadline", "ProgressDeadline", Duration),
        ("auto_revert", "AutoRevert", Boolean),
        ("auto_promote", "AutoPromote", Boolean),
        ("canary", "Canary", Integer),
    ],
};

static GROUP: Spec = Spec {
    name: "group",
    keys: &[
        ("count", "Count", Integer),
        ("meta", "Meta", Strings),
        ("shutdown_delay", "ShutdownDelay", Duration),
        ("stop_after_client_disconnect", "StopAfterClientDisconnect", Duration),
        ("max_client_disconnect", "MaxClientDisconnect", Duration),
        ("prevent_reschedule_on_lost", "PreventRescheduleOnLost", Boolean),
        ("constraint", "Constraints", Constraint),
        ("affinity", "Affinities", Affinity),
        ("spread", "Spreads", Many(&SPREAD)),
        ("update", "Update", One(&UPDATE)),
        ("disconnect", "Disconnect", One(&DISCONNECT)),
        ("consul", "Consul", One(&CONSUL)),
        ("vault", INHERITED_VAULT, One(&VAULT)),
        ("restart", "RestartPolicy", One(&RESTART)),
        ("reschedule", "ReschedulePolicy", One(&RESCHEDULE)),
        ("migrate", "Migrate", One(&MIGRATE)),
        ("ephemeral_disk", "EphemeralDisk", One(&EPHEMERAL_DISK)),
        ("network", "Networks", Many(&NETWORK)),
        ("volume", "Volumes", ByName(&VOLUME)),
        ("service", "Services", Many(&SERVICE)),
        ("task", "Tasks", Named(&TASK)),
    ],
};

static RESTART: Spec = Spec {
    name: "restart",
    keys: &[
        ("attempts", "Attempts", Integer),
        ("interval", "Interval", Duration),
        ("delay", "Delay", Duration),
        ("mode", "Mode", Text),
        ("render_templates", "RenderTemplates", Boolean),
    ],
};

static RESCHEDULE: Spec = Spec {
    name: "reschedule",
    keys: &[
        ("attempts", "Attempts", Integer),
        ("interval", "Interval", Duration),
        ("delay", "Delay", Duration),
        ("delay_function", "DelayFunction", Text),
        ("max_delay", "MaxDelay", Duration),
        ("unlimited", "Unlimited", Boolean),
    ],
};

static DISCONNECT: Spec = Spec {
    name: "disconnect",
    keys: &[
        ("lost_after", "LostAfter", Duration),
        ("stop_on_client_after", "StopOnClientAfter", Duration),
        ("replace", "Replace", Boolean),
        ("reconcile", "Reconcile", Text),
    ],
};

static MIGRATE: Spec = Spec {
    name: "migrate",
    keys: &[
        ("max_parallel", "MaxParallel", Integer),
        ("health_check", "HealthCheck", Text),
        ("min_healthy_time", "MinHealthyTime", Duration),
        ("healthy_deadline", "HealthyDeadline", Duration),
    ],
};

static EPHEMERAL_DISK: Spec = Spec {
    name: "ephemeral_disk",
    keys: &[("size", "SizeMB", Integer), ("sticky", "Sticky", Boolean), ("migrate", "Migrate", Boolean)],
};

static NETWORK: Spec = Spec {
    name: "network",
    keys: &[
        ("mode", "Mode", Text),
        ("hostname", "Hostname", Text),
        ("mbits", "MBits", Integer),
        ("dns", "DNS", One(&DNS)),
        ("port", "", Port),
    ],
};

static DNS: Spec = Spec {
    name: "dns",
    keys: &[("servers", "Servers", List), ("searches", "Searches", List), ("options", "Options", List)],
};

pub(super) static PORT: Spec = Spec {
    name: "port",
    keys: &[
        ("static", "Value", Integer),
        ("to", "To", Integer),
        ("host_network", "HostNetwork", Text),
        ("ignore_collision", "IgnoreCollision", Boolean),
    ],
};

static VOLUME: Spec = Spec {
    name: "volume",
    keys: &[
        ("type", "Type", Text),
        ("source", "Source", Text),
        ("read_only", "ReadOnly", Boolean),
        ("access_mode", "AccessMode", Text),
        ("attachment_mode", "AttachmentMode", Text),
        ("sticky", "Sticky", Boolean),
        ("per_alloc", "PerAlloc", Boolean),
        ("mount_options", "MountOptions", One(&MOUNT_OPTIONS)),
    ],
};

static MOUNT_OPTIONS: Spec =
    Spec { name: "mount_options", keys: &[("fs_type", "FSType", Text), ("mount_flags", "MountFlags", List)] };

static TASK: Spec = Spec {
    name: "task",
    keys: &[
        ("driver", "Driver", Text),
        ("user", "User", Text),
        ("leader", "Leader", Boolean),
        ("kind", "Kind", Text),
        ("kill_timeout", "KillTimeout", Duration),
        ("kill_signal", "KillSignal", Text),
        ("shutdown_delay", "ShutdownDelay", Duration),
        ("meta", "Meta", Strings),
        ("env", "Env", Strings),
        ("config", "Config", Free),
        ("constraint", "Constraints", Constraint),
        ("affinity", "Affinities", Affinity),
        ("lifecycle", "Lifecycle", One(&LIFECYCLE)),
        ("artifact", "Artifacts", Many(&ARTIFACT)),
        ("dispatch_payload", "DispatchPayload", One(&DISPATCH_PAYLOAD)),
        ("csi_plugin", "CSIPluginConfig", One(&CSI_PLUGIN)),
        ("vault", "Vault", One(&VAULT)),
        ("consul", "Consul", One(&CONSUL)),
        ("identity", "Identities", Many(&IDENTITY)),
        ("action", "Actions", Named(&ACTION)),
        ("service", "Services", Many(&SERVICE)),
        ("volume_mount", "VolumeMounts", Many(&VOLUME_MOUNT)),
        ("template", "Templates", Many(&TEMPLATE)),
        ("resources", "Resources", One(&RESOURCES)),
        ("restart", "RestartPolicy", One(&RESTART)),
        ("logs", "LogConfig", One(&LOGS)),
    ],
};

static LIFECYCLE: Spec = Spec { name: "lifecycle", keys: &[("hook", "Hook", Text), ("sidecar", "Sidecar", Boolean)] };

static ARTIFACT: Spec = Spec {
    name: "artifact",
    keys: &[
        ("source", "GetterSource", Text),
        ("destination", "RelativeDest", Text),
        ("mode", "GetterMode", Text),
        ("insecure", "GetterInsecure", Boolean),
        ("chown", "Chown", Boolean),
        ("options", "GetterOptions", Table),
        ("headers", "GetterHeaders", Table),
    ],
};

static DISPATCH_PAYLOAD: Spec = Spec { name: "dispatch_payload", keys: &[("file", "File", Text)] };

static CSI_PLUGIN: Spec = Spec {
    name: "csi_plugin",
    keys: &[
        ("id", "ID", Text),
        ("type", "Type", Text),
        ("mount_dir", "MountDir", Text),
        ("stage_publish_base_dir", "StagePublishBaseDir", Text),
        ("health_timeout", "HealthTimeout", Duration),
    ],
};

static IDENTITY: Spec = Spec {
    name: "identity",
    keys: &[
        ("name", "Name", Text),
        ("aud", "Audience", List),
        ("change_mode", "ChangeMode", Text),
        ("change_signal", "ChangeSignal", Text),
        ("env", "Env", Boolean),
        ("file", "File", Boolean),
        ("filepath", "Filepath", Text),
        ("service_name", "ServiceName", Text),
        ("ttl", "TTL", Duration),
    ],
};

static ACTION: Spec = Spec { name: "action", keys: &[("command", "Command", Text), ("args", "Args", List)] };

static VOLUME_MOUNT: Spec = Spec {
    name: "volume_mount",
    keys: &[
        ("volume", "Volume", Text),
        ("destination", "Destination", Text),
        ("read_only", "ReadOnly", Boolean),
        ("propagation_mode", "PropagationMode", Text),
    ],
};

static TEMPLATE: Spec = Spec {
    name: "template",
    keys: &[
        ("data", "EmbeddedTmpl", Text),
        ("source", "SourcePath", Text),
        ("destination", "DestPath", Text),
        ("change_mode", "ChangeMode", Text),
        ("change_signal", "ChangeSignal", Text),
        ("left_delimiter", "LeftDelim", Text),
        ("right_delimiter", "RightDelim", Text),
        ("perms", "Perms", Text),
        ("env", "Envvars", Boolean),
        ("splay", "Splay", Duration),
        ("error_on_missing_key", "ErrMissingKey", Boolean),
        ("once", "Once", Boolean),
        ("uid", "Uid", Integer),
        ("gid", "Gid", Integer),
        ("wait", "Wait", One(&WAIT)),
        ("change_script", "ChangeScript", One(&CHANGE_SCRIPT)),
    ],
};

static WAIT: Spec = Spec { name: "wait", keys: &[("min", "Min", Duration), ("max", "Max", Duration)] };

static CHANGE_SCRIPT: Spec = Spec {
    name: "change_script",
    keys: &[
        ("command", "Command", Text),
        ("args", "Args", List),
        ("timeout", "Timeout", Duration),
        ("fail_on_error", "FailOnError", Boolean),
    ],
};

static RESOURCES: Spec = Spec {
    name: "resources",
    keys: &[
        ("cpu", "CPU", Integer),
        ("cores", "Cores", Integer),
        ("memory", "MemoryMB", Integer),
        ("memory_max", "MemoryMaxMB", Integer),
        ("disk", "DiskMB", Integer),
        ("iops", "IOPS", Integer),
        ("network", "Networks", Many(&NETWORK)),
        ("device", "Devices", Named(&DEVICE)),
        ("numa", "NUMA", One(&NUMA)),
    ],
};

static DEVICE: Spec = Spec {
    name: "device",
    keys: &[
        ("count", "Count", Integer),
        ("constraint", "Constraints", Constraint),
        ("affinity", "Affinities", Affinity),
    ],
};

static NUMA: Spec = Spec { name: "numa", keys: &[("affinity", "Affinity", Text), ("devices", "Devices", List)] };

static LOGS: Spec = Spec {
    name: "logs",
    keys: &[
        ("max_files", "MaxFiles", Integer),
        ("max_file_size", "MaxFileSizeMB", Integer),
        ("disabled", "Disabled", Boolean),
    ],
};
