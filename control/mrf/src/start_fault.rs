//! Starting the parts, with errors that name the flag at fault.

use std::io;

use anyhow::anyhow;
use mrfc::Mrfc;
use mrfp::{Mrfp, ReactorKind};

/// Starts a controller.
///
/// # Errors
///
/// With the flag and the address, when a listener is the reason.
pub async fn start_mrfc(config: mrfc::Config) -> anyhow::Result<Mrfc> {
    let sip: Vec<_> = config.sip.iter().map(ToString::to_string).collect();
    mrfc::start(config).await.map_err(|error| match error {
        mrfc::StartError::Listen { addr, source } => {
            if sip.contains(&addr) {
                listen("--sip", &addr, &source)
            } else {
                h248(&source)
            }
        }
        mrfc::StartError::Tls(source) => {
            anyhow!("--tls-cert, --tls-key, --tls-client-ca, --tls-ca: {source}")
        }
        other @ mrfc::StartError::NoListener(_) => anyhow!("{other}"),
        other @ mrfc::StartError::Records { .. } => anyhow!("--cdr: {other}"),
    })
}

/// Starts a media plane.
///
/// # Errors
///
/// With the flag and the address, when a listener is the reason.
pub async fn start_mrfp(config: mrfp::Config) -> anyhow::Result<Mrfp> {
    mrfp::start(config).await.map_err(|error| match error {
        mrfp::StartError::Listen { addr, source } => listen("--msrp", &addr, &source),
        mrfp::StartError::H248(source) => h248(&source),
        mrfp::StartError::Wildcard(addr) => {
            anyhow!("--msrp {addr}: SDP must name one address; give it with --advertise")
        }
        mrfp::StartError::Storage { path, source } => {
            anyhow!("--storage {}: {source}", path.display())
        }
        mrfp::StartError::Tls(source) => {
            anyhow!("--tls-cert, --tls-key, --tls-client-ca: {source}")
        }
        mrfp::StartError::Congestion { name, source } => anyhow!(
            "--tcp-congestion {name}: {source}; see sysctl net.ipv4.tcp_available_congestion_control \
             and net.ipv4.tcp_allowed_congestion_control"
        ),
        mrfp::StartError::Xdp(source) => anyhow!("--reactor xdp: {source}"),
        mrfp::StartError::Shard {
            shard,
            reactor,
            source,
        } => anyhow!(
            "cannot start shard {shard} on reactor {reactor}: {source}{}",
            shard_hint(reactor)
        ),
        other @ (mrfp::StartError::NoListener(_) | mrfp::StartError::NoInterface) => {
            anyhow!("{other}")
        }
        other @ mrfp::StartError::TooManyShards(_) => anyhow!("--shards: {other}"),
    })
}

/// What may help where a shard does not start.
fn shard_hint(reactor: ReactorKind) -> &'static str {
    match reactor {
        ReactorKind::Uring => {
            "; io_uring must be allowed (sysctl kernel.io_uring_disabled, seccomp of a container) and \
             needs locked memory (ulimit -l); --reactor mio does without"
        }
        ReactorKind::Auto | ReactorKind::Mio | ReactorKind::Xdp => "",
    }
}

/// The H.248 side names the address in its error.
fn h248(error: &io::Error) -> anyhow::Error {
    anyhow!("--h248 {error}{}", hint(error))
}

/// Words for a listener that cannot be opened.
#[must_use]
pub fn listen(flag: &str, addr: &str, error: &io::Error) -> anyhow::Error {
    anyhow!("{flag} {addr}: {error}{}", hint(error))
}

/// What may help.
fn hint(error: &io::Error) -> &'static str {
    let hints = [
        (
            io::ErrorKind::AddrInUse,
            "; another program listens there: stop it, or choose another address (port 0 takes a \
             free one)",
        ),
        (
            io::ErrorKind::AddrNotAvailable,
            "; this host has no such address",
        ),
        (
            io::ErrorKind::PermissionDenied,
            "; ports below 1024 need a privilege",
        ),
    ];
    let found = hints.iter().find(|(kind, _)| *kind == error.kind());
    found.map_or("", |(_, hint)| hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_address_is_named_with_its_flag_and_a_way_out() {
        let error = io::Error::from(io::ErrorKind::AddrInUse);
        let text = listen("--sip", "udp:127.0.0.1:5060", &error).to_string();
        assert!(text.starts_with("--sip udp:127.0.0.1:5060: "), "{text}");
        assert!(text.contains("another program listens there"), "{text}");
    }
}
