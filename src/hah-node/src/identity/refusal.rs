//! What may be said about a `node.json` that is refused: where, and what kind of mistake, and nothing that may be a secret.

/// Longest unknown key that is repeated, in bytes; the longest known one has 23.
const KEY_MAX: usize = 32;

/// What is wrong with a text, as its JSON reader classifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A key or a value is not what is wanted.
    Data,
    /// It ends too early.
    End,
    /// It is not JSON.
    Syntax,
}

/// The part of a JSON reader's message that may be repeated, or what stands for it.
///
/// serde's messages quote values of the wrong type; those about keys quote only the key.
pub fn reason(message: &str, fault: Fault) -> &str {
    let message = message.split(" at line ").next().unwrap_or_default();
    let about_a_key =
        ["unknown field", "missing field", "duplicate field"].iter().any(|known| message.starts_with(known));
    match fault {
        _ if about_a_key && quotes_a_key(message) => message,
        _ if about_a_key => "there is a key that no identity has",
        Fault::Data => "a value is not what its key wants",
        Fault::End => "it ends too early",
        Fault::Syntax => "it is not JSON",
    }
}

/// Whether the first thing that `message` quotes may be a typing error in a key. In JSON whose quotes have slipped, a
/// piece of a value stands where a key should, and that may be a secret or more than one line.
fn quotes_a_key(message: &str) -> bool {
    let letter = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | ' ');
    let key = message.split('`').nth(1).unwrap_or_default();
    key.len() <= KEY_MAX && key.chars().all(letter) && !message.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_repeated_and_values_are_not() {
        let check = |message: &str, wanted: &str| assert_eq!(reason(message, Fault::Data), wanted);
        let typing = "unknown field `hostnme`, expected one of `version`, `hostname`";
        check(&format!("{typing} at line 3 column 4"), typing);
        check("invalid type: string \"hunter2\", expected u8 at line 1 column 9", "a value is not what its key wants");
        check("unknown variant `hunter2`, expected `allow` or `deny`", "a value is not what its key wants");
        for slipped in ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ", "a\nb", "p\u{e4}ssword"] {
            check(&format!("unknown field `{slipped}`, expected `key`"), "there is a key that no identity has");
        }
        assert_eq!(reason("EOF while parsing", Fault::End), "it ends too early");
        assert_eq!(reason("expected value", Fault::Syntax), "it is not JSON");
    }
}
