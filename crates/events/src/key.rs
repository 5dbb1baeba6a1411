//! The dictionary: every field of an event, with one name and one meaning, in the log, in listings and in `--json`.

use std::fmt;

/// The version of the contract: of the words of events, the names of fields and of rules, and what they mean.
///
/// A new event, field or rule does not change it. Removing a name or changing its meaning does.
pub const CONTRACT: u32 = 1;

/// The type of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number, in the unit given in its name or meaning.
    Number,
    /// `yes` or `no`; in JSON `true` or `false`.
    Flag,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Flag => "yes or no",
        })
    }
}

macro_rules! keys {
    ($($variant:ident $name:literal $kind:ident $meaning:literal)*) => {
        /// A field. Its `Display` form is its name.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Key {
            $(
                #[doc = concat!("`", $name, "`: ", $meaning, ".")]
                $variant,
            )*
        }

        impl Key {
            /// The whole dictionary, in the order of the document.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its type.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// What it means, in one line of Markdown.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

keys! {
    // Ids that tie events together.
    Session "session" Text "the connection, or the login that a neighbour had checked; the same in all events about it"
    Queue "queue" Text "the message; the same in all events about it"
    Listener "listener" Text "the listener or socket, by its name"
    Peer "peer" Text "the address of the client"
    Login "login" Text "the login that was used or tried; for a user of this machine, name and number: `anna (uid 1000)`"
    ActsAs "acts_as" Text "the account that a login acts as, where that is another"
    By "by" Text "the administrator who did it"

    // Decisions.
    Rule "rule" Text "the rule that decided"
    SenderRule "sender_rule" Text "the rule by which the client may use the sender and the author of the message"
    Reason "reason" Text "what the decision rests on, or why something fails"
    Cause "cause" Text "what was behind the reason"
    Reply "reply" Text "what one side answered the other, in SMTP or in the protocol of a neighbour"
    Error "error" Text "why something failed here"
    Problem "problem" Text "a mistake or a warning of the configuration, with file and line"

    // A session.
    Helo "helo" Text "what the client calls itself"
    Version "version" Text "the version: of TLS, or of the program"
    Tls "tls" Text "the version of TLS; how a connection was secured"
    Cipher "cipher" Text "the cipher of TLS"
    Bits "bits" Number "the strength of the cipher"
    LayerBits "layer_bits" Number "the strength of the security layer that a mechanism has put in place"
    Verify "verify" Text "whether the client's certificate is valid: `OK`, `NO` for none, `FAIL`"
    Certificate "certificate" Text "the subject of the client's certificate"
    Sni "sni" Text "the name of this server that the client asked for in TLS"
    Resumed "resumed" Flag "whether a TLS session was resumed"
    Mechanism "mechanism" Text "the mechanism of SASL"
    Neighbour "neighbour" Text "the session's name in the log of the neighbour that asked"
    Submitter "submitter" Text "what the client said in `AUTH=`"
    Seconds "seconds" Number "how long, in seconds"
    Octets "octets" Number "how many octets"

    // A message.
    From "from" Text "the sender of the envelope"
    To "to" Text "a recipient; behind an alias, where it leads"
    Original "original" Text "the recipient as it was named in `RCPT`, where an alias has led elsewhere"
    Recipients "recipients" Number "how many recipients"
    Size "size" Number "the size of the content, in octets"
    MessageId "message_id" Text "the `Message-ID`"
    Alias "alias" Text "the alias"
    Author "author" Text "the domain of the author, in `From`"
    Spf "spf" Text "what SPF says"
    Dkim "dkim" Text "the result of the best DKIM signature"
    Dmarc "dmarc" Text "what DMARC says"
    Arc "arc" Text "the result of the ARC chain"
    Action "action" Text "what was done about it: `nothing`, `mark`, `hold`, `reject`"

    // Delivery.
    Relay "relay" Text "the host that was asked, with address and port"
    Proof "proof" Text "how far the DNS has proven the way there: `secure`, `insecure`, `indeterminate`, `bogus`"
    Destination "destination" Text "the next hop: a domain, a smarthost, a folder"
    Status "status" Text "the enhanced status of a recipient"
    Failure "failure" Text "what kind of failure it was, one of those below"
    Stage "stage" Text "the step at which the host was silent or refused, such as `RCPT` or `end of data`"
    DelayMs "delay_ms" Number "milliseconds since the message was accepted"
    TookMs "took_ms" Number "how long it took, in milliseconds"
    Failed "failed" Flag "whether it failed"
    TlsWanted "tls_wanted" Text "how much TLS was wanted: `none`, `opportunistic`, `required`, `verified` or `dane`"
    TlsReached "tls_reached" Text "how much TLS there is: `clear`, `encrypted`, `verified` or `dane`"
    Attempts "attempts" Number "how often it was tried"
    Until "until" Text "when it is tried again"
    Report "report" Text "the queue id of the report about it; `no` if no report of the failure is sent"
    About "about" Text "the queue id of the message that a report is about"
    Taken "taken" Number "how many recipients the host took"
    Broken "broken" Number "how many DKIM and ARC signatures of others no longer verify"
    Class "class" Text "whose mail"
    Connections "connections" Number "connections in use"
    Silent "silent" Number "connections to hosts that took no mail recently"
    Waiting "waiting" Number "hosts that wait for a connection"

    // Actions and states.
    Messages "messages" Number "how many messages"
    Requeued "requeued" Number "how many messages were under way when the server ended, and are tried again"
    RetryMs "retry_ms" Number "milliseconds until the next try"
    Changed "changed" Number "how many messages or recipients it was about"
    Ended "ended" Number "how many sessions were ended"
    Lifted "lifted" Number "how many lockouts were lifted"
    Suppressed "suppressed" Number "how many lines were not written"
    Rules "rules" Text "how many of them each rule made"
    Network "network" Text "the network"
    Failures "failures" Number "failures that count: of logins, or of a filter"
    Pool "pool" Text "whose sessions"
    Sessions "sessions" Number "how many sessions"
    Most "most" Number "how many there may be"
    Networks "networks" Number "how many networks"
    Milter "milter" Text "the mail filter that has decided, or has the message held, by its name"
    Webhook "webhook" Text "the webhook, by its name"
    Service "service" Text "the policy service, by its name"
    Directory "directory" Text "the directory, by its name"
    Server "server" Text "the server that is asked"
    List "list" Text "the zone of a DNS list"
    Provider "provider" Text "the provider of tokens"
    Address "address" Text "the address or path that is listened on"
    Hostname "hostname" Text "the name of this server"
    User "user" Text "the account of the system that the server runs as"
    Listeners "listeners" Number "how many listeners are served"
    Queued "queued" Number "how many messages are in the queue"
    NoNewPrivileges "no_new_privileges" Text "whether the server and what it starts can gain no rights"
    NoDumps "no_dumps" Text "whether the server leaves no memory dumps"
    Files "files" Text "what keeps the server from other files, or why nothing does"
    Syscalls "syscalls" Text "what keeps the server from other system calls, or why nothing does"
    What "what" Text "what it is about"
    Signal "signal" Text "the signal that was received"
    File "file" Text "the file"
    Lines "lines" Number "how many lines of the log had no room"
    Of "of" Text "which lines: `all` or `refusals`"
    Users "users" Number "how many users"
    LeftOut "left_out" Number "how many could not be read, or had no room"
    Known "known" Number "how many logins are known from networks that they have succeeded from"
    Domain "domain" Text "the domain"
    Servers "servers" Text "the servers that were found"
    Signatures "signatures" Text "the keys that have signed, each as its selector"
    Record "record" Text "a record for DNS"
    Scheme "scheme" Text "the scheme of a stored password"
    Keys "keys" Text "the keys that there are now"
    Label "label" Text "the label of an app password"
    Replaced "replaced" Flag "whether the file was written"
    ExpiresInS "expires_in_s" Number "seconds until it ends"
    Outcomes "outcomes" Number "outcomes that were not recorded"
    Again "again" Text "the queue id under which it is sent again"
    Index "index" Number "the place of the recipient in its message"
    First "first" Text "what was recorded before"
    Aside "aside" Text "where what is damaged was put"
    Bad "bad" Number "how much of it is damaged"
    Copy "copy" Text "where a copy lies"
    Mode "mode" Text "the rights of the file before"
    LogMax "log_max" Number "the size of the queue's log at which mail is refused, in octets"
    Moved "moved" Number "how many files were put aside"
    Removed "removed" Number "how many files were removed"
    PagesBefore "pages_before" Number "pages of the database before it was made smaller"

    // Further fields of listings, in `--json`.
    ReceivedAt "received_at" Text "when the message was accepted"
    Open "open" Number "recipients without an outcome"
    FirstRecipient "first_recipient" Text "the first of them"
    NextDue "next_due" Text "when the next of them is tried"
    LastReply "last_reply" Text "what the last host said, or why there was none"
    Hold "hold" Text "by whom and why the message is held"
    Damaged "damaged" Text "what is wrong with the message; in totals how many are damaged"
    Envid "envid" Text "the envelope identifier of the client (RFC 3461)"
    Prefix "prefix" Text "the header of the message"
    AllRecipients "all_recipients" Text "the recipients, one by one"
    State "state" Text "how it is now"
    DueAt "due_at" Text "when it is tried next"
    Held "held" Number "how many messages are held"
    Sandboxed "sandboxed" Number "how many messages are in the sandbox; of one message, whether it is"
    Unreadable "unreadable" Number "how often the queue could not be read since the start"
    More "more" Flag "whether there are more after the last one"
    Totals "totals" Text "the size of the whole queue"
    FoundIn "found_in" Text "the folder below `aside`"
    Process "process" Number "the number of the server's process"
    StartedAt "started_at" Text "when the server started"
    Since "since" Text "since when"
    LoggedInAt "logged_in_at" Text "when the client logged in"
    AskedAt "asked_at" Text "when it was last asked"
    FailedAt "failed_at" Text "when it last failed to answer"
    LastError "last_error" Text "what went wrong last"
    Lockouts "lockouts" Number "how many lockouts in a row this is"
    Verdict "verdict" Text "`ok`, `warning` or `critical`: the gravest of what was found"
    Findings "findings" Text "what is not well, the gravest first, each with `verdict`, `problem` and `remedy`"
    Remedy "remedy" Text "what to do about it"
    SessionsMax "sessions_max" Number "the most sessions that there may be"
    OldestS "oldest_s" Number "age of the oldest message in the queue, in seconds"
    DiskFree "disk_free" Number "octets that may still be written on the queue's disk"
    Directories "directories" Text "the directories, each with its `state`: `up`, `down` or `unknown`"
    Issuer "issuer" Text "the provider of tokens, or the issuer of a certificate"
    Check "check" Text "how tokens are checked: `keys` or `introspection`"
    Age "age" Number "seconds"
    Steps "steps" Text "what happened, one by one, each with its own fields"
    At "at" Text "when it happened"
    Event "event" Text "the words of an event"
    Uid "uid" Number "the uid of the account that asked"
}

impl Key {
    /// The field with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.name() == name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
