//! HTTPS: certificates by server name, read again when their files change, or one of our own making (RFC 8446, RFC 6066 §3).
//!
//! A self-signed certificate lets browsers on a LAN publish after one warning; they give no camera to a page without TLS.

use futures_rustls::TlsAcceptor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto::CryptoProvider};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

/// Where certificates come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsConfig {
    /// Files in PEM: each a certificate chain with its private key. The first answers clients whose name no other covers.
    pub files: Vec<CertificateFiles>,
    /// The names and addresses of a certificate that is made at each start. None is made when this is empty.
    pub self_signed: Vec<String>,
}

/// A certificate's files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub chain: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The self-signed one could not be made.
    #[error("a self-signed certificate for {0} cannot be made: {1}")]
    SelfSigned(String, String),
    /// There is none.
    #[error("HTTPS needs a certificate: name files, or ask for a self-signed one")]
    None,
}

/// The certificates in use.
#[derive(Debug)]
pub struct Certificates {
    config: TlsConfig,
    provider: Arc<CryptoProvider>,
    made: Option<Arc<CertifiedKey>>,
    loaded: RwLock<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    keys: Vec<Arc<CertifiedKey>>,
    /// When the files were written, in their order: chain, key, chain, key, …
    written: Vec<Option<SystemTime>>,
}

impl Certificates {
    /// Reads the files, and makes the self-signed certificate.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used, or that there is no certificate at all.
    pub fn load(config: TlsConfig) -> Result<Arc<Certificates>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let made = if config.self_signed.is_empty() { None } else { Some(make(&config.self_signed, &provider)?) };
        if made.is_none() && config.files.is_empty() {
            return Err(TlsError::None);
        }
        let loaded = RwLock::new(read_all(&config.files, &provider)?);
        Ok(Arc::new(Certificates { config, provider, made, loaded }))
    }

    /// Reads the files again if one of them was written since. Open connections stay, and so do the present certificates when
    /// the new ones cannot be used.
    ///
    /// # Errors
    ///
    /// What is wrong with the new ones.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let is_same = self.loaded.read().unwrap_or_else(PoisonError::into_inner).written == written(&self.config.files);
        if is_same {
            return Ok(false);
        }
        let loaded = read_all(&self.config.files, &self.provider)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    /// What takes the handshakes of connections: TLS 1.2 and 1.3, HTTP/1.1.
    ///
    /// # Errors
    ///
    /// When the crypto library has no version of TLS in common with us, which would be a fault of the build.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, rustls::Error> {
        let versions =
            ServerConfig::builder_with_provider(self.provider.clone()).with_safe_default_protocol_versions()?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = loaded.keys.iter().chain(&self.made);
        let covering = name
            .and_then(|name| ServerName::try_from(name).ok())
            .and_then(|name| all.clone().find(|key| covers(key, &name)));
        covering.or_else(|| all.next()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

fn covers(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.end_entity_cert().ok().and_then(|der| webpki::EndEntityCert::try_from(der).ok());
    certificate.is_some_and(|certificate| certificate.verify_is_valid_for_subject_name(name).is_ok())
}

fn written(files: &[CertificateFiles]) -> Vec<Option<SystemTime>> {
    let paths = files.iter().flat_map(|files| [&files.chain, &files.key]);
    paths.map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok()).collect()
}

fn read_all(files: &[CertificateFiles], provider: &CryptoProvider) -> Result<Loaded, TlsError> {
    // Before the reading: what is written meanwhile is read the next time.
    let written = written(files);
    let keys: Result<Vec<_>, TlsError> = files.iter().map(|files| read(files, provider)).collect();
    Ok(Loaded { keys: keys?, written })
}

fn read(files: &CertificateFiles, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes_of(&files.chain)?)
        .collect::<Result<_, _>>()
        .map_err(|error| fault(&files.chain, format!("it is no PEM: {error}")))?;
    if chain.is_empty() {
        return Err(fault(&files.chain, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes_of(&files.key)?)
        .map_err(|error| fault(&files.key, format!("there is no private key in it: {error}")))?;
    let unusable =
        |error: rustls::Error| fault(&files.key, format!("it does not go with {}: {error}", files.chain.display()));
    CertifiedKey::from_der(chain, key, provider).map(Arc::new).map_err(unusable)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error: io::Error| fault(path, format!("it cannot be read: {error}")))
}

fn fault(path: &Path, reason: String) -> TlsError {
    TlsError::File { path: path.to_owned(), reason }
}

fn make(names: &[String], provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let failed = |error: String| TlsError::SelfSigned(names.join(", "), error);
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(|error| failed(error.to_string()))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|error| failed(error.to_owned()))?;
    let chain = vec![made.cert.der().clone()];
    CertifiedKey::from_der(chain, key, provider).map(Arc::new).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn write_pair(folder: &Path, name: &str) -> CertificateFiles {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&chain, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        CertificateFiles { chain, key }
    }

    fn end_entity(certificates: &Certificates, name: Option<&str>) -> Vec<u8> {
        certificates.find(name).expect("a certificate").end_entity_cert().unwrap().to_vec()
    }

    #[test]
    fn the_certificate_is_the_one_whose_name_is_asked_for_and_else_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let files = vec![write_pair(folder.path(), "a.example"), write_pair(folder.path(), "b.example")];
        let self_signed = vec!["c.example".to_owned(), "192.0.2.1".to_owned()];
        let certificates = Certificates::load(TlsConfig { files, self_signed }).unwrap();
        let all = ["a.example", "b.example", "c.example"].map(|name| end_entity(&certificates, Some(name)));
        assert!(all[0] != all[1] && all[1] != all[2]);
        for other in [None, Some("d.example"), Some("not a name")] {
            assert_eq!(end_entity(&certificates, other), all[0]);
        }
        assert!(certificates.acceptor().is_ok());
    }

    #[test]
    fn files_that_were_written_again_are_read_again_and_bad_ones_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = write_pair(folder.path(), "a.example");
        let config = TlsConfig { files: vec![files.clone()], self_signed: vec![] };
        let certificates = Certificates::load(config).unwrap();
        let first = end_entity(&certificates, None);
        assert!(!certificates.refresh().unwrap());
        let later = |path: &Path, by: u64| {
            let file = fs::File::options().append(true).open(path).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(by)).unwrap();
        };
        write_pair(folder.path(), "a.example");
        later(&files.key, 10);
        assert!(certificates.refresh().unwrap());
        let second = end_entity(&certificates, None);
        assert_ne!(first, second);
        fs::write(&files.chain, "rubbish").unwrap();
        later(&files.chain, 20);
        assert!(certificates.refresh().is_err());
        assert_eq!(end_entity(&certificates, None), second);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (write_pair(folder.path(), "a.example"), write_pair(folder.path(), "b.example"));
        let load = |chain: &Path, key: &Path| {
            let files = vec![CertificateFiles { chain: chain.to_owned(), key: key.to_owned() }];
            Certificates::load(TlsConfig { files, self_signed: vec![] }).unwrap_err().to_string()
        };
        assert!(load(&one.chain, &other.key).contains("b.example.key: it does not go with"));
        assert!(load(&one.key, &one.key).contains("a.example.key: there is no certificate in it"));
        assert!(load(&one.chain, &one.chain).contains("a.example.pem: there is no private key in it"));
        assert!(load(&folder.path().join("none"), &one.key).contains("none: it cannot be read"));
        assert!(matches!(Certificates::load(TlsConfig::default()), Err(TlsError::None)));
    }
}
