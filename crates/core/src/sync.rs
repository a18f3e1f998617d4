//! The locks, atomics and map of this crate, and the one place where a model checker's take their place.
//!
//! Invariant: nothing else in this crate names `std::sync::Mutex`, an atomic or a `DashMap`, so that
//! `--cfg shuttle` sees every step at which two threads can meet.

use std::sync::PoisonError;

#[cfg(not(shuttle))]
use std::sync as imp;

#[cfg(shuttle)]
use shuttle::sync as imp;

#[cfg(not(shuttle))]
pub(crate) use dashmap::{DashMap, mapref::entry::Entry};

#[cfg(shuttle)]
pub(crate) use shuttle_dashmap::{DashMap, mapref::entry::Entry};

pub(crate) use imp::MutexGuard;
pub(crate) use imp::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A mutex without poisoning: no code of a caller runs under a lock of this crate, so a panic while one is
/// held can't leave half of an update behind.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    /// What it holds, where nobody else can.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
