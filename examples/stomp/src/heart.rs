//! Heart-beats, in both directions, as often as client and server have agreed on (STOMP 1.2, "Heart-beating").

use std::future;
use std::time::Duration;

use tokio::time::{self, Instant, Interval, MissedTickBehavior};

use crate::frame::Malformed;

/// The most often that we send a beat, or want one. A second: as often as a client may like it. Whoever wants fewer says so, and whoever
/// wants none has Dualcast's own pings.
const FASTEST: Duration = Duration::from_secs(1);

/// How often a beat that was agreed on may fail to come: networks are late.
const LENIENCE: u32 = 2;

/// How long a client may take to say CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What we offer and what we want, for CONNECTED.
pub(crate) fn offer() -> String {
    let fastest = FASTEST.as_millis();
    format!("{fastest},{fastest}")
}

/// Takes what the client offers and wants: `0` is never. Without the header it is never, both ways.
pub(crate) fn agree(header: Option<&str>) -> Result<(Beats, Patience), Malformed> {
    let malformed = Malformed("heart-beat is not two numbers of milliseconds");
    let (offers, wants) = header.unwrap_or("0,0").split_once(',').ok_or(malformed)?;
    let parse = |millis: &str| -> Result<Option<Duration>, Malformed> {
        let millis: u32 = millis.trim().parse().map_err(|_| malformed)?;
        let is_wanted = millis > 0;
        Ok(is_wanted.then(|| Duration::from_millis(millis.into()).max(FASTEST)))
    };
    let beats = parse(wants)?.map(|every| {
        let mut beats = time::interval_at(Instant::now() + every, every);
        // A client that does not read gets one for those that it missed.
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats
    });
    let patience = parse(offers)?.map(|every| every * LENIENCE);
    Ok((Beats(beats), Patience::new(patience)))
}

/// When it is time for a beat of ours.
#[derive(Debug, Default)]
pub(crate) struct Beats(Option<Interval>);

impl Beats {
    /// Waits until it is.
    pub(crate) async fn next(&mut self) {
        match &mut self.0 {
            Some(beats) => drop(beats.tick().await),
            None => future::pending().await,
        }
    }
}

/// For how long a client may be silent.
#[derive(Debug)]
pub(crate) struct Patience {
    for_how_long: Option<Duration>,
    heard_at: Instant,
}

impl Patience {
    /// Until CONNECT.
    pub(crate) fn to_connect() -> Self {
        Self::new(Some(CONNECT_TIMEOUT))
    }

    fn new(for_how_long: Option<Duration>) -> Self {
        Self {
            for_how_long,
            heard_at: Instant::now(),
        }
    }

    /// What the client says next, or nothing where it is silent for too long. What lies ready counts, however late it is looked at.
    pub(crate) async fn within<T>(&mut self, hearing: impl Future<Output = T>) -> Option<T> {
        let heard = match self.for_how_long {
            Some(patience) => time::timeout_at(self.heard_at + patience, hearing).await.ok(),
            None => Some(hearing.await),
        };
        self.heard_at = Instant::now();
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_beat_as_often_as_the_slower_wants() {
        let heart = |header| {
            let (Beats(beats), patience) = agree(header).unwrap();
            (beats.map(|beats| beats.period()), patience.for_how_long)
        };
        let seconds = Duration::from_secs;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        assert_eq!(heart(None), (None, None));
        assert_eq!(heart(Some("0,0")), (None, None));
        assert_eq!(
            heart(Some("20000,10")),
            (Some(seconds(1)), Some(seconds(20) * LENIENCE))
        );
        assert_eq!(heart(Some("1, 0")), (None, Some(seconds(1) * LENIENCE)));
        for header in ["", "1", "a,b", "-1,0", "1,2,3"] {
            agree(Some(header)).unwrap_err();
        }
    }
}
