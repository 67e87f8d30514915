//! OpenPGP: who signed a text, and whether they may (RFC 9580; the older RFC 4880 is what Debian's keys follow).
//!
//! A text has its signature around it ([`Keyring::verify`], as archives do) or beside it ([`Keyring::verify_detached`], as
//! release sites do). A signature counts when it is one of that kind with SHA-256 or better by a key of the ring that is allowed to sign, was
//! not revoked, and had not expired **when it signed**: a suite that is not updated any more stays as good as it was.
//! Keys are judged once, when the ring is loaded: self-signatures, subkey bindings and back-signatures all have to hold.

use hah_plan::artifact::VendorKey;
use pgp::composed::{CleartextSignedMessage, Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};

use crate::calendar::minute;

/// Largest signed text, in bytes; Debian's are 150 KiB.
const MAX_TEXT: usize = 16 << 20;
/// Largest detached signature, in bytes; one has 600.
const MAX_SIGNATURE: usize = 64 << 10;
/// Most signatures on one text.
const MAX_SIGNATURES: usize = 32;
/// A signature may be this many seconds younger than our clock says it is now.
const CLOCK_SLACK: u64 = 3600;

/// Keys that are believed.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Vec<Key>,
}

/// A key that may sign.
#[derive(Clone, Debug)]
struct Key {
    public: Public,
    /// 40 hex digits, upper case.
    fingerprint: String,
    /// Fingerprint of the certificate's primary key, which is the one that people know.
    certificate: String,
    /// User id of the certificate that it belongs to.
    owner: String,
    /// Seconds since 1970.
    created: u64,
    /// Seconds since 1970.
    expires: Option<u64>,
}

#[derive(Clone, Debug)]
enum Public {
    Primary(PublicKey),
    Subkey(PublicSubkey),
}

/// A text and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The text, with `\n` line ends.
    pub text: String,
    /// Fingerprint of the key, 40 hex digits.
    pub fingerprint: String,
    /// User id of the key's certificate.
    pub owner: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// Who vouches for a text that has its signature beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatory {
    /// Fingerprint of the certificate's primary key, 40 hex digits.
    pub certificate: String,
    /// User id of the certificate.
    pub owner: String,
    /// When it was signed, in seconds since 1970.
    pub at: u64,
}

/// Why a text is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature around it.
    #[error("it is not signed")]
    Missing,
    /// It is not what OpenPGP says a signed text is.
    #[error("its signature cannot be read: {0}")]
    Malformed(String),
    /// The text is not what was signed.
    #[error("TAMPERED: the text is not what {owner} ({fingerprint}) signed")]
    Bad {
        /// Fingerprint of the key.
        fingerprint: String,
        /// Its user id.
        owner: String,
    },
    /// A key that was over.
    #[error("signed on {signed} by {owner} ({fingerprint}), whose key expired on {expired}", signed = minute(*.signed), expired = minute(*.expired))]
    KeyExpired {
        /// Fingerprint of the key.
        fingerprint: String,
        /// Its user id.
        owner: String,
        /// When it signed, in seconds since 1970.
        signed: u64,
        /// When it expired, in seconds since 1970.
        expired: u64,
    },
    /// A signature from the future, or from before its key.
    #[error("signed on {when} by {owner}, which cannot be", when = minute(*.signed))]
    Time {
        /// The key's user id.
        owner: String,
        /// When it says that it was made, in seconds since 1970.
        signed: u64,
    },
    /// The signature itself has expired.
    #[error("its signature expired on {}", minute(*.0))]
    Expired(u64),
    /// A kind of signature that proves nothing any more, or proves something else.
    #[error("its signature is of a kind that is not accepted: {0}")]
    Kind(String),
    /// Nobody of the ring.
    #[error("signed by unknown keys: {}", .0.join(", "))]
    UnknownKey(Vec<String>),
}

impl SignatureError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed(_) => "the mirror does not serve a Debian archive here: check its URL",
            Self::Bad { .. } => "the mirror or somebody on the way changed it: use another mirror",
            Self::KeyExpired { .. } | Self::Kind(_) => "a newer hah-image may know the archive's newer keys",
            Self::Expired(_) => "the mirror is stale: use another mirror",
            Self::Time { .. } => "check this machine's clock",
            Self::UnknownKey(_) => {
                "only the keys of Debian's own archive are believed: check the mirror's URL, or name a private archive's key with --keyring FILE"
            }
        }
    }

    /// How much it says, for choosing among the complaints about several signatures.
    fn weight(&self) -> u8 {
        match self {
            Self::Bad { .. } => 5,
            Self::KeyExpired { .. } | Self::Expired(_) => 4,
            Self::Time { .. } => 3,
            Self::Kind(_) => 2,
            _ => 1,
        }
    }
}

/// A key file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a usable OpenPGP key: {0}")]
pub struct KeyError(String);

/// The keys of Debian's archive, as `keys/README.md` describes them.
const DEBIAN: [&[u8]; 9] = [
    include_bytes!("../../keys/debian-archive-bullseye-automatic.gpg"),
    include_bytes!("../../keys/debian-archive-bullseye-security-automatic.gpg"),
    include_bytes!("../../keys/debian-archive-bullseye-stable.gpg"),
    include_bytes!("../../keys/debian-archive-bookworm-automatic.gpg"),
    include_bytes!("../../keys/debian-archive-bookworm-security-automatic.gpg"),
    include_bytes!("../../keys/debian-archive-bookworm-stable.gpg"),
    include_bytes!("../../keys/debian-archive-trixie-automatic.gpg"),
    include_bytes!("../../keys/debian-archive-trixie-security-automatic.gpg"),
    include_bytes!("../../keys/debian-archive-trixie-stable.gpg"),
];

/// The vendors' keys by the names that recipes call them, as `keys/README.md` describes them.
const VENDORS: [(&str, &[u8]); 2] =
    [("hashicorp", include_bytes!("../../keys/hashicorp.gpg")), ("openbao", include_bytes!("../../keys/openbao.gpg"))];

impl Keyring {
    /// The keys of a vendor.
    pub fn vendor(key: &VendorKey) -> Result<Self, KeyError> {
        match key {
            VendorKey::File { bytes, .. } => Self::load(&[bytes]),
            VendorKey::Embedded(name) => match VENDORS.iter().find(|(known, _)| known == name) {
                Some((_, bytes)) => Self::load(&[bytes]),
                None => Err(KeyError(format!("there is no key called `{name}`"))),
            },
        }
    }

    /// The keys of Debian's archive from bullseye on.
    pub fn debian() -> Result<Self, KeyError> {
        Self::load(&DEBIAN)
    }

    /// Believes the keys of one more file.
    pub fn add(&mut self, file: &[u8]) -> Result<(), KeyError> {
        self.keys.extend(Self::load(&[file])?.keys);
        Ok(())
    }

    /// A ring of key files, each with one or more certificates, armoured or not.
    pub fn load(files: &[&[u8]]) -> Result<Self, KeyError> {
        let error = |error: pgp::errors::Error| KeyError(error.to_string());
        let mut keys = Vec::new();
        for file in files {
            let (certificates, _) = SignedPublicKey::from_reader_many(*file).map_err(error)?;
            for certificate in certificates {
                signing_keys(&certificate.map_err(error)?, &mut keys)?;
            }
        }
        Ok(Self { keys })
    }

    /// Whether a key of this certificate, by its primary key's fingerprint, may sign.
    pub fn has_certificate(&self, fingerprint: &str) -> bool {
        self.keys.iter().any(|key| key.certificate == fingerprint)
    }

    /// The fingerprints of the keys that may sign, 40 hex digits each.
    pub fn fingerprints(&self) -> impl Iterator<Item = String> {
        self.keys.iter().map(|key| key.fingerprint.clone())
    }

    /// The text within `message`, an OpenPGP cleartext-signed message, if a key of this ring vouches for it.
    /// `now` is in seconds since 1970.
    pub fn verify(&self, message: &[u8], now: u64) -> Result<Signed, SignatureError> {
        let malformed = |what: &str| SignatureError::Malformed(what.to_owned());
        if !message.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") {
            return Err(SignatureError::Missing);
        }
        if message.len() > MAX_TEXT {
            return Err(malformed("it is too long"));
        }
        let text = std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))?;
        let (message, _) = CleartextSignedMessage::from_string(text).map_err(|error| malformed(&error.to_string()))?;
        if message.signatures().len() > MAX_SIGNATURES {
            return Err(malformed("it has too many signatures"));
        }
        let text = message.signed_text();
        let (key, at) = self.believe(message.signatures(), &[SignatureType::Text], (text.as_bytes(), now))?;
        let (fingerprint, owner) = (key.fingerprint.clone(), key.owner.clone());
        Ok(Signed { text: text.replace("\r\n", "\n"), fingerprint, owner, at })
    }

    /// Who of this ring vouches for `bytes` with `signature`, detached OpenPGP signatures, armoured or not.
    /// `now` is in seconds since 1970.
    pub fn verify_detached(&self, bytes: &[u8], signature: &[u8], now: u64) -> Result<Signatory, SignatureError> {
        let malformed = |what: &str| SignatureError::Malformed(what.to_owned());
        if signature.len() > MAX_SIGNATURE {
            return Err(malformed("it is too long"));
        }
        let (found, _) =
            DetachedSignature::from_reader_many(signature).map_err(|error| malformed(&error.to_string()))?;
        let mut signatures = Vec::new();
        for signature in found {
            if signatures.len() == MAX_SIGNATURES {
                return Err(malformed("it has too many signatures"));
            }
            signatures.push(signature.map_err(|error| malformed(&error.to_string()))?.signature);
        }
        let kinds = [SignatureType::Binary, SignatureType::Text];
        let (key, at) = self.believe(&signatures, &kinds, (bytes, now))?;
        Ok(Signatory { certificate: key.certificate.clone(), owner: key.owner.clone(), at })
    }

    /// The key of the first signature that counts, and when it was made; else the weightiest complaint.
    fn believe<'s>(
        &self,
        signatures: impl IntoIterator<Item = &'s Signature>,
        kinds: &[SignatureType],
        (text, now): (&[u8], u64),
    ) -> Result<(&Key, u64), SignatureError> {
        let mut complaint = None;
        let mut unknown = Vec::new();
        for signature in signatures {
            match self.judge(signature, kinds, (text, now)) {
                Ok(key) => return Ok((key, signature.created().map_or(0, |time| time.as_secs().into()))),
                Err(SignatureError::UnknownKey(ids)) => unknown.extend(ids),
                Err(error) if complaint.as_ref().is_some_and(|old: &SignatureError| old.weight() >= error.weight()) => {
                }
                Err(error) => complaint = Some(error),
            }
        }
        Err(complaint.unwrap_or(if unknown.is_empty() {
            SignatureError::Missing
        } else {
            SignatureError::UnknownKey(unknown)
        }))
    }

    /// The key that made `signature` over `text`.
    fn judge(
        &self,
        signature: &Signature,
        kinds: &[SignatureType],
        (text, now): (&[u8], u64),
    ) -> Result<&Key, SignatureError> {
        let issuers = issuers(signature);
        let mut suspects = self.keys.iter().filter(|key| issuers.iter().any(|id| key.fingerprint.ends_with(id)));
        let Some(key) = suspects.next() else {
            return Err(SignatureError::UnknownKey(if issuers.is_empty() { vec!["unnamed".into()] } else { issuers }));
        };
        let strong = [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
        match (signature.typ(), signature.hash_alg()) {
            (Some(kind), Some(hash)) if kinds.contains(&kind) && strong.contains(&hash) => {}
            (kind, hash) => return Err(SignatureError::Kind(format!("{kind:?}, {hash:?}"))),
        }
        let verified = match &key.public {
            Public::Primary(public) => signature.verify(public, text),
            Public::Subkey(public) => signature.verify(public, text),
        };
        let (fingerprint, owner) = (key.fingerprint.clone(), key.owner.clone());
        if verified.is_err() {
            return Err(SignatureError::Bad { fingerprint, owner });
        }
        let signed = signature.created().map_or(0, |time| time.as_secs().into());
        if signed < key.created || signed > now + CLOCK_SLACK {
            return Err(SignatureError::Time { owner, signed });
        }
        if let Some(expired) = key.expires.filter(|expires| *expires <= signed) {
            return Err(SignatureError::KeyExpired { fingerprint, owner, signed, expired });
        }
        let lifetime = signature.signature_expiration_time().map_or(0, |lifetime| u64::from(lifetime.as_secs()));
        if lifetime > 0 && signed + lifetime <= now {
            return Err(SignatureError::Expired(signed + lifetime));
        }
        Ok(key)
    }
}

/// Fingerprints, or key ids, that `signature` claims to be by; upper-case hex.
fn issuers(signature: &Signature) -> Vec<String> {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        signature.issuer_key_id().iter().map(|id| id.to_string().to_uppercase()).collect()
    } else {
        fingerprints.iter().map(|fingerprint| format!("{fingerprint:X}")).collect()
    }
}

/// The keys of a certificate that may sign. One that is revoked, or whose self-signatures do not hold, has none.
fn signing_keys(certificate: &SignedPublicKey, keys: &mut Vec<Key>) -> Result<(), KeyError> {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    let error = |what: &str| Err(KeyError(format!("{:X}: {what}", primary.fingerprint())));
    if details.revocation_signatures.iter().any(|signature| signature.verify_key(primary).is_ok()) {
        return error("it is revoked");
    }
    let Some((owner, own)) = details
        .users
        .iter()
        .flat_map(|user| user.signatures.iter().map(move |signature| (user, signature)))
        .filter(|(user, signature)| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
        .max_by_key(|(_, signature)| signature.created())
    else {
        return error("it has no valid self-signature");
    };
    let owner = String::from_utf8_lossy(owner.id.id()).into_owned();
    let certificate_id = format!("{:X}", primary.fingerprint());
    let expires = expiry(primary, own);
    if own.key_flags().sign() {
        let public = Public::Primary(primary.clone());
        keys.push(key(primary, public, (&certificate_id, &owner), expires));
    }
    for subkey in &certificate.public_subkeys {
        if let Some(binding) = signing_binding(primary, subkey) {
            let sooner = [expires, expiry(&subkey.key, binding)].into_iter().flatten().min();
            keys.push(key(&subkey.key, Public::Subkey(subkey.key.clone()), (&certificate_id, &owner), sooner));
        }
    }
    Ok(())
}

fn key(details: &impl KeyDetails, public: Public, (certificate, owner): (&str, &str), expires: Option<u64>) -> Key {
    let fingerprint = format!("{:X}", details.fingerprint());
    let created = details.created_at().as_secs().into();
    Key { public, fingerprint, certificate: certificate.to_owned(), owner: owner.to_owned(), created, expires }
}

/// The newest valid binding of a subkey, if it lets it sign, the subkey agrees, and nobody revoked it.
fn signing_binding<'a>(primary: &PublicKey, subkey: &'a SignedPublicSubKey) -> Option<&'a Signature> {
    let valid = |signature: &&Signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok();
    if subkey.signatures.iter().filter(valid).any(|sig| sig.typ() == Some(SignatureType::SubkeyRevocation)) {
        return None;
    }
    let newest = subkey.signatures.iter().filter(valid).max_by_key(|signature| signature.created())?;
    let agreed = newest.embedded_signature()?.verify_primary_key_binding(&subkey.key, primary).is_ok();
    (newest.key_flags().sign() && agreed).then_some(newest)
}

/// When a key ends by what `signature` says of it, in seconds since 1970; a lifetime of zero is none.
fn expiry(key: &impl KeyDetails, signature: &Signature) -> Option<u64> {
    let lifetime = u64::from(signature.key_expiration_time()?.as_secs());
    (lifetime > 0).then(|| u64::from(key.created_at().as_secs()) + lifetime)
}
