//! Rows in pieces of memory that are given back when they are empty: a table that grew is no larger than it has to be, and
//! never in two places at once. Must not know: what is in the rows.

/// Rows of a piece: a bit of a word each.
const ROWS: usize = u64::BITS as usize;

#[derive(Debug)]
struct RowPiece<T> {
    rows: Box<[Option<T>]>,
    /// Which of the rows are taken.
    taken: u64,
}

impl<T> RowPiece<T> {
    fn is_full(&self) -> bool {
        self.taken == u64::MAX
    }
}

/// The rows.
#[derive(Debug)]
pub(super) struct RowTable<T> {
    pieces: Vec<RowPiece<T>>,
    /// Pieces that are not full.
    with_room: Vec<usize>,
    len: usize,
}

impl<T> Default for RowTable<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), with_room: Vec::new(), len: 0 }
    }
}

impl<T> RowTable<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts `value` into a row that is free, whose place it gives back.
    pub(super) fn put(&mut self, value: T) -> usize {
        let index = self.with_room.last().copied().unwrap_or_else(|| {
            self.pieces.push(RowPiece { rows: Box::default(), taken: 0 });
            self.with_room.push(self.pieces.len() - 1);
            self.pieces.len() - 1
        });
        let mut at = 0;
        if let Some(piece) = self.pieces.get_mut(index) {
            if piece.rows.is_empty() {
                piece.rows = (0..ROWS).map(|_| None).collect();
            }
            at = piece.taken.trailing_ones() as usize;
            if let Some(row) = piece.rows.get_mut(at) {
                *row = Some(value);
                piece.taken |= 1 << at;
                self.len += 1;
            }
            if piece.is_full() {
                self.with_room.pop();
            }
        }
        index * ROWS + at
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.pieces.get(place / ROWS)?.rows.get(place % ROWS)?.as_ref()
    }

    /// Empties the row in this place.
    pub(super) fn take(&mut self, place: usize) -> Option<T> {
        let (index, at) = (place / ROWS, place % ROWS);
        let piece = self.pieces.get_mut(index)?;
        let value = piece.rows.get_mut(at)?.take()?;
        if piece.is_full() {
            self.with_room.push(index);
        }
        piece.taken &= !(1 << at);
        if piece.taken == 0 {
            piece.rows = Box::default();
        }
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        }
        Some(value)
    }

    /// All rows that are taken, with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let pieces = self.pieces.iter().enumerate();
        pieces.flat_map(|(index, piece)| {
            let rows = piece.rows.iter().enumerate();
            rows.filter_map(move |(at, row)| row.as_ref().map(|row| (index * ROWS + at, row)))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn memory<T>(table: &RowTable<T>) -> usize {
        table.pieces.iter().map(|piece| piece.rows.len()).sum()
    }

    #[test]
    fn it_is_no_larger_than_what_is_in_it() {
        let mut table = RowTable::default();
        let places: Vec<usize> = (0..10 * ROWS).map(|value| table.put(value)).collect();
        assert_eq!((table.len(), memory(&table)), (10 * ROWS, 10 * ROWS));
        for place in &places[ROWS..9 * ROWS] {
            assert_eq!(table.take(*place), Some(*place));
        }
        assert_eq!((table.len(), memory(&table)), (2 * ROWS, 2 * ROWS), "pieces in the midst are given back");
        assert_eq!(table.take(places[ROWS]), None, "it is gone");
        assert!(places.iter().filter_map(|place| table.take(*place)).count() == 2 * ROWS);
        assert_eq!((table.len(), table.pieces.len(), table.take(7)), (0, 0, None));
    }

    proptest! {
        #[test]
        fn what_is_put_is_there_until_it_is_taken(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..600)) {
            let mut table = RowTable::default();
            let mut there: Vec<(usize, usize)> = Vec::new();
            for (number, (puts, which)) in steps.into_iter().enumerate() {
                if puts || there.is_empty() {
                    let place = table.put(number);
                    prop_assert!(there.iter().all(|(other, _)| *other != place));
                    there.push((place, number));
                } else {
                    let (place, value) = there.swap_remove(which.index(there.len()));
                    prop_assert_eq!(table.take(place), Some(value));
                    prop_assert_eq!(table.take(place), None);
                }
                prop_assert_eq!(table.len(), there.len());
                prop_assert!(there.iter().all(|(place, value)| table.get(*place) == Some(value)));
                prop_assert_eq!(table.iter().count(), there.len());
            }
        }
    }
}
