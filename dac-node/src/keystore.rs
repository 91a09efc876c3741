//! The keys of a node and of a rollup's submitter, encrypted at rest (EIP-2335, version 4).
//!
//! Promise: no secret is ever written in the clear, printed, or put in an error; a file that says it holds one key and
//! holds another is refused; a key that exists is never overwritten; after a create returns `Ok` the file survives a
//! crash. A hostile file costs bounded memory and time.
//!
//! Terms: the *directory* of a node's keys holds [`MEMBER_FILE`] (the BLS key that signs statements) and
//! [`NETWORK_FILE`] (the ed25519 key behind the libp2p peer id), both under one password. A *submitter* key
//! (secp256k1) authorises a rollup's submissions; it lives in a file of any name.
//!
//! Choices: one container for three kinds of key, told apart by comparing the stated public key with the one derived
//! from the secret. `pubkey` is hexadecimal: 96 bytes (compressed G2), 32 bytes (ed25519), 20 bytes (address).
//! Left out: mnemonics and derivation paths (EIP-2333, EIP-2334); a committee key has no siblings, a lost one is
//! replaced in the next epoch. Source: <https://eips.ethereum.org/EIPS/eip-2335>.

mod container;
mod file;
mod kdf;
mod password;

use std::path::{Path, PathBuf};

use attest::{Address, PublicKeyBytes, SecretKey, SubmitterKey};
use libp2p::PeerId;
use libp2p::identity::{Keypair, ed25519};
use zeroize::Zeroizing;

use container::{Container, SECRET_BYTES};

pub use container::Error as ContainerError;
pub use kdf::{Kdf, SCRYPT_MEMORY_BYTES_MAX};
pub use password::{PASSWORD_FILE_VARIABLE, PASSWORD_VARIABLE, Password, PasswordError, Prompt};

/// The BLS key, in a node's key directory.
pub const MEMBER_FILE: &str = "bls-keystore.json";

/// The libp2p key, in a node's key directory.
pub const NETWORK_FILE: &str = "network-keystore.json";

/// Why a key could not be made, stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read keystore {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file or its directory cannot be written.
    #[error("cannot write keystore {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is a key already; it stays.
    #[error("keystore {} exists already and is never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Longer than any keystore.
    #[error("keystore {} is larger than {bytes_max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Largest that is read.
        bytes_max: u64,
    },
    /// The content is wrong, or the password.
    #[error("keystore {}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ContainerError,
    },
}

/// A node's secrets, in memory. The BLS key is wiped when dropped.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs statements and proofs of possession.
    pub bls: SecretKey,
    /// Proves the peer id to other members.
    pub network: Keypair,
}

impl NodeKeys {
    /// Makes both keys from the operating system's randomness and stores them under one password. The directory is
    /// created if needed. Two key derivations.
    ///
    /// # Errors
    /// [`Error::Exists`] when either file is there; then neither is written. [`Error::Write`].
    pub fn create(directory: &Path, password: &Password, kdf: Kdf) -> Result<Self, Error> {
        let (member_path, network_path) = (directory.join(MEMBER_FILE), directory.join(NETWORK_FILE));
        for path in [&member_path, &network_path] {
            if path.symlink_metadata().is_ok() {
                return Err(Error::Exists { path: path.clone() });
            }
        }
        let in_file = |source| Error::Content { path: member_path.clone(), source };
        let bls = SecretKey::generate(random_secret().map_err(in_file)?.as_slice())
            .expect("32 bytes are enough key material");
        let mut seed = random_secret().map_err(in_file)?;
        let network_secret = Zeroizing::new(*seed);
        let network = Keypair::ed25519_from_bytes(&mut *seed).expect("every 32 bytes are an ed25519 seed");
        file::create_directory(directory)?;
        store::<SecretKey>(&member_path, &bls.to_bytes(), password, kdf)?;
        store::<Keypair>(&network_path, &network_secret, password, kdf).inspect_err(|_| {
            // Nobody has seen this key yet, and half a directory would block the next attempt.
            let _ = std::fs::remove_file(&member_path);
        })?;
        Ok(NodeKeys { bls, network })
    }

    /// Opens both keys. Two key derivations.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Content`], with [`ContainerError::WrongPassword`] for a wrong password.
    pub fn load(directory: &Path, password: &Password) -> Result<Self, Error> {
        let bls = open::<SecretKey>(&directory.join(MEMBER_FILE), password)?;
        let network = open::<Keypair>(&directory.join(NETWORK_FILE), password)?;
        Ok(NodeKeys { bls, network })
    }
}

/// Makes a submitter key and stores it in a new file. One key derivation.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn create_submitter(path: &Path, password: &Password, kdf: Kdf) -> Result<SubmitterKey, Error> {
    let in_file = |source| Error::Content { path: path.into(), source };
    // A random 32-byte number is above the group order once in 2^128: worth an error, not a loop.
    let secret = random_secret().map_err(in_file)?;
    let key = SubmitterKey::from_secret(&secret).map_err(in_file)?;
    store::<SubmitterKey>(path, &secret, password, kdf)?;
    Ok(key)
}

/// Opens a submitter key. One key derivation.
///
/// # Errors
/// [`Error::Read`]; [`Error::Content`], with [`ContainerError::WrongPassword`] for a wrong password.
pub fn load_submitter(path: &Path, password: &Password) -> Result<SubmitterKey, Error> {
    open(path, password)
}

/// What a keystore file says about itself without its password. Nobody vouches for it until the file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatedKey {
    /// A member's BLS public key: a valid point.
    Member(PublicKeyBytes),
    /// A node's peer id.
    Network(PeerId),
    /// A submitter's address.
    Submitter(Address),
}

impl StatedKey {
    /// Reads the public part of any keystore file.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Content`] when the public key is of no kind we write.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let in_file = |source| Error::Content { path: path.into(), source };
        let container = Container::parse(&file::read(path)?).map_err(in_file)?;
        Self::parse(&container.pubkey).map_err(in_file)
    }

    fn parse(text: &str) -> Result<Self, ContainerError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = hex::decode(digits).map_err(|_| ContainerError::Hex { field: "pubkey" })?;
        let not_a = |expected| ContainerError::NotAKey { expected };
        if let Ok(bytes) = <[u8; 96]>::try_from(bytes.as_slice()) {
            let key = PublicKeyBytes(bytes);
            key.decode().map_err(|_| not_a("BLS12-381 G2 public"))?;
            return Ok(Self::Member(key));
        }
        if let Ok(bytes) = <[u8; 20]>::try_from(bytes.as_slice()) {
            return Ok(Self::Submitter(Address(bytes)));
        }
        let key = ed25519::PublicKey::try_from_bytes(&bytes)
            .map_err(|_| not_a("BLS12-381 G2 public, ed25519 public or address"))?;
        Ok(Self::Network(libp2p::identity::PublicKey::from(key).to_peer_id()))
    }
}

/// A kind of key that the container carries.
trait StoredKey: Sized {
    const DESCRIPTION: &'static str;

    fn from_secret(secret: &[u8; SECRET_BYTES]) -> Result<Self, ContainerError>;

    /// What `pubkey` in the file must say.
    fn public_part(&self) -> Vec<u8>;
}

impl StoredKey for SecretKey {
    const DESCRIPTION: &'static str = "Validium DAC member: BLS12-381 signing key, public key in G2";

    fn from_secret(secret: &[u8; SECRET_BYTES]) -> Result<Self, ContainerError> {
        SecretKey::from_bytes(secret).map_err(|_| ContainerError::NotAKey { expected: "BLS12-381" })
    }

    fn public_part(&self) -> Vec<u8> {
        self.public_key().to_bytes().0.to_vec()
    }
}

impl StoredKey for Keypair {
    const DESCRIPTION: &'static str = "Validium DAC member: libp2p ed25519 key";

    fn from_secret(secret: &[u8; SECRET_BYTES]) -> Result<Self, ContainerError> {
        let mut seed = Zeroizing::new(*secret);
        Keypair::ed25519_from_bytes(&mut *seed).map_err(|_| ContainerError::NotAKey { expected: "ed25519" })
    }

    fn public_part(&self) -> Vec<u8> {
        let public = self.public().try_into_ed25519().expect("made from an ed25519 seed");
        public.to_bytes().to_vec()
    }
}

impl StoredKey for SubmitterKey {
    const DESCRIPTION: &'static str = "Validium DAC rollup: secp256k1 submitter key, public key as address";

    fn from_secret(secret: &[u8; SECRET_BYTES]) -> Result<Self, ContainerError> {
        SubmitterKey::from_bytes(secret).map_err(|_| ContainerError::NotAKey { expected: "secp256k1" })
    }

    fn public_part(&self) -> Vec<u8> {
        self.address().0.to_vec()
    }
}

fn store<K: StoredKey>(
    path: &Path,
    secret: &[u8; SECRET_BYTES],
    password: &Password,
    kdf: Kdf,
) -> Result<(), Error> {
    let in_file = |source| Error::Content { path: path.into(), source };
    let public_key = hex::encode(K::from_secret(secret).map_err(in_file)?.public_part());
    let container = Container::seal(secret, public_key, K::DESCRIPTION, password, kdf).map_err(in_file)?;
    file::write_new(path, &container.to_text())
}

fn open<K: StoredKey>(path: &Path, password: &Password) -> Result<K, Error> {
    let in_file = |source| Error::Content { path: path.into(), source };
    let container = Container::parse(&file::read(path)?).map_err(in_file)?;
    let secret = container.open(password).map_err(in_file)?;
    let key = K::from_secret(&secret).map_err(in_file)?;
    container.check_public_key(&key.public_part()).map_err(in_file)?;
    Ok(key)
}

fn random_secret() -> Result<Zeroizing<[u8; SECRET_BYTES]>, ContainerError> {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(&mut *secret).map_err(|error| ContainerError::Random(error.to_string()))?;
    Ok(secret)
}

#[cfg(test)]
mod tests;
