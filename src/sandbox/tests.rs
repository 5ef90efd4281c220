//! The sandbox as a whole, over real sockets.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// A folder that goes when it is dropped. Readable for everybody, since the private PostgreSQL of root runs as another.
pub(in crate::sandbox) struct Folder(PathBuf);

impl Folder {
    pub(in crate::sandbox) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("pv-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(in crate::sandbox) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Options on free ports, with mails in this folder.
pub(in crate::sandbox) fn options(folder: &Folder) -> SandboxOptions {
    SandboxOptions {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        leanstack_listen: (Ipv4Addr::LOCALHOST, 0).into(),
        smtp_listen: (Ipv4Addr::LOCALHOST, 0).into(),
        mail_dir: folder.path().join("mail"),
        delay: Duration::ZERO,
        ..SandboxOptions::default()
    }
}

/// What a raw client saw: all bytes until the connection closed.
#[derive(Debug)]
pub(in crate::sandbox) struct Seen {
    pub(in crate::sandbox) bytes: Vec<u8>,
}

impl Seen {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(in crate::sandbox) fn status(&self) -> u16 {
        self.text().split(' ').nth(1).expect("no answer came").parse().unwrap()
    }

    pub(in crate::sandbox) fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }

    pub(in crate::sandbox) fn body(&self) -> String {
        self.text().split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    pub(in crate::sandbox) fn json(&self) -> Value {
        serde_json::from_str(&self.body()).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

/// Sends one request on a connection of its own, and reads until it closes.
pub(in crate::sandbox) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: &[u8],
) -> Seen {
    let key = key.map(|key| format!("X-API-Key: {key}\r\n")).unwrap_or_default();
    send_with(address, method, path, &key, body).await
}

/// The same with these header lines.
pub(in crate::sandbox) async fn send_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Seen {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: sandbox\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that cuts the connection may do so before it has read everything.
    drop(stream.write_all(body).await);
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    Seen { bytes }
}

/// A sandbox with the folder of its mails.
pub(in crate::sandbox) struct Running {
    pub(in crate::sandbox) sandbox: Sandbox,
    _folder: Folder,
}

impl std::ops::Deref for Running {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

/// A sandbox that delivers at once.
pub(in crate::sandbox) async fn sandbox() -> Running {
    sandbox_with(|_| {}).await
}

/// The same with other options.
pub(in crate::sandbox) async fn sandbox_with(change: impl FnOnce(&mut SandboxOptions)) -> Running {
    let folder = Folder::new();
    let mut options = options(&folder);
    change(&mut options);
    Running { sandbox: start(options).await.unwrap(), _folder: folder }
}

impl Sandbox {
    /// Any request with the right key.
    pub(in crate::sandbox) async fn call(&self, method: &str, path: &str, body: &Value) -> Seen {
        send(self.ljpc, method, path, Some("sandbox-key"), body.to_string().as_bytes()).await
    }

    /// A WHOIS contact; its handle.
    pub(in crate::sandbox) async fn contact(&self) -> String {
        let body =
            serde_json::json!({"name": "Bob Brown", "address": "Teststreet 1", "country": "NL"});
        let made = self.post("/api/hosting/v1/contacts", &body).await;
        made.json()["data"]["handle"].as_str().unwrap().to_owned()
    }

    /// Registers a name on this handle.
    pub(in crate::sandbox) async fn register(&self, domain: &str, handle: &str) -> Seen {
        let body = serde_json::json!({"domain": domain, "contact_handle": handle});
        self.post("/api/hosting/v1/domain-names", &body).await
    }

    pub(in crate::sandbox) async fn get(&self, path: &str) -> Seen {
        send(self.ljpc, "GET", path, Some("sandbox-key"), b"").await
    }

    pub(in crate::sandbox) async fn post(&self, path: &str, body: &Value) -> Seen {
        send(self.ljpc, "POST", path, Some("sandbox-key"), body.to_string().as_bytes()).await
    }

    /// Orders 5 GB for example.nl, tagged so.
    pub(in crate::sandbox) async fn order(&self, tag: &str) -> Seen {
        self.post("/api/v1/orders", &order_document(tag)).await
    }

    pub(in crate::sandbox) fn fault(&self, spec: &Value) {
        self.state().add_fault(spec).unwrap();
    }
}

pub(in crate::sandbox) fn order_document(tag: &str) -> Value {
    serde_json::json!({
        "summary": format!("{tag} example.nl"),
        "meta": { "external_reference": tag },
        "order_lines": [{ "description": tag, "cart_item": {
            "type": "hosting", "product_uuid": "afe29fe6-1d1b-4b8c-9a55-0c4a2f7d1e01",
            "domain": "example.nl", "billing_period": "monthly" } }]
    })
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let folder = Folder::new();
    let sandbox = start(options(&folder)).await.unwrap();
    let taken = SandboxOptions { listen: sandbox.ljpc_addr(), ..options(&folder) };
    let Err(error) = start(taken).await else { panic!("two on one address") };
    assert!(error.to_string().contains(&sandbox.ljpc_addr().to_string()), "{error}");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told() {
    let folder = Folder::new();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let Err(error) = start(SandboxOptions { mail_dir: file, ..options(&folder) }).await else {
        panic!("a file for a folder")
    };
    assert!(matches!(error, SandboxError::MailDir { .. }), "{error}");
}

#[tokio::test]
async fn after_a_stop_nobody_listens() {
    let folder = Folder::new();
    let sandbox = start(options(&folder)).await.unwrap();
    let addresses = [sandbox.ljpc_addr(), sandbox.leanstack_addr(), sandbox.smtp_addr()];
    sandbox.stop().await;
    for address in addresses {
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "{address}");
    }
}
