//! The certificate files: read at start and again when told to.

use std::path::Path;
use std::{fs, io};

use reactor::{Credentials, CredentialsError, Identity};

use crate::config::{Config, TlsFiles};

/// Octets of a file with certificates or a key; a larger one is refused.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why TLS cannot be set up; the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file}: {source}")]
    File {
        /// Which.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// What the files hold cannot be used.
    #[error("{files}: {source}")]
    Credentials {
        /// Which.
        files: String,
        /// Why not.
        source: CredentialsError,
    },
}

/// A handle to the certificates of a running MRFP.
#[derive(Clone, Debug)]
pub struct Tls {
    files: TlsFiles,
    credentials: Credentials,
}

impl Tls {
    /// Reads the files, or makes a certificate when there are none. `None` when nothing listens with
    /// TLS.
    pub(super) fn open(config: &Config) -> Result<Option<Self>, TlsError> {
        if !config.msrp.iter().any(|one| one.transport.is_secure()) {
            return Ok(None);
        }
        let names = config.msrp.iter().map(|one| one.addr.ip());
        let names = names.chain(config.advertise.map(|addr| addr.ip()));
        let names: Vec<_> = names.map(|ip| ip.to_string()).collect();
        let tls = Self {
            files: config.tls.clone(),
            credentials: read(&config.tls, &names)?,
        };
        tls.announce("TLS certificate in use");
        Ok(Some(tls))
    }

    /// Reads the files again. Handshakes to come use what they hold, connections stay as they are;
    /// sessions signalled with the fingerprint of the earlier certificate cannot be joined any more.
    ///
    /// # Errors
    ///
    /// When a file cannot be used; then everything stays as it is.
    pub fn reload(&self) -> Result<(), TlsError> {
        if self.files.certificate.is_none() {
            return Ok(()); // made at start: nothing to read
        }
        self.credentials.replace(&read(&self.files, &[])?);
        self.announce("TLS certificate reloaded");
        Ok(())
    }

    fn announce(&self, what: &str) {
        let fingerprint = self.credentials.fingerprint();
        let is_self_made = self.files.certificate.is_none();
        tracing::info!(%fingerprint, is_self_made, "{what}");
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

fn read(files: &TlsFiles, names: &[String]) -> Result<Credentials, TlsError> {
    let wrong = |path: &Path| {
        let files = path.display().to_string();
        move |source| TlsError::Credentials { files, source }
    };
    let authorities = files.client_ca.as_deref().map(read_file).transpose()?;
    let (identity, path) = match &files.certificate {
        None => {
            let path = Path::new("self-signed certificate");
            (Identity::self_signed(names).map_err(wrong(path))?, path)
        }
        Some(path) => {
            let key = files.key.as_deref().unwrap_or(path);
            let identity = Identity::from_pem(&read_file(path)?, &read_file(key)?);
            (identity.map_err(wrong(path))?, path.as_path())
        }
    };
    Credentials::new(identity, authorities.as_deref()).map_err(|error| match error {
        CredentialsError::Authority(_) => {
            let path = files.client_ca.as_deref().unwrap_or(path);
            wrong(path)(error)
        }
        CredentialsError::Certificate(_)
        | CredentialsError::Key(_)
        | CredentialsError::Pair(_)
        | CredentialsError::SelfSigned(_) => wrong(path)(error),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        if fs::metadata(path)?.len() > FILE_BYTES_MAX {
            let text = format!("larger than {FILE_BYTES_MAX} octets");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        fs::read(path)
    };
    read().map_err(|source| TlsError::File {
        file: path.display().to_string(),
        source,
    })
}
