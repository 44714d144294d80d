#!/usr/bin/env bash
# Versions: getrandom 0.4.3 from crates.io, Rust's x86_64-unknown-linux-gnu, glibc 2.36 (Debian 12). Linked with
# `-C target-feature=+crt-static`, `getrandom::fill` does not call getrandom(2): it looks the function up in the C library with dlsym,
# which finds nothing in a static program, and opens /dev/urandom instead. In a root without /dev it fails with ENOENT, where the
# system call itself, in the same program, gives its bytes.
# Seen: "static, empty root: crate: failed os error 2; system call: 16 bytes", "dynamic, whole root: crate: ok; system call: 16 bytes".
# For a load balancer: one that is handed out as a static program, so that it runs from an empty root, makes no keys there, and
# everything else works, so that it is not seen where it was built.
set -euo pipefail
command -v cargo >/dev/null || { echo "no cargo here"; exit 77; }
[ "$(uname -m)" = x86_64 ] || { echo "another machine: $(uname -m)"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "chroot takes root"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "random"
version = "0.0.0"
edition = "2021"
[dependencies]
getrandom = "=0.4.3"
libc = "=0.2.191"
[workspace]
TOML
cat >src/main.rs <<'RS'
fn main() {
    let mut bytes = [0_u8; 16];
    let filled = match getrandom::fill(&mut bytes) {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("failed os error {}", error.raw_os_error().unwrap_or(0)),
    };
    let called = unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), 0) };
    println!("crate: {filled}; system call: {called} bytes");
}
RS
build() { env -u CARGO_TARGET_DIR RUSTFLAGS="$1" cargo build --quiet --target x86_64-unknown-linux-gnu --target-dir "$2"; }
build "" dynamic && build "-C target-feature=+crt-static" static || { echo "cannot be built here"; exit 77; }
mkdir root
cp static/x86_64-unknown-linux-gnu/debug/random root/
empty=$(chroot root /random)
whole=$(dynamic/x86_64-unknown-linux-gnu/debug/random)
echo "static, empty root: $empty"
echo "dynamic, whole root: $whole"
[ "$empty" = "crate: failed os error 2; system call: 16 bytes" ] && [ "$whole" = "crate: ok; system call: 16 bytes" ]
