job "placement" {
  datacenters = ["dc1"]

  constraint {
    attribute = "${attr.cpu.arch}"
    value     = "arm64"
  }

  constraint {
    attribute = "${attr.kernel.version}"
    version   = ">= 5.0"
  }

  constraint {
    distinct_hosts = true
  }

  affinity {
    attribute = "${node.class}"
    regexp    = "^pi"
    weight    = -20
  }

  spread {
    attribute = "${node.datacenter}"
    weight    = 50

    target "dc1" {
      percent = 100
    }
  }

  group "g" {
    count = "2"

    update {
      max_parallel = 1
      auto_revert  = true
    }

    network {
      port "http" {
        static = "8080"
      }

      port "any" {}

      dns {
        servers = ["192.0.2.1"]
      }
    }

    service {
      name     = "web"
      port     = "http"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/"
        interval = "10s"
        timeout  = "1.5s"

        header {
          Authorization = ["Basic x"]
        }
      }
    }

    task "t" {
      driver = "docker"

      config {
        image = "redis:7"
        ports = ["http"]

        labels = {
          team = "home"
        }

        mount {
          type   = "bind"
          target = "/data"

          bind_options {
            propagation = "rprivate"
          }
        }

        mount {
          type = "tmpfs"
        }
      }

      env {
        PORT  = 80
        DEBUG = true
      }

      resources {
        cpu    = 100
        memory = "64"

        network {
          mbits = 10

          port "db" {}
        }

        device "nvidia/gpu" {
          count = 1
        }
      }
    }
  }
}
