//! Messages in the order of their last sign of life: those whose time is over are found without a
//! look at the others.

use slab::Slab;

use crate::message::Message;

/// No message.
const NONE: u32 = u32::MAX;

/// A message's place in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbours {
    older: u32,
    younger: u32,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self {
            older: NONE,
            younger: NONE,
        }
    }
}

/// A list that runs through the slots of a shard's messages.
#[derive(Debug)]
pub(crate) struct Ages {
    oldest: u32,
    youngest: u32,
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            oldest: NONE,
            youngest: NONE,
        }
    }
}

impl Ages {
    /// The message that has been quiet for the longest time.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Takes a message in as the youngest.
    pub(crate) fn append(&mut self, messages: &mut Slab<Box<Message>>, slot: u32) {
        messages[slot as usize].neighbours = Neighbours {
            older: self.youngest,
            younger: NONE,
        };
        if self.youngest == NONE {
            self.oldest = slot;
        } else {
            messages[self.youngest as usize].neighbours.younger = slot;
        }
        self.youngest = slot;
    }

    /// Takes a message out.
    pub(crate) fn remove(&mut self, messages: &mut Slab<Box<Message>>, slot: u32) {
        let Neighbours { older, younger } = messages[slot as usize].neighbours;
        if older == NONE {
            self.oldest = younger;
        } else {
            messages[older as usize].neighbours.younger = younger;
        }
        if younger == NONE {
            self.youngest = older;
        } else {
            messages[younger as usize].neighbours.older = older;
        }
    }

    /// Makes a message the youngest.
    pub(crate) fn refresh(&mut self, messages: &mut Slab<Box<Message>>, slot: u32) {
        if self.youngest != slot {
            self.remove(messages, slot);
            self.append(messages, slot);
        }
    }

    /// From the oldest on.
    pub(crate) fn iter<'a>(
        &'a self,
        messages: &'a Slab<Box<Message>>,
    ) -> impl Iterator<Item = u32> + use<'a> {
        let mut at = self.oldest;
        core::iter::from_fn(move || {
            let slot = (at != NONE).then_some(at)?;
            at = messages[slot as usize].neighbours.younger;
            Some(slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use clock::Instant;

    use super::*;
    use crate::session::SessionRef;

    #[test]
    fn the_list_is_in_order_of_the_last_refresh() {
        let sender = SessionRef {
            index: 0,
            generation: 0,
        };
        let mut messages = Slab::new();
        let mut ages = Ages::default();
        let mut model: Vec<u32> = Vec::new();
        for step in 0..500_u32 {
            let pick = (step * 7 + step / 3) as usize;
            match step % 5 {
                0 | 1 => {
                    let slot = messages.insert(Box::new(Message::new(step, sender, Instant::ZERO)));
                    let slot = u32::try_from(slot).unwrap();
                    ages.append(&mut messages, slot);
                    model.push(slot);
                }
                2 | 3 if !model.is_empty() => {
                    let slot = model.remove(pick % model.len());
                    ages.refresh(&mut messages, slot);
                    model.push(slot);
                }
                _ if !model.is_empty() => {
                    let slot = model.remove(pick % model.len());
                    ages.remove(&mut messages, slot);
                    messages.remove(slot as usize);
                }
                _ => {}
            }
            assert_eq!(ages.iter(&messages).collect::<Vec<_>>(), model);
            assert_eq!(ages.oldest(), model.first().copied());
        }
    }
}
