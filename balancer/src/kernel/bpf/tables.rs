//! Tables of the object as they are taken from it, and keys and values in the form that they are read and written in. Must not
//! know: what is done with them.

use aya::{
    Ebpf,
    maps::{Map, MapError},
};
use balancer_common::{ListenerSockets, TargetKey};

use super::error::BpfError;

#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub(super) struct PodTargetKey(pub(super) TargetKey);

// SAFETY: 24 bytes without implicit padding, each bit pattern of which is a value.
unsafe impl aya::Pod for PodTargetKey {}

#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub(super) struct PodListenerSockets(pub(super) ListenerSockets);

// SAFETY: four words of 32 bits, each bit pattern of which is a value.
unsafe impl aya::Pod for PodListenerSockets {}

pub(super) fn take(programs: &mut Ebpf, name: &'static str) -> Result<Map, BpfError> {
    programs.take_map(name).ok_or(BpfError::Missing { name })
}

pub(super) fn bad(name: &'static str) -> impl FnOnce(MapError) -> BpfError {
    move |source| BpfError::Map { name, source }
}
