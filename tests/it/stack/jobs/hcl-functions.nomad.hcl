# Everything that HCL 2 computes: variables with types, locals that use each other, functions, loops, conditions.
variable "nodes" {
  type = map(object({
    port = number
    tags = list(string)
  }))
  description = "One instance for each"
  default = {
    a = { port = 8001, tags = ["x"] }
    b = { port = 8002, tags = [] }
  }
}

variable "image" {
  type    = string
  default = "nginx:1.27"

  validation {
    condition     = var.image != ""
    error_message = "An image is needed."
  }
}

variable "secret" {
  type    = string
  default = null
}

variables {
  domain  = "example.org"
  replica = 2
}

locals {
  name  = "web-${replace(var.domain, ".", "-")}"
  ports = { for name, node in var.nodes : name => node.port if node.port > 8000 }
  all   = flatten([for node in values(var.nodes) : node.tags])
  hosts = [for name in sort(keys(var.nodes)) : format("%s.%s", name, var.domain)]
  env   = merge({ A = 1 }, { B = "two" }, var.secret == null ? {} : { C = var.secret })
}

job "functions" {
  name        = local.name
  datacenters = distinct(concat(["dc1"], split(",", "dc1,dc2")))
  priority    = max(10, var.replica * 25)

  meta {
    hash  = sha256(jsonencode(var.nodes))
    hosts = join(",", local.hosts)
    first = local.hosts[0]
    ports = yamlencode(local.ports)
    all   = "%{ for tag in local.all }${tag} %{ endfor }"
  }

  dynamic "group" {
    for_each = var.nodes
    iterator = node
    labels   = ["web-${node.key}"]

    content {
      count = var.replica

      network {
        port "http" {
          static = node.value.port
          to     = 80
        }
      }

      service {
        name = "${local.name}-${node.key}"
        port = "http"
        tags = [for tag in node.value.tags : upper(tag)]
      }

      task "web" {
        driver = "docker"

        config {
          image = var.image
          ports = ["http"]

          dynamic "mount" {
            for_each = ["data", "log"]

            content {
              type   = "volume"
              target = "/${mount.value}"
              source = mount.value
            }
          }
        }

        dynamic "template" {
          for_each = local.hosts

          content {
            data        = <<-EOT
              server ${template.value} {
                listen $${NOMAD_PORT_http};
              %{ if var.replica > 1 ~}
                replicated;
              %{ endif ~}
              }
            EOT
            destination = "local/${template.key}.conf"
          }
        }

        env = local.env

        resources {
          cpu    = ceil(99.5)
          memory = coalesce(null, 64)
        }
      }
    }
  }
}
