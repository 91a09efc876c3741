//! Who hashes for the node: software, or a device with software behind it.
//!
//! Promise: a device that fails or lies costs time, never a batch. What a device computed is not believed against a peer:
//! when a check fails on its digests, software decides ([`HashEngine::judge`]).

use std::sync::Arc;

use anyhow::Context;
use fpga::{Accelerator, AcceleratorConfig, AcceleratorStatus, DeviceName};
use fpga_hash::{Hasher, Work};

use crate::config::HashConfig;

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
        let recheck_one_in = config.recheck_one_in;
        let accelerator = AcceleratorConfig { software, recheck_one_in, ..AcceleratorConfig::default() };
        let accelerator =
            Arc::new(Accelerator::start(device, accelerator).context("no thread for the hash device")?);
        Ok(HashEngine { hasher: accelerator.clone(), accelerator: Some(accelerator) })
    }

    /// What hashes.
    pub fn hasher(&self) -> &Arc<dyn Hasher> {
        &self.hasher
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
}

#[cfg(test)]
mod tests {
    use fpga::FaultKind;
    use fpga::link::{Listener, serve};

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
