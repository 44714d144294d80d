//! What the kernel knows of what was sent on a TCP connection: for those that no kernel program watches. Must not know: where a
//! connection leads, when it is looked at.

use std::os::fd::RawFd;

use super::{
    TargetEventKind,
    sys::{self, ESTABLISHED, SYN_SENT},
};

/// How what was sent on a connection has come through, as of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Whether it is an attempt to connect.
    connecting: bool,
    /// Segments that are not acknowledged.
    unacknowledged: u32,
    /// Those of them that are on their way for another time.
    again: u32,
    /// Those of them that are acknowledged out of their order (RFC 2018).
    selectively: u32,
    /// Retransmission timeouts since something was acknowledged.
    timeouts: u8,
    /// Segments that were sent again so far.
    retransmits: u32,
    /// Bytes that are acknowledged.
    acknowledged: u64,
    /// Smoothed round-trip time in microseconds; 0: none is known.
    srtt_us: u32,
}

/// What earlier looks at a connection found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenDelivery {
    timeouts: u8,
    retransmits: u32,
    acknowledged: u64,
}

impl Delivery {
    /// Of the socket with this descriptor; none where it is no TCP connection that is being opened, or is open.
    #[must_use]
    pub fn of(socket: RawFd) -> Option<Self> {
        let info = sys::tcp_info(socket)?;
        let connecting = info.state == SYN_SENT;
        (connecting || info.state == ESTABLISHED).then_some(Self {
            connecting,
            unacknowledged: info.unacknowledged,
            again: info.again,
            selectively: info.selectively,
            timeouts: info.timeouts,
            retransmits: info.retransmits,
            acknowledged: info.acknowledged,
            // Before there is a sample the kernel has none.
            srtt_us: if connecting { 0 } else { info.srtt_us },
        })
    }

    /// Whether everything has come through.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.unacknowledged == 0
    }

    /// Smoothed round-trip time in microseconds; 0: none is known.
    #[must_use]
    pub fn srtt_us(&self) -> u64 {
        self.srtt_us.into()
    }

    /// What the connection's end leaves without an answer, by the rule that the kernel program has: something was sent again, and
    /// nothing behind it is acknowledged. `before`: what was seen while it waited for the same. Where nothing was acknowledged since,
    /// whatever is sent again counts, the probe after a tail too, of which nothing tells but the number of those (RFC 8985, section
    /// 7); else it may be what a busy path loses now and then, and a timeout alone counts.
    #[must_use]
    pub fn unanswered(&self, before: Option<SeenDelivery>) -> Option<TargetEventKind> {
        let stands = before.filter(|before| before.acknowledged == self.acknowledged);
        let is_again = stands.is_some_and(|before| self.again > 0 || self.retransmits > before.retransmits);
        let kind = if self.connecting {
            TargetEventKind::ConnectUnanswered
        } else {
            TargetEventKind::DataUnanswered
        };
        let is_silent = (is_again || self.timeouts > 0) && !self.is_over() && self.selectively == 0;
        is_silent.then_some(kind)
    }

    /// Segments sent again and retransmission timeouts that are not among what was seen before.
    pub(super) fn since(&self, seen: SeenDelivery) -> (u64, u64) {
        let retransmits = self.retransmits.saturating_sub(seen.retransmits);
        // They are counted from zero whenever something is acknowledged.
        let timeouts = match self.timeouts.checked_sub(seen.timeouts) {
            Some(more) => more,
            None => self.timeouts,
        };
        (retransmits.into(), timeouts.into())
    }

    /// All that is seen now.
    #[must_use]
    pub fn seen(&self) -> SeenDelivery {
        SeenDelivery {
            timeouts: self.timeouts,
            retransmits: self.retransmits,
            acknowledged: self.acknowledged,
        }
    }
}

#[cfg(test)]
impl Delivery {
    /// Of a connection, or an attempt, whose other end has not yet acknowledged what was sent.
    pub(crate) fn unacknowledged_for_tests(connecting: bool) -> Self {
        Self { connecting, unacknowledged: 1, ..Self::default() }
    }

    /// Of one that has sent so many segments again, and waits.
    pub(crate) fn probed_for_tests(retransmits: u32) -> Self {
        Self { retransmits, ..Self::unacknowledged_for_tests(false) }
    }

    /// Of one with this smoothed round-trip time.
    pub(crate) fn of_round_trip_for_tests(srtt_us: u32) -> Self {
        Self { srtt_us, ..Self::default() }
    }

    /// Of one whose other end is silent.
    pub(crate) fn silent_for_tests(connecting: bool) -> Self {
        Self { timeouts: 1, ..Self::unacknowledged_for_tests(connecting) }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd as _,
    };

    use super::*;

    #[test]
    fn silence_is_what_was_sent_again_with_nothing_behind_it_acknowledged() {
        let none = Delivery::default();
        assert_eq!((none.is_over(), none.unanswered(None)), (true, None));
        let sent = Delivery { unacknowledged: 2, ..none };
        assert_eq!((sent.is_over(), sent.unanswered(Some(sent.seen()))), (false, None), "it is under way");
        let probed = Delivery { retransmits: 1, ..sent };
        assert_eq!(probed.unanswered(Some(sent.seen())), Some(TargetEventKind::DataUnanswered));
        assert_eq!(probed.unanswered(Some(probed.seen())), None, "that was before");
        assert_eq!(probed.unanswered(None), None, "that may have been long before");
        let lost = Delivery { again: 1, ..sent };
        assert_eq!(lost.unanswered(Some(lost.seen())), Some(TargetEventKind::DataUnanswered));
        let goes_on = Delivery { acknowledged: 1, ..probed };
        assert_eq!(
            goes_on.unanswered(Some(sent.seen())),
            None,
            "it was lost on the way, and something came through"
        );
        assert_eq!(
            Delivery { selectively: 1, ..lost }.unanswered(Some(lost.seen())),
            None,
            "it is there, and lacks something"
        );
        let timed_out = Delivery { timeouts: 1, ..sent };
        assert_eq!(timed_out.unanswered(None), Some(TargetEventKind::DataUnanswered));
        let connecting = Delivery { connecting: true, ..timed_out };
        assert_eq!(connecting.unanswered(None), Some(TargetEventKind::ConnectUnanswered));
        assert_eq!(Delivery { timeouts: 3, ..none }.unanswered(None), None, "windows are asked for, too");
    }

    #[test]
    fn what_was_sent_again_is_counted_once() {
        let at = |timeouts, retransmits| Delivery { timeouts, retransmits, ..Delivery::default() };
        assert_eq!(at(0, 0).since(SeenDelivery::default()), (0, 0));
        assert_eq!(at(2, 3).since(SeenDelivery::default()), (3, 2));
        assert_eq!(at(2, 3).since(at(2, 3).seen()), (0, 0));
        assert_eq!(at(3, 5).since(at(2, 3).seen()), (2, 1));
        assert_eq!(at(1, 6).since(at(3, 5).seen()), (1, 1), "something was acknowledged meanwhile");
    }

    #[test]
    fn a_connection_over_loopback_has_a_round_trip_time_and_nothing_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.write_all(b"ping").unwrap();
        far.read_exact(&mut [0; 4]).unwrap();
        // With the answer comes the acknowledgement.
        far.write_all(b"pong").unwrap();
        near.read_exact(&mut [0; 4]).unwrap();
        let seen = Delivery::of(near.as_raw_fd()).unwrap();
        assert!(
            seen.is_over() && seen.srtt_us() > 0 && seen.unanswered(Some(SeenDelivery::default())).is_none(),
            "{seen:?}"
        );
        assert_eq!(Delivery::of(listener.as_raw_fd()), None, "it listens");
        assert_eq!(Delivery::of(-1), None);
        let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(Delivery::of(unix.as_raw_fd()), None);
    }
}
