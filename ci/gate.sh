#!/usr/bin/env bash
# What a change must pass. The last command is the README's: with the toolchain installed it is the whole of it.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
  printf '\n== %s\n' "$*"
  "$@"
}

run cargo fmt --all --check
run cargo clippy --workspace --all-targets --locked -- -D warnings
run env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
run cargo test
