# Functions of paths, and files in other ways than `file`.
locals {
  base = basename("/etc/nginx/nginx.conf")
  home = dirname("/srv/home/x")
}

job "paths" {
  group "g" {
    task "t" {
      driver = "exec"

      env {
        BASE = local.base
        HOME = local.home
        LOGO = filebase64("files/motd")
      }

      template {
        data        = file("files/motd")
        destination = "local/motd"
      }

      template {
        data        = trimspace(file("./files/motd"))
        destination = "local/motd2"
      }

      config {
        command = "/bin/true"
      }
    }
  }
}
