//! All sessions of a shard, and their names.
//!
//! **Invariant:** the tables of names hold places alone; the names stand in the sessions.

use core::ops::{Index, IndexMut};
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use slab::Slab;

use crate::api::SessionKey;
use crate::session::{Session, SessionRef};
use crate::text::Text;

/// By place, by the gateway's key, and by session-id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Boxed: a table that grows has room for as many again, which is not to be paid in sessions.
    slab: Slab<Box<Session>>,
    by_key: HashTable<u32>,
    /// Of sessions with the same id the one that took it last.
    by_id: HashTable<u32>,
    hasher: RandomState,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Session> {
        self.slab.get(index).map(|session| &**session)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Session> {
        self.slab.get_mut(index).map(|session| &mut **session)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = SessionRef> {
        self.slab.iter().map(|(index, session)| SessionRef {
            index: place(index),
            generation: session.generation,
        })
    }

    fn reference(&self, index: u32) -> SessionRef {
        let generation = self[index as usize].generation;
        SessionRef { index, generation }
    }

    /// The session of this key.
    pub(crate) fn of_key(&self, key: SessionKey) -> Option<SessionRef> {
        let hash = self.hasher.hash_one(key);
        let index = self.by_key.find(hash, |at| self[*at as usize].key == key)?;
        Some(self.reference(*index))
    }

    /// The session of this session-id.
    pub(crate) fn of_id(&self, id: &[u8]) -> Option<SessionRef> {
        let is_its = |at: &u32| *self[*at as usize].config.session_id == *id;
        let index = self.by_id.find(self.hasher.hash_one(id), is_its)?;
        Some(self.reference(*index))
    }

    /// Takes a session up, whose key must be new.
    pub(crate) fn insert(&mut self, session: Session) -> SessionRef {
        let (key, id) = (session.key, session.config.session_id.clone());
        let generation = session.generation;
        debug_assert!(self.of_key(key).is_none(), "keys are not given twice");
        let index = place(self.slab.insert(Box::new(session)));
        let (slab, hasher) = (&self.slab, &self.hasher);
        let rehash = |at: &u32| hasher.hash_one(slab[*at as usize].key);
        self.by_key
            .insert_unique(hasher.hash_one(key), index, rehash);
        self.name(index, &id);
        SessionRef { index, generation }
    }

    /// Ends a session.
    pub(crate) fn remove(&mut self, session: SessionRef) -> Session {
        self.unname(session.index);
        let entry = self.slab.remove(session.index as usize);
        let hash = self.hasher.hash_one(entry.key);
        if let Ok(found) = self.by_key.find_entry(hash, |at| *at == session.index) {
            found.remove();
        }
        *entry
    }

    /// Gives a session another session-id than it has.
    pub(crate) fn rename(&mut self, session: SessionRef, id: Text) {
        self.unname(session.index);
        self[session.index as usize].config.session_id = id.clone();
        self.name(session.index, &id);
    }

    fn name(&mut self, index: u32, id: &Text) {
        let slab = &self.slab;
        let id_of = |at: &u32| &*slab[*at as usize].config.session_id;
        let hash = self.hasher.hash_one(&**id);
        match self.by_id.find_mut(hash, |at| *id_of(at) == **id) {
            Some(known) => *known = index,
            None => {
                let rehash = |at: &u32| self.hasher.hash_one(id_of(at));
                self.by_id.insert_unique(hash, index, rehash);
            }
        }
    }

    fn unname(&mut self, index: u32) {
        let hash = self
            .hasher
            .hash_one(&*self[index as usize].config.session_id);
        if let Ok(found) = self.by_id.find_entry(hash, |at| *at == index) {
            found.remove();
        }
    }

    /// For tests: that every name is that of a session.
    pub(crate) fn assert_named(&self) {
        assert_eq!(self.by_key.len(), self.len());
        assert!(self.by_id.len() <= self.len());
        for session in self.iter() {
            let key = self[session.index as usize].key;
            assert_eq!(self.of_key(key), Some(session), "{key:?} by key");
        }
        for index in &self.by_id {
            let id = &self[*index as usize].config.session_id;
            assert_eq!(self.of_id(id), Some(self.reference(*index)), "{id:?}");
        }
    }
}

impl Index<usize> for Sessions {
    type Output = Session;

    #[inline]
    fn index(&self, index: usize) -> &Session {
        &self.slab[index]
    }
}

impl IndexMut<usize> for Sessions {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut Session {
        &mut self.slab[index]
    }
}

fn place(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 sessions")
}
