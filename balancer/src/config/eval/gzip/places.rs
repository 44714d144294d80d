//! Elements by their places, which are there. Must not know: what they are.

/// An element; a default one where there is none, which cannot be.
pub(super) fn at<T: Copy + Default>(of: &[T], index: usize) -> T {
    of.get(index).copied().unwrap_or_default()
}

/// Sets an element.
pub(super) fn set<T>(of: &mut [T], index: usize, value: T) {
    if let Some(place) = of.get_mut(index) {
        *place = value;
    }
}
