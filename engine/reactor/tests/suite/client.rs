//! A blocking client over TCP, TLS, WebSocket or both: the far side of a real shard.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use reactor::{Credentials, Identity, Transport};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use socket2::SockRef;

/// Far more than anything takes; reached only when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const REQUEST: &str = "GET /msrp HTTP/1.1\r\nHost: mrf.example.net\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: msrp\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A socket whose calls go on after a signal.
struct Steady(TcpStream);

impl Read for Steady {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(space) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }
}

impl Write for Steady {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        loop {
            match self.0.write(octets) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Client {
    stream: Steady,
    tls: Option<rustls::Connection>,
    is_websocket: bool,
    /// Taken off the wire, not unframed yet.
    framed: Vec<u8>,
    /// For the test.
    plain: Vec<u8>,
    /// What the shard sent besides data: opcodes of control frames.
    pub(crate) controls: Vec<u8>,
    pub(crate) is_ended: bool,
}

impl Client {
    /// Over a connected socket, as the one who connected, handshakes included.
    pub(crate) fn connected(stream: TcpStream, transport: Transport) -> Self {
        let tls = transport.is_secure().then(|| {
            let name = ServerName::try_from("mrf.example.net").unwrap();
            let config = client_config(None);
            rustls::Connection::from(rustls::ClientConnection::new(config, name).unwrap())
        });
        let mut client = Self::new(stream, tls);
        client.write_wire(b"");
        if transport.is_websocket() {
            client.write_wire(REQUEST.as_bytes());
            client.read_response();
            client.is_websocket = true;
        }
        client
    }

    /// Over an accepted socket.
    pub(crate) fn accepted(stream: TcpStream, transport: Transport) -> Self {
        let tls = transport.is_secure().then(|| {
            let connection = rustls::ServerConnection::new(server_config()).unwrap();
            rustls::Connection::from(connection)
        });
        Self::new(stream, tls)
    }

    pub(crate) fn new(stream: TcpStream, tls: Option<rustls::Connection>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream: Steady(stream),
            tls,
            is_websocket: false,
            framed: Vec::new(),
            plain: Vec::new(),
            controls: Vec::new(),
            is_ended: false,
        }
    }

    fn read_response(&mut self) {
        loop {
            let end = self.framed.windows(4).position(|w| w == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.framed.drain(..end + 4).collect();
                let head = String::from_utf8(head).unwrap();
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                return;
            }
            assert!(self.read_wire(), "no response");
        }
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        if !self.is_websocket {
            self.write_wire(octets);
            return;
        }
        // Several fragments, of every way to write the length, with control frames between them.
        let mut wire = Vec::new();
        for (index, piece) in octets.chunks(70_000).enumerate() {
            let is_last = (index + 1) * 70_000 >= octets.len();
            let opcode = if index == 0 { 1 + u8::from(is_last) } else { 0 };
            frame(&mut wire, opcode, is_last, piece);
            frame(&mut wire, 9, true, b"are you there?");
        }
        self.write_wire(&wire);
    }

    /// Octets as they are, below the framing of WebSocket.
    pub(crate) fn write_wire(&mut self, octets: &[u8]) {
        let Some(tls) = &mut self.tls else {
            self.stream.write_all(octets).unwrap();
            return;
        };
        while tls.is_handshaking() {
            tls.complete_io(&mut self.stream).unwrap();
        }
        let mut written = 0;
        while written < octets.len() {
            written += tls.writer().write(&octets[written..]).unwrap();
            while tls.wants_write() {
                tls.write_tls(&mut self.stream).unwrap();
            }
        }
        while tls.wants_write() {
            tls.write_tls(&mut self.stream).unwrap();
        }
    }

    /// As [`Self::send`] on TLS, to a shard that may refuse the handshake.
    pub(crate) fn try_send(&mut self, octets: &[u8]) {
        let tls = self.tls.as_mut().unwrap();
        while tls.is_handshaking() {
            if tls.complete_io(&mut self.stream).is_err() {
                return;
            }
        }
        _ = tls.writer().write_all(octets);
        _ = tls.write_tls(&mut self.stream);
    }

    pub(crate) fn receive(&mut self, count: usize) -> Vec<u8> {
        while self.plain.len() < count {
            assert!(self.read(), "{} of {count} octets", self.plain.len());
        }
        self.plain.drain(..count).collect()
    }

    pub(crate) fn receive_end(&mut self) {
        while self.read() {}
        assert_eq!(self.plain, b"");
    }

    /// Reads until the end; whatever comes.
    pub(crate) fn receive_all(&mut self) -> Vec<u8> {
        while self.read() {}
        core::mem::take(&mut self.plain)
    }

    fn read(&mut self) -> bool {
        if self.framed.is_empty() && !self.read_wire() {
            return false;
        }
        if !self.is_websocket {
            self.plain.append(&mut self.framed);
            return true;
        }
        while let Some((opcode, payload, total)) = unframe(&self.framed) {
            if opcode < 8 {
                self.plain.extend_from_slice(&self.framed[payload..total]);
            } else {
                self.controls.push(opcode);
            }
            self.framed.drain(..total);
        }
        self.framed.is_empty() || self.read_wire()
    }

    /// Whether more came.
    fn read_wire(&mut self) -> bool {
        let Some(tls) = &mut self.tls else {
            let mut space = [0; 16 * 1024];
            return match self.stream.read(&mut space) {
                Ok(count) => {
                    self.framed.extend_from_slice(&space[..count]);
                    count > 0
                }
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                    false
                }
            };
        };
        loop {
            let mut space = [0; 16 * 1024];
            match tls.reader().read(&mut space) {
                Ok(0) => {
                    self.is_ended = true;
                    return false;
                }
                Ok(count) => {
                    self.framed.extend_from_slice(&space[..count]);
                    return true;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            while tls.wants_write() {
                if tls.write_tls(&mut self.stream).is_err() {
                    return false;
                }
            }
            if tls.read_tls(&mut self.stream).is_err() || tls.process_new_packets().is_err() {
                return false;
            }
        }
    }

    pub(crate) fn shutdown(&mut self) {
        if self.is_websocket {
            let mut wire = Vec::new();
            frame(&mut wire, 8, true, &1000u16.to_be_bytes());
            self.write_wire(&wire);
        }
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut self.stream).unwrap();
            }
        }
        match self.stream.0.shutdown(Shutdown::Write) {
            // The farewell above was answered already.
            Err(error) if error.kind() == std::io::ErrorKind::NotConnected => {}
            outcome => outcome.unwrap(),
        }
    }

    /// Ends the sending without any farewell of the layers.
    pub(crate) fn cut(&mut self) {
        self.stream.0.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn reset(self) {
        let socket = SockRef::from(&self.stream.0);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub(crate) fn tls(&self) -> &rustls::Connection {
        self.tls.as_ref().unwrap()
    }
}

/// A client's frame: masked.
pub(crate) fn frame(wire: &mut Vec<u8>, opcode: u8, is_final: bool, payload: &[u8]) {
    wire.push(opcode | if is_final { 0x80 } else { 0 });
    match payload.len() {
        short @ 0..126 => wire.push(0x80 | u8::try_from(short).unwrap()),
        medium @ 126..65_536 => {
            wire.push(0x80 | 126);
            wire.extend_from_slice(&u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            wire.push(0x80 | 127);
            wire.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    let mask = [7, 0, 255, 129];
    wire.extend_from_slice(&mask);
    wire.extend(payload.iter().zip(mask.iter().cycle()).map(|(o, m)| o ^ m));
}

/// A server's first frame, if it is whole: opcode, where its payload begins, where it ends.
fn unframe(wire: &[u8]) -> Option<(u8, usize, usize)> {
    let (&flags, &short) = (wire.first()?, wire.get(1)?);
    assert_eq!(short & 0x80, 0, "servers do not mask");
    assert_eq!(flags & 0x70, 0);
    let (payload, count) = match short {
        126 => (
            4,
            u16::from_be_bytes(wire.get(2..4)?.try_into().unwrap()).into(),
        ),
        127 => {
            let wide = u64::from_be_bytes(wire.get(2..10)?.try_into().unwrap());
            (10, usize::try_from(wide).unwrap())
        }
        short => (2, usize::from(short)),
    };
    let total = payload + count;
    (wire.len() >= total).then_some((flags & 0xF, payload, total))
}

/// Credentials of a shard.
pub(crate) fn credentials() -> Credentials {
    let identity = Identity::self_signed(&["mrf.example.net".to_owned()]).unwrap();
    Credentials::new(identity, None).unwrap()
}

/// A certificate and its key.
pub(crate) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["client.example.net".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    (made.cert.der().clone(), key)
}

/// A client that trusts anybody and shows `own`.
pub(crate) fn client_config(
    own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(trusts_anybody());
    Arc::new(match own {
        Some((certificate, key)) => builder
            .with_client_auth_cert(vec![certificate], key)
            .unwrap(),
        None => builder.with_no_client_auth(),
    })
}

fn server_config() -> Arc<ServerConfig> {
    let (certificate, key) = certificate();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}

/// A verifier of no use.
pub(crate) fn trusts_anybody() -> Arc<dyn ServerCertVerifier> {
    Arc::new(TrustsAnybody)
}

#[derive(Debug)]
struct TrustsAnybody;

impl ServerCertVerifier for TrustsAnybody {
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
