//! The sandbox's own certificate authority, minted at start and never written except as its public certificate. A CA
//! and separate leaves, because rustls refuses a CA certificate that is used as a server's own.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{CipherSuite, ServerConfig};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

/// Why a certificate could not be made.
#[derive(Debug, Error)]
pub enum CertError {
    #[error("cannot mint the sandbox's certificate for {what}: {source}")]
    Mint { what: String, source: rcgen::Error },
    #[error("cannot use the sandbox's certificate for TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A leaf certificate and its private key, both PEM.
#[derive(Clone)]
pub struct Issued {
    pub cert_pem: String,
    pub key_pem: String,
    cert_der: CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// The certificate authority of one sandbox run. Its key lives in memory only.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    ca_pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("ca_pem", &self.ca_pem).finish_non_exhaustive()
    }
}

impl Authority {
    /// Mints the authority: valid from yesterday, for 30 days.
    pub fn new() -> Result<Self, CertError> {
        let fail = |source| CertError::Mint { what: "the authority".into(), source };
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "drtui sandbox authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        valid_for_a_month(&mut params);
        let key = KeyPair::generate().map_err(fail)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(fail)?;
        Ok(Authority { ca_pem: issuer.pem(), issuer })
    }

    /// The authority's certificate, for clients' trust stores.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Issues a server certificate for `names` (DNS names or addresses), and always `localhost` and `127.0.0.1`.
    pub fn issue(&self, names: &[&str]) -> Result<Issued, CertError> {
        let mut all: Vec<String> = vec!["localhost".into(), "127.0.0.1".into()];
        for name in names {
            if !all.iter().any(|known| known == name) {
                all.push((*name).to_owned());
            }
        }
        let what = all.join(", ");
        let fail = |source| CertError::Mint { what: what.clone(), source };
        let mut params = CertificateParams::new(all.clone()).map_err(fail)?;
        let common = names.first().copied().unwrap_or("localhost");
        params.distinguished_name.push(DnType::CommonName, common);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid_for_a_month(&mut params);
        let key = KeyPair::generate().map_err(fail)?;
        let cert = params.signed_by(&key, &self.issuer).map_err(fail)?;
        Ok(Issued {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            cert_der: cert.der().clone(),
            key_der: key.serialize_der(),
        })
    }

    /// A TLS server configuration (HTTP/1.1) with a fresh leaf for `names`.
    pub fn server_config(&self, names: &[&str]) -> Result<Arc<ServerConfig>, CertError> {
        let issued = self.issue(names)?;
        let mut provider = rustls::crypto::ring::default_provider();
        // As Go's servers, and with them the real API server: 128 bits first, whatever the client would rather have.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        let provider = Arc::new(provider);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.key_der));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert_der], key)?;
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn valid_for_a_month(params: &mut CertificateParams) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(30);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_and_authority_differ_and_make_a_server() {
        let authority = Authority::new().unwrap();
        let leaf = authority.issue(&["sandbox.example"]).unwrap();
        assert_ne!(leaf.cert_pem, authority.ca_pem());
        assert!(leaf.key_pem.contains("PRIVATE KEY"));
        assert!(!format!("{leaf:?}").contains("PRIVATE KEY"), "a key must not reach a log");
        authority.server_config(&[]).unwrap();
    }
}
