//! The kernel side with real kernel programs and real connections.
//!
//! Each test runs in a process of its own, for the kernel counts by process: its cgroup. They need root (or
//! CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON), cgroup version 2 and a kernel with BPF: without them they say so and
//! pass, and fail under CI.

mod support;

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    sync::{Mutex, atomic::Ordering::Relaxed},
    time::Duration,
};

use balancer::{
    id::Slot,
    kernel::{
        Assist, CounterValues, Events, Kernel, KernelError, ReportedBytes, TargetCounters, TargetEvent,
        TargetEventKind, cleanup,
    },
    model::{Endpoint, KernelAssist},
};

use self::support::{
    Connection, Ending, Role, Server, as_ordinary_user, connect, connect_unseen, eventually, isolated,
    refusing_address, start_role, talk,
};

const LOCALHOSTS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

fn next_event(events: &mut Events) -> Option<TargetEvent> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(10), events.next()).await.ok().flatten() })
}

#[test]
fn role() {
    support::play_role();
}

#[test]
fn a_known_mix_is_counted_exactly() {
    isolated("a_known_mix_is_counted_exactly", |instance| {
        let mut outsider = start_role(Role::Outsider, instance, None);
        let mut kernel = instance.open();
        let counters = kernel.tables().counters;
        assert!(counters.kernel_counts());
        let marker = kernel.probe_marker();
        // The last one: an IPv6 socket, connected to a mapped IPv4 address.
        let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        for (host, dialled) in
            [(LOCALHOSTS[0], LOCALHOSTS[0]), (LOCALHOSTS[1], LOCALHOSTS[1]), (LOCALHOSTS[0], mapped)]
        {
            let server = Server::start(host);
            let refusing = refusing_address(host);
            let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
            let refused_slot = kernel.claim_slot(&Endpoint::Tcp(refusing)).unwrap();
            let dial = |address: SocketAddr| SocketAddr::new(dialled, address.port());

            let mut held: Vec<Connection> = Vec::new();
            let mut payload = (0, 0);
            for round in 0..60 {
                let ending = Ending::ALL[round % Ending::ALL.len()];
                let (sent, received) = talk(connect(dial(server.address)).unwrap(), ending);
                payload.0 += received;
                payload.1 += sent;
                if round % 4 == 0 {
                    held.push(connect(dial(server.address)).unwrap());
                    assert!(connect(dial(refusing)).is_err());
                    // Not counted: health checks, and processes outside of the balancer's cgroup.
                    talk(connect_unseen(dial(server.address), &marker).unwrap(), Ending::ServerResets);
                    assert!(connect_unseen(dial(refusing), &marker).is_err());
                }
            }
            outsider.ask(&server.address.to_string());
            let expected = CounterValues {
                connects: 75,
                open: 15,
                opened: 75,
                closed: 60,
                resets: 10,
                aborted: 20,
                bytes_in: payload.0,
                bytes_out: payload.1,
                ..CounterValues::default()
            };
            eventually(|| {
                let seen = CounterValues { srtt_us: 0, ..counters.read(slot) };
                if seen == expected { Ok(()) } else { Err(format!("{dialled}: {seen:?}, not {expected:?}")) }
            });
            assert!(counters.read(slot).srtt_us > 0);
            let seen = counters.read(refused_slot);
            assert_eq!(seen, CounterValues { connects: 15, failed: 15, refused: 15, ..seen });
            assert_eq!((seen.connecting, seen.open, seen.closed, seen.resets), (0, 0, 0, 0));
            drop(held);
            eventually(|| {
                let seen = counters.read(slot);
                if (seen.open, seen.closed, seen.live()) == (0, 75, 0) {
                    Ok(())
                } else {
                    Err(format!("{seen:?}"))
                }
            });
        }
    });
}

#[test]
fn attempts_without_an_answer_are_connecting_until_given_up() {
    isolated("attempts_without_an_answer_are_connecting_until_given_up", |instance| {
        let mut kernel = instance.open();
        let counters = kernel.tables().counters;
        let full = support::full_listener();
        let slot = kernel.claim_slot(&Endpoint::Tcp(full.address)).unwrap();
        let hung: Vec<_> = (0..10).map(|_| support::begin_connect(full.address)).collect();
        assert_eq!((counters.read(slot).connects, counters.read(slot).connecting), (10, 10));
        // A SYN is sent again after a second.
        eventually(|| {
            let seen = counters.read(slot);
            if seen.retransmits >= 10 { Ok(()) } else { Err(format!("{seen:?}")) }
        });
        drop(hung);
        let seen = counters.read(slot);
        assert_eq!((seen.connecting, seen.failed, seen.refused, seen.live()), (0, 10, 0, 0));
    });
}

#[test]
fn refusals_and_resets_raise_events_and_nothing_else_does() {
    isolated("refusals_and_resets_raise_events_and_nothing_else_does", |instance| {
        let mut kernel = instance.open();
        let mut events = kernel.take_events().unwrap();
        let marker = kernel.probe_marker();
        for host in LOCALHOSTS {
            let server = Server::start(host);
            let refusing = refusing_address(host);
            let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
            let refused_slot = kernel.claim_slot(&Endpoint::Tcp(refusing)).unwrap();
            assert!(connect_unseen(refusing, &marker).is_err());
            talk(connect_unseen(server.address, &marker).unwrap(), Ending::ServerResets);
            for ending in [Ending::ClientCloses, Ending::ServerCloses, Ending::ClientResets] {
                talk(connect(server.address).unwrap(), ending);
            }
            assert!(connect(refusing).is_err());
            let refused = TargetEvent { slot: refused_slot, kind: TargetEventKind::ConnectFailed };
            assert_eq!(next_event(&mut events), Some(refused), "the first: none came before it");
            talk(connect(server.address).unwrap(), Ending::ServerResets);
            assert_eq!(next_event(&mut events), Some(TargetEvent { slot, kind: TargetEventKind::Reset }));
        }
        // Those of workers come the same way.
        let from_worker = TargetEvent { slot: balancer::id::Slot(9), kind: TargetEventKind::Reset };
        kernel.event_sender().send(from_worker);
        assert_eq!(next_event(&mut events), Some(from_worker));
    });
}

/// Keeps what is logged.
struct Recorder(Mutex<Vec<String>>);

impl log::Log for Recorder {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn lines_of_the_kernel_programs_reach_the_log() {
    isolated("lines_of_the_kernel_programs_reach_the_log", |instance| {
        static RECORDER: Recorder = Recorder(Mutex::new(Vec::new()));
        log::set_logger(&RECORDER).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
        let mut kernel = instance.open();
        let mut events = kernel.take_events().unwrap();
        let refusing = refusing_address(LOCALHOSTS[0]);
        let slot = kernel.claim_slot(&Endpoint::Tcp(refusing)).unwrap();
        let expected = format!("a connection to slot {} failed", slot.0);
        let lines_are_read = async {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while !RECORDER.0.lock().unwrap().contains(&expected) {
                tokio::select! {
                    _ = events.next() => {}
                    _ = tick.tick() => assert!(connect(refusing).is_err()),
                }
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(10), lines_are_read).await })
            .unwrap();
    });
}

#[test]
fn a_restart_keeps_slots_counters_and_sessions() {
    isolated("a_restart_keeps_slots_counters_and_sessions", |instance| {
        let server = Server::start(LOCALHOSTS[0]);
        let endpoint = Endpoint::Tcp(server.address);
        let mut kernel = instance.open();
        kernel.claim_slot(&Endpoint::Tcp(refusing_address(LOCALHOSTS[0]))).unwrap();
        let slot = kernel.claim_slot(&endpoint).unwrap();
        let held = connect(server.address).unwrap();
        talk(connect(server.address).unwrap(), Ending::ServerCloses);
        let tables = kernel.tables();
        tables.sticky[100].store(42, Relaxed);
        std::mem::forget(tables.outstanding.begin(slot));
        drop((kernel, tables));
        // Nobody is there, and it is counted nevertheless.
        talk(connect(server.address).unwrap(), Ending::ServerCloses);

        let mut kernel = instance.open();
        let tables = kernel.tables();
        assert_eq!(kernel.claim_slot(&endpoint).unwrap(), slot);
        kernel.release_unclaimed();
        assert_eq!(tables.sticky[100].load(Relaxed), 42);
        assert_eq!(tables.outstanding.get(slot), 0, "what was in flight went with the process");
        talk(connect(server.address).unwrap(), Ending::ServerCloses);
        drop(held);
        eventually(|| {
            let seen = tables.counters.read(slot);
            let figures = (seen.connects, seen.opened, seen.open, seen.closed);
            if figures == (4, 4, 0, 4) { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    });
}

#[test]
fn connections_of_a_killed_process_are_counted_to_their_end() {
    isolated("connections_of_a_killed_process_are_counted_to_their_end", |instance| {
        let server = Server::start(LOCALHOSTS[0]);
        let mut holder = start_role(Role::Holder, instance, Some(server.address));
        let slot = holder.read_line();
        let refused = Kernel::open(&instance.options(KernelAssist::Auto)).unwrap_err();
        assert!(
            matches!(&refused, KernelError::Running { pid: Some(pid), .. } if *pid == holder.id()),
            "{refused}"
        );
        assert!(matches!(cleanup(&instance.name, &instance.runtime_dir), Err(KernelError::Running { .. })));
        holder.kill();

        let mut kernel = instance.open();
        let tables = kernel.tables();
        let claimed = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
        assert_eq!(claimed.0.to_string(), slot);
        assert_eq!(tables.outstanding.get(claimed), 0, "it had 3 requests in flight");
        eventually(|| {
            let seen = tables.counters.read(claimed);
            let figures = (seen.connects, seen.opened, seen.open, seen.closed);
            if figures == (50, 50, 0, 50) { Ok(()) } else { Err(format!("{seen:?}")) }
        });
        for _ in 0..5 {
            talk(connect(server.address).unwrap(), Ending::ServerCloses);
        }
        eventually(|| {
            let seen = tables.counters.read(claimed);
            // Twice, if a second program counted.
            if (seen.connects, seen.closed) == (55, 55) { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    });
}

#[test]
fn a_released_endpoint_is_not_counted_and_its_slot_is_freed_when_idle() {
    isolated("a_released_endpoint_is_not_counted_and_its_slot_is_freed_when_idle", |instance| {
        let mut kernel = instance.open();
        let counters = kernel.tables().counters;
        let server = Server::start(LOCALHOSTS[0]);
        let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
        let held = connect(server.address).unwrap();
        kernel.release_slot(slot);
        talk(connect(server.address).unwrap(), Ending::ServerCloses);
        assert_eq!(counters.read(slot).connects, 1, "new connections are not counted");
        let mut reap_and_claim = |port: u16| {
            kernel.reap();
            kernel.reap();
            kernel.claim_slot(&Endpoint::Tcp((Ipv4Addr::LOCALHOST, port).into())).unwrap()
        };
        assert_ne!(reap_and_claim(1), slot, "a connection is open");
        talk(held, Ending::ServerCloses);
        eventually(|| if counters.read(slot).live() == 0 { Ok(()) } else { Err("still open") });
        assert_eq!(reap_and_claim(2), slot);
        assert_eq!(counters.read(slot), CounterValues::default());
    });
}

#[test]
fn a_process_that_goes_on_can_clean_up_after_itself_and_not_before() {
    isolated("a_process_that_goes_on_can_clean_up_after_itself_and_not_before", |instance| {
        let mut kernel = instance.open();
        let server = Server::start(LOCALHOSTS[0]);
        let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
        let refused = cleanup(&instance.name, &instance.runtime_dir);
        assert!(matches!(refused, Err(KernelError::Running { .. })));
        talk(connect(server.address).unwrap(), Ending::ServerCloses);
        assert_eq!(kernel.tables().counters.read(slot).connects, 1, "it still counts");
        drop(kernel);
        assert_eq!(cleanup(&instance.name, &instance.runtime_dir).unwrap().removed.len(), 3);
        // Something for the cleanup that follows each test.
        drop(instance.open());
    });
}

#[test]
fn a_session_table_of_another_size_is_made_anew_and_counters_stay() {
    isolated("a_session_table_of_another_size_is_made_anew_and_counters_stay", |instance| {
        let server = Server::start(LOCALHOSTS[0]);
        let endpoint = Endpoint::Tcp(server.address);
        let mut kernel = instance.open();
        let slot = kernel.claim_slot(&endpoint).unwrap();
        talk(connect(server.address).unwrap(), Ending::ServerCloses);
        kernel.tables().sticky[7].store(1, Relaxed);
        drop(kernel);
        let mut options = instance.options(KernelAssist::Required);
        options.session_table_size *= 4;
        let mut kernel = Kernel::open(&options).unwrap();
        let tables = kernel.tables();
        assert_eq!(tables.sticky.len(), 4 * 1024 * 4);
        assert!(tables.sticky.iter().all(|word| word.load(Relaxed) == 0));
        assert_eq!(kernel.claim_slot(&endpoint).unwrap(), slot);
        assert_eq!(tables.counters.read(slot).opened, 1);
    });
}

#[test]
fn a_link_to_a_cgroup_that_is_gone_is_replaced() {
    isolated("a_link_to_a_cgroup_that_is_gone_is_replaced", |instance| {
        let server = Server::start(LOCALHOSTS[0]);
        let mut holder = start_role(Role::Holder, instance, Some(server.address));
        holder.read_line();
        holder.kill();
        // As a service manager does, which makes a new one for each run.
        let cgroup = support::cgroup_of(&instance.name);
        eventually(|| std::fs::remove_dir(&cgroup));
        let mut kernel = instance.open();
        let counters = kernel.tables().counters;
        let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
        let before = counters.read(slot);
        assert_eq!((before.connects, before.open, before.live()), (50, 0, 0), "{before:?}");
        talk(connect(server.address).unwrap(), Ending::ServerCloses);
        eventually(|| {
            let seen = counters.read(slot);
            if (seen.connects, seen.opened, seen.closed) == (51, before.opened + 1, before.closed + 1) {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        });
    });
}

#[test]
fn root_may_be_given_up_when_the_capabilities_are_kept() {
    isolated("root_may_be_given_up_when_the_capabilities_are_kept", |instance| {
        let mut kernel = instance.open();
        let server = Server::start(LOCALHOSTS[0]);
        let first = kernel.claim_slot(&Endpoint::Tcp(refusing_address(LOCALHOSTS[0]))).unwrap();
        as_ordinary_user(true, || {
            let counters = kernel.tables().counters;
            let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
            talk(connect(server.address).unwrap(), Ending::ServerCloses);
            talk(connect_unseen(server.address, &kernel.probe_marker()).unwrap(), Ending::ServerCloses);
            assert_eq!(counters.read(slot).opened, 1);
            kernel.release_slot(slot);
            kernel.release_slot(first);
            talk(connect(server.address).unwrap(), Ending::ServerCloses);
            assert_eq!(counters.read(slot).connects, 1);
            eventually(|| if counters.read(slot).live() == 0 { Ok(()) } else { Err("still open") });
            kernel.reap();
            kernel.reap();
            assert_eq!(kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap(), first);
        });
    });
}

#[test]
fn without_permission_it_goes_on_without_the_kernel_side_and_says_what_is_missing() {
    isolated("without_permission_it_goes_on_without_the_kernel_side_and_says_what_is_missing", |instance| {
        support::give_to_ordinary_user(&instance.runtime_dir);
        as_ordinary_user(false, || {
            let kernel = Kernel::open(&instance.options(KernelAssist::Auto)).unwrap();
            let Assist::Off { reason } = kernel.assist() else { panic!("active without permission") };
            assert!(reason.contains("CAP_BPF"), "{reason}");
            assert!(!kernel.tables().counters.kernel_counts());
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            kernel.probe_marker().exempt(std::os::fd::AsFd::as_fd(&socket)).unwrap();
            drop(kernel);
            let refused = Kernel::open(&instance.options(KernelAssist::Required)).unwrap_err();
            assert!(matches!(refused, KernelError::Required { .. }), "{refused}");
        });
    });
}

#[test]
fn what_bpftool_shows_is_what_the_tables_hold() {
    if !support::has_bpftool() {
        return ::support::skip(&"no bpftool");
    }
    isolated("what_bpftool_shows_is_what_the_tables_hold", |instance| {
        let mut kernel = instance.open();
        let server = Server::start(LOCALHOSTS[0]);
        let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
        let _held: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(server.address).unwrap()).collect();
        let shown = support::bpftool_counters(&instance.name, slot);
        let values = kernel.tables().counters.read(slot);
        assert_eq!(shown["open"], values.open);
        assert_eq!(shown["opened"], values.opened);
        assert_eq!(values.open, 20);
        assert_eq!(shown["srtt_us"], values.srtt_us);
    });
}

#[test]
fn bytes_are_added_when_a_connection_closes() {
    isolated("bytes_are_added_when_a_connection_closes", |instance| {
        let mut kernel = instance.open();
        let counters = kernel.tables().counters;
        let server = Server::start(LOCALHOSTS[0]);
        let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        let (mut sent, mut received) = (0, 0);
        let mut reply = [0; support::REPLY];
        for _ in 0..1000 {
            stream.write_all(&support::request(Ending::ClientCloses)).unwrap();
            stream.read_exact(&mut reply).unwrap();
            sent += support::request(Ending::ClientCloses).len() as u64;
            received += reply.len() as u64;
        }
        assert_eq!(counters.read(slot).bytes_in, 0);
        drop(stream);
        await_bytes(&counters, slot, sent, received);
    });
}

/// Waits until so many bytes are counted.
fn await_bytes(counters: &TargetCounters, slot: Slot, sent: u64, received: u64) {
    eventually(|| {
        let seen = counters.read(slot);
        if (seen.bytes_out, seen.bytes_in) == (sent, received) { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

#[test]
fn bytes_of_an_open_connection_are_counted_when_asked_and_once() {
    isolated("bytes_of_an_open_connection_are_counted_when_asked_and_once", |instance| {
        let mut kernel = instance.open();
        let counters = kernel.tables().counters;
        for (round, ending) in
            [Ending::ClientCloses, Ending::ServerCloses, Ending::ServerResets].into_iter().enumerate()
        {
            let server = Server::start(LOCALHOSTS[round % 2]);
            let slot = kernel.claim_slot(&Endpoint::Tcp(server.address)).unwrap();
            let mut stream = TcpStream::connect(server.address).unwrap();
            let socket = stream.as_raw_fd();
            assert_eq!(
                counters.count_open(slot, socket, ReportedBytes::default()),
                None,
                "nothing has moved"
            );
            let mut reply = [0; support::REPLY];
            let mut told = ReportedBytes::default();
            let (mut sent, mut received) = (0, 0);
            for _ in 0..3 {
                for _ in 0..10 {
                    stream.write_all(&support::request(Ending::ClientCloses)).unwrap();
                    stream.read_exact(&mut reply).unwrap();
                    sent += support::request(Ending::ClientCloses).len() as u64;
                    received += reply.len() as u64;
                }
                // What was sent last is acknowledged with the reply.
                told = counters.count_open(slot, socket, told).expect("something has moved");
                await_bytes(&counters, slot, sent, received);
                assert_eq!(counters.count_open(slot, socket, told), None, "nothing has moved since");
            }
            stream.write_all(&support::request(ending)).unwrap();
            stream.read_exact(&mut reply).unwrap();
            sent += support::request(ending).len() as u64;
            received += reply.len() as u64;
            if !matches!(ending, Ending::ClientCloses) {
                assert!(matches!(stream.read(&mut reply), Ok(0) | Err(_)), "the server ends it");
            }
            drop(stream);
            await_bytes(&counters, slot, sent, received);
        }
    });
}
