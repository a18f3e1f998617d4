//! Whether the stream is still the one that it was: when a node asks, and what it makes of the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;

use super::{Node, PAUSE, SILENCE};
use crate::life::{self, Proven, Unproven};
use crate::reckoning::Reckoning;

impl Node {
    pub(super) fn doubt(&mut self) {
        self.proving = None;
        self.prove_at = Instant::now();
        self.mirror.handle_doubt();
    }

    /// Somebody knows of another life. An answer that is under way may be older than that; it is waited for all the same, since many may say so
    /// one after another.
    pub(super) fn ask_anew(&mut self) {
        if self.proving.is_some() && self.mirror.is_in_doubt() {
            self.is_to_ask_anew = true;
        } else {
            self.doubt();
        }
    }

    pub(super) fn take_proof(&mut self, of: u64, proof: Result<Proven, Unproven>, now: Instant) {
        self.proven_at = now;
        // Where that settles nothing it is asked again, but not at once.
        self.prove_at = now + PAUSE;
        self.unproven = proof.as_ref().err().map(|error| {
            let since = self.unproven.as_ref().map_or(now, |(since, _)| *since);
            (since, error.to_string())
        });
        self.gone_since = match &proof {
            Err(Unproven::Gone) => self.gone_since.or(Some(now)),
            _ => None,
        };
        match proof {
            Ok(Proven {
                life: Ok(Some(life)), ..
            }) if self.shared.is_replaced_by(&life) => self.mirror.handle_other_life(),
            Ok(Proven {
                state,
                proof,
                life,
                clocks,
            }) => {
                self.mirror.handle_state(&state, of, proof, now);
                self.reckoning = match self.mirror.is_whole() {
                    true => Reckoning::new(clocks),
                    false => self.reckoning.with(clocks),
                };
                match life {
                    Err(error) => tracing::debug!(%error, "which life of the log it is can't be had"),
                    Ok(life) if !self.mirror.is_in_doubt() && life != self.shared.life() => {
                        self.keep_life();
                    }
                    Ok(_) => {}
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the stream's state can't be had");
                self.mirror.handle_doubt();
            }
        }
    }

    /// Somebody deleted which life it is.
    fn keep_life(&self) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let Some(life) = shared.life() else { return };
            if let Err(error) = shared.epochs.keep(&life).await {
                tracing::warn!(%error, "which life of the log it is stands nowhere");
            }
        });
    }

    /// A record that was stored and never sent out shows in no message, nor does another life that only another node knows of. So the
    /// leader is asked when nothing comes, and now and then in any case.
    pub(super) fn look_for_silent_holes(&mut self, now: Instant) {
        let is_ago = |then: Instant, time| now.saturating_duration_since(then) >= time;
        let is_silent = is_ago(self.heard_at, SILENCE) && is_ago(self.proven_at, SILENCE);
        if self.proving.is_none() && (is_silent || is_ago(self.proven_at, UNSEEN)) {
            self.prove(None);
        }
    }

    pub(super) fn prove(&mut self, of: Option<u64>) {
        let (shared, asked_at) = (Arc::clone(&self.shared), self.mirror.head());
        let makes_it = self.gone_since.is_some_and(|since| since.elapsed() >= LONG_GONE);
        let proof = async move { (asked_at, life::prove(&shared, of, makes_it).await) };
        self.proving = Some(proof.boxed());
    }
}

/// After how long the leader is asked although messages come.
const UNSEEN: Duration = Duration::from_secs(10);

/// After how long without it the stream is made anew: whoever deleted it has had time to do so.
const LONG_GONE: Duration = Duration::from_secs(5);
