//! TLS of a session (RFC 4975 14): whoever answers must have the certificate whose fingerprint stands in
//! its description (RFC 8122); where none does, an authority of ours must vouch for it.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use sdp::Fingerprint;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring as provider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    crypto,
};

/// Our side of TLS: a certificate made for one session, and whom we believe.
pub struct Credentials {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    authorities: Option<PathBuf>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Makes a certificate. `authorities` (PEM) vouch for peers that name no fingerprint.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn new(authorities: Option<PathBuf>) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(Vec::new());
        let made = made.context("cannot make a certificate")?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
        Ok(Self {
            certificate: made.cert.der().clone(),
            key: key.map_err(anyhow::Error::msg)?,
            authorities,
        })
    }

    /// What our description says about the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let octets = digest(&SHA256, &self.certificate);
        let octets = octets.as_ref().iter().map(|octet| format!("{octet:02X}"));
        Fingerprint {
            hash: "sha-256".to_owned(),
            value: octets.collect::<Vec<_>>().join(":"),
        }
    }

    /// Secures a connection to `host`, whose description has these fingerprints.
    ///
    /// # Errors
    ///
    /// When nothing can vouch for the peer, or it is not who it should be.
    pub async fn secure(
        self,
        stream: TcpStream,
        fingerprints: &[Fingerprint],
        host: &str,
    ) -> anyhow::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(provider::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> =
            match (Signalled::read(fingerprints, &provider), &self.authorities) {
                (Some(signalled), _) => Arc::new(signalled),
                (None, Some(file)) => {
                    let roots = Arc::new(roots(file)?);
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .build()
                        .with_context(|| file.display().to_string())?
                }
                (None, None) => bail!("the answer has no fingerprint: use --tls-ca"),
            };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(vec![self.certificate], self.key)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())?;
        Ok(TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?)
    }
}

fn roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let name = || file.display().to_string();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).with_context(name)? {
        roots
            .add(certificate.with_context(name)?)
            .with_context(name)?;
    }
    Ok(roots)
}

/// Takes the certificate that the signalling named, and no other.
#[derive(Debug)]
struct Signalled {
    algorithm: &'static Algorithm,
    digests: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl Signalled {
    /// The fingerprints by the best hash that is known (RFC 8122 5); `None` where none is.
    fn read(fingerprints: &[Fingerprint], provider: &Arc<CryptoProvider>) -> Option<Self> {
        let known = [
            ("sha-512", &SHA512),
            ("sha-384", &SHA384),
            ("sha-256", &SHA256),
        ];
        known.into_iter().find_map(|(name, algorithm)| {
            let of_hash = fingerprints.iter().filter(|f| f.hash == name);
            let digests: Vec<_> = of_hash.filter_map(|f| octets(&f.value)).collect();
            (!digests.is_empty()).then(|| Self {
                algorithm,
                digests,
                provider: Arc::clone(provider),
            })
        })
    }
}

/// Hexadecimal octets with colons between them.
fn octets(text: &str) -> Option<Vec<u8>> {
    let octet = |part: &str| {
        let is_sound = part.len() == 2 && part.bytes().all(|c| c.is_ascii_hexdigit());
        is_sound
            .then(|| u8::from_str_radix(part, 16).ok())
            .flatten()
    };
    text.split(':').map(octet).collect()
}

impl ServerCertVerifier for Signalled {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = digest(self.algorithm, shown);
        if self.digests.iter().any(|digest| digest == shown.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        let why = CertificateError::ApplicationVerificationFailure;
        Err(Error::InvalidCertificate(why))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, shown, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, shown, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;

    use super::*;

    fn fingerprint(hash: &str, value: &str) -> Fingerprint {
        Fingerprint {
            hash: hash.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn the_best_hash_that_is_known_decides() {
        let provider = Arc::new(provider::default_provider());
        let read = |prints: &[Fingerprint]| Signalled::read(prints, &provider);
        assert!(read(&[]).is_none());
        assert!(
            read(&[
                fingerprint("sha-1", "AB:CD"),
                fingerprint("sha-256", "ABCD")
            ])
            .is_none()
        );
        let both = [
            fingerprint("sha-256", "AB:CD"),
            fingerprint("sha-512", "01:02"),
            fingerprint("sha-512", "fe:ff"),
        ];
        let best = read(&both).expect("known");
        assert_eq!(best.digests, [[1, 2], [0xFE, 0xFF]]);
        assert_eq!(best.algorithm, &SHA512);
    }

    #[test]
    fn a_certificate_has_the_fingerprint_that_is_told_of_it() {
        let ours = Credentials::new(None).expect("a certificate");
        let provider = Arc::new(provider::default_provider());
        let told = Signalled::read(&[ours.fingerprint()], &provider).expect("known");
        let check = |shown: &CertificateDer<'_>| {
            let name = ServerName::from(core::net::Ipv4Addr::LOCALHOST);
            let (chain, now) = (&[][..], UnixTime::now());
            told.verify_server_cert(shown, chain, &name, &[], now)
                .is_ok()
        };
        assert!(check(&ours.certificate));
        let other = Credentials::new(None).expect("a certificate");
        assert!(!check(&other.certificate));
    }

    /// A server on loopback with a certificate, and a connection to it.
    async fn connected(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TcpStream {
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a pair");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("it comes");
            let acceptor = TlsAcceptor::from(Arc::new(config));
            // The connection ends with the test.
            let secured = acceptor.accept(stream).await;
            core::future::pending::<()>().await;
            drop(secured);
        });
        TcpStream::connect(to).await.expect("it listens")
    }

    #[tokio::test]
    async fn whoever_names_no_fingerprint_needs_an_authority() {
        let names = || vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names()).expect("a certificate");
        let directory =
            std::env::temp_dir().join(format!("mrf-authorities-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let ours = directory.join("ours.pem");
        std::fs::write(&ours, made.cert.pem()).expect("written");
        let other = rcgen::generate_simple_self_signed(names()).expect("a certificate");
        let theirs = directory.join("theirs.pem");
        std::fs::write(&theirs, other.cert.pem()).expect("written");
        for (authorities, fault) in [
            (None, "no fingerprint"),
            (Some(theirs), "invalid peer certificate"),
            (Some(directory.join("none.pem")), "none.pem"),
            (Some(ours), ""),
        ] {
            let credentials = Credentials::new(authorities).expect("a certificate");
            let stream = connected(&made).await;
            let outcome = credentials.secure(stream, &[], "127.0.0.1").await;
            match outcome {
                Ok(_) => assert!(fault.is_empty(), "expected {fault}"),
                Err(error) => {
                    let text = format!("{error:#}");
                    assert!(!fault.is_empty() && text.contains(fault), "{text}");
                }
            }
        }
        std::fs::remove_dir_all(directory).expect("ours");
    }
}
