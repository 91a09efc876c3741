//! Key derivation for the keystore: which functions, with which parameters, and how much a file may ask for.
//!
//! Promise: whatever a file says, deriving its key takes at most [`SCRYPT_MEMORY_BYTES_MAX`] of memory and a bounded
//! time. A file is hostile until its password has opened it, and the parameters come before the password is checked.
//!
//! New keystores use scrypt (RFC 7914) only; pbkdf2 with HMAC-SHA-256 (RFC 8018) is read because EIP-2335 requires it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::container::Error;
use super::password::Password;

/// Bytes of a derived key: 16 for the cipher, 16 for the checksum (EIP-2335).
pub(super) const DERIVED_KEY_BYTES: usize = 32;

/// Most memory that scrypt may take for a file: twice what a standard keystore takes.
pub const SCRYPT_MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Most block mixes (`n * r * p`) for a file: eight times what a standard keystore takes, some seconds.
const SCRYPT_WORK_MAX: u64 = 8 * (1 << 18) * 8;

/// Most pbkdf2 rounds for a file: forty times the count in EIP-2335, some seconds.
const PBKDF2_ROUNDS_MAX: u64 = 40 * (1 << 18);

/// Salt of new keystores, in bytes.
const SALT_BYTES: usize = 32;

/// Longest salt read from a file, in bytes.
const SALT_BYTES_MAX: usize = 128;

/// How expensive it is to guess the password of a new keystore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// scrypt with n = 2^18, r = 8, p = 1, as in EIP-2335: 256 MiB and about a second for each guess.
    Standard,
    /// scrypt with n = 2^12, r = 8, p = 1: 4 MiB and some milliseconds for each guess, 64 times weaker. For a local
    /// devnet and for tests, whose keys guard nothing. Never for a key that signs for other people's money.
    WeakForDevnet,
}

impl Kdf {
    fn log_n(self) -> u8 {
        match self {
            Kdf::Standard => 18,
            Kdf::WeakForDevnet => 12,
        }
    }

    /// Parameters for a new keystore, with a fresh salt.
    pub(super) fn fresh(self) -> Result<Parameters, Error> {
        let mut salt = vec![0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| Error::Random(error.to_string()))?;
        Ok(Parameters::Scrypt { log_n: self.log_n(), r: 8, p: 1, salt })
    }
}

/// Checked parameters: within the bounds above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parameters {
    Scrypt { log_n: u8, r: u32, p: u32, salt: Vec<u8> },
    Pbkdf2 { rounds: u32, salt: Vec<u8> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScryptFields {
    dklen: u64,
    n: u64,
    p: u64,
    r: u64,
    salt: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pbkdf2Fields {
    dklen: u64,
    c: u64,
    prf: String,
    salt: String,
}

impl Parameters {
    /// Reads the `kdf` module of a keystore file.
    pub(super) fn from_json(function: &str, params: &Value) -> Result<Self, Error> {
        match function {
            "scrypt" => Self::scrypt(ScryptFields::deserialize(params).map_err(Error::json)?),
            "pbkdf2" => Self::pbkdf2(Pbkdf2Fields::deserialize(params).map_err(Error::json)?),
            other => Err(Error::unsupported("kdf function", other, "scrypt or pbkdf2")),
        }
    }

    fn scrypt(fields: ScryptFields) -> Result<Self, Error> {
        check_derived_key_bytes(fields.dklen)?;
        if !fields.n.is_power_of_two() || fields.n < 2 {
            return Err(Error::kdf_parameter("n", fields.n, "a power of two above 1".into()));
        }
        let r = bounded("r", fields.r, 64)?;
        let p = bounded("p", fields.p, 64)?;
        let n_max = SCRYPT_MEMORY_BYTES_MAX / (128 * u64::from(r));
        if fields.n > n_max {
            let allowed =
                format!("at most {n_max} when r is {r} (memory of {SCRYPT_MEMORY_BYTES_MAX} bytes)");
            return Err(Error::kdf_parameter("n", fields.n, allowed));
        }
        // No overflow: n is at most 2^22 and r, p at most 64 here.
        let work = fields.n * u64::from(r) * u64::from(p);
        if work > SCRYPT_WORK_MAX {
            return Err(Error::kdf_parameter("n * r * p", work, format!("at most {SCRYPT_WORK_MAX}")));
        }
        let log_n = u8::try_from(fields.n.trailing_zeros()).expect("a u64 has at most 64 trailing zeros");
        let parameters = Parameters::Scrypt { log_n, r, p, salt: salt(&fields.salt)? };
        parameters.scrypt_params()?;
        Ok(parameters)
    }

    fn pbkdf2(fields: Pbkdf2Fields) -> Result<Self, Error> {
        check_derived_key_bytes(fields.dklen)?;
        if fields.prf != "hmac-sha256" {
            return Err(Error::unsupported("pbkdf2 prf", &fields.prf, "hmac-sha256"));
        }
        let rounds = bounded("c", fields.c, PBKDF2_ROUNDS_MAX)?;
        Ok(Parameters::Pbkdf2 { rounds, salt: salt(&fields.salt)? })
    }

    /// The crate's own check of what remains, for instance `n < 2^(16 r)`.
    fn scrypt_params(&self) -> Result<Option<scrypt::Params>, Error> {
        let Parameters::Scrypt { log_n, r, p, .. } = self else { return Ok(None) };
        let params = scrypt::Params::new(*log_n, *r, *p);
        params.map(Some).map_err(|_| Error::kdf_parameter("n", 1 << log_n, format!("below 2^{}", 16 * r)))
    }

    /// Name of the function, as in the file.
    pub(super) fn function(&self) -> &'static str {
        match self {
            Parameters::Scrypt { .. } => "scrypt",
            Parameters::Pbkdf2 { .. } => "pbkdf2",
        }
    }

    /// The `params` object, as in the file.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Parameters::Scrypt { log_n, r, p, salt } => serde_json::json!({
                "dklen": DERIVED_KEY_BYTES, "n": 1_u64 << log_n, "p": p, "r": r, "salt": hex::encode(salt),
            }),
            Parameters::Pbkdf2 { rounds, salt } => serde_json::json!({
                "dklen": DERIVED_KEY_BYTES, "c": rounds, "prf": "hmac-sha256", "salt": hex::encode(salt),
            }),
        }
    }

    /// Stretches the password. Cost: see [`Kdf`] for what is written here, the bounds above for what is read.
    pub(super) fn derive(&self, password: &Password) -> Result<Zeroizing<[u8; DERIVED_KEY_BYTES]>, Error> {
        let mut key = Zeroizing::new([0; DERIVED_KEY_BYTES]);
        match (self.scrypt_params()?, self) {
            (Some(params), Parameters::Scrypt { salt, .. }) => {
                scrypt::scrypt(password.as_bytes(), salt, &params, &mut *key)
                    .expect("32 bytes is a length that scrypt can fill");
            }
            (_, Parameters::Scrypt { .. }) => unreachable!("scrypt parameters always have their params"),
            (_, Parameters::Pbkdf2 { rounds, salt }) => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, *rounds, &mut *key);
            }
        }
        Ok(key)
    }
}

fn check_derived_key_bytes(found: u64) -> Result<(), Error> {
    if found == DERIVED_KEY_BYTES as u64 {
        return Ok(());
    }
    Err(Error::kdf_parameter("dklen", found, format!("exactly {DERIVED_KEY_BYTES}")))
}

fn bounded(name: &'static str, found: u64, max: u64) -> Result<u32, Error> {
    u32::try_from(found)
        .ok()
        .filter(|&value| value > 0 && found <= max)
        .ok_or_else(|| Error::kdf_parameter(name, found, format!("from 1 to {max}")))
}

fn salt(text: &str) -> Result<Vec<u8>, Error> {
    let salt = hex::decode(text).map_err(|_| Error::Hex { field: "salt" })?;
    let length = salt.len();
    if length == 0 || length > SALT_BYTES_MAX {
        return Err(Error::kdf_parameter(
            "salt length",
            length as u64,
            format!("from 1 to {SALT_BYTES_MAX}"),
        ));
    }
    Ok(salt)
}
