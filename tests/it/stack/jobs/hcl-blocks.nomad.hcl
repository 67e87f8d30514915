# Blocks that the builder does not read: Nomad does.
job "blocks" {
  datacenters = ["dc1"]

  multiregion {
    strategy {
      max_parallel = 1
    }

    region "west" {
      count       = 1
      datacenters = ["dc1"]
    }
  }

  group "g" {
    scaling {
      enabled = true
      min     = 1
      max     = 4

      policy {
        cooldown = "1m"

        check "cpu" {
          source = "prometheus"
          query  = "avg(nomad_client_allocs_cpu_total_percent)"

          strategy "target-value" {
            target = 70
          }
        }
      }
    }

    task "t" {
      driver = "exec"

      action "hello" {
        command = "/bin/echo"
        args    = ["hello"]
      }

      schedule {
        cron {
          start    = "0 0 12 * * * *"
          end      = "0 0 16"
          timezone = "America/New_York"
        }
      }

      config {
        command = "/bin/true"
      }
    }
  }
}
