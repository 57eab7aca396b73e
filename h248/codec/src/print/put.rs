//! Leaves of the tree, written without the machinery of `core::fmt`: they are most of a message.

use core::fmt::Write as _;

use super::events::RequestId;
use super::out::Out;
use crate::ast::{
    ContextId, MId, Name, PackageItem, PackageVersion, TerminationId, TerminationIds, TimeStamp,
    TransactionId,
};

/// Something that stands on the wire as it is.
pub(super) trait Put {
    /// Appends it.
    fn put(&self, out: &mut Out);
}

impl<T: Put + ?Sized> Put for &T {
    #[inline]
    fn put(&self, out: &mut Out) {
        (**self).put(out);
    }
}

impl Put for str {
    #[inline]
    fn put(&self, out: &mut Out) {
        out.put(self.as_bytes());
    }
}

impl Put for u32 {
    #[inline]
    fn put(&self, out: &mut Out) {
        let mut rest = *self;
        if rest < 10 {
            return out.push(digit(rest));
        }
        let place = out.place(rest.ilog10() as usize + 1);
        let mut pairs = place.rchunks_exact_mut(2);
        for pair in &mut pairs {
            pair.copy_from_slice(&PAIRS[(rest % 100) as usize]);
            rest /= 100;
        }
        if let [first] = pairs.into_remainder() {
            *first = digit(rest);
        }
    }
}

/// `00` to `99`.
static PAIRS: [[u8; 2]; 100] = pairs();

const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n as usize] = [digit(n / 10), digit(n % 10)];
        n += 1;
    }
    pairs
}

/// The digit of a number below ten.
const fn digit(n: u32) -> u8 {
    b"0123456789"[(n % 10) as usize]
}

impl Put for u16 {
    #[inline]
    fn put(&self, out: &mut Out) {
        u32::from(*self).put(out);
    }
}

impl Put for u8 {
    #[inline]
    fn put(&self, out: &mut Out) {
        u32::from(*self).put(out);
    }
}

impl Put for Name {
    #[inline]
    fn put(&self, out: &mut Out) {
        out.text(self.text());
    }
}

impl Put for PackageItem {
    #[inline]
    fn put(&self, out: &mut Out) {
        out.text(self.text());
    }
}

impl Put for PackageVersion {
    #[inline]
    fn put(&self, out: &mut Out) {
        self.name.put(out);
        out.push(b'-');
        self.version.put(out);
    }
}

impl Put for TransactionId {
    #[inline]
    fn put(&self, out: &mut Out) {
        self.0.put(out);
    }
}

impl Put for ContextId {
    #[inline]
    fn put(&self, out: &mut Out) {
        match self {
            Self::Null => out.push(b'-'),
            Self::Choose => out.push(b'$'),
            Self::All => out.push(b'*'),
            Self::Id(id) => id.put(out),
        }
    }
}

impl Put for TerminationId {
    #[inline]
    fn put(&self, out: &mut Out) {
        match self {
            Self::Root => "ROOT".put(out),
            Self::Choose => out.push(b'$'),
            Self::All => out.push(b'*'),
            Self::Name(name) => name.put(out),
        }
    }
}

impl Put for TerminationIds {
    #[inline]
    fn put(&self, out: &mut Out) {
        if let Some(id) = self.single() {
            return id.put(out);
        }
        for (at, id) in self.0.iter().enumerate() {
            out.push(if at > 0 { b',' } else { b'[' });
            id.put(out);
        }
        out.push(b']');
    }
}

impl Put for RequestId {
    /// `*` when it is the highest number.
    #[inline]
    fn put(&self, out: &mut Out) {
        if self.0 == u32::MAX {
            out.push(b'*');
        } else {
            self.0.put(out);
        }
    }
}

impl Put for TimeStamp {
    #[inline]
    fn put(&self, out: &mut Out) {
        out.put(&self.date);
        out.push(b'T');
        out.put(&self.time);
    }
}

impl Put for MId {
    #[inline]
    fn put(&self, out: &mut Out) {
        match self {
            Self::Domain { name, port } => {
                out.push(b'<');
                name.put(out);
                out.push(b'>');
                if let Some(port) = port {
                    out.push(b':');
                    port.put(out);
                }
            }
            Self::Ip { .. } | Self::Device(_) | Self::Mtp(_) => {
                write!(out, "{self}").expect("a buffer takes everything");
            }
        }
    }
}
