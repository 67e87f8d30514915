# Several groups, each with an update, a volume or a task around the main one.
job "photos" {
  datacenters = ["dc1", "dc2"]
  node_pool   = "default"
  namespace   = "default"

  update {
    max_parallel      = 1
    min_healthy_time  = "10s"
    healthy_deadline  = "5m"
    progress_deadline = "10m"
    auto_revert       = true
    auto_promote      = true
    canary            = 1
    stagger           = "30s"
    health_check      = "checks"
  }

  migrate {
    max_parallel     = 1
    health_check     = "checks"
    min_healthy_time = "10s"
    healthy_deadline = "5m"
  }

  group "web" {
    count          = 2
    shutdown_delay = "5s"

    disconnect {
      lost_after = "6h"
      replace    = false
      reconcile  = "keep_original"
    }

    update {
      max_parallel = "2"
      canary       = "0"
    }

    network {
      port "http" {
        to           = "2342"
        host_network = "public"
      }
    }

    service {
      name     = "photos"
      port     = "http"
      provider = "nomad"

      check {
        type     = "tcp"
        interval = "15s"
        timeout  = "3s"
      }
    }

    task "wait-for-db" {
      driver = "docker"

      lifecycle {
        hook    = "prestart"
        sidecar = false
      }

      config {
        image   = "busybox:1"
        command = "sh"
        args    = ["-c", "until nc -z db.service.consul 3306; do sleep 2; done"]
      }
    }

    task "web" {
      driver = "docker"
      leader = true

      env = {
        ORIGINALS   = "/photos"
        WORKERS     = 2
        "with.dots" = true
      }

      config {
        image              = "photoprism/photoprism:latest"
        ports              = ["http"]
        force_pull         = false
        image_pull_timeout = "10m"

        volumes = [
          "/srv/photos:/photos",
          "local/settings.yml:/settings.yml:ro",
        ]

        auth {
          username = "me"
          password = "you"
        }

        logging {
          type = "journald"

          config {
            tag = "photos"
          }
        }

        ulimit {
          nofile = "1024:2048"
        }
      }

      identity {
        env         = true
        file        = true
        change_mode = "restart"
      }

      identity {
        name = "vault"
        aud  = ["vault.io"]
        ttl  = "1h"
      }
    }

    task "goodbye" {
      driver = "exec"

      lifecycle {
        hook = "poststop"
      }

      config {
        command = "/bin/true"
      }
    }
  }

  group "db" {
    task "db" {
      driver = "docker"

      config {
        image = "mariadb:11"
      }
    }
  }
}
