/* Comments of every kind, and values that people write in another type. */
job "words" {
  // A line of C's.
  all_at_once = "true"
  priority    = "70" # of the shell's

  constraint {
    attribute    = "${attr.cpu.arch}"
    set_contains = "arm64"
  }

  constraint {
    operator  = "is_set"
    attribute = "${attr.driver.docker}"
  }

  constraint {
    operator = "distinct_property"
    attribute = "${meta.rack}"
    value = "1"
  }

  constraint {
    distinct_hosts = "true"
  }

  affinity {
    attribute        = "${meta.tags}"
    set_contains_any = "ssd,nvme"
    weight           = "75"
  }

  affinity {
    attribute = "${attr.nomad.version}"
    semver    = ">= 1.8.0"
  }

  group "g" {
    count = 0

    network {
      mode = "host"
      port "dns" { static = 53 }

      dns {
        servers  = ["192.0.2.1", "192.0.2.2"]
        searches = ["example.org"]
        options  = ["ndots:2"]
      }
    }

    spread {
      attribute = "${node.unique.name}"
    }

    task "t" {
      driver = "exec"
      config { command = "/bin/true" }
      env { A = "b" }
      meta = { "a.b/c" = 15 }
      constraint {
        attribute = "${node.class}"
        operator  = "!="
        value     = "zero"
      }
      resources {
        cores  = 1
        memory = 64
        numa {
          affinity = "prefer"
        }
      }
    }
  }

  ui {
    description = "A **job**"

    link {
      label = "Docs"
      url   = "https://example.org"
    }
  }
}
