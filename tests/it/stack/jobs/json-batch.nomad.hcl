job "batch" {
  type = "batch"

  periodic {
    crons            = ["@daily"]
    prohibit_overlap = true
    time_zone        = "Europe/Rome"
  }

  vault {
    role = "batch"
  }

  group "g" {
    volume "data" {
      type            = "csi"
      source          = "data"
      access_mode     = "single-node-writer"
      attachment_mode = "file-system"

      mount_options {
        fs_type = "ext4"
      }
    }

    task "prepare" {
      driver = "exec"

      lifecycle {
        hook    = "prestart"
        sidecar = false
      }

      artifact {
        source      = "https://example.org/a.tgz"
        destination = "local/"

        options {
          checksum = "sha256:00"
        }
      }

      config {
        command = "/bin/true"
      }
    }

    task "t" {
      driver = "exec"

      vault {
        policies = ["read"]
      }

      identity {
        name = "aws"
        aud  = ["sts"]
        ttl  = "1h"
      }

      identity {
        env  = true
        file = true
      }

      csi_plugin {
        id        = "nfs"
        type      = "node"
        mount_dir = "/csi"
      }

      template {
        data        = <<-EOH
          one ${NOMAD_TASK_DIR}
            two
        EOH
        destination = "local/two"

        wait {
          min = "5s"
          max = "1m"
        }
      }

      config {
        command = "/bin/cat"
        args    = ["${NOMAD_TASK_DIR}/two"]
      }
    }
  }
}
