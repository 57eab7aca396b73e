//! Bodies of the fuzz targets; also run by unit tests.

use crate::{Encoding, Limits, ReceivedBody, parse_recovering, print};

/// Parses `text` both ways and checks what must hold for any input: no panic, every error inside
/// the text, both ways agree, and what is printed parses back to the same.
///
/// # Panics
///
/// When one of these does not hold.
pub fn parse(text: &[u8]) {
    let limits = Limits::default();
    let parsed = crate::parse(text, &limits);
    let received = parse_recovering(text, &limits);
    match parsed {
        Ok(message) => {
            for encoding in [Encoding::Pretty, Encoding::Compact] {
                let printed = print(&message, encoding);
                let again = crate::parse(
                    &printed,
                    &Limits {
                        message_octets: usize::MAX,
                        ..limits
                    },
                );
                let shown = String::from_utf8_lossy(&printed);
                assert_eq!(again.as_ref(), Ok(&message), "{encoding:?}: {shown}");
            }
            let received = received.expect("what parses strictly parses leniently");
            assert_eq!(received.mid, message.mid);
            if let ReceivedBody::Transactions(transactions) = received.body {
                let whole: Result<Vec<_>, _> = transactions.into_iter().collect();
                assert_eq!(whole.as_deref(), Ok(message.transactions()));
            }
        }
        Err(error) => {
            let is_inside = |offset| offset <= text.len();
            assert!(is_inside(error.offset), "{error}");
            match received.map(|received| received.body) {
                Ok(ReceivedBody::Error(_)) => {}
                Ok(ReceivedBody::Transactions(transactions)) => {
                    let broken = transactions.iter().filter_map(|t| t.as_ref().err());
                    assert!(broken.into_iter().all(|b| is_inside(b.error.offset)));
                }
                Err(error) => assert!(is_inside(error.offset), "{error}"),
            }
        }
    }
}
