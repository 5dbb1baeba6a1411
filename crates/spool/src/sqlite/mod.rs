//! The engine for one machine: SQLite with a write-ahead log, one writer thread, group commit.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use postern_mail::QueueId;

use crate::admin::{Counts, Filter, MessageDetail, Page, Selection, SummaryPage};
use crate::body::{BodyReader, BodyWriter};
use crate::engine::{DuePage, DueWork, Spool, SpoolFuture, SpoolState};
use crate::error::SpoolError;
use crate::fresh::Subscription;
use crate::message::{Message, NewMessage};
use crate::outcome::{HistoryEntry, Settled, Settlement};
use crate::settings::SpoolSettings;

/// The queue in one folder of one machine.
#[derive(Debug)]
pub struct SqliteSpool {}

impl SqliteSpool {
    /// Opens the queue, making it when the folder is empty, and recovers what a crash left.
    ///
    /// Blocks: call it before serving, or from a blocking thread.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Locked`] when another process has it open, [`SpoolError::SchemaTooNew`], and what the disk says.
    pub fn open(settings: SpoolSettings) -> Result<Self, SpoolError> {
        todo!("{settings:?}")
    }
}

impl Spool for SqliteSpool {
    fn next_id(&self) -> QueueId {
        todo!()
    }
    fn body_writer(&self, id: QueueId) -> BodyWriter {
        todo!("{id}")
    }
    fn put(&self, message: NewMessage) -> SpoolFuture<'_, Arc<Message>> {
        async move { todo!("{message:?}") }.boxed()
    }
    fn settle(&self, settlement: Settlement) -> SpoolFuture<'_, Settled> {
        async move { todo!("{settlement:?}") }.boxed()
    }
    fn load(&self, id: QueueId) -> SpoolFuture<'_, Option<Arc<Message>>> {
        async move { todo!("{id:?}") }.boxed()
    }
    fn open_body(&self, message: &Message) -> BodyReader {
        todo!("{message:?}")
    }
    fn due_domains<'a>(
        &'a self,
        _after: Option<&'a str>,
        _now: Timestamp,
        _limit: usize,
    ) -> SpoolFuture<'a, DuePage> {
        todo!()
    }
    fn due<'a>(
        &'a self,
        _domain: &'a str,
        _now: Timestamp,
        _limit: usize,
        _in_flight: &'a (dyn Fn(QueueId) -> bool + Sync),
    ) -> SpoolFuture<'a, Vec<DueWork>> {
        todo!()
    }
    fn subscribe(&self) -> Subscription {
        todo!()
    }
    fn list<'a>(&'a self, _filter: &'a Filter, _page: Page) -> SpoolFuture<'a, SummaryPage> {
        todo!()
    }
    fn show(&self, _id: QueueId) -> SpoolFuture<'_, Option<MessageDetail>> {
        todo!()
    }
    fn hold<'a>(&'a self, _which: Selection, _by: &'a str, _reason: &'a str) -> SpoolFuture<'a, u64> {
        todo!()
    }
    fn release<'a>(&'a self, _which: Selection, _by: &'a str) -> SpoolFuture<'a, u64> {
        todo!()
    }
    fn retry_now<'a>(&'a self, _which: Selection, _by: &'a str) -> SpoolFuture<'a, u64> {
        todo!()
    }
    fn remove<'a>(&'a self, _which: Selection, _by: &'a str) -> SpoolFuture<'a, u64> {
        todo!()
    }
    fn flush<'a>(&'a self, _domain: Option<&'a str>, _by: &'a str) -> SpoolFuture<'a, u64> {
        todo!()
    }
    fn history(&self, _id: QueueId) -> SpoolFuture<'_, Vec<HistoryEntry>> {
        todo!()
    }
    fn counts(&self) -> Counts {
        todo!()
    }
    fn state(&self) -> SpoolState {
        todo!()
    }
    fn free_bytes(&self) -> Option<u64> {
        todo!()
    }
    fn close(&self) -> SpoolFuture<'_, ()> {
        todo!()
    }
}
