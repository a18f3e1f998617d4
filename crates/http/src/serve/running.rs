//! The sessions that run: each is told of a shutdown, and has its task cut at the end of the drain.

use std::sync::{Arc, Mutex};

use dualcast_core::SessionHandle;
use slab::Slab;
use tokio::task::AbortHandle;

use crate::serve::server::lock;

/// The list of them.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<Slab<Entry>>);

#[derive(Debug)]
struct Entry {
    /// None for a client that was refused, which is told so and gone.
    session: Option<SessionHandle>,
    task: Task,
}

#[derive(Debug)]
enum Task {
    /// It is part of its connection's.
    None,
    /// It has one of its own, that is about to begin.
    Beginning,
    Begun(AbortHandle),
    /// It was over before it was known to have begun.
    Over,
}

/// A session in the list, for as long as it runs, however it ends.
#[derive(Debug)]
pub(super) struct Listed {
    running: Arc<Running>,
    key: usize,
}

impl Running {
    /// Lists a session. One that has a task of its own is to be said to have [begun](Self::began).
    pub(super) fn list(self: &Arc<Self>, session: Option<SessionHandle>, has_task: bool) -> Listed {
        let task = if has_task { Task::Beginning } else { Task::None };
        Listed {
            running: Arc::clone(self),
            key: lock(&self.0).insert(Entry { session, task }),
        }
    }

    /// Its task has begun; it may be over by now.
    pub(super) fn began(&self, key: usize, task: AbortHandle) {
        let mut entries = lock(&self.0);
        if let Task::Over = entries[key].task {
            entries.remove(key);
        } else {
            entries[key].task = Task::Begun(task);
        }
    }

    /// All of them, to be told something.
    pub(super) fn sessions(&self) -> Vec<SessionHandle> {
        let entries = lock(&self.0);
        entries
            .iter()
            .filter_map(|(_, entry)| entry.session.clone())
            .collect()
    }

    /// Drops them wherever they are.
    pub(super) fn cut(&self) {
        let tasks: Vec<_> = lock(&self.0)
            .iter()
            .filter_map(|(_, entry)| match &entry.task {
                Task::Begun(task) => Some(task.clone()),
                _ => None,
            })
            .collect();
        // With no lock held: whatever is dropped leaves the list.
        tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Listed {
    /// Its place in the list.
    pub(super) fn key(&self) -> usize {
        self.key
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut entries = lock(&self.running.0);
        if let Task::Beginning = entries[self.key].task {
            // Its place is not to be another's before it is known to have begun.
            entries[self.key].task = Task::Over;
        } else {
            // Its task's handle is not the last of that: the task is what drops this.
            entries.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn is_empty(running: &Running) -> bool {
        lock(&running.0).is_empty()
    }

    #[tokio::test]
    async fn a_session_that_is_over_before_it_is_known_to_have_begun_leaves_no_place_behind() {
        let running = Arc::new(Running::default());
        let (over, other) = (running.list(None, true), running.list(None, true));
        let (key, other_key) = (over.key(), other.key());
        let task = tokio::spawn(async move { drop(over) });
        let handle = task.abort_handle();
        task.await.unwrap();
        // Meanwhile nobody else may have its place.
        let later = running.list(None, false);
        assert_ne!(later.key(), key);
        running.began(key, handle);
        drop((later, other));
        running.began(other_key, tokio::spawn(async {}).abort_handle());
        assert!(is_empty(&running));
    }

    #[tokio::test]
    async fn who_is_cut_has_left() {
        let running = Arc::new(Running::default());
        let listed = running.list(None, true);
        let key = listed.key();
        let task = tokio::spawn(async move {
            let _listed = listed;
            pending::<()>().await;
        });
        running.began(key, task.abort_handle());
        tokio::task::yield_now().await;
        running.cut();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(is_empty(&running));
    }
}
