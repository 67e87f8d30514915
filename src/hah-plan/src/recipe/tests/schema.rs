//! The tables, the JSON Schema made from them, and hostile input.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::recipe::kinds::Kind;
use crate::recipe::schema::{BOARD, IMAGE, Object, RECIPE, Shape};

fn each_shape(shape: &'static Shape, see: &mut impl FnMut(&'static Shape)) {
    see(shape);
    match shape {
        Shape::List(item) | Shape::Named(_, item) => each_shape(item, see),
        Shape::Table(object) => each(object, see),
        Shape::Either(short, long) => [short, long].into_iter().for_each(|shape| each_shape(shape, see)),
        _ => {}
    }
}

fn each(object: &'static Object, see: &mut impl FnMut(&'static Shape)) {
    let names: Vec<&str> = object.keys().map(|key| key.name).collect();
    let unique: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert_eq!(names.len(), unique.len(), "{} has a key twice", object.name);
    for key in object.keys() {
        assert!(key.doc.ends_with('.') && !key.doc.contains('\n'), "{}.{}: {}", object.name, key.name, key.doc);
        each_shape(&key.shape, see);
    }
}

#[test]
fn every_kind_has_a_regular_expression_that_compiles() {
    let mut seen = 0;
    for object in [&RECIPE, &IMAGE, &BOARD] {
        each(object, &mut |shape| {
            let kind: &Kind = match shape {
                Shape::Text(kind) | Shape::Named(kind, _) => kind,
                _ => return,
            };
            assert!(regex_lite::Regex::new(kind.pattern).is_ok(), "{}", kind.pattern);
            seen += 1;
        });
    }
    assert!(seen > 50);
}

/// Every property of the schema is one that the parser takes, with the same type and the same obligation.
#[test]
fn the_json_schema_says_what_the_parser_does() {
    let schema = json_schema_recipe();
    assert_eq!(schema["required"], serde_json::json!(["summary"]));
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
    let file = &schema["properties"]["file"]["items"];
    assert_eq!(file["oneOf"].as_array().map(Vec::len), Some(4));
    assert_eq!(file["properties"]["mode"]["pattern"], "^0[0-7]{3,4}$");
    let unit = &schema["properties"]["unit"]["items"];
    assert!(unit.get("oneOf").is_none());
    assert_eq!(unit["properties"]["state"]["enum"], serde_json::json!(["enabled", "disabled", "masked"]));
    let uid = &schema["properties"]["user"]["items"]["properties"]["uid"];
    assert_eq!((uid["minimum"].as_i64(), uid["maximum"].as_i64()), (Some(1), Some(59_999)));
    assert_eq!(json_schema_image()["required"], serde_json::json!(["summary", "board", "recipes"]));
    assert!(json_schema_board()["properties"]["kernel"]["required"].as_array().is_some_and(|keys| keys.len() == 2));
}

/// Loads whatever text stands in the place of recipe, image and board.
fn load_all(text: &str) {
    for path in ["recipes/r.toml", "images/i.toml", "recipes/boards/b.toml"] {
        let mut sources = project(&[
            ("images/i.toml", "summary = \"I\"\nboard = \"b\"\nrecipes = [\"r\"]\n"),
            ("recipes/boards/b.toml", "summary = \"B\"\n"),
            ("recipes/r.toml", "summary = \"R\"\n"),
        ]);
        sources.insert(path, path, text);
        let over = Override { origin: "--set".to_owned(), text: text.to_owned() };
        if let Err(diagnostics) = load(&sources, "i", &[over]) {
            assert!(!diagnostics.is_empty() && !diagnostics.to_string().contains('\u{1b}'));
        }
    }
}

/// Pieces that make nearly good files, which reach further than random text.
fn nearly_toml() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[[file]]\n",
        "path = \"/etc/x\"\n",
        "content = \"\"\n",
        "template = \"{{ x }}\"\n",
        "when = \"x\"\n",
        "[params.x]\n",
        "type = \"list\"\n",
        "doc = \"d\"\n",
        "default = [1]\n",
        "[[unit]]\n",
        "name = \"a.service\"\n",
        "[[unit.drop-in]]\n",
        "[[user]]\n",
        "uid = 5\n",
        "group = \"g\"\n",
        "[kernel]\n",
        "cmdline = [\"{%\"]\n",
        "packages = [\"a+\"]\n",
        "remove = [\"/a/**\"]\n",
        "\u{1b}[31m",
        "\"",
        "'''",
        "µ",
        "{",
        "[[",
        "= ",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("summary = \"S\"\n{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        load_all(&text);
    }

    #[test]
    fn no_nearly_good_text_makes_it_panic(text in nearly_toml()) {
        load_all(&text);
    }
}
