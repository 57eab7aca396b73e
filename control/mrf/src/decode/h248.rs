//! One H.248 text message.

use h248::{Encoding, Limits, parse, print};

use super::Decoded;
use crate::position::{Fault, Position};

pub(super) fn decode(input: &[u8], compact: bool) -> Decoded {
    let mut decoded = Decoded::default();
    let encoding = if compact {
        Encoding::Compact
    } else {
        Encoding::Pretty
    };
    match parse(input, &Limits::default()) {
        Ok(message) => {
            let octets = print(&message, encoding);
            decoded.text = String::from_utf8_lossy(&octets).into_owned();
            if !decoded.text.ends_with('\n') {
                decoded.text.push('\n');
            }
        }
        Err(error) => decoded.faults.push(Fault {
            at: Position {
                line: error.line,
                column: error.column,
            },
            what: format!("expected {}, found {}", error.expected, error.found),
        }),
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] =
        b"MEGACO/2 <mgc.example.net>:2944 Transaction = 1 { Context = 7 { Subtract = * } }";

    #[test]
    fn both_forms_are_printed_and_mean_the_same() {
        let compact = decode(MESSAGE, true);
        assert_eq!(compact.text, "!/2 <mgc.example.net>:2944\nT=1{C=7{S=*}}\n");
        let pretty = decode(compact.text.as_bytes(), false);
        assert_eq!(pretty.faults, []);
        assert!(pretty.text.contains("Subtract"), "{}", pretty.text);
        assert_eq!(decode(pretty.text.as_bytes(), true), compact);
    }

    #[test]
    fn faults_are_told_where_they_lie() {
        let decoded = decode(b"!/2 <mgc.example.net> T=1{C=1{S}}", false);
        let [fault] = &decoded.faults[..] else {
            panic!("{decoded:?}")
        };
        assert_eq!(fault.to_string(), "1:32: expected \"=\", found \"}\"");
        assert_eq!(decoded.text, "");
    }
}
