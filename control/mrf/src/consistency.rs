//! Settings that are right one by one and cannot be together.

use core::time::Duration;
use std::collections::HashSet;

use anyhow::{anyhow, bail};
use mrfp::ReactorKind;

use crate::config::Options;
use crate::secrets;

/// Refuses what would be ignored, or would not mean what it says.
///
/// # Errors
///
/// The first contradiction, with the keys at fault.
pub fn check(options: &Options) -> anyhow::Result<()> {
    if options.tls_key.is_some() && options.tls_cert.is_none() {
        bail!("--tls-key: there is no --tls-cert that it belongs to");
    }
    // Whoever shows nothing would show it.
    if options.http_token.as_deref() == Some("") {
        bail!("--http-token: it is empty; leave it out for none");
    }
    for domain in &options.domain {
        // It would be compared with the host of a URI, and never be it.
        let uri = sip::Uri::parse(&format!("sip:{domain}"));
        if !uri.is_ok_and(|uri| uri.host().eq_ignore_ascii_case(domain)) {
            bail!("--domain {domain:?}: expected the host part of a URI, without a port");
        }
    }
    let interval = options.session_expires.and_then(|interval| interval.0);
    let least = Duration::from_secs(mrfc::SESSION_SECONDS_MIN);
    if interval.is_some_and(|interval| interval < least) {
        bail!("session-expires: at least {least:?} (RFC 4028 5), or off");
    }
    let is_xdp = options.reactor.is_some_and(|r| r.0 == ReactorKind::Xdp);
    if options.xdp_if.is_some() && !is_xdp {
        bail!("--xdp-if: only --reactor xdp uses it");
    }
    let mut names = HashSet::new();
    for conference in &options.conference {
        if !names.insert(&conference.name) {
            bail!("conference {:?} is there twice", conference.name);
        }
    }
    Ok(())
}

/// The same, and whether the files named can be read and hold what they should.
///
/// # Errors
///
/// The first fault, with the file.
pub fn check_with_files(options: &Options) -> anyhow::Result<()> {
    check(options)?;
    secrets::read(options)?;
    let files = sip::TlsFiles {
        certificate: options.tls_cert.clone(),
        key: options.tls_key.clone(),
        ca: options.tls_ca.clone(),
        client_ca: options.tls_client_ca.clone(),
    };
    sip::Tls::check(&files).map_err(|error| anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[track_caller]
    fn refused(text: &str, words: &str) {
        let error = check(&parse(text).unwrap()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        refused("tls-key = \"a.pem\"", "no --tls-cert");
        refused("http-token = \"\"", "--http-token");
        refused("xdp-if = \"eth0\"", "--reactor xdp");
        for domain in ["", "a.example:5060", "user@a.example", "a b", "a;b"] {
            refused(&format!("domain = [\"{domain}\"]"), "--domain");
        }
        refused("session-expires = \"89s\"", "at least 90s");
        let twice = "[[conference]]\nname = \"a\"\n[[conference]]\nname = \"a\"\n";
        refused(twice, "conference \"a\"");
    }

    #[test]
    fn what_belongs_together_passes() {
        for text in [
            "",
            "domain = [\"Conf.example.net\", \"[2001:db8::1]\", \"192.0.2.1\"]",
            "session-expires = \"90s\"",
            "session-expires = \"off\"",
            "tls-cert = \"a.pem\"\ntls-key = \"a.key\"",
            "reactor = \"xdp\"\nxdp-if = \"eth0\"",
            "[[conference]]\nname = \"a\"\n[[conference]]\nname = \"b\"\n",
        ] {
            check(&parse(text).unwrap()).unwrap();
        }
    }
}
