//! The sandbox as a whole, over real sockets.

use std::path::{Path, PathBuf};

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
        smtp_listen: (Ipv4Addr::LOCALHOST, 0).into(),
        mail_dir: folder.path().join("mail"),
        delay: Duration::ZERO,
        ..SandboxOptions::default()
    }
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
    let (http, smtp) = (sandbox.ljpc_addr(), sandbox.smtp_addr());
    sandbox.stop().await;
    for address in [http, smtp] {
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "{address}");
    }
}
