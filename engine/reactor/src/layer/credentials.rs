//! Who we are and whom we trust: certificates, keys, authorities.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use ring::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use switch::{Fingerprint, HashFunction};

/// Why TLS cannot be set up: the fault of whoever wrote the files, unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Not PEM, or no certificate in it.
    #[error("no certificate: {0}")]
    Certificate(String),
    /// Not PEM, or no private key in it.
    #[error("no private key: {0}")]
    Key(String),
    /// Not PEM, or no usable authority in it.
    #[error("no certificate authority: {0}")]
    Authority(String),
    /// The two do not belong together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[source] rustls::Error),
    /// A certificate could not be made; the system's fault.
    #[error("cannot make a certificate: {0}")]
    SelfSigned(#[source] rcgen::Error),
}

/// A certificate chain with the key of its first certificate.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads both from PEM: the chain from the own certificate upwards; PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    ///
    /// When one of them is missing or cannot be read.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, CredentialsError> {
        let chain = certificates_of(certificates).map_err(CredentialsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| CredentialsError::Key(error.to_string()))?;
        Ok(Self { chain, key })
    }

    /// Makes a key (ECDSA P-256) and a certificate signed by it, for peers that know its fingerprint.
    ///
    /// # Errors
    ///
    /// When the system has no randomness, or a name is none.
    pub fn self_signed(names: &[String]) -> Result<Self, CredentialsError> {
        let made =
            rcgen::generate_simple_self_signed(names).map_err(CredentialsError::SelfSigned)?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
        Ok(Self {
            chain: vec![made.cert.der().clone()],
            key: key.map_err(|error| CredentialsError::Key(error.to_owned()))?,
        })
    }
}

fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err("the file holds none".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

/// The credentials in force. All clones share them, so that all shards see a replacement; only a
/// handshake looks, so that the lock is far from the octets.
#[derive(Clone)]
pub struct Credentials(Arc<RwLock<Arc<Contexts>>>);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("fingerprint", &self.fingerprint().to_string())
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Those of `identity`. With `authorities` (PEM) whoever connects must show a certificate, which
    /// one of them or a fingerprint in the signalling vouches for; and they vouch for those whom we
    /// connect to.
    ///
    /// # Errors
    ///
    /// When something in them cannot be used.
    pub fn new(identity: Identity, authorities: Option<&[u8]>) -> Result<Self, CredentialsError> {
        let contexts = Contexts::new(identity, authorities)?;
        Ok(Self(Arc::new(RwLock::new(Arc::new(contexts)))))
    }

    /// Puts others in their place, for the handshakes to come; connections go on with what they have.
    pub fn replace(&self, other: &Self) {
        let contexts = other.current();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = contexts;
    }

    /// Of our certificate, by SHA-256.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.current().fingerprint.clone()
    }

    pub(super) fn current(&self) -> Arc<Contexts> {
        let contexts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&contexts)
    }
}

/// What handshakes are made with.
#[derive(Debug)]
pub(super) struct Contexts {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    fingerprint: Fingerprint,
    authorities: Option<Authorities>,
}

#[derive(Debug)]
struct Authorities {
    of_clients: Arc<dyn ClientCertVerifier>,
    of_servers: Arc<WebPkiServerVerifier>,
}

impl Contexts {
    fn new(identity: Identity, authorities: Option<&[u8]>) -> Result<Self, CredentialsError> {
        // TLS 1.2 and 1.3 with forward secrecy only: no older version (RFC 8996), none of the static
        // RSA suites that RFC 4975 section 14.2 still names (BCP 195).
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = authorities
            .map(|pem| Authorities::new(pem, &provider))
            .transpose()?;
        let anyone = Arc::new(Anyone {
            algorithms: provider.signature_verification_algorithms,
            is_certificate_needed: authorities.is_some(),
        });
        let fingerprint = fingerprint(HashFunction::Sha256, &identity.chain[0]);
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(CredentialsError::Pair)?
            .with_client_cert_verifier(Arc::clone(&anyone) as _)
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(CredentialsError::Pair)?;
        // Connections last; to remember sessions would share state between the shards.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(CredentialsError::Pair)?
            .dangerous()
            .with_custom_certificate_verifier(anyone)
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(CredentialsError::Pair)?;
        client.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
            fingerprint,
            authorities,
        })
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// The fingerprints of the certificate shown, and whether somebody vouches for it: as that of
    /// `server`, or of anybody who connects to us.
    pub(super) fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        server: Option<&ServerName<'_>>,
    ) -> (Box<[Fingerprint]>, bool) {
        let Some((own, above)) = chain.split_first() else {
            return (
                Box::default(),
                server.is_none() && self.authorities.is_none(),
            );
        };
        let prints = HashFunction::ALL.map(|hash| fingerprint(hash, own));
        let now = UnixTime::since_unix_epoch(unix_time());
        let is_vouched = match (&self.authorities, server) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(authorities), None) => {
                let verifier = &authorities.of_clients;
                verifier.verify_client_cert(own, above, now).is_ok()
            }
            (Some(authorities), Some(name)) => {
                let verifier = &authorities.of_servers;
                let verdict = verifier.verify_server_cert(own, above, name, &[], now);
                verdict.is_ok()
            }
        };
        (prints.into(), is_vouched)
    }
}

impl Authorities {
    fn new(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Self, CredentialsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates_of(pem).map_err(CredentialsError::Authority)? {
            roots
                .add(certificate)
                .map_err(|error| CredentialsError::Authority(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let of_clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider))
                .build()
                .map_err(|error| CredentialsError::Authority(error.to_string()))?;
        let of_servers = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
            .build()
            .map_err(|error| CredentialsError::Authority(error.to_string()))?;
        Ok(Self {
            of_clients,
            of_servers,
        })
    }
}

/// The time by the wall clock, against which certificates are valid.
fn unix_time() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

fn fingerprint(hash: HashFunction, certificate: &CertificateDer<'_>) -> Fingerprint {
    let algorithm = match hash {
        HashFunction::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        HashFunction::Sha256 => &digest::SHA256,
        HashFunction::Sha384 => &digest::SHA384,
        HashFunction::Sha512 => &digest::SHA512,
    };
    let octets = digest::digest(algorithm, certificate).as_ref().into();
    Fingerprint { hash, octets }
}

/// Lets anybody in who proves to own the key of the certificate shown. Whether it is the right one is
/// known only when a session is named, since the fingerprint stands in its signalling.
#[derive(Debug)]
struct Anyone {
    algorithms: WebPkiSupportedAlgorithms,
    is_certificate_needed: bool,
}

impl ClientCertVerifier for Anyone {
    fn client_auth_mandatory(&self) -> bool {
        self.is_certificate_needed
    }

    /// No hints: they would keep those from showing their certificate whom a fingerprint vouches for.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ClientCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
