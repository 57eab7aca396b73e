//! TLS as a client speaks it. Records are decrypted where they lie: with ten recipients for each sender
//! a copy more would make the generator slower than what it measures.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use ring::digest;
use rustls::client::UnbufferedClientConnection;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedCipherSuite,
};

use super::WireFault;

/// Plaintext of the largest record (RFC 8446 section 5.1).
pub(super) const RECORD_BYTES: usize = 16_384;

/// What a record adds at most: header, nonce or type, tag (RFC 5246 section 6.2.3.3, RFC 8446 section 5.2).
const RECORD_OVERHEAD: usize = 40;

/// SHA-256 of a certificate.
pub(crate) type Fingerprint = [u8; 32];

/// Shared by all connections.
pub(crate) type TlsConfig = Arc<ClientConfig>;

/// One connection.
pub(crate) struct Tls {
    connection: UnbufferedClientConnection,
    /// The beginning of a record.
    incoming: Vec<u8>,
    expected: Option<Fingerprint>,
    is_open: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("incoming", &self.incoming.len())
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

/// What all connections are made with: TLS 1.2 and 1.3, no certificate of ours, and AES-128 first, as
/// browsers offer it.
pub(crate) fn config() -> anyhow::Result<TlsConfig> {
    let mut provider = rustls::crypto::ring::default_provider();
    let is_later =
        |suite: &SupportedCipherSuite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(is_later);
    let provider = Arc::new(provider);
    let signalled = Signalled(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(signalled))
        .with_no_client_auth();
    // Every participant is another client.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

impl Tls {
    pub(super) fn connect(
        config: &TlsConfig,
        host: IpAddr,
        expected: Option<Fingerprint>,
    ) -> Result<Self, WireFault> {
        let name = ServerName::from(host);
        Ok(Self {
            connection: UnbufferedClientConnection::new(Arc::clone(config), name)?,
            incoming: Vec::new(),
            expected,
            is_open: false,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Takes octets from the wire; plaintext goes to `hear`, what the handshake has to say to `out`.
    pub(super) fn receive(
        &mut self,
        wire: &[u8],
        out: &mut Vec<u8>,
        mut hear: impl FnMut(&[u8]) -> Result<(), WireFault>,
    ) -> Result<(), WireFault> {
        self.incoming.extend_from_slice(wire);
        let mut done = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self
                .connection
                .process_tls_records(&mut self.incoming[done..]);
            let mut is_waiting = false;
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        hear(record.payload)?;
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    let encode = |space: &mut [u8]| match data.encode(space) {
                        Ok(count) => Ok(count),
                        Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
                        Err(EncodeError::AlreadyEncoded) => Err(None),
                    };
                    append(out, 0, encode)?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(_) => {
                    self.is_open = true;
                    is_waiting = true;
                }
                ConnectionState::BlockedHandshake
                | ConnectionState::PeerClosed
                | ConnectionState::Closed => is_waiting = true,
                // Clients are not sent any, and the enumeration may grow.
                ConnectionState::ReadEarlyData(_) | _ => {
                    return Err(WireFault::Buffer("an unknown state".to_owned()));
                }
            }
            done += discard;
            if is_waiting {
                break;
            }
        }
        self.incoming.drain(..done);
        self.check()
    }

    /// Once: whether the certificate is the one that was signalled.
    fn check(&mut self) -> Result<(), WireFault> {
        if !self.is_open {
            return Ok(());
        }
        let Some(expected) = self.expected.take() else {
            return Ok(());
        };
        let shown = self.connection.peer_certificates().and_then(<[_]>::first);
        let is_same = shown.is_some_and(|certificate| {
            digest::digest(&digest::SHA256, certificate).as_ref() == expected
        });
        is_same.then_some(()).ok_or(WireFault::Fingerprint)
    }

    /// Encrypts after the handshake.
    pub(super) fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), WireFault> {
        if plain.is_empty() {
            return Ok(());
        }
        let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
        let ConnectionState::WriteTraffic(mut traffic) = state? else {
            return Err(WireFault::Buffer("not ready to write".to_owned()));
        };
        let likely = plain.len() + plain.len().div_ceil(RECORD_BYTES) * RECORD_OVERHEAD;
        append(out, likely, |space| match traffic.encrypt(plain, space) {
            Ok(count) => Ok(count),
            Err(EncryptError::InsufficientSize(size)) => Err(Some(size.required_size)),
            Err(EncryptError::EncryptExhausted) => Err(None),
        })
    }
}

/// Lets `write` fill what follows in `out`: with `likely` octets of space, else with what it asks for.
fn append(
    out: &mut Vec<u8>,
    likely: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), WireFault> {
    let start = out.len();
    out.resize(start + likely, 0);
    let written = write(&mut out[start..]).or_else(|needed| {
        let needed = needed.ok_or(WireFault::Buffer("exhausted".to_owned()))?;
        out.resize(start + needed, 0);
        write(&mut out[start..])
            .map_err(|_| WireFault::Buffer("too small for what it asked for".to_owned()))
    })?;
    out.truncate(start + written);
    Ok(())
}

/// Lets anybody in who owns the key of the certificate shown: whether it is the right one is compared
/// with the signalling afterwards.
#[derive(Debug)]
struct Signalled(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Signalled {
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
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
