//! What is seen of a balancer on a screen, from 80 columns by 24 lines on. Must not know: where it comes from, keys.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line as TextLine, Span as TextSpan},
    widgets::{Cell, Paragraph, Row, Table},
};

use super::looks::{Looks, SortColumn, TargetLine};
use crate::telemetry::status_text::Span;

/// What is shown, and how.
#[derive(Debug, Default)]
pub(super) struct Screen {
    admin: String,
    pub(super) order: SortColumn,
    pub(super) is_reversed: bool,
    pub(super) filter: String,
    pub(super) is_filtering: bool,
    pub(super) is_paused: bool,
    pub(super) is_helping: bool,
    pub(super) is_coloured: bool,
    /// Lines above the first that is seen.
    pub(super) offset: usize,
    /// Why there is no newer look.
    pub(super) trouble: Option<String>,
}

/// Lines above and below the table of targets.
const HEAD: u16 = 4;
const FOOT: u16 = 1;
/// Columns from which on there is room for errors and round trips.
const WIDE: u16 = 110;
/// Room that errors have at least, and names of groups where those of targets are long.
const ERROR: usize = 24;
const LEAST_GROUP: usize = 8;

impl Screen {
    pub(super) fn new(admin: &str, order: SortColumn, filter: &str) -> Self {
        Self { admin: admin.to_owned(), order, filter: filter.to_owned(), ..Self::default() }
    }

    /// Moves what is seen down by so many lines.
    pub(super) fn scroll(&mut self, by: isize) {
        self.offset = self.offset.saturating_add_signed(by);
    }

    /// How many lines it takes to see all.
    pub(super) fn height(&self, looks: &Looks) -> u16 {
        let lines = looks.lines(self.order, self.is_reversed, &self.filter).len();
        u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(HEAD + 1 + FOOT)
    }

    fn style(&self, colour: Color) -> Style {
        if self.is_coloured { Style::new().fg(colour) } else { Style::new() }
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, looks: &Looks, screen: &mut Screen) {
    let [head, table, foot] =
        Layout::vertical([Constraint::Length(HEAD), Constraint::Min(2), Constraint::Length(FOOT)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(head_lines(looks, screen)), head);
    let seen = if screen.is_helping {
        frame.render_widget(Paragraph::new(HELP), table);
        String::new()
    } else {
        targets(frame, table, looks, screen)
    };
    frame.render_widget(Paragraph::new(foot_line(screen, &seen)), foot);
}

const HELP: &str = "\n q, Esc   ends\n s        sorts by the next column\n r        turns the order round\n /        filters by group, \
                    address or state; Enter keeps it, Esc drops it\n p        pauses\n arrows   move, as do Page Up and Page Down\n \
                    ?        goes back\n\n OUT is requests in flight. SHARE is of the requests to the group between the last two looks, and * marks\n \
                    half as much again as an even one. FAIL/S is 5xx and requests that were not answered.\n A median of ≤5 ms says \
                    that half of the requests took at most so long, from first to last byte.";

fn head_lines(looks: &Looks, screen: &Screen) -> Vec<TextLine<'static>> {
    let (status, sum) = (looks.now(), looks.sum());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let took = |seconds: Option<f64>| {
        seconds.map_or_else(|| "-".to_owned(), |seconds| format!("≤{}", duration(seconds)))
    };
    let state = if status.draining { ", draining" } else { "" };
    let kernel = if status.kernel_assist { "on" } else { "off" };
    let mut lines = vec![
        TextLine::from(vec![
            TextSpan::styled(format!("balancer {} {}", status.version, status.instance), bold),
            TextSpan::raw(format!(
                " at {}, up {}{state}, {} workers, kernel side {kernel}",
                screen.admin,
                Span(status.uptime_seconds),
                status.workers
            )),
        ]),
        TextLine::from(format!(
            "{} requests/s   median {}   p99 {}   {} connections   {} own answers/s",
            sum.rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")),
            took(sum.middle),
            took(sum.p99),
            sum.connections,
            sum.own_answers.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"))
        )),
    ];
    let trouble = screen.trouble.clone().map(|trouble| format!("NO NEWER LOOK: {trouble}"));
    let refused = status.refused_reload.as_ref().map(|refused| format!("RELOAD REFUSED: {}", refused.error));
    let warning = trouble.or(refused).unwrap_or_default().replace(['\n', '\r'], " ");
    lines.push(TextLine::from(TextSpan::styled(warning, screen.style(Color::Red))));
    lines
}

fn foot_line(screen: &Screen, seen: &str) -> TextLine<'static> {
    if screen.is_filtering {
        return TextLine::from(format!("filter: {}_", screen.filter));
    }
    let order = if screen.is_reversed { " (turned round)" } else { "" };
    let filter =
        if screen.filter.is_empty() { String::new() } else { format!("   filter: {}", screen.filter) };
    let paused = if screen.is_paused { "   PAUSED" } else { "" };
    TextLine::from(format!(
        "by {}{order}{filter}{paused}{seen}   q ends  s sorts  / filters  ? helps",
        screen.order.name()
    ))
}

/// Draws the table; gives back which of its lines are seen, where that is not all of them.
fn targets(frame: &mut Frame<'_>, area: Rect, looks: &Looks, screen: &mut Screen) -> String {
    let lines = looks.lines(screen.order, screen.is_reversed, &screen.filter);
    let room = usize::from(area.height.saturating_sub(1));
    screen.offset = screen.offset.min(lines.len().saturating_sub(room));
    let is_wide = area.width >= WIDE;
    let mut heads = vec!["GROUP", "TARGET", "STATE", "SESSIONS", "OUT", "REQ/S", "SHARE", "FAIL/S"];
    // Those of the figures; the names share what is left.
    let mut widths = [11, 8, 5, 8, 6, 6].map(Constraint::Length).to_vec();
    let figures = 11 + 8 + 5 + 8 + 6 + 6 + if is_wide { 8 + ERROR } else { 0 };
    let gaps = heads.len() + if is_wide { 1 } else { 0 };
    let (group, target) = names(&lines, usize::from(area.width).saturating_sub(figures + gaps));
    let of_name = |width: usize| Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX));
    widths.splice(0..0, [of_name(group), of_name(target)]);
    if is_wide {
        heads.extend(["RTT", "LAST ERROR"]);
        widths.extend([Constraint::Length(8), Constraint::Fill(1)]);
    }
    let rows = lines.iter().skip(screen.offset).take(room).map(|line| {
        let named = TargetLine {
            group: shortened(&line.group, group),
            target: shortened(&line.target, target),
            ..line.clone()
        };
        row(&named, is_wide, screen)
    });
    let rows: Vec<Row<'_>> = rows.collect();
    let head = Row::new(heads).style(Style::new().add_modifier(Modifier::REVERSED));
    let seen = rows.len();
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1), area);
    if lines.is_empty() {
        let why = if screen.filter.is_empty() {
            " There are no target groups."
        } else {
            " Nothing has that in it."
        };
        let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        frame.render_widget(Paragraph::new(why), below);
    }
    if seen < lines.len() {
        format!("   {} to {} of {}", screen.offset + 1, screen.offset + seen, lines.len())
    } else {
        String::new()
    }
}

/// How wide the names of groups and of targets are, of so much room: what targets are called comes first.
fn names(lines: &[TargetLine], room: usize) -> (usize, usize) {
    let longest = |name: fn(&TargetLine) -> &String| {
        lines.iter().map(|line| name(line).chars().count()).max().unwrap_or(0)
    };
    let (group, target) = (longest(|line| &line.group).max(5), longest(|line| &line.target).max(6));
    let target = target.min(room.saturating_sub(group.min(LEAST_GROUP)));
    (group.min(room.saturating_sub(target)), target)
}

/// A name in so much room: its beginning and its end, by which those of one kind differ.
fn shortened(name: &str, room: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= room {
        return name.to_owned();
    }
    let kept = room.saturating_sub(1);
    let (first, last) = (kept / 2, kept - kept / 2);
    let begins = letters.iter().take(first);
    let ends = letters.iter().skip(letters.len() - last);
    begins.chain(std::iter::once(&'…').filter(|_| room > 0)).chain(ends).collect()
}

fn row(line: &TargetLine, is_wide: bool, screen: &Screen) -> Row<'static> {
    let share = format!("{:.0} %{}", line.share * 100.0, if line.is_much { "*" } else { "" });
    let colour = match line.state.as_str() {
        "healthy" => Color::Green,
        "unhealthy" => Color::Red,
        _ => Color::Yellow,
    };
    let mut cells = vec![
        Cell::from(line.group.clone()),
        Cell::from(line.target.clone()),
        // The word says it; the colour is beside it.
        Cell::from(TextSpan::styled(line.state.clone(), screen.style(colour))),
        Cell::from(line.sessions.map_or_else(|| "-".to_owned(), |sessions| sessions.to_string())),
        Cell::from(line.outstanding.to_string()),
        Cell::from(format!("{:.1}", line.rate)),
        Cell::from(share),
        Cell::from(format!("{:.1}", line.failures)),
    ];
    if is_wide {
        let round_trip = if line.round_trip_micros == 0 {
            "-".to_owned()
        } else {
            duration(std::time::Duration::from_micros(line.round_trip_micros).as_secs_f64())
        };
        cells.extend([Cell::from(round_trip), Cell::from(line.error.replace(['\n', '\r'], " "))]);
    }
    Row::new(cells)
}

/// Seconds as people write them.
fn duration(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{} ms", (seconds * 1e4).round() / 10.0)
    } else {
        format!("{seconds} s")
    }
}
