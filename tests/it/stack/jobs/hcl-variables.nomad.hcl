variable "datacenters" {
  type    = list(string)
  default = ["dc1"]
}

locals {
  image = "redis:${var.tag}"
}

variables {
  tag = "7"
}

job "variables" {
  datacenters = var.datacenters

  group "g" {
    dynamic "task" {
      for_each = ["a", "b"]
      labels   = ["${task.value}"]

      content {
        driver = "docker"

        config {
          image = local.image
          args  = [upper("x"), 1 + 1 == 2 ? "yes" : "no"]
        }
      }
    }
  }
}
