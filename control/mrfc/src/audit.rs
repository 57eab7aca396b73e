//! What an MRFP has, set against what the focus knows of it, after an association that broke: of an Add or
//! a Subtract under way then, nobody knows whether it was executed.
//!
//! ```text
//! all names are asked for; a reply would be too long -> the same in narrower pieces
//!     shown, and no leg has it   -> a stranger
//!     a leg had it, not shown    -> missing
//! all is shown -> the Adds under way are waited for, since what they make may have been shown
//!              -> strangers are to be subtracted, legs that have what is missing are to end
//! ```
//!
//! The MRFP works on meanwhile. Whatever is done about a termination after the audit began is known from the
//! answers to that, so the audit says nothing of it ([`Audit::touch`]).

use h248::ast::{Name, TerminationId, TransactionId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Pieces that one audit may be cut into; an MRFP that would need more is not audited.
const PIECES_MAX: usize = 20_000;
/// Characters of the longest name that may be a piece's beginning.
const PREFIX_CHARS_MAX: usize = 64;
/// What names of terminations begin with; they are the same in either case (H.248.1 B.2, `pathNAME`).
const FIRST: &str = "abcdefghijklmnopqrstuvwxyz";
/// What they go on with.
const FURTHER: &str = "abcdefghijklmnopqrstuvwxyz0123456789_/@";
/// And what after an `@`.
const DOMAIN: &str = "abcdefghijklmnopqrstuvwxyz0123456789-.";

/// Some of the names: all that begin alike, or exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    prefix: String,
    is_open: bool,
}

impl Piece {
    /// As the MRFP is asked.
    pub(crate) fn termination(&self) -> TerminationId {
        match (self.prefix.as_str(), self.is_open) {
            ("", _) => TerminationId::All,
            (prefix, true) => TerminationId::Name(Name::new(&format!("{prefix}*"))),
            (name, false) => TerminationId::Name(Name::new(name)),
        }
    }
}

/// An audit under way.
#[derive(Debug)]
pub(crate) struct Audit {
    pieces: Vec<Piece>,
    /// Pieces that were made, asked or not.
    count: usize,
    /// Pieces that are not answered.
    asked: usize,
    /// Once all is shown: Adds that were under way then.
    awaited: Option<HashSet<TransactionId>>,
    /// What legs had when it began, and was not shown.
    unseen: HashSet<TerminationId>,
    /// With their contexts.
    strangers: HashMap<TerminationId, u32>,
}

/// What an audit found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What no leg has, by context.
    pub(crate) strangers: BTreeMap<u32, Vec<TerminationId>>,
    /// What legs have and the MRFP has not.
    pub(crate) missing: Vec<TerminationId>,
}

/// The MRFP has more than can be told even in pieces, or finds the narrowest too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl Audit {
    /// Begins one; `known` is what legs have there that was added and is not being subtracted.
    pub(crate) fn new(known: impl IntoIterator<Item = TerminationId>) -> Self {
        let whole = Piece {
            prefix: String::new(),
            is_open: true,
        };
        Self {
            pieces: vec![whole],
            count: 1,
            asked: 0,
            awaited: None,
            unseen: known.into_iter().collect(),
            strangers: HashMap::new(),
        }
    }

    /// What to ask for next; each is to be answered by [`Self::show`] or [`Self::cut`].
    pub(crate) fn next_piece(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop()?;
        self.asked += 1;
        Some(piece)
    }

    /// A piece was answered: these terminations are in these contexts.
    pub(crate) fn show(
        &mut self,
        found: impl IntoIterator<Item = (u32, TerminationId)>,
        is_known: impl Fn(&TerminationId) -> bool,
    ) {
        self.asked -= 1;
        for (context, termination) in found {
            self.unseen.remove(&termination);
            if !is_known(&termination) {
                self.strangers.insert(termination, context);
            }
        }
    }

    /// A piece would have been answered with too much.
    pub(crate) fn cut(&mut self, piece: &Piece) -> Result<(), TooMuch> {
        self.asked -= 1;
        let further = match piece.prefix.as_str() {
            "" => FIRST,
            prefix if prefix.contains('@') => DOMAIN,
            _ => FURTHER,
        };
        self.count += further.len() + 1;
        if !piece.is_open || piece.prefix.len() >= PREFIX_CHARS_MAX || self.count > PIECES_MAX {
            return Err(TooMuch);
        }
        // What is called just like the beginning of others, if there is one.
        let itself = Piece {
            is_open: false,
            ..piece.clone()
        };
        self.pieces
            .extend(Some(itself).filter(|piece| !piece.prefix.is_empty()));
        self.pieces.extend(further.chars().map(|next| Piece {
            prefix: format!("{}{next}", piece.prefix),
            is_open: true,
        }));
        Ok(())
    }

    /// Whether every piece was answered.
    pub(crate) fn is_shown(&self) -> bool {
        self.asked == 0 && self.pieces.is_empty()
    }

    /// Something was done about a termination: it is as its answer says.
    pub(crate) fn touch(&mut self, termination: &TerminationId) {
        self.unseen.remove(termination);
        self.strangers.remove(termination);
    }

    /// All is shown; these Adds are under way.
    pub(crate) fn wait_for(&mut self, adds: impl IntoIterator<Item = TransactionId>) {
        self.awaited
            .get_or_insert_with(|| adds.into_iter().collect());
    }

    /// A request is over, answered or not.
    pub(crate) fn end_request(&mut self, id: TransactionId) {
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(&id);
        }
    }

    /// Whether nothing is waited for any more.
    pub(crate) fn is_over(&self) -> bool {
        self.awaited.as_ref().is_some_and(HashSet::is_empty)
    }

    /// What was found, once it [is over](Self::is_over).
    pub(crate) fn verdict(self) -> Verdict {
        let mut strangers: BTreeMap<u32, Vec<TerminationId>> = BTreeMap::new();
        for (termination, context) in self.strangers {
            strangers.entry(context).or_default().push(termination);
        }
        Verdict {
            strangers,
            missing: self.unseen.into_iter().collect(),
        }
    }
}

#[cfg(test)]
#[path = "audit/tests.rs"]
mod tests;
