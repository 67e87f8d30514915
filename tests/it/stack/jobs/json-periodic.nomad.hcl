# A backup at night, as the cron of old: one schedule, and a batch that may fail twice.
job "backup" {
  datacenters = ["*"]
  type        = "batch"
  priority    = 30

  periodic {
    cron             = "15 3 * * *"
    prohibit_overlap = true
    time_zone        = "Europe/Zurich"
    enabled          = true
  }

  meta {
    owner = "home"
    keep  = 7
  }

  reschedule {
    attempts       = 2
    interval       = "1h"
    delay          = "30s"
    delay_function = "exponential"
    max_delay      = "10m"
    unlimited      = false
  }

  group "restic" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    ephemeral_disk {
      size    = 500
      migrate = true
      sticky  = true
    }

    task "restic" {
      driver       = "raw_exec"
      user         = "nobody"
      kill_timeout = "2m"
      kill_signal  = "SIGINT"

      config {
        command = "/usr/bin/restic"
        args = [
          "backup",
          "--tag", "nightly",
          "/srv",
        ]
      }

      logs {
        max_files     = 3
        max_file_size = 5
      }

    }
  }
}
