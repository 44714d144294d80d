//! AWS' SDK for Rust, as a program of its own (`tests/apps/aws-sdk`).

use std::process::Command;

use support::{Client, apps};

use super::{Api, Besides, SECRET};

#[test]
fn the_sdk_for_rust_makes_changes_and_removes() {
    let program = apps::aws_sdk();
    if !apps::has(&program.display().to_string()) {
        return;
    }
    let api = Api::with(Besides::default(), |_| {});
    let step = |name: &str| {
        let mut command = Command::new(&program);
        command.env_clear().env("AWS_ACCESS_KEY_ID", "WRITER").env("AWS_SECRET_ACCESS_KEY", SECRET);
        let port = api.port.to_string();
        command.args([name, &api.endpoint(), &port, &api.targets[0].address, &api.targets[1].address]);
        assert_eq!(api.says(&mut command), "done\n", "{name}");
    };
    step("make");
    let mut client = Client::new(([127, 0, 0, 1], api.port).into());
    let first = client.get("/").header("x-target").to_owned();
    for _ in 0..5 {
        assert_eq!(client.get("/").header("x-target"), first);
    }
    step("change");
    assert_eq!(client.get("/tea/green").status, 418);
    // Whoever was at the target that is gone, and all others, are at the one that is left.
    for mut client in [client, Client::new(([127, 0, 0, 1], api.port).into())] {
        assert_eq!(client.get("/").header("x-target"), api.targets[1].address);
    }
    step("remove");
    api.balancer.wait_status("nothing is left", 10.0, |status| {
        status.0["listeners"].as_array().is_some_and(Vec::is_empty)
    });
    api.assert_sound();
}
