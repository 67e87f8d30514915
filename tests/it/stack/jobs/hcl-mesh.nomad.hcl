# The mesh: an ingress gateway without a task, and a sidecar with resources of its own, exposed paths and a check that restarts.
job "mesh" {
  datacenters = ["dc1"]

  group "ingress" {
    network {
      mode = "bridge"

      port "in" {
        static = 8080
        to     = 8080
      }
    }

    service {
      name = "ingress"
      port = "8080"

      connect {
        gateway {
          proxy {
            connect_timeout = "500ms"
          }

          ingress {
            listener {
              port     = 8080
              protocol = "tcp"

              service {
                name = "api"
              }
            }
          }
        }
      }
    }
  }

  group "api" {
    network {
      mode     = "bridge"
      hostname = "api"

      port "metrics" {
        to = -1
      }
    }

    service {
      name         = "api"
      port         = 9001
      provider     = "consul"
      tags         = ["traefik.enable=true", "traefik.http.routers.api.rule=Host(`api.example.org`)"]
      canary_tags  = ["canary"]
      address_mode = "auto"
      on_update    = "require_healthy"

      meta {
        metrics_port = "${NOMAD_HOST_PORT_metrics}"
      }

      connect {
        sidecar_service {
          tags = ["proxy"]

          proxy {
            local_service_port = 9001

            upstreams {
              destination_name = "db"
              local_bind_port  = 5432
              datacenter       = "dc1"
            }

            expose {
              path {
                path            = "/metrics"
                protocol        = "http"
                local_path_port = 9001
                listener_port   = "metrics"
              }
            }

            config {
              local_connect_timeout_ms = 5000
            }
          }
        }

        sidecar_task {
          resources {
            cpu    = 50
            memory = 48
          }
        }
      }

      check {
        name     = "alive"
        type     = "http"
        path     = "/health"
        interval = "10s"
        timeout  = "2s"
        expose   = true

        check_restart {
          limit           = 3
          grace           = "90s"
          ignore_warnings = false
        }
      }
    }

    task "api" {
      driver = "docker"

      config {
        image = "example/api:1"
      }
    }
  }
}
