//! Real applications that keep sessions in memory, two processes each, with their own clients.

use support::{
    Balancer, Config, Group,
    apps::{App, Running},
};

fn lost(app: App, health_check: &str, stickiness: impl Fn(Group) -> Group) -> usize {
    let processes: [Running; 2] = [app.start(), app.start()];
    let mut group = Group::of("app", &processes.each_ref().map(|process| process.address.clone()));
    group = stickiness(group.algorithm("round_robin"));
    health_check.clone_into(&mut group.health_check);
    let balancer = Balancer::start(&Config::with(group).workers(2));
    // An odd number, so that turns between two processes do not happen to bring everyone back to their own.
    app.lost(balancer.address, 7, 10)
}

const PAGE: &str = "path = \"/\"";
/// engine.io answers 400 to what is no handshake.
const ENGINE: &str = "path = \"/socket.io/\"\nmatcher = \"400\"";

#[test]
fn cherrypy_loses_nothing_with_the_balancers_cookie() {
    assert_eq!(lost(App::CherryPy, PAGE, Group::lb_cookie), 0);
}

#[test]
fn cherrypy_loses_nothing_with_its_own_cookie() {
    assert_eq!(lost(App::CherryPy, PAGE, |group| group.app_cookie("session_id")), 0);
}

#[test]
fn cherrypy_loses_sessions_without_stickiness() {
    assert!(lost(App::CherryPy, PAGE, |group| group) > 0);
}

#[test]
fn socket_io_loses_nothing_with_the_balancers_cookie() {
    assert_eq!(lost(App::SocketIo, ENGINE, Group::lb_cookie), 0);
}

#[test]
fn socket_io_loses_sessions_without_stickiness() {
    assert!(lost(App::SocketIo, ENGINE, |group| group) > 0);
}
