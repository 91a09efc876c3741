//! The EIP-2335 container, version 4: one 32-byte secret behind a password, as JSON.
//!
//! Promise: [`Container::open`] returns the secret that [`Container::seal`] took, or an error; a wrong password and a
//! changed ciphertext are found by the checksum before anything is decrypted.
//!
//! Terms: *derived key* is what the key derivation makes of the password; its first 16 bytes are the AES-128 key, the
//! rest, with the ciphertext, goes through SHA-256 to the *checksum*.
//!
//! Choices: the format was made for Ethereum validators; other keys ride in it too, told apart by `description` and
//! `pubkey`. Fields of other tools that we do not know are ignored. What the format allows beyond 32-byte secrets is
//! left out. The checksum does not cover `pubkey`, so whoever opens a container compares it with the secret.

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::kdf::{Kdf, Parameters};
use super::password::Password;

/// Bytes of every secret kept here: a BLS12-381 or secp256k1 scalar, or an ed25519 seed.
pub(super) const SECRET_BYTES: usize = 32;

const VERSION: u64 = 4;
const IV_BYTES: usize = 16;

/// Everything that can be wrong with a keystore file's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not JSON, or a field is missing or of another type.
    #[error("not an EIP-2335 keystore: {0}")]
    Json(String),
    /// A version other than 4.
    #[error("keystore version {found}, only version {VERSION} is read")]
    Version {
        /// In the file.
        found: u64,
    },
    /// A function this reader does not have.
    #[error("{what} `{found}` is not supported, only {supported}")]
    Unsupported {
        /// Which choice.
        what: &'static str,
        /// In the file, cut to 40 characters.
        found: String,
        /// What could be there.
        supported: &'static str,
    },
    /// A parameter that would take too much memory or time, or that the function does not allow.
    #[error("kdf parameter {name} is {found}, allowed is {allowed}")]
    KdfParameter {
        /// Which one.
        name: &'static str,
        /// In the file.
        found: u64,
        /// What could be there.
        allowed: String,
    },
    /// Not hexadecimal, or an odd number of digits.
    #[error("field {field} is not hexadecimal")]
    Hex {
        /// Which one.
        field: &'static str,
    },
    /// A field of another length.
    #[error("field {field} has {found} bytes, expected {expected}")]
    Length {
        /// Which one.
        field: &'static str,
        /// In the file.
        found: usize,
        /// What should be there.
        expected: usize,
    },
    /// The checksum does not hold.
    #[error("wrong password, or the file was changed")]
    WrongPassword,
    /// The secret opens but is not a key of the expected kind.
    #[error("the secret is not a valid {expected} key")]
    NotAKey {
        /// Kind of key.
        expected: &'static str,
    },
    /// The file names another public key than its secret has: a mixed-up or changed file, or a key of another kind.
    #[error("the file names public key {stated}, but its secret belongs to {derived}")]
    PublicKeyMismatch {
        /// In the file, cut to 200 characters.
        stated: String,
        /// From the secret.
        derived: String,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
}

impl Error {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Error::Json(error.to_string())
    }

    pub(super) fn unsupported(what: &'static str, found: &str, supported: &'static str) -> Self {
        Error::Unsupported { what, found: found.chars().take(40).collect(), supported }
    }

    pub(super) fn kdf_parameter(name: &'static str, found: u64, allowed: String) -> Self {
        Error::KdfParameter { name, found, allowed }
    }
}

/// One keystore file. Holds no plain secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Container {
    crypto: Crypto,
    #[serde(default)]
    pub(super) description: String,
    /// Hexadecimal, without 0x when written here. Not covered by the checksum.
    pub(super) pubkey: String,
    path: String,
    uuid: String,
    version: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Crypto {
    kdf: Module,
    checksum: Module,
    cipher: Module,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Module {
    function: String,
    params: Value,
    message: String,
}

impl Container {
    /// Encrypts a secret under a fresh salt, initialisation vector and identifier.
    pub(super) fn seal(
        secret: &[u8; SECRET_BYTES],
        public_key: String,
        description: &str,
        password: &Password,
        kdf: Kdf,
    ) -> Result<Self, Error> {
        let parameters = kdf.fresh()?;
        let derived_key = parameters.derive(password)?;
        let initial_counter: [u8; IV_BYTES] = random()?;
        let mut message = *secret;
        apply_cipher(&derived_key, &initial_counter, &mut message);
        let crypto = Crypto {
            kdf: Module {
                function: parameters.function().into(),
                params: parameters.to_json(),
                message: String::new(),
            },
            checksum: Module {
                function: "sha256".into(),
                params: serde_json::json!({}),
                message: hex::encode(checksum(&derived_key, &message)),
            },
            cipher: Module {
                function: "aes-128-ctr".into(),
                params: serde_json::json!({ "iv": hex::encode(initial_counter) }),
                message: hex::encode(message),
            },
        };
        let (description, path) = (description.into(), String::new());
        Ok(Container {
            crypto,
            description,
            pubkey: public_key,
            path,
            uuid: random_uuid()?,
            version: VERSION,
        })
    }

    /// Reads a file's text. The caller bounds its length.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Error> {
        let container: Container = serde_json::from_slice(text).map_err(Error::json)?;
        if container.version != VERSION {
            return Err(Error::Version { found: container.version });
        }
        Ok(container)
    }

    /// The file's text, with a newline at its end.
    pub(super) fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers always serialise");
        text.push('\n');
        text
    }

    /// Decrypts the secret. Everything cheap is checked before the key derivation runs.
    pub(super) fn open(&self, password: &Password) -> Result<Zeroizing<[u8; SECRET_BYTES]>, Error> {
        let Crypto { kdf, checksum: check, cipher } = &self.crypto;
        require("checksum function", &check.function, "sha256")?;
        require("cipher function", &cipher.function, "aes-128-ctr")?;
        let stated: [u8; 32] = decode("checksum message", &check.message)?;
        let message: [u8; SECRET_BYTES] = decode("cipher message", &cipher.message)?;
        let vector = cipher.params.get("iv").and_then(Value::as_str).unwrap_or_default();
        let initial_counter: [u8; IV_BYTES] = decode("cipher iv", vector)?;
        let derived_key = Parameters::from_json(&kdf.function, &kdf.params)?.derive(password)?;
        if checksum(&derived_key, &message) != stated {
            return Err(Error::WrongPassword);
        }
        let mut secret = Zeroizing::new(message);
        apply_cipher(&derived_key, &initial_counter, &mut *secret);
        Ok(secret)
    }

    /// Compares the file's public key with the one its secret has.
    pub(super) fn check_public_key(&self, derived: &[u8]) -> Result<(), Error> {
        let stated = self.pubkey.strip_prefix("0x").unwrap_or(&self.pubkey);
        let derived = hex::encode(derived);
        if stated.eq_ignore_ascii_case(&derived) {
            return Ok(());
        }
        Err(Error::PublicKeyMismatch { stated: stated.chars().take(200).collect(), derived })
    }
}

fn require(what: &'static str, found: &str, supported: &'static str) -> Result<(), Error> {
    if found == supported { Ok(()) } else { Err(Error::unsupported(what, found, supported)) }
}

fn decode<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], Error> {
    let bytes = hex::decode(text).map_err(|_| Error::Hex { field })?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| Error::Length { field, found, expected: N })
}

fn checksum(derived_key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(&derived_key[16..]).chain_update(message).finalize().into()
}

/// Encrypting and decrypting are the same in counter mode.
fn apply_cipher(derived_key: &[u8; 32], initial_counter: &[u8; IV_BYTES], message: &mut [u8]) {
    let key: &[u8; 16] = derived_key[..16].try_into().expect("the first half of 32 bytes");
    Ctr128BE::<Aes128>::new(key.into(), initial_counter.into()).apply_keystream(message);
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}

/// A random (version 4) identifier, RFC 9562 section 5.4.
fn random_uuid() -> Result<String, Error> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    Ok([&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"))
}
