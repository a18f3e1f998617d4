//! The whiteboard under load: many who point and draw at once, more who look on, and one of these on a slow link.
//!
//! Editors have WebSockets, each with a key of its own; viewers have event streams. Each editor moves its cursor ten times a second; strokes are
//! drawn by one after another, and each bears a mark, by which it is known when it has reached every viewer. Two more viewers say how old the cursors are
//! that they are shown: one that reads at once, and one whose link takes so many bytes a second.

mod probe;

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use serde_json::json;

use crate::child::Started;
use crate::load::{Crowd, Fleet, durations};
use crate::numbers::{positive, rate, seconds};
use crate::process::Process;
use crate::target::{Dialect, Target, Transport};

use probe::{Heard, Probe};

/// How the whiteboard is put under load.
#[derive(Debug, Args)]
pub(crate) struct BoardLoad {
    /// The whiteboard's binary; without it the one beside this: `cargo build --release -p whiteboard`
    #[arg(long)]
    server: Option<PathBuf>,
    /// Who have a WebSocket, and point and draw
    #[arg(long, default_value = "200", value_parser = positive)]
    editors: usize,
    /// Who have an event stream, and look on
    #[arg(long, default_value = "1000", value_parser = positive)]
    viewers: usize,
    /// How many strokes are drawn a second, by all together
    #[arg(long, default_value = "5", value_parser = rate)]
    strokes: f64,
    /// How long each of the two phases takes, in seconds: without moving cursors, and with them
    #[arg(long, default_value = "10", value_parser = seconds)]
    seconds: Duration,
    /// How many KiB a second the slow link takes
    #[arg(long, default_value = "16", value_parser = positive)]
    link: usize,
}

/// What was measured in a phase.
struct Phase {
    strokes: u64,
    /// From drawing to each viewer, in nanoseconds.
    latency: Histogram<u64>,
    /// The server's time on a processor, as a share of one.
    cpu: f64,
    /// The same of this process: both share the machine.
    generator: f64,
    resident: u64,
}

/// Everybody, and the server.
struct Board {
    editors: Fleet,
    viewers: Fleet,
    server: Process,
    editor_count: usize,
    drawn: usize,
    begun: Instant,
}

impl BoardLoad {
    /// Runs it. Answers a table.
    pub(crate) fn run(&self) -> Result<String> {
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(self.binary()?);
        command.args(["--addr", "127.0.0.1:0", "--per-address", "100000"]);
        command.arg("--data").arg(directory.path().join("boards.redb"));
        let (started, address) = Started::start(&mut command)?;
        let server = Process(started.id());
        let alone = server.resident()?;
        let mut board = Board::open(&address, server, self)?;
        let connected = server.resident()?;
        let still = board.phase(self, false)?;
        let probes = [None, Some(self.link << 10)].map(|link| {
            let (address, begun, until) = (address.clone(), board.begun, Instant::now() + self.seconds);
            thread::spawn(move || Probe::connect(&address, link)?.listen(begun, until))
        });
        let moving = board.phase(self, true)?;
        let [quick, slow] = probes.map(|probe| probe.join().ok().context("a probe failed")?);
        Ok(self.report(alone, connected, &still, &moving, &quick?, &slow?))
    }

    fn binary(&self) -> Result<PathBuf> {
        let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("whiteboard"));
        let binary = self.server.clone().map_or_else(beside, Ok)?;
        ensure!(
            binary.exists(),
            "there is no {}: build it first, by `cargo build --release -p whiteboard`",
            binary.display()
        );
        Ok(binary)
    }

    fn report(
        &self,
        alone: u64,
        connected: u64,
        still: &Phase,
        moving: &Phase,
        quick: &Heard,
        slow: &Heard,
    ) -> String {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let row = |name: &str, still: String, moving: String| format!("| {name} | {still} | {moving} |\n");
        let phases = |name: &str, value: &dyn Fn(&Phase) -> String| row(name, value(still), value(moving));
        let percentile = |quantile| move |phase: &Phase| milliseconds(&phase.latency, quantile);
        let mut text = format!(
            "{} editors, {} viewers, {} strokes a second, {} s each\n\n| | cursors at rest | each moved 10 times a second |\n|---|---|---|\n",
            self.editors,
            self.viewers,
            self.strokes,
            self.seconds.as_secs()
        );
        text += &phases("strokes", &|phase| phase.strokes.to_string());
        text += &phases("from a stroke to a viewer, p50", &percentile(0.5));
        text += &phases("p95", &percentile(0.95));
        text += &phases("p99", &percentile(0.99));
        text += &phases("the server's CPU, of one core", &|phase| {
            format!("{:.0} %", phase.cpu * 100.0)
        });
        text += &phases("the generator's", &|phase| {
            format!("{:.0} %", phase.generator * 100.0)
        });
        text += &phases("the server's memory", &|phase| mib(phase.resident));
        text += &format!(
            "\nThe server's memory alone: {}; with everybody connected: {}.\n\n",
            mib(alone),
            mib(connected)
        );
        let rows = |name: &str, value: &dyn Fn(&Heard) -> String| row(name, value(quick), value(slow));
        text += &format!(
            "| a viewer that | reads at once | has {} KiB a second |\n|---|---|---|\n",
            self.link
        );
        text += &rows("heard, in KiB a second", &|heard| {
            format!("{:.0}", heard.kib_per_second())
        });
        text += &rows("was told cursors, times a second", &|heard| {
            format!("{:.1}", heard.cursors_per_second())
        });
        text += &rows("how old the newest of them was, p50", &|heard| {
            milliseconds(&heard.age, 0.5)
        });
        text += &rows("p95", &|heard| milliseconds(&heard.age, 0.95));
        text += &rows("at the most", &|heard| milliseconds(&heard.age, 1.0));
        text += &rows("strokes, each once and in order", &|heard| {
            heard.strokes.to_string()
        });
        text
    }
}

impl Board {
    fn open(address: &str, server: Process, load: &BoardLoad) -> Result<Self> {
        let target = |dialect| Target::new(address, serde_json::from_value::<Dialect>(dialect)?);
        let viewing = target(json!({ "sse": STREAM, "publish": "/" }))?;
        let editing = target(json!({
            "ws": "/b/load/live?name=Editor%20{channel}&color=3",
            "headers": ["sec-websocket-protocol: dualcast.v1, dualcast.token.{key}"],
            "publish": "/",
        }))?;
        let mut viewers = Fleet::new(&viewing, Transport::Sse, 1)?;
        viewers.connect(Crowd::of(load.viewers))?;
        let mut editors = Fleet::new(&editing, Transport::Ws, load.editors)?;
        let channels = load.editors;
        editors.connect(Crowd {
            channels,
            ..Crowd::of(load.editors)
        })?;
        editors.let_go();
        let mut board = Self {
            editors,
            viewers,
            server,
            editor_count: load.editors,
            drawn: 0,
            begun: Instant::now(),
        };
        // What everybody is told of everybody.
        board.listen(Instant::now() + SETTLING)?;
        Ok(board)
    }

    /// Draws for a while, and waits until every viewer has every stroke.
    fn phase(&mut self, load: &BoardLoad, are_moving: bool) -> Result<Phase> {
        drop(self.viewers.take_tally());
        let (cpu, own) = (self.server.cpu()?, Process::own().cpu()?);
        let begun = Instant::now();
        let mut strokes = Every::new(begun, Duration::from_secs_f64(1.0 / load.strokes));
        let mut moves = Every::new(begun, MOVES / u32::try_from(self.editor_count)?);
        let mut mover = 0;
        while begun.elapsed() < load.seconds {
            while strokes.is_due() {
                self.draw()?;
            }
            while moves.is_due() {
                if are_moving {
                    self.point(mover % self.editor_count)?;
                }
                mover += 1;
            }
            self.listen(Instant::now() + TURN)?;
        }
        let took = begun.elapsed();
        let spent = [self.server.cpu_since(cpu)?, Process::own().cpu_since(own)?];
        let resident = self.server.resident()?;
        let waiting = Instant::now();
        while self.viewers.in_flight() > 0 {
            ensure!(
                waiting.elapsed() < PATIENCE,
                "a stroke did not reach every viewer"
            );
            self.listen(Instant::now() + TURN)?;
        }
        let tally = self.viewers.take_tally();
        let [cpu, generator] = spent.map(|spent| spent.as_secs_f64() / took.as_secs_f64());
        Ok(Phase {
            strokes: tally.messages,
            latency: tally.latency,
            cpu,
            generator,
            resident,
        })
    }

    /// The next editor draws a stroke, which bears a mark beside it.
    fn draw(&mut self) -> Result<()> {
        let mark = self.viewers.expect(0);
        let (editor, n) = (self.drawn % self.editor_count, self.drawn / self.editor_count + 1);
        self.drawn += 1;
        let client = format!("load{editor:08}");
        let points: Vec<_> = (0..40).map(|step| (step * 7) % 90).collect();
        let props = json!({ "x": editor, "y": n, "color": 3, "z": n, "width": 4, "points": points });
        let changes =
            json!([{ "add": format!("{client}s{n}"), "kind": "stroke", "props": props }, { "chat": mark }]);
        let op = json!({ "event": "op", "ref": n, "data": { "client": client, "n": n, "changes": changes } });
        self.editors.say(editor, &op.to_string())
    }

    /// An editor points to where it is that late: so whoever hears of it knows how old that is.
    fn point(&mut self, editor: usize) -> Result<()> {
        let x = u64::try_from(self.begun.elapsed().as_millis())?;
        ensure!(x < MAX_X, "a load of more than {MAX_X} ms");
        let place = json!({ "event": "cursor", "data": { "x": x, "y": editor } });
        self.editors.say(editor, &place.to_string())
    }

    fn listen(&mut self, until: Instant) -> Result<()> {
        loop {
            self.editors.turn(Duration::ZERO)?;
            let left = until.saturating_duration_since(Instant::now());
            self.viewers.turn(left.min(TURN))?;
            if left.is_zero() {
                return Ok(());
            }
        }
    }
}

/// What is due again and again.
struct Every {
    next: Instant,
    interval: Duration,
}

impl Every {
    fn new(begin: Instant, interval: Duration) -> Self {
        Self {
            next: begin,
            interval,
        }
    }

    /// Whether it is due now. From here on it is so once more.
    fn is_due(&mut self) -> bool {
        let is_due = self.next <= Instant::now();
        if is_due {
            self.next += self.interval;
        }
        is_due
    }
}

fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> String {
    if histogram.is_empty() {
        return "none".into();
    }
    format!("{:.1} ms", histogram.value_at_quantile(quantile) as f64 / 1e6)
}

/// A viewer's stream.
const STREAM: &str = "/b/load/stream";

/// How often each editor's cursor moves.
const MOVES: Duration = Duration::from_millis(100);

/// For how long everybody is told of everybody.
const SETTLING: Duration = Duration::from_secs(3);

/// How long this process waits for sockets at a time.
const TURN: Duration = Duration::from_millis(1);

/// How long a stroke may take at the most.
const PATIENCE: Duration = Duration::from_secs(20);

/// As far as a board goes.
const MAX_X: u64 = 100_000;
