//! Vectors of EIP-2335, hostile files, and what must never happen to a key.

use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The password of the vectors: mathematical Fraktur letters that NFKD folds to `testpassword`, and a key.
const VECTOR_PASSWORD: &str = "\u{1d531}\u{1d522}\u{1d530}\u{1d531}\u{1d52d}\u{1d51e}\u{1d530}\u{1d530}\u{1d534}\
                               \u{1d52c}\u{1d52f}\u{1d521}\u{1f511}";
const VECTOR_SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
const VECTOR_SALT: &str = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";

fn vector(kdf: Value, checksum: &str, cipher: &str) -> Value {
    json!({
        "crypto": {
            "kdf": kdf,
            "checksum": { "function": "sha256", "params": {}, "message": checksum },
            "cipher": {
                "function": "aes-128-ctr",
                "params": { "iv": "264daa3f303d7259501c93d997d84fe6" },
                "message": cipher,
            },
        },
        "description": "a vector of EIP-2335",
        "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
        "path": "m/12381/60/3141592653/589793238",
        "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
        "version": 4,
    })
}

fn scrypt_vector() -> Value {
    vector(
        json!({
            "function": "scrypt",
            "params": { "dklen": 32, "n": 262_144, "p": 1, "r": 8, "salt": VECTOR_SALT },
            "message": "",
        }),
        "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484",
        "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
    )
}

fn pbkdf2_vector() -> Value {
    vector(
        json!({
            "function": "pbkdf2",
            "params": { "dklen": 32, "c": 262_144, "prf": "hmac-sha256", "salt": VECTOR_SALT },
            "message": "",
        }),
        "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1",
        "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad",
    )
}

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

fn parse(file: &Value) -> Result<Container, ContainerError> {
    Container::parse(file.to_string().as_bytes())
}

fn open_with(file: &Value, text: &str) -> Result<String, ContainerError> {
    parse(file)?.open(&password(text)).map(|secret| hex::encode(*secret))
}

#[test]
fn opens_the_scrypt_vector_of_the_eip() {
    assert_eq!(open_with(&scrypt_vector(), VECTOR_PASSWORD).unwrap(), VECTOR_SECRET);
}

#[test]
fn opens_the_pbkdf2_vector_of_the_eip() {
    assert_eq!(open_with(&pbkdf2_vector(), VECTOR_PASSWORD).unwrap(), VECTOR_SECRET);
}

#[test]
fn vector_is_refused_as_a_member_key_because_its_public_key_is_in_g1() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vector.json");
    std::fs::write(&path, pbkdf2_vector().to_string()).unwrap();
    let found = open::<SecretKey>(&path, &password(VECTOR_PASSWORD));
    assert!(
        matches!(&found, Err(Error::Content { source: ContainerError::PublicKeyMismatch { .. }, .. })),
        "{found:?}"
    );
}

#[test]
fn password_is_folded_and_stripped_of_control_codes() {
    assert_eq!(
        password(VECTOR_PASSWORD).as_bytes(),
        hex::decode("7465737470617373776f7264f09f9491").unwrap()
    );
    // C0, DEL and C1 vanish; a space stays.
    assert_eq!(password("a\u{0}\u{1f}\t\n\u{7f}\u{80}\u{9f} b").as_bytes(), b"a b");
    assert!(matches!(Password::new("\n\u{7f}"), Err(PasswordError::Empty { .. })));
    assert!(matches!(Password::new(&"x".repeat(1025)), Err(PasswordError::TooLong { .. })));
}

#[test]
fn password_file_is_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Password::from_file(&path)
    };
    assert_eq!(read(b"correct horse\n").unwrap().as_bytes(), b"correct horse");
    assert_eq!(read(b"correct horse\r\n").unwrap().as_bytes(), b"correct horse");
    assert!(matches!(read(b"one\ntwo\n"), Err(PasswordError::SeveralLines { .. })));
    assert!(matches!(read(b"\n"), Err(PasswordError::Empty { .. })));
    assert!(matches!(read(b"\xff"), Err(PasswordError::NotText { .. })));
    assert!(matches!(read(&vec![b'x'; 1 << 20]), Err(PasswordError::TooLong { .. })));
    assert!(matches!(Password::from_file(&path.join("none")), Err(PasswordError::Read { .. })));
    let error = read(&[b"secret word ".as_slice(), &[0xff]].concat()).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// Each entry: where in the file, what is put there.
fn hostile_changes() -> Vec<(&'static str, Value)> {
    vec![
        ("/crypto/kdf/params/n", json!(1_u64 << 40)),
        ("/crypto/kdf/params/n", json!(1_u64 << 23)),
        ("/crypto/kdf/params/n", json!(262_143)),
        ("/crypto/kdf/params/n", json!(0)),
        ("/crypto/kdf/params/n", json!(1)),
        ("/crypto/kdf/params/n", json!(-2)),
        ("/crypto/kdf/params/n", json!(1e30)),
        ("/crypto/kdf/params/r", json!(0)),
        ("/crypto/kdf/params/r", json!(65)),
        ("/crypto/kdf/params/r", json!(1_u64 << 30)),
        ("/crypto/kdf/params/p", json!(0)),
        ("/crypto/kdf/params/p", json!(64)),
        ("/crypto/kdf/params/p", json!(u64::MAX)),
        ("/crypto/kdf/params/dklen", json!(31)),
        ("/crypto/kdf/params/dklen", json!(1_u64 << 40)),
        ("/crypto/kdf/params/salt", json!("")),
        ("/crypto/kdf/params/salt", json!("zz")),
        ("/crypto/kdf/params/salt", json!("00".repeat(129))),
        ("/crypto/kdf/function", json!("argon2id")),
        ("/crypto/kdf/params", json!(null)),
        ("/crypto/checksum/function", json!("keccak256")),
        ("/crypto/checksum/message", json!("00")),
        ("/crypto/cipher/function", json!("aes-256-gcm")),
        ("/crypto/cipher/message", json!("00".repeat(33))),
        ("/crypto/cipher/params", json!({})),
        ("/crypto/cipher/params/iv", json!("00".repeat(15))),
        ("/version", json!(3)),
        ("/version", json!("4")),
        ("/crypto", json!([])),
    ]
}

#[test]
fn rejects_hostile_fields_before_deriving_a_key() {
    for (pointer, value) in hostile_changes() {
        let mut file = scrypt_vector();
        *file.pointer_mut(pointer).unwrap() = value.clone();
        let found = open_with(&file, VECTOR_PASSWORD);
        // A wrong password would mean that the derivation ran on the hostile parameter.
        assert!(
            !matches!(found, Ok(_) | Err(ContainerError::WrongPassword)),
            "{pointer} = {value} gave {found:?}"
        );
    }
}

#[test]
fn rejects_hostile_pbkdf2_fields() {
    for (pointer, value) in [
        ("/crypto/kdf/params/c", json!(0)),
        ("/crypto/kdf/params/c", json!(u64::MAX)),
        ("/crypto/kdf/params/c", json!(100_000_000)),
        ("/crypto/kdf/params/prf", json!("hmac-md5")),
    ] {
        let mut file = pbkdf2_vector();
        *file.pointer_mut(pointer).unwrap() = value;
        let found = open_with(&file, VECTOR_PASSWORD);
        assert!(
            matches!(found, Err(ContainerError::KdfParameter { .. } | ContainerError::Unsupported { .. })),
            "{found:?}"
        );
    }
}

#[test]
fn rejects_file_larger_than_any_keystore_without_reading_it_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(MEMBER_FILE);
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(StatedKey::read(&path), Err(Error::TooLarge { .. })));
}

/// A key directory and what is in it.
struct Fixture {
    temporary: tempfile::TempDir,
    keys: NodeKeys,
}

impl Fixture {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let keys = NodeKeys::create(&temporary.path().join("keys"), &password("devnet"), Kdf::WeakForDevnet)
            .unwrap();
        Fixture { temporary, keys }
    }

    fn directory(&self) -> PathBuf {
        self.temporary.path().join("keys")
    }

    fn member_file(&self) -> PathBuf {
        self.directory().join(MEMBER_FILE)
    }
}

#[test]
fn loads_the_keys_that_it_created() {
    let fixture = Fixture::new();
    let loaded = NodeKeys::load(&fixture.directory(), &password("devnet")).unwrap();
    assert_eq!(loaded.bls.public_key(), fixture.keys.bls.public_key());
    assert_eq!(loaded.network.public(), fixture.keys.network.public());
}

#[test]
fn states_public_keys_without_a_password() {
    let fixture = Fixture::new();
    let member = StatedKey::read(&fixture.member_file()).unwrap();
    assert_eq!(member, StatedKey::Member(fixture.keys.bls.public_key().to_bytes()));
    let network = StatedKey::read(&fixture.directory().join(NETWORK_FILE)).unwrap();
    assert_eq!(network, StatedKey::Network(fixture.keys.network.public().to_peer_id()));
}

#[test]
fn rejects_wrong_password() {
    let fixture = Fixture::new();
    let found = NodeKeys::load(&fixture.directory(), &password("devnot"));
    assert!(matches!(found, Err(Error::Content { source: ContainerError::WrongPassword, .. })), "{found:?}");
}

#[test]
fn files_are_for_their_owner_only_and_nothing_else_is_left() {
    let fixture = Fixture::new();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.directory()), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(fixture.directory()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600);
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, [MEMBER_FILE, NETWORK_FILE]);
}

#[test]
fn never_overwrites_a_key() {
    let temporary = tempfile::tempdir().unwrap();
    for taken in [MEMBER_FILE, NETWORK_FILE] {
        let directory = temporary.path().join(taken);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join(taken), "precious").unwrap();
        let found = NodeKeys::create(&directory, &password("devnet"), Kdf::WeakForDevnet);
        assert!(matches!(found, Err(Error::Exists { .. })), "{found:?}");
        assert_eq!(std::fs::read_to_string(directory.join(taken)).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    }
    let path = temporary.path().join("submitter.json");
    let first = create_submitter(&path, &password("devnet"), Kdf::WeakForDevnet).unwrap();
    let second = create_submitter(&path, &password("devnet"), Kdf::WeakForDevnet);
    assert!(matches!(second, Err(Error::Exists { .. })), "{second:?}");
    assert_eq!(load_submitter(&path, &password("devnet")).unwrap().address(), first.address());
    assert_eq!(StatedKey::read(&path).unwrap(), StatedKey::Submitter(first.address()));
}

#[test]
fn rejects_a_key_of_another_kind() {
    let fixture = Fixture::new();
    let found = load_submitter(&fixture.member_file(), &password("devnet"));
    assert!(
        matches!(found, Err(Error::Content { source: ContainerError::PublicKeyMismatch { .. }, .. })),
        "{found:?}"
    );
}

#[test]
fn rejects_every_changed_byte_of_the_ciphertext_and_the_checksum() {
    let fixture = Fixture::new();
    let text = std::fs::read(fixture.directory().join(NETWORK_FILE)).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    for pointer in ["/crypto/cipher/message", "/crypto/checksum/message"] {
        for byte in [0, 15, 31] {
            let mut changed = file.clone();
            let value = changed.pointer_mut(pointer).unwrap();
            let mut bytes = hex::decode(value.as_str().unwrap()).unwrap();
            bytes[byte] ^= 1;
            *value = json!(hex::encode(bytes));
            let found = open_with(&changed, "devnet");
            assert!(matches!(found, Err(ContainerError::WrongPassword)), "{pointer} {byte}: {found:?}");
        }
    }
}

#[test]
fn rejects_a_changed_initial_counter_by_the_public_key() {
    let fixture = Fixture::new();
    let text = std::fs::read_to_string(fixture.member_file()).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let value = file.pointer_mut("/crypto/cipher/params/iv").unwrap();
    *value = json!("00".repeat(16));
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("changed.json");
    std::fs::write(&path, file.to_string()).unwrap();
    let found = open::<SecretKey>(&path, &password("devnet"));
    assert!(
        matches!(
            found,
            Err(Error::Content {
                source: ContainerError::PublicKeyMismatch { .. } | ContainerError::NotAKey { .. },
                ..
            })
        ),
        "{found:?}"
    );
}

#[test]
fn debug_and_files_hold_no_secret() {
    let fixture = Fixture::new();
    let secret = hex::encode(*fixture.keys.bls.to_bytes());
    let shown = format!("{:?} {:?}", fixture.keys, password("hunter2hunter2"));
    assert!(!shown.contains(&secret) && !shown.contains("hunter2"), "{shown}");
    let text = std::fs::read_to_string(fixture.member_file()).unwrap();
    assert!(!text.contains(&secret));
}

#[test]
fn standard_strength_is_that_of_the_eip() {
    let parameters = Kdf::Standard.fresh().unwrap().to_json();
    assert_eq!(
        (&parameters["n"], &parameters["r"], &parameters["p"]),
        (&json!(262_144), &json!(8), &json!(1))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn opens_what_it_sealed(secret: [u8; 32], text in "\\PC{1,20}") {
        let password = password(&text);
        let sealed = Container::seal(&secret, "00".into(), "", &password, Kdf::WeakForDevnet).unwrap();
        let read = Container::parse(sealed.to_text().as_bytes()).unwrap();
        prop_assert_eq!(*read.open(&password).unwrap(), secret);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = Container::parse(&bytes);
    }
}
