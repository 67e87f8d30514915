//! An OpenPGP key that signs archives, the same for the same seed.

use pgp::composed::{CleartextSignedMessage, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{KeyDetails as _, Password, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::DATE;

/// A key pair.
#[derive(Clone)]
pub(crate) struct Signer {
    key: SignedSecretKey,
}

impl Signer {
    /// The key of this seed, a year older than the archive.
    pub(crate) fn new(seed: u64) -> Self {
        let mut params = SecretKeyParamsBuilder::default();
        params
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .created_at(Timestamp::from_secs(DATE - 365 * 86_400))
            .primary_user_id(format!("Toy archive {seed} <toys@example.org>"));
        let key = params.build().unwrap().generate(StdRng::seed_from_u64(seed)).unwrap();
        Self { key }
    }

    /// The public key, as `gpg --export` writes it.
    pub(crate) fn public(&self) -> Vec<u8> {
        self.key.to_public_key().to_bytes().unwrap()
    }

    /// The key's fingerprint, 40 hex digits.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:X}", self.key.primary_key.fingerprint())
    }

    /// A signature of `bytes` to lie beside them, made when the archive was.
    pub(crate) fn detached(&self, bytes: &[u8]) -> Vec<u8> {
        let config = self.config(SignatureType::Binary);
        let signature = config.sign(&self.key.primary_key, &Password::empty(), bytes).unwrap();
        DetachedSignature::new(signature).to_bytes().unwrap()
    }

    fn config(&self, kind: SignatureType) -> SignatureConfig {
        let key = &self.key.primary_key;
        let mut config = SignatureConfig::from_key(StdRng::seed_from_u64(0), key, kind).unwrap();
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(DATE))).unwrap(),
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())).unwrap(),
        ];
        config
    }

    /// `text` within a signature that was made when the archive was.
    pub(crate) fn sign(&self, text: &str) -> String {
        let key = &self.key.primary_key;
        let config = self.config(SignatureType::Text);
        let message = CleartextSignedMessage::new(text, config, key, &Password::empty()).unwrap();
        message.to_armored_string(Default::default()).unwrap()
    }
}
