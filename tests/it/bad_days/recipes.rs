//! Recipes that make no sense, and packages that do not go together. The plan crate has every message; here they come out of
//! the program, with its exit code, and nothing is made.

use crate::archive::deb::Deb;
use crate::archive::project::{BOARD, IMAGE, RECIPE, Toy};

/// A file of the project to change, and what must be said then.
type Case<'a> = (&'a str, String, &'a [&'a str]);

#[test]
fn mistakes_in_recipes() {
    let cyclic = RECIPE.replace("packages =", "requires = [\"second\"]\npackages =");
    let cases: [Case<'_>; 8] = [
        (
            "recipes/toy.toml",
            RECIPE.replace("packages =", "pakages ="),
            &["recipes/toy.toml:3:1", "`pakages`", "packages"],
        ),
        ("recipes/toy.toml", RECIPE.replace("uid = 1000", "uid = \"1000\""), &["uid", "a string", "an integer"]),
        ("recipes/toy.toml", RECIPE.replace("[[suite]]", "[[suite]"), &["recipes/toy.toml:"]),
        ("images/toy.toml", IMAGE.replace("[\"toy\"]", "[\"toi\"]"), &["images/toy.toml:", "`toi`", "toy"]),
        ("images/toy.toml", IMAGE.replace("board = \"toy\"", "board = \"tay\""), &["`tay`", "toy"]),
        ("images/toy.toml", format!("{IMAGE}[params]\ntoy.level = 10\n"), &["images/toy.toml:", "level", "10", "9"]),
        ("recipes/boards/toy.toml", BOARD.replace("[kernel]", "[kernal]"), &["kernal", "kernel"]),
        ("recipes/toy.toml", cyclic, &["toy", "second"]),
    ];
    for (file, text, says) in cases {
        let toy = Toy::new();
        toy.write("project/recipes/second.toml", "summary = \"x\"\nrequires = [\"toy\"]\n");
        toy.write(&format!("project/{file}"), text);
        toy.run(&["build", "toy"]).failed(1, says);
        assert_eq!(toy.names("project"), ["hah-image.toml", "images", "recipes"]);
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let toy = Toy::new();
    toy.write("project/recipes/toy.toml", RECIPE.replace("packages =", "pakages =").replace("uid = 1000", "uid = 0"));
    toy.run(&["build", "toy"]).failed(1, &["pakages", "uid"]);
}

#[test]
fn a_parameter_out_of_range_on_the_command_line() {
    let toy = Toy::new();
    toy.run(&["build", "toy", "--set", "toy.level=12"]).failed(1, &["level", "12", "9"]);
    toy.run(&["build", "toy", "--set", "toy.levle=1"]).failed(1, &["levle", "level"]);
}

#[test]
fn an_image_that_is_not_there() {
    Toy::new().run(&["build", "toi"]).failed(1, &["toi", "toy"]);
}

/// The whole chain is told, from the recipe to what is missing.
#[test]
fn packages_that_cannot_be_had() {
    let deb = |name: &str, field: &str, value: &str| Deb::new(name, "1.0").field(field, value);
    let cases: [(&[Deb], &[&str]); 4] = [
        (&[deb("first", "Depends", "second"), deb("second", "Depends", "gone (>= 2)")], &["first", "second", "gone"]),
        (&[deb("first", "Depends", "libtoy1 (>= 1:2)")], &["first", "libtoy1 (>= 1:2)", "1:1.2-1"]),
        (&[deb("first", "Conflicts", "toy-daemon")], &["first", "toy-daemon", "onflict"]),
        (&[deb("first", "Breaks", "toy-data (<< 3)")], &["first", "toy-data", "toy-daemon"]),
    ];
    for (debs, says) in cases {
        let toy = Toy::and(debs);
        toy.ask_for(&debs[..1]);
        toy.run(&["build", "toy"]).failed(1, says);
        assert_eq!(toy.names("project"), ["hah-image.toml", "images", "recipes"]);
    }
}

/// Only who cannot write is told to write elsewhere.
#[test]
fn a_recipe_that_cannot_be_read_is_not_answered_with_another_output() {
    use std::os::unix::fs::PermissionsExt as _;
    let toy = Toy::new();
    for file in ["recipes/toy.toml", "images/toy.toml", "hah-image.toml"] {
        let path = toy.path("project").join(file);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        let output = super::store::as_nobody(&toy, &["build", "toy"]).output().unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("cannot read") && told.contains(file), "{told}");
        assert!(told.contains("hint: you may not read it"), "{told}");
        assert!(!told.contains("-o ") && !told.contains("--cache-dir"), "{told}");
    }
}
