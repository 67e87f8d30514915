//! JSON Schema (draft 2020-12) of recipe, image and board files, for editors, from the parser's own tables.

use serde_json::{Map, Value, json};

use super::schema::{BOARD, CLUSTER, CONTENT_KEYS, IMAGE, Need, Object, RECIPE, Shape};

/// Of `recipes/NAME.toml`.
pub fn recipe() -> Value {
    document("recipe", &RECIPE)
}

/// Of `images/NAME.toml`.
pub fn image() -> Value {
    document("image", &IMAGE)
}

/// Of `recipes/boards/NAME.toml`.
pub fn board() -> Value {
    document("board", &BOARD)
}

/// Of `cluster.toml`.
pub fn cluster() -> Value {
    document("cluster", &CLUSTER)
}

fn document(title: &str, object: &'static Object) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(format!("hah-image {title}")));
    schema.extend(table(object));
    Value::Object(schema)
}

fn table(object: &'static Object) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in object.keys() {
        let mut property = shape(&key.shape);
        property.insert("description".to_owned(), json!(key.doc));
        properties.insert(key.name.to_owned(), Value::Object(property));
    }
    let required: Vec<&str> = object.keys().filter(|key| key.need == Need::Required).map(|key| key.name).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema.insert("required".to_owned(), json!(required));
    schema.insert("properties".to_owned(), Value::Object(properties));
    let contents: Vec<Value> = CONTENT_KEYS
        .into_iter()
        .filter(|name| object.keys().any(|key| key.name == *name))
        .map(|name| json!({ "required": [name] }))
        .collect();
    // A unit may also have no text of its own: then it is the packages'.
    if !contents.is_empty() && object.keys().all(|key| key.name != "state") {
        schema.insert("oneOf".to_owned(), json!(contents));
    }
    schema
}

fn shape(shape: &'static Shape) -> Map<String, Value> {
    let value = match shape {
        Shape::Text(kind) if kind.pattern.is_empty() => json!({ "type": "string" }),
        Shape::Text(kind) => json!({ "type": "string", "pattern": kind.pattern }),
        Shape::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Choice(choices) => json!({ "enum": choices }),
        Shape::List(item) => json!({ "type": "array", "items": self::shape(item) }),
        Shape::Table(object) => Value::Object(table(object)),
        Shape::Named(kind, value) => json!({
            "type": "object",
            "propertyNames": { "pattern": kind.pattern },
            "additionalProperties": self::shape(value),
        }),
        Shape::Either(short, long) => json!({ "anyOf": [self::shape(short), self::shape(long)] }),
        Shape::Value => json!({ "type": ["string", "integer", "boolean", "array"] }),
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
