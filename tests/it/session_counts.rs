//! How many sessions are bound to each target, so that it can be seen when one that drains is empty.

use support::{Balancer, Client, Config, Group, Target, until};

fn sessions(balancer: &Balancer, target: &Target) -> Option<u64> {
    balancer.status().target(&target.address)["sessions"].as_u64()
}

/// Clients that have been served once.
fn clients(balancer: &Balancer, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| balancer.client()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    clients
}

/// Two workers, and sessions that last so many seconds.
fn lasting(targets: &[&Target], duration: u32) -> Config {
    let group = Group::new("app", targets).lb_cookie().algorithm("round_robin");
    Config::with(group.stickiness(&format!("cookie_duration = {duration}"))).workers(2)
}

#[test]
fn each_target_tells_the_sessions_that_are_bound_to_it() {
    let (one, two) = (Target::plain(), Target::plain());
    let config = |targets: &[&Target]| {
        Config::with(Group::new("app", targets).lb_cookie().algorithm("round_robin")).workers(2)
    };
    let balancer = Balancer::start(&config(&[&one, &two]));
    assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(0), Some(0)));
    let mut clients = clients(&balancer, 10);
    assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(5), Some(5)));
    for _ in 0..3 {
        for client in &mut clients {
            client.get("/");
            client.disconnect();
        }
    }
    assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(5), Some(5)));
    let labels = format!("{{target_group=\"app\",target=\"{}\"}}", one.address);
    assert_eq!(balancer.metric(&format!("balancer_target_sessions{labels}")), 5.0);
    // One drains: its sessions go one by one as their clients come back.
    balancer.reload(&config(&[&two]));
    assert_eq!(balancer.status().target(&one.address)["state"], "draining");
    assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(5), Some(5)));
    for (place, client) in clients.iter_mut().enumerate() {
        client.get("/");
        let moved = sessions(&balancer, &two).unwrap() - 5;
        assert_eq!(sessions(&balancer, &one), Some(5 - moved), "after client {place}");
    }
    assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(0), Some(10)));
}

#[test]
fn sessions_of_an_application_are_counted_and_those_that_are_over_are_not() {
    let target = Target::sessions();
    let lasting = |duration: u32| {
        let group = Group::new("app", &[&target]).app_cookie("SESSIONID");
        Config::with(group.stickiness(&format!("cookie_duration = {duration}")))
    };
    let balancer = Balancer::start(&lasting(3600));
    let mut clients = clients(&balancer, 4);
    assert_eq!(sessions(&balancer, &target), Some(4));
    // One that returns the cookie of the application alone.
    clients[0].withheld.push("AWSALB".to_owned());
    clients[0].get("/");
    assert_eq!(sessions(&balancer, &target), Some(4));
    balancer.reload(&lasting(1));
    balancer.wait_status("all are over", 10.0, |status| status.target(&target.address)["sessions"] == 0);
}

#[test]
fn requests_side_by_side_move_a_session_once() {
    let (one, two) = (Target::plain(), Target::plain());
    let config = |targets: &[&Target]| Config::with(Group::new("app", targets).lb_cookie()).workers(2);
    let balancer = Balancer::start(&config(&[&one]));
    let clients = clients(&balancer, 3);
    balancer.reload(&config(&[&two]));
    let cookies = clients[0].cookie_line();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| balancer.connect().get("/", &cookies));
        }
    });
    assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(2), Some(1)));
}

/// Where no target has anything to do with the cookie any more, too.
#[test]
fn requests_side_by_side_begin_a_session_once() {
    let (one, two) = (Target::plain(), Target::plain());
    let config = |targets: &[&Target], duration: u32| {
        let group = Group::new("app", targets).lb_cookie().deregistration_delay(0);
        Config::with(group.stickiness(&format!("cookie_duration = {duration}"))).workers(2)
    };
    let balancer = Balancer::start(&config(&[&one], 86_400));
    let clients = clients(&balancer, 2);
    let side_by_side = |client: &Client| {
        let cookies = client.cookie_line();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| balancer.connect().get("/", &cookies));
            }
        });
    };
    balancer.reload(&config(&[&two], 86_400));
    balancer.wait_status("the first one is gone", 10.0, |status| status.find(&one.address).is_none());
    side_by_side(&clients[0]);
    assert_eq!(sessions(&balancer, &two), Some(1), "its target is gone");
    let mut late = balancer.client();
    late.get("/");
    assert_eq!(sessions(&balancer, &two), Some(2));
    balancer.reload(&config(&[&two], 1));
    until("all are over", 20.0, || (sessions(&balancer, &two) == Some(0)).then_some(()));
    side_by_side(&late);
    assert!(sessions(&balancer, &two) <= Some(1), "its session is over");
}

#[test]
fn who_is_given_another_session_is_counted_in_that_alone() {
    let (one, two) = (Target::plain(), Target::plain());
    let balancer = Balancer::start(&lasting(&[&one, &two], 86_400));
    let mut clients = clients(&balancer, 10);
    let counts = || (sessions(&balancer, &one), sessions(&balancer, &two));
    assert_eq!(counts(), (Some(5), Some(5)));
    // The lever that balances anew.
    balancer.reload(&lasting(&[&one, &two], 1));
    until("all are over", 20.0, || (counts() == (Some(0), Some(0))).then_some(()));
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    balancer.reload(&lasting(&[&one, &two], 86_400));
    for _ in 0..2 {
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
        let (one, two) = counts();
        assert_eq!(one.unwrap() + two.unwrap(), 10);
    }
    balancer.reload(&lasting(&[&two], 86_400));
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), two.address));
    assert_eq!(counts(), (Some(0), Some(10)), "and who leaves leaves");
}

/// Scripts and load tools send the first cookie that they were given for ever.
#[test]
fn clients_that_keep_their_first_cookie_leave_a_target_that_drains() {
    let (one, two) = (Target::plain(), Target::plain());
    let balancer = Balancer::start(&lasting(&[&one, &two], 255));
    // Not of the moment in which counting began.
    let mut probe = balancer.client();
    until("a cookie is counted for sure", 20.0, || {
        probe.get("/");
        (balancer.status().0["uptime_seconds"].as_u64()? >= 4).then_some(())
    });
    let clients = clients(&balancer, 6);
    let uptime = || balancer.status().0["uptime_seconds"].as_u64().unwrap();
    let begun = uptime();
    let cookies: Vec<String> = clients.iter().map(Client::cookie_line).collect();
    let ask = || cookies.iter().for_each(|line| assert_eq!(balancer.connect().get("/", line).status, 200));
    until("they were renewed in another part", 20.0, || {
        ask();
        (uptime() >= begun + 3).then_some(())
    });
    balancer.reload(&lasting(&[&two], 255));
    until("the one that drains is empty", 60.0, || {
        ask();
        probe.get("/");
        (sessions(&balancer, &one) == Some(0)).then_some(())
    });
    assert_eq!(sessions(&balancer, &two), Some(7));
}

#[test]
fn who_left_a_target_is_not_counted_once_more_when_that_is_gone() {
    let (one, two) = (Target::plain(), Target::plain());
    let config = |targets: &[&Target]| {
        let group = Group::new("app", targets).lb_cookie().algorithm("round_robin");
        Config::with(group.deregistration_delay(5)).workers(2)
    };
    let balancer = Balancer::start(&config(&[&one, &two]));
    let cookies: Vec<String> = clients(&balancer, 6).iter().map(Client::cookie_line).collect();
    let ask = || cookies.iter().for_each(|line| assert_eq!(balancer.connect().get("/", line).status, 200));
    balancer.reload(&config(&[&two]));
    ask();
    assert_eq!(sessions(&balancer, &two), Some(6));
    balancer.wait_status("it is gone", 30.0, |status| status.find(&one.address).is_none());
    (0..3).for_each(|_| ask());
    assert_eq!(sessions(&balancer, &two), Some(6));
}

/// A cookie of the page's, or one that the application sets anew with each response.
#[test]
fn other_cookies_that_change_make_no_other_client() {
    let (one, two) = (Target::plain(), Target::plain());
    let balancer = Balancer::start(&lasting(&[&one, &two], 86_400));
    let mut clients = clients(&balancer, 4);
    let stays =
        clients.iter_mut().find_map(|client| (client.get("/").text() == one.address).then_some(client));
    let cookies = stays.unwrap().cookie_line();
    balancer.reload(&lasting(&[&two], 86_400));
    for visit in 0..4 {
        let cookies = cookies.replace("Cookie: ", &format!("Cookie: visit={visit}; "));
        assert_eq!(balancer.connect().get("/", &cookies).text(), two.address);
        assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(1), Some(3)));
    }
}

#[test]
fn a_group_that_is_not_sticky_has_no_sessions_to_tell() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    balancer.connect().get("/", "");
    assert!(balancer.status().target(&target.address)["sessions"].is_null());
    assert!(!balancer.admin_page("/metrics").text().contains("balancer_target_sessions{"));
}

#[test]
fn sessions_of_before_a_restart_are_counted_when_they_come_back() {
    let lb_cookie = |group: Group| group.lb_cookie();
    let app_cookie = |group: Group| group.app_cookie("SESSIONID");
    for kind in [lb_cookie, app_cookie] {
        for renewal in ["always", "when_due"] {
            are_counted_after_a_restart(|group| {
                kind(group).stickiness(&format!("cookie_renewal = \"{renewal}\""))
            });
        }
    }
}

fn are_counted_after_a_restart(sticky: impl FnOnce(Group) -> Group) {
    let target = Target::sessions();
    let mut balancer = Balancer::start(&Config::with(sticky(Group::new("app", &[&target]))));
    let mut clients = clients(&balancer, 3);
    balancer.kill_and_restart();
    clients.iter_mut().for_each(Client::disconnect);
    // Cookies of the second in which it started may be of either process: it takes another visit to tell.
    until("everybody is counted", 20.0, || {
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
        let count = sessions(&balancer, &target).unwrap();
        assert!(count <= 3, "{count}");
        (count == 3).then_some(())
    });
    for _ in 0..20 {
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    }
    assert_eq!(sessions(&balancer, &target), Some(3));
}

/// Nothing tells one of them from the other but what the balancer has given them.
#[test]
fn clients_that_are_all_alike_are_counted_one_by_one() {
    for more in ["", "max_lifetime = 3600"] {
        let (one, two) = (Target::plain(), Target::plain());
        let config = |targets: &[&Target]| {
            let group = Group::new("app", targets).algorithm("round_robin");
            Config::with(group.stickiness(&format!("type = \"lb_cookie\"\n{more}"))).workers(2)
        };
        let mut balancer = Balancer::start(&config(&[&one, &two]));
        let mut clients: Vec<Client> = (0..10).map(|_| balancer.client()).collect();
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
        balancer.kill_and_restart();
        clients.iter_mut().for_each(Client::disconnect);
        let counts = |balancer: &Balancer| (sessions(balancer, &one), sessions(balancer, &two));
        // Cookies of the second in which it started may be of either process: it takes another visit to tell.
        until("everybody is counted", 20.0, || {
            clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
            (counts(&balancer) == (Some(5), Some(5))).then_some(())
        });
        balancer.reload(&config(&[&two]));
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), two.address));
        assert_eq!(counts(&balancer), (Some(0), Some(10)), "{more}");
    }
}

#[test]
fn another_duration_forgets_no_session() {
    let (one, two) = (Target::plain(), Target::plain());
    let balancer = Balancer::start(&lasting(&[&one, &two], 86_400));
    let mut clients = clients(&balancer, 10);
    let counts = || (sessions(&balancer, &one), sessions(&balancer, &two));
    for duration in [3600, 604_800, 3600, 900, 86_400] {
        balancer.reload(&lasting(&[&one, &two], duration));
        assert_eq!(counts(), (Some(5), Some(5)), "{duration}");
        for client in &mut clients {
            client.get("/");
            client.disconnect();
        }
        assert_eq!(counts(), (Some(5), Some(5)), "{duration}");
    }
    // And who leaves leaves.
    balancer.reload(&lasting(&[&two], 7200));
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), two.address));
    assert_eq!(counts(), (Some(0), Some(10)));
}

/// Nothing but the request itself finds out that the target is gone.
#[test]
fn every_session_of_a_target_that_cannot_be_reached_moves() {
    for kind in ["type = \"lb_cookie\"", "type = \"app_cookie\"\ncookie_name = \"SESSIONID\""] {
        let (one, two) = (Target::sessions(), Target::sessions());
        let group = Group::new("app", &[&one, &two]).stickiness(kind).algorithm("round_robin");
        let balancer = Balancer::start(&Config::with(group.unchecked()));
        let mut clients = clients(&balancer, 8);
        assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(4), Some(4)));
        one.kill();
        for client in &mut clients {
            assert_eq!(client.get("/").header("x-target"), two.address);
        }
        assert_eq!((sessions(&balancer, &one), sessions(&balancer, &two)), (Some(0), Some(8)), "{kind}");
    }
}

#[test]
fn a_session_that_came_to_its_end_is_counted_where_the_next_one_is() {
    for kind in ["type = \"lb_cookie\"", "type = \"app_cookie\"\ncookie_name = \"SESSIONID\""] {
        let targets = [Target::sessions(), Target::sessions()];
        let group = Group::new("app", &[&targets[0], &targets[1]]).algorithm("round_robin");
        let config = Config::with(group.stickiness(kind).stickiness("max_lifetime = 2"));
        let balancer = Balancer::start(&config);
        let counts = || [&targets[0], &targets[1]].map(|target| sessions(&balancer, target).unwrap());
        let mut client = balancer.client();
        let home = client.get("/").text();
        let places = if home == targets[0].address { [1, 0] } else { [0, 1] };
        assert_eq!(counts(), places, "{kind}");
        until("the session has ended", 20.0, || (client.get("/").text() != home).then_some(()));
        assert_eq!(counts(), [places[1], places[0]], "{kind}");
    }
}
