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
    if screen.is_helping {
        frame.render_widget(Paragraph::new(HELP), table);
    } else {
        targets(frame, table, looks, screen);
    }
    frame.render_widget(Paragraph::new(foot_line(screen)), foot);
}

const HELP: &str = "\n q, Esc   ends\n s        sorts by the next column\n r        turns the order round\n /        filters by group, \
                    address or state; Enter keeps it, Esc drops it\n p        pauses\n arrows   move, as do Page Up and Page Down\n \
                    ?        goes back\n\n OUT is requests in flight. SHARE is of the requests to the group, and * marks half as much again as \
                    an even one.\n FAIL/S is 5xx and requests that were not answered.";

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
            "{:.0} requests/s   half {}   p99 {}   {} connections   {:.1} own answers/s",
            sum.rate,
            took(sum.middle),
            took(sum.p99),
            sum.connections,
            sum.own_answers
        )),
    ];
    let trouble = screen.trouble.clone().map(|trouble| format!("NO NEWER LOOK: {trouble}"));
    let refused = status.refused_reload.as_ref().map(|refused| format!("RELOAD REFUSED: {}", refused.error));
    let warning = trouble.or(refused).unwrap_or_default().replace(['\n', '\r'], " ");
    lines.push(TextLine::from(TextSpan::styled(warning, screen.style(Color::Red))));
    lines
}

fn foot_line(screen: &Screen) -> TextLine<'static> {
    if screen.is_filtering {
        return TextLine::from(format!("filter: {}_", screen.filter));
    }
    let order = if screen.is_reversed { " (turned round)" } else { "" };
    let filter =
        if screen.filter.is_empty() { String::new() } else { format!("   filter: {}", screen.filter) };
    let paused = if screen.is_paused { "   PAUSED" } else { "" };
    TextLine::from(format!(
        "by {}{order}{filter}{paused}   q ends  s sorts  / filters  ? helps",
        screen.order.name()
    ))
}

fn targets(frame: &mut Frame<'_>, area: Rect, looks: &Looks, screen: &mut Screen) {
    let lines = looks.lines(screen.order, screen.is_reversed, &screen.filter);
    let room = usize::from(area.height.saturating_sub(1));
    screen.offset = screen.offset.min(lines.len().saturating_sub(room));
    let is_wide = area.width >= WIDE;
    let mut heads = vec!["GROUP", "TARGET", "STATE", "SESSIONS", "OUT", "REQ/S", "SHARE", "FAIL/S"];
    let mut widths = vec![
        Constraint::Min(8),
        Constraint::Min(18),
        Constraint::Length(11),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(7),
    ];
    if is_wide {
        heads.extend(["RTT", "LAST ERROR"]);
        widths.extend([Constraint::Length(8), Constraint::Fill(2)]);
    }
    let peers = |line: &TargetLine| lines.iter().filter(|other| other.group == line.group).count();
    let rows =
        lines.iter().skip(screen.offset).take(room).map(|line| row(line, peers(line), is_wide, screen));
    let rows: Vec<Row<'_>> = rows.collect();
    let head = Row::new(heads).style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1), area);
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn row(line: &TargetLine, peers: usize, is_wide: bool, screen: &Screen) -> Row<'static> {
    let is_much = peers > 1 && line.share * peers as f64 >= 1.5;
    let share = format!("{:.0} %{}", line.share * 100.0, if is_much { "*" } else { "" });
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
