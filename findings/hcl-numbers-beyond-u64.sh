#!/usr/bin/env bash
# hcl-edit 0.9.9 (crates.io) takes no whole number from 2^64 on: the file is a fault of syntax, told at the name of the
# attribute and not at the number ("invalid block body; expected `}`, newline or identifier"), wherever it stands.
# HCL's numbers have no such bound (specification, "Numeric Literals": arbitrary precision), and python-hcl2 8.1.2 takes it.
# For a load balancer: one account number or hash in a block that it never looks at keeps a whole folder from loading.
# Seen 2026-11-28 with Rust 1.95 and Python 3.11:
#   hcl-edit 18446744073709551615: taken
#   hcl-edit 18446744073709551616: 2:3 invalid block body; expected `}`, newline or identifier
#   python-hcl2 18446744073709551616: 18446744073709551616
set -euo pipefail
command -v cargo >/dev/null && command -v python3 >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"
[dependencies]
hcl-edit = "=0.9.9"
[workspace]
TOML
cat >src/main.rs <<'RUST'
fn main() {
    for number in ["18446744073709551615", "18446744073709551616"] {
        let text = format!("provider \"x\" {{\n  account = {number}\n}}\n");
        match hcl_edit::parser::parse_body(&text) {
            Ok(_) => println!("hcl-edit {number}: taken"),
            Err(error) => {
                let place = error.location();
                println!("hcl-edit {number}: {}:{} {}", place.line(), place.column(), error.message());
            }
        }
    }
}
RUST
cat >seen.py <<'PYTHON'
import hcl2
value = hcl2.loads('provider "x" {\n  account = 18446744073709551616\n}\n')["provider"][0]
value = next(iter(value.values()))
print("python-hcl2 18446744073709551616:", value["account"])
PYTHON
env -u CARGO_TARGET_DIR cargo run --quiet >seen || exit 77
python3 -m venv venv && venv/bin/pip install --quiet python-hcl2==8.1.2 || exit 77
venv/bin/python seen.py >>seen
cat seen
cat >wanted <<'TEXT'
hcl-edit 18446744073709551615: taken
hcl-edit 18446744073709551616: 2:3 invalid block body; expected `}`, newline or identifier
python-hcl2 18446744073709551616: 18446744073709551616
TEXT
diff wanted seen
