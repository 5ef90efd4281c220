use std::process;

use super::*;
use crate::sandbox::tests::Folder;

/// What psql prints for this statement.
fn query(server: &PrivatePostgres, sql: &str) -> String {
    let output = process::Command::new(server.programs.path("psql"))
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql])
        .arg(server.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_server_starts_stops_and_keeps_its_data() {
    let folder = Folder::new();
    // A space and a quote, since somebody's folder has them.
    let dir = folder.path().join("it's a demo");
    let server = PrivatePostgres::start(&dir).await.unwrap();
    assert_eq!(query(&server, "SELECT current_database() || current_user"), "provisorprovisor");
    assert_eq!(query(&server, "SHOW fsync"), "on");
    assert_eq!(query(&server, "SHOW listen_addresses"), "");
    query(&server, "CREATE TABLE kept AS SELECT 42 AS answer");
    assert!(server.psql_command().starts_with("psql 'postgres:///provisor?host=/"));
    server.stop().await.unwrap();
    assert!(!dir.join("data/postmaster.pid").exists());

    let server = PrivatePostgres::start(&dir).await.unwrap();
    assert_eq!(query(&server, "SELECT answer FROM kept"), "42");

    let second = PrivatePostgres::start(&dir).await.unwrap_err();
    assert!(matches!(second, PostgresError::InUse { .. }), "{second}");

    // As after a kill -9: nobody stops the server, and the lock is gone with the process.
    let mut left = server;
    left.running = false;
    drop(left);
    let server = PrivatePostgres::start(&dir).await.unwrap();
    assert_eq!(query(&server, "SELECT answer FROM kept"), "42");

    drop(server);
    // The next start waits for the other's end, whether it has come yet or not.
    let server = PrivatePostgres::start(&dir).await.unwrap();
    assert_eq!(query(&server, "SELECT answer FROM kept"), "42");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_long_path_gets_its_socket_elsewhere_and_what_was_cut_short_is_made_anew() {
    let folder = Folder::new();
    let dir = folder.path().join("x".repeat(120));
    let unfinished = dir.join("data.unfinished");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let server = PrivatePostgres::start(&dir).await.unwrap();
    assert!(!unfinished.exists());
    let socket_dir = server.socket_dir.clone();
    assert!(socket_dir.as_os_str().len() < 100, "{}", socket_dir.display());
    assert_eq!(query(&server, "SELECT 1"), "1");
    server.stop().await.unwrap();
    assert!(!socket_dir.exists());
}

#[tokio::test]
async fn data_of_a_version_that_is_not_installed_are_left_alone() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "7\n").unwrap();
    let error = PrivatePostgres::start(folder.path()).await.unwrap_err();
    assert!(matches!(error, PostgresError::OtherMajor { major: 7, .. }), "{error}");
    assert!(error.to_string().contains("apt-get install -y postgresql-7"), "{error}");
}

#[test]
fn a_missing_installation_names_the_one_command() {
    let told = PostgresError::NotInstalled.to_string();
    assert!(told.contains("sudo apt-get install -y postgresql"), "{told}");
}

#[test]
fn paths_are_encoded_for_libpq_and_sqlx_alike() {
    assert_eq!(percent_encoded(Path::new("/a b+c/d'é&")), "/a%20b%2Bc/d%27%C3%A9%26");
}
