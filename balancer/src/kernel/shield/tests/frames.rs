//! Frames, byte by byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const PSH: u8 = 8;
pub(super) const ACK: u8 = 16;
pub(super) const URG: u8 = 32;

/// A frame with a segment of TCP.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) port: u16,
    pub(super) flags: u8,
    /// Words of TCP's header, as it says.
    pub(super) words: u8,
    pub(super) tags: Vec<u16>,
    /// Of IPv4, a multiple of four bytes.
    pub(super) options: usize,
    /// Of IPv6: kind, bytes.
    pub(super) extensions: Vec<(u8, usize)>,
    /// Offset in units of eight bytes, and whether more follow.
    pub(super) fragment: Option<(u16, bool)>,
    pub(super) protocol: u8,
    /// Bytes behind TCP's header.
    pub(super) payload: usize,
    /// Bytes of TCP that are there at all.
    pub(super) cut: Option<usize>,
}

impl Frame {
    /// A new connection to port 80.
    pub(super) fn syn(source: &str, destination: &str) -> Self {
        Self {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            port: 80,
            flags: SYN,
            words: 5,
            tags: Vec::new(),
            options: 0,
            extensions: Vec::new(),
            fragment: None,
            protocol: 6,
            payload: 0,
            cut: None,
        }
    }

    pub(super) fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![2; 12];
        for tag in &self.tags {
            bytes.extend(tag.to_be_bytes());
            bytes.extend(7_u16.to_be_bytes());
        }
        let mut tcp = self.tcp();
        tcp.truncate(self.cut.unwrap_or(usize::MAX));
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.ipv4(&mut bytes, source, destination, &tcp),
            (IpAddr::V6(source), IpAddr::V6(destination)) => self.ipv6(&mut bytes, source, destination, &tcp),
            _ => panic!("addresses of two families"),
        }
        bytes
    }

    fn tcp(&self) -> Vec<u8> {
        let mut tcp = 40_000_u16.to_be_bytes().to_vec();
        tcp.extend(self.port.to_be_bytes());
        tcp.extend([0; 8]);
        tcp.extend([self.words << 4, self.flags]);
        tcp.extend([0; 6]);
        tcp.resize(tcp.len() + usize::from(self.words.max(5) - 5) * 4 + self.payload, 0);
        tcp
    }

    fn ipv4(&self, bytes: &mut Vec<u8>, source: Ipv4Addr, destination: Ipv4Addr, tcp: &[u8]) {
        bytes.extend(0x0800_u16.to_be_bytes());
        bytes.extend([0x45 + u8::try_from(self.options / 4).unwrap(), 0]);
        bytes.extend(u16::try_from(20 + self.options + tcp.len()).unwrap().to_be_bytes());
        bytes.extend([0; 2]);
        let (offset, more) = self.fragment.unwrap_or_default();
        bytes.extend((offset | if more { 0x2000 } else { 0 }).to_be_bytes());
        bytes.extend([64, self.protocol, 0, 0]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        bytes.resize(bytes.len() + self.options, 1);
        bytes.extend(tcp);
    }

    fn ipv6(&self, bytes: &mut Vec<u8>, source: Ipv6Addr, destination: Ipv6Addr, tcp: &[u8]) {
        let fragment = self.fragment.map(|_| (44, 8));
        let extensions: Vec<(u8, usize)> = self.extensions.iter().copied().chain(fragment).collect();
        let length: usize = extensions.iter().map(|(_, length)| length).sum();
        bytes.extend(0x86dd_u16.to_be_bytes());
        bytes.extend([0x60, 0, 0, 0]);
        bytes.extend(u16::try_from(length + tcp.len()).unwrap().to_be_bytes());
        let kinds = extensions.iter().map(|(kind, _)| *kind).chain([self.protocol]);
        let mut next = kinds.skip(1);
        bytes.extend([extensions.first().map_or(self.protocol, |(kind, _)| *kind), 64]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        for (kind, length) in extensions.iter().copied() {
            let mut header = vec![0; length];
            header[0] = next.next().unwrap();
            header[1] = match kind {
                44 => 0,
                51 => u8::try_from(length / 4 - 2).unwrap(),
                _ => u8::try_from(length / 8 - 1).unwrap(),
            };
            if kind == 44 {
                let (offset, more) = self.fragment.unwrap_or_default();
                header[2..4].copy_from_slice(&(offset << 3 | u16::from(more)).to_be_bytes());
            }
            bytes.extend(header);
        }
        bytes.extend(tcp);
    }
}
