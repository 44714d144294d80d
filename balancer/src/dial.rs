//! Several ways to one thing, of which the first that works counts: the next is tried when one has failed, and beside those before when
//! they have said nothing for a moment (RFC 8305, section 5), so that one that swallows everything costs a moment and not all the
//! time that there is. Must not know: what is connected to.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, task::JoinSet, time::timeout};

/// How long an attempt is alone.
const HEAD_START: Duration = Duration::from_millis(250);

/// What the first attempt that succeeds brings.
///
/// # Errors
/// What all of them failed with, the last to fail at the end.
pub async fn first_of<T, E, A>(attempts: impl IntoIterator<Item = A>) -> Result<T, Vec<E>>
where
    A: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let (mut attempts, mut running, mut faults) = (attempts.into_iter(), JoinSet::new(), Vec::new());
    loop {
        let ended = match attempts.next() {
            Some(attempt) => {
                running.spawn(attempt);
                match timeout(HEAD_START, running.join_next()).await {
                    Ok(ended) => ended,
                    Err(_) => continue,
                }
            }
            None => running.join_next().await,
        };
        match ended {
            Some(Ok(Ok(brought))) => return Ok(brought),
            Some(Ok(Err(why))) => faults.push(why),
            // One that a bug has ended says nothing.
            Some(Err(_)) => {}
            None => return Err(faults),
        }
    }
}

/// A connection to whichever of these addresses answers first, tried in this order.
///
/// # Errors
/// The system's, of the last of them.
pub async fn stream(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let connected = first_of(addresses.into_iter().map(TcpStream::connect)).await;
    let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "there is no address");
    connected.map_err(|mut faults| faults.pop().unwrap_or_else(none))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use support::Hole;

    use super::*;
    use crate::clock::monotonic_now;

    #[tokio::test]
    async fn an_address_that_swallows_everything_costs_a_moment() {
        let (hole, live) = (Hole::dig(), TcpListener::bind("127.0.0.1:0").unwrap());
        let at = live.local_addr().unwrap();
        let began = monotonic_now();
        let addresses = [hole.address, hole.address, at];
        let stream = timeout(Duration::from_secs(20), stream(addresses)).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), at);
        assert!(began.elapsed() >= 2 * HEAD_START, "the first ones come first");
    }

    #[tokio::test]
    async fn one_that_refuses_costs_nothing_and_the_last_fault_is_told() {
        let (hole, live) = (Hole::dig(), TcpListener::bind("127.0.0.1:0").unwrap());
        let at = live.local_addr().unwrap();
        drop(live);
        let error = stream([at, at]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(stream([]).await.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
        // All silent: it goes on for as long as who asks has time.
        assert!(timeout(2 * HEAD_START, stream([hole.address, at])).await.is_err());
    }

    #[tokio::test]
    async fn an_attempt_that_panics_is_one_that_failed() {
        let attempt = |number: u32| async move {
            assert!(number > 0, "a bug");
            if number > 1 { Ok(number) } else { Err("no") }
        };
        assert_eq!(first_of([0, 1, 2].map(attempt)).await, Ok(2));
        assert_eq!(first_of([1, 0].map(attempt)).await, Err(vec!["no"]));
        assert_eq!(first_of([0].map(attempt)).await, Err(vec![]));
    }
}
