//! Files that are read whole. What stands in a file's place (a named pipe, a device, a folder) is refused by what it
//! is before anything is waited for, and no more is read than a file of its kind may have.
//! Must not know: what is in a file.

use std::{
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Why a file is not read. Shown as what follows its name.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// Something else stands in its place.
    #[error("cannot be read: it is no file but {0}")]
    Kind(&'static str),
    /// It is longer than its kind may be.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    /// The system refused.
    #[error("cannot be read: {}", reason(.0))]
    System(#[from] io::Error),
}

impl FileFault {
    /// Whether there is nothing of that name.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The system's words, in plain ones where a user meets them often.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        // A regular file never has to be waited for; some of the kernel's own do.
        io::ErrorKind::WouldBlock => "it has nothing to be read".to_owned(),
        _ => error.to_string(),
    }
}

/// Opens a regular file for reading. Never waits for a writer, nor touches a device.
///
/// # Errors
/// It is of another kind, or the system refuses.
pub fn open(path: &Path) -> Result<(File, Metadata), FileFault> {
    // Opening alone does something to some devices: what it is is asked for first, and then of the very file opened.
    demand_regular(fs::metadata(path)?.file_type())?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    demand_regular(metadata.file_type())?;
    Ok((file, metadata))
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// It is of another kind or longer, or the system refuses.
pub fn read(path: &Path, most: u64) -> Result<(Vec<u8>, Metadata), FileFault> {
    let (file, metadata) = open(path)?;
    if metadata.len() > most {
        return Err(FileFault::TooLarge(most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // It may have grown, and those of the kernel say that they are empty.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(FileFault::TooLarge(most));
    }
    Ok((bytes, metadata))
}

fn demand_regular(kind: FileType) -> Result<(), FileFault> {
    let kind = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_char_device() => "a character device",
        kind if kind.is_block_device() => "a block device",
        kind if kind.is_socket() => "a socket",
        _ => "something else",
    };
    Err(FileFault::Kind(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &Path) -> String {
        read(path, 100).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(told(&pipe), "cannot be read: it is no file but a pipe");
        assert_eq!(told(&link), "cannot be read: it is no file but a pipe");
        assert_eq!(told(&socket), "cannot be read: it is no file but a socket");
        assert_eq!(told(folder.path()), "cannot be read: it is no file but a folder");
        for device in ["/dev/zero", "/dev/null", "/dev/tty"] {
            assert_eq!(told(Path::new(device)), "cannot be read: it is no file but a character device");
        }
        assert_eq!(told(&folder.path().join("none")), "cannot be read: there is no such file or folder");
    }

    #[test]
    fn no_more_is_read_than_a_file_may_have() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for length in [0, 99, 100] {
            fs::write(&file, vec![b'x'; length]).unwrap();
            assert_eq!(read(&file, 100).unwrap().0.len(), length);
        }
        fs::write(&file, [b'x'; 101]).unwrap();
        assert_eq!(told(&file), "is larger than 100 bytes");
        // One of the kernel's, which says that it is empty.
        assert_eq!(told(Path::new("/proc/self/status")), "is larger than 100 bytes");
        // And one that has no end within reach.
        let sparse = File::create(&file).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert_eq!(told(&file), "is larger than 100 bytes");
    }
}
