#!/usr/bin/env bash
# Cargo calls this for our own packages (RUSTC_WORKSPACE_WRAPPER) with rustc and its arguments: one build compiles them,
# finds clippy's lints and checks their documentation, against what is being built anyway. `cargo doc` would compile the
# metadata of every dependency a second time.
# bash, because sh forgets variables like CARGO_BIN_EXE_rtl-sim, whose names it cannot say.
set -eu

name= type= test= previous=
for argument; do
  case $previous in
    --crate-name) name=$argument ;;
    --crate-type) type=$argument ;;
  esac
  [ "$argument" != --test ] || test=test
  previous=$argument
done

# These packages are optimised for the tests of others; what compiles their own tests optimised costs more than it saves.
case $name/$test in
  attest/test | dac_node_engine/test | dac_node_store/test | fpga_cores/test) set -- "$@" -C opt-level=0 ;;
esac
clippy-driver "$@"

# Not documented: tests and benches, which have no type; what cargo asks the compiler about itself; build scripts.
case $name/$type in */ | /* | ___/* | build_script_*) exit ;; esac

# The same arguments without those of rustc alone.
shift
count=$#
while [ "$count" -gt 0 ]; do
  case $1 in
    --emit=*) ;;
    --out-dir) folder=$2; shift; count=$((count - 1)) ;;
    *) set -- "$@" "$1" ;;
  esac
  shift
  count=$((count - 1))
done
[ "$type" != bin ] || set -- "$@" --document-private-items
exec rustdoc "$@" -D warnings --out-dir "$folder/../doc"
