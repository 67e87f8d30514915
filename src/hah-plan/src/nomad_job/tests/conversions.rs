//! Constructs that the build makes JSON of, one test a construct.

use super::*;

#[test]
fn constraints_and_their_words() {
    let check = |body: &str, left: &str, operand: &str, right: &str| {
        let expected = json!([{ "LTarget": left, "Operand": operand, "RTarget": right }]);
        assert_eq!(job(&format!("constraint {{\n{body}\n}}"))["Constraints"], expected, "{body}");
        // The same in a group and in a task.
        assert_eq!(task(&format!("constraint {{\n{body}\n}}"))["Constraints"], expected, "{body}");
    };
    let kernel = "attribute = \"${attr.kernel.name}\"";
    check(&format!("{kernel}\nvalue = \"linux\""), "${attr.kernel.name}", "=", "linux");
    check(&format!("{kernel}\noperator = \"!=\"\nvalue = \"linux\""), "${attr.kernel.name}", "!=", "linux");
    check(&format!("{kernel}\nregexp = \"^l\""), "${attr.kernel.name}", "regexp", "^l");
    check(&format!("{kernel}\nversion = \">= 1.2\""), "${attr.kernel.name}", "version", ">= 1.2");
    check(&format!("{kernel}\nsemver = \">= 1.2\""), "${attr.kernel.name}", "semver", ">= 1.2");
    check(&format!("{kernel}\nset_contains = \"a,b\""), "${attr.kernel.name}", "set_contains", "a,b");
    check("distinct_hosts = true", "", "distinct_hosts", "true");
    check("operator = \"distinct_hosts\"\nvalue = \"true\"", "", "distinct_hosts", "true");
    check("distinct_property = \"${meta.rack}\"\nvalue = 3", "${meta.rack}", "distinct_property", "3");
    // Quoted, and a number where a string is wanted.
    check("distinct_hosts = \"true\"", "", "distinct_hosts", "true");
    check(&format!("{kernel}\noperator = \">\"\nvalue = 4"), "${attr.kernel.name}", ">", "4");
}

#[test]
fn affinities_and_spreads() {
    let found = job(r#"
        affinity {
          attribute        = "${node.datacenter}"
          set_contains_any = "a,b"
          weight           = -50
        }
        spread {
          attribute = "${node.datacenter}"
          weight    = 100
          target "dc1" { percent = 70 }
          target "dc2" { percent = 30 }
        }
        "#);
    let affinity =
        json!({ "LTarget": "${node.datacenter}", "Operand": "set_contains_any", "RTarget": "a,b", "Weight": -50 });
    assert_eq!(found["Affinities"], json!([affinity]));
    let targets = json!([{ "Value": "dc1", "Percent": 70 }, { "Value": "dc2", "Percent": 30 }]);
    let spread = json!({ "Attribute": "${node.datacenter}", "Weight": 100, "SpreadTarget": targets });
    assert_eq!(found["Spreads"], json!([spread]));
}

#[test]
fn periodic_and_parameterized_jobs() {
    let found =
        job("type = \"batch\"\nperiodic {\ncrons = [\"@daily\"]\nprohibit_overlap = true\ntime_zone = \"UTC\"\n}");
    let expected = json!({ "Specs": ["@daily"], "ProhibitOverlap": true, "TimeZone": "UTC", "SpecType": "cron" });
    assert_eq!(found["Periodic"], expected);
    let found = job("parameterized {\npayload = \"required\"\nmeta_required = [\"a\"]\n}");
    assert_eq!(found["ParameterizedJob"], json!({ "Payload": "required", "MetaRequired": ["a"] }));
    assert_eq!(task("dispatch_payload {\nfile = \"in\"\n}")["DispatchPayload"], json!({ "File": "in" }));
}

#[test]
fn update_in_a_group_and_quoted_numbers() {
    let found = job(r#"
        group "g" {
          count = "3"
          update {
            max_parallel = "1"
            auto_revert  = "true"
            canary       = 1
          }
        }
        "#);
    let group = &found["TaskGroups"][0];
    assert_eq!(group["Count"], 3);
    assert_eq!(group["Update"], json!({ "MaxParallel": 1, "AutoRevert": true, "Canary": 1 }));
}

#[test]
fn numbers_and_truth_values_become_strings_in_tables_of_strings() {
    let found = task("env {\nPORT = 80\nDEBUG = true\n}\nmeta = { a = -1 }");
    assert_eq!(found["Env"], json!({ "PORT": "80", "DEBUG": "true" }));
    assert_eq!(found["Meta"], json!({ "a": "-1" }));
}

#[test]
fn blocks_and_tables_in_a_driver_s_configuration_are_lists() {
    let found = task(
        r#"
        config {
          image  = "redis:7"
          ports  = ["db"]
          labels = { team = "home" }
          ratio  = 0.5
          mount {
            type = "bind"
            volume_options {
              no_copy = true
              driver_config { name = "x" }
            }
          }
          mount { type = "tmpfs" }
          logging "json" { max = "1" }
        }
        "#,
    );
    let first = json!({
        "type": "bind", "volume_options": [{ "no_copy": true, "driver_config": [{ "name": "x" }] }],
    });
    let expected = json!({
        "image": "redis:7", "ports": ["db"], "labels": [{ "team": "home" }], "ratio": 0.5,
        "mount": [first, { "type": "tmpfs" }],
        "logging": [{ "json": [{ "max": "1" }] }],
    });
    assert_eq!(found["Config"], expected);
}

#[test]
fn artifacts_lifecycles_and_csi_plugins() {
    let found = task(
        r#"
        artifact {
          source      = "https://example.org/a.tgz"
          destination = "local/"
          mode        = "file"
          options { checksum = "sha256:00" }
        }
        lifecycle {
          hook    = "prestart"
          sidecar = false
        }
        csi_plugin {
          id             = "nfs"
          type           = "node"
          mount_dir      = "/csi"
          health_timeout = "30s"
        }
        "#,
    );
    let artifact = json!({
        "GetterSource": "https://example.org/a.tgz", "RelativeDest": "local/", "GetterMode": "file",
        "GetterOptions": { "checksum": "sha256:00" },
    });
    assert_eq!(found["Artifacts"], json!([artifact]));
    assert_eq!(found["Lifecycle"], json!({ "Hook": "prestart", "Sidecar": false }));
    let plugin = json!({ "ID": "nfs", "Type": "node", "MountDir": "/csi", "HealthTimeout": 30_000_000_000_i64 });
    assert_eq!(found["CSIPluginConfig"], plugin);
}

#[test]
fn vault_of_a_job_is_its_tasks() {
    let found = job(r#"
        vault { role = "job" }
        group "g" {
          vault { policies = ["group"] }
          task "own" {
            vault { role = "task" }
          }
          task "inherits" {}
        }
        group "h" {
          task "t" {}
        }
        "#);
    let vault = |group: usize, task: usize| found["TaskGroups"][group]["Tasks"][task]["Vault"].clone();
    assert_eq!(vault(0, 0), json!({ "Role": "task" }));
    assert_eq!(vault(0, 1), json!({ "Policies": ["group"] }));
    assert_eq!(vault(1, 0), json!({ "Role": "job" }));
    assert!(!found.to_string().contains(" vault"), "{found}");
}

#[test]
fn the_identity_without_a_name_has_its_own_place() {
    let found =
        task("identity {\nname = \"vault_default\"\naud = [\"vault.io\"]\nttl = \"1h\"\n}\nidentity {\nenv = true\n}");
    let named = json!({ "Name": "vault_default", "Audience": ["vault.io"], "TTL": 3_600_000_000_000_i64 });
    assert_eq!(found["Identities"], json!([named]));
    assert_eq!(found["Identity"], json!({ "Env": true }));
    assert_eq!(task("identity {}").get("Identities"), None);
}

#[test]
fn networks_of_resources_and_devices() {
    let found = task(
        r#"
        resources {
          cpu    = 100
          device "nvidia/gpu" {
            count = 1
            constraint {
              attribute = "${device.attr.memory}"
              operator  = ">="
              value     = "2 GiB"
            }
          }
          network {
            mbits = 10
            port "db" { static = "5432" }
            port "any" { static = 0 }
          }
        }
        "#,
    );
    let constraint = json!({ "LTarget": "${device.attr.memory}", "Operand": ">=", "RTarget": "2 GiB" });
    let expected = json!({
        "CPU": 100,
        "Devices": [{ "Name": "nvidia/gpu", "Count": 1, "Constraints": [constraint] }],
        "Networks": [{
            "MBits": 10,
            "ReservedPorts": [{ "Label": "db", "Value": 5432 }], "DynamicPorts": [{ "Label": "any", "Value": 0 }],
        }],
    });
    assert_eq!(found["Resources"], expected);
}

#[test]
fn csi_volumes_and_consul_s_mesh() {
    let found = job(r#"
        group "g" {
          volume "data" {
            type            = "csi"
            source          = "data"
            access_mode     = "single-node-writer"
            attachment_mode = "file-system"
            per_alloc       = true
            mount_options {
              fs_type     = "ext4"
              mount_flags = ["noatime"]
            }
          }
          service {
            name = "api"
            check {
              type   = "http"
              header { Authorization = ["Basic x"] }
            }
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
        }
        "#);
    let group = &found["TaskGroups"][0];
    let volume = json!({
        "Name": "data", "Type": "csi", "Source": "data", "AccessMode": "single-node-writer",
        "AttachmentMode": "file-system", "PerAlloc": true,
        "MountOptions": { "FSType": "ext4", "MountFlags": ["noatime"] },
    });
    assert_eq!(group["Volumes"]["data"], volume);
    let upstream = json!({ "DestinationName": "db", "LocalBindPort": 5432 });
    assert_eq!(group["Services"][0]["Connect"], json!({ "SidecarService": { "Proxy": { "Upstreams": [upstream] } } }));
    assert_eq!(group["Services"][0]["Checks"][0]["Header"], json!({ "Authorization": ["Basic x"] }));
}

#[test]
fn a_job_s_own_id_and_name() {
    let found = job("id = \"other\"");
    assert_eq!((&found["ID"], &found["Name"]), (&json!("other"), &json!("a")));
}

#[test]
fn the_digest_is_in_both_forms() {
    let forms = forms("job \"a\" {\n  meta { hah_job = \"HAH_JOB_DIGEST\" }\n}", &files).unwrap();
    let Api::Json(json) = forms.api else { panic!() };
    let json: Value = serde_json::from_str(&json).unwrap();
    let digest = json["Job"]["Meta"]["hah_job"].as_str().unwrap();
    assert!(digest.len() == 64 && forms.hcl.contains(digest));
}

/// hcl-edit takes two characters from every line of such a document, though one has no indentation at all.
#[test]
fn a_here_document_keeps_lines_that_have_no_indentation() {
    let data = |text: &str| task(&format!("template {{\n  data = {text}\n}}"))["Templates"][0]["EmbeddedTmpl"].take();
    assert_eq!(
        data("<<-EOH\n#!/bin/sh\nPATH=${HOME}/bin\n  echo ${X}\nEOH"),
        "#!/bin/sh\nPATH=${HOME}/bin\n  echo ${X}\n"
    );
    assert_eq!(data("<<-EOH\n    a\n      b ${X}\n      EOH"), "a\n  b ${X}\n");
    assert_eq!(data("<<EOH\n    a\n  b\nEOH"), "    a\n  b\n");
}
