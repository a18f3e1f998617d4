//! Which crate may know which: `core <- {http <- {sse, ws}, nats} <- dualcast <- {examples, tests, bench}`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Whom of us a crate may name. The examples are not listed: they know what a user knows.
const EDGES: [(&str, &[&str]); 12] = [
    ("dualcast-core", &[]),
    ("dualcast-http", &["dualcast-core"]),
    (
        "dualcast-sse",
        &["dualcast-core", "dualcast-http", "dualcast-event-stream"],
    ),
    ("dualcast-ws", &["dualcast-core", "dualcast-http"]),
    ("dualcast-nats", &["dualcast-core", "dualcast-nats-server"]),
    // Files, and axum: it serves a page's modules and knows nothing of what they connect to.
    ("dualcast-client-js", &[]),
    (
        "dualcast",
        &[
            "dualcast-client-js",
            "dualcast-core",
            "dualcast-http",
            "dualcast-sse",
            "dualcast-ws",
            "dualcast-nats",
        ],
    ),
    ("dualcast-bench", &["dualcast", "dualcast-nats-server"]),
    (
        "dualcast-tests",
        &["dualcast", "dualcast-event-stream", "dualcast-nats-server"],
    ),
    ("dualcast-fuzz", &["dualcast", "dualcast-tests"]),
    // Only read by tests: it knows what the standard says, and nothing of how Dualcast writes.
    ("dualcast-event-stream", &[]),
    // The same: it knows what a nats-server is, and nothing of what is done with one.
    ("dualcast-nats-server", &[]),
];

/// Those that only tests build on, those of examples among them, and the bench: nobody who uses us does.
const OF_TESTS: [&str; 2] = ["dualcast-event-stream", "dualcast-nats-server"];
const BUILT_ON_THEM: [&str; 2] = ["dualcast-tests", "dualcast-bench"];

/// What the core is built without: HTTP, sockets, runtimes, brokers.
const NOT_IN_CORE: [&str; 8] = [
    "async-nats",
    "axum",
    "http",
    "hyper",
    "mio",
    "socket2",
    "tokio",
    "tower",
];

struct Package {
    name: String,
    is_example: bool,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    is_dev: bool,
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--offline",
            "--manifest-path",
            manifest,
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let root = Path::new(metadata["workspace_root"].as_str().unwrap()).to_owned();
    let package = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let dependency = |dependency: &Value| Dependency {
            name: dependency["name"].as_str().unwrap().into(),
            is_dev: dependency["kind"] == "dev",
        };
        Package {
            name: package["name"].as_str().unwrap().into(),
            is_example: manifest.starts_with(root.join("examples")),
            dependencies: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .map(dependency)
                .collect(),
        }
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(package)
        .collect()
}

#[test]
fn no_crate_knows_more_of_us_than_it_may() {
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    for (name, _) in EDGES {
        assert!(ours.contains(name), "{name} is gone: take it from the list");
    }
    for package in &packages {
        let listed = EDGES.iter().find(|(name, _)| *name == package.name);
        let allowed: &[&str] = match listed {
            Some((_, allowed)) => allowed,
            None if package.is_example => &["dualcast"],
            None => panic!("which of us may {} know? Put it on the list", package.name),
        };
        for Dependency { name, is_dev } in &package.dependencies {
            let is_tests_alone = *is_dev || BUILT_ON_THEM.contains(&&*package.name);
            assert!(
                !OF_TESTS.contains(&&**name) || is_tests_alone,
                "{} must not build on {name}",
                package.name
            );
            let is_tested_with = package.is_example && *is_dev && OF_TESTS.contains(&&**name);
            let is_edge = ours.contains(&**name) && !allowed.contains(&&**name) && !is_tested_with;
            assert!(!is_edge, "{} must not know {name}", package.name);
        }
    }
}

#[test]
fn the_core_names_no_http_no_socket_and_no_runtime() {
    let packages = packages();
    let core = packages
        .iter()
        .find(|package| package.name == "dualcast-core")
        .unwrap();
    for Dependency { name, is_dev } in &core.dependencies {
        assert!(
            *is_dev || !NOT_IN_CORE.contains(&&**name),
            "the core must not name {name}"
        );
    }
}
