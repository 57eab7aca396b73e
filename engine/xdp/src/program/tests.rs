//! A small machine runs the program; no privileges are needed.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::frame::Segment;
use crate::frame::tests::{flow, frame};

const PORTS: i32 = 7;
const SOCKETS: i32 = 8;
const DATA: u64 = 0x1000;
const STACK_TOP: u64 = 0x9000;
const FOUND: u64 = 0xa000;
const REDIRECT: u64 = 4;
const QUEUES: u32 = 16;
/// The frame's.
const QUEUE: u64 = 5;

/// Runs a program as the kernel would; a load outside of the frame is a failed test.
struct Machine<'a> {
    frame: &'a [u8],
    ports: &'a HashMap<u16, u64>,
    registers: [u64; 11],
    stack: [u8; 8],
    found: u64,
}

impl Machine<'_> {
    /// Which socket gets the frame, if not the kernel.
    fn run(frame: &[u8], ports: &HashMap<u16, u64>, code: &[Instruction]) -> Option<u64> {
        let mut machine = Machine {
            frame,
            ports,
            registers: [0; 11],
            stack: [0; 8],
            found: 0,
        };
        machine.registers[10] = STACK_TOP;
        let mut at = 0;
        loop {
            let one = code[at];
            at += 1;
            let (target, source) = (
                usize::from(one.registers & 15),
                usize::from(one.registers >> 4),
            );
            let by = i64::from(one.immediate).cast_unsigned();
            let other = machine.registers[source];
            let value = machine.registers[target];
            let low = |value: u64| value & 0xffff_ffff;
            let jumps = match one.code {
                0x05 => true,
                0x2d => value > other,
                0x15 => value == by,
                0x16 => low(value) == low(by),
                0x56 => low(value) != low(by),
                0xa6 => low(value) < low(by),
                0x95 if machine.registers[0] == REDIRECT => return Some(machine.registers[2]),
                0x95 => return None,
                code => {
                    machine.step(code, one, (target, source), by);
                    at += usize::from(code == 0x18);
                    false
                }
            };
            if jumps {
                at = at.checked_add_signed(one.offset.into()).unwrap();
            }
        }
    }

    fn step(&mut self, code: u8, one: Instruction, (target, source): (usize, usize), by: u64) {
        let other = self.registers[source];
        let place = other.wrapping_add_signed(one.offset.into());
        let result = &mut self.registers[target];
        match code {
            0x61 => *result = load(self.frame, place, 4, self.found),
            0x69 => *result = load(self.frame, place, 2, self.found),
            0x71 => *result = load(self.frame, place, 1, self.found),
            0x79 => *result = load(self.frame, place, 8, self.found),
            0x63 => self.stack[..8].copy_from_slice(&other.to_ne_bytes()),
            0xbf => *result = other,
            0xb7 | 0x18 => *result = by,
            0x07 => *result = result.wrapping_add(by),
            0x0f => *result = result.wrapping_add(other),
            0x1f => *result = result.wrapping_sub(other),
            0x57 => *result &= by,
            0x5f => *result &= other,
            0x67 => *result <<= by,
            0x77 => *result >>= by,
            0xdc => *result = u64::from(u16::try_from(*result).unwrap().to_be()),
            0x85 if one.immediate == FUNCTION_LOOKUP => {
                assert_eq!(self.registers[1..3], [7, STACK_TOP - 4]);
                let port = u64::from_ne_bytes(self.stack);
                self.found = self
                    .ports
                    .get(&u16::try_from(port).unwrap())
                    .copied()
                    .unwrap_or(0);
                self.registers[0] = FOUND;
            }
            0x85 => {
                assert_eq!((self.registers[1], self.registers[3]), (8, 2));
                self.registers[0] = REDIRECT;
            }
            other => panic!("instruction {other:#x}"),
        }
    }
}

fn load(frame: &[u8], at: u64, bytes: usize, found: u64) -> u64 {
    let mut octets = [0; 8];
    match at {
        0 => return DATA,
        4 => return DATA + frame.len() as u64,
        16 => return QUEUE,
        FOUND => return found,
        _ => {}
    }
    let at = usize::try_from(at - DATA).unwrap();
    octets[..bytes].copy_from_slice(&frame[at..at + bytes]);
    u64::from_ne_bytes(octets)
}

fn addresses() -> Vec<IpAddr> {
    ["10.0.0.1", "fd00::1", "10.0.0.9", "fd00::9"]
        .map(|one| one.parse().unwrap())
        .to_vec()
}

fn check(frame: &[u8], wanted: bool) {
    let ports = HashMap::from([(2855, 0b0011), (443, 0b1100)]);
    let code = assemble(&addresses(), QUEUES, PORTS, SOCKETS);
    let socket = Machine::run(frame, &ports, &code);
    let bare = Segment::parse(frame).is_some_and(|one| one.is_bare());
    let queue = QUEUE + if bare { u64::from(QUEUES) } else { 0 };
    assert_eq!(socket, wanted.then_some(queue), "{frame:x?}");
}

#[test]
fn bare_acknowledgements_go_to_a_socket_of_their_own() {
    const ACK: u8 = 0x10;
    for (local, remote) in [
        ("10.0.0.1:2855", "10.0.0.2:9"),
        ("[fd00::1]:2855", "[fd00::2]:9"),
    ] {
        for flags in 0..64 {
            for payload in [&b""[..], b"x"] {
                let mut frame = frame(flow(local, remote), flags, payload);
                let is_bare = flags & 0x17 == ACK && payload.is_empty();
                assert_eq!(Segment::parse(&frame).unwrap().is_bare(), is_bare);
                check(&frame, true);
                // Ethernet's padding is no payload.
                frame.resize(90, 0);
                check(&frame, true);
            }
        }
    }
}

#[test]
fn an_address_has_its_own_ports() {
    for (local, is_ours) in [
        ("10.0.0.1:2855", true),
        ("10.0.0.1:443", false),
        ("10.0.0.9:443", true),
        ("10.0.0.9:2855", false),
        ("10.0.0.2:2855", false),
        ("10.0.0.1:22", false),
        ("[fd00::1]:2855", true),
        ("[fd00::1]:443", false),
        ("[fd00::9]:443", true),
        ("[fd00::2]:2855", false),
    ] {
        let remote = if local.starts_with('[') {
            "[fd00::2]:9"
        } else {
            "10.0.0.2:9"
        };
        check(&frame(flow(local, remote), 2, b"x"), is_ours);
    }
}

#[test]
fn ip_options_do_not_hide_the_port() {
    let mut frame = frame(flow("10.0.0.1:2855", "10.0.0.2:9"), 2, b"abcd");
    frame.splice(34..34, [1, 1, 1, 1]);
    frame[14] = 0x46;
    check(&frame, true);
}

#[test]
fn every_instruction_can_be_reached_with_any_families() {
    let all = addresses();
    for some in [&all[..], &all[..1], &all[1..2]] {
        let code = assemble(some, QUEUES, PORTS, SOCKETS);
        let mut is_reached = vec![false; code.len()];
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            if core::mem::replace(&mut is_reached[at], true) {
                continue;
            }
            let one = code[at];
            let is_jump = matches!(one.code & 7, 5 | 6) && !matches!(one.code, 0x85 | 0x95);
            if is_jump {
                open.push((at + 1).checked_add_signed(one.offset.into()).unwrap());
            }
            if one.code == 0x18 {
                is_reached[at + 1] = true;
                open.push(at + 2);
            } else if !matches!(one.code, 0x05 | 0x95) {
                open.push(at + 1);
            }
        }
        assert_eq!(is_reached.iter().position(|is| !is), None, "{some:?}");
    }
}

proptest! {
    #[test]
    fn the_kernel_keeps_what_the_parser_would_not_take(
        edits in prop::collection::vec((0usize..80, any::<u8>()), 0..4),
        cut in 0usize..90,
        v6: bool,
    ) {
        let (local, remote) =
            if v6 { ("[fd00::1]:2855", "[fd00::2]:9") } else { ("10.0.0.1:2855", "10.0.0.2:9") };
        let mut frame = frame(flow(local, remote), 2, b"payload");
        for (at, octet) in edits {
            if let Some(place) = frame.get_mut(at) {
                *place = octet;
            }
        }
        frame.truncate(cut.max(14));
        let ports = HashMap::from([(2855, 0b0011)]);
        let code = assemble(&addresses(), QUEUES, PORTS, SOCKETS);
        let socket = Machine::run(&frame, &ports, &code);
        let takes = Segment::parse(&frame).is_some_and(|one| {
            let position = addresses().iter().position(|ip| *ip == one.flow.local.ip());
            one.flow.local.port() == 2855 && position.is_some_and(|at| at < 2)
        });
        // What the parser takes is redirected; the parser may be stricter.
        prop_assert!(socket.is_some() || !takes);
        // The parser and the program are of one mind about what is bare.
        if let Some(one) = Segment::parse(&frame).filter(|_| takes) {
            let queue = QUEUE + if one.is_bare() { u64::from(QUEUES) } else { 0 };
            prop_assert_eq!(socket, Some(queue));
        }
    }
}
