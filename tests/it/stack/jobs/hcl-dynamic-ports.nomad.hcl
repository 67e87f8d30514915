# Dynamic blocks within a network, and a variable of each kind.
variable "ports" {
  type    = map(number)
  default = { http = 8080, metrics = 9100 }
}

variable "debug" {
  type    = bool
  default = false
}

job "ports" {
  group "g" {
    network {
      dynamic "port" {
        for_each = var.ports
        labels   = [port.key]

        content {
          static = port.value
        }
      }
    }

    task "t" {
      driver = "exec"

      config {
        command = "/bin/true"
      }

      env {
        DEBUG = var.debug ? "1" : "0"
      }
    }
  }
}
