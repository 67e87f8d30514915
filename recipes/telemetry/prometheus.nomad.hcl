# The job that closes the loop. The agent of a server submits prometheus.json, which is this job as Nomad's API takes it;
# `nomad job run` of this file does the same.
# Change parameters of the recipe `telemetry` rather than this file: it is made anew with every image.

{% set identified = 'nomad' in recipes and nomad.acl and consul.acl == "deny" %}
job "prometheus" {
  type        = "service"
  priority    = 80
  datacenters = ["*"]

  # A digest of the job and of the files that it holds: the agent sees by it which job runs.
  meta {
    hah_job = "HAH_JOB_DIGEST"
  }

  # A version that does not get healthy makes way for the last one that was.
  # Ten minutes, since a card needs some for replaying a large write-ahead log.
  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "30s"
    healthy_deadline  = "10m"
    progress_deadline = "20m"
    auto_revert       = true
  }

  group "prometheus" {
    count = 1

    # Three tries on the same node, then another one.
    restart {
      attempts = 3
      interval = "10m"
      delay    = "20s"
      mode     = "fail"
    }

    # The first move after half a minute; then with patience, and without end.
    reschedule {
      delay          = "30s"
      delay_function = "exponential"
      max_delay      = "10m"
      unlimited      = true
    }

    # When the node is drained.
    migrate {
      max_parallel     = 1
      health_check     = "checks"
      min_healthy_time = "30s"
      healthy_deadline = "10m"
    }

    # Log files only; the database has its own volume.
    ephemeral_disk {
      size = 100
    }

    network {
      port "http" {
        static = 9090
      }
    }
{% if driver == "exec" %}

    # Static host volumes, which every client of these images has. The database survives restarts of the job and of the
    # node. It does not travel: on another node Prometheus goes on with the history that it once had there, or with none.
    volume "tsdb" {
      type      = "host"
      source    = "prometheus"
      read_only = false
    }

    # The node's own programs and libraries, read-only: nothing is copied to the card for the task's chroot.
    volume "usr" {
      type      = "host"
      source    = "usr"
      read_only = true
    }
{% if consul.http == "tls" %}

    # The authorities of the cluster's certificates.
    volume "ca" {
      type      = "host"
      source    = "hah-ca"
      read_only = true
    }
{% endif %}
{% endif %}

    service {
      name     = "prometheus"
      port     = "http"
      provider = "consul"

      check {
        name     = "ready"
        type     = "http"
        path     = "/-/ready"
        interval = "15s"
        timeout  = "5s"
      }

      # A Prometheus that hangs is restarted; not one that still reads its log.
      check {
        name     = "healthy"
        type     = "http"
        path     = "/-/healthy"
        interval = "15s"
        timeout  = "5s"

        check_restart {
          limit = 4
          grace = "5m"
        }
      }
    }

    task "prometheus" {
      driver         = "{{ driver }}"
      user           = "prometheus"
      kill_timeout   = "60s"
      shutdown_delay = "2s"

      config {
        command = "/usr/bin/prometheus"
        args = [
          "--config.file=${NOMAD_TASK_DIR}/prometheus.yml",
          "--storage.tsdb.path=/var/lib/prometheus/tsdb",
{% if prometheus.source == "debian" %}
          "--storage.tsdb.retention.time={{ retention_time }}s",
          "--storage.tsdb.retention.size={{ retention_size }}B",
{% endif %}
          "--web.listen-address=:${NOMAD_PORT_http}",
        ]
      }

      # Go collects before the limit is reached; with raw_exec nothing else limits it.
      env {
        GOMEMLIMIT = "{{ memory // 10 * 9 }}"
      }
{% if driver == "exec" %}

      volume_mount {
        volume      = "tsdb"
        destination = "/var/lib/prometheus/tsdb"
      }

      volume_mount {
        volume      = "usr"
        destination = "/usr"
        read_only   = true
      }
{% if consul.http == "tls" %}

      volume_mount {
        volume      = "ca"
        destination = "/hah-ca"
        read_only   = true
      }
{% endif %}
{% endif %}
{% if identified %}

      # A token of its own in secrets/consul_token, for which Nomad vouches: nobody types one, and it is nowhere else.
      consul {}
{% endif %}

      # The files are those of the node where the job is read; the delimiters are others than the alerts' own {{ "{{ }}" }}.
      template {
        data            = file("/usr/share/hah/prometheus/prometheus.yml")
        destination     = "local/prometheus.yml"
        left_delimiter  = "[["
        right_delimiter = "]]"
        change_mode     = "signal"
        change_signal   = "SIGHUP"
      }
{% if prometheus.source == "debian" %}

      # Consul's catalog as targets, since Debian's Prometheus does not read it by itself. Prometheus notices when the file
      # changes. Services that fail their checks are in it too: they are to be seen down, not to be forgotten.
      template {
        destination     = "local/targets/consul.json"
        left_delimiter  = "[["
        right_delimiter = "]]"
        change_mode     = "noop"
        data            = <<-EOH
          [[- $comma := "" ]]
          [
          [[- range services ]]
          [[- range service (printf "%s|any" .Name) ]]
            [[ $comma ]]{
              "targets": ["[[ if regexMatch ":" .Address ]][ [[- .Address -]] ][[ else ]][[ .Address ]][[ end ]]:[[ .Port ]]"],
              "labels": {
                "__meta_consul_service": [[ .Name | toJSON ]],
                "__meta_consul_node": [[ .Node | toJSON ]],
                "__meta_consul_tags": [[ printf ",%s," (join "," .Tags) | toJSON ]],
                "__meta_consul_health": [[ .Status | toJSON ]],
                "__meta_consul_service_metadata_prometheus_path": [[ index .ServiceMeta "prometheus_path" | toJSON ]],
                "__meta_consul_service_metadata_prometheus_port": [[ index .ServiceMeta "prometheus_port" | toJSON ]],
                "__meta_consul_service_metadata_prometheus_scheme": [[ index .ServiceMeta "prometheus_scheme" | toJSON ]]
              }
            }
          [[- $comma = "," ]]
          [[- end ]]
          [[- end ]]
          ]
        EOH
      }
{% endif %}
{% set rules = ["loop", "hosts", "consul", "prometheus"] + (["nomad"] if 'nomad' in layers else []) + (["vault"] if 'vault' in layers else []) + (["alertmanager"] if 'alertmanager' in layers else []) %}
{% for rule in rules %}

      template {
        data            = file("/usr/share/hah/prometheus/rules/{{ rule }}.yml")
        destination     = "local/rules/{{ rule }}.yml"
        left_delimiter  = "[["
        right_delimiter = "]]"
        change_mode     = "signal"
        change_signal   = "SIGHUP"
      }
{% endfor %}
{% set items = (["consul_token"] if consul.acl == "deny" and not identified else []) + (["vault_token"] if vault_token else []) + (["ca"] if vault_tls and consul.http != "tls" else []) %}
{% if items %}

      # What Prometheus shows to others is in a variable of the cluster, which this job alone may read:
      #     nomad var put nomad/jobs/prometheus {% for item in items %}{{ item }}=… {% endfor %}

{% for item in items %}

      template {
        data            = "[[ with nomadVar \"nomad/jobs/prometheus\" ]][[ .{{ item }} ]][[ end ]]"
        destination     = "secrets/{{ "ca.pem" if item == "ca" else item }}"
        left_delimiter  = "[["
        right_delimiter = "]]"
        perms           = "0444"
        change_mode     = "noop"
      }
{% endfor %}
{% endif %}

      resources {
        cpu    = {{ cpu }}
        memory = {{ memory // 1048576 }}
      }

      logs {
        max_files     = 2
        max_file_size = 5
      }
    }
  }
}
