# Templates of consul-template and of the vault, with here-documents of both kinds.
job "templates" {
  vault {
    policies      = ["home"]
    change_mode   = "signal"
    change_signal = "SIGHUP"
  }

  group "g" {
    consul {
      namespace = "default"
    }

    task "t" {
      driver = "docker"

      template {
        data = <<EOF
{{- range service "db" }}
server {{ .Address }}:{{ .Port }};
{{- end }}
{{ with secret "kv/data/home" }}PASSWORD={{ .Data.data.password }}{{ end }}
KEY={{ key "home/key" | toJSON }}
"quoted" \backslash 100% $HOME $${NOT_OURS} %%{ if }
EOF

        destination     = "secrets/env"
        env             = true
        change_mode     = "restart"
        splay           = "30s"
        perms           = "0640"
        uid             = 1000
        gid             = 1000
        error_on_missing_key = true
      }

      template {
        source          = "local/nginx.conf.tpl"
        destination     = "local/nginx.conf"
        left_delimiter  = "[["
        right_delimiter = "]]"
        once            = true

        change_mode   = "signal"
        change_signal = "SIGHUP"
      }

      template {
        data = <<-EOT
        quoted: ${NOMAD_ALLOC_ID}
        EOT

        destination = "local/quoted"
      }

      template {
        data        = "one\ttwo\nthree \"four\" \\ \u00e9\n"
        destination = "${NOMAD_TASK_DIR}/escapes"

        change_mode = "script"

        change_script {
          command       = "/bin/reload"
          args          = ["--now"]
          timeout       = "20s"
          fail_on_error = true
        }
      }

      artifact {
        source      = "git::https://example.org/repo.git"
        destination = "local/repo"
        mode        = "dir"
        insecure    = false
        chown       = true

        options {
          ref   = "v1"
          depth = 1
        }

        headers {
          User-Agent = "nomad"
        }
      }

      config {
        image = "nginx:${NOMAD_META_version}"
      }
    }
  }
}
