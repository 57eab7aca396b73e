//! The `ready` line: the one line a server writes to standard output.

use core::fmt;
use core::net::SocketAddr;

use h248_endpoint::{TransportAddr, TransportKind};
use mrfc::Mrfc;
use mrfp::Mrfp;
use sip::Transport;

/// What listens where. Keys of what is off are left out; a repeated listener repeats its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pairs: Vec<(&'static str, String)>,
}

impl Facts {
    /// The facts of a server made of these parts, in the order of the contract.
    #[must_use]
    pub fn new(mrfc: Option<&Mrfc>, mrfp: Option<&Mrfp>, http: Option<SocketAddr>) -> Self {
        let mut facts = Self::default();
        for (key, transport) in [
            ("msrp", mrfp::Transport::Tcp),
            ("msrp.tls", mrfp::Transport::Tls),
            ("msrp.ws", mrfp::Transport::Ws),
            ("msrp.wss", mrfp::Transport::Wss),
        ] {
            for listener in mrfp.map(Mrfp::msrp_listeners).unwrap_or_default() {
                if listener.transport == transport {
                    facts.add(key, listener.addr);
                }
            }
        }
        // With both parts in one process, the controller's side is the one others may use.
        let h248 = match (mrfc, mrfp) {
            (Some(mrfc), _) => mrfc.h248_addrs().to_vec(),
            (None, Some(mrfp)) => mrfp.h248_addrs().to_vec(),
            (None, None) => Vec::new(),
        };
        facts.add_h248(&h248);
        for (key, transport) in [
            ("sip.udp", Transport::Udp),
            ("sip.tcp", Transport::Tcp),
            ("sip.tls", Transport::Tls),
            ("sip.ws", Transport::Ws),
            ("sip.wss", Transport::Wss),
        ] {
            for addr in mrfc.map(Mrfc::sip_addrs).unwrap_or_default() {
                if addr.transport == transport {
                    facts.add(key, addr.addr);
                }
            }
        }
        if let Some(http) = http {
            facts.add("http", http);
        }
        if let Some(mrfp) = mrfp {
            facts.add("reactor", mrfp.reactor());
            facts.add("shards", mrfp.shards());
        }
        facts
    }

    fn add_h248(&mut self, addrs: &[TransportAddr]) {
        for (key, kind) in [
            ("h248.udp", TransportKind::Udp),
            ("h248.tcp", TransportKind::Tcp),
            ("h248.sctp", TransportKind::Sctp),
        ] {
            for addr in addrs.iter().filter(|addr| addr.kind() == kind) {
                self.add(key, addr.addr());
            }
        }
    }

    fn add(&mut self, key: &'static str, value: impl fmt::Display) {
        self.pairs.push((key, value.to_string()));
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self.pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        f.write_str(&pairs.join(" "))
    }
}

/// What a newcomer may type next: three lines, for a terminal.
#[must_use]
pub fn next_steps(facts: &Facts) -> String {
    let listener = Transport::ALL
        .into_iter()
        .find_map(|t| Some((t, facts.get(&format!("sip.{t}"))?)));
    let (transport, sip) = listener.unwrap_or((Transport::Udp, "127.0.0.1:5060"));
    let sip = sip.strip_suffix(":5060").unwrap_or(sip);
    let asked = transport.uri_parameter(false);
    let http = facts.get("http").map_or("off (--http)".to_owned(), |addr| {
        format!("http://{addr}/  http://{addr}/metrics")
    });
    format!(
        "  talk   mrf chat sip:lobby@{sip}{asked} --name ann   (another name in another terminal)\n  \
         check  mrf flow a.5.1 --target sip:conference1@{sip}{asked}\n  \
         watch  {http}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_come_in_the_order_of_the_contract_and_repeat_their_key() {
        let mut facts = Facts::default();
        facts.add("msrp", "127.0.0.1:2855");
        facts.add_h248(&[
            "tcp:127.0.0.1:2944".parse().unwrap(),
            "udp:127.0.0.1:2944".parse().unwrap(),
            "udp:[::1]:2944".parse().unwrap(),
        ]);
        assert_eq!(
            facts.to_string(),
            "msrp=127.0.0.1:2855 h248.udp=127.0.0.1:2944 h248.udp=[::1]:2944 \
             h248.tcp=127.0.0.1:2944"
        );
        assert_eq!(facts.get("h248.udp"), Some("127.0.0.1:2944"));
        assert_eq!(facts.get("http"), None);
    }

    #[test]
    fn a_newcomer_gets_three_lines_that_work_as_typed() {
        let mut facts = Facts::default();
        facts.add("sip.udp", "127.0.0.1:5060");
        facts.add("http", "127.0.0.1:8080");
        let lines = next_steps(&facts);
        assert_eq!(lines.lines().count(), 3);
        assert!(
            lines.contains("mrf chat sip:lobby@127.0.0.1 --name ann"),
            "{lines}"
        );
        assert!(lines.contains("http://127.0.0.1:8080/metrics"), "{lines}");
        let mut odd = Facts::default();
        odd.add("sip.tcp", "127.0.0.1:7000");
        assert!(next_steps(&odd).contains("sip:lobby@127.0.0.1:7000;transport=tcp"));
    }
}
