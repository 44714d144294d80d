//! What is on the screen, and what keys do.

use super::*;
use crate::telemetry::status::{ErrorStatus, GroupStatus, HistogramStatus, ListenerStatus, TargetStatus};

fn target(port: u16, requests: u64) -> TargetStatus {
    let mut target =
        TargetStatus { id: "10.0.0.1".into(), port, state: "healthy".into(), ..TargetStatus::default() };
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

fn looks() -> Looks {
    let mut looks = Looks::default();
    looks.add(status(100, [100, 100]));
    looks.add(status(102, [280, 120]));
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
    assert!(lines[1].starts_with("100 requests/s   half ≤1 ms   p99 ≤5 ms"), "{lines:#?}");
    assert!(lines[4].starts_with("GROUP") && lines[4].contains("FAIL/S"), "{lines:#?}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&lines[5]), "app 10.0.0.1:1 healthy 1 0 90.0 90 %* 0.0");
    assert_eq!(words(&lines[6]), "app 10.0.0.1:2 healthy 2 0 10.0 10 % 0.0");
    assert!(lines[23].contains("q ends"), "{lines:#?}");
}

#[test]
fn a_first_look_tells_no_rates_and_a_new_process_none_below_zero() {
    let mut first = Looks::default();
    first.add(status(100, [100, 100]));
    assert!(first.lines(SortColumn::Name, false, "").iter().all(|line| line.rate == 0.0));
    let mut another = looks();
    another.add(status(1, [10, 0]));
    assert!(
        another.lines(SortColumn::Name, false, "").iter().all(|line| line.rate == 0.0 && line.share == 0.0)
    );
}

#[test]
fn targets_are_sorted_and_filtered() {
    let mut looks = looks();
    let mut last = status(103, [281, 220]);
    last.target_groups[0].targets[1].state = "unhealthy".into();
    last.target_groups[0].targets[1].figures.responses.insert("5xx".into(), 7);
    last.target_groups[0].targets[0].figures.outstanding_requests = 3;
    looks.add(last);
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
    looks.add(last);
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
    many.add(status(1, [0, 0]));
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
