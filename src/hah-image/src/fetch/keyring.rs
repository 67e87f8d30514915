//! OpenPGP: who signed a text, and whether they may (RFC 9580; the older RFC 4880 is what Debian's keys follow).
//!
//! A text has its signature around it ([`Keyring::verify`], as archives do) or beside it ([`Keyring::verify_detached`], as
//! release sites do). A signature counts when it is by a key of the ring that is made for signing, was not revoked, and had
//! not expired **when it signed**: a suite that is not updated any more stays as good as it was.
//! Keys are judged once, when the ring is loaded: self-signatures, subkey bindings and back-signatures all have to hold.
//! Which algorithms count, for keys, for their bindings and for signatures alike, is `policy`'s to say. A key that does not
//! count stays in the ring with the reason, so that a signature of it is refused in those words.

use hah_plan::artifact::VendorKey;
use pgp::composed::{CleartextSignedMessage, Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{PublicKey, PublicSubkey, RevocationCode, Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};

use super::policy::{self, Purpose, Weakness};
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

/// A key that is made for signing.
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
    /// Why it does not count.
    objection: Option<Objection>,
}

#[derive(Clone, Debug)]
enum Public {
    Primary(PublicKey),
    Subkey(PublicSubkey),
}

impl Public {
    /// 40 hex digits, upper case.
    fn fingerprint(&self) -> String {
        match self {
            Self::Primary(key) => format!("{:X}", key.fingerprint()),
            Self::Subkey(key) => format!("{:X}", key.fingerprint()),
        }
    }
}

/// Why a key does not count, whatever it signs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// It, or the primary key above it, is of a kind that does not count.
    #[error("it is {0}")]
    Weak(Weakness),
    /// What binds it to its owner, or a subkey to its key, does not count.
    #[error("it is bound by {0}")]
    Bound(Weakness),
    /// Nothing binds it.
    #[error("it has no valid self-signature")]
    Unbound,
    /// Its owner has revoked it, at this time in seconds since 1970.
    #[error("it was revoked on {}", minute(*.0))]
    Revoked(u64),
}

/// A text and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The text, with `\n` line ends.
    pub text: String,
    /// Fingerprint of the key, 40 hex digits.
    pub fingerprint: String,
    /// Fingerprint of the certificate's primary key, which is the one that people know.
    pub certificate: String,
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
    /// A kind of signature that is not for data.
    #[error("the signature by {owner} ({fingerprint}) is of a kind that is not accepted: {kind}")]
    Kind {
        /// Fingerprint of the key.
        fingerprint: String,
        /// Its user id.
        owner: String,
        /// What it is.
        kind: String,
    },
    /// A signature that proves nothing any more.
    #[error("the signature by {owner} ({fingerprint}) is {weakness}")]
    Weak {
        /// Fingerprint of the key.
        fingerprint: String,
        /// Its user id.
        owner: String,
        /// What it is.
        weakness: Weakness,
    },
    /// A key that does not count.
    #[error("signed by {owner} ({fingerprint}), whose key does not count: {objection}")]
    Key {
        /// Fingerprint of the key.
        fingerprint: String,
        /// Its user id.
        owner: String,
        /// Why.
        objection: Objection,
    },
    /// Nobody of the ring.
    #[error("signed by unknown keys: {}", .0.join(", "))]
    UnknownKey(Vec<String>),
}

impl SignatureError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed(_) => "the mirror does not serve a Debian archive here: check its URL",
            Self::Bad { .. } => "the mirror, or somebody on the way, changed it: use another mirror",
            Self::KeyExpired { .. } | Self::Kind { .. } => "a newer hah-image may know the archive's newer keys",
            Self::Key { .. } | Self::Weak { .. } => {
                "apt of Debian 13 refuses it, too: ask its owner for a new key, which --keyring FILE or `key-source` can name"
            }
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
            Self::Key { .. } | Self::Weak { .. } | Self::Time { .. } => 3,
            Self::Kind { .. } => 2,
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

/// The key file of a vendor, if there is one of that name.
fn vendor_file(key: &VendorKey) -> Option<&[u8]> {
    match key {
        VendorKey::File { bytes, .. } => Some(bytes),
        VendorKey::Embedded(name) => VENDORS.iter().find(|(known, _)| known == name).map(|(_, bytes)| *bytes),
    }
}

impl Keyring {
    /// The keys of a vendor, judged at `now` in seconds since 1970.
    pub fn vendor(key: &VendorKey, now: u64) -> Result<Self, KeyError> {
        match vendor_file(key) {
            Some(file) => Self::load(&[file], now),
            None => Err(KeyError(format!("there is no key called `{}`", key.name()))),
        }
    }

    /// The keys of Debian's archive from bullseye on, judged at `now` in seconds since 1970.
    pub fn debian(now: u64) -> Result<Self, KeyError> {
        Self::load(&DEBIAN, now)
    }

    /// Believes the keys of one more file, judged at `now` in seconds since 1970.
    pub fn add(&mut self, file: &[u8], now: u64) -> Result<(), KeyError> {
        self.keys.extend(Self::load(&[file], now)?.keys);
        Ok(())
    }

    /// A ring of key files, each with one or more certificates, armoured or not, judged at `now` in seconds since 1970.
    /// A file of which no key counts is an error; beside one that does, a key that does not is only remembered.
    pub fn load(files: &[&[u8]], now: u64) -> Result<Self, KeyError> {
        let error = |error: pgp::errors::Error| KeyError(error.to_string());
        let mut keys = Vec::new();
        for file in files {
            let (certificates, _) = SignedPublicKey::from_reader_many(*file).map_err(error)?;
            let mut found = Vec::new();
            for certificate in certificates {
                signing_keys(&certificate.map_err(error)?, now, &mut found);
            }
            if !found.is_empty() && found.iter().all(|key| key.objection.is_some()) {
                let told =
                    |key: &Key| Some(format!("{} ({}): {}", key.owner, key.fingerprint, key.objection.as_ref()?));
                return Err(KeyError(found.iter().filter_map(told).collect::<Vec<_>>().join("; ")));
            }
            keys.append(&mut found);
        }
        Ok(Self { keys })
    }

    /// Whether a vendor's key file has the certificate with this fingerprint of its primary key. What the key is worth
    /// was judged when something was locked by it, and does not change with the clock.
    pub fn names_certificate(key: &VendorKey, fingerprint: &str) -> bool {
        let certificates = vendor_file(key).and_then(|file| SignedPublicKey::from_reader_many(file).ok());
        let mut certificates =
            certificates.into_iter().flat_map(|(certificates, _)| certificates).filter_map(Result::ok);
        certificates.any(|certificate| format!("{:X}", certificate.primary_key.fingerprint()) == fingerprint)
    }

    /// The fingerprints of the keys that may sign, 40 hex digits each.
    pub fn fingerprints(&self) -> impl Iterator<Item = String> {
        self.keys.iter().filter(|key| key.objection.is_none()).map(|key| key.fingerprint.clone())
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
        let certificate = key.certificate.clone();
        Ok(Signed { text: text.replace("\r\n", "\n"), fingerprint, certificate, owner, at })
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
        let suspects = self.keys.iter().filter(|key| issuers.iter().any(|id| key.fingerprint.ends_with(id)));
        // The same key may have come twice, once with a better binding.
        let Some(key) = suspects.min_by_key(|key| key.objection.is_some()) else {
            return Err(SignatureError::UnknownKey(if issuers.is_empty() { vec!["unnamed".into()] } else { issuers }));
        };
        let (fingerprint, owner) = (key.fingerprint.clone(), key.owner.clone());
        if let Some(objection) = key.objection.clone() {
            return Err(SignatureError::Key { fingerprint, owner, objection });
        }
        if !signature.typ().is_some_and(|kind| kinds.contains(&kind)) {
            return Err(SignatureError::Kind { fingerprint, owner, kind: format!("{:?}", signature.typ()) });
        }
        if let Err(weakness) = policy::check_signature(signature, Purpose::Data, now) {
            return Err(SignatureError::Weak { fingerprint, owner, weakness });
        }
        let verified = match &key.public {
            Public::Primary(public) => signature.verify(public, text),
            Public::Subkey(public) => signature.verify(public, text),
        };
        if verified.is_err() {
            return Err(SignatureError::Bad { fingerprint, owner });
        }
        let signed = made(signature);
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

/// Adds the keys of a certificate that are made for signing, each with what speaks against it.
fn signing_keys(certificate: &SignedPublicKey, now: u64, keys: &mut Vec<Key>) {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    let id = format!("{:X}", primary.fingerprint());
    // What is too weak need not be right: it is kept for what it says about the key, and never counts.
    let weak = |signature: &Signature| policy::check_signature(signature, Purpose::Binding, now).is_err();
    let users = details.users.iter().flat_map(|user| {
        let holds = move |signature: &&Signature| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && (weak(signature) || signature.verify_certification(primary, Tag::UserId, &user.id).is_ok())
        };
        let name = String::from_utf8_lossy(user.id.id()).into_owned();
        user.signatures.iter().filter(holds).map(move |signature| (Some(name.clone()), signature))
    });
    let mut own: Vec<(Option<String>, &Signature)> = users.collect();
    if details.users.is_empty() {
        // Beside user ids, direct signatures say other things, such as who else may revoke the key.
        let direct = details.direct_signatures.iter();
        let direct = direct.filter(|signature| weak(signature) || signature.verify_key(primary).is_ok());
        own.extend(direct.map(|signature| (None, signature)));
    }
    let owner = own.iter().filter_map(|(name, signature)| Some((signature.created(), name.clone()?)));
    let owner = owner.max().map(|(_, name)| name);
    // Nothing may hold that binds a name to it; messages call it by the first all the same.
    let unproved = || details.users.first().map(|user| String::from_utf8_lossy(user.id.id()).into_owned());
    let owner = owner.or_else(unproved).unwrap_or_else(|| "nobody by name".to_owned());
    let revoked =
        revocation(details.revocation_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok()));
    // Its strength comes first: what a weak key says of itself is nothing.
    let binding = policy::check_key(primary, now)
        .map_err(Objection::Weak)
        .and_then(|()| newest(own.iter().map(|(_, signature)| *signature), now, |_| Ok(())));
    let (expires, objection) = match (&binding, &revoked) {
        (Ok(binding), None) => (expiry(primary, binding), None),
        (Ok(binding), Some(Revocation::From(end))) => {
            (Some(expiry(primary, binding).map_or(*end, |expires| expires.min(*end))), None)
        }
        (_, Some(Revocation::From(at) | Revocation::Whole(at))) => (None, Some(Objection::Revoked(*at))),
        (Err(objection), None) => (None, Some(objection.clone())),
    };
    let key = |public: Public, created: u64, (expires, objection): (Option<u64>, Option<Objection>)| Key {
        fingerprint: public.fingerprint(),
        public,
        certificate: id.clone(),
        owner: owner.clone(),
        created,
        expires,
        objection,
    };
    // A certificate that says nothing that counts may have been meant to sign.
    if binding.as_ref().map_or(true, |binding| binding.key_flags().sign()) {
        let public = Public::Primary(primary.clone());
        keys.push(key(public, primary.created_at().as_secs().into(), (expires, objection.clone())));
    }
    for subkey in &certificate.public_subkeys {
        if let Some((end, against)) = signing_subkey(primary, subkey, now) {
            let sooner = [expires, end].into_iter().flatten().min();
            let public = Public::Subkey(subkey.key.clone());
            let created = subkey.key.created_at().as_secs().into();
            keys.push(key(public, created, (sooner, objection.clone().or(against))));
        }
    }
}

/// When a subkey that is made for signing ends, and what speaks against it; none when it is made for something else, or
/// is somebody else's.
fn signing_subkey(
    primary: &PublicKey,
    subkey: &SignedPublicSubKey,
    now: u64,
) -> Option<(Option<u64>, Option<Objection>)> {
    let weak = |signature: &Signature| policy::check_signature(signature, Purpose::Binding, now).is_err();
    let valid =
        |signature: &&Signature| weak(signature) || signature.verify_subkey_binding(primary, &subkey.key).is_ok();
    let is_revocation = |signature: &Signature| signature.typ() == Some(SignatureType::SubkeyRevocation);
    let (revocations, bindings): (Vec<&Signature>, Vec<&Signature>) =
        subkey.signatures.iter().partition(|signature| is_revocation(signature));
    let revocations = revocations.into_iter().filter(|it| it.verify_subkey_binding(primary, &subkey.key).is_ok());
    let bindings: Vec<&Signature> = bindings.into_iter().filter(valid).collect();
    // The subkey has to agree, or anybody could adopt it.
    let agreed = |signature: &&&Signature| {
        let back = signature.embedded_signature();
        back.is_some_and(|back| weak(back) || back.verify_primary_key_binding(&subkey.key, primary).is_ok())
    };
    let signing: Vec<&Signature> =
        bindings.iter().filter(|signature| signature.key_flags().sign()).filter(agreed).copied().collect();
    if signing.is_empty() {
        return None;
    }
    let back = |signature: &Signature| match signature.embedded_signature() {
        Some(back) => policy::check_signature(back, Purpose::Binding, now),
        None => Ok(()),
    };
    let binding = policy::check_key(&subkey.key, now)
        .map_err(Objection::Weak)
        .and_then(|()| newest(bindings.iter().copied(), now, back));
    match (binding, revocation(revocations)) {
        (_, Some(Revocation::Whole(at))) => Some((None, Some(Objection::Revoked(at)))),
        (Ok(binding), _) if !binding.key_flags().sign() => None,
        (Ok(binding), Some(Revocation::From(end))) => {
            Some((Some(expiry(&subkey.key, binding).map_or(end, |expires| expires.min(end))), None))
        }
        (Ok(binding), None) => Some((expiry(&subkey.key, binding), None)),
        (Err(objection), _) => Some((None, Some(objection))),
    }
}

/// The newest binding that counts; or what speaks against the newest.
fn newest<'s>(
    bindings: impl Iterator<Item = &'s Signature>,
    now: u64,
    more: impl Fn(&Signature) -> Result<(), Weakness>,
) -> Result<&'s Signature, Objection> {
    let mut bindings: Vec<&Signature> = bindings.collect();
    bindings.sort_by_key(|signature| std::cmp::Reverse(made(signature)));
    let mut first = None;
    for binding in bindings {
        match policy::check_signature(binding, Purpose::Binding, now).and_then(|()| more(binding)) {
            Ok(()) => return Ok(binding),
            Err(weakness) => first = first.or(Some(weakness)),
        }
    }
    Err(first.map_or(Objection::Unbound, Objection::Bound))
}

/// From when on a key is revoked.
enum Revocation {
    /// It was replaced or retired, and what it signed before stands.
    From(u64),
    /// It may have been stolen, then or before.
    Whole(u64),
}

/// What valid revocations come to. How they are signed does not matter: nobody gains by revoking somebody's key.
fn revocation<'s>(signatures: impl Iterator<Item = &'s Signature>) -> Option<Revocation> {
    let mut soft = None;
    for signature in signatures {
        let at = made(signature);
        match signature.revocation_reason_code() {
            Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired) => {
                soft = Some(soft.map_or(at, |earlier: u64| earlier.min(at)));
            }
            _ => return Some(Revocation::Whole(at)),
        }
    }
    soft.map(Revocation::From)
}

/// When a signature says that it was made, in seconds since 1970.
fn made(signature: &Signature) -> u64 {
    signature.created().map_or(0, |time| time.as_secs().into())
}

/// When a key ends by what `signature` says of it, in seconds since 1970; a lifetime of zero is none.
fn expiry(key: &impl KeyDetails, signature: &Signature) -> Option<u64> {
    let lifetime = u64::from(signature.key_expiration_time()?.as_secs());
    (lifetime > 0).then(|| u64::from(key.created_at().as_secs()) + lifetime)
}

#[cfg(test)]
mod tests;
