//! Octets for the wire, in blocks that are filled once, never moved, and used again.
//!
//! One growing vector per send would be copied as it grows, and beyond the C library's mapping threshold
//! its pages would be faulted in again for each send: more than the encryption itself costs.

use std::io::{self, IoSlice, Write};

use crate::limits::{LAYER_BLOCK_BYTES, LAYER_BLOCKS_KEEP};

/// What a layer gives to the wire, in order.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    blocks: Vec<Vec<u8>>,
}

/// What the layers of a shard share: memory for as long as one of them works, and for what is being sent.
#[derive(Debug, Default)]
pub(crate) struct Workshop {
    /// What TLS made, for WebSocket.
    pub(super) scratch: Vec<u8>,
    /// What WebSocket made, for TLS: at most a record.
    pub(super) plain: Vec<u8>,
    /// Empty.
    spare: Vec<Vec<u8>>,
}

impl Workshop {
    /// Takes back what was sent.
    pub(crate) fn reuse(&mut self, blocks: Vec<Vec<u8>>) {
        for mut block in blocks {
            if self.spare.len() == LAYER_BLOCKS_KEEP {
                return;
            }
            block.clear();
            self.spare.push(block);
        }
    }
}

impl Wire {
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The blocks, none of them empty.
    pub(crate) fn into_blocks(self) -> Vec<Vec<u8>> {
        self.blocks
    }

    pub(super) fn put(&mut self, mut octets: &[u8], workshop: &mut Workshop) {
        while !octets.is_empty() {
            let last = self.blocks.last_mut();
            let Some(block) = last.filter(|b| b.len() < LAYER_BLOCK_BYTES) else {
                self.blocks.push(workshop.spare.pop().unwrap_or_default());
                continue;
            };
            let room = LAYER_BLOCK_BYTES - block.len();
            let (now, later) = octets.split_at(octets.len().min(room));
            block.extend_from_slice(now);
            octets = later;
        }
    }

    /// To be written to by a library.
    pub(super) fn writer<'a>(&'a mut self, workshop: &'a mut Workshop) -> impl Write + 'a {
        Writer {
            wire: self,
            workshop,
        }
    }
}

struct Writer<'a> {
    wire: &'a mut Wire,
    workshop: &'a mut Workshop,
}

impl Write for Writer<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.wire.put(octets, self.workshop);
        Ok(octets.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices
            .iter()
            .try_fold(0, |sum, slice| Ok(sum + self.write(slice)?))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
