//! The data-availability committee's node and its command line.
//!
//! A node is one member: it takes part in exchanges ([`dac_node_engine`]), keeps what it signed ([`dac_node_store`]),
//! talks to the other members ([`net`]) and to rollups ([`api`]). The engine decides, [`node`] performs; nothing else
//! holds protocol state.
//!
//! Read [`service`] for the words, [`dac_node_engine`] for the protocol, [`node`] for how it runs.

pub mod api;
pub mod chain_member;
pub mod cli;
pub mod clock;
pub mod compute;
pub mod config;
pub mod custody;
pub mod devnet;
pub mod hash_engine;
pub mod kernel;
pub mod keystore;
pub mod member;
pub mod metrics;
pub mod net;
pub mod node;
pub mod service;
pub mod settlement;
pub mod telemetry;
