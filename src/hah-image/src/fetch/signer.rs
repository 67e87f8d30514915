//! Keys and signatures made for a test.

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedPublicKey,
    SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId};
use pgp::ser::Serialize as _;
use pgp::types::{Duration, KeyDetails as _, PacketHeaderVersion, Password, SignedUser, Tag, Timestamp};

/// A key and when it was made.
pub(super) struct Signer {
    secret: SignedSecretKey,
    created: u32,
}

impl Signer {
    /// A key made at `created`, in seconds since 1970.
    pub(super) fn new(created: u32) -> Self {
        let params = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .created_at(Timestamp::from_secs(created))
            .primary_user_id("Archive <archive@example.org>".to_owned())
            .build()
            .unwrap();
        Self { secret: params.generate(rand::thread_rng()).unwrap(), created }
    }

    pub(super) fn fingerprint(&self) -> String {
        format!("{:X}", self.secret.primary_key.fingerprint())
    }

    /// The certificate; it may sign, for `lifetime` seconds if that is not 0.
    pub(super) fn certificate(&self, lifetime: u32) -> Vec<u8> {
        self.renewed(&[(self.created, lifetime)])
    }

    /// The certificate with a self-signature for each of these: when it was made, and how long the key may sign from its
    /// own making, in seconds.
    pub(super) fn renewed(&self, signatures: &[(u32, u32)]) -> Vec<u8> {
        let mut flags = KeyFlags::default();
        flags.set_certify(true);
        flags.set_sign(true);
        let id = UserId::from_str(PacketHeaderVersion::New, "Archive <archive@example.org>").unwrap();
        let own = signatures.iter().map(|(made, lifetime)| {
            let mut facts = vec![SubpacketData::KeyFlags(flags.clone())];
            if *lifetime > 0 {
                facts.push(SubpacketData::KeyExpirationTime(Duration::from_secs(*lifetime)));
            }
            let config = self.config(SignatureType::CertPositive, HashAlgorithm::Sha256, *made, facts);
            let key = &self.secret.primary_key;
            config.sign_certification(key, key.public_key(), &Password::empty(), Tag::UserId, &id).unwrap()
        });
        let own = own.collect();
        let mut public: SignedPublicKey = self.secret.to_public_key();
        public.details.direct_signatures.clear();
        public.details.users = vec![SignedUser::new(id, own)];
        public.to_bytes().unwrap()
    }

    /// A detached signature of `bytes`, made at `time`; binary, as HashiCorp's are.
    pub(super) fn detached(&self, bytes: &[u8], time: u32) -> Vec<u8> {
        self.signature(bytes, (SignatureType::Binary, HashAlgorithm::Sha512, time)).to_bytes().unwrap()
    }

    /// The same in ASCII armour, as OpenBao's are.
    pub(super) fn armoured(&self, bytes: &[u8], time: u32) -> Vec<u8> {
        let signature = self.signature(bytes, (SignatureType::Binary, HashAlgorithm::Sha512, time));
        signature.to_armored_string(ArmorOptions::default()).unwrap().into_bytes()
    }

    pub(super) fn signature(
        &self,
        bytes: &[u8],
        (kind, hash, time): (SignatureType, HashAlgorithm, u32),
    ) -> DetachedSignature {
        let config = self.config(kind, hash, time, Vec::new());
        DetachedSignature::new(config.sign(&self.secret.primary_key, &Password::empty(), bytes).unwrap())
    }

    /// `text`, signed at `time`.
    pub(super) fn sign(&self, text: &str, time: u32) -> String {
        sign(text, &[(self, HashAlgorithm::Sha512, time)])
    }

    fn config(
        &self,
        kind: SignatureType,
        hash: HashAlgorithm,
        time: u32,
        facts: Vec<SubpacketData>,
    ) -> SignatureConfig {
        let key = &self.secret.primary_key;
        let mut config = SignatureConfig::v4(kind, key.algorithm(), hash);
        let common = [
            SubpacketData::SignatureCreationTime(Timestamp::from_secs(time)),
            SubpacketData::IssuerFingerprint(key.fingerprint()),
        ];
        config.hashed_subpackets =
            common.into_iter().chain(facts).map(|data| Subpacket::regular(data).unwrap()).collect();
        config
    }
}

/// `text`, signed by several.
pub(super) fn sign(text: &str, signers: &[(&Signer, HashAlgorithm, u32)]) -> String {
    let message = CleartextSignedMessage::new_many(text, |normalised| {
        Ok(signers
            .iter()
            .map(|(signer, hash, time)| {
                let config = signer.config(SignatureType::Text, *hash, *time, Vec::new());
                config.sign(&signer.secret.primary_key, &Password::empty(), normalised.as_bytes()).unwrap()
            })
            .collect())
    });
    message.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
}
