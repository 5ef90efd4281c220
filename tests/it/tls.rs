//! Whom Provisor trusts: on each way out, whatever is less than TLS to the right host is refused.
//!
//! Each door stands on this machine before the real service, and has a certificate of an authority that the binary is told
//! to trust, by `SSL_CERT_FILE`, as a system's own is.

use std::{path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::{TcpListener, TcpStream, UnixStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    binary::{Environment, provisor},
    house::House,
};

/// What stands at the door.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shown {
    Good,
    /// No TLS: as whoever stands in between would have it.
    Plain,
    WrongHost,
    Expired,
    UnknownAuthority,
}

/// Whose door it is.
#[derive(Clone, Copy, Debug)]
enum Way {
    Database,
    Upstream,
    Smtps,
    StartTls,
}

/// An authority, and where its certificate is.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn acceptor(&self, shown: Shown) -> TlsAcceptor {
        let name = if shown == Shown::WrongHost { "other.example.nl" } else { "localhost" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if shown == Shown::Expired {
            (params.not_before, params.not_after) =
                (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// The real service behind the doors.
#[derive(Clone)]
struct Behind {
    socket: PathBuf,
    ljpc: std::net::SocketAddr,
    smtp: std::net::SocketAddr,
}

impl Behind {
    /// A door to it; its port.
    async fn door(self, way: Way, tls: Option<TlsAcceptor>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (behind, tls) = (self.clone(), tls.clone());
                // A client that refuses leaves in the middle.
                tokio::spawn(async move { behind.serve(stream, way, tls).await });
            }
        });
        port
    }

    async fn serve(
        self,
        mut stream: TcpStream,
        way: Way,
        tls: Option<TlsAcceptor>,
    ) -> std::io::Result<()> {
        match way {
            Way::Database => {
                // SSLRequest: https://www.postgresql.org/docs/current/protocol-message-formats.html
                stream.read_exact(&mut [0; 8]).await?;
                stream.write_all(if tls.is_some() { b"S" } else { b"N" }).await?;
            }
            Way::StartTls => greet(&mut stream, tls.is_some()).await?,
            Way::Upstream | Way::Smtps => {}
        }
        match tls {
            Some(tls) => self.forward(tls.accept(stream).await?, way).await,
            None => self.forward(stream, way).await,
        }
    }

    async fn forward(
        self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        way: Way,
    ) -> std::io::Result<()> {
        match way {
            Way::Database => {
                let mut to = UnixStream::connect(self.socket).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut to).await?;
            }
            Way::Upstream => {
                let mut to = TcpStream::connect(self.ljpc).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut to).await?;
            }
            Way::Smtps | Way::StartTls => {
                let mut to = BufReader::new(TcpStream::connect(self.smtp).await?);
                if matches!(way, Way::StartTls) {
                    to.read_line(&mut String::new()).await?;
                }
                tokio::io::copy_bidirectional(&mut stream, &mut to).await?;
            }
        }
        Ok(())
    }
}

/// A mail server up to STARTTLS, which it may not offer.
async fn greet(stream: &mut TcpStream, offers: bool) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 localhost ready\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let answer = match line.trim_end() {
            "STARTTLS" if offers => return stream.write_all(b"220 go on\r\n").await,
            line if line.starts_with("EHLO") && offers => "250-localhost\r\n250 STARTTLS\r\n",
            line if line.starts_with("EHLO") => "250 localhost\r\n",
            _ => "503 no\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// What `check` says of one subject.
async fn said_of(subject: &str, env: &Environment) -> (bool, String) {
    let ended = provisor(&["check", "--json"], env).await;
    let findings = ended.json();
    let found = findings.as_array().unwrap().iter().find(|it| it["what"] == subject);
    let found = found.unwrap_or_else(|| panic!("{subject}: {ended:?}"));
    (found["ok"].as_bool().unwrap(), found["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn nobody_is_trusted_but_the_right_host_by_a_good_certificate() {
    let house = House::new().await;
    let database = url::Url::parse(&house.world.url()).unwrap();
    let folder = database.query_pairs().find(|(key, _)| key == "host").unwrap().1.into_owned();
    let behind = Behind {
        socket: PathBuf::from(folder).join(".s.PGSQL.5432"),
        ljpc: house.sandbox.ljpc_addr(),
        smtp: house.sandbox.smtp_addr(),
    };
    let (trusted, stranger) = (Authority::new("known"), Authority::new("stranger"));
    let pem = std::env::temp_dir().join(format!("provisor-it-{}.pem", uuid::Uuid::new_v4()));
    std::fs::write(&pem, &trusted.pem).unwrap();
    let mut wrong = Vec::new();
    for way in [Way::Database, Way::Upstream, Way::Smtps, Way::StartTls] {
        for (shown, why) in [
            (Shown::Good, ""),
            (Shown::Plain, ""),
            (Shown::WrongHost, "not valid for name"),
            (Shown::Expired, "expired"),
            (Shown::UnknownAuthority, "UnknownIssuer"),
        ] {
            let authority = if shown == Shown::UnknownAuthority { &stranger } else { &trusted };
            let tls = (shown != Shown::Plain).then(|| authority.acceptor(shown));
            let port = behind.clone().door(way, tls).await;
            let (subject, key, url) = match way {
                Way::Database => {
                    let name = &house.world.name;
                    let url =
                        format!("postgres://provisor@localhost:{port}/{name}?sslmode=verify-full");
                    ("database", "DATABASE__URL", url)
                }
                Way::Upstream => ("LJPc", "LJPC__BASE_URL", format!("https://localhost:{port}")),
                Way::Smtps => {
                    ("mail server", "EMAIL__SMTP_URL", format!("smtps://localhost:{port}"))
                }
                Way::StartTls => (
                    "mail server",
                    "EMAIL__SMTP_URL",
                    format!("smtp://localhost:{port}?tls=required"),
                ),
            };
            let mut env = house.environment(&[(key, url.as_str())]);
            env.insert("SSL_CERT_FILE".to_owned(), pem.to_str().unwrap().to_owned());
            let (ok, detail) = said_of(subject, &env).await;
            if ok != (shown == Shown::Good) || !detail.contains(why) {
                wrong.push(format!("{way:?}, {shown:?}: {ok} {detail}"));
            }
        }
    }
    std::fs::remove_file(&pem).unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
