//! TLS to a running instance, and whether it is asked for: `sslmode` and `sslrootcert` as other
//! clients of PostgreSQL have them, in the address or as `PGSSLMODE` and `PGSSLROOTCERT`.
//!
//! Who shows a certificate is always checked, since a password goes there: it must be signed by one
//! that `sslrootcert` holds, or that this machine trusts, and must be the host's own. Only
//! `verify-ca` lets the name be another. Whether there is one is left to the other end, unless the
//! mode says `require` or more; who says whom to trust, in the address and without a mode, does not
//! want plain text.
//!
//! What it does not do: bind passwords to the channel, which the doors do not offer; show a
//! certificate of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use gridloom::problem::Told;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::ChannelBinding;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::tls::TlsConnect;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;
use tokio_rustls::rustls::CertificateError;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::DigitallySignedStruct;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::client::danger::ServerCertVerified;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Where the mode may stand, as with other clients of PostgreSQL.
const MODE: &str = "PGSSLMODE";

/// Where the file of those who are trusted may stand.
const ROOTS: &str = "PGSSLROOTCERT";

/// The name of those whom this machine trusts, in place of a file.
const SYSTEM: &str = "system";

/// How to say whom to trust.
const HINT: &str = "name the certificate of whoever signed it: sslrootcert=FILE in the address, \
                    or PGSSLROOTCERT";

/// What an address and the environment say of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    mode: Option<String>,
    roots: Option<String>,
    /// Whether the address itself says whom to trust.
    said: bool,
}

/// How to secure connections.
#[derive(Clone)]
pub(super) struct Tls {
    /// Those who are trusted, with the name of their file; `None` for this machine's.
    roots: Option<(String, Arc<RootCertStore>)>,
    /// Whether the certificate must be the host's own.
    named: bool,
}

impl Asked {
    /// Takes what is said of TLS out of an address; what is not said there, the environment may.
    pub(super) fn take(url: &str) -> (String, Asked) {
        let (url, mut asked) = split(url);
        asked.said = asked.roots.is_some();
        let environment = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        asked.mode = asked.mode.or_else(|| environment(MODE));
        asked.roots = asked.roots.or_else(|| environment(ROOTS));
        (url, asked)
    }

    /// The mode that is meant, if one is, and how to secure connections.
    ///
    /// # Errors
    /// There is no such mode, or the file of those who are trusted cannot be read.
    pub(super) fn read(self) -> Result<(Option<SslMode>, Tls), Told> {
        let (mode, named) = match self.mode.as_deref() {
            None => (self.said.then_some(SslMode::Require), true),
            Some("disable") => (Some(SslMode::Disable), true),
            Some("prefer") => (Some(SslMode::Prefer), true),
            Some("require" | "verify-full") => (Some(SslMode::Require), true),
            Some("verify-ca") => (Some(SslMode::Require), false),
            Some(other) => {
                let hint = "there are disable, prefer, require, verify-ca and verify-full";
                return Err(Told::new(format!("there is no sslmode {other:?}"), hint));
            }
        };
        let file = self.roots.filter(|roots| roots != SYSTEM && mode != Some(SslMode::Disable));
        let roots = file.map(|file| of_file(&file).map(|store| (file, Arc::new(store))));
        Ok((mode, Tls { roots: roots.transpose()?, named }))
    }
}

/// An address without what it says of TLS, and that.
fn split(url: &str) -> (String, Asked) {
    let mut asked = Asked::default();
    // A password may hold a question mark.
    let host = url.find('@').unwrap_or(0);
    let Some(query) = url[host..].find('?').map(|at| host + at) else {
        return (url.to_owned(), asked);
    };
    let mut rest = Vec::new();
    for pair in url[query + 1..].split('&') {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => asked.mode = Some(decoded(mode)),
            Some(("sslrootcert", roots)) => asked.roots = Some(decoded(roots)),
            _ => rest.push(pair),
        }
    }
    let url = match rest.is_empty() {
        true => url[..query].to_owned(),
        false => format!("{}?{}", &url[..query], rest.join("&")),
    };
    (url, asked)
}

/// A value of an address's query: `%2F` is a slash.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.filter(|_| *first == b'%');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Those whose certificates a file holds.
fn of_file(file: &str) -> Result<RootCertStore, Told> {
    let pem = std::fs::read(file)
        .map_err(|error| Told::new(format!("sslrootcert {file} cannot be read: {error}"), HINT))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map_err(|error| error.to_string());
        let added = added.and_then(|der| store.add(der).map_err(|error| error.to_string()));
        added.map_err(|error| Told::new(format!("sslrootcert {file}: {error}"), HINT))?;
    }
    match store.is_empty() {
        true => Err(Told::new(format!("sslrootcert {file} holds no certificate as PEM"), HINT)),
        false => Ok(store),
    }
}

/// Those whom this machine trusts.
fn of_system() -> Result<RootCertStore, Told> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match store.is_empty() {
        true => Err(Told::new("this machine trusts no certificates", HINT)),
        false => Ok(store),
    }
}

impl Tls {
    /// What a handshake goes by. Made for each, since most connections are plain and loading all
    /// whom a machine trusts takes its time.
    fn config(&self) -> Result<ClientConfig, Told> {
        let roots = match &self.roots {
            Some((_, store)) => store.clone(),
            None => Arc::new(of_system()?),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let failed = |error: &dyn std::fmt::Display| Told {
            message: format!("TLS cannot be begun: {error}"),
            hint: None,
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
        let verifier = verifier.build().map_err(|error| failed(&error))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?;
        let config = match self.named {
            true => config.with_webpki_verifier(verifier),
            false => {
                let verifier = Arc::new(OfAnyName(verifier));
                config.dangerous().with_custom_certificate_verifier(verifier)
            }
        };
        Ok(config.with_no_client_auth())
    }

    /// A failed handshake in words.
    fn told(&self, host: &str, error: &std::io::Error) -> Told {
        let trusted = match &self.roots {
            Some((file, _)) => format!("by none that sslrootcert {file} holds"),
            None => "by nobody whom this machine trusts".to_owned(),
        };
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(wrong)) = cause else {
            return Told { message: format!("TLS with {host} failed: {error}"), hint: None };
        };
        match wrong {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Told::new(format!("the certificate of {host} is signed {trusted}"), HINT)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                let hint = "ask for a name that stands in it, or say sslmode=verify-ca";
                Told::new(format!("the certificate that {host} shows is another's: {error}"), hint)
            }
            _ => {
                let hint = "give the door a certificate that is valid, for a server, and no \
                            authority's (basicConstraints=CA:FALSE)";
                Told::new(format!("the certificate of {host} is refused: {error}"), hint)
            }
        }
    }
}

/// Checks all of a certificate but whose it is.
#[derive(Debug)]
struct OfAnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for OfAnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last: all else was right.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Secures one connection to a host.
pub(super) struct Handshake {
    tls: Tls,
    host: String,
}

/// A secured connection.
pub(super) struct Secured<S>(TlsStream<S>);

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Secured<S>;
    type TlsConnect = Handshake;
    type Error = Told;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Told> {
        Ok(Handshake { tls: self.clone(), host: host.to_owned() })
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Secured<S>;
    type Error = Told;
    type Future = Pin<Box<dyn Future<Output = Result<Secured<S>, Told>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let Handshake { tls, host } = self;
            let connector = TlsConnector::from(Arc::new(tls.config()?));
            let name = ServerName::try_from(host.clone()).map_err(|error| Told {
                message: format!("{host:?} is no name that a certificate can have: {error}"),
                hint: None,
            })?;
            let secured = connector.connect(name, stream).await;
            secured.map(Secured).map_err(|error| tls.told(&host, &error))
        })
    }
}

impl<S> tokio_postgres::tls::TlsStream for Secured<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S> AsyncRead for Secured<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S> AsyncWrite for Secured<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, rest: &str, mode: Option<&str>, roots: Option<&str>) {
        let asked =
            Asked { mode: mode.map(str::to_owned), roots: roots.map(str::to_owned), said: false };
        assert_eq!(split(url), (rest.to_owned(), asked));
    }

    #[test]
    fn what_is_said_of_tls_is_taken_out_of_the_address() {
        let plain = "postgresql://admin@h:1/";
        check(plain, plain, None, None);
        check("postgresql://admin@h:1/?sslmode=require", plain, Some("require"), None);
        check(
            "postgresql://a@h/?connect_timeout=5&sslrootcert=%2Fa%20b%2Fca.pem&sslmode=verify-ca",
            "postgresql://a@h/?connect_timeout=5",
            Some("verify-ca"),
            Some("/a b/ca.pem"),
        );
        check("postgresql://a:?x@h/?sslmode=prefer", "postgresql://a:?x@h/", Some("prefer"), None);
        check("postgresql://h/?sslrootcert=50%&a", "postgresql://h/?a", None, Some("50%"));
    }

    #[track_caller]
    fn mode(mode: Option<&str>, roots: Option<&str>, said: bool) -> (Option<SslMode>, bool) {
        let (mode, roots) = (mode.map(str::to_owned), roots.map(str::to_owned));
        let (mode, tls) = Asked { mode, roots, said }.read().unwrap();
        assert!(tls.roots.is_none());
        (mode, tls.named)
    }

    #[test]
    fn a_mode_says_whether_and_how_it_is_checked() {
        assert_eq!(mode(None, None, false), (None, true));
        assert_eq!(mode(None, Some("system"), true), (Some(SslMode::Require), true));
        assert_eq!(mode(Some("disable"), Some("gone"), true), (Some(SslMode::Disable), true));
        assert_eq!(mode(Some("prefer"), None, false), (Some(SslMode::Prefer), true));
        assert_eq!(mode(Some("verify-full"), None, false), (Some(SslMode::Require), true));
        assert_eq!(mode(Some("verify-ca"), None, false), (Some(SslMode::Require), false));
        let refused = Asked { mode: Some("allow".to_owned()), ..Asked::default() }.read();
        let said = refused.err().unwrap().message;
        assert_eq!(said, "there is no sslmode \"allow\"");
    }

    #[test]
    fn a_file_must_hold_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let file = file.to_str().unwrap();
        let told = || of_file(file).err().unwrap().message.replace(file, "FILE");
        let said = told();
        assert!(said.starts_with("sslrootcert FILE cannot be read: "), "{said}");
        std::fs::write(file, "no certificate").unwrap();
        assert_eq!(told(), "sslrootcert FILE holds no certificate as PEM");
    }
}
