//! Signatures of generations, in the format of minisign(1), whose program checks them too.

use std::io::Cursor;

use hah_node::identity::Secret;
use hah_plan::cluster::ReleaseKey;
use minisign::{PError, PublicKey, SecretKeyBox};

use crate::failure::Failure;

/// What the comment of a signature, which is signed with the closure, begins with.
const COMMENT: &str = "hah-image closure";

/// A new key.
///
/// # Errors
/// When the machine has no randomness to give.
pub fn make() -> Result<ReleaseKey, Failure> {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().map_err(|error| unusable(&error))?;
    let secret = pair.sk.to_box(None).map_err(|error| unusable(&error))?;
    Ok(ReleaseKey { public: pair.pk.to_base64(), secret: Secret::new(secret.into_string()) })
}

/// The signature of a closure's text. `name` is said in its comment; nothing of a clock is.
///
/// # Errors
/// A key that is none, as somebody's edit of the secrets may leave it; the error does not repeat it.
pub fn sign(key: &ReleaseKey, text: &[u8], name: &str) -> Result<Vec<u8>, Failure> {
    let secret = SecretKeyBox::from_string(key.secret.reveal()).and_then(SecretKeyBox::into_unencrypted_secret_key);
    let secret = secret.map_err(|error| unusable(&error))?;
    let public = PublicKey::from_secret_key(&secret).map_err(|error| unusable(&error))?;
    let comment = format!("{COMMENT} {name}");
    let signed =
        minisign::sign(Some(&public), &secret, Cursor::new(text), Some(&comment), Some("signature of hah-image"));
    Ok(signed.map_err(|error| unusable(&error))?.into_string().into_bytes())
}

fn unusable(error: &PError) -> Failure {
    Failure::user(
        format!("the key that signs generations cannot be used: {error}"),
        Some("make another with `hah-image secrets rotate release`".into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the node's own library and the program minisign read.
    #[test]
    fn a_signature_holds_for_its_text_and_its_key_alone() {
        let (key, other) = (make().unwrap(), make().unwrap());
        assert_eq!((key.public.len(), &key.public[..2]), (56, "RW"));
        let text = b"{\"version\":1}\n";
        let signature = sign(&key, text, "lab").unwrap();
        let signature = String::from_utf8(signature).unwrap();
        assert!(signature.contains("trusted comment: hah-image closure lab\n"), "{signature}");
        let verify = |public: &str, text: &[u8]| {
            let public = PublicKey::from_base64(public).unwrap();
            let signature = minisign::SignatureBox::from_string(&signature).unwrap();
            minisign::verify(&public, &signature, Cursor::new(text), true, false, false).is_ok()
        };
        assert!(verify(&key.public, text));
        assert!(!verify(&key.public, b"{\"version\":2}\n"));
        assert!(!verify(&other.public, text));
    }

    #[test]
    fn a_key_that_is_none_is_told_and_not_repeated() {
        let mut key = make().unwrap();
        key.secret = Secret::new("untrusted comment: x\nhunter2".to_owned());
        let failure = sign(&key, b"x", "lab").unwrap_err();
        assert!(!failure.message().contains("hunter2"), "{}", failure.message());
    }
}
