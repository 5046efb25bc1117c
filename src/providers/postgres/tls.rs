//! Whom to believe that a server is who it says. Certificates and names are verified whenever TLS is used: what libpq
//! does for `require` (nothing) is not enough for a tunnel that ends on this machine's loopback.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::super::words;
use super::error::PostgresError;

/// A file of certificates is not larger.
const CA_MAX: u64 = 4 << 20;

/// Ready to verify servers; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls {
    pub(super) client: Arc<ClientConfig>,
    /// The certificate authorities' file, `None` for the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificates and names are not looked at: the way out that somebody chose by name.
    pub unverified: bool,
}

impl Tls {
    /// Believes the authorities in `ca_file` and no others; without one, the system's.
    ///
    /// # Errors
    /// [`PostgresError::Setup`] when there are none, or the file cannot be used.
    pub async fn load(ca_file: Option<&Path>) -> Result<Tls, PostgresError> {
        let path = ca_file.map(Path::to_owned);
        let read = tokio::task::spawn_blocking(move || match path {
            Some(path) => from_file(&path),
            None => from_system(),
        });
        let roots = read.await.map_err(|e| setup(words::cause(&e)))??;
        let client = builder()?.with_root_certificates(roots).with_no_client_auth();
        Ok(Tls { client: Arc::new(client), ca_file: ca_file.map(Path::to_owned), unverified: false })
    }

    /// Believes anybody. Only for somebody who has been asked, by the server's name.
    ///
    /// # Errors
    /// [`PostgresError::Setup`] when TLS itself cannot be set up.
    pub fn unverified() -> Result<Tls, PostgresError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Anybody(provider));
        let client = builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(Tls { client: Arc::new(client), ca_file: None, unverified: true })
    }
}

fn setup(why: String) -> PostgresError {
    PostgresError::Setup { why }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, PostgresError> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| setup(format!("cannot set up TLS: {e}")))
}

fn from_file(path: &Path) -> Result<RootCertStore, PostgresError> {
    let unusable =
        |why: String| setup(format!("cannot use the certificate authorities in {}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| unusable(words::cause(&e)))?.len();
    if size > CA_MAX {
        return Err(unusable("the file is too large".to_owned()));
    }
    let pem = std::fs::read(path).map_err(|e| unusable(words::cause(&e)))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
        roots.add(certificate).map_err(|e| unusable(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no PEM certificate".to_owned()));
    }
    Ok(roots)
}

fn from_system() -> Result<RootCertStore, PostgresError> {
    let mut roots = RootCertStore::empty();
    // Some systems carry certificates that cannot be used; the rest is enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(no_system_roots());
    }
    Ok(roots)
}

fn no_system_roots() -> PostgresError {
    setup("this system has no certificate authorities: install ca-certificates, or name a CA file".to_owned())
}

/// The system's certificate authorities as PEM, for programs that want a file. Reads files: not for an async task.
///
/// # Errors
/// [`PostgresError::Setup`] when there are none.
pub fn system_roots_pem() -> Result<String, PostgresError> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return Err(no_system_roots());
    }
    let mut pem = String::new();
    for certificate in &found {
        let text = STANDARD.encode(certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    Ok(pem)
}

/// Accepts every certificate; signatures are still checked, so that a broken handshake is not taken for a working one.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
