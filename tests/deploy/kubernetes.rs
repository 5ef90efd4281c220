//! Kubernetes, Compose and the image: valid, confined, and patient enough for the drain.

use std::{path::PathBuf, sync::LazyLock};

use super::{default_of, read, root, run, seconds, values};

const BASE: &str = "deploy/kubernetes/base";
const EXAMPLE: &str = "deploy/kubernetes/overlays/example";
const COMPOSE: &str = "deploy/compose.yaml";

/// What is between the end of the drain and the kill, at the least.
const MARGIN_SECONDS: u32 = 15;

/// The folder with `base.yaml` and `example.yaml`, as kustomize renders them, or what is wrong with them.
static RENDERED: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/kubernetes");
    run("script/check-kubernetes", &[folder]).map(|_| PathBuf::from(folder))
});

/// The rendered object of this kind and name; kustomize adds a hash to some names.
fn object(rendering: &str, kind: &str, name: &str) -> String {
    let folder = RENDERED.as_ref().expect("they are valid");
    let yaml = std::fs::read_to_string(folder.join(rendering)).expect("a rendering");
    let (kind, name) = (format!("\nkind: {kind}\n"), format!("\n  name: {name}"));
    let mut found = yaml.split("\n---\n").map(|it| format!("\n{it}\n"));
    found.find(|it| it.contains(&kind) && it.contains(&name)).expect("an object of this kind")
}

/// The words, whatever the indentation.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The one value of a key.
fn one<'a>(yaml: &'a str, key: &str) -> &'a str {
    let values = values(yaml, key);
    let [value] = *values else { panic!("one {key}, not {values:?}") };
    value
}

/// A service of the Compose file: its lines up to the next service.
fn service(name: &str) -> String {
    let yaml = read(COMPOSE);
    let (_, rest) = yaml.split_once(&format!("\n  {name}:\n")).expect("a service");
    let is_within =
        |line: &&str| line.is_empty() || line.starts_with("   ") || line.starts_with("  #");
    rest.lines().take_while(is_within).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_manifests_are_valid_strictly() {
    assert_eq!(RENDERED.as_ref().err(), None);
}

#[test]
fn the_compose_file_is_valid() {
    assert_eq!(run("script/check-compose", &[]).err(), None);
}

#[test]
fn the_pods_are_restricted() {
    let namespace = object("base.yaml", "Namespace", "provisor");
    assert_eq!(one(&namespace, "pod-security.kubernetes.io/enforce"), "restricted");
    for (kind, name) in [("Deployment", "provisor"), ("Job", "provisor-migrate")] {
        let pod = words(&object("base.yaml", kind, name));
        for wanted in [
            "allowPrivilegeEscalation: false",
            "automountServiceAccountToken: false",
            "capabilities: drop: - ALL",
            "readOnlyRootFilesystem: true",
            "runAsNonRoot: true",
            "runAsUser: 65532",
            "seccompProfile: type: RuntimeDefault",
        ] {
            assert_eq!(pod.matches(wanted).count(), 1, "{kind} {name}: {wanted}");
        }
        for never in ["hostPath", "hostNetwork", "hostPID", "hostIPC", "privileged:", "add:"] {
            assert!(!pod.contains(never), "{kind} {name}: {never}");
        }
    }
    let account = object("base.yaml", "ServiceAccount", "provisor");
    assert_eq!(one(&account, "automountServiceAccountToken"), "false");
    // The image's own user is the one that the manifests name.
    assert!(read("deploy/Dockerfile").lines().any(|line| line == "USER 65532:65532"));
}

#[test]
fn what_is_not_needed_is_not_let_through() {
    let deny = words(&object("base.yaml", "NetworkPolicy", "deny-all"));
    assert!(deny.contains("podSelector: {} policyTypes: - Ingress - Egress"), "{deny}");
    assert!(!deny.contains("egress:") && !deny.contains("ingress:"), "{deny}");
    let ports = |name: &str| {
        let policy = object("base.yaml", "NetworkPolicy", name);
        values(&policy, "port").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ports("provisor-database"), ["53", "53", "5432"]);
    let mut daemon = ports("provisor-daemon");
    daemon.sort_unstable();
    assert_eq!(daemon, ["443", "465", "587", "http"]);
}

#[test]
fn the_owners_password_is_for_the_migration_alone() {
    let (daemon, job) = (
        object("example.yaml", "Deployment", "provisor"),
        object("example.yaml", "Job", "provisor-migrate"),
    );
    assert!(!one(&daemon, "secretName").starts_with("provisor-owner"));
    assert!(one(&job, "secretName").starts_with("provisor-owner"));
    assert!(!service("provisor").contains("owner"));
    assert!(!service("migrate").contains("ljpc"));
}

#[test]
fn secrets_are_files_named_like_their_keys_and_none_is_real() {
    let keys = read("src/config/keys.rs");
    let mut seen = 0;
    for manifest in ["deployment.yaml", "job-migrate.yaml"] {
        let yaml = read(&format!("{BASE}/{manifest}"));
        let variables = values(&yaml, "- name").into_iter().filter(|it| it.ends_with("_FILE"));
        for (variable, path) in variables.zip(values(&yaml, "value")) {
            let key = variable.trim_start_matches("PROVISOR_").trim_end_matches("_FILE");
            let key = key.replace("__", ".").to_lowercase();
            assert!(keys.contains(&format!("secret(\"{key}\")")), "{key} is a secret");
            assert_eq!(path, format!("/run/secrets/provisor/{key}"));
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
    for entry in std::fs::read_dir(root().join(EXAMPLE).join("secrets")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        assert!(text.contains("REPLACE-ME"), "{}", path.display());
    }
}

#[test]
fn the_settings_that_are_shipped_have_keys_that_exist() {
    let keys = read("src/config/keys.rs");
    for folder in [BASE, EXAMPLE] {
        let toml = read(&format!("{folder}/provisor.toml"));
        let mut section = "";
        for line in toml.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
                section = name;
                continue;
            }
            let (key, _) = line.split_once(" = ").expect("a key and its value");
            assert!(keys.contains(&format!("\"{section}.{key}\"")), "{folder}: {section}.{key}");
        }
        assert!(toml.contains("listen = \"0.0.0.0:9464\""), "{folder}: what is probed");
    }
    let compose = service("provisor");
    for variable in compose.lines().filter_map(|line| line.trim().strip_prefix("PROVISOR_")) {
        let (variable, _) = variable.split_once(": ").expect("a variable and its value");
        let key = variable.trim_end_matches("_FILE").replace("__", ".").to_lowercase();
        assert!(keys.contains(&format!("\"{key}\"")), "{COMPOSE}: {key}");
    }
}

#[test]
fn each_probe_asks_what_it_is_for() {
    let daemon = words(&object("base.yaml", "Deployment", "provisor"));
    let path_of = |probe: &str| {
        let (_, rest) = daemon.split_once(&format!("{probe}: ")).expect("a probe");
        let (_, rest) = rest.split_once("path: ").expect("a path");
        rest.split(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!(path_of("startupProbe"), "/livez");
    assert_eq!(path_of("livenessProbe"), "/livez");
    assert_eq!(path_of("readinessProbe"), "/readyz");
    assert!(daemon.contains("containerPort: 9464 name: http"), "{daemon}");
    let routes = read("src/http/mod.rs");
    assert!(["\"/livez\"", "\"/readyz\""].iter().all(|path| routes.contains(path)));
}

#[test]
fn whoever_stops_the_daemon_waits_for_longer_than_its_drain() {
    let default = seconds(&default_of("queue", "shutdown_grace"));
    let unit = read(super::UNIT);
    let unit = super::directives(&unit, "TimeoutStopSec");
    assert!(unit.iter().all(|it| seconds(it) >= default + MARGIN_SECONDS), "{unit:?}");

    let daemon = object("base.yaml", "Deployment", "provisor");
    let pod: u32 = one(&daemon, "terminationGracePeriodSeconds").parse().expect("seconds");
    // A hook would be taken from the same time.
    assert!(!daemon.contains("preStop"), "{daemon}");
    for folder in [BASE, EXAMPLE] {
        let toml = read(&format!("{folder}/provisor.toml"));
        let grace = toml.lines().find_map(|it| it.strip_prefix("shutdown_grace = "));
        let grace = grace.map_or(default, seconds);
        assert!(
            pod >= grace + MARGIN_SECONDS,
            "{folder}: a pod is killed before its drain is over"
        );
    }

    let compose = service("provisor");
    let grace = seconds(one(&compose, "PROVISOR_QUEUE__SHUTDOWN_GRACE"));
    let stop = seconds(one(&compose, "stop_grace_period"));
    assert!(stop >= grace + MARGIN_SECONDS, "Compose kills before the drain is over");
}
