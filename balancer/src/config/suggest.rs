//! "Did you mean": the nearest of the known words.

/// Most known words that are looked at: no hint is worth a long wait.
const MAX_KNOWN: usize = 250;
/// Words longer than this are not compared: no name is, and the comparison is quadratic.
const MAX_LENGTH: usize = 64;

/// The known word nearest to `word`, when it is near: at most one edit per three letters, and three in all.
/// An edit is a letter added, left out, changed, or swapped with its neighbour.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .take(MAX_KNOWN)
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= allowed)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= allowed && distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean `x`?)` or nothing.
pub(super) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"))
}

/// Optimal string alignment distance over bytes; words too long to be names are infinitely far.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > MAX_LENGTH || other.len() > MAX_LENGTH {
        return usize::MAX;
    }
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous_letter = None;
    for (row, letter) in one.bytes().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_other = None;
        for (column, other_letter) in other.bytes().enumerate() {
            let substituted = at(&last, column) + usize::from(letter != other_letter);
            let added_or_dropped = at(&last, column + 1).min(at(&current, column)) + 1;
            let swapped = previous_letter == Some(other_letter) && previous_other == Some(letter);
            let mut best = substituted.min(added_or_dropped);
            if swapped && column > 0 {
                best = best.min(at(&before_last, column - 1).saturating_add(1));
            }
            current.push(best);
            previous_other = Some(other_letter);
        }
        previous_letter = Some(letter);
        before_last = std::mem::replace(&mut last, current);
    }
    at(&last, other.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (one, other, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("stickness", "stickiness", 1),
            ("prot", "port", 1),
            ("intreval", "interval", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["port", "protocol", "stickiness"];
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("stickness", known), Some("stickiness"));
        assert_eq!(nearest("protokol", known), Some("protocol"));
        assert_eq!(nearest("vpc_id", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"p".repeat(1_000_000), known), None);
    }
}
