//! Starting the parts, with errors that name the flag at fault.

use std::io;

use anyhow::anyhow;
use mrfc::Mrfc;
use mrfp::Mrfp;

/// Starts a controller.
///
/// # Errors
///
/// With the flag and the address, when a listener is the reason.
pub async fn start_mrfc(config: mrfc::Config) -> anyhow::Result<Mrfc> {
    let sip: Vec<_> = config.sip.iter().map(ToString::to_string).collect();
    mrfc::start(config).await.map_err(|error| match error {
        mrfc::StartError::Listen { addr, source } => {
            let flag = if sip.contains(&addr) {
                "--sip"
            } else {
                "--h248"
            };
            listen(flag, &addr, &source)
        }
        other @ mrfc::StartError::NoListener(_) => anyhow!(other),
    })
}

/// Starts a media plane.
///
/// # Errors
///
/// With the flag and the address, when a listener is the reason.
pub async fn start_mrfp(config: mrfp::Config) -> anyhow::Result<Mrfp> {
    let h248: Vec<_> = config.h248.iter().map(ToString::to_string).collect();
    mrfp::start(config).await.map_err(|error| match error {
        mrfp::StartError::Listen { addr, source } => {
            let flag = if h248.contains(&addr) {
                "--h248"
            } else {
                "--msrp"
            };
            listen(flag, &addr, &source)
        }
        other => anyhow!(other),
    })
}

/// Words for a listener that cannot be opened.
#[must_use]
pub fn listen(flag: &str, addr: &str, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there: stop it, or choose another address (port 0 takes a \
             free one)"
        }
        io::ErrorKind::AddrNotAvailable => "; this host has no such address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege",
        _ => "",
    };
    anyhow!("{flag} {addr}: {error}{hint}")
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
