//! Counters as Prometheus text (exposition format 0.0.4).

mod process;

use core::fmt::{Display, Write};

use crate::live::Counters;

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// All counters as one page.
pub(super) fn text(counters: &Counters) -> String {
    let mut page = Page(String::new());
    page.family("mrf_info", Kind::Gauge, "Always 1; the version is a label.");
    page.sample("mrf_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    process::write(&mut page);
    if let Some(metrics) = &counters.mrfc {
        mrfc(&mut page, metrics);
        outcomes(&mut page, &metrics.outcomes);
    }
    if let Some(metrics) = &counters.mrfp {
        mrfp(&mut page, metrics);
        if let Some(metrics) = &metrics.storage {
            storage(&mut page, metrics);
        }
        shards(&mut page, metrics);
    }
    page.0
}

fn mrfc(page: &mut Page, m: &mrfc::Metrics) {
    for (name, meaning, value) in m.rows() {
        match meaning.trim().strip_prefix("Gauge:") {
            Some(help) => page.single(&format!("mrf_mrfc_{name}"), Kind::Gauge, help.trim(), value),
            None => page.single(
                &format!("mrf_mrfc_{name}_total"),
                Kind::Counter,
                meaning.trim(),
                value,
            ),
        }
    }
}

fn outcomes(page: &mut Page, of: &mrfc::Outcomes) {
    for (name, help, codes) in [
        (
            "mrf_mrfc_invite_outcomes_total",
            "INVITEs to the focus (in) and calls of the focus (out), by final status code.",
            &[
                (Some(("direction", "in")), &of.invites_in),
                (Some(("direction", "out")), &of.invites_out),
            ][..],
        ),
        (
            "mrf_mrfc_refer_responses_total",
            "REFERs answered, by status code.",
            &[(None, &of.refers)],
        ),
        (
            "mrf_mrfc_refer_outcomes_total",
            "What those who referred were told last, by status code.",
            &[(None, &of.referred)],
        ),
        (
            "mrf_mrfc_h248_errors_total",
            "H.248 requests refused, by error code.",
            &[(None, &of.h248_errors)],
        ),
    ] {
        page.family(name, Kind::Counter, help);
        for (label, codes) in codes {
            for (code, count) in codes.iter() {
                let code = match code {
                    mrfc::Codes::OTHERS => "other".to_owned(),
                    code => code.to_string(),
                };
                let labels: Vec<_> = label.iter().copied().chain([("code", &*code)]).collect();
                page.sample(name, &labels, count);
            }
        }
    }
    let help = "From H.248 requests to their final answers.";
    page.histogram("mrf_mrfc_h248_latency_seconds", help, &of.h248_latency);
}

fn mrfp(page: &mut Page, m: &mrfp::Metrics) {
    use Kind::{Counter, Gauge};
    for (name, kind, help, value) in [
        (
            "mrf_mrfp_registered",
            Gauge,
            "1 while a controller has accepted the registration.",
            u64::from(m.is_registered),
        ),
        (
            "mrf_mrfp_contexts",
            Gauge,
            "Contexts now.",
            u64::from(m.contexts),
        ),
        (
            "mrf_mrfp_terminations",
            Gauge,
            "Terminations now.",
            u64::from(m.terminations),
        ),
        (
            "mrf_mrfp_terminations_added_total",
            Counter,
            "Terminations that have come.",
            m.terminations_added,
        ),
        (
            "mrf_mrfp_terminations_subtracted_total",
            Counter,
            "Terminations that have gone, whoever ended them.",
            m.terminations_subtracted,
        ),
        (
            "mrf_mrfp_h248_requests_total",
            Counter,
            "H.248 requests executed.",
            m.requests,
        ),
        (
            "mrf_mrfp_h248_notifies_total",
            Counter,
            "H.248 Notify requests sent.",
            m.notifies,
        ),
        (
            "mrf_mrfp_h248_notifies_lost_total",
            Counter,
            "Of these, those that no controller answered, or that there was none to send to.",
            m.notifies_lost,
        ),
        (
            "mrf_mrfp_h248_events_dropped_total",
            Counter,
            "Events dropped because too many waited for their termination's Notify.",
            m.events_dropped,
        ),
        (
            "mrf_mrfp_played_total",
            Counter,
            "Messages that the MRFC had played (mess/sm).",
            m.played,
        ),
        (
            "mrf_mrfp_play_failures_total",
            Counter,
            "Of these, those that failed.",
            m.play_failures,
        ),
    ] {
        page.single(name, kind, help, value);
    }
    let name = "mrf_mrfp_h248_errors_total";
    page.family(
        name,
        Counter,
        "Replies to H.248 requests with an error, by the code of the first one.",
    );
    for (code, count) in &m.errors {
        page.sample(name, &[("code", &code.to_string())], count);
    }
}

fn storage(page: &mut Page, m: &mrfp::storage::StorageMetrics) {
    use Kind::Counter;
    for (name, help, value) in [
        (
            "mrf_storage_messages_total",
            "Messages recorded, complete or not.",
            m.messages,
        ),
        ("mrf_storage_octets_total", "Octets recorded.", m.octets),
        (
            "mrf_storage_lost_total",
            "Parts of messages lost to recordings because the disk was too slow.",
            m.lost,
        ),
        (
            "mrf_storage_failed_total",
            "Recordings that ended because the storage failed.",
            m.failed,
        ),
    ] {
        page.single(name, Counter, help, value);
    }
}

fn shards(page: &mut Page, m: &mrfp::Metrics) {
    use Kind::{Counter, Gauge};
    type Read = fn(&mrfp::ShardMetrics) -> u64;
    let families: [(&str, Kind, &str, Read); 15] = [
        ("mrf_shard_sessions", Gauge, "MSRP sessions now.", |s| {
            u64::from(s.sessions)
        }),
        (
            "mrf_shard_bound_total",
            Counter,
            "Times a session got a connection.",
            |s| s.bound,
        ),
        (
            "mrf_shard_lost_total",
            Counter,
            "Times a session lost its connection.",
            |s| s.lost,
        ),
        (
            "mrf_shard_too_slow_total",
            Counter,
            "Of these, by reading too slowly.",
            |s| s.too_slow,
        ),
        (
            "mrf_shard_queued_bytes",
            Gauge,
            "Octets queued for all recipients now.",
            |s| s.queued_bytes,
        ),
        (
            "mrf_shard_stalls_total",
            Counter,
            "Times a recipient took nothing for so long that nobody waits for it any more.",
            |s| s.stalls,
        ),
        (
            "mrf_shard_holds_total",
            Counter,
            "Times the reading from a participant was paused for a recipient, or for want of room.",
            |s| s.holds,
        ),
        (
            "mrf_shard_dropped_total",
            Counter,
            "Messages that a recipient did not get whole because nobody waits for it and the way to it was full.",
            |s| s.dropped,
        ),
        (
            "mrf_shard_messages_sent_total",
            Counter,
            "Copies of whole messages for participants, whatever became of them.",
            |s| s.messages_sent,
        ),
        (
            "mrf_shard_messages_received_total",
            Counter,
            "Whole messages of participants.",
            |s| s.messages_received,
        ),
        (
            "mrf_shard_sent_bytes_total",
            Counter,
            "Octets that the system took to send, framing included.",
            |s| s.octets_sent,
        ),
        (
            "mrf_shard_received_bytes_total",
            Counter,
            "Octets received, framing included.",
            |s| s.octets_received,
        ),
        (
            "mrf_shard_foreign_messages_total",
            Counter,
            "Messages that came from participants of the same conference on other shards.",
            |s| s.freight.messages,
        ),
        (
            "mrf_shard_foreign_bytes_total",
            Counter,
            "Octets that came from other shards.",
            |s| s.freight.octets,
        ),
        (
            "mrf_shard_foreign_queued_bytes",
            Gauge,
            "Octets from other shards that wait to be taken.",
            |s| s.freight.queued_bytes,
        ),
    ];
    for (name, kind, help, read) in families {
        page.family(name, kind, help);
        for (index, shard) in m.shards.iter().enumerate() {
            page.sample(name, &[("shard", &index.to_string())], read(shard));
        }
    }
}

/// The text so far. Writing to a string cannot fail, so results are dropped.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn histogram(&mut self, name: &str, help: &str, latency: &mrfc::Latency) {
        self.family(name, Kind::Histogram, help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in latency.cumulative() {
            let bound = bound.as_secs_f64().to_string();
            self.sample(&bucket, &[("le", &bound)], count);
        }
        self.sample(&bucket, &[("le", "+Inf")], latency.count());
        self.sample(&format!("{name}_sum"), &[], latency.sum().as_secs_f64());
        self.sample(&format!("{name}_count"), &[], latency.count());
    }

    fn single(&mut self, name: &str, kind: Kind, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters() -> Counters {
        let mut mrfp = mrfp::Metrics {
            is_registered: true,
            contexts: 2,
            shards: vec![mrfp::ShardMetrics::default(); 2],
            ..mrfp::Metrics::default()
        };
        mrfp.errors.insert(430, 3);
        mrfp.shards[1].bound = 5;
        let mrfc = mrfc::Metrics {
            joins: 9,
            ..mrfc::Metrics::default()
        };
        Counters {
            mrfc: Some(mrfc),
            mrfp: Some(mrfp),
        }
    }

    #[test]
    fn every_sample_has_its_value_and_labels() {
        let page = text(&counters());
        for line in [
            "mrf_mrfc_joins_total 9",
            "mrf_mrfc_h248_latency_seconds_bucket{le=\"0.0005\"} 0",
            "mrf_mrfc_h248_latency_seconds_bucket{le=\"10\"} 0",
            "mrf_mrfc_h248_latency_seconds_bucket{le=\"+Inf\"} 0",
            "mrf_mrfc_h248_latency_seconds_sum 0",
            "mrf_mrfp_registered 1",
            "mrf_mrfp_contexts 2",
            "mrf_mrfp_h248_errors_total{code=\"430\"} 3",
            "mrf_shard_bound_total{shard=\"0\"} 0",
            "mrf_shard_bound_total{shard=\"1\"} 5",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} in\n{page}");
        }
    }

    #[test]
    fn every_sample_belongs_to_the_family_declared_before_it() {
        let page = text(&counters());
        let mut family = String::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap().to_owned();
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let is_part = ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|part| name.strip_suffix(part) == Some(&*family));
                assert!(name == family || is_part, "{line}");
            }
        }
    }

    #[test]
    fn parts_that_are_not_there_have_no_samples() {
        let page = text(&Counters::default());
        assert!(
            page.contains("mrf_info") && !page.contains("mrf_mrfp") && !page.contains("mrf_mrfc")
        );
    }
}
