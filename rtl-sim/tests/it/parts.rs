//! Small modules in one library: one call of Verilator and of the compiler for all.

use std::sync::OnceLock;

use fpga_cores::emit;
use fpga_cores::stream::fifo::Fifo;
use fpga_cores::stream::skid::SkidBuffer;
use fpga_cores::stream::width::{Narrow, ThroughBytes, Widen};
use fpga_cores::traps;
use rtl_sim::{PartsLibrary, default_directory};

/// Streams and traps.
pub(crate) fn library() -> &'static PartsLibrary {
    static LIBRARY: OnceLock<PartsLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut parts = vec![
            emit::pipe::<SkidBuffer>("skid_buffer").unwrap(),
            emit::pipe::<Fifo<1, 2>>("fifo_2").unwrap(),
            emit::pipe::<Fifo<3, 4>>("fifo_8").unwrap(),
            emit::pipe::<Narrow>("narrow").unwrap(),
            emit::pipe::<Widen>("widen").unwrap(),
            emit::pipe::<ThroughBytes>("through_bytes").unwrap(),
            traps::wrapper::one_core_twice().unwrap(),
        ];
        parts.extend(traps::cases().into_iter().map(|case| case.design));
        let built = PartsLibrary::build(&parts, &default_directory());
        built.unwrap_or_else(|error| panic!("{error}"))
    })
}
