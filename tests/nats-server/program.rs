//! Where the program is.

use std::env;
use std::path::{Path, PathBuf};

/// What to do where there is none.
pub const HOW_TO_GET: &str = "a `nats-server` of version 2.11 or later is needed: `tests/run nats-server` puts one into `.tools/`; \
                              one on the PATH, or named by the variable NATS_SERVER, serves as well";

/// The `nats-server` to run: what `NATS_SERVER` names, else the one in `.tools/`, else the one on the `PATH`.
///
/// # Panics
///
/// If there is none, with [`HOW_TO_GET`].
#[must_use]
pub fn program() -> PathBuf {
    find().expect(HOW_TO_GET)
}

/// The same, where there is one. Where one is named, no other serves.
#[must_use]
pub fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("NATS_SERVER") {
        return Some(PathBuf::from(named)).filter(|program| program.is_file());
    }
    installed().or_else(|| on_the_path(&env::var_os("PATH")?))
}

/// The newest that `tests/run` has installed.
fn installed() -> Option<PathBuf> {
    let tools = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools"));
    let directories = tools.read_dir().ok()?.flatten().map(|entry| entry.path());
    let servers = directories.filter_map(|directory| {
        let name = directory.file_name()?.to_str()?;
        let version = version(name.strip_prefix("nats-server-")?)?;
        let program = directory.join("bin/nats-server");
        program.is_file().then_some((version, program))
    });
    servers.max().map(|(_, program)| program)
}

fn version(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|number| number.parse().ok()).collect()
}

fn on_the_path(path: &std::ffi::OsStr) -> Option<PathBuf> {
    env::split_paths(path)
        .map(|directory| directory.join("nats-server"))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(version("2.15.1") > version("2.9.25"));
        assert_eq!(version("2.x"), None);
    }
}
