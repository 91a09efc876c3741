//! The API over a loopback listener with a backend in memory.
