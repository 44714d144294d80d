//! The fuzz targets without a fuzzer: their seeds, and what is like them.

use std::{fs, path::Path};

#[path = "../../fuzz/src/targets.rs"]
mod targets;

/// Changed copies of each seed.
const COPIES: u32 = 200;

struct Random(u64);

impl Random {
    /// A number below `limit`, by xorshift64.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    /// The seed with a few bytes replaced, put in, left out or doubled.
    fn change(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let place = self.below(bytes.len());
            let byte = match self.below(2) {
                0 => b"\r\n\t ;=\"${}[],:0aF-%\\"[self.below(20)],
                _ => u8::try_from(self.below(256)).unwrap(),
            };
            match self.below(4) {
                0 if !bytes.is_empty() => bytes[place] = byte,
                1 if !bytes.is_empty() => drop(bytes.remove(place)),
                2 => bytes.extend_from_within(place..),
                _ => bytes.insert(place, byte),
            }
        }
        bytes
    }
}

fn run(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let seed = fs::read(file.unwrap().path()).unwrap();
        target(&seed);
        (0..COPIES).for_each(|_| target(&random.change(&seed)));
        count += 1;
    }
    assert!(count > 3, "seeds of {name}");
}

#[test]
fn heads() {
    run("head", targets::head);
}

#[test]
fn chunked_bodies() {
    run("chunked", targets::chunked);
}

#[test]
fn values_of_cookies() {
    run("token", targets::token);
}

#[test]
fn lines_of_cookies() {
    run("cookies", targets::cookies);
}

#[test]
fn configurations() {
    run("config", targets::config);
}
