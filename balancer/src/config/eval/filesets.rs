//! `fileset`: the names of the files below a folder that a pattern matches. Must not know: what is in them.

use std::{collections::BTreeSet, fs, io, path::Path};

/// Most entries of folders that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// Deepest folder.
const MAX_DEPTH: usize = 16;

/// Why there are no names.
pub(super) enum NoNames {
    /// The folder cannot be read.
    Unread(String),
    /// There is too much in it.
    TooMuch,
    /// The pattern is none.
    NoPattern,
}

/// The names, in order, with `/` between their parts. Only regular files are told.
pub(super) fn names(folder: &Path, pattern: &str) -> Result<BTreeSet<String>, NoNames> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if !is_sound(pattern) || parts.contains(&"..") {
        return Err(NoNames::NoPattern);
    }
    let mut found = Found { names: BTreeSet::new(), left: MAX_ENTRIES };
    found.walk(folder, &parts, "", 0)?;
    Ok(found.names)
}

struct Found {
    names: BTreeSet<String>,
    left: usize,
}

impl Found {
    fn walk(&mut self, folder: &Path, parts: &[&str], name: &str, depth: usize) -> Result<(), NoNames> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        if depth > MAX_DEPTH {
            return Err(NoNames::TooMuch);
        }
        if *part == "**" {
            // Of no folder at all, too.
            self.walk(folder, rest, name, depth)?;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            // Terraform has it so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(NoNames::Unread(error.to_string())),
        };
        for entry in entries.flatten() {
            self.left = self.left.checked_sub(1).ok_or(NoNames::TooMuch)?;
            // What is no text no configuration can name.
            let Ok(own) = entry.file_name().into_string() else { continue };
            let path = entry.path();
            let (is_folder, is_file) = (path.is_dir(), path.is_file());
            let full = if name.is_empty() { own.clone() } else { format!("{name}/{own}") };
            if *part == "**" {
                match is_folder {
                    // Links to folders may lead in circles.
                    true if !entry.file_type().is_ok_and(|kind| kind.is_symlink()) => {
                        self.walk(&path, parts, &full, depth + 1)?;
                    }
                    false if is_file && rest.is_empty() => drop(self.names.insert(full)),
                    _ => {}
                }
            } else if matches(part.as_bytes(), own.as_bytes()) {
                match rest.is_empty() {
                    true if is_file => drop(self.names.insert(full)),
                    false if is_folder => self.walk(&path, rest, &full, depth + 1)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Whether brackets and braces are in pairs; braces within braces are not taken.
fn is_sound(pattern: &str) -> bool {
    let (mut brackets, mut braces) = (false, false);
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '[' if !brackets => brackets = true,
            ']' if brackets => brackets = false,
            _ if brackets => {}
            '{' if braces => return false,
            '{' => braces = true,
            '}' if !braces => return false,
            '}' => braces = false,
            // A folder in some of several is more than a part.
            '/' if braces => return false,
            _ => {}
        }
    }
    !brackets && !braces
}

/// Whether the pattern of one part matches a name. `left` work is bounded by the length of both.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return name.is_empty() };
    match first {
        b'*' => {
            // Several are as good as one.
            let rest = rest
                .iter()
                .position(|byte| *byte != b'*')
                .map_or(&[][..], |at| rest.get(at..).unwrap_or_default());
            (0..=name.len()).any(|at| name.get(at..).is_some_and(|name| matches(rest, name)))
        }
        b'{' => {
            let Some(end) = rest.iter().position(|byte| *byte == b'}') else { return false };
            let (inner, behind) =
                (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default());
            inner.split(|byte| *byte == b',').any(|one| matches(&[one, behind].concat(), name))
        }
        b'[' => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let Some((letter, name)) = name.split_first() else { return false };
            let (class, behind) =
                (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default());
            is_in(class, *letter) && matches(behind, name)
        }
        b'?' => name.split_first().is_some_and(|(_, name)| matches(rest, name)),
        first => {
            let (first, rest) = match (first, rest.split_first()) {
                (b'\\', Some((first, rest))) => (first, rest),
                _ => (first, rest),
            };
            name.split_first().is_some_and(|(letter, name)| letter == first && matches(rest, name))
        }
    }
}

/// Whether a letter is of a class such as `a-z0-9` or `^a`.
fn is_in(class: &[u8], letter: u8) -> bool {
    let (negated, mut class) = match class.split_first() {
        Some((b'^' | b'!', rest)) => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let [first, rest @ ..] = class {
        class = match rest {
            [b'-', last, rest @ ..] => {
                found |= (first..=last).contains(&&letter);
                rest
            }
            rest => {
                found |= *first == letter;
                rest
            }
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_terraform_has_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yml", "c.txt", "d/e.yaml", "d/f/g.yaml", ".hidden.yaml"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let found = |pattern: &str| match names(folder.path(), pattern) {
            Ok(names) => names.into_iter().collect::<Vec<_>>().join(" "),
            Err(_) => "refused".to_owned(),
        };
        for (pattern, expected) in [
            ("*.yaml", ".hidden.yaml a.yaml"),
            ("*.{yaml,yml}", ".hidden.yaml a.yaml b.yml"),
            ("[ab].y*", "a.yaml b.yml"),
            ("[^a].???", "b.yml c.txt"),
            ("**/*.yaml", ".hidden.yaml a.yaml d/e.yaml d/f/g.yaml"),
            ("**", ".hidden.yaml a.yaml b.yml c.txt d/e.yaml d/f/g.yaml"),
            ("d/*", "d/e.yaml"),
            ("*/f/*.yaml", "d/f/g.yaml"),
            ("none/*", ""),
            ("d", ""),
            ("../*", "refused"),
            ("[a", "refused"),
            ("{a,{b}}", "refused"),
        ] {
            assert_eq!(found(pattern), expected, "{pattern}");
        }
        assert!(names(&folder.path().join("none"), "*").is_ok_and(|names| names.is_empty()));
        assert!(names(&folder.path().join("a.yaml"), "*").is_err());
    }
}
