//! `[[access]]`, `[[policy_service]]` and `[[limit]]`.

use std::time::Duration;

use ipnet::IpNet;
use postern_filter::Address as FilterAddress;
use postern_mail::Mailbox;
use postern_policy::access::keys::{Form, Subject};
use postern_policy::access::{Destination, Fault, Stage};
use postern_table::Reference;
use toml::Spanned;
use toml::de::DeValue;

use super::words::{Address, MilterAddress};
use crate::config::kinds::{Choice, Count, Line, List, Network, OneOf, Size, Switch, Time};
use crate::config::read::{At, Kind, Place, Reader, table};

/// What a condition names: one text, a list of them, or `{ not = … }`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matcher {
    /// Whether it holds where none of them does.
    pub(crate) negated: bool,
    /// The texts.
    pub(crate) items: Vec<At<String>>,
}

/// Texts of a condition, with what each of them is.
pub(crate) struct Match(pub(crate) &'static str);

impl Match {
    /// Longest text, in octets.
    const LONGEST: usize = 1_024;

    fn items(
        value: &Spanned<DeValue<'_>>,
        place: &Place,
        reader: &mut Reader<'_>,
    ) -> Option<Vec<At<String>>> {
        let one = |value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>| {
            let written = Line(Self::LONGEST).read(value, place, reader)?;
            note_paths(&written, value, reader);
            Some(At {
                value: written,
                span: Some(value.span()),
            })
        };
        match value.get_ref() {
            DeValue::Array(elements) => {
                let place = place.element();
                let mut items = Vec::with_capacity(elements.len());
                for element in elements.iter() {
                    items.push(one(element, &place, reader)?);
                }
                Some(items)
            }
            _ => Some(vec![one(value, place, reader)?]),
        }
    }
}

/// The name of a table.
pub(crate) struct TableName;

impl Kind for TableName {
    type Value = String;

    fn describe(&self) -> String {
        "name of a table".into()
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<String> {
        let written = Line(4_096).read(value, place, reader)?;
        note_paths(&written, value, reader);
        Some(written)
    }
}

/// Takes note of the files behind the name of a table: the server has to be able to read them again.
fn note_paths(written: &str, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
    if !Reference::is_meant(written) {
        return;
    }
    if let Ok(reference) = Reference::parse(written) {
        for path in reference.paths() {
            reader.resolve(&path.to_string_lossy(), value.span());
        }
    }
}

impl Kind for Match {
    type Value = Matcher;

    fn describe(&self) -> String {
        format!("{}; one, a list, or `{{ not = … }}`", self.0)
    }

    fn read(&self, value: &Spanned<DeValue<'_>>, place: &Place, reader: &mut Reader<'_>) -> Option<Matcher> {
        let DeValue::Table(table) = value.get_ref() else {
            return Some(Matcher {
                negated: false,
                items: Self::items(value, place, reader)?,
            });
        };
        match (table.get("not"), table.len()) {
            (Some(inner), 1) => Some(Matcher {
                negated: true,
                items: Self::items(inner, place, reader)?,
            }),
            _ => {
                reader.bad_value(
                    value.span(),
                    place,
                    "a table with anything but `not`",
                    format!(
                        "write for example `{} = {{ not = {} }}`",
                        place.key, place.example
                    ),
                );
                None
            }
        }
    }
}

table! {
    /// Access rules: who may send what to whom. They are evaluated in order, for each recipient; the first that accepts, refuses,
    /// defers or discards decides. A rule that holds, redirects, tags, limits or notes does so, and the next one is evaluated.
    ///
    /// All given conditions must hold; without any, the rule always matches. Each is a text, a list of which one must match, or
    /// `{ not = … }`, of which none may match. Instead of listed values, or in addition to them, a table can be given:
    /// `"table:NAME"` of a `[[table]]`, or a file of Postfix or sendmail such as `"hash:/etc/postfix/senders"`.
    ///
    /// If something a rule depends on cannot be determined, because DNS or a table does not answer, the reply is `451 4.7.1`:
    /// mail is never let through.
    Access {
        /// Its name in the log and in `postern explain`.
        name: String = Line(64), required "\"dial-in pools\"";
        /// The class that it belongs to. Rules of a class are only evaluated where a rule with the verdict `class`, or a table,
        /// names the class.
        class: String = Line(64), optional "\"greylist\"" else "it is one of the main list";
        /// The stage from which on it is evaluated, although its conditions may be known earlier: `connect`, `helo`, `mail`,
        /// `rcpt` or `data`. A rule without it is evaluated as soon as everything is known, or, with `delay_checks`, at the
        /// recipient. An earlier rule that may accept and has not been evaluated yet delays it.
        at: Stage = OneOf::<Stage>::new(), optional "\"connect\"" else "as early as `delay_checks` lets it";
        /// Networks of the client.
        client: Matcher = Match("network or table"), optional "\"192.0.2.0/24\"" else "any client";
        /// Names of the client's address that resolve back to it (forward-confirmed reverse DNS): `"mx.example.org"`, or
        /// `".example.org"` for all below.
        client_name: Matcher = Match("host name, \".domain\" or table"), optional "\".example.org\"" else "any";
        /// The same for the first name of its address, whether it resolves back or not.
        reverse_name: Matcher = Match("host name, \".domain\" or table"), optional "\".example.org\"" else "any";
        /// The name that it gives in `HELO` or `EHLO`.
        helo: Matcher = Match("host name, \".domain\" or table"), optional "\"localhost\"" else "any";
        /// The state of TLS: `none`, `any`, `verified` (with a client certificate), `TLSv1.2` or `TLSv1.3`.
        tls: Matcher = Match("state of TLS"), optional "\"none\"" else "any";
        /// Verified client certificates, by SHA-256 fingerprint or by the distinguished name of the subject.
        certificate: Matcher = Match("fingerprint or name"), optional "\"CN=branch7.example.org\"" else "any, or none";
        /// Who has authenticated: `"acaird"`, `"@example.org"`, `"*"` for anybody, `"none"` for nobody.
        login: Matcher = Match("login, \"@domain\", \"*\", \"none\" or table"), optional "\"none\"" else "anybody, or nobody";
        /// Whether the client has neither authenticated nor may relay by network or certificate.
        stranger: bool = Switch, optional "true" else "either";
        /// Names of listeners. One without a name is referred to by its address.
        listener: Matcher = Match("name of a listener"), optional "\"submission\"" else "any";
        /// Senders of the envelope: `"ann@example.org"`, `"name@"` in any domain, `"@example.org"`, `".example.org"` for all domains
        /// below, `"<>"`.
        sender: Matcher = Match("address, \"@domain\", \".domain\", \"<>\" or table"), optional "\"@example.org\"" else "any";
        /// Networks that contain a host that accepts mail for the sender's domain (its MX hosts, or the domain itself).
        sender_mx: Matcher = Match("network"), optional "\"127.0.0.0/8\"" else "anywhere";
        /// Recipients, in the forms of `sender`.
        recipient: Matcher = Match("address, \"@domain\", \".domain\" or table"), optional "\"staff@example.org\"" else "any";
        /// Where the recipient is: in `local` domains, in `relay` domains, or `elsewhere`. A rule on `elsewhere` is also
        /// evaluated for clients that may not relay, before they are refused.
        destination: Matcher = Match("place"), optional "\"elsewhere\"" else "anywhere";
        /// Addresses in the field `From`, in the forms of `sender`. They are known when the message has arrived.
        author: Matcher = Match("address, \"@domain\", \".domain\""), optional "\"ceo@example.org\"" else "any";
        /// The message is larger than this: as declared in `SIZE=`, or as received.
        larger_than: u64 = Size("1", "2 GiB"), optional "\"10 MiB\"" else "any size";
        /// Times on the clock of this machine: days, a time, or both.
        time: Matcher = Match("time"), optional "\"Mon-Fri 08:00-18:00\"" else "always";
        /// What is wrong: `helo_invalid`: `HELO` has neither a valid host name, full or not, nor an address; `helo_syntax`,
        /// `helo_own`, `helo_unknown`, `client_nameless`, `client_unconfirmed`, `sender_unknown` as in `[screen]`;
        /// `sender_unlisted`: the sender is in a domain of this server but does not exist; `recipient_unknown`, the same for the
        /// recipient's domain; `sender_not_full`, `recipient_not_full`: the domain has no dot.
        fault: Matcher = Match("fault"), optional "\"sender_unknown\"" else "nothing need be";
        /// Names of `[[dns_list]]` tables; one that does not answer counts as one that does not know the client.
        dns_list: Vec<At<String>> = List(Line(64)), optional "[\"bl.example.org\"]" else "no list is asked";
        /// The sum that the scores of the lists that list the client must reach.
        dns_score: u64 = Count(1..=1_000), optional "5" else "one of the lists knows it";
        /// What is done. `accept`: accepted, as far as rules and `[screen]` are concerned. `refuse` and `defer`: refused,
        /// permanently or temporarily. `discard`: accepted and discarded. `hold`: the message is held in the queue. `redirect`:
        /// the mail goes to another address. `copy`: a copy also goes to another address. `detour`: the whole message goes to
        /// `way`, for all recipients, instead of following routes (Postfix's `FILTER`). `tag`: the message gets a header field.
        /// `limit`: recipients are counted, and temporarily refused beyond the limit. `policy`: a policy service decides.
        /// `table`: a table decides. `class`: the rules of a class are evaluated. `note`: a line in the log. `continue`: nothing.
        verdict: VerdictWord = OneOf::<VerdictWord>::new(), required "\"refuse\"";
        /// With `accept`: whether the recipient is accepted wherever it is. Only for rules on the network, certificate or login
        /// of the client. With `table`: whether `RELAY` in it means that.
        relay: bool = Switch, default "false";
        /// With `refuse` and `defer`: the reply code.
        code: u64 = Count(400..=599), optional "554" else "550, or 450";
        /// The enhanced status code (RFC 3463).
        status: String = Line(11), optional "\"5.7.1\"" else "5.7.1, or 4.7.1";
        /// The text. `{address}`, `{name}`, `{helo}`, `{sender}` and `{recipient}` are filled in.
        text: String = Line(400), optional "\"no mail from dial-in pools\"" else "\"Access denied\"";
        /// With `hold` and `note`: the reason.
        reason: String = Line(200), optional "\"suspicious\"" else "the name of the rule";
        /// With `redirect` and `copy`: where the mail goes.
        to: Mailbox = Address, optional "\"moderator@example.org\"" else "no redirection";
        /// With `detour`: where the message goes, as in a table of routes: to a filter, mostly. Mail accepted by a listener with
        /// `filtered` follows its normal route again. Kept in the queue with the message.
        way: String = Line(1_000), optional "\"smtp:[127.0.0.1]:10024\"" else "where routes lead";
        /// With `tag`: the field.
        field: String = Line(900), optional "\"X-Partner: yes\"" else "no field";
        /// With `limit`: the name of a `[[limit]]`.
        limit: String = Line(64), optional "\"bulk\"" else "no limit";
        /// With `policy`: the name of a `[[policy_service]]`.
        service: String = Line(64), optional "\"greylist\"" else "no service";
        /// With `class`: the name of the class.
        judge: String = Line(64), optional "\"greylist\"" else "no class";
        /// With `class`: what ends where a rule of the class accepts: the whole `list`, or only the `class`, after which the next
        /// rule is evaluated, as after each of Postfix's restriction lists. The same applies to rules of the class that are
        /// tables.
        accept_ends: AcceptEnds = OneOf::<AcceptEnds>::new(), default "\"list\"";
        /// With `table`: the table.
        table: String = TableName, optional "\"hash:/etc/postfix/sender_access\"" else "no table";
        /// With `table`: what is looked up in it.
        look_up: Subject = OneOf::<Subject>::new(), optional "\"sender\"" else "nothing";
        /// With `table`: its format: `postfix` (`OK`, `REJECT text`, `550 text`, `DUNNO`, names of classes) or `sendmail` (`OK`,
        /// `RELAY`, `REJECT`, `DISCARD`, `SKIP`, `ERROR:5.7.1:550 text`, with or without the tags `Connect:`, `From:`, `To:`
        /// before keys).
        form: Form = OneOf::<Form>::new(), default "\"postfix\"";
    }
}

table! {
    /// A policy service with Postfix's protocol (`check_policy_service`), such as postgrey, postfwd or policyd-spf. Rules with
    /// the verdict `policy` ask it.
    PolicyService {
        /// Its name.
        name: String = Line(64), required "\"greylist\"";
        /// Its socket: `inet:127.0.0.1:10023`, or `unix:/run/x/x.sock`.
        address: FilterAddress = MilterAddress, required "\"inet:127.0.0.1:10023\"";
        /// The longest time for an answer, connecting included.
        timeout: Duration = Time("10ms", "10m"), default "\"30s\"";
        /// Whether mail is accepted without it when it fails; otherwise it is temporarily refused with `451 4.3.5`.
        optional: bool = Switch, default "false";
        /// Most connections to it at once. If another one is needed, it waits for at most `timeout`.
        connections: u64 = Count(1..=10_000), default "50";
        /// How long an idle connection is kept.
        idle_time: Duration = Time("1s", "1h"), default "\"5m\"";
    }
}

table! {
    /// How much the clients of a network may do. Of all limits, the first that matches a client counts; one without numbers is an
    /// exception from later ones. Beyond a limit, a client is told to try again later (`421` or `45x`). The `/24` or `/56` around
    /// a network may have four times as much, and a `/48` sixteen times.
    LimitTable {
        /// Its name.
        name: String = Line(64), required "\"strangers\"";
        /// The names of the listeners whose clients it applies to.
        listeners: Vec<At<String>> = List(Line(64)), optional "[\"mx\"]" else "all";
        /// The networks whose clients it applies to.
        networks: Vec<At<IpNet>> = List(Network), optional "[\"192.0.2.0/24\"]" else "all";
        /// Whether it only applies to clients that have neither authenticated nor may relay.
        strangers: bool = Switch, default "false";
        /// Whether it only counts where an access rule with the verdict `limit` names it.
        by_rule: bool = Switch, default "false";
        /// The period to which the numbers apply.
        window: Duration = Time("1s", "7d"), default "\"1m\"";
        /// Connections in the window; 0 sets no limit.
        connections: u64 = Count(0..=1_000_000), default "0";
        /// Sessions at once.
        sessions: u64 = Count(0..=1_000_000), default "0";
        /// Messages in the window.
        messages: u64 = Count(0..=1_000_000), default "0";
        /// Recipients in the window.
        recipients: u64 = Count(0..=1_000_000), default "0";
        /// Attempts to authenticate in the window.
        logins: u64 = Count(0..=1_000_000), default "0";
        /// Bits of an IPv4 address that name a network.
        bits_v4: u64 = Count(8..=32), default "32";
        /// Bits of an IPv6 address that name a network.
        bits_v6: u64 = Count(32..=128), default "64";
    }
}

/// What ends when a rule of a class accepts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum AcceptEnds {
    #[default]
    List,
    Class,
}

impl Choice for AcceptEnds {
    const WORDS: &'static [(&'static str, Self)] = &[("list", Self::List), ("class", Self::Class)];
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum VerdictWord {
    Accept,
    Refuse,
    Defer,
    Discard,
    Hold,
    Redirect,
    Copy,
    Detour,
    Tag,
    Limit,
    Policy,
    Table,
    Class,
    Note,
    Continue,
}

impl Choice for VerdictWord {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("refuse", Self::Refuse),
        ("accept", Self::Accept),
        ("defer", Self::Defer),
        ("discard", Self::Discard),
        ("hold", Self::Hold),
        ("redirect", Self::Redirect),
        ("copy", Self::Copy),
        ("detour", Self::Detour),
        ("tag", Self::Tag),
        ("limit", Self::Limit),
        ("policy", Self::Policy),
        ("table", Self::Table),
        ("class", Self::Class),
        ("note", Self::Note),
        ("continue", Self::Continue),
    ];
}

impl Choice for Stage {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("connect", Self::Connect),
        ("helo", Self::Helo),
        ("mail", Self::Mail),
        ("rcpt", Self::Rcpt),
        ("data", Self::Data),
    ];
}

impl Choice for Subject {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("sender", Self::Sender),
        ("recipient", Self::Recipient),
        ("client", Self::Client),
        ("client_name", Self::ClientName),
        ("reverse_name", Self::ReverseName),
        ("helo", Self::Helo),
        ("login", Self::Login),
    ];
}

impl Choice for Form {
    const WORDS: &'static [(&'static str, Self)] =
        &[("postfix", Self::Postfix), ("sendmail", Self::Sendmail)];
}

/// The words for where a recipient is.
pub(crate) const DESTINATIONS: [(&str, Destination); 3] = [
    ("local", Destination::Local),
    ("relay", Destination::Relay),
    ("elsewhere", Destination::Elsewhere),
];

/// The words for what can be wrong.
pub(crate) const FAULTS: [(&str, Fault); 11] = Fault::ALL;
