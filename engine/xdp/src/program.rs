//! The program that decides, frame by frame in the kernel, what is ours; assembled here, so that no
//! BPF toolchain is needed.
//!
//! ```text
//! IPv4 or IPv6, TCP, no fragment, no extension headers   else: the kernel's
//! destination is the i-th of our addresses               else: the kernel's
//! bit i of ports[destination port] is set                else: the kernel's
//! redirect to the socket of the receive queue, an acknowledgement without octets to the queue's other
//! one; the kernel's if there is none
//! ```

use core::net::IpAddr;

use crate::frame::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, FLAG_ACK, FLAGS_OF_CONTROL, IPV4_FRAGMENT, PROTOCOL_TCP,
};
use crate::limits::ADDRESSES_MAX;

/// What the program says of a frame that is not ours.
pub(crate) const PASS: i32 = 2;

const FUNCTION_LOOKUP: i32 = 1;
const FUNCTION_REDIRECT: i32 = 51;

/// A register of the machine.
#[derive(Clone, Copy)]
struct R(u8);

const RESULT: R = R(0);
const A1: R = R(1);
const A2: R = R(2);
const A3: R = R(3);
const AT: R = R(4);
const VALUE: R = R(5);
const CONTEXT: R = R(6);
const MASK: R = R(7);
const PORT: R = R(8);
/// Octets of IP's payload not accounted for; later how far the socket lies from the queue's first.
const REST: R = R(9);
const STACK: R = R(10);

/// One instruction, as the kernel reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u8,
    /// Target in the low half, source in the high one.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Width {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
    Double = 0x18,
}

const JUMP_ALWAYS: u8 = 0x05;
const JUMP_EQUAL: u8 = 0x10;
const JUMP_ABOVE: u8 = 0x20;
const JUMP_UNEQUAL: u8 = 0x50;
const JUMP_BELOW: u8 = 0xa0;
/// Compares the low 32 bits.
const CLASS_JUMP32: u8 = 0x06;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

#[derive(Default)]
struct Assembler {
    code: Vec<Instruction>,
    /// Where each label is.
    labels: Vec<usize>,
    /// Jumps and where they lead.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn push(&mut self, code: u8, target: R, source: R, offset: i16, immediate: i32) {
        self.code.push(Instruction {
            code,
            registers: target.0 | source.0 << 4,
            offset,
            immediate,
        });
    }

    fn label(&mut self) -> Label {
        self.labels.push(usize::MAX);
        Label(self.labels.len() - 1)
    }

    fn place(&mut self, label: Label) {
        self.labels[label.0] = self.code.len();
    }

    fn load(&mut self, width: Width, target: R, source: R, offset: i16) {
        self.push(0x61 | width as u8, target, source, offset, 0);
    }

    fn copy(&mut self, target: R, source: R) {
        self.push(0xbf, target, source, 0, 0);
    }

    fn set(&mut self, target: R, immediate: i32) {
        self.push(0xb7, target, R(0), 0, immediate);
    }

    fn add(&mut self, target: R, immediate: i32) {
        self.push(0x07, target, R(0), 0, immediate);
    }

    fn add_register(&mut self, target: R, source: R) {
        self.push(0x0f, target, source, 0, 0);
    }

    fn subtract_register(&mut self, target: R, source: R) {
        self.push(0x1f, target, source, 0, 0);
    }

    /// From the order of the wire, 16 bits.
    fn turn(&mut self, target: R) {
        self.push(0xdc, target, R(0), 0, 16);
    }

    fn and(&mut self, target: R, immediate: i32) {
        self.push(0x57, target, R(0), 0, immediate);
    }

    fn map(&mut self, target: R, map: i32) {
        // A 64-bit load of "pseudo map descriptor", which takes two places.
        self.push(0x18, target, R(1), 0, map);
        self.push(0x00, R(0), R(0), 0, 0);
    }

    /// Jumps when the low 32 bits compare so with an immediate.
    fn jump(&mut self, condition: u8, target: R, immediate: i32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(CLASS_JUMP32 | condition, target, R(0), 0, immediate);
    }

    fn jump_register(&mut self, condition: u8, target: R, source: R, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(0x0d | condition, target, source, 0, 0);
    }

    fn jump_always(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(JUMP_ALWAYS, R(0), R(0), 0, 0);
    }

    fn call(&mut self, function: i32) {
        self.push(0x85, R(0), R(0), 0, function);
    }

    fn exit(&mut self) {
        self.push(0x95, R(0), R(0), 0, 0);
    }

    fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let distance = self.labels[label.0] - at - 1;
            self.code[at].offset = i16::try_from(distance).expect("a short program");
        }
        self.code
    }
}

/// A value of the wire as the processor loads it.
fn wire16(value: u16) -> i32 {
    i32::from(u16::from_ne_bytes(value.to_be_bytes()))
}

/// The program for these local addresses, with the descriptors of the map of ports (64-bit masks of
/// addresses by port) and of the sockets: one for each of `queues`, then another for each, which takes
/// acknowledgements without octets.
pub(crate) fn assemble(
    addresses: &[IpAddr],
    queues: u32,
    port_map: i32,
    socket_map: i32,
) -> Vec<Instruction> {
    assert!(addresses.len() <= ADDRESSES_MAX, "a bit for each address");
    let mut code = Assembler::default();
    let [pass, is_ipv6, ports, has_news, look_up] = [(); 5].map(|()| code.label());
    code.copy(CONTEXT, A1);
    code.load(Width::Word, A2, CONTEXT, 0);
    code.load(Width::Word, A3, CONTEXT, 4);
    code.copy(AT, A2);
    code.add(AT, 54);
    code.jump_register(JUMP_ABOVE, AT, A3, pass);
    code.load(Width::Half, VALUE, A2, 12);
    // What cannot be reached is refused by the verifier: a family without addresses has no code.
    if !addresses.iter().any(IpAddr::is_ipv6) {
        code.jump(JUMP_UNEQUAL, VALUE, wire16(ETHERTYPE_IPV4), pass);
        match_ipv4(&mut code, addresses, pass, ports);
    } else if !addresses.iter().any(IpAddr::is_ipv4) {
        code.jump(JUMP_UNEQUAL, VALUE, wire16(ETHERTYPE_IPV6), pass);
        match_ipv6(&mut code, addresses, pass, ports);
    } else {
        code.jump(JUMP_EQUAL, VALUE, wire16(ETHERTYPE_IPV6), is_ipv6);
        code.jump(JUMP_UNEQUAL, VALUE, wire16(ETHERTYPE_IPV4), pass);
        match_ipv4(&mut code, addresses, pass, ports);
        code.place(is_ipv6);
        match_ipv6(&mut code, addresses, pass, ports);
    }

    // TCP at `A2`, `REST` octets long.
    code.place(ports);
    code.load(Width::Byte, VALUE, A2, 12);
    code.and(VALUE, 0xf0);
    code.push(0x77, VALUE, R(0), 0, 2); // words, in the upper half, to octets
    code.subtract_register(REST, VALUE);
    code.jump(JUMP_UNEQUAL, REST, 0, has_news);
    code.load(Width::Byte, VALUE, A2, 13);
    code.and(VALUE, FLAGS_OF_CONTROL.into());
    code.jump(JUMP_UNEQUAL, VALUE, FLAG_ACK.into(), has_news);
    code.set(REST, i32::try_from(queues).expect("a small number"));
    code.jump_always(look_up);
    code.place(has_news);
    code.set(REST, 0);
    code.place(look_up);
    code.load(Width::Half, PORT, A2, 2);
    code.turn(PORT);
    code.push(0x63, STACK, PORT, -4, 0); // *(u32 *)(stack - 4) = port
    code.copy(A2, STACK);
    code.add(A2, -4);
    code.map(A1, port_map);
    code.call(FUNCTION_LOOKUP);
    // A comparison of all 64 bits, as the verifier wants it.
    code.jumps.push((code.code.len(), pass));
    code.push(0x15, RESULT, R(0), 0, 0);
    code.load(Width::Double, VALUE, RESULT, 0);
    code.push(0x5f, VALUE, MASK, 0, 0);
    code.jump(JUMP_EQUAL, VALUE, 0, pass);
    code.load(Width::Word, A2, CONTEXT, 16);
    code.add_register(A2, REST);
    code.map(A1, socket_map);
    code.set(A3, PASS);
    code.call(FUNCTION_REDIRECT);
    code.exit();
    code.place(pass);
    code.set(RESULT, PASS);
    code.exit();
    code.finish()
}

/// Goes on at `found` with the mask of the destination and its port, if it is one of ours.
fn match_ipv4(code: &mut Assembler, addresses: &[IpAddr], pass: Label, found: Label) {
    let matched = code.label();
    code.load(Width::Half, VALUE, A2, 20);
    code.and(VALUE, wire16(IPV4_FRAGMENT));
    code.jump(JUMP_UNEQUAL, VALUE, 0, pass);
    code.load(Width::Byte, VALUE, A2, 23);
    code.jump(JUMP_UNEQUAL, VALUE, PROTOCOL_TCP.into(), pass);
    match_address(code, addresses, pass, matched, |ip| match ip {
        IpAddr::V4(ip) => Some((30, ip.octets().to_vec())),
        IpAddr::V6(_) => None,
    });
    code.place(matched);
    code.load(Width::Half, REST, A2, 16);
    code.turn(REST);
    code.load(Width::Byte, VALUE, A2, 14);
    code.and(VALUE, 0x0f);
    code.push(0x67, VALUE, R(0), 0, 2); // words to octets
    code.jump(JUMP_BELOW, VALUE, 20, pass);
    code.subtract_register(REST, VALUE);
    code.add(A2, 14);
    code.add_register(A2, VALUE);
    code.copy(AT, A2);
    code.add(AT, 20);
    code.jump_register(JUMP_ABOVE, AT, A3, pass);
    code.jump_always(found);
}

/// As [`match_ipv4`].
fn match_ipv6(code: &mut Assembler, addresses: &[IpAddr], pass: Label, found: Label) {
    code.copy(AT, A2);
    code.add(AT, 74);
    code.jump_register(JUMP_ABOVE, AT, A3, pass);
    code.load(Width::Byte, VALUE, A2, 20);
    code.jump(JUMP_UNEQUAL, VALUE, PROTOCOL_TCP.into(), pass);
    let matched = code.label();
    match_address(code, addresses, pass, matched, |ip| match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => Some((38, ip.octets().to_vec())),
    });
    code.place(matched);
    code.load(Width::Half, REST, A2, 18);
    code.turn(REST);
    code.add(A2, 54);
    code.jump_always(found);
}

/// Sets the mask to the bit of the destination and goes on at `found`.
fn match_address(
    code: &mut Assembler,
    addresses: &[IpAddr],
    pass: Label,
    found: Label,
    octets: impl Fn(&IpAddr) -> Option<(i16, Vec<u8>)>,
) {
    for (bit, (at, octets)) in (0..)
        .zip(addresses)
        .filter_map(|(bit, ip)| Some((bit, octets(ip)?)))
    {
        let next = code.label();
        for (offset, word) in (at..).step_by(4).zip(octets.chunks_exact(4)) {
            code.load(Width::Word, VALUE, A2, offset);
            let word = i32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
            code.jump(JUMP_UNEQUAL, VALUE, word, next);
        }
        code.set(MASK, 1 << bit);
        code.jump_always(found);
        code.place(next);
    }
    code.jump_always(pass);
}

#[cfg(test)]
mod tests;
