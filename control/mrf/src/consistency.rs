//! Settings that are right one by one and cannot be together.

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
        let twice = "[[conference]]\nname = \"a\"\n[[conference]]\nname = \"a\"\n";
        refused(twice, "conference \"a\"");
    }

    #[test]
    fn what_belongs_together_passes() {
        for text in [
            "",
            "tls-cert = \"a.pem\"\ntls-key = \"a.key\"",
            "reactor = \"xdp\"\nxdp-if = \"eth0\"",
            "[[conference]]\nname = \"a\"\n[[conference]]\nname = \"b\"\n",
        ] {
            check(&parse(text).unwrap()).unwrap();
        }
    }
}
