#!/usr/bin/env bash
# Seen with: ring 0.17.14, cargo 1.95.0.
#
# ring's build script names cargo's own variables (CARGO_MANIFEST_DIR, CARGO_PKG_NAME, CARGO_PKG_VERSION_*) as inputs
# (`cargo:rerun-if-env-changed`). Cargo sets them for what it builds, but compares with what it was itself started with. A
# cargo that is started by a program which `cargo run` started (every `cargo xtask …` that builds something) inherits the
# values of that program's package. So each change between `cargo build` and `cargo xtask …` builds ring again, and with it
# rustls and all that stands on rustls, although nothing changed: minutes for a proxy. For a tool of that kind it
# means: take these variables out of the environment before starting cargo.
set -u
version=0.17.14
work=$(mktemp -d) || exit 77
trap 'rm -rf "$work"' EXIT
command -v cargo >/dev/null && command -v cc >/dev/null || { echo "cargo or a C compiler is missing"; exit 77; }
mkdir -p "$work/src" && cd "$work" || exit 77
printf '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nring = "=%s"\n[workspace]\n' "$version" >Cargo.toml
echo 'fn main() { let _ = ring::digest::digest(&ring::digest::SHA256, b""); }' >src/main.rs
clean=(env -u CARGO_MANIFEST_DIR -u CARGO_PKG_NAME -u CARGO_PKG_VERSION_MAJOR -u CARGO_PKG_VERSION_MINOR -u CARGO_PKG_VERSION_PATCH -u CARGO_PKG_VERSION_PRE)
export CARGO_TARGET_DIR=$work/target CARGO_TERM_COLOR=never
"${clean[@]}" cargo build --quiet 2>"$work/first" || { cat "$work/first"; exit 77; }

built() { grep -c "Compiling ring v$version" "$1"; }
"${clean[@]}" cargo build 2>"$work/again"
"${clean[@]}" env CARGO_MANIFEST_DIR=/elsewhere CARGO_PKG_NAME=caller cargo build 2>"$work/nested"
"${clean[@]}" cargo build 2>"$work/back"
echo "ring built anew: started again $(built "$work/again"), from another package's environment $(built "$work/nested"), back $(built "$work/back")"
[ "$(built "$work/again") $(built "$work/nested") $(built "$work/back")" = "0 1 1" ]
