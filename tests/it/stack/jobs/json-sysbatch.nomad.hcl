job "sysbatch" {
  type = "sysbatch"

  parameterized {}

  group "g" {
    task "t" {
      driver = "exec"

      config {
        command = "/usr/bin/apt-get"
        args    = ["update"]
      }

      resources {
        cpu        = "200"
        memory     = 100
        memory_max = "300"
      }
    }
  }
}
