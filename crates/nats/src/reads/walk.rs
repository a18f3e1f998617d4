//! A stretch under way: every sequence is read, or the leader says that it is gone.

use std::ops::RangeInclusive;

use super::{FIRST_PAUSE, MAX_PAGE_BYTES, MAX_PAGE_RECORDS, Portion, ReadError, Reads, Trouble, wait};
use crate::api::ApiError;
use crate::page::{self, End, Query};
use crate::stored::Stored;
use crate::stream::NOT_FOUND;

/// A stretch under way.
pub(super) struct Walk<'a> {
    pub(super) reads: &'a Reads,
    pub(super) next: u64,
    pub(super) through: u64,
    pub(super) bytes: usize,
    pub(super) portion: Portion,
    pub(super) records: Vec<Stored>,
    pub(super) absent: Vec<RangeInclusive<u64>>,
}

impl Walk<'_> {
    /// Goes on until it is through or has its portion.
    pub(super) async fn go(&mut self, trouble: &mut Option<Trouble>) -> Result<(), ReadError> {
        let (mut pause, mut pages) = (FIRST_PAUSE, 0);
        // Whether the next record is one that no page can bring, as far as we know.
        let mut is_wary = false;
        while !self.is_over() {
            if !is_wary {
                let before = self.next;
                match self.read_page().await {
                    Ok(end) => is_wary = end == End::BrokenOff,
                    Err(error) if is_of_no_use(&error) => {
                        *trouble = Some(Trouble::Api(error));
                        pages = MAX_PAGES;
                    }
                    Err(error) => *trouble = Some(Trouble::Api(error)),
                }
                if self.next > before {
                    (pause, pages) = (FIRST_PAUSE, 0);
                    continue;
                }
                pages += 1;
                if !is_wary && pages < MAX_PAGES {
                    wait(&mut pause).await;
                    continue;
                }
            }
            match self.ask_leader().await {
                Ok(None) => {
                    is_wary = self.records.last().is_some_and(|record| record.headers.is_none());
                    (pause, pages) = (FIRST_PAUSE, 0);
                    continue;
                }
                Ok(Some(beyond)) => *trouble = Some(beyond),
                Err(error) if error.code() == Some(NOT_FOUND) => return Err(ReadError::NoStream),
                Err(error) => *trouble = Some(Trouble::Api(error)),
            }
            is_wary = false;
            wait(&mut pause).await;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.next > self.through || self.portion.is_full(self.records.len(), self.bytes)
    }

    /// Takes what follows in a page without a hole.
    async fn read_page(&mut self) -> Result<End, ApiError> {
        let left = self.portion.max_records.saturating_sub(self.records.len());
        let missing = usize::try_from(self.through - self.next + 1).unwrap_or(usize::MAX);
        let query = Query {
            from: self.next,
            subject: ">",
            max_records: left.min(missing).clamp(1, MAX_PAGE_RECORDS),
            max_bytes: self
                .portion
                .max_bytes
                .saturating_sub(self.bytes)
                .clamp(1, MAX_PAGE_BYTES),
        };
        let page = page::read(&self.reads.api, &self.reads.stream, query).await?;
        for record in page.records {
            if record.sequence != self.next || self.is_over() {
                break;
            }
            self.take(record);
        }
        Ok(page.end)
    }

    /// Asks the leader for what is next. `Some` where it has not come so far.
    async fn ask_leader(&mut self) -> Result<Option<Trouble>, ApiError> {
        let before = self.reads.state().await?;
        match self.reads.leaders_next(self.next, ">").await? {
            Some(record) => {
                // It has the records in order, so those before this one are gone.
                self.lack(record.sequence.saturating_sub(1).min(self.through));
                if record.sequence == self.next && self.next <= self.through {
                    self.take(record);
                }
                Ok(None)
            }
            None => {
                // What it had passed when it was asked, and hasn't, is gone.
                let is_same = self.reads.state().await?.is_told_by_same(&before);
                if !is_same {
                    return Ok(Some(Trouble::OtherLeader));
                }
                if before.last_sequence < self.next {
                    return Ok(Some(Trouble::Beyond(before.last_sequence)));
                }
                self.lack(before.last_sequence.min(self.through));
                Ok(None)
            }
        }
    }

    fn take(&mut self, record: Stored) {
        self.next = record.sequence + 1;
        self.bytes += record.payload.len();
        self.records.push(record);
    }

    fn lack(&mut self, through: u64) {
        if through >= self.next {
            self.absent.push(self.next..=through);
            self.next = through + 1;
        }
    }
}

/// Whether asking the replicas again is of no use.
fn is_of_no_use(error: &ApiError) -> bool {
    matches!(error, ApiError::NobodyThere { .. } | ApiError::Denied { .. })
}

/// How many pages in a row may bring nothing before the leader is asked: replicas lag by milliseconds.
const MAX_PAGES: usize = 3;
