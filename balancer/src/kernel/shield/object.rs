//! The shield's program and its tables, loaded. What was denied at run time, what was counted and how far sources are ahead
//! outlives the process, pinned beside the other tables; everything else is of one process and made anew.
//! Must not know: interfaces, what is to be denied.

use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd as _, BorrowedFd},
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{
        Array, HashMap, Map, MapData, MapError, MapInfo, MapType,
        lpm_trie::{Key, LpmTrie},
    },
    programs::Xdp,
};
use balancer_common::{
    ABI_VERSION,
    shield::{
        ACTIONS, ExactV4, MAX_RUNTIME, MAX_SOURCES, PORT_WORDS, PROGRAM, Packets, Policy, Prefix, Service,
        Until, map,
    },
};

use super::{
    prefixes::{PrefixEntry, Verdicts},
    view::ShieldView,
};
use crate::{
    kernel::bpf::{BpfError, loader, pin_root},
    model::IpPrefix,
};

/// The program, as `cargo xtask build-ebpf` made it (see the build script).
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/balancer-shield.o"));

/// A pinned table: name, type, bytes of a key, bytes of a value, entries.
type Pinned = (&'static str, MapType, usize, usize, u32);

const PINNED: [Pinned; 3] = [
    (map::RUNTIME, MapType::Hash, size_of::<Prefix>(), size_of::<u64>(), MAX_RUNTIME),
    (map::PACKETS, MapType::PerCpuArray, size_of::<u32>(), size_of::<Packets>(), ACTIONS),
    (map::SOURCES, MapType::LruHash, size_of::<[u32; 4]>(), size_of::<u64>(), MAX_SOURCES),
];

macro_rules! pod {
    ($name:ident, $of:ty, $why:literal) => {
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug)]
        struct $name($of);

        // SAFETY: without implicit padding, each bit pattern of it is a value.
        #[doc = $why]
        unsafe impl aya::Pod for $name {}
    };
}

pod!(PodPolicy, Policy, "Two words and two halves of one.");
pod!(PodService, Service, "16 bytes and two numbers of 2.");
pod!(PodPrefix, Prefix, "16 bytes and a number of 4.");
pod!(PodExactV4, ExactV4, "Four bytes and a number of 4.");
pod!(PodUntil, Until, "Two numbers of 4 bytes.");

/// The loaded program and its tables.
pub(super) struct Object {
    program: Ebpf,
    policy: Array<MapData, PodPolicy>,
    ports: Array<MapData, u64>,
    services: HashMap<MapData, PodService, u32>,
    exact_v4: HashMap<MapData, PodExactV4, PodUntil>,
    exact_v6: HashMap<MapData, PodPrefix, PodUntil>,
    v4: LpmTrie<MapData, [u8; 4], PodUntil>,
    v6: LpmTrie<MapData, [u8; 16], PodUntil>,
    runtime: HashMap<MapData, PodPrefix, u64>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").finish_non_exhaustive()
    }
}

/// Where the tables of an instance are pinned.
pub(super) fn pin_folder(instance: &str) -> PathBuf {
    pin_root(instance).join(format!("v{ABI_VERSION}"))
}

/// Removes what is pinned in the folder, where no shield is configured any more.
pub(super) fn forget(folder: &Path) {
    for (name, ..) in PINNED {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(table = name, %error, "a table of the shield that is not used any more cannot be removed");
            }
            _ => {}
        }
    }
}

impl Object {
    /// Loads it over what is pinned in the folder, or new tables. `inherited`: another process uses those. Packets are counted
    /// where `view` sees them; samples come from the ring that is given along.
    pub(super) fn load(folder: &Path, inherited: bool, view: &ShieldView) -> Result<(Self, Map), BpfError> {
        let mut loader = loader();
        for pinned in PINNED {
            let path = folder.join(pinned.0);
            if !fits(&path, &pinned)? {
                if inherited {
                    return Err(BpfError::OtherSize { name: pinned.0 });
                }
                tracing::warn!(
                    table = pinned.0,
                    "pinned table is of another form: starting with an empty one"
                );
                fs::remove_file(&path).map_err(|source| BpfError::Path { path: path.clone(), source })?;
            }
            loader.map_pin_path(pinned.0, path);
        }
        Self::load_with(&mut loader, view)
    }

    /// The same, with tables that go with the value, or as `loader` has it.
    pub(super) fn load_with(loader: &mut EbpfLoader<'_>, view: &ShieldView) -> Result<(Self, Map), BpfError> {
        let mut program = loader.load(OBJECT)?;
        let failed = |source| BpfError::Program { name: PROGRAM, source };
        let xdp = program.program_mut(PROGRAM).ok_or(BpfError::Missing { name: PROGRAM })?;
        <&mut Xdp>::try_from(xdp).map_err(failed)?.load().map_err(failed)?;
        let samples = take(&mut program, map::SAMPLES)?;
        view.count_in(take(&mut program, map::PACKETS)?).map_err(bad(map::PACKETS))?;
        let policy = Array::try_from(take(&mut program, map::POLICY)?).map_err(bad(map::POLICY))?;
        let ports = Array::try_from(take(&mut program, map::PORTS)?).map_err(bad(map::PORTS))?;
        let services = HashMap::try_from(take(&mut program, map::SERVICES)?).map_err(bad(map::SERVICES))?;
        let exact_v4 = HashMap::try_from(take(&mut program, map::EXACT_V4)?).map_err(bad(map::EXACT_V4))?;
        let exact_v6 = HashMap::try_from(take(&mut program, map::EXACT_V6)?).map_err(bad(map::EXACT_V6))?;
        let v4 = LpmTrie::try_from(take(&mut program, map::PREFIXES_V4)?).map_err(bad(map::PREFIXES_V4))?;
        let v6 = LpmTrie::try_from(take(&mut program, map::PREFIXES_V6)?).map_err(bad(map::PREFIXES_V6))?;
        let runtime = HashMap::try_from(take(&mut program, map::RUNTIME)?).map_err(bad(map::RUNTIME))?;
        Ok((Self { program, policy, ports, services, exact_v4, exact_v6, v4, v6, runtime }, samples))
    }

    /// The program, to be put on interfaces.
    pub(super) fn program(&self) -> io::Result<BorrowedFd<'_>> {
        let program = self.program.program(PROGRAM).ok_or(io::ErrorKind::NotFound)?;
        Ok(program.fd().map_err(io::Error::other)?.as_fd())
    }

    pub(super) fn set_policy(&mut self, policy: Policy) -> Result<(), MapError> {
        self.policy.set(0, PodPolicy(policy), 0)
    }

    pub(super) fn set_ports(&mut self, index: u32, word: u64) -> Result<(), MapError> {
        debug_assert!(index < PORT_WORDS);
        self.ports.set(index, word, 0)
    }

    pub(super) fn add_service(&mut self, service: Service) -> Result<(), MapError> {
        self.services.insert(PodService(service), 1, 0)
    }

    pub(super) fn remove_service(&mut self, service: Service) -> Result<(), MapError> {
        gone(self.services.remove(&PodService(service)))
    }

    pub(super) fn set_prefix(&mut self, prefix: IpPrefix, entry: PrefixEntry) -> Result<(), MapError> {
        let (bits, value) = (u32::from(prefix.bits()), PodUntil(Until::new(entry.value)));
        match (prefix.address(), entry.is_exact) {
            (IpAddr::V4(address), true) => self.exact_v4.insert(exact(address, bits), value, 0),
            (IpAddr::V4(address), false) => self.v4.insert(&Key::new(bits, address.octets()), value, 0),
            (IpAddr::V6(_), true) => self.exact_v6.insert(PodPrefix(key_of(prefix)), value, 0),
            (IpAddr::V6(address), false) => self.v6.insert(&Key::new(bits, address.octets()), value, 0),
        }
    }

    pub(super) fn remove_prefix(&mut self, prefix: IpPrefix, entry: PrefixEntry) -> Result<(), MapError> {
        let bits = u32::from(prefix.bits());
        gone(match (prefix.address(), entry.is_exact) {
            (IpAddr::V4(address), true) => self.exact_v4.remove(&exact(address, bits)),
            (IpAddr::V4(address), false) => self.v4.remove(&Key::new(bits, address.octets())),
            (IpAddr::V6(_), true) => self.exact_v6.remove(&PodPrefix(key_of(prefix))),
            (IpAddr::V6(address), false) => self.v6.remove(&Key::new(bits, address.octets())),
        })
    }

    /// What is denied since somebody said so at run time, and until when.
    pub(super) fn runtime(&self) -> Verdicts {
        let entries = self.runtime.iter().filter_map(Result::ok);
        entries.filter_map(|(PodPrefix(prefix), until)| Some((from_key(&prefix)?, until))).collect()
    }

    pub(super) fn set_runtime(&mut self, prefix: IpPrefix, until: u64) -> Result<(), MapError> {
        self.runtime.insert(PodPrefix(key_of(prefix)), until, 0)
    }

    pub(super) fn remove_runtime(&mut self, prefix: IpPrefix) -> Result<(), MapError> {
        gone(self.runtime.remove(&PodPrefix(key_of(prefix))))
    }
}

/// Whether there is nothing at the path, or a table of this form.
fn fits(path: &Path, (name, kind, key, value, entries): &Pinned) -> Result<bool, BpfError> {
    if !path.exists() {
        return Ok(true);
    }
    let failed = |source| BpfError::Map { name, source };
    let info = MapInfo::from_pin(path).map_err(failed)?;
    let bytes = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    Ok(info.map_type().map_err(failed)? == *kind
        && bytes(info.key_size()) == *key
        && bytes(info.value_size()) == *value
        && info.max_entries() == *entries)
}

fn take(program: &mut Ebpf, name: &'static str) -> Result<Map, BpfError> {
    program.take_map(name).ok_or(BpfError::Missing { name })
}

fn bad(name: &'static str) -> impl FnOnce(MapError) -> BpfError {
    move |source| BpfError::Map { name, source }
}

/// What was to be removed and is not there is removed.
fn gone(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        removed => removed,
    }
}

/// An address as the tables have it.
pub(super) fn bytes_of(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn key_of(prefix: IpPrefix) -> Prefix {
    let bits = u32::from(prefix.bits()) + if prefix.address().is_ipv4() { 96 } else { 0 };
    Prefix { address: bytes_of(prefix.address()), bits }
}

fn exact(address: Ipv4Addr, bits: u32) -> PodExactV4 {
    PodExactV4(ExactV4 { address: address.octets(), bits })
}

fn from_key(key: &Prefix) -> Option<IpPrefix> {
    let address = IpAddr::from(key.address).to_canonical();
    let bits = key.bits.checked_sub(if address.is_ipv4() { 96 } else { 0 })?;
    Some(IpPrefix::of(address, u8::try_from(bits).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_back_from_the_keys_of_the_table() {
        for text in ["192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0", "2001:db8::1"] {
            let prefix = IpPrefix::parse(text).unwrap();
            assert_eq!(from_key(&key_of(prefix)), Some(prefix), "{text}");
        }
    }
}
