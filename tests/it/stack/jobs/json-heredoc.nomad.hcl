# A here-document of <<- in which a line has no indentation: nothing is taken away.
job "heredoc" {
  group "g" {
    task "t" {
      driver = "exec"

      config {
        command = "local/run"
      }

      template {
        data        = <<-EOH
#!/bin/sh
PATH=${HOME}/bin:${PATH}
  curl -H "X: ${NOMAD_TOKEN}" \
    http://localhost
        EOH
        destination = "local/run"
        perms       = "755"
      }
    }
  }
}
