//! Leaves of the tree, written without the machinery of `core::fmt`: they are most of a message.

use std::io::Write as _;

use super::events::RequestId;
use crate::ast::{
    ContextId, MId, Name, PackageItem, PackageVersion, TerminationId, TerminationIds, TimeStamp,
    TransactionId,
};

/// Something that stands on the wire as it is.
pub(super) trait Put {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);
}

impl<T: Put + ?Sized> Put for &T {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

impl Put for str {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Put for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 10];
        let mut at = digits.len();
        let mut rest = *self;
        loop {
            at -= 1;
            digits[at] = b"0123456789"[(rest % 10) as usize];
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    }
}

impl Put for u16 {
    fn put(&self, out: &mut Vec<u8>) {
        u32::from(*self).put(out);
    }
}

impl Put for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        u32::from(*self).put(out);
    }
}

impl Put for Name {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().put(out);
    }
}

impl Put for PackageItem {
    fn put(&self, out: &mut Vec<u8>) {
        if !self.package.as_str().is_empty() {
            self.package.put(out);
            out.push(b'/');
        }
        self.item.put(out);
    }
}

impl Put for PackageVersion {
    fn put(&self, out: &mut Vec<u8>) {
        self.name.put(out);
        out.push(b'-');
        self.version.put(out);
    }
}

impl Put for TransactionId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
}

impl Put for ContextId {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(b'-'),
            Self::Choose => out.push(b'$'),
            Self::All => out.push(b'*'),
            Self::Id(id) => id.put(out),
        }
    }
}

impl Put for TerminationId {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Root => "ROOT".put(out),
            Self::Choose => out.push(b'$'),
            Self::All => out.push(b'*'),
            Self::Name(name) => name.put(out),
        }
    }
}

impl Put for TerminationIds {
    fn put(&self, out: &mut Vec<u8>) {
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
    fn put(&self, out: &mut Vec<u8>) {
        if self.0 == u32::MAX {
            out.push(b'*');
        } else {
            self.0.put(out);
        }
    }
}

impl Put for TimeStamp {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.date);
        out.push(b'T');
        out.extend_from_slice(&self.time);
    }
}

impl Put for MId {
    fn put(&self, out: &mut Vec<u8>) {
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
                write!(out, "{self}").expect("a vector takes everything");
            }
        }
    }
}
