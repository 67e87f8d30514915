job "system" {
  type     = "system"
  priority = 90

  group "g" {
    restart {
      attempts         = 3
      interval         = "5m"
      delay            = "15s"
      mode             = "delay"
      render_templates = true
    }

    task "t" {
      driver = "raw_exec"

      constraint {
        attribute = "${attr.kernel.name}"
        value     = "linux"
      }

      config {
        command = "/usr/bin/promtail"
        args    = ["-config.file", "local/c.yml", "-x=${node.unique.name}"]
      }

      template {
        data        = "{{ env \"NOMAD_IP\" }}"
        destination = "local/c.yml"
      }
    }
  }
}
