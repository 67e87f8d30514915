job "words" {
  group "g" {
    scaling {
      min = 1
      max = 3
    }

    task "t" {
      driver = "exec"

      config {
        command = "/bin/true"
      }
    }
  }
}
