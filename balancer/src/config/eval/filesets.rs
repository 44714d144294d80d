//! `fileset`: the names of the files below a folder that a pattern matches. Must not know: what is in them.

use std::{collections::BTreeSet, fs, io, path::Path};

/// Most entries of folders that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// Most that the braces of a part stand for.
const MAX_ALTERNATIVES: usize = 64;
/// What stands for any number of folders.
const EVERY_FOLDER: &str = "**";
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
    let mut found = FoundNames { names: BTreeSet::new(), left: MAX_ENTRIES };
    let mut ways = Vec::new();
    for part in parts {
        // Several of these in a row are as good as one.
        if part != EVERY_FOLDER || ways.last().is_none_or(|last: &Vec<String>| *last != [EVERY_FOLDER]) {
            ways.push(alternatives(part).ok_or(NoNames::NoPattern)?);
        }
    }
    found.walk(folder, &ways, "", 0)?;
    Ok(found.names)
}

struct FoundNames {
    names: BTreeSet<String>,
    left: usize,
}

impl FoundNames {
    fn walk(
        &mut self,
        folder: &Path,
        parts: &[Vec<String>],
        name: &str,
        depth: usize,
    ) -> Result<(), NoNames> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        if depth > MAX_DEPTH {
            return Err(NoNames::TooMuch);
        }
        let is_any = *part == [EVERY_FOLDER];
        if is_any {
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
            if is_any {
                match is_folder {
                    // Links to folders may lead in circles.
                    true if !entry.file_type().is_ok_and(|kind| kind.is_symlink()) => {
                        self.walk(&path, parts, &full, depth + 1)?;
                    }
                    false if is_file && rest.is_empty() => drop(self.names.insert(full)),
                    _ => {}
                }
            } else if part.iter().any(|one| matches(one.as_bytes(), own.as_bytes())) {
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

/// What the pattern of one part stands for where it has several in braces; nothing for too many.
fn alternatives(part: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let mut rest = part;
    while let Some((before, behind)) = rest.split_once('{') {
        let (inner, behind) = behind.split_once('}')?;
        let several =
            all.iter().flat_map(|one| inner.split(',').map(move |each| format!("{one}{before}{each}")));
        all = several.take(MAX_ALTERNATIVES + 1).collect();
        if all.len() > MAX_ALTERNATIVES {
            return None;
        }
        rest = behind;
    }
    all.iter_mut().for_each(|one| one.push_str(rest));
    Some(all)
}

/// Whether the pattern of one part matches a name. What a `*` stands for is tried from the shortest on, that of the last one alone.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut back = None;
    while let Some(letter) = name.get(seen) {
        let rest = pattern.get(at..).unwrap_or_default();
        if rest.first() == Some(&b'*') {
            at += 1;
            back = Some((at, seen));
        } else if let Some(length) = one(rest, *letter) {
            at += length;
            seen += 1;
        } else if let Some((behind, from)) = back {
            (at, seen) = (behind, from + 1);
            back = Some((behind, seen));
        } else {
            return false;
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// How long what matches this letter is, at the beginning of a pattern.
fn one(pattern: &[u8], letter: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b']')?;
            is_in(rest.get(..end)?, letter).then_some(end + 2)
        }
        [b'\\', first, ..] => (*first == letter).then_some(2),
        [first, ..] => (*first == letter).then_some(1),
        [] => None,
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
            ("*a*{m,x}?", ".hidden.yaml a.yaml"),
            ("[a-b].{ya,y}ml", "a.yaml b.yml"),
            ("**/**/g.yaml", "d/f/g.yaml"),
            ("\\a.yaml", "a.yaml"),
            ("{a,b,c}{a,b,c}{a,b,c}{a,b,c}", "refused"),
            ("d", ""),
            ("../*", "refused"),
            ("[a", "refused"),
            ("{a,{b}}", "refused"),
        ] {
            assert_eq!(found(pattern), expected, "{pattern}");
        }
        // Work is bounded, whatever the pattern.
        assert!(!matches(&b"*a".repeat(200), &[b'a'; 150]));
        assert!(matches(&b"*a".repeat(100), &[b'a'; 250]));
        assert!(names(&folder.path().join("none"), "*").is_ok_and(|names| names.is_empty()));
        assert!(names(&folder.path().join("a.yaml"), "*").is_err());
    }
}
