//! `cargo xtask`: build, check, test and measure balancer. One file per command.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool talks on its standard output"
)]

mod bench;
mod build_ebpf;
mod check_advisories;
mod check_ebpf;
mod dist;
mod fuzz;
mod grpc_target;
mod handshakes;
mod house;
mod hyper_proxy;
mod instructions;
mod lab;
mod machine;
mod package;
mod prove;
mod relay;
mod setup;
mod shell;
mod site;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// As balancer has it: the proxy of hyper is measured beside it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, check, test and measure balancer")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the kernel programs and writes the object that is committed.
    BuildEbpf,
    /// Builds the kernel programs anew and compares them with the committed object.
    CheckEbpf,
    /// Holds the versions that are linked in against advisories that are known here, without asking anybody.
    CheckAdvisories,
    /// Holds the balancer's source to what ARCHITECTURE.md says: no rings, no arrow up between rooms, `unsafe` in its place.
    House,
    /// Builds the program and lays it out in `target/dist` with all that a package has.
    Dist(dist::Options),
    /// Makes what is handed out in `target/package`: a Debian package, a tarball, a bill of materials, checksums.
    Package(package::Options),
    /// Builds the documentation as a site in `target/site`, and fails on a link that leads nowhere.
    Site(site::Options),
    /// Installs what the tests need and is missing, and nothing else.
    Setup,
    /// Sets up what the tests need and is missing, then runs every test of the workspace.
    Test(test::Options),
    /// Holds the parts without locks to what they promise: under loom, under miri, and on AArch64.
    Prove(prove::Options),
    /// Runs what reads bytes of strangers under libFuzzer.
    Fuzz(fuzz::Options),
    /// Measures balancer beside its peers and relays that do nothing, and writes tables of figures and ratios.
    Bench(bench::Options),
    /// Counts the instructions of a request under callgrind, and fails where there are more than were committed.
    Instructions(instructions::Options),
    /// Puts balancer into a situation, beside its peers, prints what came of it, and fails below the mark.
    Lab(lab::Options),
    /// The byte relay that `bench` takes as its floor.
    #[command(hide = true)]
    Relay(relay::Options),
    /// The proxy of hyper's server and client that `bench` measures.
    #[command(hide = true)]
    HyperProxy(hyper_proxy::Options),
    /// What `bench` has as a target of gRPC.
    #[command(hide = true)]
    GrpcTarget(grpc_target::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::BuildEbpf => build_ebpf::run(),
        Command::CheckEbpf => check_ebpf::run(),
        Command::CheckAdvisories => check_advisories::run(),
        Command::House => house::run(),
        Command::Dist(options) => dist::run(&options),
        Command::Package(options) => package::run(&options),
        Command::Site(options) => site::run(&options),
        Command::Setup => setup::for_tests(),
        Command::Test(options) => test::run(&options),
        Command::Prove(options) => prove::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Instructions(options) => instructions::run(&options),
        Command::Lab(options) => lab::run(&options),
        Command::Relay(options) => relay::run(&options),
        Command::HyperProxy(options) => hyper_proxy::run(&options),
        Command::GrpcTarget(options) => grpc_target::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
