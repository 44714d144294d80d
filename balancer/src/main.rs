//! Parses arguments, runs a command, exits with its code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    balancer::cli::main()
}
