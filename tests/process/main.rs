//! Members as processes, as the gate runs them: under two minutes. `NIGHTLY=1` makes a thousand kills; `KILLS=n` any number.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod clock;
mod damage;
mod disk;
mod flood;
mod frozen;
mod killed;
mod l1;
mod load;
mod network;
mod shared;
