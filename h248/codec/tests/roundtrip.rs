//! What is printed parses to what was printed, for messages made at random.

mod support;

use h248::{Encoding, Limits, fuzzing, parse, print};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn printed_messages_parse_to_themselves(message in support::message()) {
        for encoding in [Encoding::Pretty, Encoding::Compact] {
            let text = print(&message, encoding);
            let again = parse(&text, &Limits::default());
            let shown = String::from_utf8_lossy(&text);
            prop_assert_eq!(again.as_ref(), Ok(&message), "{}", shown);
        }
    }

    #[test]
    fn cut_and_spliced_messages_never_panic(
        messages in [support::message(), support::message()],
        cuts in any::<[prop::sample::Index; 4]>(),
    ) {
        let [first, second] = messages.map(|message| print(&message, Encoding::Compact));
        let (a, b) = (cuts[0].index(first.len()), cuts[1].index(first.len()));
        let (c, d) = (cuts[2].index(second.len()), cuts[3].index(second.len()));
        let mut spliced = first[..a.min(b)].to_vec();
        spliced.extend_from_slice(&second[c.min(d)..c.max(d)]);
        spliced.extend_from_slice(&first[a.max(b)..]);
        fuzzing::parse(&spliced);
    }

    #[test]
    fn octets_never_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut message = b"!/3 <a> T=1{C=1{A=${".to_vec();
        message.extend_from_slice(&text);
        fuzzing::parse(&text);
        fuzzing::parse(&message);
    }
}
