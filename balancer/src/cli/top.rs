//! `balancer top`: a running balancer in a terminal, looked at once a second. Must not know: how a look becomes lines (see
//! `view`), what they mean.

mod looks;
mod view;

use std::{
    io::{self, IsTerminal as _},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use ratatui::{
    Terminal,
    backend::{Backend, TestBackend},
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};

use self::{
    looks::{Looks, SortColumn},
    view::{Screen, draw},
};
use super::{
    endpoint::ask,
    told::{CommandFailure, admin_endpoint, print, whole},
};
use crate::telemetry::status::Status;

/// Lines that are printed where nobody says how many there are.
const COLUMNS: u16 = 120;
/// How long a key is waited for before the screen is drawn again.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys: q ends, s sorts by the next column, r turns the order round, / filters by name, p pauses, \
                        arrows and Page Up/Down move, ? helps.\n\n\
                        Examples:\n  balancer top\n  balancer top --once | grep unhealthy"
)]
pub(super) struct TopArguments {
    /// Print one picture and end; it does so too where the output is no terminal, or TERM is dumb
    #[arg(long)]
    once: bool,
    /// Seconds between two looks: 1 to 60
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = whole::<1, 60>)]
    interval: u64,
    /// Show only targets whose group, address or state has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// What targets are sorted by
    #[arg(long, value_name = "COLUMN", default_value = "name")]
    sort: SortColumn,
    /// Admin endpoint of the balancer: its admin_address, with or without http://
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9900", value_parser = admin_endpoint)]
    admin: String,
}

/// Shows the balancer until a key ends it.
///
/// # Errors
/// There is none, or no terminal.
pub(super) fn run(arguments: &TopArguments) -> Result<(), CommandFailure> {
    let mut screen = Screen::new(&arguments.admin, arguments.sort, &arguments.filter);
    // Such a terminal understands nothing but text: that of an editor, or of a serial line.
    let is_dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
    if arguments.once || is_dumb || !io::stdout().is_terminal() {
        let (mut looks, begun) = (Looks::default(), Instant::now());
        looks.add(ask(&arguments.admin)?.1, begun.elapsed());
        thread::sleep(Duration::from_secs(arguments.interval));
        looks.add(ask(&arguments.admin)?.1, begun.elapsed());
        return Ok(print(&picture(&looks, &mut screen)?)?);
    }
    // Whoever is not there is told of before the terminal is taken.
    let first = ask(&arguments.admin)?.1;
    screen.is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut terminal = ratatui::try_init().context("the terminal cannot be used")?;
    let outcome = go_on(&mut terminal, &mut screen, arguments, first);
    ratatui::restore();
    Ok(outcome?)
}

/// All of it as text, as wide as a terminal is said to be, and as high as it takes.
fn picture(looks: &Looks, screen: &mut Screen) -> anyhow::Result<String> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = columns.unwrap_or(COLUMNS).clamp(80, 400);
    let height = screen.height(looks);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).context("a picture")?;
    terminal.draw(|frame| draw(frame, looks, screen)).context("a picture")?;
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(width)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(text)
}

/// Looks are taken on a thread of their own: an endpoint that is slow keeps no key waiting.
fn go_on<B: Backend<Error = io::Error>>(
    terminal: &mut Terminal<B>,
    screen: &mut Screen,
    arguments: &TopArguments,
    first: Status,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (sender, receiver) = mpsc::sync_channel::<(anyhow::Result<Status>, Duration)>(1);
    let (admin, interval) = (arguments.admin.clone(), Duration::from_secs(arguments.interval));
    thread::spawn(move || {
        loop {
            thread::sleep(interval);
            // Nobody looks any more.
            let look = ask(&admin).map(|(_, status)| status);
            if sender.send((look, begun.elapsed())).is_err() {
                return;
            }
        }
    });
    let mut looks = Looks::default();
    looks.add(first, begun.elapsed());
    loop {
        while let Ok((look, at)) = receiver.try_recv() {
            match look {
                Ok(_) if screen.is_paused => {}
                Ok(status) => {
                    screen.trouble = None;
                    looks.add(status, at);
                }
                // What was seen last stays, and it is said that it is old.
                Err(error) => screen.trouble = Some(format!("{error:#}")),
            }
        }
        terminal.draw(|frame| draw(frame, &looks, screen)).context("drawing")?;
        if event::poll(TICK).context("keys")?
            && let Event::Key(key) = event::read().context("keys")?
            && key.kind != KeyEventKind::Release
            && !press(screen, key)
        {
            return Ok(());
        }
    }
}

/// Does what a key says. Whether it goes on.
fn press(screen: &mut Screen, key: KeyEvent) -> bool {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return false;
    }
    if screen.is_filtering {
        match key.code {
            KeyCode::Enter => screen.is_filtering = false,
            KeyCode::Esc => {
                screen.is_filtering = false;
                screen.filter.clear();
            }
            KeyCode::Backspace => _ = screen.filter.pop(),
            KeyCode::Char(letter) if screen.filter.len() < 64 => screen.filter.push(letter),
            _ => {}
        }
        return true;
    }
    match key.code {
        KeyCode::Char('q') => return false,
        KeyCode::Esc if screen.is_helping => screen.is_helping = false,
        KeyCode::Esc if !screen.filter.is_empty() => screen.filter.clear(),
        KeyCode::Esc => return false,
        KeyCode::Char('s') => screen.order = screen.order.next(),
        KeyCode::Char('r') => screen.is_reversed = !screen.is_reversed,
        KeyCode::Char('p') => screen.is_paused = !screen.is_paused,
        KeyCode::Char('/') => screen.is_filtering = true,
        KeyCode::Char('?' | 'h') => screen.is_helping = !screen.is_helping,
        KeyCode::Down | KeyCode::Char('j') => screen.scroll(1),
        KeyCode::Up | KeyCode::Char('k') => screen.scroll(-1),
        KeyCode::PageDown => screen.scroll(10),
        KeyCode::PageUp => screen.scroll(-10),
        KeyCode::Home => screen.offset = 0,
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests;
