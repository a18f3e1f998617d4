//! The servers that are measured: which there are, and how one is started and ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::child::Started;
use crate::process::Process;
use crate::target::{Dialect, Target};

/// A server that can be measured.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// Its name in the table.
    pub(crate) name: String,
    life: Life,
    pub(crate) dialect: Dialect,
    /// Where its program is started.
    directory: PathBuf,
}

#[derive(Debug, Clone)]
enum Life {
    /// Started for each measurement, by this program with these arguments. It gets `ADDR=127.0.0.1:0`, and says on standard error
    /// at which `http://` address it listens.
    Started {
        start: Vec<String>,
        /// What else it finds in its environment.
        environment: Vec<(&'static str, String)>,
    },
    /// Somebody else's, at this address. Its process is watched, and left alone.
    Running { address: String, pid: u32 },
}

/// A server as a JSON file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    start: Option<Vec<String>>,
    address: Option<String>,
    pid: Option<u32>,
    dialect: Dialect,
}

/// What the servers that come with the bench are called.
pub(crate) const FLOOR: &str = "floor";
pub(crate) const JOINED: &str = "joined";
/// The floor of HTTP/2, which the others don't speak.
pub(crate) const H2: &str = "h2 alone";
pub(crate) const BY_HAND: &str = "by hand";
pub(crate) const DUALCAST: &str = "Dualcast";
/// Dualcast, with a channel for each path.
pub(crate) const ROOMS: &str = "Dualcast's rooms";

impl Server {
    /// Those that need nothing but this repository.
    pub(crate) fn built_in() -> Result<Vec<Self>> {
        Ok(vec![
            Self::own(FLOOR, "floor", routes("/{channel}", true))?,
            Self::own(JOINED, "joined", routes("/{channel}", true))?,
            Self::own(H2, "streams", routes("/{channel}", false))?,
            Self::by_hand()?,
            Self::hello()?,
            Self::own(ROOMS, "rooms", rooms_dialect())?,
        ])
    }

    /// What one writes by hand.
    pub(crate) fn by_hand() -> Result<Self> {
        Self::own(BY_HAND, "by-hand", routes("/{channel}", false))
    }

    /// Dualcast, as `examples/hello` has it.
    pub(crate) fn hello() -> Result<Self> {
        let program = hello_beside(&std::env::current_exe()?)?;
        Ok(Self {
            name: DUALCAST.into(),
            life: Life::Started {
                start: vec![program.display().to_string()],
                environment: Vec::new(),
            },
            dialect: routes("", true),
            directory: ".".into(),
        })
    }

    /// What the transports are compared over, told by its environment whether it has TLS.
    pub(crate) fn compared(environment: Vec<(&'static str, String)>) -> Result<Self> {
        Ok(Self::own(DUALCAST, "compared", routes("", true))?.with(environment))
    }

    /// One that is a role of this program.
    fn own(name: &str, role: &str, dialect: Dialect) -> Result<Self> {
        let bench = std::env::current_exe()?;
        Ok(Self {
            name: name.into(),
            life: Life::Started {
                start: vec![bench.display().to_string(), "serve".into(), role.into()],
                environment: Vec::new(),
            },
            dialect,
            directory: ".".into(),
        })
    }

    /// Dualcast with a channel for each path, told by its environment what it is a node of.
    pub(crate) fn node(environment: Vec<(&'static str, String)>) -> Result<Self> {
        Ok(Self::own(ROOMS, "rooms", rooms_dialect())?.with(environment))
    }

    fn with(mut self, told: Vec<(&'static str, String)>) -> Self {
        if let Life::Started { environment, .. } = &mut self.life {
            *environment = told;
        }
        self
    }

    /// One that is described in a JSON file. Its program is started in that file's directory.
    pub(crate) fn described(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        let described: Described =
            serde_json::from_str(&text).with_context(|| format!("{} describes no server", path.display()))?;
        let life = match (described.start, described.address, described.pid) {
            (Some(start), None, None) => Life::Started {
                start,
                environment: Vec::new(),
            },
            (None, Some(address), Some(pid)) => Life::Running { address, pid },
            _ => bail!(
                "{}: expected either `start`, or `address` and `pid`",
                path.display()
            ),
        };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(Self {
            name: described.name,
            life,
            dialect: described.dialect,
            directory: directory.unwrap_or(Path::new(".")).into(),
        })
    }

    /// The peers from npm whose packages are installed.
    pub(crate) fn installed_peers() -> Result<Vec<Self>> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let installed = |(package, file): &(&str, &str)| {
            peers
                .join("node_modules")
                .join(package)
                .exists()
                .then(|| peers.join(file))
        };
        let files = [("ws", "ws.json"), ("bun", "bun.json")];
        files
            .iter()
            .filter_map(installed)
            .map(|file| Self::described(&file))
            .collect()
    }

    /// Starts it, if it doesn't run already.
    pub(crate) fn start(&self) -> Result<Running> {
        let started = match &self.life {
            Life::Running { address, pid } => Running {
                target: Target::new(address, self.dialect.clone())?,
                process: Process(*pid),
                child: None,
            },
            Life::Started { start, environment } => self
                .spawn(start, environment)
                .with_context(|| format!("can't start {}", self.name))?,
        };
        Ok(started)
    }

    fn spawn(&self, start: &[String], environment: &[(&str, String)]) -> Result<Running> {
        let (program, arguments) = start.split_first().context("`start` is empty")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("ADDR", "127.0.0.1:0")
            .envs(environment.iter().map(|(name, value)| (name, value)));
        let (child, address) = Started::start(&mut command)?;
        Ok(Running {
            target: Target::new(&address, self.dialect.clone())?,
            process: Process(child.id()),
            child: Some(child),
        })
    }
}

/// A server that runs. It is ended when this is dropped, if we started it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) target: Target,
    pub(crate) process: Process,
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    child: Option<Started>,
}

/// How Dualcast with a channel for each path is spoken to.
pub(crate) fn rooms_dialect() -> Dialect {
    routes("/{channel}", true)
}

/// The routes that all of ours have.
fn routes(below: &str, resumes: bool) -> Dialect {
    Dialect {
        sse: Some(format!("{below}/sse")),
        ws: Some(format!("{below}/ws")),
        ws_hello: None,
        headers: Vec::new(),
        publish: format!("{below}/publish"),
        publish_body: "{message}".into(),
        publish_headers: vec!["content-type: text/plain".into()],
        pipelining: true,
        resumes,
        many_channels: !below.is_empty(),
    }
}

/// The example `hello`, built like ourselves: in the same directory.
fn hello_beside(bench: &Path) -> Result<PathBuf> {
    let hello = bench.with_file_name("hello");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        build.args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "hello",
            "--manifest-path",
            manifest,
        ]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.status().context("can't run cargo")?;
        ensure!(built.success(), "can't build the example `hello`");
    }
    if !hello.exists() {
        bail!(
            "there is no {}: build it with `cargo build --release -p hello`",
            hello.display()
        );
    }
    Ok(hello)
}
