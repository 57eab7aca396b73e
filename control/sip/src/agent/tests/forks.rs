//! A call of ours that more than one phone accepts (RFC 3261 13.2.2.4).

use super::*;
use crate::limits::FORKS_MAX;

#[test]
fn who_else_accepts_a_call_is_acknowledged_and_ended_once() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    let invite = bench.last().to_owned();
    bench.receive(&answer_to(&invite, "200 OK", "one"));
    bench.agent.ack(dialog, &[], Vec::new());
    bench.drain();
    bench.take_sent();
    let accepted = answer_to(&invite, "200 OK", "two");
    bench.receive(&accepted);
    let sent = bench.take_sent();
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "));
    assert_eq!(sent.len(), 2, "{sent:?}");
    // Repeated, it gets its ACK again, and nothing new begins.
    bench.receive(&accepted);
    let sent = bench.take_sent();
    assert!(sent.len() == 1 && sent[0].starts_with("ACK "), "{sent:?}");
    assert_eq!(bench.agent.dialog_count(), 2);
    // Who invents branches is answered for some of them.
    for branch in 0..100 {
        bench.receive(&answer_to(&invite, "200 OK", &format!("b{branch}")));
    }
    assert_eq!(bench.agent.dialog_count(), 1 + FORKS_MAX);
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.agent.dialog_count(), 1);
    assert_eq!(bench.agent.transaction_count(), 0);
}
