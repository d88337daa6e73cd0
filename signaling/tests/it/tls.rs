//! HTTPS over real TCP.

use crate::wire::Running;
use oneport_signaling::http::{Deadlines, HttpConfig, Listener, Request, Response};
use oneport_signaling::server::Server;
use oneport_signaling::tls::{Certificates, TlsConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned, version};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Takes whatever certificate comes: which one it is, is not what is tested here.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
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
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}

async fn echo(request: Request) -> Response {
    Response::new(200).with_body("text/plain", format!("{} {}", request.path, "x".repeat(100_000)).into_bytes())
}

/// A server of both kinds, and the address of its HTTPS.
fn start() -> (Running, SocketAddr) {
    let secure = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let address = secure.local_addr();
    let short = Duration::from_millis(200);
    let config = HttpConfig { deadlines: Deadlines { head: short, ..Deadlines::default() }, ..HttpConfig::default() };
    let running = Running::start_server(move |listener| {
        let tls = TlsConfig { self_signed: vec!["localhost".to_owned()], ..TlsConfig::default() };
        let acceptor = Certificates::load(tls).expect("a certificate").acceptor().expect("TLS");
        Server::new(listener, config, echo).with_tls(secure, acceptor)
    });
    (running, address)
}

fn connect(
    address: SocketAddr,
    version: &'static rustls::SupportedProtocolVersion,
) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).expect("a version");
    let trusting = versions.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate));
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(trusting.with_no_client_auth()), name).expect("a client");
    let socket = TcpStream::connect(address).expect("the server accepts");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    StreamOwned::new(connection, socket)
}

#[test]
fn both_versions_of_tls_keep_a_connection_and_end_it_in_order() {
    let (_server, address) = start();
    for version in [&version::TLS12, &version::TLS13] {
        let mut client = connect(address, version);
        let request = |path: &str, last: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{last}\r\n");
        client.write_all(request("/one", "").as_bytes()).expect("the server reads");
        client.write_all(request("/two", "Connection: close\r\n").as_bytes()).expect("the server reads");
        let mut all = String::new();
        // An end without close_notify would be an error here.
        client.read_to_string(&mut all).expect("an orderly end");
        assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 2);
        assert!(all.contains("/one x") && all.contains("/two x") && all.len() > 200_000);
    }
}

#[test]
fn what_is_no_tls_and_who_says_nothing_is_let_go_and_others_are_served() {
    let (server, address) = start();
    let mut plain = TcpStream::connect(address).expect("the server accepts");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("the kernel takes it");
    let mut silent = TcpStream::connect(address).expect("the server accepts");
    for stream in [&mut plain, &mut silent] {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP"));
    }
    let mut client = connect(address, &version::TLS13);
    client.write_all(b"GET /on HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("the server reads");
    let mut all = String::new();
    client.read_to_string(&mut all).expect("an orderly end");
    assert!(all.contains("/on x"));
    let mut http = server.connect();
    http.send("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(http.answer().status, 200);
}
