//! The streams of a termination, by their id: nearly always one.
//!
//! A node of a B-tree would hold room for eleven of them, kilobytes in every termination.

use super::mirror::Stream;

/// Streams in the order of their ids; no more room is kept than they need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Streams(Vec<(u16, Stream)>);

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place(&self, id: u16) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |(known, _)| *known)
    }

    pub(super) fn contains(&self, id: u16) -> bool {
        self.place(id).is_ok()
    }

    pub(super) fn get(&self, id: u16) -> Option<&Stream> {
        self.place(id).ok().map(|at| &self.0[at].1)
    }

    /// The stream of this id, made if it is not there.
    pub(super) fn get_or_make(&mut self, id: u16) -> &mut Stream {
        let at = self.place(id).unwrap_or_else(|at| {
            self.0.reserve_exact(1);
            self.0.insert(at, (id, Stream::default()));
            at
        });
        &mut self.0[at].1
    }

    pub(super) fn remove(&mut self, id: u16) {
        if let Ok(at) = self.place(id) {
            self.0.remove(at);
            self.0.shrink_to_fit();
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|(id, _)| *id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Stream)> {
        self.0.iter().map(|(id, stream)| (*id, stream))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut Stream)> {
        self.0.iter_mut().map(|(id, stream)| (*id, stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_stand_in_the_order_of_their_ids_with_no_room_to_spare() {
        let mut streams = Streams::default();
        for id in [3, 1, 2, 3] {
            streams.get_or_make(id).is_established = id == 3;
        }
        assert_eq!(streams.ids().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(streams.0.capacity(), 3);
        assert!(streams.get(3).is_some_and(|s| s.is_established));
        streams.remove(2);
        streams.remove(7);
        assert!(!streams.contains(2) && streams.get(2).is_none());
        assert_eq!((streams.len(), streams.0.capacity()), (2, 2));
    }
}
