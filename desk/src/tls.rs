//! Certificates for the doors.
//!
//! A door whose certificate cannot be read does not open: it never falls back to plain text.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Where a certificate and its key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those that it is signed with, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// Why a door cannot be secured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificate, or no key.
    #[error("{path} holds no {what} as PEM")]
    Pem {
        /// The file.
        path: String,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key do not go together.
    #[error("the certificate and its key cannot be used")]
    Pair(#[source] rustls::Error),
}

/// Certificate and key, read.
pub(crate) struct Tls {
    chain: Vec<CertificateDer<'static>>,
    secret: PrivateKeyDer<'static>,
}

impl Tls {
    /// Reads both files and checks that they go together.
    ///
    /// # Errors
    /// They cannot be read or used.
    pub(crate) fn read(files: &TlsFiles) -> Result<Tls, TlsError> {
        let certificate = read(&files.certificate)?;
        let key = read(&files.key)?;
        let pem = |path: &Path, what| TlsError::Pem { path: path.display().to_string(), what };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| pem(&files.certificate, "certificate"))?;
        let secret =
            PrivateKeyDer::from_pem_slice(&key).map_err(|_| pem(&files.key, "private key"))?;
        let tls = Tls { chain, secret };
        tls.acceptor(&[])?;
        Ok(tls)
    }

    /// What secures the connections of a door that speaks one of these protocols.
    ///
    /// # Errors
    /// Certificate and key do not go together.
    pub(crate) fn acceptor(&self, protocols: &[&[u8]]) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.secret.clone_key())
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path)
        .map_err(|source| TlsError::File { path: path.display().to_string(), source })
}
