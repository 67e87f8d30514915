job "dispatch" {
  type = "batch"

  parameterized {
    payload       = "required"
    meta_required = ["who"]
  }

  group "g" {
    service {
      name = "api"
      port = "9000"

      connect {
        sidecar_service {
          proxy {
            upstreams {
              destination_name = "db"
              local_bind_port  = 5432
            }
          }
        }
      }
    }

    network {
      mode = "bridge"
    }

    task "t" {
      driver = "raw_exec"

      dispatch_payload {
        file = "in.json"
      }

      config {
        command = "/bin/cat"
        args    = ["local/in.json"]
      }
    }
  }
}
