//! Functions on ranges of addresses. Must not know: expressions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{call::Call, fail::Fail};
use crate::config::bindings::Val;

/// A range: the number of its first address, how many bits are fixed, and how many there are.
#[derive(Clone, Copy)]
struct Prefix {
    first: u128,
    fixed: u32,
    bits: u32,
}

pub(super) fn call(call: &Call<'_>) -> Result<Option<Val>, Fail> {
    let (least, most) = match call.name {
        "cidrhost" => (2, 2),
        "cidrsubnet" => (3, 3),
        "cidrnetmask" => (1, 1),
        "cidrsubnets" => (1, usize::MAX),
        _ => return Ok(None),
    };
    call.takes(least, most)?;
    let text = call.text(0)?;
    let prefix =
        Prefix::parse(&text).ok_or_else(|| call.wrong("is given no range", "such as \"10.0.0.0/16\""))?;
    match call.name {
        "cidrhost" => host(call, prefix),
        "cidrsubnet" => {
            let number = u128::try_from(call.whole(2)?)
                .map_err(|_| call.wrong("has a number below zero", "a number from 0 on"))?;
            subnet(call, prefix, call.whole(1)?, number).map(|subnet| Val::text(subnet.written()))
        }
        "cidrnetmask" if prefix.bits == 32 => {
            let mask = prefix.mask();
            Ok(Val::text(prefix.address(mask)))
        }
        "cidrnetmask" => Err(call.wrong("is given a range of IPv6", "one of IPv4")),
        _ => subnets(call, prefix),
    }
    .map(Some)
}

impl Prefix {
    fn parse(text: &str) -> Option<Self> {
        let (address, fixed) = text.split_once('/')?;
        let is_number = fixed.bytes().all(|byte| byte.is_ascii_digit());
        let fixed: u32 = fixed.parse().ok().filter(|_| is_number)?;
        let (number, bits) = match address.parse().ok()? {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let prefix = Self { first: number, fixed, bits };
        (fixed <= bits).then(|| Self { first: number & prefix.mask(), ..prefix })
    }

    fn free(self) -> u32 {
        self.bits - self.fixed
    }

    fn mask(self) -> u128 {
        let all = u128::MAX >> (128 - self.bits);
        all & !all.checked_shr(self.fixed).unwrap_or(0)
    }

    fn address(self, number: u128) -> String {
        match self.bits {
            32 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).to_string(),
            _ => Ipv6Addr::from_bits(number).to_string(),
        }
    }

    fn written(self) -> String {
        format!("{}/{}", self.address(self.first), self.fixed)
    }
}

fn host(call: &Call<'_>, prefix: Prefix) -> Result<Val, Fail> {
    let number = call.whole(1)?;
    let free = prefix.free();
    let most = 1_u128.checked_shl(free).map_or(u128::MAX, |hosts| hosts - 1);
    let from_start = match u128::try_from(number) {
        Ok(number) => Some(number),
        Err(_) => most.checked_sub(number.unsigned_abs() - 1),
    };
    let host = from_start.filter(|host| *host <= most);
    let host = host.ok_or_else(|| call.wrong("goes beyond the range", "a number within it"))?;
    Ok(Val::text(prefix.address(prefix.first | host)))
}

fn subnet(call: &Call<'_>, prefix: Prefix, more: i128, number: u128) -> Result<Prefix, Fail> {
    let more = u32::try_from(more).ok().filter(|more| *more <= prefix.free());
    let more = more.ok_or_else(|| call.wrong("has more bits than the range leaves", "fewer of them"))?;
    if number.checked_shr(more).is_some_and(|rest| rest > 0) {
        return Err(call.wrong("has a number that does not fit into its bits", "a smaller one"));
    }
    let fixed = prefix.fixed + more;
    let shift = prefix.bits - fixed;
    Ok(Prefix { first: prefix.first | number.checked_shl(shift).unwrap_or(0), fixed, ..prefix })
}

/// One after the other, each with as many bits more as it says.
fn subnets(call: &Call<'_>, prefix: Prefix) -> Result<Val, Fail> {
    let mut next = prefix.first;
    let mut found = Vec::new();
    let beyond = || call.wrong("goes beyond the range", "subnets that fit into it");
    for index in 1..call.values.len() {
        let one = subnet(call, prefix, call.whole(index)?, 0)?;
        let size = 1_u128.checked_shl(one.free()).unwrap_or(0);
        // The next place where one of this size may begin.
        let rest = if size == 0 { next } else { next % size };
        let start = if rest == 0 { next } else { next.checked_add(size - rest).ok_or_else(beyond)? };
        if start & prefix.mask() != prefix.first {
            return Err(beyond());
        }
        found.push((Val::text(Prefix { first: start, ..one }.written()), call.position));
        next = start.saturating_add(size);
    }
    Ok(Val::list(found))
}
