//! `Set-Cookie` lines of applications, read as the client reads them, and cookies of theirs that come twice.

use support::{Balancer, Config, Group, Target};

/// A target that sets what stands here at the number that the path ends in.
fn application(responses: &'static [&'static [&'static str]]) -> Target {
    Target::start(move |exchange| {
        let number = exchange.request.target.rsplit('/').next().and_then(|last| last.parse::<usize>().ok());
        let lines: String = number
            .and_then(|number| responses.get(number))
            .into_iter()
            .copied()
            .flatten()
            .map(|line| format!("Set-Cookie: {line}\r\n"))
            .collect();
        exchange.ok(&lines, "x")
    })
}

/// Responses, and whether each starts a session.
const RESPONSES: [(&[&str], bool); 20] = [
    (&["SID=a"], true),
    (&["SID=a; Path=/", "SID=; Max-Age=0; Path=/"], false),
    (&["SID=; Max-Age=0; Path=/", "SID=a; Path=/"], true),
    (
        &["SID=a; Path=/", "X=y", "SID=b; Path=/", "SID=; path=/; expires=Thu, 01-Jan-1970 00:00:10 GMT"],
        false,
    ),
    (&["SID=a; Path=/app", "SID=; Max-Age=0; Path=/"], true),
    (&["SID=a", "SID=; Max-Age=0; Path=/lines"], false),
    (&["SID=a; Domain=example.test", "SID=; Domain=.EXAMPLE.test; Max-Age=0"], false),
    (&["SID=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], false),
    (&["SID=x; Expires=Thursday, 01-Jan-70 00:00:00 GMT"], false),
    (&["SID=x; Expires=Thu Jan  1 00:00:00 1970"], false),
    (&["SID=x; Expires=Thu, 1 Jan 1970 00:00:00 +0000"], false),
    (&["SID=x; Expires=Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)"], false),
    (&["SID=x; Expires=1970 january 1st 0:0:0"], false),
    (&["SID=x; Expires=00:00:01/01/jan/70"], false),
    (&["SID=x; Expires=Fri, 31-Dec-69 23:59:59 GMT"], true),
    (&["SID=x; Expires=Thu, 32 Jan 1970 00:00:00 GMT"], true),
    (&["SID=x; Expires=Thu, 30 Feb 1970 00:00:00 GMT"], true),
    (&["SID=x; Expires=0"], true),
    (&["SID=x; Expires=1970-01-01T00:00:00Z"], true),
    (&["SID=x; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], true),
];

#[test]
fn a_session_starts_when_the_client_keeps_the_cookie() {
    const LINES: [&[&str]; RESPONSES.len()] = {
        let mut lines: [&[&str]; RESPONSES.len()] = [&[]; RESPONSES.len()];
        let mut number = 0;
        while number < lines.len() {
            lines[number] = RESPONSES[number].0;
            number += 1;
        }
        lines
    };
    let target = application(&LINES);
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).app_cookie("SID")));
    let mut connection = balancer.connect();
    for (number, (lines, starts)) in RESPONSES.into_iter().enumerate() {
        let response = connection.get(&format!("/lines/{number}"), "");
        let own = response.cookie("AWSALBAPP-0").expect("the balancer's own cookie");
        assert_eq!(own != "_remove_", starts, "{lines:?}");
    }
}

#[test]
fn of_a_cookie_that_comes_twice_the_first_counts_or_the_last() {
    for (pick, other) in [("first", "last"), ("last", "first")] {
        let targets = [application(&[&["SID=first"], &["SID=last"]]), application(&[])];
        let group = |targets: &[&Target]| {
            Group::new("app", targets).algorithm("round_robin").app_cookie("SID").unchecked()
        };
        let both = group(&[&targets[0], &targets[1]]);
        let config =
            |group: &Group| Config::with(group.clone().stickiness(&format!("cookie_pick = \"{pick}\"")));
        let balancer = Balancer::start(&config(&both));
        // Two values that are known, both of the first target.
        let issuing = |number: usize| {
            support::until("an answer of the one that issues", 20.0, || {
                let response = balancer.connect().get(&format!("/{number}"), "");
                response.set_cookie("SID").is_some().then_some(())
            });
        };
        issuing(0);
        issuing(1);
        // While it is taken out the session moves whose value is to count.
        balancer.reload(&config(&group(&[&targets[1]])));
        assert_eq!(balancer.connect().get("/x", &format!("Cookie: SID={pick}\r\n")).status, 200);
        balancer.reload(&config(&both));
        let before = targets[0].requests().len();
        for _ in 0..4 {
            balancer.connect().get("/x", "Cookie: SID=first; a=b; SID=last\r\n");
        }
        assert_eq!(targets[0].requests().len(), before, "{pick}");
        balancer.connect().get("/x", &format!("Cookie: SID={other}\r\n"));
        assert_eq!(targets[0].requests().len(), before + 1, "{other} is where it was");
    }
}
