//! Constructs that Nomad reads itself, and what a build says about them.

use hcl_edit::structure::Body;

use super::*;

/// The reason why a job with this body is left to Nomad; its text is as it was.
#[track_caller]
fn because(body: &str) -> String {
    let text = format!("job \"a\" {{\n{body}\n}}");
    let (hcl, reason) = left(&text);
    assert_eq!(hcl, text);
    reason
}

#[test]
fn variables_locals_functions_and_expressions() {
    let text = "variable \"dc\" {\n  default = \"dc1\"\n}\njob \"a\" {\n  datacenters = [var.dc]\n}";
    assert_eq!(left(text), (text.to_owned(), "line 1 of the job: a block `variable`".to_owned()));
    let text = "locals {\n  x = \"y\"\n}\njob \"a\" {\n  type = local.x\n}";
    assert_eq!(left(text).1, "line 1 of the job: a block `locals`");
    assert_eq!(left("variables {\n  x = 1\n}\njob \"a\" {}").1, "line 1 of the job: a block `variables`");
    assert_eq!(because("priority = 40 + 10"), "line 2 of the job: the expression `40 + 10`");
    assert_eq!(because("type = true ? \"a\" : \"b\""), "line 2 of the job: the expression `true ? \"a\" : \"b\"`");
    assert_eq!(because("type = lower(\"SERVICE\")"), "line 2 of the job: the function `lower`");
    assert_eq!(because("type = \"${lower(\"A\")}\""), "line 2 of the job: the expression `${lower(\"A\")}`");
    assert_eq!(because("type = \"%{ if true }a%{ endif }\""), "line 2 of the job: a directive `%{…}` in a string");
    assert_eq!(because("type = null"), "line 2 of the job: a `null`");
    // Not the clients' names, though they look alike.
    assert_eq!(because("type = \"${attr.x[0]}\""), "line 2 of the job: the expression `${attr.x[0]}`");
    assert_eq!(because("type = \"${ attr.x }\""), "line 2 of the job: the expression `${ attr.x }`");
}

#[test]
fn words_that_are_not_in_the_table() {
    assert_eq!(
        because("update {\n    max_paralel = 1\n  }"),
        "line 3 of the job: `max_paralel` is not understood in update (did you mean `max_parallel`?)"
    );
    assert_eq!(because("multiregion {}"), "line 2 of the job: `multiregion` is not understood in job");
    let dynamic = "group \"g\" {\n  dynamic \"task\" {\n    for_each = [\"x\"]\n    labels = [task.value]\n    content {}\n  }\n}";
    assert_eq!(because(dynamic), "line 3 of the job: `dynamic` is not understood in group");
    let dynamic = "group \"g\" {\n  task \"t\" {\n    config {\n      dynamic \"m\" {\n      }\n    }\n  }\n}";
    assert_eq!(because(dynamic), "line 5 of the job: a block `dynamic`");
}

#[test]
fn a_variable_without_a_default_is_named() {
    assert_eq!(
        refused("\nvariable \"token\" {\n  type = string\n}\njob \"a\" {}"),
        "line 2 of the job: the variable `token` has no default (give it one: nobody is there to set it when the node \
         hands the job in)"
    );
    assert_eq!(
        refused("variable \"region\" {\n  default = \"x\"\n}\njob \"a\" {\n  type = \"${var.regoin}\"\n}"),
        "line 5 of the job: no variable `regoin` is declared (did you mean `region`?)"
    );
    assert_eq!(refused("job \"a\" {\n  type = local.x\n}"), "line 2 of the job: no local `x` is declared");
}

#[test]
fn files_are_filled_in_where_nomad_has_none() {
    let text = "locals {\n  motd = file(\"/etc/motd\")\n}\njob \"a\" {\n  type = lower(file(\"/etc/motd\"))\n}";
    let (hcl, _) = left(text);
    let content = "\"cost: $${5} and {{ this }}\\n\"";
    assert_eq!(hcl, format!("locals {{\n  motd = {content}\n}}\njob \"a\" {{\n  type = lower({content})\n}}"));
    // It still says what the file says.
    let body: Body = hcl.parse().unwrap();
    let locals = body.blocks().next().unwrap();
    let motd = locals.body.get_attribute("motd").unwrap().value.as_str().unwrap();
    assert_eq!(Some(motd.to_owned()), files("/etc/motd"));
    assert_eq!(
        refused("locals {\n  x = fileset(\".\", \"*\")\n}\njob \"a\" {}"),
        "line 2 of the job: the function `fileset` needs files, and Nomad's parser on the node has none \
         (`file(\"…\")` of one file is filled in by the build, so are filebase64, basename and dirname)"
    );
    assert_eq!(
        refused("locals {\n  x = file(\"y\")\n}\njob \"a\" {}"),
        "line 2 of the job: beside the job is no text file `y` (a file of the image is written with [[file]] and \
         named by its whole path)"
    );
}

#[test]
fn what_functions_of_files_give_is_filled_in() {
    let text = "locals {\n  x = [filebase64(\"/etc/motd\"), basename(\"/a/b\"), dirname(\"a/b\")]\n}\njob \"a\" {}";
    let filled = "[\"Y29zdDogJHs1fSBhbmQge3sgdGhpcyB9fQo=\", \"b\", \"a\"]";
    assert_eq!(left(text).0, format!("locals {{\n  x = {filled}\n}}\njob \"a\" {{}}"));
    assert_eq!(job("type = basename(\"/etc/batch\")")["Type"], "batch");
}

#[test]
fn the_digest_of_a_job_for_nomad_is_its_text_s() {
    let text = "locals {}\njob \"a\" {\n  meta { hah_job = \"HAH_JOB_DIGEST\" }\n}";
    let digest = Sha256::of(text.as_bytes()).to_string();
    assert_eq!(left(text).0, text.replace(DIGEST, &digest));
}

#[test]
fn the_json_syntax_of_hcl_is_nomad_s() {
    let text = "{\"job\": {\"a\": {\"type\": \"batch\"}}}";
    assert_eq!(left(text), (text.to_owned(), "line 1 of the job: HCL's JSON syntax".to_owned()));
    assert_eq!(
        refused("{\"variable\": {\"x\": {}}, \"job\": {\"a\": {}}}"),
        "line 1 of the job: the variable `x` has no default"
    );
    assert_eq!(refused("{\"job\": {}}"), "line 1 of the job: the file must hold one `job`");
    assert!(refused("{\"Job\": {\"ID\": \"a\"}}").starts_with("line 1 of the job: this is a job as the API takes it"));
}

#[test]
fn a_brace_behind_an_interpolation_is_left_to_nomad() {
    // Nomad's parser takes it for the interpolation's own, which only Nomad should repeat.
    assert_eq!(because("type = \"{${attr.x}}\""), "line 2 of the job: the expression `${attr.x}`");
    assert_eq!(because("type = \"{${attr.x} }\""), "line 2 of the job: the expression `${attr.x}`");
    assert_eq!(job("type = \"${attr.x} \"")["Type"], "${attr.x} ");
}
