//! The file behind a sink: opened for appending, opened anew on demand, never left with half a line.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    thread,
    time::Duration,
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::{
    internal_errors::Part as _,
    model::LogDestination,
    safe_file::{self, Owner, Sight},
};

/// Its owner writes, its group reads: log lines say who asked for what.
const MODE: u32 = 0o640;
/// When an output that does not wait is asked again.
const RETRY: Duration = Duration::from_millis(5);

/// Where a writer writes to.
#[derive(Debug)]
pub struct Output {
    /// None: standard output.
    file: Option<(PathBuf, File)>,
    /// Half a line is out: a line end has to come before anything else.
    torn: bool,
}

impl Output {
    /// Opens the destination; a file is made for `owner`, if there is one.
    ///
    /// # Errors
    /// It cannot be opened for appending, or is not safe to write to; a named pipe that nobody reads is an error, too.
    pub fn open(destination: &LogDestination, owner: Option<Owner>) -> io::Result<Self> {
        let file = match destination {
            LogDestination::Stdout => None,
            LogDestination::File(path) => Some((path.clone(), open(path, owner)?)),
        };
        Ok(Self { file, torn: false })
    }

    /// Opens the file of that name anew. The one before stays in use where that fails.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some((path, file)) = &mut self.file {
            *file = open(path, None)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Its name.
    pub(super) fn name(&self) -> String {
        self.file
            .as_ref()
            .map_or_else(|| "standard output".to_owned(), |(path, _)| path.display().to_string())
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// The system's, and how many bytes were not written.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), (io::Error, usize)> {
        if self.torn {
            self.write_all(b"\n").map_err(|(error, _)| (error, lines.len()))?;
            self.torn = false;
        }
        let result = self.write_all(lines);
        if let Err((_, left)) = &result {
            let written = lines.len().saturating_sub(*left);
            self.torn = written > 0 && lines.get(written - 1) != Some(&b'\n');
        }
        result
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), (io::Error, usize)> {
        while !bytes.is_empty() {
            let written = match &mut self.file {
                Some((_, file)) => file.write(bytes),
                None => write_stdout(bytes),
            };
            match written {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), bytes.len())),
                Ok(length) => bytes = bytes.part(length..),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Standard output may have come from somebody who does not want to wait.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(error) => return Err((error, bytes.len())),
            }
        }
        Ok(())
    }
}

/// Past the buffer that the language puts before it, which would cut lines into pieces.
fn write_stdout(bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(io::stdout(), bytes)?)
}

/// Looks whether [`Output::open`] would be refused, and opens nothing. What is there, if it is a file's name.
///
/// # Errors
/// Those of [`Output::open`].
pub fn look_at(destination: &LogDestination, owner: Option<Owner>) -> io::Result<Option<Sight>> {
    match destination {
        LogDestination::Stdout => Ok(None),
        LogDestination::File(path) => safe_file::could_append(path, owner).map(Some),
    }
}

fn open(path: &std::path::Path, owner: Option<Owner>) -> io::Result<File> {
    // Opening a named pipe waits for a reader, and whoever opens must not wait; writing may.
    let file = safe_file::append(path, MODE, owner)?;
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}
