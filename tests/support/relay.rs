//! A way to a server that can be slow or cut, as a network is: whoever is connected through it is not any more, and nobody gets through.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// A way to a server.
#[derive(Debug)]
pub struct Relay {
    /// Where it begins.
    pub address: SocketAddr,
    way: Arc<Way>,
}

#[derive(Debug)]
struct Way {
    server: SocketAddr,
    is_cut: AtomicBool,
    /// Milliseconds that what the server says takes longer.
    late: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// To this server.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(Way {
            server,
            is_cut: AtomicBool::new(false),
            late: AtomicU64::new(0),
            streams: Mutex::default(),
        });
        let own = Arc::clone(&way);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                Way::carry(&own, stream);
            }
        });
        Self { address, way }
    }

    /// Cuts it, or makes it whole again.
    ///
    /// # Panics
    /// Never.
    pub fn cut(&self, is_cut: bool) {
        let mut streams = self.way.streams.lock().unwrap();
        self.way.is_cut.store(is_cut, SeqCst);
        streams.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

impl Relay {
    /// What the server says comes so much later from here on.
    pub fn slow(&self, by: Duration) {
        self.way.late.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), SeqCst);
    }
}

impl Way {
    fn carry(own: &Arc<Self>, client: TcpStream) {
        let mut streams = own.streams.lock().unwrap();
        if own.is_cut.load(SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(own.server) else { return };
        for (from, to, is_answer) in [(&client, &server, false), (&server, &client, true)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let (line, due) = mpsc::channel();
            let way = Arc::clone(own);
            let mut source = from.try_clone().unwrap();
            thread::spawn(move || {
                let mut bytes = [0; 16 << 10];
                while let Ok(count @ 1..) = source.read(&mut bytes) {
                    let late = if is_answer { way.late.load(SeqCst) } else { 0 };
                    let at = Instant::now() + Duration::from_millis(late);
                    if line.send((at, bytes[..count].to_vec())).is_err() {
                        break;
                    }
                }
            });
            thread::spawn(move || deliver(&from, to, &due));
        }
        streams.extend([client, server]);
    }
}

/// Has each part arrive when it is due: a long way holds up what follows no longer than what goes before.
fn deliver(from: &TcpStream, mut to: TcpStream, due: &mpsc::Receiver<(Instant, Vec<u8>)>) {
    for (at, bytes) in due {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}
