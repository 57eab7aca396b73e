//! bpf(2): two maps, the program, and the link that holds it to an interface until it is closed.

use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::memory::Mapping;
use super::owned;
use crate::program::Instruction;

const MAP_CREATE: i32 = 0;
const MAP_UPDATE: i32 = 2;
const PROGRAM_LOAD: i32 = 5;
const LINK_CREATE: i32 = 28;

const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_SOCKETS: u32 = 17;
const MAP_FLAG_MMAPABLE: u32 = 1 << 10;
const PROGRAM_TYPE_XDP: u32 = 6;
const PROGRAM_FLAG_FRAGMENTS: u32 = 1 << 5;
const ATTACH_TYPE_XDP: u32 = 37;
/// Octets of the verifier's log that are kept.
const LOG_BYTES: usize = 16 * 1024;

/// The argument of the call: as many octets as any of its commands reads.
#[repr(C, align(8))]
struct Attributes([u8; 128]);

impl Attributes {
    fn new() -> Self {
        Self([0; 128])
    }

    fn word(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn double(mut self, at: usize, value: u64) -> Self {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn fd(self, at: usize, fd: BorrowedFd<'_>) -> Self {
        self.word(at, fd.as_raw_fd().cast_unsigned())
    }

    /// # Safety
    ///
    /// The pointers among the attributes are valid for what the command does with them.
    unsafe fn call(mut self, command: i32) -> libc::c_long {
        // SAFETY: pointer and length are those of `self`; the rest is the caller's promise.
        unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), self.0.len()) }
    }
}

fn create_map(kind: u32, value_bytes: u32, entries: u32, flags: u32) -> io::Result<OwnedFd> {
    let attributes = Attributes::new()
        .word(0, kind)
        .word(4, 4)
        .word(8, value_bytes)
        .word(12, entries)
        .word(16, flags);
    // SAFETY: the command takes no pointer.
    owned(unsafe { attributes.call(MAP_CREATE) })
}

/// Sockets by receive queue, two for each.
#[derive(Debug)]
pub(crate) struct SocketMap(OwnedFd);

impl SocketMap {
    pub(crate) fn new(sockets: u32) -> io::Result<Self> {
        create_map(MAP_TYPE_SOCKETS, 4, sockets, 0).map(Self)
    }

    /// From now on, what the program has for this place goes to this socket.
    pub(crate) fn set(&self, place: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let value = socket.as_raw_fd();
        let attributes = Attributes::new()
            .fd(0, self.0.as_fd())
            .double(8, (&raw const place) as u64)
            .double(16, (&raw const value) as u64);
        // SAFETY: key and value are of the map's sizes, live until after the call, and are only read.
        let outcome = unsafe { attributes.call(MAP_UPDATE) };
        if outcome < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// Which of our addresses a port belongs to: a mask by port, seen by the program.
#[derive(Debug)]
pub(crate) struct PortMap {
    fd: OwnedFd,
    map: Mapping,
}

const PORTS: usize = 1 << 16;

impl PortMap {
    pub(crate) fn new() -> io::Result<Self> {
        let entries = u32::try_from(PORTS).expect("a small number");
        let fd = create_map(MAP_TYPE_ARRAY, 8, entries, MAP_FLAG_MMAPABLE)?;
        let map = Mapping::shared(fd.as_fd(), PORTS * 8, 0)?;
        Ok(Self { fd, map })
    }

    fn mask(&self, port: u16) -> &AtomicU64 {
        debug_assert_eq!(self.map.bytes(), PORTS * 8);
        let at = self.map.at::<AtomicU64>(usize::from(port) * 8, 1);
        // SAFETY: in the mapping, aligned, and accessed atomically by all of us; the program reads it
        // as one word.
        unsafe { at.as_ref() }
    }

    /// Takes a port of the addresses in `bits`.
    pub(crate) fn open(&self, port: u16, bits: u64) {
        self.mask(port).fetch_or(bits, Ordering::Relaxed);
    }

    /// Leaves it to the kernel again.
    pub(crate) fn close(&self, port: u16, bits: u64) {
        self.mask(port).fetch_and(!bits, Ordering::Relaxed);
    }
}

/// A verified program.
#[derive(Debug)]
pub(crate) struct Program(OwnedFd);

impl Program {
    /// Has the kernel verify the instructions that `assemble` makes for two maps.
    pub(crate) fn load(
        ports: &PortMap,
        sockets: &SocketMap,
        assemble: impl FnOnce(i32, i32) -> Vec<Instruction>,
    ) -> io::Result<Self> {
        let code = assemble(ports.fd.as_raw_fd(), sockets.0.as_raw_fd());
        let attributes = |flags: u32| {
            Attributes::new()
                .word(0, PROGRAM_TYPE_XDP)
                .word(4, u32::try_from(code.len()).expect("a short program"))
                .double(8, code.as_ptr() as u64)
                .double(16, c"Dual MIT/GPL".as_ptr() as u64)
                .word(44, flags)
                .word(68, ATTACH_TYPE_XDP)
        };
        // SAFETY: code and licence live until after the call, and are only read.
        let outcome = owned(unsafe { attributes(PROGRAM_FLAG_FRAGMENTS).call(PROGRAM_LOAD) });
        let outcome = outcome.or_else(|error| match error.raw_os_error() {
            // Kernels before 5.18 know no frames of several chunks.
            Some(libc::EINVAL) => {
                let mut log = vec![0u8; LOG_BYTES];
                let attributes = attributes(0)
                    .word(24, 1)
                    .word(28, u32::try_from(LOG_BYTES).expect("a small number"))
                    .double(32, log.as_mut_ptr() as u64);
                // SAFETY: as above; the log is as long as said, and takes any octets.
                owned(unsafe { attributes.call(PROGRAM_LOAD) }).inspect_err(|_| {
                    let log = String::from_utf8_lossy(&log);
                    let log = log.trim_end_matches('\0');
                    tracing::debug!(log, "the kernel refuses the program");
                })
            }
            _ => Err(error),
        });
        outcome.map(Self)
    }

    /// Holds it to an interface until the link is dropped.
    pub(crate) fn attach(&self, interface: u32, mode: AttachMode) -> io::Result<Link> {
        let attributes = Attributes::new()
            .fd(0, self.0.as_fd())
            .word(4, interface)
            .word(8, ATTACH_TYPE_XDP)
            .word(12, mode as u32);
        // SAFETY: the command takes no pointer.
        owned(unsafe { attributes.call(LINK_CREATE) }).map(Link)
    }
}

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum AttachMode {
    /// On the way into the kernel's general path, for any driver.
    Generic = 1 << 1,
    /// In the driver.
    Native = 1 << 2,
}

/// An attached program; dropping it, or the end of the process, detaches it.
#[derive(Debug)]
pub(crate) struct Link(#[expect(dead_code, reason = "it is held, not used")] OwnedFd);
