# The controller and the nodes of a CSI plug-in, as NFS at home is set up.
job "csi-nfs" {
  type = "system"

  group "nodes" {
    task "plugin" {
      driver = "docker"

      config {
        image      = "registry.example.org/nfsplugin:v4.8.0"
        privileged = true

        args = [
          "--endpoint=${CSI_ENDPOINT}",
          "--nodeid=${attr.unique.hostname}",
          "--v=5",
        ]
      }

      csi_plugin {
        id                     = "nfs"
        type                   = "monolith"
        mount_dir              = "/csi"
        stage_publish_base_dir = "/local/csi"
        health_timeout         = "30s"
      }

      resources {
        cpu        = 100
        memory     = 128
        memory_max = 256
      }
    }
  }

  group "user" {
    count = 1

    volume "media" {
      type            = "csi"
      source          = "media"
      read_only       = false
      access_mode     = "multi-node-multi-writer"
      attachment_mode = "file-system"
      per_alloc       = true

      mount_options {
        fs_type     = "nfs"
        mount_flags = ["noatime", "nfsvers=4.2"]
      }
    }

    volume "config" {
      type      = "host"
      source    = "config"
      read_only = true
    }

    task "player" {
      driver = "docker"

      volume_mount {
        volume           = "media"
        destination      = "/media"
        propagation_mode = "private"
      }

      volume_mount {
        volume      = "config"
        destination = "/config"
        read_only   = true
      }

      config {
        image = "jellyfin/jellyfin:10.9"
      }
    }
  }
}
