//! The authors that a message claims, before and after the filters.

use postern_mail::{Domain, Header, Mailbox, mailbox_list};

/// The authors of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Authors {
    /// How many `From` fields there are.
    pub(super) fields: usize,
    /// The addresses in them; `None` if they are ambiguous.
    pub(super) mailboxes: Option<Vec<Mailbox>>,
}

impl Authors {
    /// From a header.
    pub(super) fn of(header: &Header) -> Self {
        let mut mailboxes = Some(Vec::new());
        let mut fields = 0;
        for (_, field) in header.named("From") {
            fields += 1;
            let value = field.unfolded();
            let list = std::str::from_utf8(&value).ok().and_then(mailbox_list);
            match (&mut mailboxes, list) {
                (Some(all), Some(list)) => all.extend(list),
                _ => mailboxes = None,
            }
        }
        Self { fields, mailboxes }
    }

    /// The domains of all of them.
    pub(super) fn domains(&self) -> Vec<Domain> {
        let mailboxes = self.mailboxes.iter().flatten();
        mailboxes.map(|mailbox| mailbox.domain().clone()).collect()
    }

    /// The first of them.
    pub(super) fn first(&self) -> Option<&Mailbox> {
        self.mailboxes.as_ref()?.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wrote_it() {
        #[rustfmt::skip]
        let cases = [
            // what the case shows        header                                                fields  authors
            ("one",                       "From: A <a@x.example>\r\n",                          1,      Some("a@x.example")),
            ("folded",                    "From: A\r\n <a@x.example>\r\n",                      1,      Some("a@x.example")),
            ("two in one field",          "From: a@x.example, b@y.example\r\n",                 1,      Some("a@x.example b@y.example")),
            ("two fields",                "From: a@x.example\r\nfrom : b@y.example\r\n",        2,      Some("a@x.example b@y.example")),
            ("none",                      "To: a@x.example\r\n",                                0,      Some("")),
            ("no address",                "From: somebody\r\n",                                 1,      None),
            ("an address and a riddle",   "From: a@x.example\r\nFrom: <b\r\n",                  2,      None),
        ];
        for (shows, header, fields, authors) in cases {
            let found = Authors::of(&Header::parse(header.into()));
            let told = found.mailboxes.map(|mailboxes| {
                let all: Vec<String> = mailboxes.iter().map(ToString::to_string).collect();
                all.join(" ")
            });
            assert_eq!((found.fields, told.as_deref()), (fields, authors), "{shows}");
        }
    }
}
