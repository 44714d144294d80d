//! A service manager keeps the listening sockets over a restart: nobody is refused, whoever ends the process.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use support::{Balancer, Config, Connection, Target, balancer::binary, until};

const MANAGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/support/service_manager.py");

/// The manager and its service.
struct Manager {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Manager {
    fn start(balancer: &Balancer) -> Self {
        let mut command = Command::new("python3");
        command.arg(MANAGER).arg(balancer.folder().join("notify")).arg(binary());
        command.arg("run").arg("-c").arg(balancer.config_path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, input, lines }
    }

    fn say(&mut self, word: &str) {
        writeln!(self.input.as_mut().unwrap(), "{word}").unwrap();
    }

    /// Waits for a line that begins so.
    fn hears(&self, begin: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).expect(begin);
            if line.starts_with(begin) {
                return line;
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}

#[test]
fn a_restart_refuses_nobody() {
    for assist in ["off", "auto"] {
        let target = Target::plain();
        let config = Config::new(&[&target]).kernel_assist(assist).workers(2);
        let balancer = Balancer::prepare(&config);
        let mut manager = Manager::start(&balancer);
        assert!(manager.hears("FDSTORE=1").ends_with(" 2"), "one of each worker");
        manager.hears("READY=1");
        assert_eq!(balancer.connect().get("/", "").status, 200);
        for how in ["wait", "kill"] {
            manager.say(how);
            manager.hears("ended");
            if how == "wait" {
                // Nobody serves, and who comes waits for the next process.
                let address = balancer.address;
                if let Err(error) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
                    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "it asks again");
                }
                let waiting = thread::spawn(move || Connection::open(address).get("/", "").status);
                manager.say("go on");
                assert_eq!(waiting.join().unwrap(), 200);
            }
            manager.hears("READY=1");
            assert_eq!(balancer.connect().get("/", "").status, 200);
        }
        // What is not listened at any more is not kept.
        let moved = Config { address: "127.0.0.3".to_owned(), ..config };
        balancer.write(&moved);
        manager.say("restart");
        manager.hears("READY=1");
        until("the old address is given up", 60.0, || {
            TcpStream::connect(balancer.address).is_err().then_some(())
        });
    }
}
