//! All stories, one after the other.

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Archive, ArchiveError, PIECE, Story, load};
use crate::name::{Class, Name, date};

impl Archive {
    /// Passes all stories in which something happened in a period to `show`, oldest day first, until that says stop.
    ///
    /// # Errors
    ///
    /// As [`Self::find`]; returns the files that could not be read.
    pub fn each(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        mut show: impl FnMut(Story) -> bool,
    ) -> Result<Vec<String>, ArchiveError> {
        let mut unreadable = Vec::new();
        let mut goes_on = true;
        for name in self.names()? {
            self.each_in(name, &mut unreadable, &mut goes_on, &mut |story| {
                !story.is_within(since, until) || show(story)
            });
        }
        Ok(unreadable)
    }

    /// The days of which there is something, the oldest first.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub fn days(&mut self) -> Result<Vec<Date>, ArchiveError> {
        let mut days: Vec<Date> = self.names()?.iter().map(|name| date(name.day)).collect();
        days.dedup();
        Ok(days)
    }

    /// Shows all stories of these classes that began on a day. What happened in them may have happened later.
    ///
    /// # Errors
    ///
    /// As [`Self::find`]; returns the files that could not be read.
    pub fn each_of(
        &mut self,
        day: Date,
        classes: &[Class],
        mut show: impl FnMut(Story),
    ) -> Result<Vec<String>, ArchiveError> {
        let mut unreadable = Vec::new();
        for name in self.names()? {
            if date(name.day) == day && classes.contains(&name.class) {
                self.each_in(name, &mut unreadable, &mut true, &mut |story| {
                    show(story);
                    true
                });
            }
        }
        Ok(unreadable)
    }

    fn each_in(
        &mut self,
        name: Name,
        unreadable: &mut Vec<String>,
        goes_on: &mut bool,
        show: &mut dyn FnMut(Story) -> bool,
    ) {
        let mut after = 0;
        while *goes_on {
            let seen = self.with(name, unreadable, |reader| {
                let rows = reader.after(after, PIECE)?;
                for story in &rows {
                    let Some(story) = load(reader, name, *story)? else {
                        continue;
                    };
                    if !show(story) {
                        *goes_on = false;
                        break;
                    }
                }
                Ok(rows.last().copied())
            });
            let Some(last) = seen else { break };
            after = i64::from(last);
        }
    }
}
