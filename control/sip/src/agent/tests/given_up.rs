//! Calls that we give up.

use super::*;

#[test]
fn a_call_that_rings_on_after_its_cancel_is_over_in_64_times_t1() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    let invite = bench.last().to_owned();
    bench.receive(&answer_to(&invite, "180 Ringing", "1"));
    let now = bench.now;
    bench.agent.cancel(now, dialog);
    bench.agent.cancel(now, dialog);
    bench.drain();
    let cancel = bench.last().to_owned();
    let cancels = bench.take_sent().into_iter();
    assert_eq!(cancels.filter(|line| line.starts_with("CANCEL")).count(), 1);
    bench.receive(&answer_to(&cancel, "200 OK", "1"));
    bench.pass(Duration::from_secs(20));
    bench.receive(&answer_to(&invite, "180 Ringing", "1"));
    bench.pass(Duration::from_secs(11));
    let finals = |bench: &Bench| {
        let of = |event: &Event| match event {
            Event::Response { response, .. } => Some(response.code),
            _ => None,
        };
        let codes = bench.events.iter().filter_map(of);
        codes.filter(|code| *code >= 200).collect::<Vec<_>>()
    };
    assert_eq!(finals(&bench), [0_u16; 0]);
    bench.pass(Duration::from_secs(2));
    assert_eq!(finals(&bench), [487]);
    assert_eq!(bench.take_sent(), [""; 0], "no second CANCEL");
    assert_eq!(
        (bench.agent.transaction_count(), bench.agent.dialog_count()),
        (0, 0)
    );
}

#[test]
fn a_call_that_was_given_up_is_not_placed_again() {
    for answer in ["503 Service Unavailable", "401 Unauthorized"] {
        let mut bench = Bench::new();
        let dialog = call(&mut bench);
        let invite = bench.last().to_owned();
        bench.receive(&answer_to(&invite, "180 Ringing", "1"));
        let now = bench.now;
        bench.agent.cancel(now, dialog);
        bench.drain();
        bench.take_sent();
        bench.receive(&answer_to(&invite, answer, "1"));
        assert!(bench.take_sent().iter().all(|line| line.starts_with("ACK")));
    }
}

#[test]
fn a_cancel_that_fails_leaves_the_call_to_its_answer() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    let invite = bench.last().to_owned();
    bench.receive(&answer_to(&invite, "180 Ringing", "1"));
    let now = bench.now;
    bench.agent.cancel(now, dialog);
    bench.drain();
    let cancel = bench.last().to_owned();
    bench.receive(&answer_to(&cancel, "481 Call Does Not Exist", "1"));
    bench.receive(&answer_to(&invite, "200 OK", "1"));
    bench.take_sent();
    bench.agent.ack(dialog, &[], Vec::new());
    assert!(bench.agent.bye(now, dialog, Vec::new()));
    bench.drain();
    let sent: Vec<_> = bench.take_sent();
    let [ack, bye] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert!(ack.starts_with("ACK ") && bye.starts_with("BYE "));
}
