//! Puts checks to the body of a message, and writes another one where they change it.

use postern_mail::content::ContentEditor;
use postern_policy::header_check::{Body, Findings};
use postern_spool::{Assembly, NewBodies, NewBody, Refusal, Spool};

use super::Content;

impl Content {
    /// Goes through the body, where a check looks at it.
    ///
    /// # Errors
    ///
    /// The message is not to be taken, or its body cannot be read or written.
    pub(crate) async fn body(
        &mut self,
        assembly: &mut Assembly,
        bodies: &mut NewBodies<'_>,
    ) -> Result<(), Refusal> {
        if !self.checks().is_some_and(|checks| checks.look_at_body()) {
            return Ok(());
        }
        let mut findings = std::mem::take(&mut self.findings);
        // What it comes to is found out first; most bodies stay as they are, and are not written again.
        let edits = self.look(assembly, bodies.spool(), &mut findings).await?;
        self.findings = findings;
        self.refused()?;
        if !edits || self.findings.discarded.is_some() {
            return Ok(());
        }
        self.rewrite(assembly, bodies).await
    }

    /// Puts the checks to a body in memory, behind this header.
    ///
    /// # Errors
    ///
    /// The message is not to be taken.
    pub fn body_in_memory(&mut self, header: &[u8], body: &[u8]) -> Result<(), Refusal> {
        let mut findings = std::mem::take(&mut self.findings);
        if let Some(chosen) = self.checks().filter(|checks| checks.look_at_body()) {
            let mut editor = ContentEditor::new(header);
            let mut looking = Body {
                chosen: &chosen,
                findings: &mut findings,
            };
            let mut out = Vec::new();
            editor.feed(body, &mut looking, &mut out);
            editor.finish(&mut looking, &mut out);
        }
        self.findings = findings;
        self.refused()
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
        let mut out = Vec::new();
        let mut reader = assembly.read_body(spool);
        while let Some(piece) = reader.piece().await.map_err(|error| Refusal::of_spool(&error))? {
            let mut looking = Body {
                chosen: &chosen,
                findings,
            };
            editor.feed(&piece, &mut looking, &mut out);
            out.clear();
            if findings.is_settled() {
                return Ok(false);
            }
        }
        let mut looking = Body {
            chosen: &chosen,
            findings,
        };
        editor.finish(&mut looking, &mut out);
        Ok(editor.is_edited())
    }

    async fn rewrite(&self, assembly: &mut Assembly, bodies: &mut NewBodies<'_>) -> Result<(), Refusal> {
        let Some(chosen) = self.checks() else {
            return Ok(());
        };
        // Everything was noted when it was looked at.
        let mut findings = Findings::default();
        let mut editor = ContentEditor::new(&header_text(assembly));
        let mut out = Vec::new();
        let mut reader = assembly.read_body(bodies.spool());
        let mut body = bodies.begin(assembly.id);
        while let Some(piece) = reader.piece().await.map_err(|error| Refusal::of_spool(&error))? {
            let mut looking = Body {
                chosen: &chosen,
                findings: &mut findings,
            };
            editor.feed(&piece, &mut looking, &mut out);
            write(&mut body, &mut out).await?;
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
