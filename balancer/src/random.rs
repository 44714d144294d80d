//! Bytes that nobody can guess, from getrandom(2) itself: a program without libraries of the system and in a root without /dev has
//! them as well. Must not know: what they are for.

use std::io;

use rustix::{
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

/// Fills `bytes`. Waits only where the system has just started and has not gathered any randomness yet.
///
/// # Errors
/// The system's.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match getrandom(&mut *rest, GetRandomFlags::empty()) {
            Ok(filled) => rest = rest.get_mut(filled..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_is_filled() {
        for length in [0, 1, 16, 255, 256, 257, 5000] {
            let mut ever_set = vec![0_u8; length];
            // A byte that stays 0 for so long was never written to.
            for _ in 0..20 {
                let mut bytes = vec![0; length];
                super::fill(&mut bytes).unwrap();
                ever_set.iter_mut().zip(&bytes).for_each(|(set, byte)| *set |= byte);
            }
            assert!(ever_set.iter().all(|set| *set != 0), "{length}");
        }
    }
}
