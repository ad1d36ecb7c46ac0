#!/bin/sh
# Builds a crate with a dependency beside it, runs it, and builds it again after a change. Usage: cargo.sh FOLDER
set -eu
cd "$1"
export CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
unset CARGO_TARGET_DIR
mkdir -p app/src dependency/src
printf '[package]\nname = "dependency"\nversion = "0.1.0"\nedition = "2021"\n' >dependency/Cargo.toml
echo 'pub fn answer() -> u32 { 41 }' >dependency/src/lib.rs
printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\ndependency = { path = "../dependency" }\n' >app/Cargo.toml
echo 'fn main() { println!("{}", dependency::answer() + 1); }' >app/src/main.rs
cd app
cargo build --quiet
[ "$(target/debug/app)" = 42 ]
[ -z "$(cargo build --verbose 2>&1 | grep Compiling)" ] || { echo 'built again, though nothing had changed'; exit 1; }
sed -i 's/41/99/' ../dependency/src/lib.rs
cargo build --quiet
[ "$(target/debug/app)" = 100 ]
