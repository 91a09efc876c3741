//! The store against its promises: same answers as its twin, and every fault a disk can bring.

mod crash;
mod damage;
mod fixture;
mod full;
mod group;
mod prune;
mod real;
mod twin;
