//! What the command line says.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

/// How the server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Where it listens.
    pub(crate) address: String,
    /// The servers of NATS, for several nodes; none for one.
    pub(crate) nats: Vec<String>,
    /// On how many servers of NATS each board and each message is.
    pub(crate) replicas: usize,
    /// The file of boards, where there is no NATS.
    pub(crate) data: PathBuf,
    /// How many connections may come from one address.
    pub(crate) per_address: usize,
}

impl Arguments {
    /// Reads them; what they don't say is as the environment has it. None: the usage is asked for.
    pub(crate) fn read(
        mut parser: Parser,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, lexopt::Error> {
        let mut read = Self {
            address: environment("ADDR").unwrap_or_else(|| "127.0.0.1:3000".into()),
            nats: environment("NATS_URL")
                .as_deref()
                .map(servers)
                .unwrap_or_default(),
            replicas: 1,
            data: environment("DATA")
                .unwrap_or_else(|| "whiteboard.redb".into())
                .into(),
            per_address: PER_ADDRESS,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("addr") => read.address = parser.value()?.string()?,
                Arg::Long("nats") => read.nats = servers(&parser.value()?.string()?),
                Arg::Long("replicas") => read.replicas = parser.value()?.parse()?,
                Arg::Long("data") => read.data = parser.value()?.into(),
                Arg::Long("per-address") => read.per_address = parser.value()?.parse()?,
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(read))
    }
}

/// A school behind one address: 300 people, whose browsers have up to six connections each, with some left over. One who means ill has no more than that, of
/// the 100,000 that there may be.
const PER_ADDRESS: usize = 2_000;

fn servers(text: &str) -> Vec<String> {
    text.split(',').map(ToOwned::to_owned).collect()
}

pub(crate) const USAGE: &str = "\
whiteboard: boards for many, over both transports, on one node or several

  --addr ADDRESS    where it listens [default: the variable ADDR, or 127.0.0.1:3000]
  --data FILE       where boards are kept, on one node [default: the variable DATA, or whiteboard.redb]
  --nats URL,...    the servers of NATS, for several nodes: boards are kept there [default: the variable NATS_URL, or none]
  --replicas COUNT  on how many of these each board and message is [default: 1]
  --per-address COUNT
                    how many connections may come from one address; behind a proxy all do [default: 2000]";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Option<Arguments>, lexopt::Error> {
        let parser = Parser::from_args(arguments.iter().copied());
        Arguments::read(parser, |asked| {
            let found = environment.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const ENVIRONMENT: [(&str, &str); 3] = [
        ("ADDR", "127.0.0.1:0"),
        ("DATA", "y.redb"),
        ("NATS_URL", "nats://c"),
    ];

    #[test]
    fn what_is_not_said_is_as_the_environment_has_it_or_as_on_ones_own_machine() {
        let read_in = |environment: &[(&str, &str)]| read(&[], environment).unwrap().unwrap();
        let mine = read_in(&[]);
        assert_eq!(
            (&*mine.address, mine.nats.len(), mine.replicas),
            ("127.0.0.1:3000", 0, 1)
        );
        assert_eq!(mine.data, PathBuf::from("whiteboard.redb"));
        assert_eq!(mine.per_address, 2_000);
        let other = read_in(&ENVIRONMENT);
        assert_eq!(
            (&*other.address, other.nats),
            ("127.0.0.1:0", vec!["nats://c".to_owned()])
        );
        assert_eq!(other.data, PathBuf::from("y.redb"));
    }

    #[test]
    fn what_is_said_counts() {
        let arguments = [
            "--addr=[::]:80",
            "--nats",
            "nats://a,nats://b",
            "--replicas",
            "3",
            "--data",
            "x.redb",
            "--per-address",
            "9",
        ];
        let all = read(&arguments, &ENVIRONMENT).unwrap().unwrap();
        assert_eq!((&*all.address, all.replicas), ("[::]:80", 3));
        assert_eq!(all.nats, ["nats://a", "nats://b"]);
        assert_eq!(all.data, PathBuf::from("x.redb"));
        assert_eq!(all.per_address, 9);
        assert_eq!(read(&["--help"], &[]).unwrap(), None);
        assert!(read(&["--port", "1"], &[]).is_err() && read(&["--replicas", "many"], &[]).is_err());
    }
}
