//! Which processes listen at an address, as the system tells it (proc_net_tcp(5), proc_pid_fd(5)). Must not know: why it is asked.

use std::{
    collections::HashSet,
    fs,
    io::{self, BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// State of a socket that listens, from net/tcp_states.h.
const LISTEN: &str = "0A";
const CLOSED: &str = "07";

/// Whether one of these processes listens where nobody else could at `address`. So it is said of one whose sockets cannot be
/// seen from here.
#[must_use]
pub fn may_listen(processes: &[u32], address: SocketAddr) -> bool {
    let sockets = listening(&of_system(), address);
    processes.iter().any(|pid| open_sockets(*pid).map_or(true, |open| !open.is_disjoint(&sockets)))
}

/// Whether all sockets that listen in the way of `address` are this process's. Not where there are none.
#[must_use]
pub(super) fn only_own_listen(address: SocketAddr) -> bool {
    // First of all: one that is being closed is in the table then only if it is among these.
    let own = open_sockets(std::process::id());
    let in_the_way = listening(&of_system(), address);
    !in_the_way.is_empty() && own.is_ok_and(|own| in_the_way.is_subset(&own))
}

fn of_system() -> String {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| fs::File::open(path).ok());
    tables.map(|table| beginning(BufReader::new(table))).collect()
}

/// What listens comes first, and no more is read: a host may have very many connections, and making the table then takes seconds.
fn beginning(table: impl BufRead) -> String {
    let may_listen = |line: &String| {
        let state = line.split_whitespace().nth(3);
        // Before the first one stands what the columns are; one that is being closed may stand among the others.
        state.is_none_or(|state| [LISTEN, CLOSED].contains(&state) || state.len() != LISTEN.len())
    };
    let mut text = String::new();
    for (at, line) in table.lines().map_while(Result::ok).enumerate() {
        if at > 0 && !may_listen(&line) {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The sockets of this table that listen in the way of `address`.
fn listening(table: &str, address: SocketAddr) -> HashSet<u64> {
    let each = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let local = socket_address(fields.next()?)?;
        let is_meant = fields.nth(1)? == LISTEN
            && local.port() == address.port()
            && are_in_the_way(local.ip(), address.ip());
        is_meant.then(|| fields.nth(5)?.parse().ok()).flatten()
    };
    table.lines().filter_map(each).collect()
}

fn are_in_the_way(one: IpAddr, other: IpAddr) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    // One of IPv6 may take connections of IPv4, too.
    one == other || one.is_unspecified() || other.is_unspecified()
}

/// An address as the table has it: words of 32 bits in the order of the host, a colon and the port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?).into())
}

/// The numbers of the sockets that a process has open.
fn open_sockets(pid: u32) -> io::Result<HashSet<u64>> {
    let mut open = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // That there are some may be seen by who may not see what they are.
        match fs::read_link(entry?.path()) {
            Ok(link) => open.extend(socket_number(&link)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(open)
}

fn socket_number(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_tables_of_the_system_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000\n   \
             1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000\n   \
             0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 \
             00:00000000 00000000  0  0 4713 1 0000000000000000\n   \
             1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 \
             00:00000000 00000000  0  0 4714 1 0000000000000000\nnonsense\n";
        let found = |address: &str| {
            let mut found: Vec<u64> = listening(table, address.parse().unwrap()).into_iter().collect();
            found.sort_unstable();
            found
        };
        if cfg!(target_endian = "little") {
            assert_eq!(found("127.0.0.1:8080"), [4711]);
            assert_eq!(found("0.0.0.0:8080"), [4711]);
            assert_eq!(found("127.0.0.2:8080"), [0; 0]);
            assert_eq!(found("127.0.0.1:8081"), [0; 0], "it does not listen");
            assert_eq!(found("10.0.0.1:80"), [4713], "it may take IPv4 as well");
            assert_eq!(found("[::1]:81"), [4714]);
        }
    }

    #[test]
    fn of_a_host_with_many_connections_no_more_is_read_than_what_listens() {
        let line = |state: &str| format!("   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000\n");
        let head = "  sl  local_address rem_address   st tx_queue\n";
        let (listens, closed, open) = (line("0A"), line("07"), line("01"));
        let table = [head, &listens, &closed, &listens, &open, &listens].concat();
        let read = beginning(table.as_bytes());
        assert_eq!(read, [head, &listens, &closed, &listens].concat());
        assert_eq!(beginning([head, &line("06")].concat().as_bytes()), head);
        assert_eq!(beginning(&b""[..]), "");
    }

    #[test]
    fn who_listens_is_found() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let us = [std::process::id()];
        assert!(may_listen(&us, address));
        assert!(!may_listen(&[], address));
        assert!(only_own_listen(address));
        let everywhere = SocketAddr::from(([0, 0, 0, 0], address.port()));
        assert!(only_own_listen(everywhere), "it is in the way of that, too");
        drop(socket);
        assert!(!only_own_listen(address), "nobody does");
        let socket = TcpListener::bind("[::1]:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(may_listen(&us, address));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(!may_listen(&[child.id()], address), "it is not its socket");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
