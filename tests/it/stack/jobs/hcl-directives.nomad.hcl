# Directives and expressions within strings.
locals {
  hosts = ["a", "b"]
}

job "directives" {
  group "g" {
    count = length(local.hosts)

    task "t" {
      driver = "exec"

      config {
        command = "/bin/echo"
        args    = ["%{ for host in local.hosts ~}${host},%{ endfor ~}", "${upper("x")}-${1 + 1}"]
      }
    }
  }
}
