//! The order of the rooms, which is that of their table in ARCHITECTURE.md: a room imports from those below it alone.

use anyhow::{Result, bail};

use super::{imports::Imports, modules::Tree};

/// The head of the table.
const HEAD: &str = "| room | owns |";

/// Rooms from the top to the bottom, by their paths: `http`, or `http/h2` for a part that is a room of its own.
#[derive(Debug)]
pub(super) struct Rooms(Vec<String>);

impl Rooms {
    /// Reads the first column of the table: names in backticks, each once.
    pub(super) fn read(architecture: &str) -> Result<Self> {
        let mut lines = architecture.lines().skip_while(|line| *line != HEAD);
        if lines.next().is_none() {
            bail!("ARCHITECTURE.md: there is no table with the head `{HEAD}`");
        }
        let cells = lines.skip(1).map_while(|line| line.strip_prefix('|')?.split('|').next());
        let mut rooms: Vec<String> = Vec::new();
        for name in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
            if rooms.iter().any(|room| room == name) {
                bail!("ARCHITECTURE.md: `{name}` stands twice in the table of rooms");
            }
            rooms.push(name.to_owned());
        }
        Ok(Self(rooms))
    }

    /// The room that a file is in and its place in the table.
    pub(super) fn of(&self, file: &str) -> Option<(usize, &str)> {
        let path = file.strip_suffix(".rs").unwrap_or(file);
        let is_in =
            |room: &str| path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let rooms = self.0.iter().map(String::as_str).enumerate();
        rooms.filter(|(_, room)| is_in(room)).max_by_key(|(_, room)| room.len())
    }

    /// Files without a room, and rooms without a file.
    pub(super) fn faults(&self, tree: &Tree) -> Vec<String> {
        let files = || tree.files().map(|file| file.path.as_str());
        // The roots of the library and of the program are no rooms.
        let roomless =
            files().filter(|file| !["lib.rs", "main.rs"].contains(file) && self.of(file).is_none());
        let empty = self
            .0
            .iter()
            .filter(|room| !files().any(|file| self.of(file).is_some_and(|(_, of)| of == *room)));
        roomless
            .map(|file| format!("{file}: in no room; ARCHITECTURE.md has them in its table"))
            .chain(empty.map(|room| format!("ARCHITECTURE.md: there is no room `{room}`")))
            .collect()
    }

    /// Imports from rooms that stand further up.
    pub(super) fn upward(&self, imports: &Imports) -> Vec<String> {
        let mut faults = Vec::new();
        for (from, arrows) in imports {
            for (to, arrow) in arrows {
                if let (Some((here, room)), Some((there, above))) = (self.of(from), self.of(to))
                    && there < here
                {
                    let (line, path) = (arrow.line, &arrow.path);
                    faults.push(format!(
                        "{from}:{line}: `{path}` of {to}: `{above}` is no room below `{room}`"
                    ));
                }
            }
        }
        faults
    }
}
