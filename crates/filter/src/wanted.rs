//! A filter's changes, gathered until its final answer.

use postern_milter::Change;
use postern_milter::lines::BodyLines;

use crate::body::NewBody;
use crate::end::EndError;
use crate::failure::Cause;
use crate::settings::Filter;

/// A filter's changes, until its answer says whether they count.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) changes: Vec<Change>,
    size: usize,
    body: Option<Body>,
}

#[derive(Default)]
struct Body {
    lines: BodyLines,
    len: u64,
    pending: Vec<u8>,
}

impl Wanted {
    pub(crate) fn add(&mut self, change: Change, filter: &Filter) -> Result<(), Cause> {
        self.size += change.size();
        if self.size > filter.changes_size_max {
            return Err(Cause::TooMuch {
                what: "changes",
                max: filter.changes_size_max as u64,
            });
        }
        self.changes.push(change);
        Ok(())
    }

    /// Octets of the changes so far, without the body.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn add_piece(&mut self, piece: &[u8], filter: &Filter) -> Result<(), Cause> {
        let body = self.body.get_or_insert_default();
        body.len += piece.len() as u64;
        if body.len > filter.body_size_max {
            return Err(Cause::TooMuch {
                what: "body",
                max: filter.body_size_max,
            });
        }
        body.lines.feed(piece, &mut body.pending);
        Ok(())
    }

    pub(crate) async fn write(&mut self, new_body: &mut impl NewBody) -> Result<(), EndError> {
        if let Some(body) = &mut self.body
            && !body.pending.is_empty()
        {
            new_body.write(&body.pending).await.map_err(EndError::NewBody)?;
            body.pending.clear();
        }
        Ok(())
    }

    /// The answer lets the message through: the last line of a new body ends here. Returns whether there is one.
    pub(crate) async fn finish(&mut self, new_body: &mut impl NewBody) -> Result<bool, EndError> {
        if let Some(body) = &mut self.body {
            body.lines.finish(&mut body.pending);
        }
        self.write(new_body).await?;
        Ok(self.body.is_some())
    }
}
