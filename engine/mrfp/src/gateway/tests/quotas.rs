//! `msrpstat/mquota`: what was granted is told when it is used up.

use super::*;

impl Bench {
    /// Lets the timers run out that are due within so many milliseconds from now, one by one.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(at) = self.due().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.gateway.handle_deadline(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn due(&mut self) -> Option<Instant> {
        match self.gateway.poll() {
            Output::Wait(at) => at,
            other => panic!("{other:?}"),
        }
    }

    /// Answers the oldest Notify, which must say this of msrp/1 in context 1.
    #[track_caller]
    fn take_notify(&mut self, events: &str) {
        let id = self.check_notify(&format!("C=1{{N=msrp/1{{OE={events}}}}}"));
        self.gateway.handle_notified(self.now, id, None);
        self.drain();
    }
}

/// A conference whose msrp/1 is granted this; what it counted before is no part of it.
fn granted(parms: &str) -> Bench {
    let mut bench = Bench::conference();
    bench.check(
        &format!("C=1{{MF=msrp/1{{E=77{{msrpstat/mquota{{{parms}}}}}}}}}"),
        "C=1{MF=msrp/1}",
    );
    bench.pass(0);
    bench
}

#[test]
fn a_queue_that_fills_is_told_when_it_rises_above_the_threshold() {
    let mut bench = Bench::conference();
    bench.check(
        "C=1{MF=msrp/1{E=77{nt/qualert{ST=1,th=50}}}}",
        "C=1{MF=msrp/1}",
    );
    for (percent, told) in [
        (50, None),
        (51, Some(51)),
        (100, None),
        (50, None),
        (100, Some(99)),
    ] {
        bench.statistics.queue_percent = percent;
        bench.pass(1_000);
        if let Some(told) = told {
            bench.take_notify(&format!("77{{nt/qualert{{ST=1,th={told}}}}}"));
        }
        assert!(bench.notifies.is_empty(), "{percent}");
    }
    bench.call("C=1{MF=msrp/1{E=78{nt/qualert{ST=2,th=0}}}}");
    bench.pass(5_000);
    assert!(bench.notifies.is_empty(), "another stream");
    bench.call("C=1{MF=msrp/1{E=79{g/cause}}}");
    assert_eq!(bench.due(), None, "nothing to look for");
    bench.check(
        "C=1{MF=msrp/1{E=1{nt/qualert}}}",
        "C=1{MF=msrp/1{ER=457{}}}",
    );
}

#[test]
fn each_part_of_a_quota_is_told_once_when_it_is_used_up() {
    let mut bench = granted("ST=1,msq=100,mrv=1000,tm=600");
    bench.statistics.messages_sent += 99;
    bench.statistics.volume_received += 999;
    bench.pass(1_000);
    assert!(bench.notifies.is_empty());
    bench.statistics.messages_sent += 1;
    bench.pass(1_000);
    bench.take_notify("77{msrpstat/mquota{ST=1,qreach=1,nms=100,nmr=0,vms=0,vmr=999}}");
    bench.statistics.volume_received += 5;
    bench.pass(10_000);
    bench.take_notify("77{msrpstat/mquota{ST=1,qreach=4,nms=100,nmr=0,vms=0,vmr=1004}}");
    bench.pass(587_999);
    assert!(bench.notifies.is_empty());
    bench.pass(1);
    bench.take_notify("77{msrpstat/mquota{ST=1,qreach=5,nms=100,nmr=0,vms=0,vmr=1004}}");
    assert_eq!(bench.due(), None, "nothing is left to look for");
}

#[test]
fn every_kind_of_quota_has_its_number() {
    type Change = fn(&mut Statistics);
    let kinds: [(&str, Change, &str); 4] = [
        (
            "msq=2",
            |s| s.messages_sent += 3,
            "1,nms=3,nmr=0,vms=0,vmr=0",
        ),
        (
            "mrq=2",
            |s| s.messages_received += 2,
            "2,nms=0,nmr=2,vms=0,vmr=0",
        ),
        ("msv=2", |s| s.volume_sent += 2, "3,nms=0,nmr=0,vms=2,vmr=0"),
        (
            "mrv=2",
            |s| s.volume_received += 9,
            "4,nms=0,nmr=0,vms=0,vmr=9",
        ),
    ];
    for (parm, change, report) in kinds {
        let mut bench = granted(parm);
        change(&mut bench.statistics);
        bench.pass(1_000);
        bench.take_notify(&format!("77{{msrpstat/mquota{{qreach={report}}}}}"));
    }
}

#[test]
fn a_new_termination_is_counted_from_its_beginning() {
    let mut bench = Bench::new();
    let add = add().replacen("M{", "E=7{msrpstat/mquota{msq=34}},M{", 1);
    bench.call(&format!("C=${{{add}}}"));
    bench.pass(1_000);
    bench.take_notify("7{msrpstat/mquota{qreach=1,nms=34,nmr=12,vms=8192,vmr=4096}}");
}

#[test]
fn a_new_events_descriptor_grants_anew_and_an_empty_one_takes_back() {
    let mut bench = granted("msq=10");
    bench.statistics.messages_sent += 9;
    bench.pass(1_000);
    bench.call("C=1{MF=msrp/1{E=77{msrpstat/mquota{msq=10}}}}");
    bench.pass(0);
    bench.statistics.messages_sent += 9;
    // Neither this changes the grant, nor does it put off the look at it.
    bench.pass(500);
    bench.call("C=1{MF=msrp/1{M{O{MO=RC}}}}");
    bench.pass(500);
    assert!(bench.notifies.is_empty());
    bench.statistics.messages_sent += 1;
    bench.pass(1_000);
    bench.take_notify("77{msrpstat/mquota{qreach=1,nms=10,nmr=0,vms=0,vmr=0}}");
    bench.call("C=1{MF=msrp/1{E=78{msrpstat/mquota{msq=1}}}}");
    bench.call("C=1{MF=msrp/1{E}}");
    bench.statistics.messages_sent += 1;
    bench.pass(2_000);
    assert!(bench.notifies.is_empty());
    assert_eq!(bench.due(), None);
}

#[test]
fn counters_that_begin_again_are_added_to_what_was_used() {
    let mut bench = granted("ST=1,mrq=20");
    bench.statistics.messages_received += 15;
    bench.pass(1_000);
    bench.statistics = Statistics {
        messages_received: 5,
        ..Statistics::default()
    };
    bench.pass(1_000);
    bench.take_notify("77{msrpstat/mquota{ST=1,qreach=2,nms=0,nmr=20,vms=0,vmr=0}}");
}

#[test]
fn time_runs_for_a_termination_without_a_session_too() {
    let mut bench = Bench::new();
    bench.call("C=${A=${E=7{msrpstat/mquota{tm=2}}}}");
    bench.pass(1_999);
    assert!(bench.notifies.is_empty());
    bench.pass(1);
    bench.take_notify("7{msrpstat/mquota{qreach=5,nms=0,nmr=0,vms=0,vmr=0}}");
}

#[test]
fn a_quota_ends_with_its_termination() {
    let mut bench = granted("msq=10,tm=60");
    bench.call("C=1{S=msrp/1}");
    assert_eq!(bench.due(), None);
    assert!(bench.gateway.core.watched.is_empty());
}

#[test]
fn quotas_that_are_off_cost_nothing() {
    for parms in ["msq=0,tm=0", "ST=1"] {
        let mut bench = granted(parms);
        assert_eq!(bench.due(), None, "{parms}");
    }
}

#[test]
fn quotas_that_are_no_numbers_or_too_many_are_refused() {
    let mut bench = Bench::conference();
    let mut check = |events: &str, code: u16| {
        bench.check(
            &format!("C=1{{MF=msrp/1{{E=9{{{events}}}}}}}"),
            &format!("C=1{{MF=msrp/1{{ER={code}{{}}}}}}"),
        );
    };
    for parm in ["msq=x", "mrq=-1", "msv=\"5\"", "mrv=[1,2]", "tm=4294967296"] {
        check(&format!("msrpstat/mquota{{{parm}}}"), 449);
    }
    check("msrpstat/mquota{qreach=1}", 454);
    let many = |stream: usize| format!("msrpstat/mquota{{ST={stream},msq=1}}");
    let many: Vec<String> = (1..=limits::QUOTAS_MAX + 1).map(many).collect();
    check(&many.join(","), 510);
}

#[test]
fn quotas_wait_while_too_many_replies_do() {
    let mut bench = Bench::with(|c| c.limits.replies_waiting_max = 1);
    bench.call("C=${A=${E=7{msrpstat/mquota{tm=2}}}}");
    // With a bound of 1 the half is 0: there is never room for a look.
    for _ in 0..5 {
        let due = bench.due().expect("the look was put off");
        assert!(due > bench.now, "no looking in circles");
        bench.now = due;
        bench.gateway.handle_deadline(bench.now);
        bench.drain();
    }
    assert!(bench.notifies.is_empty());
}
