//! Cores: one for the generator, the others for the server, where who of them runs beside whom would decide what is measured.

use std::marker::PhantomData;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The generator's thread on a core of its own, until this is dropped.
#[derive(Debug)]
pub(crate) struct Apart {
    before: CpuSet,
    /// It is of the thread that made it.
    _here: PhantomData<*const ()>,
}

impl Apart {
    /// Starts a server on all cores but one, and goes to that one. What runs already stays where it is; and where there is one core alone, all stay there.
    pub(crate) fn start<T>(start: impl FnOnce() -> Result<T>) -> Result<(Self, T)> {
        let before = sched_getaffinity(None).context("can't see on which cores we may run")?;
        let apart = Self {
            before,
            _here: PhantomData,
        };
        let (own, others) = split(&before);
        // A child begins on the cores of the thread that starts it.
        go_to(&others)?;
        let started = start()?;
        go_to(&own)?;
        Ok((apart, started))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // We were there before.
        drop(go_to(&self.before));
    }
}

/// The first, and the others.
fn split(cores: &CpuSet) -> (CpuSet, CpuSet) {
    let (mut own, mut others) = (CpuSet::new(), *cores);
    if let Some(first) = (0..CpuSet::MAX_CPU).find(|core| cores.is_set(*core)) {
        own.set(first);
        others.unset(first);
    }
    if others.count() == 0 {
        (own, own)
    } else {
        (own, others)
    }
}

fn go_to(cores: &CpuSet) -> Result<()> {
    sched_setaffinity(None, cores).context("can't choose the cores to run on")
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use super::*;

    fn cores_of_a_child() -> String {
        let status = Command::new("grep")
            .args(["Cpus_allowed:", "/proc/self/status"])
            .output();
        String::from_utf8(status.unwrap().stdout).unwrap()
    }

    #[test]
    fn a_server_runs_beside_the_generator_and_nobody_is_kept_there() {
        let all = sched_getaffinity(None).unwrap();
        let everywhere = cores_of_a_child();
        let (apart, others) = Apart::start(|| Ok(cores_of_a_child())).unwrap();
        let own = sched_getaffinity(None).unwrap();
        assert_eq!(own.count(), 1);
        if all.count() > 1 {
            assert_ne!(others, cores_of_a_child());
            assert_ne!(others, everywhere);
        }
        // Threads that begin here stay beside the server, too.
        assert_eq!(
            thread::spawn(|| sched_getaffinity(None).unwrap()).join().unwrap(),
            own
        );
        drop(apart);
        assert_eq!(sched_getaffinity(None).unwrap(), all);
    }

    #[test]
    fn one_core_is_shared() {
        let mut one = CpuSet::new();
        one.set(3);
        assert_eq!(split(&one), (one, one));
    }
}
