//! Stub.
use super::Command;
pub(super) const COMMANDS: &[Command] = &[];
pub(super) fn unescaped(text: &str) -> (Vec<u8>, bool) {
    (text.as_bytes().to_vec(), false)
}
