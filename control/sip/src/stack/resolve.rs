//! Where a SIP URI leads (RFC 3263 4): NAPTR, SRV, then addresses, as an ordered list of hops.
//!
//! ```text
//! numeric host          -> it, by the transport asked for, else UDP (sips: TLS)
//! port                  -> addresses of the host, by the transport asked for, else UDP
//! transport asked for   -> SRV of it                   \
//! neither               -> NAPTR -> SRV of each        | none: addresses of the host
//!                          none: SRV of each we have   /
//! ```

use crate::addr::{SipAddr, Transport};
use crate::agent::{Hop, Target};
use crate::limits::{HOPS_MAX, RESOLVE_TIMEOUT};
use crate::stack::near_addr;
use crate::uri::ip_of;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use rand::{Rng, RngExt};
use std::sync::{Arc, OnceLock};
use tracing::debug;

/// How long one name server may take, and how often it is asked.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
const QUERY_ATTEMPTS: usize = 2;

/// Finds next hops. Clones share one cache.
#[derive(Clone)]
pub struct Resolver {
    servers: Arc<[SocketAddr]>,
    /// Made for the first domain: most clients never look one up.
    dns: Arc<OnceLock<Option<TokioResolver>>>,
}

impl core::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    priority: u16,
    weight: u16,
    port: u16,
    host: String,
}

impl Resolver {
    /// Asks `servers`; none: those of the system. The system's file of hosts comes first.
    #[must_use]
    pub fn new(servers: &[SocketAddr]) -> Self {
        Self {
            servers: servers.into(),
            dns: Arc::default(),
        }
    }

    fn dns(&self) -> Option<&TokioResolver> {
        let dns = self.dns.get_or_init(|| {
            let built = build(&self.servers);
            if let Err(error) = &built {
                tracing::warn!(%error, "no name server: domains cannot be reached");
            }
            built.ok()
        });
        dns.as_ref()
    }

    /// The hops to `target`, the best first, at most [`HOPS_MAX`]; none when it has none, or the name
    /// servers did not answer in time.
    pub async fn hops(&self, target: &Target) -> Vec<Hop> {
        let host = target.host.trim_matches(['[', ']']);
        let ip = ip_of(host);
        let found = if let Some(ip) = ip {
            let transport = target.transport.unwrap_or(target.first_choice());
            let port = target.port.unwrap_or(transport.default_port());
            vec![at(transport, ip, port)]
        } else {
            let found = tokio::time::timeout(RESOLVE_TIMEOUT, self.search(target, host)).await;
            found.unwrap_or_default()
        };
        let mut hops = Vec::new();
        for addr in found {
            let Ok(near) = near_addr(addr.addr) else {
                continue;
            };
            let hop = Hop {
                addr,
                // What the user asked for, not what the DNS made of it (RFC 5922 7.2).
                name: ip.is_none().then(|| host.to_ascii_lowercase()),
                near,
            };
            if hops.len() < HOPS_MAX && !hops.contains(&hop) {
                hops.push(hop);
            }
        }
        debug!(host, ?hops, "looked up");
        hops
    }

    async fn search(&self, target: &Target, host: &str) -> Vec<SipAddr> {
        if let Some(port) = target.port {
            let transport = target.transport.unwrap_or(target.first_choice());
            return self.addresses(transport, host, port).await;
        }
        let services: Vec<(Transport, String)> = match target.transport {
            Some(transport) => vec![(transport, service_name(transport, host))],
            None => {
                let found = self.naptr(target, host).await;
                if found.is_empty() {
                    let all = target.choices().iter();
                    all.map(|&t| (t, service_name(t, host))).collect()
                } else {
                    found
                }
            }
        };
        let mut all = Vec::new();
        for (transport, name) in services {
            for service in self.srv(&name).await {
                let more = self.addresses(transport, &service.host, service.port);
                all.extend(more.await);
                if all.len() >= HOPS_MAX {
                    return all;
                }
            }
        }
        if all.is_empty() {
            let transport = target.transport.unwrap_or(target.first_choice());
            all = self
                .addresses(transport, host, transport.default_port())
                .await;
        }
        all
    }

    async fn lookup(&self, name: &str, kind: RecordType) -> Vec<RData> {
        let Some(dns) = self.dns() else {
            return Vec::new();
        };
        // A dot at its end: nothing of the system's search list is put behind it.
        let absolute = format!("{}.", name.trim_end_matches('.'));
        match dns.lookup(absolute, kind).await {
            Ok(found) => found.answers().iter().map(|r| r.data.clone()).collect(),
            Err(error) => {
                debug!(name, %kind, %error, "nothing found");
                Vec::new()
            }
        }
    }

    /// Transport and SRV name of each record that we can use, in their order.
    async fn naptr(&self, target: &Target, host: &str) -> Vec<(Transport, String)> {
        let mut found = Vec::new();
        for data in self.lookup(host, RecordType::NAPTR).await {
            let RData::NAPTR(record) = data else { continue };
            let transport = match record.services.to_ascii_uppercase().as_slice() {
                b"SIP+D2U" => Transport::Udp,
                b"SIP+D2T" => Transport::Tcp,
                b"SIPS+D2T" => Transport::Tls,
                _ => continue,
            };
            let is_srv = record.flags.eq_ignore_ascii_case(b"s") && record.regexp.is_empty();
            if is_srv && target.choices().contains(&transport) {
                let order = (record.order, record.preference);
                found.push((order, transport, text(&record.replacement)));
            }
        }
        found.sort_by_key(|&(order, ..)| order);
        found.into_iter().map(|(_, t, name)| (t, name)).collect()
    }

    async fn srv(&self, name: &str) -> Vec<Service> {
        let mut found = Vec::new();
        for data in self.lookup(name, RecordType::SRV).await {
            if let RData::SRV(record) = data {
                found.push(Service {
                    priority: record.priority,
                    weight: record.weight,
                    port: record.port,
                    host: text(&record.target),
                });
            }
        }
        // A single root says that there is no such service (RFC 2782).
        found.retain(|service| !service.host.is_empty());
        in_order(found, &mut rand::rng())
    }

    async fn addresses(&self, transport: Transport, host: &str, port: u16) -> Vec<SipAddr> {
        let Some(dns) = self.dns() else {
            return Vec::new();
        };
        match dns
            .lookup_ip(format!("{}.", host.trim_end_matches('.')))
            .await
        {
            Ok(found) => found.iter().map(|ip| at(transport, ip, port)).collect(),
            Err(error) => {
                debug!(host, %error, "no address");
                Vec::new()
            }
        }
    }
}

fn build(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = if servers.is_empty() {
        TokioResolver::builder(provider)?
    } else {
        let servers = servers.iter().map(|server| {
            let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections.to_vec())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(config, provider)
    };
    let options = builder.options_mut();
    options.timeout = QUERY_TIMEOUT;
    options.attempts = QUERY_ATTEMPTS;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Always;
    builder.build()
}

fn at(transport: Transport, ip: IpAddr, port: u16) -> SipAddr {
    SipAddr {
        transport,
        addr: SocketAddr::new(ip, port),
    }
}

fn text(name: &Name) -> String {
    name.to_utf8().trim_end_matches('.').to_owned()
}

/// The SRV name of a transport (RFC 3263 4.1, RFC 7118 does not give WebSocket one of its own).
fn service_name(transport: Transport, host: &str) -> String {
    let (service, protocol) = match transport {
        Transport::Udp => ("_sip", "_udp"),
        Transport::Tcp => ("_sip", "_tcp"),
        Transport::Tls => ("_sips", "_tcp"),
        Transport::Ws => ("_sip", "_ws"),
        Transport::Wss => ("_sips", "_ws"),
    };
    format!("{service}.{protocol}.{host}")
}

/// By priority; among equals by chance in the proportion of their weights (RFC 2782).
fn in_order(mut services: Vec<Service>, rng: &mut impl Rng) -> Vec<Service> {
    // Those without weight first, so that they have a small chance.
    services.sort_by_key(|s| (s.priority, s.weight));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let priority = first.priority;
        let equals = services.iter().take_while(|s| s.priority == priority);
        let sum: u32 = equals.map(|s| u32::from(s.weight)).sum();
        let mut drawn = rng.random_range(0..=sum);
        let chosen = services.iter().position(|s| {
            let weight = u32::from(s.weight);
            let is_it = drawn <= weight;
            drawn = drawn.saturating_sub(weight);
            is_it
        });
        ordered.push(services.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn service(priority: u16, weight: u16, host: &str) -> Service {
        Service {
            priority,
            weight,
            port: 5060,
            host: host.to_owned(),
        }
    }

    #[test]
    fn services_come_by_priority_and_in_the_proportion_of_their_weights() {
        let mut rng = StdRng::seed_from_u64(1);
        let all = [
            service(2, 0, "last"),
            service(1, 1, "seldom"),
            service(1, 3, "often"),
        ];
        let mut firsts = 0;
        for _ in 0..4_000 {
            let ordered = in_order(all.to_vec(), &mut rng);
            assert_eq!((ordered.len(), &*ordered[2].host), (3, "last"));
            firsts += u32::from(ordered[0].host == "often");
        }
        // Three to one, and the closed interval of RFC 2782 gives the first one half a share more.
        assert!((2_200..3_200).contains(&firsts), "{firsts}");
    }

    #[test]
    fn services_without_weight_are_all_there() {
        let mut rng = StdRng::seed_from_u64(1);
        let all = vec![
            service(0, 0, "a"),
            service(0, 0, "b"),
            service(0, 65_535, "c"),
        ];
        let mut hosts: Vec<_> = in_order(all, &mut rng)
            .into_iter()
            .map(|s| s.host)
            .collect();
        hosts.sort();
        assert_eq!(hosts, ["a", "b", "c"]);
        assert_eq!(in_order(Vec::new(), &mut rng), []);
    }
}
