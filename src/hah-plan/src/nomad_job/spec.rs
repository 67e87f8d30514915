//! The words of a job and what the API calls them.

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
    /// A block whose words are the driver's.
    Free,
    /// A block that is there once.
    One(&'static Spec),
    /// A block that repeats.
    Many(&'static Spec),
    /// A block with a name, that repeats: a list, each with its `Name`.
    Named(&'static Spec),
    /// A block with a name, that repeats: a table by name.
    ByName(&'static Spec),
    /// A port, which is in one list when its number is given and in another when Nomad chooses it.
    Port,
}

use Kind::{Boolean, ByName, Duration, Free, Integer, List, Many, Named, One, Port, Strings, Text};

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
        ("meta", "Meta", Strings),
        ("update", "Update", One(&UPDATE)),
        ("group", "TaskGroups", Named(&GROUP)),
    ],
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

static NETWORK: Spec =
    Spec { name: "network", keys: &[("mode", "Mode", Text), ("hostname", "Hostname", Text), ("port", "", Port)] };

pub(super) static PORT: Spec = Spec {
    name: "port",
    keys: &[("static", "Value", Integer), ("to", "To", Integer), ("host_network", "HostNetwork", Text)],
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
    ],
};

static SERVICE: Spec = Spec {
    name: "service",
    keys: &[
        ("name", "Name", Text),
        ("port", "PortLabel", Text),
        ("provider", "Provider", Text),
        ("tags", "Tags", List),
        ("meta", "Meta", Strings),
        ("address_mode", "AddressMode", Text),
        ("task", "TaskName", Text),
        ("check", "Checks", Many(&CHECK)),
    ],
};

static CHECK: Spec = Spec {
    name: "check",
    keys: &[
        ("name", "Name", Text),
        ("type", "Type", Text),
        ("path", "Path", Text),
        ("port", "PortLabel", Text),
        ("protocol", "Protocol", Text),
        ("method", "Method", Text),
        ("interval", "Interval", Duration),
        ("timeout", "Timeout", Duration),
        ("on_update", "OnUpdate", Text),
        ("tls_skip_verify", "TLSSkipVerify", Boolean),
        ("check_restart", "CheckRestart", One(&CHECK_RESTART)),
    ],
};

static CHECK_RESTART: Spec = Spec {
    name: "check_restart",
    keys: &[("limit", "Limit", Integer), ("grace", "Grace", Duration), ("ignore_warnings", "IgnoreWarnings", Boolean)],
};

static TASK: Spec = Spec {
    name: "task",
    keys: &[
        ("driver", "Driver", Text),
        ("user", "User", Text),
        ("leader", "Leader", Boolean),
        ("kill_timeout", "KillTimeout", Duration),
        ("kill_signal", "KillSignal", Text),
        ("shutdown_delay", "ShutdownDelay", Duration),
        ("meta", "Meta", Strings),
        ("env", "Env", Strings),
        ("config", "Config", Free),
        ("service", "Services", Many(&SERVICE)),
        ("volume_mount", "VolumeMounts", Many(&VOLUME_MOUNT)),
        ("template", "Templates", Many(&TEMPLATE)),
        ("resources", "Resources", One(&RESOURCES)),
        ("restart", "RestartPolicy", One(&RESTART)),
        ("logs", "LogConfig", One(&LOGS)),
    ],
};

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
    ],
};

static RESOURCES: Spec = Spec {
    name: "resources",
    keys: &[
        ("cpu", "CPU", Integer),
        ("cores", "Cores", Integer),
        ("memory", "MemoryMB", Integer),
        ("memory_max", "MemoryMaxMB", Integer),
    ],
};

static LOGS: Spec = Spec {
    name: "logs",
    keys: &[
        ("max_files", "MaxFiles", Integer),
        ("max_file_size", "MaxFileSizeMB", Integer),
        ("disabled", "Disabled", Boolean),
    ],
};
