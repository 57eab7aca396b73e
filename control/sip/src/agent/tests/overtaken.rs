//! Requests of ours that overtake each other.

use super::*;
use crate::limits::RESENDS_MAX;

/// A BYE and a NOTIFY of ours go out together, and the later one arrives first.
#[test]
fn a_request_that_was_overtaken_goes_out_again_behind_the_later_one() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    let invite = bench.last().to_owned();
    bench.receive(&answer_to(&invite, "200 OK", "1"));
    let now = bench.now;
    bench.agent.hold(dialog);
    bench.agent.ack(dialog, &[], Vec::new());
    bench.agent.bye(now, dialog, Vec::new());
    bench.drain();
    let bye = bench.last().to_owned();
    let notify = |bench: &mut Bench| {
        let now = bench.now;
        let sent = bench
            .agent
            .request(now, dialog, Method::Notify, Vec::new(), Vec::new());
        bench.drain();
        assert!(sent.is_some());
    };
    notify(&mut bench);
    let later = bench.last().to_owned();
    bench.receive(&answer_to(&later, "200 OK", "1"));
    bench.receive(&answer_to(&bye, "500 Out of Order", "1"));
    let again = bench.last().to_owned();
    let [first, second] = [request(&bye), request(&again)];
    assert_eq!(second.method, Method::Bye);
    assert_eq!(first.headers.cseq().map(|(n, _)| n), Some(2));
    assert_eq!(second.headers.cseq().map(|(n, _)| n), Some(4));
    assert_ne!(first.headers.get("Via"), second.headers.get("Via"));
    // Two that overtake each other do not do so for ever.
    let mut last = again;
    for _ in 0..RESENDS_MAX {
        notify(&mut bench);
        bench.take_sent();
        bench.receive(&answer_to(&last, "500 Out of Order", "1"));
        last = bench
            .sent
            .last()
            .map_or(String::new(), |(_, text)| text.clone());
    }
    assert_eq!(bench.take_sent(), [""; 0]);
    assert!(matches!(
        bench.events.last(),
        Some(Event::Response { method: Method::Bye, response, .. }) if response.code == 500
    ));
}

/// What is refused with 500 for another reason is refused.
#[test]
fn the_last_request_was_not_overtaken() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    let invite = bench.last().to_owned();
    bench.receive(&answer_to(&invite, "200 OK", "1"));
    let now = bench.now;
    bench.agent.ack(dialog, &[], Vec::new());
    bench.agent.bye(now, dialog, Vec::new());
    bench.drain();
    let bye = bench.last().to_owned();
    bench.take_sent();
    bench.receive(&answer_to(&bye, "500 Server Internal Error", "1"));
    assert_eq!(bench.take_sent(), [""; 0]);
    assert_eq!(bench.agent.dialog_count(), 0);
}
