//! The order documents of tests/fixtures.

use serde_json::{Map, Value, json};

/// A well-formed document of each sort, by name.
pub(crate) fn good() -> Map<String, Value> {
    serde_json::from_str(include_str!("../fixtures/good_orders.json")).expect("an object")
}

/// The contract's own example, with another reference.
pub(crate) fn example(reference: &str) -> Value {
    named("example", reference)
}

/// The good document of that name, with another reference.
pub(crate) fn named(name: &str, reference: &str) -> Value {
    let mut document = good()[name].clone();
    document["reference"] = json!(reference);
    document
}

/// A document that is refused, and how.
pub(crate) struct Malformed {
    pub(crate) name: String,
    pub(crate) document: Value,
    pub(crate) sqlstate: String,
    pub(crate) path: String,
    pub(crate) message: String,
}

/// The table of refused documents: each is given whole, or as `set` on a good one, by JSON pointers.
pub(crate) fn malformed() -> Vec<Malformed> {
    let good = good();
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../fixtures/malformed_orders.json")).expect("an array");
    cases
        .into_iter()
        .map(|case| {
            let text = |key: &str| case[key].as_str().expect("a string").to_owned();
            let document = case.get("document").cloned().unwrap_or_else(|| {
                let mut document = good[case["on"].as_str().expect("a name")].clone();
                for (pointer, value) in case["set"].as_object().expect("an object") {
                    set(&mut document, pointer, expand(value));
                }
                document
            });
            Malformed {
                name: text("name"),
                document,
                sqlstate: text("sqlstate"),
                path: text("path"),
                message: text("message"),
            }
        })
        .collect()
}

/// Sets what a JSON pointer points to, which need not be there yet.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match document.pointer_mut(parent).expect("a parent") {
        Value::Array(elements) => elements[key.parse::<usize>().expect("an index")] = value,
        Value::Object(members) => {
            members.insert(key.to_owned(), value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            panic!("{pointer} points into no array or object")
        }
    }
}

/// Writes out `{"repeat": x, "times": n}`, for what would be tedious to read.
fn expand(value: &Value) -> Value {
    let Some((repeat, times)) = value.get("repeat").zip(value["times"].as_u64()) else {
        return value.clone();
    };
    let times = usize::try_from(times).expect("a small number");
    match repeat {
        Value::String(text) => json!(text.repeat(times)),
        Value::Array(elements) => (0..times).flat_map(|_| elements.clone()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            panic!("only a text or an array can be repeated")
        }
    }
}
