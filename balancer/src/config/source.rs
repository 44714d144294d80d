//! Configuration text: read from a file or a folder, and byte offsets turned into lines and columns.
//! Must not know HCL.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    error::ConfigError,
    roles::{self, Role},
};
use crate::regular_file::{self, FileFault};

/// What the document of what was made through the ELBv2 API is called.
pub const API_DOCUMENT: &str = "control_api:made.tf.json";
/// Most bytes a configuration file may have. A thousand targets take some 30 KB.
pub(super) const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Most files that are read from a folder.
pub(super) const MAX_FILES: usize = 1000;
/// Most bytes that the files of a folder may have together.
pub(super) const MAX_FOLDER_BYTES: usize = 16 * 1024 * 1024;
/// Most entries of a folder that are looked at: those of other names count here as well.
const MAX_ENTRIES: usize = 100_000;

/// A position in the text: which file and which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Position {
    /// Index of the file.
    pub(super) file: usize,
    /// Byte offset in the text of the file, after its byte order mark.
    pub(super) offset: usize,
}

/// One file: its name as the user knows it and its text.
pub(super) struct SourceFile<'a> {
    path: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
    /// What paths in it go by, where that is not its own folder.
    base: Option<&'a Path>,
}

impl<'a> SourceFile<'a> {
    /// Takes over a text; a byte order mark is dropped.
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let after_newlines =
            text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        Self { path, text, line_starts: std::iter::once(0).chain(after_newlines).collect(), base: None }
    }

    /// The same, with paths that go by another folder than its own.
    pub(super) fn based_at(self, base: Option<&'a Path>) -> Self {
        Self { base, ..self }
    }

    /// The folder that paths in it go by.
    pub(super) fn base(&self) -> Option<&Path> {
        self.base.or_else(|| self.path.parent())
    }

    /// The path as given.
    pub(super) fn path(&self) -> &Path {
        self.path
    }

    /// The text without byte order mark.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Line and column (in characters) of a byte offset, both from 1. An offset past the end is the end.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line_starts.partition_point(|&start| start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        (line, column + 1)
    }
}

/// What a path leads to.
#[derive(Default)]
pub(super) struct Read {
    /// The files that could be read, in the order of their names.
    pub(super) files: Vec<(PathBuf, String)>,
    /// Those that could not.
    pub(super) errors: Vec<ConfigError>,
    /// Those that were left alone and may yet be meant.
    pub(super) remarks: Vec<ConfigError>,
    /// Whether it leads to a folder, where files are what their names say.
    pub(super) is_folder: bool,
}

/// The files that [`read`] would read, by name; none where the path cannot be looked at.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    list(path, &mut Vec::new()).unwrap_or_default()
}

/// Reads a file, or those files of a folder that are configuration by their names.
pub(super) fn read(path: &Path) -> Read {
    let Read { files: mut texts, mut errors, mut remarks, .. } = Read::default();
    let mut total = 0;
    match list(path, &mut remarks) {
        Ok(files) => {
            for file in files {
                match read_file(&file) {
                    Ok(text) => {
                        total += text.len();
                        texts.push((file, text));
                    }
                    Err(error) => errors.push(error),
                }
                if total > MAX_FOLDER_BYTES {
                    let message =
                        format!("holds too much; allowed: at most {MAX_FOLDER_BYTES} bytes in all its files");
                    errors.push(whole_file(path, message));
                    // What is not used is not looked through either, for megabytes at a time.
                    texts.clear();
                    break;
                }
            }
        }
        Err(error) => errors.push(error),
    }
    Read { files: texts, errors, remarks, is_folder: path.is_dir() }
}

fn list(path: &Path, remarks: &mut Vec<ConfigError>) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |error: io::Error| whole_file(path, FileFault::from(error).to_string());
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        remarks.extend(beside(path));
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for (entries, entry) in fs::read_dir(path).map_err(unreadable)?.enumerate() {
        if entries >= MAX_ENTRIES {
            return Err(whole_file(
                path,
                format!("holds more than {MAX_ENTRIES} files; allowed: a folder of its own"),
            ));
        }
        let file = entry.map_err(unreadable)?.path();
        match roles::in_folder(&file) {
            None => {}
            Some(_) if file.is_dir() => {}
            Some((Role::NamedVariables, _)) => remarks.push(whole_file(
                &file,
                "is not read, since Terraform reads it only where it is named (-var-file); rename it to \
                 *.auto.tfvars if its values are meant",
            )),
            Some((Role::OtherTool(tool), _)) => {
                let message = format!("is {tool}'s and not read: what it sets or replaces is not here");
                remarks.push(whole_file(&file, message));
            }
            Some(_) => files.push(file),
        }
    }
    files.sort();
    remarks.sort();
    match files.len() {
        0 => Err(whole_file(
            path,
            "is a folder without configuration; allowed: *.hcl and *.tf files in it, or *.tf.json",
        )),
        1..=MAX_FILES => Ok(files),
        many => Err(whole_file(path, format!("holds {many} files; allowed: at most {MAX_FILES}"))),
    }
}

/// What to say of a file of Terraform that is given alone, where Terraform would read others that change it.
fn beside(path: &Path) -> Option<ConfigError> {
    let is_terraform = |file: &Path| {
        let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let name = name.strip_suffix(".json").unwrap_or(&name);
        name.ends_with(".tf") || name.ends_with(".tfvars")
    };
    if !is_terraform(path) {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_other = |file: &PathBuf| {
        let role = roles::in_folder(file).map(|(role, _)| role);
        matches!(role, Some(Role::Override | Role::Variables { .. }))
            && is_terraform(file)
            && file.file_name() != path.file_name()
            && file.is_file()
    };
    let entries = fs::read_dir(folder).ok()?.take(MAX_FILES).filter_map(Result::ok).map(|entry| entry.path());
    let other = entries.filter(is_other).min()?;
    let message = format!(
        "is read alone; Terraform reads the whole folder, such as {}; give the folder if that is meant",
        other.display()
    );
    Some(whole_file(path, message))
}

pub(super) fn read_file(path: &Path) -> Result<String, ConfigError> {
    let (bytes, _) = regular_file::read(path, MAX_FILE_BYTES).map_err(|fault| {
        let message = match fault {
            // What a shell gives for `<(…)`, and a pipe at /dev/stdin, can be read once; a reload reads again.
            FileFault::Kind(kind) => {
                format!("is {kind}; allowed: a regular file or a folder, which a reload reads again")
            }
            FileFault::TooLarge(most) => format!("is too large; allowed: at most {most} bytes"),
            fault => fault.to_string(),
        };
        whole_file(path, message)
    })?;
    decode(path, bytes)
}

/// The text of a file.
pub(super) fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    let language = language(path);
    if let Some(encoding) = other_encoding(&bytes) {
        return Err(whole_file(path, format!("is text in {encoding}; allowed: {language} in UTF-8")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let text = std::str::from_utf8(bytes.get(..valid).unwrap_or_default()).unwrap_or_default();
        let (line, column) = SourceFile::new(path, text).position(valid);
        let byte = bytes.get(valid).copied().unwrap_or_default();
        ConfigError {
            file: path.to_owned(),
            line,
            column,
            message: format!("byte {valid} (0x{byte:02x}) is not text; allowed: {language} in UTF-8"),
        }
    })
}

/// What a file is written in by its name.
fn language(path: &Path) -> &'static str {
    if path.extension().is_some_and(|extension| extension == "json") { "JSON" } else { "HCL" }
}

/// How many bytes of a text without a mark are looked at for its encoding.
const SAMPLE: usize = 256;

/// The encoding of text that is none in UTF-8 and has bytes of zero in it that nobody wrote: by the mark that it begins with,
/// or, without one, by every second byte.
pub(super) fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    let sample: Vec<&[u8]> = bytes.chunks_exact(2).take(SAMPLE / 2).collect();
    let zeroes = |at: usize| sample.iter().filter(|pair| pair.get(at) == Some(&0)).count();
    let (first, second) = (zeroes(0), zeroes(1));
    let is_mostly = |zeroes: usize| zeroes > sample.len() / 2;
    let is_one_half = (first == 0 && is_mostly(second)) || (second == 0 && is_mostly(first));
    is_one_half.then_some("UTF-16")
}

/// What is said of a character that stands where none of its kind may.
pub(super) fn control_character(character: char, language: &str) -> String {
    let code = u32::from(character);
    let what =
        if character.is_ascii() { format!("byte 0x{code:02x}") } else { format!("character U+{code:04X}") };
    format!("the {what} is a control character and not text; allowed: {language} in UTF-8")
}

/// A fault of the file as such, which has no line.
pub(super) fn whole_file(path: &Path, message: impl Into<String>) -> ConfigError {
    ConfigError { file: path.to_owned(), line: 0, column: 0, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, offset: usize) -> (usize, usize) {
        SourceFile::new(Path::new("x"), text).position(offset)
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text = "ab\r\nçd\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 1), (1, 2));
        assert_eq!(position(text, 4), (2, 1));
        assert_eq!(position(text, 6), (2, 2));
        // Inside the two bytes of ç: the character's own column.
        assert_eq!(position(text, 5), (2, 1));
        assert_eq!(position(text, 8), (3, 1));
        assert_eq!(position(text, 999), (3, 1));
        assert_eq!(position("", 0), (1, 1));
    }

    #[test]
    fn a_byte_order_mark_is_no_column() {
        let source = SourceFile::new(Path::new("x"), "\u{feff}ab");
        assert_eq!(source.text(), "ab");
        assert_eq!(source.position(1), (1, 2));
    }
}
