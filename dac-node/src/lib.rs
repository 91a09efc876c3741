//! The data-availability committee's node and its command line.
//!
//! A node is one member: it takes part in exchanges ([`engine`]), keeps what it signed ([`store`]), talks to the other
//! members ([`net`]) and to rollups ([`api`]). [`engine`] decides, [`node`] performs; nothing else holds protocol state.
//!
//! Read [`service`] for the words, [`engine`] for the protocol, [`node`] for how it runs.

pub mod api;
pub mod chain_member;
pub mod cli;
pub mod clock;
pub mod compute;
pub mod config;
pub mod custody;
pub mod devnet;
pub mod engine;
pub mod hash_engine;
pub mod keystore;
pub mod member;
pub mod message;
pub mod metrics;
pub mod net;
pub mod node;
pub mod service;
pub mod settlement;
pub mod store;
pub mod telemetry;
