//! What is on the screen, and what keys do.

use super::*;
use crate::telemetry::status::{ErrorStatus, GroupStatus, HistogramStatus, ListenerStatus, TargetStatus};

fn target(port: u16, requests: u64) -> TargetStatus {
    let mut target =
        TargetStatus { id: "10.0.0.1".into(), port, state: "healthy".into(), ..TargetStatus::default() };
    target.figures.weight = 1.0;
    target.figures.requests = requests;
    target.figures.sessions = Some(u64::from(port));
    target
}

fn status(uptime: u64, requests: [u64; 2]) -> Status {
    let mut status = Status {
        version: "1.2.3".into(),
        instance: "shop".into(),
        uptime_seconds: uptime,
        target_groups: vec![GroupStatus {
            name: "app".into(),
            targets: vec![target(1, requests[0]), target(2, requests[1])],
            ..GroupStatus::default()
        }],
        ..Status::default()
    };
    status.totals.traffic.requests = requests.iter().sum();
    let mut listener = ListenerStatus::default();
    listener.traffic.request_duration =
        HistogramStatus { counts: vec![requests[0], 0, requests[1]], sum_seconds: 0.0 };
    status.listeners.push(listener);
    status
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn looks() -> Looks {
    let mut looks = Looks::default();
    looks.add(status(100, [100, 100]), at(0));
    looks.add(status(102, [280, 120]), at(2));
    looks
}

fn shown(looks: &Looks, screen: &mut Screen, (width, height): (u16, u16)) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, looks, screen)).unwrap();
    let rows =
        terminal.backend().buffer().content().chunks(usize::from(width)).map(|row| {
            row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
        });
    rows.collect()
}

fn screen() -> Screen {
    Screen::new("127.0.0.1:9900", SortColumn::Name, "")
}

#[test]
fn it_fits_into_80_columns_and_24_lines() {
    let lines = shown(&looks(), &mut screen(), (80, 24));
    assert!(lines[0].starts_with("balancer 1.2.3 shop at 127.0.0.1:9900, up 1 min 42 s"), "{lines:#?}");
    // 200 requests in 2 s: 180 below a millisecond, 20 below 5.
    assert!(lines[1].starts_with("100 requests/s   median ≤1 ms   p99 ≤5 ms"), "{lines:#?}");
    assert!(lines[4].starts_with("GROUP") && lines[4].contains("FAIL/S"), "{lines:#?}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&lines[5]), "app 10.0.0.1:1 healthy 1 0 90.0 90 %* 0.0");
    assert_eq!(words(&lines[6]), "app 10.0.0.1:2 healthy 2 0 10.0 10 % 0.0");
    assert!(lines[23].contains("q ends"), "{lines:#?}");
}

#[test]
fn a_first_look_tells_no_rates_and_a_new_process_none_below_zero() {
    let mut first = Looks::default();
    first.add(status(100, [100, 100]), at(0));
    assert!(first.lines(SortColumn::Name, false, "").iter().all(|line| line.rate == 0.0));
    assert_eq!((first.sum().rate, first.sum().own_answers), (None, None));
    assert!(shown(&first, &mut screen(), (80, 24))[1].starts_with("- requests/s"));
    let mut another = looks();
    another.add(status(1, [10, 0]), at(3));
    assert!(
        another.lines(SortColumn::Name, false, "").iter().all(|line| line.rate == 0.0 && line.share == 0.0)
    );
}

/// The balancer tells whole seconds, in which a look may come a moment later than the one before.
#[test]
fn rates_go_by_the_time_between_looks_and_not_by_whole_seconds() {
    let mut looks = Looks::default();
    looks.add(status(100, [100, 100]), Duration::from_millis(990));
    looks.add(status(102, [200, 100]), Duration::from_millis(2_015));
    let rate = looks.sum().rate.unwrap();
    assert!((rate - 97.6).abs() < 0.1 && looks.lines(SortColumn::Name, false, "")[0].rate == rate, "{rate}");
    // A pause, or a balancer that did not answer for a while.
    looks.add(status(112, [1_200, 100]), Duration::from_millis(12_015));
    assert_eq!(looks.sum().rate, Some(100.0));
}

#[test]
fn names_that_are_too_long_keep_their_ends() {
    let mut looks = looks();
    let mut last = status(104, [300, 300]);
    last.target_groups[0].name = "a-target-group-of-32-characters-".into();
    for (target, id) in last.target_groups[0]
        .targets
        .iter_mut()
        .zip(["2001:db8:85a3::8a2e:370:7334", "unix:/run/app/one.sock"])
    {
        target.id = id.into();
    }
    looks.add(last, at(4));
    let lines = shown(&looks, &mut screen(), (80, 24));
    assert!(lines[5].starts_with("a-t…ers- [2001:db8…70:7334]:1 healthy"), "{lines:#?}");
    assert!(lines[6].starts_with("a-t…ers- unix:/run…p/one.sock "), "{lines:#?}");
    assert!(lines[5].ends_with("0.0") && lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    // Where there is room they are whole.
    let wide = shown(&looks, &mut screen(), (160, 24));
    assert!(
        wide[5].starts_with("a-target-group-of-32-characters- [2001:db8:85a3::8a2e:370:7334]:1 healthy"),
        "{wide:#?}"
    );
    assert!(wide[4].contains("LAST ERROR"), "{wide:#?}");
}

#[test]
fn no_groups_no_targets_and_more_than_there_is_room_for_are_told() {
    let mut none = status(104, [300, 300]);
    none.target_groups[0].targets.clear();
    let mut looks = looks();
    looks.add(none.clone(), at(4));
    let lines = shown(&looks, &mut screen(), (80, 24));
    assert!(lines[5].starts_with("app ") && lines[5].contains("no targets"), "{lines:#?}");
    let mut nothing = screen();
    nothing.filter = "x".into();
    assert!(shown(&looks, &mut nothing, (80, 24))[5].contains("Nothing has that in it"));
    none.target_groups.clear();
    looks.add(none, at(5));
    assert!(shown(&looks, &mut screen(), (80, 24))[5].contains("There are no target groups"));

    let mut many = status(106, [0, 0]);
    many.target_groups[0].targets = (1..=200).map(|port| target(port, 0)).collect();
    looks.add(many, at(6));
    let mut screen = screen();
    assert!(shown(&looks, &mut screen, (80, 24))[23].contains("1 to 18 of 200"));
    screen.scroll(190);
    let lines = shown(&looks, &mut screen, (80, 24));
    assert!(lines[23].contains("183 to 200 of 200") && lines[22].contains("10.0.0.1:99"), "{lines:#?}");
}

/// What is filtered away is there all the same.
#[test]
fn much_is_told_by_the_whole_group() {
    let even = |requests: [u64; 2]| {
        let mut looks = Looks::default();
        for (seconds, requests) in [(0, [0, 0]), (1, requests)] {
            let mut status = status(100 + seconds, requests);
            status.target_groups[0].targets.push(target(3, requests[1]));
            status.target_groups[0].targets.push(target(4, requests[1]));
            looks.add(status, at(seconds));
        }
        looks
            .lines(SortColumn::Name, false, "10.0.0.1:1")
            .into_iter()
            .map(|line| line.is_much)
            .collect::<Vec<_>>()
    };
    assert_eq!((even([50, 50]), even([80, 50])), (vec![false], vec![false]));
    assert_eq!(even([200, 50]), [true]);
}

#[test]
fn targets_are_sorted_and_filtered() {
    let mut looks = looks();
    let mut last = status(103, [281, 220]);
    last.target_groups[0].targets[1].state = "unhealthy".into();
    last.target_groups[0].targets[1].figures.responses.insert("5xx".into(), 7);
    last.target_groups[0].targets[0].figures.outstanding_requests = 3;
    looks.add(last, at(3));
    let first = |order, is_reversed| looks.lines(order, is_reversed, "")[0].target.clone();
    let [one, two] = ["10.0.0.1:1", "10.0.0.1:2"];
    for (order, target) in [
        (SortColumn::Name, one),
        (SortColumn::Rate, two),
        (SortColumn::Outstanding, one),
        (SortColumn::Sessions, two),
        (SortColumn::Failures, two),
        (SortColumn::State, two),
    ] {
        assert_eq!(
            (first(order, false), first(order, true) == target),
            (target.to_owned(), false),
            "{order:?}"
        );
    }
    assert_eq!(looks.lines(SortColumn::Name, false, "UNHEALTHY").len(), 1);
    assert_eq!(looks.lines(SortColumn::Name, false, "app").len(), 2);
    assert_eq!(looks.lines(SortColumn::Name, false, "nothing").len(), 0);
    let orders: Vec<_> =
        std::iter::successors(Some(SortColumn::Name), |order| Some(order.next())).take(7).collect();
    assert_eq!(orders[0], orders[6]);
}

#[test]
fn what_is_wrong_is_seen() {
    let mut looks = looks();
    let mut last = status(104, [300, 300]);
    last.refused_reload =
        Some(ErrorStatus { error: "line 1:\nno such group".into(), ..ErrorStatus::default() });
    last.target_groups[0].targets[0].check_error =
        Some(ErrorStatus { error: "503 instead of 200".into(), age_seconds: 9, ..ErrorStatus::default() });
    looks.add(last, at(3));
    let mut screen = screen();
    let text = shown(&looks, &mut screen, (140, 24)).join("\n");
    assert!(text.contains("RELOAD REFUSED: line 1: no such group"), "{text}");
    assert!(text.contains("503 instead of 200 (9 s ago)"), "{text}");
    screen.trouble = Some("cannot reach".into());
    assert!(shown(&looks, &mut screen, (80, 24))[2].contains("NO NEWER LOOK: cannot reach"));
}

#[test]
fn keys_sort_filter_scroll_and_end() {
    let mut screen = screen();
    let mut type_keys = |keys: &str| {
        keys.chars().all(|letter| {
            press(
                &mut screen,
                KeyEvent::from(match letter {
                    '\n' => KeyCode::Enter,
                    '\x1b' => KeyCode::Esc,
                    '\x08' => KeyCode::Backspace,
                    letter => KeyCode::Char(letter),
                }),
            )
        })
    };
    assert!(type_keys("srp/qx\x08s\n"));
    assert!(!type_keys("q"));
    assert_eq!((screen.order, screen.is_reversed, screen.is_paused), (SortColumn::Rate, true, true));
    assert_eq!((screen.filter.as_str(), screen.is_filtering), ("qs", false));
    assert!(press(&mut screen, KeyEvent::from(KeyCode::Esc)), "the filter goes first");
    assert!(!press(&mut screen, KeyEvent::from(KeyCode::Esc)));
    assert!(!press(&mut screen, KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    let mut many = Looks::default();
    many.add(status(1, [0, 0]), at(0));
    screen.scroll(100);
    assert_eq!(shown(&many, &mut screen, (80, 24)).len(), 24);
    assert_eq!(screen.offset, 0, "there is nothing further down");
    screen.is_helping = true;
    assert!(shown(&many, &mut screen, (80, 24)).join("\n").contains("sorts by the next column"));
}

#[test]
fn any_size_of_screen_can_be_drawn() {
    for size in [(1, 1), (10, 3), (79, 5), (400, 2)] {
        shown(&looks(), &mut screen(), size);
    }
}
