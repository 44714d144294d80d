//! `balancer status`: asks the admin endpoint of a running balancer and prints the answer.

use super::{
    endpoint::ask,
    nodes,
    told::{CommandFailure, admin_endpoint, print},
};
use crate::telemetry::status_text::StatusText;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  balancer status\n  balancer status --json | jq '.target_groups[].targets[]'\n  \
                  balancer status --all 10.0.0.1:9900,10.0.0.2:9900"
)]
pub(super) struct StatusArguments {
    /// Print the JSON document of the endpoint's /status as it is
    #[arg(long)]
    json: bool,
    /// Admin endpoint of the balancer: its admin_address, with or without http://
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900", value_parser = admin_endpoint)]
    admin: String,
    /// Ask all balancers that act together, at their admin endpoints, and print them in one table
    ///
    /// One that is away is named, and holds up no other; the exit code is 1 then.
    #[arg(long, value_name = "ADDR,ADDR…", value_delimiter = ',', num_args = 1.., conflicts_with = "admin", value_parser = admin_endpoint)]
    all: Vec<String>,
}

/// Prints the state of a running balancer.
pub(super) fn run(arguments: &StatusArguments) -> Result<(), CommandFailure> {
    if arguments.all.is_empty() {
        return Ok(print(&report(arguments)?)?);
    }
    let nodes = nodes::ask_all(&arguments.all)?;
    print(&if arguments.json { nodes.json()? } else { nodes.to_string() })?;
    Ok(nodes.away()?)
}

fn report(arguments: &StatusArguments) -> anyhow::Result<String> {
    let (document, status) = ask(&arguments.admin)?;
    Ok(if arguments.json { document } else { StatusText(&status).to_string() })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::telemetry::status::Status;

    /// Answers one connection with `bytes`.
    fn endpoint(bytes: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    return;
                }
                request.extend_from_slice(&byte);
            }
            assert!(request.starts_with(b"GET /status HTTP/1.1\r\n"));
            let _ = stream.write_all(&bytes);
        });
        address
    }

    fn failure(admin: String) -> String {
        format!("{:#}", report(&StatusArguments { json: true, admin, all: Vec::new() }).unwrap_err())
    }

    #[test]
    fn a_document_is_printed_and_anything_else_is_told_in_one_line() {
        let body = serde_json::to_string(&Status::default()).unwrap();
        let good = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let until_close = format!("HTTP/1.0 200 OK\r\n\r\n{body}");
        for answer in [&good, &until_close] {
            let told = |json| {
                report(&StatusArguments { json, admin: endpoint(answer.clone().into()), all: Vec::new() })
                    .unwrap()
            };
            assert_eq!(told(true), body);
            assert_eq!(told(false), StatusText(&Status::default()).to_string());
        }

        let refused = endpoint(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec());
        assert!(failure(refused).contains("answered 503"));
        let other = endpoint(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec());
        let told = failure(other);
        assert!(told.contains("not a balancer's admin endpoint") && !told.contains("column"), "{told}");
        let garbage = endpoint(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec());
        assert!(failure(garbage).contains("not a balancer's admin endpoint"));
        let short = endpoint(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"ver".to_vec());
        assert!(failure(short).contains("broke off"));
    }

    #[test]
    fn nobody_listening_is_told_with_the_address() {
        let (_socket, address) = crate::clock::test_support::refusing();
        let admin = address.to_string();
        let told = failure(admin.clone());
        assert!(told.contains(&admin) && told.contains("refused"), "{told}");
        assert!(failure("not an address".into()).contains("cannot reach"));
    }
}
