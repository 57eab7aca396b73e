//! Who we are and whom we believe in TLS: certificates, keys, authorities, and the domains that a
//! certificate stands for (RFC 5922).

use crate::uri::Uri;
use core::net::IpAddr;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Octets of a file with certificates or a key; a larger one is refused.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The files of TLS, all PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate and those above it; `None`: one is made, which only peers that do not check
    /// accept.
    pub certificate: Option<PathBuf>,
    /// Its private key; `None`: in the file of the certificate.
    pub key: Option<PathBuf>,
    /// Authorities that must vouch for the servers we connect to; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Authorities that vouch for who connects to us. A client is asked for a certificate, but may
    /// have none: then it is nobody's neighbour. `None`: clients are not asked.
    pub client_ca: Option<PathBuf>,
}

/// Why TLS cannot be set up; the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file has not in it what it should have.
    #[error("{}: {reason}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[source] rustls::Error),
    /// No certificate could be made; the system's fault.
    #[error("cannot make a certificate: {0}")]
    SelfSigned(#[source] rcgen::Error),
}

/// The TLS side of a stack: clones share what is in force.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    addresses: Vec<IpAddr>,
    contexts: Arc<RwLock<Arc<Contexts>>>,
}

impl core::fmt::Debug for Tls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// What handshakes are made with.
pub(super) struct Contexts {
    pub(super) acceptor: TlsAcceptor,
    pub(super) connector: TlsConnector,
}

impl Tls {
    /// Reads the files; a certificate made here names `addresses`.
    pub(super) fn open(files: TlsFiles, addresses: Vec<IpAddr>) -> Result<Self, TlsError> {
        let contexts = Contexts::read(&files, &addresses)?;
        Ok(Self {
            files,
            addresses,
            contexts: Arc::new(RwLock::new(Arc::new(contexts))),
        })
    }

    /// Whether files can be used, without using them.
    ///
    /// # Errors
    ///
    /// When they cannot.
    pub fn check(files: &TlsFiles) -> Result<(), TlsError> {
        Contexts::read(files, &[]).map(drop)
    }

    /// Reads the files again. Handshakes to come use what they hold, connections stay as they are.
    ///
    /// # Errors
    ///
    /// When they cannot be used; what was in force stays so.
    pub fn reload(&self) -> Result<(), TlsError> {
        let contexts = Arc::new(Contexts::read(&self.files, &self.addresses)?);
        *self
            .contexts
            .write()
            .unwrap_or_else(PoisonError::into_inner) = contexts;
        Ok(())
    }

    pub(super) fn current(&self) -> Arc<Contexts> {
        let contexts = self.contexts.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&contexts)
    }
}

impl Contexts {
    fn read(files: &TlsFiles, addresses: &[IpAddr]) -> Result<Self, TlsError> {
        let (chain, key) = identity(files, addresses)?;
        // TLS 1.2 and 1.3 with forward secrecy only (RFC 8996, BCP 195); RFC 3261 26.2.1 still
        // names a suite without.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?;
        let server = match &files.client_ca {
            Some(path) => {
                let roots = Arc::new(roots(path)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| content(path, error))?;
                server.with_client_cert_verifier(verifier)
            }
            None => server.with_no_client_auth(),
        };
        let server = server
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(TlsError::Pair)?;
        let client = client(files.ca.as_deref(), &provider)?;
        // One that was made here means nothing to anybody, and a server that checks would refuse it.
        let client = match files.certificate {
            Some(_) => client
                .with_client_auth_cert(chain, key)
                .map_err(TlsError::Pair)?,
            None => client.with_no_client_auth(),
        };
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }
}

type WantsIdentity = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client(ca: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<WantsIdentity, TlsError> {
    let roots = match ca {
        Some(path) => roots(path)?,
        None => system_roots(),
    };
    let verifier = DomainVerifier {
        roots,
        algorithms: provider.signature_verification_algorithms,
    };
    Ok(ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

type Chain = Vec<CertificateDer<'static>>;

fn identity(
    files: &TlsFiles,
    addresses: &[IpAddr],
) -> Result<(Chain, PrivateKeyDer<'static>), TlsError> {
    let Some(path) = &files.certificate else {
        let names: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).map_err(TlsError::SelfSigned)?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .map_err(|_| TlsError::SelfSigned(rcgen::Error::CouldNotParseKeyPair))?;
        return Ok((vec![made.cert.der().clone()], key));
    };
    let chain = certificates(path)?;
    let key_path = files.key.as_ref().unwrap_or(path);
    let key = PrivateKeyDer::from_pem_slice(&read(key_path)?)
        .map_err(|error| content(key_path, format!("no private key: {error}")))?;
    Ok((chain, key))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let fault = |source| TlsError::File {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(fault)?.len();
    if size > FILE_BYTES_MAX {
        return Err(content(path, "larger than 1 MiB"));
    }
    std::fs::read(path).map_err(fault)
}

fn content(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::Content {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn certificates(path: &Path) -> Result<Chain, TlsError> {
    let all: Result<Chain, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match all {
        Ok(all) if all.is_empty() => Err(content(path, "no certificate in it")),
        Ok(all) => Ok(all),
        Err(error) => Err(content(path, format!("no certificate: {error}"))),
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| content(path, format!("no authority: {error}")))?;
    }
    Ok(roots)
}

/// What the system trusts; where it has nothing, no server can be verified.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "the authorities of the system");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

/// Whether a server's certificate stands for the domain that was asked for.
#[derive(Debug)]
struct DomainVerifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for DomainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        if let ServerName::DnsName(domain) = server_name {
            let domain = domain.as_ref().trim_end_matches('.');
            let is_named = |name: &String| name.eq_ignore_ascii_case(domain);
            if !domains(end_entity).iter().any(is_named) {
                return Err(CertificateError::NotValidForName.into());
            }
        } else {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The SIP domains of a certificate (RFC 5922 7.1): its `sip:` URIs without user part; where it has
/// none, its DNS names. A wildcard is no domain (7.2): it never equals one.
pub(super) fn domains(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let of_uri = |text: &str| {
        let uri = Uri::parse(text).ok()?;
        let is_domain = uri.scheme() == "sip" && uri.user().is_none();
        is_domain.then(|| uri.host().to_owned())
    };
    let uris: Vec<_> = certificate.valid_uri_names().filter_map(of_uri).collect();
    if !uris.is_empty() {
        return uris;
    }
    let is_plain = |name: &&str| !name.starts_with('*');
    let names = certificate.valid_dns_names().filter(is_plain);
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    #[track_caller]
    fn check(dns: &[&str], uris: &[&str], expected: &[&str]) {
        let names: Vec<_> = dns.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        for uri in uris {
            let uri = (*uri).try_into().expect("ASCII");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        assert_eq!(domains(made.der()), expected);
    }

    #[test]
    fn a_certificate_stands_for_the_domains_in_its_uris_or_else_for_its_names() {
        check(&["a.example", "*.example"], &[], &["a.example"]);
        check(&["host.example"], &["sip:example"], &["example"]);
        check(&["host.example"], &["sip:user@example"], &["host.example"]);
        check(
            &["host.example"],
            &["https://example", "sips:example"],
            &["host.example"],
        );
        check(
            &[],
            &["sip:One.example", "sip:two"],
            &["one.example", "two"],
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let files = |certificate: &str| TlsFiles {
            certificate: Some(certificate.into()),
            ..TlsFiles::default()
        };
        let error = Tls::open(files("/nowhere/sip.pem"), Vec::new()).expect_err("not there");
        assert!(
            error.to_string().starts_with("/nowhere/sip.pem: "),
            "{error}"
        );
        let error = Tls::open(files(file!()), Vec::new());
        assert!(error.is_err());
        let path = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
        let error = Tls::open(files(&path), Vec::new()).expect_err("no certificate");
        assert!(error.to_string().contains("no certificate"), "{error}");
    }
}
