//! What the tests share: the simulated top, packets by hand, and reproducible randomness.

use std::sync::OnceLock;
use std::time::Duration;

use fpga::packet::{HEADER_BYTES, Header, Limits, checksum};
use fpga::registers::{CAPABILITIES, Capabilities};
use fpga::{Device, InProcess};
use rtl_sim::{Design, Library, Simulation, SimulationConfig, Stalls, Trace, default_directory};

/// Waits in this process end when the simulation has nothing to do, not by a clock.
pub(crate) const WAIT: Duration = Duration::ZERO;

pub(crate) type Simulated = InProcess<Simulation>;

/// The top, built once for all tests.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| build(Trace::Without))
}

/// The same with waveforms.
pub(crate) fn traced_library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| build(Trace::Fst))
}

fn build(trace: Trace) -> Library {
    let built = Library::build(&Design::accelerator().unwrap(), trace, &default_directory());
    built.unwrap_or_else(|error| panic!("{error}"))
}

/// The device, as after power-on.
pub(crate) fn device(stalls: Stalls) -> Simulated {
    let config = SimulationConfig { stalls, trace: None };
    InProcess::new(Simulation::start(library(), &config).unwrap())
}

/// What it can do.
pub(crate) fn limits(device: &mut Simulated) -> Limits {
    Capabilities::decode(device.reg_read(CAPABILITIES, WAIT).unwrap()).limits().unwrap()
}

/// A packet: the header with the payload's checksum, the payload, its fill.
pub(crate) fn packet(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(HEADER_BYTES), 0);
    let payload_crc32c = checksum(&bytes[HEADER_BYTES..]);
    bytes[..HEADER_BYTES].copy_from_slice(&Header { payload_crc32c, ..header }.encode());
    bytes
}

/// The next reply: its header, and its payload with the fill.
pub(crate) fn reply(device: &mut impl Device) -> Result<(Header, Vec<u8>), fpga::DeviceError> {
    let mut header = [0; HEADER_BYTES];
    device.read_stream(&mut header, WAIT)?;
    let header = Header::decode(&header).unwrap();
    header.check_reply().unwrap();
    let mut payload = vec![0; usize::try_from(header.padded_payload_bytes()).unwrap()];
    device.read_stream(&mut payload, WAIT)?;
    assert_eq!(checksum(&payload), header.payload_crc32c);
    Ok((header, payload))
}

/// splitmix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(count).collect()
    }
}
