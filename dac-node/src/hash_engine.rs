//! Who hashes for the node: software, or a device with software behind it.
//!
//! Promise: a device that fails or lies costs time, never a batch and never a signature. What a device computed is not
//! believed against a peer: when a check fails on its digests, software decides ([`HashEngine::judge`]). And it is not
//! believed for a peer: what passed a check on its digests passes software's once more, wholly, before this member signs
//! it ([`HashEngine::vouch`]). So a device does the checks on arrival, while pieces come in, where being wrong costs time;
//! roots that are opened, signed, stored or served are software's.

use std::sync::Arc;

use anyhow::Context;
use dac_node_coding::{Coder, Commitment, DecodedBatch, Error, encode_and_root};
use fpga::{Accelerator, AcceleratorConfig, AcceleratorStatus, DeviceName};
use fpga_hash::{Hasher, Work};

use crate::config::HashConfig;

/// The pause before a device is tried again grows to this many times the first.
const REATTACH_PAUSES_MAX: u32 = 60;

/// The node's hash engine. Clones share it; so do members of one process, because a device has one owner.
#[derive(Clone, Debug)]
pub struct HashEngine {
    hasher: Arc<dyn Hasher>,
    accelerator: Option<Arc<Accelerator>>,
}

impl HashEngine {
    /// Starts the engine of a configuration, with its tables derived: not in the middle of the first batch. A device that is
    /// not there yet is no error: software hashes until it is.
    ///
    /// # Errors
    /// In words: an engine or a device name that does not exist.
    pub async fn start(config: &HashConfig) -> anyhow::Result<HashEngine> {
        let config = config.clone();
        // A self-test waits for its device.
        tokio::task::spawn_blocking(move || HashEngine::start_here(&config)).await?
    }

    fn start_here(config: &HashConfig) -> anyhow::Result<HashEngine> {
        let software = match config.engine.as_str() {
            "software" | "fpga" => fpga_hash::software(),
            name => fpga_hash::software_by_name(name).with_context(|| format!("hash.engine = {name:?}"))?,
        };
        let _tables_derived = fpga_hash::tree::data_root(&*software, &[0]);
        if config.engine != "fpga" {
            return Ok(HashEngine { hasher: software, accelerator: None });
        }
        let device = config.device.as_deref().context("hash.engine = \"fpga\" needs hash.device")?;
        let device: DeviceName = device.parse().context("hash.device")?;
        let accelerator = AcceleratorConfig {
            software,
            recheck_one_in: config.recheck_one_in,
            timeout: config.device_timeout,
            reattach_after: config.reattach_after,
            reattach_after_max: config.reattach_after * REATTACH_PAUSES_MAX,
            ..AcceleratorConfig::default()
        };
        let accelerator =
            Arc::new(Accelerator::start(device, accelerator).context("no thread for the hash device")?);
        Ok(HashEngine { hasher: accelerator.clone(), accelerator: Some(accelerator) })
    }

    /// What hashes.
    pub fn hasher(&self) -> &Arc<dyn Hasher> {
        &self.hasher
    }

    /// What hashes where a wrong digest would be signed, stored or served.
    pub fn software(&self) -> &Arc<dyn Hasher> {
        self.accelerator.as_ref().map_or(&self.hasher, |accelerator| accelerator.software())
    }

    /// How the device is doing; `None` without one.
    pub fn device(&self) -> Option<AcceleratorStatus> {
        self.accelerator.as_ref().map(|accelerator| accelerator.status())
    }

    /// What each engine has done, by its name: with a device, software's share too.
    pub fn work(&self) -> Vec<(&'static str, Work)> {
        let software = self.accelerator.iter().map(|accelerator| accelerator.software());
        let engines = std::iter::once(&self.hasher).chain(software);
        engines.map(|engine| (engine.engine(), engine.work())).collect()
    }

    /// Runs a check whose failure accuses somebody. With a device the failure counts only when software finds it, too; when
    /// it does not, the device is detached.
    ///
    /// # Errors
    /// What `check` says, at last by software.
    pub fn judge<T, E>(&self, check: impl Fn(&dyn Hasher) -> Result<T, E>) -> Result<T, E> {
        let first = check(&*self.hasher);
        let (Some(accelerator), true) = (&self.accelerator, first.is_err()) else { return first };
        let second = check(&**accelerator.software());
        if second.is_ok() {
            accelerator.distrust();
        }
        second
    }

    /// The last step before a signature: with a device, the whole batch is encoded and hashed once more in software.
    /// dataHash and dataRoot are software's already. A device whose word would have been signed wrongly is detached.
    ///
    /// Cost with a device: one encoding and `n / k` batches of leaf hashing in software, on the pool it is called in.
    /// Nothing without one: then software did every check.
    ///
    /// # Errors
    /// [`Error::CommitmentMismatch`].
    pub fn vouch(&self, coder: &Coder, decoded: DecodedBatch) -> Result<DecodedBatch, Error> {
        let Some(accelerator) = &self.accelerator else { return Ok(decoded) };
        let checked = check_again(&**accelerator.software(), coder, &decoded);
        checked.inspect_err(|_| accelerator.distrust()).map(|()| decoded)
    }
}

/// Encodes and hashes a batch again in software: its shardsRoot must be the one that its pieces were checked against.
///
/// # Errors
/// [`Error::CommitmentMismatch`]: the announced root is not that of these bytes, whatever the checks on arrival said.
fn check_again(software: &dyn Hasher, coder: &Coder, decoded: &DecodedBatch) -> Result<(), Error> {
    let expected = decoded.commitments.shards_root;
    let found = encode_and_root(software, coder, decoded.piece_roots.layout(), &decoded.batch).shards_root();
    if found == expected {
        return Ok(());
    }
    let (expected, found) = (expected.0, found.0);
    Err(Error::CommitmentMismatch { which: Commitment::ShardsRoot, expected, found })
}

#[cfg(test)]
mod tests {
    use attest::{DataHash, SeatIndex, ShardsRoot};
    use dac_node_coding::{BatchAssembler, Layout, Piece, PieceRoots, commit, decode_stripe};
    use fpga::FaultKind;
    use fpga::link::{Listener, serve};
    use fpga_hash::{Digest, FieldElement};

    use super::*;

    /// An engine on a model of the device behind a socket.
    fn on_model(directory: &std::path::Path) -> HashEngine {
        let device = DeviceName::Unix(directory.join("card"));
        let listener = Listener::bind(&device).unwrap();
        std::thread::spawn(move || {
            let mut model = fpga::Model::keccak();
            while let Ok(pipe) = listener.accept() {
                serve(&pipe, &mut model).unwrap();
            }
        });
        let config =
            HashConfig { engine: "fpga".into(), device: Some(device.to_string()), ..HashConfig::default() };
        HashEngine::start_here(&config).unwrap()
    }

    #[test]
    fn software_decides_when_a_check_fails_on_a_device() {
        let directory = tempfile::tempdir().unwrap();
        let engine = on_model(directory.path());
        let accuse = |hasher: &dyn Hasher| if hasher.engine() == "fpga" { Err("liar") } else { Ok(7) };
        assert!(engine.device().is_some_and(|device| device.is_attached));
        assert_eq!(engine.judge(accuse), Ok(7));
        let device = engine.device().unwrap();
        assert_eq!(device.faults_of(FaultKind::WrongDigest), 1, "{device:?}");
        assert_eq!(engine.judge(|_| Err::<(), _>("true")), Err("true"), "a lie that software finds, too");
        assert_eq!(engine.device().unwrap().faults_of(FaultKind::WrongDigest), 1);
    }

    /// A hasher that takes one leaf for another.
    #[derive(Debug)]
    struct Mistaken {
        honest: Vec<u8>,
        instead: Digest,
    }

    impl Hasher for Mistaken {
        fn engine(&self) -> &'static str {
            "mistaken"
        }

        fn keccak256(&self, messages: &[&[u8]], digests: &mut [Digest]) {
            fpga_hash::software().keccak256(messages, digests);
        }

        fn keccak256_prefixed(&self, prefix: u8, item_bytes: usize, items: &[u8], digests: &mut [Digest]) {
            fpga_hash::software().keccak256_prefixed(prefix, item_bytes, items, digests);
            for (item, digest) in items.chunks(item_bytes).zip(digests) {
                if item == self.honest {
                    *digest = self.instead;
                }
            }
        }

        fn poseidon(&self, inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]) {
            fpga_hash::software().poseidon(inputs, width, digests);
        }

        fn work(&self) -> Work {
            Work::default()
        }
    }

    /// A batch whose announced parity is not the encoding, as a member decodes it whose device does not notice.
    fn decoded_by_a_mistaken_device(coder: &Coder) -> DecodedBatch {
        let software = fpga_hash::software();
        let batch: Vec<u8> = (0..2000u32).flat_map(u32::to_le_bytes).take(2000).collect();
        let layout = Layout::new(4, 2, batch.len() as u64).unwrap();
        let encoded = coder.encode_stripe(&layout, 0, &batch);
        let pieces: Vec<Vec<u8>> = (0..4).map(|index| encoded.bytes(index).to_vec()).collect();
        let leaf = 1024.min(pieces[3].len());
        let mut announced = pieces.clone();
        announced[3][0] ^= 1;
        let mut lie = [Digest::default()];
        software.keccak256_prefixed(0, leaf, &announced[3][..leaf], &mut lie);
        let slices: Vec<&[u8]> = announced.iter().map(Vec::as_slice).collect();
        let table = fpga_hash::tree::piece_roots(&*software, &slices);
        let root = fpga_hash::tree::merkle_root_of_digests(&*software, &table);
        let root = ShardsRoot(fpga_hash::tree::merkle_root_of_digests(&*software, &[root]));
        let roots = PieceRoots::from_bytes(&layout, table.as_flattened(), &root, &*software).unwrap();
        let device = Mistaken { honest: pieces[3][..leaf].to_vec(), instead: lie[0] };
        let piece = |index: u16| {
            let bytes = pieces[usize::from(index)].clone().into();
            let piece = Piece { stripe: 0, index, bytes, path: roots.path(0, index, &*software) };
            piece.check(&layout, &roots.shards_root(), &*software).unwrap()
        };
        let stripe = decode_stripe(coder, &layout, 0, &[piece(0), piece(1)], &device).unwrap();
        let mut assembler = BatchAssembler::new(&layout, Some(SeatIndex(1)));
        assembler.insert(&stripe);
        let data_hash = DataHash(fpga_hash::keccak256(&batch));
        assembler.finish_announced(data_hash, roots.shards_root(), &*software).unwrap()
    }

    #[test]
    fn what_a_device_took_for_right_is_not_signed_unless_software_agrees() {
        let directory = tempfile::tempdir().unwrap();
        let (engine, coder) = (on_model(directory.path()), Coder::new(4, 2).unwrap());
        let decoded = decoded_by_a_mistaken_device(&coder);
        let refused = engine.vouch(&coder, decoded.clone()).unwrap_err();
        assert!(
            matches!(refused, Error::CommitmentMismatch { which: Commitment::ShardsRoot, .. }),
            "{refused}"
        );
        let device = engine.device().unwrap();
        assert_eq!(device.faults_of(FaultKind::WrongDigest), 1, "{device:?}");
        // The same bytes with their true root are vouched for.
        let (_, roots) = commit(&**engine.software(), &coder, decoded.piece_roots.layout(), &decoded.batch);
        let mut right = decoded;
        right.commitments.shards_root = roots.shards_root();
        right.piece_roots = roots;
        engine.vouch(&coder, right).unwrap();
    }

    #[test]
    fn roots_that_are_opened_or_served_never_come_from_a_device() {
        let directory = tempfile::tempdir().unwrap();
        let engine = on_model(directory.path());
        assert!(engine.software().engine().starts_with("software-"));
        let without = HashEngine::start_here(&HashConfig::default()).unwrap();
        assert!(without.software().engine().starts_with("software-"));
    }

    #[test]
    fn work_names_the_device_and_the_software_behind_it() {
        let directory = tempfile::tempdir().unwrap();
        let engine = on_model(directory.path());
        let mut digests = [[0; 32]; 16];
        engine.hasher().keccak256_prefixed(1, 64, &[5; 1024], &mut digests);
        let work = engine.work();
        assert_eq!((work[0].0, work[0].1.keccak_hashes), ("fpga", 16));
        assert!(work[1].0.starts_with("software-"), "{work:?}");
    }

    #[test]
    fn a_device_that_is_not_there_leaves_the_node_in_software() {
        let config = HashConfig {
            engine: "fpga".into(),
            device: Some("unix:/nonexistent/card".into()),
            ..HashConfig::default()
        };
        let engine = HashEngine::start_here(&config).unwrap();
        let device = engine.device().unwrap();
        assert!(!device.is_attached && device.faults_of(FaultKind::Unavailable) > 0, "{device:?}");
    }
}
