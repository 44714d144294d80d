//! The Model Context Protocol, whose sessions live in the process that began them: the real SDKs, two processes each.

use support::{
    Balancer, Config, Group,
    apps::{App, Running},
};

/// They answer 404 to what is no path of theirs.
const CHECK: &str = "path = \"/\"\nmatcher = \"404\"";

fn config(processes: &[Running], group: impl Fn(Group) -> Group) -> Config {
    let addresses: Vec<String> = processes.iter().map(|process| process.address.clone()).collect();
    let mut group = group(Group::of("app", &addresses).algorithm("round_robin").deregistration_delay(300));
    CHECK.clone_into(&mut group.health_check);
    Config::with(group).workers(2)
}

fn by_header(group: Group) -> Group {
    group.app_header("Mcp-Session-Id")
}

fn two(app: App) -> Option<[Running; 2]> {
    Some([app.start_if_installed()?, app.start()])
}

/// Dialogues are whole with the field, also while all their targets are replaced; and are not without it.
fn dialogues_stay_whole(app: App) {
    let Some(old) = two(app) else { return };
    let balancer = Balancer::start(&config(&old, by_header));
    assert_eq!(app.lost(balancer.address, 9, 5), 0);
    let new = [app.start(), app.start()];
    let lost = app.lost_around(balancer.address, (6, 6), || balancer.reload(&config(&new, by_header)));
    assert_eq!(lost, 0, "they go on with what drains");
    assert_eq!(app.lost(balancer.address, 6, 5), 0, "and those that begin now with what is new");
}

fn dialogues_break_without_it(app: App) {
    let Some(processes) = two(app) else { return };
    let balancer = Balancer::start(&config(&processes, |group| group));
    assert!(app.lost(balancer.address, 9, 5) > 0);
}

#[test]
fn the_first_python_sdk_keeps_its_dialogues() {
    dialogues_stay_whole(App::McpPython1);
}

#[test]
fn the_second_python_sdk_keeps_its_dialogues() {
    dialogues_stay_whole(App::McpPython2);
}

#[test]
fn the_sdk_for_node_keeps_its_dialogues() {
    dialogues_stay_whole(App::McpNode);
}

#[test]
fn dialogues_of_the_first_python_sdk_break_without_stickiness() {
    dialogues_break_without_it(App::McpPython1);
}

#[test]
fn dialogues_of_the_second_python_sdk_break_without_stickiness() {
    dialogues_break_without_it(App::McpPython2);
}

#[test]
fn dialogues_of_the_sdk_for_node_break_without_stickiness() {
    dialogues_break_without_it(App::McpNode);
}
