//! The atomics of the parts without locks, under a name of this crate's: `loom/` compiles the same sources over atomics
//! whose every order it tries.

pub(crate) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, fence},
};
