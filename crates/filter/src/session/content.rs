//! The content of a message: its header, its body, and its end.

use std::sync::Arc;

use bytes::BytesMut;
use postern_milter::outage::Proof;
use postern_milter::{Command, Event, Macros, Verdict};

use super::Session;
use crate::body::NewBody;
use crate::end::{End, EndError};
use crate::failure::{During, Failure};
use crate::link::HeaderEnd;

impl Session {
    /// A header field: its name, and everything after the colon with folds as CRLF, without the last line end. Of a field that
    /// does not fit into a packet the filter sees the beginning, so that such a field cannot bypass it.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn header(&mut self, name: &[u8], value: &[u8]) -> Result<Verdict, Failure> {
        let Some(mut link) = self.take(Event::Header)? else {
            return Ok(Verdict::Continue);
        };
        match link.field(self.service.filter(), name, value).await {
            Ok(verdict) => {
                self.keep(link, &verdict).await;
                Ok(verdict)
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// All fields of the header as for [`Session::header`], and its end. Returns the step at which the filter decided, or the end
    /// of the header if it did not.
    ///
    /// A filter that answers each field is sent many of them before its answers are read: it works while the next ones are on
    /// their way, and both sides wait once instead of at each field. If it decides on a field, its connection is closed, since
    /// how it handles later fields is not defined anywhere; from then on it is sent one at a time, and so is one that fails.
    pub async fn whole_header<'f>(
        &mut self,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
        macros: &(dyn Macros + Sync),
    ) -> (Event, Result<Verdict, Failure>) {
        let mut link = match self.take(Event::Header) {
            Ok(Some(link)) => link,
            Ok(None) => return (Event::EndOfHeader, Ok(Verdict::Continue)),
            Err(failure) => return (Event::Header, Err(failure)),
        };
        let service = Arc::clone(&self.service);
        let ahead = service.may_be_told_ahead();
        match link.header(service.filter(), fields, ahead, macros).await {
            Ok(HeaderEnd {
                event,
                verdict,
                out_of_step: false,
            }) => {
                self.keep(link, &verdict).await;
                (event, Ok(verdict))
            }
            Ok(HeaderEnd { event, verdict, .. }) => {
                service.tell_one_by_one();
                if link.conversation.is_done_with_session() {
                    self.gone = Some(verdict.clone());
                }
                self.decided = true;
                (event, Ok(verdict))
            }
            Err(failure) => {
                if failure.kind().is_some() {
                    service.tell_one_by_one();
                }
                let event = match failure.during {
                    During::Step(event) => event,
                    _ => Event::Header,
                };
                (event, Err(self.failed(failure)))
            }
        }
    }

    /// The end of the header.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn eoh(&mut self, macros: &(dyn Macros + Sync)) -> Result<Verdict, Failure> {
        self.step(Event::EndOfHeader, &Command::EndOfHeader, macros).await
    }

    /// The next octets of the body, with CRLF, cut anywhere.
    ///
    /// They are sent in pieces of the agreed size, so most calls only gather.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn body(&mut self, mut octets: &[u8]) -> Result<Verdict, Failure> {
        if self.failed {
            return self.step(Event::Body, &Command::Body(octets), &()).await;
        }
        while !octets.is_empty() {
            let Some(size) = self.piece_max() else {
                self.piece = BytesMut::new();
                break;
            };
            let room = size.saturating_sub(self.piece.len());
            let (now, later) = octets.split_at(octets.len().min(room));
            self.piece.extend_from_slice(now);
            octets = later;
            if self.piece.len() >= size {
                let verdict = self.send_piece().await?;
                if verdict != Verdict::Continue {
                    return Ok(verdict);
                }
            }
        }
        Ok(Verdict::Continue)
    }

    /// The end of the message. A new body goes to `new_body` as it comes; whether it counts, and all changes, are in the result.
    ///
    /// # Errors
    ///
    /// [`EndError`]: then nothing is changed, and what was written to `new_body` must be discarded.
    pub async fn end(
        &mut self,
        macros: &(dyn Macros + Sync),
        new_body: &mut impl NewBody,
    ) -> Result<End, EndError> {
        if !self.piece.is_empty() {
            let verdict = self.send_piece().await?;
            if verdict != Verdict::Continue {
                return Ok(End::through(verdict));
            }
        }
        let Some(mut link) = self.take(Event::End)? else {
            return Ok(End::through(Verdict::Continue));
        };
        match link.end(self.service.filter(), macros, new_body).await {
            Ok(end) => {
                self.service.worked(Proof::Answered);
                self.keep(link, &end.verdict).await;
                Ok(end)
            }
            Err(error) => {
                self.failed = true;
                if let EndError::Filter(failure) = &error {
                    self.service.note(failure);
                }
                Err(error)
            }
        }
    }

    async fn send_piece(&mut self) -> Result<Verdict, Failure> {
        let mut piece = std::mem::take(&mut self.piece);
        let verdict = self.step(Event::Body, &Command::Body(&piece), &()).await;
        piece.clear();
        self.piece = piece;
        verdict
    }
}
