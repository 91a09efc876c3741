//! The API over a real loopback listener, with a backend in memory that signs real certificates.

mod disturbed;
mod documents;
mod memory;
mod read;
mod server;
mod submit;
