//! Every rule that decides anything, defined once: its name, its meaning, and what an administrator can do about it.
//!
//! The names are a contract: they appear in the log, in listings and in `--json`, and a name never gets another meaning. The
//! tables of rules in the documents are made from this list.

use std::fmt;

use postern_mail::Status;

/// Reply code, enhanced status and text for a peer, without figures of ours.
pub type Told = (u16, Status, &'static str);

/// The answer to a question to policy.
pub trait Verdict {
    /// The rule that decided.
    fn rule(&self) -> Rule;

    /// What the decision is based on, in words for an administrator: the network, the grant, the limit.
    fn reason(&self) -> &dyn fmt::Display;

    /// The reply to the peer; `None` for a yes, or if only the driver knows the text.
    fn reply(&self) -> Option<Told>;
}

/// A verdict by a driver, about something that only the driver sees.
#[derive(Clone, Copy)]
pub struct Ruling<'a> {
    /// The rule that decided.
    pub rule: Rule,
    /// What the decision is based on.
    pub reason: &'a dyn fmt::Display,
}

impl Verdict for Ruling<'_> {
    fn rule(&self) -> Rule {
        self.rule
    }

    fn reason(&self) -> &dyn fmt::Display {
        self.reason
    }

    fn reply(&self) -> Option<Told> {
        None
    }
}

impl fmt::Debug for Ruling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.reason)
    }
}

/// Which way a rule decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Says {
    /// It allows something.
    Yes,
    /// It refuses.
    No,
    /// It changes or notes something, but refuses nothing.
    Note,
}

macro_rules! rules {
    ($($name:literal $variant:ident $says:ident $setting:literal $meaning:literal $remedy:literal)*) => {
        /// A rule. It is formatted as its name.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Rule {
            $(
                #[doc = concat!("`", $name, "`: ", $meaning, ".")]
                $variant,
            )*
        }

        impl Rule {
            /// All rules, in the order of the documents.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name, such as `relay.denied`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Which way it decides.
            #[must_use]
            pub const fn says(self) -> Says {
                match self { $(Self::$variant => Says::$says,)* }
            }

            /// The configuration key that it depends on, as `table.key`; empty if there is none.
            #[must_use]
            pub const fn setting(self) -> &'static str {
                match self { $(Self::$variant => $setting,)* }
            }

            /// What it means, in one line.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// How an administrator can get another verdict, in one line of Markdown.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

rules! {
    // Who may relay, and where to.
    "relay.login" RelayLogin Yes "relay.logins"
        "the client has logged in, and logins may relay"
        "`logins` in `[relay]`, on unless switched off; `login_mechanisms` and `login_least_bits` limit it to some"
    "relay.network" RelayNetwork Yes "relay.networks"
        "the client's address is in a listed network"
        "`networks` in `[relay]`"
    "relay.certificate" RelayCertificate Yes "relay.certificate"
        "the client has shown a certificate that a rule names"
        "`client_ca` in `[tls]` and `[[relay.certificate]]`"
    "relay.local" RelayLocal Yes "local"
        "a user of this machine hands the message in, through `sendmail`"
        "`[local]`; `senders` and `trusted_users` there say with which addresses"
    "relay.device" RelayDevice Yes "device"
        "the client is a device of a lane, and the lane is for this sender and recipient; `reason` names it"
        "`[[device]]`"
    "device.sender" DeviceSender No "device"
        "the client is a device, and its lane is not for this sender, in the envelope or in `From`"
        "`senders` and `rewrite_from` in `[[device]]`"
    "device.recipient" DeviceRecipient No "device"
        "the client is a device, and its lane is not for this recipient"
        "`recipients` in `[[device]]`"
    "device.size" DeviceSize No "device"
        "the client is a device, and the message is larger than its lane allows: `552`"
        "`message_size_limit` in `[[device]]`"
    "relay.domain" RelayDomain Yes "relay_domains"
        "the recipient is in a domain behind this server"
        "`relay_domains`, with a `[[route]]`; existence is checked by `relay_recipients`, if that is there"
    "local.recipient" LocalRecipient Yes "local_domains"
        "the recipient is in a domain of this server"
        "`local_domains`; must exist in a directory or the aliases"
    "relay.denied" RelayDenied No "relay.networks"
        "no reason to relay"
        "see \"Who may relay\": a login, `networks` or `[[relay.certificate]]` in `[relay]`, or the domain in `local_domains` or `relay_domains`"
    "relay.login-untrusted" RelayLoginUntrusted No "relay.login_mechanisms"
        "the login is by a mechanism or with a strength that may not relay"
        "`login_mechanisms` and `login_least_bits` in `[relay]`"
    "relay.withdrawn" RelayWithdrawn No "relay.networks"
        "a reload has taken away the network or certificate by which an open session may relay: the session has ended"
        "`networks` and `[[relay.certificate]]` in `[relay]`"
    "relay.login-required" RelayLoginRequired No "listener.role"
        "the client did not log in; on `submission` it has to"
        "log in; or `networks` in `[relay]` for machines that cannot"
    "relay.unlisted" RelayUnlisted No "relay.networks"
        "the client's address is in no device lane and in no network that may relay, and the listener offers no `AUTH`"
        "`networks` in `[[device]]` or in `[relay]`; or `auth` of the listener"
    "relay.percent-hack" RelayPercentHack No ""
        "an address of the form `user%outside@local`, from a client that may not relay"
        "none: it tries to get past the rules"
    "relay.bang-path" RelayBangPath No ""
        "an address of the form `outside!user@local`, from a client that may not relay"
        "none: it tries to get past the rules"
    "relay.quoted-address" RelayQuotedAddress No ""
        "an address of the form `\"user@outside\"@local`, from a client that may not relay"
        "none: it tries to get past the rules"
    "relay.source-route" RelaySourceRoute No ""
        "a source route to somewhere else, from a client that may not relay"
        "none: it tries to get past the rules"
    "relay.address-literal" RelayAddressLiteral No ""
        "an address literal, from a client that may not relay"
        "none: use the domain"
    "relay.literals-off" RelayLiteralsOff No "relay.address_literals"
        "mail to `user@[192.0.2.1]`"
        "set `address_literals` in `[relay]` if that is wanted"

    "relay.access" RelayAccess Yes "access"
        "an access rule with `relay = true`, or `RELAY` in a table, accepts the recipient; `reason` names the rule"
        "the rule in `[[access]]`"

    // Access rules.
    "access.accepted" AccessAccepted Yes "access"
        "an access rule accepts, and those behind it are not judged; `reason` names it"
        "the rule in `[[access]]`, or one before it"
    "access.exempt" AccessExempt Yes "exempt_recipients"
        "strangers always reach this recipient here, whatever access rules say"
        "`exempt_recipients`"
    "access.refused" AccessRefused No "access"
        "an access rule refuses; `reason` names it"
        "the rule in `[[access]]`, or one before it with `verdict = \"accept\"`"
    "access.unsure" AccessUnsure No "access"
        "an access rule depends on what DNS, a table or a service could not say: `451`"
        "look at `reason`: name servers, the table, the service"
    "access.limit" AccessLimit No "limit"
        "more recipients in the window than the limit of an access rule allows: `450`"
        "`[[limit]]`"
    "access.discarded" AccessDiscarded Note "access"
        "an access rule has the mail thrown away, and the client was told that it was accepted"
        "the rule in `[[access]]`"
    "access.held" AccessHeld Note "access"
        "an access rule has the message held; `reason` names it"
        "`postern queue list --held`, `postern queue release`; the rule in `[[access]]`"
    "access.redirected" AccessRedirected Note "access"
        "an access rule redirects the mail to another address"
        "the rule in `[[access]]`"
    "access.copied" AccessCopied Note "access"
        "an access rule sends a copy of the message to somebody else"
        "the rule in `[[access]]`, or the row of its table"
    "access.detoured" AccessDetoured Note "access"
        "an access rule chooses the next hop of the message, for all of its recipients"
        "the rule in `[[access]]`, or the row of its table"
    "access.tagged" AccessTagged Note "access"
        "an access rule puts a field into the message"
        "the rule in `[[access]]`"
    "access.noted" AccessNoted Note "access"
        "an access rule, or a table, has something written into the log"
        "the rule in `[[access]]`, or the row of its table"
    "access.passed" AccessPassed Note "access"
        "no access rule decides"
        "a rule in `[[access]]`"
    "access.skipped" AccessSkipped Note "access"
        "an access rule does not match; `reason` says which of its conditions does not hold"
        "the rule in `[[access]]`"
    // Changes to messages.
    "rewrite.changed" RewriteChanged Note "rewrite"
        "a rule has rewritten an address in the envelope or the header; `reason` names it"
        "the rule in `[[rewrite]]`; `exceptions`, `clients` and `classes` there limit it"
    "rewrite.unsure" RewriteUnsure No "rewrite"
        "an address cannot be rewritten, or copies cannot be made, because a table does not answer or leads back to itself: `451`"
        "look at `reason`: the table, or the value that it has"
    "check.refused" CheckRefused No "header_check"
        "a header or body check refuses the message; `reason` names it"
        "the check in `[[header_check]]`, or the row of its table"
    "check.discarded" CheckDiscarded Note "header_check"
        "a header or body check has the message thrown away, and the client was told that it was accepted"
        "the check in `[[header_check]]`, or the row of its table"
    "check.held" CheckHeld Note "header_check"
        "a header or body check has the message held; `reason` names it"
        "`postern queue list --held`, `postern queue release`; the check in `[[header_check]]`"
    "check.redirected" CheckRedirected Note "header_check"
        "a header or body check redirects the message to another address, in place of its recipients"
        "the check in `[[header_check]]`, or the row of its table"
    "check.detoured" CheckDetoured Note "header_check"
        "a header or body check chooses the next hop of the message, for all of its recipients"
        "the check in `[[header_check]]`, or the row of its table"
    "check.edited" CheckEdited Note "header_check"
        "a header or body check has removed, replaced or added a field or line"
        "the check in `[[header_check]]`, or the row of its table"
    "check.noted" CheckNoted Note "header_check"
        "a header or body check has something written into the log"
        "the check in `[[header_check]]`, or the row of its table"
    "copy.added" CopyAdded Note "copy"
        "a copy of the message goes to somebody else; `reason` names the rule"
        "`[[copy]]`"

    "limit.connections" LimitConnections No "limit"
        "a client's network has made more connections than `connections` of a limit allows: `421`"
        "`connections` in `[[limit]]`, `except` for its network"
    "limit.sessions" LimitSessions No "limit"
        "a client's network has more sessions at once than `sessions` of a limit allows: `421`"
        "`sessions` in `[[limit]]`, `except` for its network"
    "limit.messages" LimitMessages No "limit"
        "a client's network has sent more messages than `messages` of a limit allows: `450`"
        "`messages` in `[[limit]]`, `except` for its network"
    "limit.recipients" LimitRecipients No "limit"
        "a client's network has named more recipients than `recipients` of a limit allows: `450`"
        "`recipients` in `[[limit]]`, `except` for its network"
    "limit.logins" LimitLogins No "limit"
        "a client's network has tried more logins than `logins` of a limit allows: `454`"
        "`logins` in `[[limit]]`, `except` for its network"

    // Budgets.
    "budget.applies" BudgetApplies Note "budget"
        "a budget applies to the client, whose mail counts; shown only by `postern explain`"
        "`[[budget]]`; `postern account show` has what counts now"
    "budget.warned" BudgetWarned Note "budget"
        "more was sent than a budget whose `action` is `warn` allows; logged once in its time span"
        "`[[budget]]`; `postern account show`"
    "budget.delayed" BudgetDelayed Note "budget"
        "more was sent than a budget whose `action` is `delay` allows: mail is taken more slowly"
        "`[[budget]]`, `delay` in `[budgets]`"
    "budget.refused" BudgetRefused No "budget"
        "more would be sent than a budget whose `action` is `refuse` allows: `450`, with the time to wait"
        "`[[budget]]`; `postern account show`, `postern account release` begins afresh"
    "budget.held" BudgetHeld Note "budget"
        "more was sent than a budget whose `action` is `hold` allows: the account is on hold, its mail waits in the queue"
        "`postern account show`, `postern account release`; `[[budget]]`"
    "account.held" AccountHeld Note "budgets"
        "the account is on hold: the message waits in the queue"
        "`postern account show`, `postern account release`"
    "account.full" AccountFull No "budgets.held_messages"
        "the account is on hold, and no more of its mail may be kept: `450`"
        "`postern account release`; `held_messages` and `held_size` in `[budgets]`"

    // What a login is good for.
    "scope.applies" ScopeApplies Yes "scope"
        "the sender and the recipients are in the scope of the login; shown only by `postern explain`"
        "`[[scope]]`"
    "scope.listener" ScopeListener No "scope"
        "the login or app password may not be used at this listener or socket; who does not know the password hears only that the login failed"
        "`listeners` in `[[scope]]`; `postern user app-password list`"
    "scope.mechanism" ScopeMechanism No "scope"
        "the login or app password may not be used with this mechanism"
        "`mechanisms` in `[[scope]]`; `postern user app-password list`"
    "scope.network" ScopeNetwork No "scope"
        "the login or app password may not be used from this network"
        "`networks` in `[[scope]]`; `postern user app-password list`"
    "scope.hour" ScopeHour No "scope"
        "the login or app password may not be used at this time"
        "`hours` and `zone` in `[[scope]]`; `postern user app-password list`"
    "scope.sender" ScopeSender No "scope"
        "the login or app password may not be used with this sender, in the envelope or in the header: `550`"
        "`senders` in `[[scope]]`; `postern user app-password list`"
    "scope.recipient" ScopeRecipient No "scope"
        "the login or app password may not be used for this recipient: `550`"
        "`recipients` in `[[scope]]`; `postern user app-password list`"
    "scope.unsure" ScopeUnsure No "scope"
        "what the login may do depends on a table that does not answer: `451`"
        "look at `reason`: the table"

    // Mail that is never delivered.
    "sandbox.kept" SandboxKept Note "mail_sandbox"
        "the message is of a test account, or came to a listener for tests: it was accepted, and is never delivered"
        "`logins` in `[mail_sandbox]`, `sandbox` in `[[listener]]`; `postern queue list --sandboxed`"
    "sandbox.full" SandboxFull No "mail_sandbox"
        "no more mail of test accounts may be kept: `452`"
        "`postern queue remove --sandboxed`; `messages`, `size` and `keep` in `[mail_sandbox]`"

    // Recipients.
    "recipient.unknown" RecipientUnknown No "local_domains"
        "no such user in the directories or the aliases"
        "`postern user add`, the directory, or the aliases file"
    "recipient.entry" RecipientEntry Note "alias"
        "an entry of the aliases, on the way from the recipient to where the mail goes"
        "the `[[alias]]`, its table, or the aliases file; `postern aliases` lists them"
    "recipient.alias" RecipientAlias No "aliases"
        "an alias none of whose targets exists"
        "`postern check` names them"
    "recipient.refused" RecipientRefused No "alias"
        "an alias, a route or an entry for a moved user refuses the address, in the administrator's own words"
        "the `[[alias]]`, the `[[route]]` with `to = \"refuse\"`, or the aliases file; `reason` has the words"
    "recipient.directory" RecipientDirectory No "directory"
        "a directory was down: `451`, the recipient may exist"
        "`postern directories`; the lines `directory fails` say why"
    "recipient.unlisted" RecipientUnlisted No "relay_recipients"
        "a domain behind this server, and none of the tables has the recipient"
        "the tables that `relay_recipients` names; `postern table` shows what they have"
    "recipient.next-hop" RecipientNextHop No "ask_next_hop"
        "a domain behind this server, and its next hop refuses the recipient"
        "the server behind this one; an answer counts for five minutes"
    "recipient.next-hop-down" RecipientNextHopDown No "ask_next_hop"
        "a domain behind this server, and its next hop cannot be asked: `451`, the recipient may exist"
        "the server behind this one, or its `[[route]]`"
    "recipient.table" RecipientTable No "table"
        "a table of domains or recipients was down: `451`, the recipient may exist"
        "`postern check`, and `postern table NAME KEY`; the lines `server fails` say why"
    "recipient.probe" RecipientProbe No "limits.unknown_recipients"
        "a network that may not relay has tried too many names: its answers wait, and nothing is refused for it"
        "`unknown_recipients` and `recipient_lookups` in `[limits]`"

    // Who may send as whom.
    "identity.own" IdentityOwn Yes "relay.senders"
        "the address is the login's own"
        "the login itself, where it is an address; the directory; `postern user address add LOGIN ADDRESS`"
    "identity.tag" IdentityTag Yes "identity.tag_separator"
        "the address is the login's own with a detail (`ann+shop@`)"
        "`tag_separator` in `[identity]`, `\"+\"` unless set otherwise; `\"\"` for none"
    "identity.alias" IdentityAlias Yes "identity.aliases"
        "the address is an alias of the login"
        "the aliases file, where it delivers to this user alone; `aliases = \"member\"` takes lists, too, `\"off\"` none"
    "identity.delegate" IdentityDelegate Yes ""
        "the address belongs to an account that made the login its delegate"
        "`postern user delegate add OWNER DELEGATE`"
    "identity.group" IdentityGroup Yes "identity.grant"
        "the address is granted to a group of the login"
        "`[[identity.grant]]` for the group; `postern user group add LOGIN GROUP`, or the directory's groups"
    "identity.table" IdentityTable Yes "identity.owners"
        "a table names the login as an owner of the address"
        "the tables that `owners` in `[identity]` names"
    "identity.grant" IdentityGrant Yes "identity.grant"
        "the address is granted to the login"
        "`[[identity.grant]]` for the login"
    "sender.any" SenderAny Yes "relay.senders"
        "any sender address may be used"
        "`senders` in `[relay]`"
    "sender.null" SenderNull Yes ""
        "there is no sender address: `<>`, or a message without an author"
        "none"
    "sender.domain" SenderDomain Yes "local_domains"
        "the address is in a domain of this server, and a machine that may relay sends with it"
        "`local_domains` and `relay_domains`; `machine_senders` in `[relay]`"
    "sender.own" SenderOwn No "relay.senders"
        "the login used an address in `MAIL` that is not its own, and `senders = \"own\"`"
        "`postern auth explain` says more; see \"Who may send as whom\""
    "sender.own-header" SenderOwnHeader No "relay.senders"
        "the login used an address in a header field that is not its own, and `senders = \"own\"`"
        "`postern auth explain` says more; see \"Who may send as whom\""
    "sender.machine" SenderMachine No "relay.machine_senders"
        "a listed network or certificate used an address outside your domains, and `senders = \"own\"`"
        "`machine_senders` in `[relay]` allows it"
    "sender.login" SenderLogin No "identity.strangers"
        "a client without a login brought mail whose sender is an address of this server"
        "`strangers = \"any\"` in `[identity]` takes it"
    "sender.table" SenderTable No "identity.owners"
        "a table of owners was down: `451`, the address may be the login's"
        "`postern check`, and `postern table NAME ADDRESS`"
    "sender.local" SenderLocal No "local.senders"
        "a user of this machine used an address that is not the user's own, and `senders = \"own\"`"
        "`senders` or `trusted_users` in `[local]`; an alias that leads to the user alone"
    "sender.submitter" SenderSubmitter Note "relay.login_mechanisms"
        "`AUTH=` names somebody whom the client may not name; it counts as `AUTH=<>`"
        "none: the message is taken"

    // Authentication.
    "login.offered" LoginOffered Yes "auth.mechanisms"
        "the mechanism is offered: all its conditions are met"
        "`mechanisms` in `[auth]` or in the listener"
    "login.not-offered" LoginNotOffered No "auth.mechanisms"
        "`AUTH` or this mechanism is not offered: not on this listener, not outside TLS, or a condition on it does not hold"
        "`auth`, `mechanisms`, `plaintext` and `least_bits`; `postern auth explain --mechanism` says which"
    "login.required" LoginRequired No "listener.auth"
        "the client did not log in; on `submission` it has to"
        "log in; or `auth` of the listener"
    "login.denied" LoginDenied No "directory"
        "wrong password or unknown user; `reason` says which"
        "`postern user passwd`, or look into the directory"
    "login.authorization" LoginAuthorization No "identity.grant"
        "the login wanted to act as somebody else and may not"
        "see \"Who may send as whom\": a delegate or a grant"
    "login.bits" LoginBits No "auth.least_bits"
        "the password is right, but the session is too weak for `least_bits`"
        "`least_bits` in `[auth]` or in the listener"
    "login.intercepted" LoginIntercepted No ""
        "the client and the server do not see the same TLS session: somebody is between them"
        "look for a proxy that ends TLS, or for an attacker"
    "login.directory" LoginDirectory No "directory"
        "a directory was down: `454`, the password may be right; it counts as half a guess if another directory refused the login"
        "`postern directories`; the lines `directory fails` say why"
    "login.malformed" LoginMalformed No "auth.service_names"
        "the client broke the mechanism's rules; `reason` says how"
        "\"digest-uri names another server\": the client calls this server by a name that neither `hostname` nor a certificate has; add it to `service_names` in `[auth]`"
    "login.too-long" LoginTooLong No ""
        "a response of more than 12,288 octets"
        "none: look at the client"
    "login.order" LoginOrder No ""
        "`AUTH` where it has no place: after a login, or inside a transaction"
        "none: look at the client"
    "login.given-up" LoginGivenUp No ""
        "the client gave up the exchange with `*`"
        "none: look at the client"
    "login.revoked" LoginRevoked No "directory"
        "the account of an open session was disabled or removed, or has another password: the session has ended"
        "`postern user enable`, or the directory"
    "login.expired" LoginExpired No "auth.login_lifetime"
        "a token, certificate or app password has ended, or the login is older than `login_lifetime`: the session has ended"
        "`login_lifetime` in `[auth]`; a new token, certificate or app password"
    "login.certificate" LoginCertificate No "tls.client_ca"
        "the certificate of an open session is no longer trusted: the session has ended"
        "`client_ca`, `client_crl` and `client_denied` in `[tls]`"
    "login.mechanism" LoginMechanism No "auth.mechanisms"
        "the mechanism of an open session was switched off, or it has expired: the session has ended"
        "`mechanisms` in `[auth]`"

    // Guessing.
    "throttle.lockout" ThrottleLockout No "auth.failures_until_lockout"
        "too many failures from this network, for this login or for many"
        "`postern auth lockouts`, `postern auth unlock`"
    "throttle.busy" ThrottleBusy No "auth.network_failures"
        "too many tries at once from this network, or at this login from many"
        "`postern auth lockouts`"
    "throttle.login" ThrottleLogin Note "auth.login_failures"
        "a login is guessed at from many networks, and is slow from those that it has not logged in from"
        "`postern auth lockouts`, `postern auth unlock`"

    // Other servers that have credentials checked here.
    "socket.mechanism" SocketMechanism No "auth_socket.mechanisms"
        "a neighbour's client asked for a mechanism that it cannot have"
        "`mechanisms` and `least_bits` of the socket"
    "socket.cleartext" SocketCleartext No "auth.plaintext"
        "a neighbour's client would show its password outside TLS"
        "`plaintext` in `[auth]`, or TLS at the neighbour"
    "socket.network" SocketNetwork No "auth_socket.networks"
        "a neighbour's client is in none of the socket's networks"
        "`networks` of the socket"
    "socket.address" SocketAddress No ""
        "a neighbour gave an address that is not valid"
        "look at the neighbour"
    "socket.authorization" SocketAuthorization No ""
        "a neighbour's client wanted to act as another user, which sockets do not allow"
        "authenticate without an authorization identity"
    "socket.ticket" SocketTicket No ""
        "a neighbour asked for a login that was not granted to it"
        "look at the neighbour"
    "socket.home" SocketHome No "auth_socket.home"
        "a login cannot be turned into a home folder"
        "`home` of the socket"

    // Limits.
    "local.sessions" LocalSessions No "local.sessions_per_user"
        "a user of this machine has too many sessions open: `sendmail` keeps the message for later"
        "`sessions_per_user` in `[local]`"
    "local.messages" LocalMessages No "local.messages_per_minute"
        "a user of this machine hands in too many messages: `sendmail` keeps them for later"
        "`messages_per_minute` in `[local]`"
    "admission.load" AdmissionLoad No "admission.refuse_load"
        "the load is too high for new sessions"
        "`refuse_load` in `[admission]`"
    "admission.sessions" AdmissionSessions No "admission.sessions"
        "more sessions than there are for clients of this kind"
        "`sessions` in `[admission]`; see \"When strangers come in floods\""
    "admission.scarce" AdmissionScarce No "admission.sessions"
        "sessions are scarce, and this network has many"
        "`sessions` in `[admission]`; see \"When strangers come in floods\""
    "admission.displaced" AdmissionDisplaced No "admission.sessions"
        "sessions are scarce, and a newcomer took the place of this one, whose network has most"
        "`sessions` in `[admission]`; see \"When strangers come in floods\""
    "admission.network" AdmissionNetwork No "admission.sessions_per_network"
        "more sessions than one network may have"
        "`sessions_per_network` in `[admission]`"
    "admission.size" AdmissionSize No "message_size_limit"
        "the message is too large"
        "`message_size_limit`"
    "admission.recipients" AdmissionRecipients No "limits.recipients"
        "more recipients than one message may have"
        "`recipients` in `[limits]`"
    "admission.disk" AdmissionDisk No "admission.min_free"
        "no room on the disk for the message"
        "`min_free` in `[admission]`, or a larger disk"
    "admission.disk-share" AdmissionDiskShare No "admission.min_free"
        "no room on the disk for mail of strangers"
        "`min_free` in `[admission]`, or a larger disk"
    "admission.memory" AdmissionMemory No "admission.memory"
        "no memory for messages on their way in"
        "`memory` in `[admission]`"
    "admission.bodies" AdmissionBodies No "admission.bodies"
        "too many messages on their way in"
        "`bodies` in `[admission]`"
    "admission.bodies-network" AdmissionBodiesNetwork No "admission.bodies_per_network"
        "too many messages on their way in from one network"
        "`bodies_per_network` in `[admission]`"

    // Privacy.
    "privacy.needmailhelo" PrivacyNeedMailHelo No "privacy"
        "`MAIL` before `HELO` or `EHLO`"
        "`needmailhelo` in `privacy`"
    "privacy.needvrfyhelo" PrivacyNeedVrfyHelo No "privacy"
        "`VRFY` before `HELO` or `EHLO`"
        "`needvrfyhelo` in `privacy`"
    "privacy.needexpnhelo" PrivacyNeedExpnHelo No "privacy"
        "`EXPN` before `HELO` or `EHLO`"
        "`needexpnhelo` in `privacy`"
    "privacy.noexpn" PrivacyNoExpn No "privacy"
        "`EXPN` is off"
        "`noexpn` in `privacy`"
    "privacy.noverb" PrivacyNoVerb No "privacy"
        "`VERB` is off"
        "`noverb` in `privacy`"
    "privacy.noetrn" PrivacyNoEtrn No "privacy"
        "`ETRN` is off"
        "`noetrn` in `privacy`"

    // The message itself.
    "body.bare-line-ending" BodyBareLineEnding No "listener.bare_newlines"
        "a bare CR or LF in the message, the way in which one message is smuggled inside another"
        "`bare_newlines` of the listener, for clients that cannot do better"
    "body.line" BodyLine No "limits.text_line"
        "a line of the message is too long"
        "`text_line` in `[limits]`"
    "body.header" BodyHeader No "limits.header"
        "the header is too large"
        "`header` in `[limits]`"
    "body.header-unclean" BodyHeaderUnclean No ""
        "NUL, or a bare CR or LF, in a header"
        "none: look at the client"
    "body.hops" BodyHops No "limits.received_fields"
        "a mail loop: more `Received` fields than a message on its way can have"
        "look at where aliases and routes send the message; `received_fields` in `[limits]`"
    "body.no-author" BodyNoAuthor No ""
        "a submission from `<>` without an address in `From`"
        "put an address into `From`"
    "body.inspected" BodyInspected No ""
        "a filter or a signer does not want the message"
        "look at the reason, and at what the filter has logged"

    // Signatures.
    "dkim.signed" DkimSigned Yes "dkim"
        "the message is signed: who sent it may send as the domain of its author"
        "`[[dkim]]`"
    "dkim.no-domain" DkimNoDomain Note "dkim"
        "not signed: there is no key for the domain of the author"
        "`[[dkim]]` for the domain, or `subdomains` for one above it"
    "dkim.no-key" DkimNoKey Note "dkim"
        "not signed: no key of the domain is in use"
        "`postern dkim new DOMAIN`, or `[[dkim.key]]`"
    "dkim.author" DkimAuthor Note ""
        "not signed: no author, more than one `From`, one that cannot be read, or authors in several domains"
        "look at the client"
    "dkim.identity" DkimIdentity Note "relay.senders"
        "not signed: it is not known whether the client may send as the author, or the login does not cover it"
        "`senders = \"own\"` in `[relay]`, a grant in `[identity]` or `any_login` in `[[dkim]]`; or the filters, which have changed `From`"
    "dkim.stranger" DkimStranger Note ""
        "not signed: a client that may not relay brought it"
        "none: mail of strangers is not signed"
    "dkim.failed" DkimFailed Note ""
        "not signed, although it should be: `reason` says why"
        "look at `reason`"
    // SPF, DKIM, DMARC and ARC.
    "judge.passed" JudgePassed Yes "judge.checks"
        "the check found nothing amiss"
        "`checks` in `[judge]`"
    "spf.fail" SpfFail No "judge.spf_fail"
        "the sender's domain does not let this host send for it"
        "`spf_fail` in `[judge]`, or an exception; `postern judge` shows the record"
    "spf.softfail" SpfSoftfail No "judge.spf_softfail"
        "the sender's domain says that this host probably may not send for it"
        "`spf_softfail` in `[judge]`, or an exception"
    "spf.neutral" SpfNeutral No "judge.spf_neutral"
        "the sender's domain does not say whether this host may send for it"
        "`spf_neutral` in `[judge]`, or an exception"
    "spf.none" SpfNone No "judge.spf_none"
        "the sender's domain has no SPF record"
        "`spf_none` in `[judge]`, or an exception"
    "spf.permerror" SpfPermerror No "judge.spf_permerror"
        "the SPF record of the sender's domain has a mistake, or asks for too many look-ups"
        "`spf_permerror` in `[judge]`, or an exception; the domain has to correct its record"
    "spf.temperror" SpfTemperror No "judge.spf_temperror"
        "SPF could not be checked: DNS gave no answer"
        "`spf_temperror` in `[judge]`; look at the name servers"
    "dkim.none" DkimNone No "judge.dkim_none"
        "the message has no DKIM signature"
        "`dkim_none` in `[judge]`, or an exception"
    "dkim.fail" DkimFail No "judge.dkim_fail"
        "the message has DKIM signatures, and none of them holds"
        "`dkim_fail` in `[judge]`, or an exception; `postern judge` says what is wrong with each"
    "dkim.temperror" DkimTemperror No "judge.dkim_temperror"
        "no DKIM signature holds, and a key could not be fetched: DNS gave no answer"
        "`dkim_temperror` in `[judge]`; look at the name servers"
    "dmarc.reject" DmarcReject No "judge.dmarc_reject"
        "the message fails DMARC, and its author's domain asks to refuse such mail"
        "`dmarc_reject` in `[judge]`, an exception, or `arc_trusted` for a forwarder"
    "dmarc.quarantine" DmarcQuarantine No "judge.dmarc_quarantine"
        "the message fails DMARC, and its author's domain asks to treat such mail with suspicion"
        "`dmarc_quarantine` in `[judge]`, an exception, or `arc_trusted` for a forwarder"
    "dmarc.fail" DmarcFail No "judge.dmarc_fail"
        "the message fails DMARC, and its author's domain asks for nothing"
        "`dmarc_fail` in `[judge]`, or an exception"
    "dmarc.none" DmarcNone No "judge.dmarc_none"
        "the author's domain has no DMARC record"
        "`dmarc_none` in `[judge]`, or an exception"
    "dmarc.permerror" DmarcPermerror No "judge.dmarc_permerror"
        "the message does not have one author's domain, or the DMARC record of that domain makes no sense"
        "`dmarc_permerror` in `[judge]`, or an exception"
    "dmarc.temperror" DmarcTemperror No "judge.dmarc_temperror"
        "DMARC could not be checked: DNS gave no answer"
        "`dmarc_temperror` in `[judge]`; look at the name servers"
    "arc.vouched" ArcVouched Note "judge.arc_trusted"
        "the message fails DMARC, but a trusted forwarder vouches that it had passed there"
        "`arc_trusted` in `[judge]`"
    "arc.fail" ArcFail No "judge.arc_fail"
        "the ARC chain of the message is broken"
        "`arc_fail` in `[judge]`, or an exception"

    // Filters.
    "milter.asked" MilterAsked Yes "milter"
        "the filter is asked about the message"
        "`listeners` and the keys that begin with `skip` in `[[milter]]`"
    "milter.listener" MilterListener Note "milter.listeners"
        "the filter is not asked: it does not serve the listener"
        "`listeners` in `[[milter]]`"
    "milter.skip-network" MilterSkipNetwork Note "milter.skip_networks"
        "the filter is not asked: the client is in a network that bypasses it"
        "`skip_networks` in `[[milter]]`"
    "milter.skip-login" MilterSkipLogin Note "milter.skip_logins"
        "the filter is not asked: the client has logged in"
        "`skip_logins` in `[[milter]]`"
    "milter.skip-stranger" MilterSkipStranger Note "milter.skip_strangers"
        "the filter is not asked: the client has not logged in and may not relay"
        "`skip_strangers` in `[[milter]]`"
    "milter.skip-size" MilterSkipSize Note "milter.skip_above"
        "the filter is not asked, or no longer: the message is larger than it is asked about"
        "`skip_above` in `[[milter]]`"
    "milter.reject" MilterReject No "milter"
        "a filter refuses a message, a recipient or a session for good; `reason` names it"
        "what the filter has logged; `postern milters try NAME FILE` shows what it makes of a message"
    "milter.tempfail" MilterTempfail No "milter"
        "a filter refuses a message, a recipient or a session for now; `reason` names it"
        "what the filter has logged; `postern milters try NAME FILE` shows what it makes of a message"
    "milter.busy" MilterBusy No "milter.stranger_connections"
        "as many sessions of strangers as there may be were connected to a filter, and the client is to try again; `reason` names it"
        "`stranger_connections` in `[[milter]]`; `postern sessions` lists who is connected"
    "milter.end" MilterEnd No "milter"
        "a filter ended the session; `reason` names it"
        "what the filter has logged"
    "milter.discard" MilterDiscard Note "milter"
        "a filter had the message thrown away, and the client was told that it was accepted"
        "what the filter has logged; `postern milters try NAME FILE` shows what it makes of a message"
    "milter.hold" MilterHold Note "milter"
        "a filter had the message held; `reason` has its words"
        "`postern queue list --held`, `postern queue release`"
    "milter.change" MilterChange Note "milter"
        "a filter changed the message; `reason` says what, in numbers"
        "what the filter has logged; `postern milters try NAME FILE` shows what it makes of a message"
    "milter.failed-accept" MilterFailedAccept Note "milter.on_failure"
        "a filter failed, and the message went on without it; `reason` says how it failed"
        "`postern milters` asks the filter; `on_failure` in `[[milter]]`"
    "milter.failed-tempfail" MilterFailedTempfail No "milter.on_failure"
        "a filter failed, and the client is to try again; `reason` says how it failed"
        "`postern milters` asks the filter; `on_failure` in `[[milter]]`"
    "milter.failed-reject" MilterFailedReject No "milter.on_failure"
        "a filter failed, and the message was refused for good; `reason` says how it failed"
        "`postern milters` asks the filter; `on_failure` in `[[milter]]`"
    "milter.failed-hold" MilterFailedHold Note "milter.on_failure"
        "a filter failed, and the message is held; `reason` says how it failed"
        "`postern milters` asks the filter; `postern queue release` once it works; `on_failure` in `[[milter]]`"

    // The queue.
    "spool.full" SpoolFull No "state_dir"
        "the disk of `state_dir` is full"
        "make room on the disk"
    "spool.unavailable" SpoolUnavailable No "state_dir"
        "the queue cannot be written now"
        "look at the disk of `state_dir`; the lines `store failed` say why"
    "spool.closed" SpoolClosed No ""
        "the server is stopping"
        "none: the client will try again"
    "spool.error" SpoolError No ""
        "the queue did not take the message"
        "`reason` says why"

    // Routes.
    "route.local" RouteLocal Yes "local_domains"
        "the domain's mailboxes are here"
        "`local_domains`, `[local]`"
    "route.rule" RouteRule Yes "route"
        "a `[[route]]` names the domain, the sender or the login"
        "`[[route]]`"
    "route.mx" RouteMx Yes ""
        "no rule: MX records decide"
        "`[[route]]`"
    "route.filter" RouteFilter Yes "delivery.filter"
        "the mail goes through the filter behind the queue first"
        "`filter` in `[delivery]`; `filtered` at the listener to which the filter hands mail back"
    "route.detour" RouteDetour Yes "access"
        "the message goes to the next hop that a rule or check chose when it came (`FILTER`)"
        "the rule in `[[access]]`, the check in `[[header_check]]`, or the row of a table"
    "route.discard" RouteDiscard Yes "alias"
        "an alias throws the mail away (`/dev/null`)"
        "the `[[alias]]` or the aliases file"

    // The session.
    "greeting.early-talker" GreetingEarlyTalker No "timeouts.greeting_delay"
        "the client talked before the greeting"
        "`greeting_delay` in `[timeouts]`"
    "helo.syntax" HeloSyntax No "screen.helo_syntax"
        "a stranger's `HELO` gives neither a full host name nor an address literal"
        "`helo_syntax` in `[screen]`; `except` for its network"
    "helo.own" HeloOwn No "screen.helo_own"
        "a stranger's `HELO` gives a name or an address of this server"
        "`helo_own` in `[screen]`; `except` for its network"
    "helo.unknown" HeloUnknown No "screen.helo_unknown"
        "DNS does not know the name in a stranger's `HELO`"
        "`helo_unknown` in `[screen]`; `except` for its network"
    "helo.dns" HeloDns No "screen.helo_unknown"
        "DNS could not say whether the name in a stranger's `HELO` exists: `450`"
        "look at `[dns]`; `helo_unknown` in `[screen]`"
    "client.nameless" ClientNameless No "screen.client_nameless"
        "a stranger's address has no name in DNS"
        "`client_nameless` in `[screen]`; `except` for its network"
    "client.unconfirmed" ClientUnconfirmed No "screen.client_unconfirmed"
        "no name of a stranger's address leads back to the address"
        "`client_unconfirmed` in `[screen]`; `except` for its network"
    "client.dns" ClientDns No "screen.client_unconfirmed"
        "DNS could not say what a stranger's address is called: `450`"
        "look at `[dns]`; `client_nameless` and `client_unconfirmed` in `[screen]`"
    "sender.unknown" SenderUnknown No "screen.sender_unknown"
        "the domain of a stranger's sender has neither MX records nor an address: no report would arrive"
        "`sender_unknown` in `[screen]`; `except` for its network"
    "sender.null-mx" SenderNullMx No "screen.sender_unknown"
        "the domain of a stranger's sender says that it takes no mail (RFC 7505)"
        "`sender_unknown` in `[screen]`; `except` for its network"
    "sender.dns" SenderDns No "screen.sender_unknown"
        "DNS could not say whether the domain of a stranger's sender exists: `451`"
        "look at `[dns]`; `sender_unknown` in `[screen]`"
    "screen.listed" ScreenListed Note "dns_list"
        "what a DNS list says of a stranger, its `HELO` name or its sender's domain; its score counts"
        "`[[dns_list]]`"
    "screen.refused" ScreenRefused No "screen.refuse"
        "the scores of DNS lists and early talk add up to `refuse`"
        "`refuse` in `[screen]`, `score` in `[[dns_list]]`; `except` for its network"
    "screen.held" ScreenHeld Note "screen.hold"
        "the scores of DNS lists and early talk add up to `hold`: the message waits in the queue"
        "`postern queue release`; `hold` in `[screen]`"
    "screen.tagged" ScreenTagged Note "screen.tag"
        "the message has a field `X-Postern-Screen` with its score or with demands that its client does not meet"
        "`tag` in `[screen]`; `\"mark\"` of its demands"
    "screen.lookups" ScreenLookups No "screen.lookups"
        "a stranger's session has had too many names looked up"
        "`lookups` in `[screen]`"
    "srs.rewritten" SrsRewritten Note "srs.domain"
        "an alias forwards the mail to the outside, and its sender becomes one of `domain`"
        "`[srs]`"
    "srs.returned" SrsReturned Yes "srs.domain"
        "the recipient is a rewritten sender, made here and not too old: the mail goes to the original sender"
        "`[srs]`"
    "srs.forged" SrsForged No "srs.secret_file"
        "the recipient looks like a rewritten sender and was not made here, or was changed"
        "`secret_file` in `[srs]`: a secret that was in use until lately has to stay in it"
    "srs.expired" SrsExpired No "srs.max_age"
        "the recipient is a rewritten sender that is too old"
        "`max_age` in `[srs]`"
    "proxy.header" ProxyHeader No "listener.proxy_protocol"
        "a proxy did not say where the client is"
        "`proxy_protocol` of the listener, or the proxy"
    "tls.handshake" TlsHandshake No "tls"
        "TLS failed; `reason` says how: an old client, or a certificate that it does not trust"
        "`postern check` names certificates; `min_version` in `[tls]`"
    "tls.injection" TlsInjection Note ""
        "what came before the TLS handshake was dropped"
        "none: it is the injection of RFC 3207 section 4.2, or a client that does not wait"
    "protocol" Protocol No ""
        "a mistake of the client; written at the level `debug`"
        "none: look at the client"
    "protocol.end" ProtocolEnd No "limits"
        "the session ended because of what the client sent"
        "none: look at the client"
    "protocol.errors" ProtocolErrors No "limits.errors"
        "more replies of `4xx` and `5xx` in one session than `errors` in `[limits]` allows"
        "`errors` in `[limits]`"
    "session.ended" SessionEnded No ""
        "an administrator ended the session"
        "none: `reason` names who"
}

impl Rule {
    /// The rule with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_told_apart_and_lead_back() {
        let names: HashSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert_eq!(Rule::from_name(rule.name()), Some(*rule));
            let is_word = |c: char| c.is_ascii_lowercase() || c == '.' || c == '-';
            assert!(rule.name().chars().all(is_word), "{rule}");
        }
        assert_eq!(Rule::from_name("relay.everybody"), None);
    }

    #[test]
    fn each_has_its_line_of_meaning_and_its_remedy() {
        for rule in Rule::ALL {
            for text in [rule.meaning(), rule.remedy()] {
                let fits = !text.is_empty() && !text.contains(['\n', '|']) && !text.ends_with('.');
                assert!(fits, "{rule}: {text:?}");
            }
        }
    }
}
