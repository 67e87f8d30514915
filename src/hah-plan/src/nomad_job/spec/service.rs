//! Services, their checks, and Consul's mesh.

use super::Kind::{Boolean, Duration, Free, Integer, List, Lists, Many, One, Table, Text};
use super::{IDENTITY, LOGS, RESOURCES, Spec, VOLUME_MOUNT};

pub(super) static SERVICE: Spec = Spec {
    name: "service",
    keys: &[
        ("name", "Name", Text),
        ("port", "PortLabel", Text),
        ("provider", "Provider", Text),
        ("tags", "Tags", List),
        ("canary_tags", "CanaryTags", List),
        ("enable_tag_override", "EnableTagOverride", Boolean),
        ("meta", "Meta", Table),
        ("canary_meta", "CanaryMeta", Table),
        ("tagged_addresses", "TaggedAddresses", Table),
        ("address", "Address", Text),
        ("address_mode", "AddressMode", Text),
        ("cluster", "Cluster", Text),
        ("kind", "Kind", Text),
        ("task", "TaskName", Text),
        ("on_update", "OnUpdate", Text),
        ("weights", "Weights", One(&WEIGHTS)),
        ("identity", "Identity", One(&IDENTITY)),
        ("connect", "Connect", One(&CONNECT)),
        ("check", "Checks", Many(&CHECK)),
        ("check_restart", "CheckRestart", One(&CHECK_RESTART)),
    ],
};

static WEIGHTS: Spec =
    Spec { name: "weights", keys: &[("passing", "Passing", Integer), ("warning", "Warning", Integer)] };

static CHECK: Spec = Spec {
    name: "check",
    keys: &[
        ("name", "Name", Text),
        ("type", "Type", Text),
        ("command", "Command", Text),
        ("args", "Args", List),
        ("path", "Path", Text),
        ("port", "PortLabel", Text),
        ("address_mode", "AddressMode", Text),
        ("advertise", "Advertise", Text),
        ("expose", "Expose", Boolean),
        ("protocol", "Protocol", Text),
        ("method", "Method", Text),
        ("body", "Body", Text),
        ("header", "Header", Lists),
        ("interval", "Interval", Duration),
        ("timeout", "Timeout", Duration),
        ("initial_status", "InitialStatus", Text),
        ("notes", "Notes", Text),
        ("task", "TaskName", Text),
        ("on_update", "OnUpdate", Text),
        ("grpc_service", "GRPCService", Text),
        ("grpc_use_tls", "GRPCUseTLS", Boolean),
        ("tls_server_name", "TLSServerName", Text),
        ("tls_skip_verify", "TLSSkipVerify", Boolean),
        ("success_before_passing", "SuccessBeforePassing", Integer),
        ("failures_before_critical", "FailuresBeforeCritical", Integer),
        ("failures_before_warning", "FailuresBeforeWarning", Integer),
        ("check_restart", "CheckRestart", One(&CHECK_RESTART)),
    ],
};

static CHECK_RESTART: Spec = Spec {
    name: "check_restart",
    keys: &[("limit", "Limit", Integer), ("grace", "Grace", Duration), ("ignore_warnings", "IgnoreWarnings", Boolean)],
};

/// Gateways are not here: they go to Nomad as they are written.
static CONNECT: Spec = Spec {
    name: "connect",
    keys: &[
        ("native", "Native", Boolean),
        ("sidecar_service", "SidecarService", One(&SIDECAR_SERVICE)),
        ("sidecar_task", "SidecarTask", One(&SIDECAR_TASK)),
    ],
};

static SIDECAR_SERVICE: Spec = Spec {
    name: "sidecar_service",
    keys: &[
        ("tags", "Tags", List),
        ("port", "Port", Text),
        ("meta", "Meta", Table),
        ("disable_default_tcp_check", "DisableDefaultTCPCheck", Boolean),
        ("proxy", "Proxy", One(&PROXY)),
    ],
};

static PROXY: Spec = Spec {
    name: "proxy",
    keys: &[
        ("local_service_address", "LocalServiceAddress", Text),
        ("local_service_port", "LocalServicePort", Integer),
        ("upstreams", "Upstreams", Many(&UPSTREAMS)),
        ("config", "Config", Free),
    ],
};

static UPSTREAMS: Spec = Spec {
    name: "upstreams",
    keys: &[
        ("destination_name", "DestinationName", Text),
        ("destination_namespace", "DestinationNamespace", Text),
        ("destination_peer", "DestinationPeer", Text),
        ("destination_partition", "DestinationPartition", Text),
        ("destination_type", "DestinationType", Text),
        ("datacenter", "Datacenter", Text),
        ("local_bind_address", "LocalBindAddress", Text),
        ("local_bind_port", "LocalBindPort", Integer),
        ("config", "Config", Free),
    ],
};

static SIDECAR_TASK: Spec = Spec {
    name: "sidecar_task",
    keys: &[
        ("name", "Name", Text),
        ("driver", "Driver", Text),
        ("user", "User", Text),
        ("config", "Config", Free),
        ("env", "Env", Table),
        ("meta", "Meta", Table),
        ("resources", "Resources", One(&RESOURCES)),
        ("kill_timeout", "KillTimeout", Duration),
        ("kill_signal", "KillSignal", Text),
        ("shutdown_delay", "ShutdownDelay", Duration),
        ("logs", "LogConfig", One(&LOGS)),
        ("volume_mount", "VolumeMounts", Many(&VOLUME_MOUNT)),
    ],
};
