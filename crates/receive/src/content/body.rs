//! Runs checks on the body of a message, and writes a new body if they change it.

use postern_mail::content::ContentEditor;
use postern_policy::header_check::{Body, Findings};
use postern_spool::{Assembly, NewBodies, NewBody, Refusal, Spool};

use super::Content;
use super::refusal::too_large;

/// Octets of the body that are checked at a time: the result is held in memory.
const STEP: usize = 4 << 10;

/// How much checks make a body grow.
#[derive(Debug, Default)]
struct Growth {
    came: u64,
    written: u64,
}

impl Growth {
    /// Adds the sizes of an input and of its result, which is cleared.
    fn add(&mut self, came: usize, out: &mut Vec<u8>) {
        self.came += came as u64;
        self.written += out.len() as u64;
        out.clear();
    }

    /// # Errors
    ///
    /// The message, with a header of this size, has grown beyond the limit.
    fn check(&self, header: u64, limit: u64) -> Result<(), Refusal> {
        let size = header + self.written;
        // If it does not grow, it stays within the size that was accepted.
        if self.written > self.came && size > limit {
            return Err(too_large(size, limit));
        }
        Ok(())
    }
}

impl Content {
    /// Runs the checks on the body, if there are any for it.
    ///
    /// # Errors
    ///
    /// The message is refused, or its body cannot be read or written.
    pub(crate) async fn body(
        &mut self,
        assembly: &mut Assembly,
        bodies: &mut NewBodies<'_>,
    ) -> Result<(), Refusal> {
        if !self.checks().is_some_and(|checks| checks.look_at_body()) {
            return Ok(());
        }
        let mut findings = std::mem::take(&mut self.findings);
        // A first pass finds out whether anything changes; most bodies stay as they are and are not rewritten.
        let edits = self.look(assembly, bodies.spool(), &mut findings).await;
        self.findings = findings;
        self.refused()?;
        let edits = edits?;
        if !edits || self.findings.discarded.is_some() {
            return Ok(());
        }
        self.rewrite(assembly, bodies).await
    }

    /// Runs the checks on a body in memory that follows this header.
    ///
    /// # Errors
    ///
    /// The message is refused.
    pub fn body_in_memory(&mut self, header: &[u8], body: &[u8]) -> Result<(), Refusal> {
        let mut findings = std::mem::take(&mut self.findings);
        let mut grown = Ok(());
        if let Some(chosen) = self.checks().filter(|checks| checks.look_at_body()) {
            let mut editor = ContentEditor::new(header);
            let mut looking = Body {
                chosen: &chosen,
                findings: &mut findings,
            };
            let (mut out, mut growth) = (Vec::new(), Growth::default());
            for piece in body.chunks(STEP) {
                editor.feed(piece, &mut looking, &mut out);
                growth.add(piece.len(), &mut out);
            }
            editor.finish(&mut looking, &mut out);
            growth.add(0, &mut out);
            if !findings.is_settled() {
                grown = growth.check(header.len() as u64, self.size_max);
            }
        }
        self.findings = findings;
        self.refused()?;
        grown
    }

    async fn look(
        &self,
        assembly: &mut Assembly,
        spool: &dyn Spool,
        findings: &mut Findings,
    ) -> Result<bool, Refusal> {
        let Some(chosen) = self.checks() else {
            return Ok(false);
        };
        let mut editor = ContentEditor::new(&header_text(assembly));
        let header = taken_header(assembly);
        let (mut out, mut growth) = (Vec::new(), Growth::default());
        let mut reader = assembly.read_body(spool);
        while let Some(piece) = reader.piece().await.map_err(|error| Refusal::of_spool(&error))? {
            for step in piece.chunks(STEP) {
                let mut looking = Body {
                    chosen: &chosen,
                    findings,
                };
                editor.feed(step, &mut looking, &mut out);
                growth.add(step.len(), &mut out);
                if findings.is_settled() {
                    return Ok(false);
                }
            }
        }
        let mut looking = Body {
            chosen: &chosen,
            findings,
        };
        editor.finish(&mut looking, &mut out);
        growth.add(0, &mut out);
        if !findings.is_settled() {
            growth.check(header, self.size_max)?;
        }
        Ok(editor.is_edited())
    }

    async fn rewrite(&self, assembly: &mut Assembly, bodies: &mut NewBodies<'_>) -> Result<(), Refusal> {
        let Some(chosen) = self.checks() else {
            return Ok(());
        };
        // The first pass has noted everything.
        let mut findings = Findings::default();
        let mut editor = ContentEditor::new(&header_text(assembly));
        let mut out = Vec::new();
        let mut reader = assembly.read_body(bodies.spool());
        let mut body = bodies.begin(assembly.id);
        while let Some(piece) = reader.piece().await.map_err(|error| Refusal::of_spool(&error))? {
            for step in piece.chunks(STEP) {
                let mut looking = Body {
                    chosen: &chosen,
                    findings: &mut findings,
                };
                editor.feed(step, &mut looking, &mut out);
                write(&mut body, &mut out).await?;
            }
        }
        let mut looking = Body {
            chosen: &chosen,
            findings: &mut findings,
        };
        editor.finish(&mut looking, &mut out);
        write(&mut body, &mut out).await?;
        let made = body.finish().await?;
        assembly.replace_body(made);
        Ok(())
    }
}

async fn write(body: &mut NewBody<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if !out.is_empty() {
        body.write(out).await?;
        out.clear();
    }
    Ok(())
}

fn header_text(assembly: &mut Assembly) -> Vec<u8> {
    let mut text = Vec::new();
    assembly.header_mut().write(&mut text);
    text
}

/// Octets of the header that count towards the size of a message: what the client sent, and the empty line.
fn taken_header(assembly: &mut Assembly) -> u64 {
    let own = assembly.own_fields();
    let fields = assembly.header_mut().fields().skip(own);
    fields.map(|field| field.raw().len() as u64).sum::<u64>() + 2
}
