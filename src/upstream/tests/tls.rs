//! TLS: a certificate that is trusted, and everything that is not.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{order::SiteId, upstream::Transport};

/// A server on localhost with a certificate of its own, which answers every connection's first request with this.
struct TlsServer {
    url: String,
    trusted: ClientConfig,
    accepting: JoinHandle<()>,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A server's side for this name, and a client's that trusts it.
fn certified(name: &str) -> (TlsAcceptor, ClientConfig) {
    let own = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let mut trusted = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    trusted.alpn_protocols = vec![b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(server)), trusted)
}

async fn serve(certified_name: &str, response: Vec<u8>) -> TlsServer {
    let (acceptor, trusted) = certified(certified_name);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let accepting = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            if tls.read(&mut [0; 16 * 1024]).await.is_ok_and(|read| read > 0) {
                tls.write_all(&response).await.unwrap();
                let _: std::io::Result<()> = tls.shutdown().await;
            }
        }
    });
    TlsServer { url, trusted, accepting }
}

fn client(server: &TlsServer, trusted: bool) -> Ljpc {
    if trusted {
        trusting(&server.url, &server.trusted)
    } else {
        super::client(&server.url, PATIENCE).0
    }
}

fn trusting(url: &str, tls: &ClientConfig) -> Ljpc {
    let settings = Ljpc::transport_settings(settings(url, PATIENCE));
    let observer = Arc::new(Recorder::default());
    Ljpc::over(Transport::with_tls(settings, observer, tls.clone()).unwrap())
}

#[tokio::test]
async fn trusted_certificate_serves_both_ways_out() {
    let server = serve("localhost", answer("201 Created", "", CREATED)).await;
    let order = place(&client(&server, true), &hosting(), PATIENCE).await.unwrap();
    assert_eq!(order.id.0, 114);

    let server = serve("localhost", answer("200 OK", "", SITES)).await;
    assert_eq!(client(&server, true).sites(1).await.unwrap()[0].id, SiteId(2019));
}

#[tokio::test]
async fn untrusted_or_foreign_certificate_is_not_sent() {
    for (name, trusted) in [("localhost", false), ("ljpc.example", true)] {
        let server = serve(name, answer("201 Created", "", CREATED)).await;
        let client = client(&server, trusted);
        let placed = place(&client, &hosting(), PATIENCE).await;
        assert!(matches!(placed, Err(UpstreamError::NotSent { .. })), "{name}: {placed:?}");
        let read = client.sites(1).await;
        assert!(matches!(read, Err(UpstreamError::NotSent { .. })), "{name}: {read:?}");
    }
}

#[tokio::test]
async fn server_that_speaks_no_tls_is_not_sent() {
    for greeting in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (client, recorder) = super::client(&format!("https://127.0.0.1:{port}"), PATIENCE);
        let order = hosting();
        let placing = place(&client, &order, PATIENCE);
        let serving = async {
            let (mut tcp, _) = listener.accept().await.unwrap();
            // The client's hello, so that the close is not a reset.
            assert_ne!(tcp.read(&mut [0; 16 * 1024]).await.unwrap(), 0);
            tcp.write_all(greeting).await.unwrap();
        };
        let (result, ()) = tokio::join!(placing, serving);
        assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{result:?}");
        assert_eq!(recorder.told(), [("POST /api/v1/orders", "not_sent")]);
    }
}

#[tokio::test]
async fn handshake_that_stalls_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (client, _) = super::client(&url, IMPATIENCE);
    let result = place(&client, &hosting(), PATIENCE).await;
    assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_closed_while_it_waited_is_not_sent() {
    for politely in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (acceptor, trusted) = certified("localhost");
        let closing = tokio::spawn(async move {
            let mut tls = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            if politely {
                tls.shutdown().await.unwrap();
            }
        });
        let client = trusting(&url, &trusted);
        let deadline = Deadline::after(PATIENCE);
        let connected = client.connect(&PLACE_ORDER, deadline).await.unwrap();
        closing.await.unwrap();
        let result = client.place_order(connected, &hosting().prepare(), &tag(), deadline).await;
        assert!(matches!(result, Err(UpstreamError::NotSent { .. })), "{politely}: {result:?}");
    }
}
