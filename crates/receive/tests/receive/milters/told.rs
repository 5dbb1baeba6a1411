//! What filters are told: each step with its parameters and macros, however the message is sent.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use postern_policy::milter::OnFailure;
use postern_receive::{AuthRule, Role};
use postern_testkit::milter::PythonMilter;
use postern_testkit::smtp::Client;
use postern_testkit::unbound::Unbound;

use super::support::{greeted, milter, start};
use crate::harness::{HOST, Options};

const WATCHING: &str = "class Filter(Recorder):\n    WATCHED = [%s]\n    SYMBOLS = {%s}\n";

/// A filter that asks for these macros at each stage, and records them.
fn watching(names: &[&str]) -> PythonMilter {
    let list: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let symbols: Vec<String> = (0..7)
        .map(|stage| format!("{stage}: '{}'", names.join(" ")))
        .collect();
    PythonMilter::start(
        &WATCHING
            .replacen("%s", &list.join(", "), 1)
            .replacen("%s", &symbols.join(", "), 1),
    )
}

#[test]
fn every_step_in_both_ways() {
    let filter = PythonMilter::start("class Filter(Recorder):\n    pass\n");
    let (server, _) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    let reply = client.say("XYZZY a b").unwrap();
    assert!(reply.starts_with("500 5.5.1 "), "{reply}");
    let header = "Subject:  two  blanks\r\n\tfolded\r\nX-Odd : y\r\n";
    let message = format!("{header}\r\nbody\r\n");
    for (from, chunked) in [("a@a.example", false), ("b@a.example", true)] {
        let mail = client
            .say(&format!("MAIL FROM:<{from}> SIZE=100 BODY=8BITMIME"))
            .unwrap();
        assert!(mail.starts_with("250 2.1.0 "), "{mail}");
        let rcpt = client
            .say("RCPT TO:<acaird@challenger.example> NOTIFY=NEVER")
            .unwrap();
        assert!(rcpt.starts_with("250 2.1.5 "), "{rcpt}");
        let reply = if chunked {
            let (one, two) = message.split_at(20);
            client
                .send(format!("BDAT {}\r\n{one}BDAT {} LAST\r\n{two}", one.len(), two.len()).as_bytes())
                .unwrap();
            assert!(client.reply().unwrap().starts_with("250 2.0.0 "));
            client.reply().unwrap()
        } else {
            assert!(client.say("DATA").unwrap().starts_with("354"));
            client.say(&format!("{message}.")).unwrap()
        };
        let queued = server.message(&reply).1;
        assert!(queued.ends_with(&message), "nothing was changed: {queued}");
    }
    client.say("QUIT").unwrap();
    filter.wait_for("'eom'", 2);
    let of = |from: &str| {
        [
            &format!("'mail' '<{from}>' 'SIZE=100' 'BODY=8BITMIME'"),
            "'rcpt' '<acaird@challenger.example>' 'NOTIFY=NEVER'",
            "'data'",
            "'header' 'Subject' b' two  blanks\\n\\tfolded'",
            "'header' 'X-Odd' b'y'",
            "'eoh'",
            "'body' 6",
            "'eom'",
        ]
        .map(str::to_owned)
    };
    let notes: Vec<String> = filter
        .notes()
        .into_iter()
        .filter(|line| line != "'close'")
        .collect();
    let mut expected = vec![
        "'helo' 'client.example'".to_owned(),
        "'unknown' 'XYZZY a b'".to_owned(),
    ];
    expected.extend(of("a@a.example"));
    expected.extend(of("b@a.example"));
    assert!(
        notes[0].starts_with("'connect' 'localhost' ('127.0.0.1', "),
        "{}",
        notes[0]
    );
    assert_eq!(notes[1..], expected);
}

#[test]
fn macros_of_a_stranger() {
    let names = [
        "j",
        "_",
        "v",
        "{daemon_name}",
        "{daemon_addr}",
        "{daemon_port}",
        "{if_name}",
        "{if_addr}",
        "{client_name}",
        "{client_addr}",
        "{client_ptr}",
        "{client_resolve}",
        "{tls_version}",
        "{verify}",
        "{auth_type}",
        "{mail_mailer}",
        "{mail_host}",
        "{mail_addr}",
        "{rcpt_mailer}",
        "{rcpt_host}",
        "{rcpt_addr}",
        "{nrcpts}",
        "{nbadrcpts}",
        "{msg_id}",
    ];
    let filter = watching(&names);
    let (server, _) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    client.say("MAIL FROM:<someone@far.example>").unwrap();
    client.say("RCPT TO:<nobody@challenger.example>").unwrap();
    client.say("RCPT TO:<acaird@challenger.example>").unwrap();
    client.say("RCPT TO:<x@relay.example>").unwrap();
    client.say("DATA").unwrap();
    let reply = client.say("Message-ID: <1@far.example>\r\n\r\nx\r\n.").unwrap();
    assert!(reply.starts_with("250 "), "{reply}");
    filter.wait_for("'eom'", 1);
    let notes = filter.notes();
    let at = |step: &str| {
        let found = notes.iter().rfind(|line| line.starts_with(&format!("'{step}'")));
        found.unwrap_or_else(|| panic!("{notes:#?}")).clone()
    };
    let port = server.port;
    let connection = format!(
        " j='{HOST}' _='localhost [127.0.0.1]' v='Postern {}' {{daemon_name}}='test' {{daemon_addr}}='127.0.0.1' \
         {{daemon_port}}='{port}' {{if_name}}='localhost' {{client_name}}='localhost' {{client_addr}}='127.0.0.1' \
         {{client_ptr}}='localhost' {{client_resolve}}='OK'",
        env!("CARGO_PKG_VERSION")
    );
    assert!(at("connect").ends_with(&connection), "{}", at("connect"));
    let helo = format!("{connection} {{verify}}='NONE'");
    assert!(at("helo").ends_with(&helo), "{}", at("helo"));
    let sender = " {mail_mailer}='esmtp' {mail_host}='far.example' {mail_addr}='someone@far.example'";
    let mail = format!("{helo}{sender} {{nrcpts}}='0' {{nbadrcpts}}='0'");
    assert!(at("mail").ends_with(&mail), "{}", at("mail"));
    let rcpts: Vec<_> = notes.iter().filter(|line| line.starts_with("'rcpt'")).collect();
    let local = " {rcpt_mailer}='local' {rcpt_host}='' {rcpt_addr}='acaird' {nrcpts}='0' {nbadrcpts}='1'";
    assert!(rcpts[0].ends_with(local), "{}", rcpts[0]);
    let relayed = " {rcpt_mailer}='esmtp' {rcpt_host}='relay.example' {rcpt_addr}='x@relay.example' {nrcpts}='1' {nbadrcpts}='1'";
    assert!(rcpts[1].ends_with(relayed), "{}", rcpts[1]);
    assert_eq!(rcpts.len(), 2, "the refused one was not asked for");
    let end = at("eom");
    assert!(
        end.ends_with(" {nrcpts}='2' {nbadrcpts}='1' {msg_id}='<1@far.example>'"),
        "{end}"
    );
}

/// sendmail's four words for the result of the DNS look-up, and the name found, whether it is confirmed or not.
#[test]
fn what_dns_says_of_a_client() {
    let names = Unbound::start_with(
        "local-zone: \"known.example.\" static\nlocal-data: \"known.example. 60 A 192.0.2.1\"\n\
         local-zone: \"down.example.\" refuse\nlocal-zone: \"2.0.192.in-addr.arpa.\" static\n\
         local-data: \"1.2.0.192.in-addr.arpa. 60 PTR known.example.\"\n\
         local-data: \"2.2.0.192.in-addr.arpa. 60 PTR known.example.\"\n\
         local-data: \"4.2.0.192.in-addr.arpa. 60 PTR x.down.example.\"\n\
         local-zone: \"3.0.192.in-addr.arpa.\" refuse",
    );
    let filter = watching(&["{client_resolve}", "{client_name}", "{client_ptr}", "_"]);
    let mut options = Options::mx();
    options.names = Some((Ipv4Addr::LOCALHOST, names.port()).into());
    options.listener.proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    options.settings.timeouts.reverse_lookup = Duration::from_secs(30);
    let (server, _) = start(options, vec![milter("python", filter.address())]);
    #[rustfmt::skip]
    let cases = [
        // client       resolve     name                ptr                 seen as
        ("192.0.2.1",   "OK",       "known.example",    "known.example",    "known.example [192.0.2.1]"),
        ("192.0.2.2",   "FORGED",   "[192.0.2.2]",      "known.example",    "known.example [192.0.2.2] (may be forged)"),
        ("192.0.2.3",   "FAIL",     "[192.0.2.3]",      "[192.0.2.3]",      "[192.0.2.3]"),
        ("192.0.2.4",   "TEMP",     "[192.0.2.4]",      "x.down.example",   "x.down.example [192.0.2.4] (may be forged)"),
        ("192.0.3.1",   "TEMP",     "[192.0.3.1]",      "[192.0.3.1]",      "[192.0.3.1]"),
    ];
    for (number, (client, resolve, name, pointer, seen_as)) in cases.into_iter().enumerate() {
        let (_client, greeting) = Client::connect_for(client.parse().unwrap(), server.port, "").unwrap();
        assert!(greeting.starts_with("220 "), "{greeting}");
        filter.wait_for("'connect'", number + 1);
        let told = filter
            .notes()
            .into_iter()
            .rfind(|line| line.starts_with("'connect'"));
        let told = told.unwrap();
        let expected = format!(
            " {{client_resolve}}='{resolve}' {{client_name}}='{name}' {{client_ptr}}='{pointer}' _='{seen_as}'"
        );
        assert!(told.ends_with(&expected), "{client}: {told}");
        assert!(
            told.starts_with(&format!("'connect' '{name}' ")),
            "{client}: {told}"
        );
    }
}

#[test]
fn macros_of_a_login_inside_tls() {
    let filter = watching(&[
        "i",
        "{tls_version}",
        "{cipher_bits}",
        "{verify}",
        "{auth_type}",
        "{auth_authen}",
        "{auth_author}",
        "{auth_ssf}",
        "{mail_mailer}",
        "{mail_addr}",
        "{rcpt_host}",
    ]);
    let (server, _) = start(Options::submission(), vec![milter("python", filter.address())]);
    let mut client = server.logged_in();
    let reply = client
        .mail(
            "acaird@challenger.example",
            &["x@far.example"],
            "From: acaird@challenger.example\r\n\r\nx\r\n",
        )
        .unwrap();
    let id = reply.split(' ').nth(2).unwrap();
    filter.wait_for("'eom'", 1);
    let notes = filter.notes();
    let last = notes.iter().rfind(|line| line.starts_with("'eom'")).unwrap();
    assert!(
        last.contains(&format!(" i='{id}' {{tls_version}}='TLSv1.3' ")),
        "the id of the reply: {last}"
    );
    assert!(
        last.ends_with(
            " {verify}='NO' {auth_type}='PLAIN' {auth_authen}='acaird' {auth_ssf}='0' {mail_mailer}='local' \
             {mail_addr}='acaird' {rcpt_host}='far.example'"
        ),
        "{last}"
    );
    let helo = notes.iter().rfind(|line| line.starts_with("'helo'")).unwrap();
    assert!(
        helo.contains("{tls_version}='TLSv1.3'"),
        "told again inside TLS: {helo}"
    );
}

/// The next session on the same connection knows nothing of the one before.
#[test]
fn nothing_of_one_session_is_known_in_the_next() {
    let filter = PythonMilter::start(
        "class Filter(Recorder):\n    WATCHED = ['{tls_version}', '{cipher}', '{auth_authen}', '{auth_type}']\n    \
         def negotiate(self, options):\n        sys.stdout.write(\"'negotiate'\\n\")\n        \
         return Recorder.negotiate(self, options)\n",
    );
    let (server, _) = start(Options::submission(), vec![milter("python", filter.address())]);
    let mut client = server.logged_in();
    let reply = client
        .mail(
            "acaird@challenger.example",
            &["x@far.example"],
            "From: acaird@challenger.example\r\n\r\nx\r\n",
        )
        .unwrap();
    assert!(reply.starts_with("250 "), "{reply}");
    client.say("QUIT").unwrap();
    filter.wait_for("'close'", 1);
    let before = filter.notes().len();
    let mut client = greeted(&server);
    client.say("XYZZY").unwrap();
    filter.wait_for("'unknown'", 1);
    let notes = filter.notes().split_off(before);
    assert!(
        notes
            .iter()
            .any(|line| line.starts_with("'helo' 'client.example'")),
        "{notes:#?}"
    );
    for line in &notes {
        assert!(!line.contains("TLSv1") && !line.contains("acaird"), "{line}");
    }
    let agreed = filter
        .notes()
        .iter()
        .filter(|line| *line == "'negotiate'")
        .count();
    assert_eq!(agreed, 1, "the connection was used again");
}

/// A field that does not fit into a packet is cut: with `on_failure = "accept"` it would otherwise bypass the filter.
#[test]
fn a_huge_field_is_no_way_past_a_filter() {
    let filter = PythonMilter::start(
        "class Filter(Recorder):\n    @Milter.decode('bytes')\n    def header(self, name, value):\n        \
         self.note('field', name, len(value))\n        return Milter.CONTINUE\n    def eom(self):\n        \
         return Milter.REJECT\n",
    );
    let mut settings = milter("python", filter.address());
    settings.on_failure = OnFailure::Accept;
    let (server, _) = start(Options::mx(), vec![settings]);
    let mut client = greeted(&server);
    let long = "word\r\n ".repeat(15_000);
    let reply = client
        .mail(
            "a@a.example",
            &["acaird@challenger.example"],
            &format!("X-Long: {long}x\r\nSubject: x\r\n\r\nx\r\n"),
        )
        .unwrap();
    assert!(reply.starts_with("550 5.7.1 "), "it was asked: {reply}");
    // 65,535 octets of a packet, less the name and two ends.
    let notes = filter.notes();
    assert!(notes.contains(&"'field' 'X-Long' 65527".to_owned()), "{notes:#?}");
    assert!(notes.contains(&"'field' 'Subject' 1".to_owned()), "{notes:#?}");
}

#[test]
fn refused_recipients_for_those_who_ask() {
    let filter = PythonMilter::start(
        "class Filter(Recorder):\n    WATCHED = ['{rcpt_mailer}', '{rcpt_host}']\n\
         Milter.enable_protocols(Filter, Milter.P_RCPT_REJ)\n",
    );
    let (server, _) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    client.say("MAIL FROM:<a@a.example>").unwrap();
    let reply = client.say("RCPT TO:<x@outside.example>").unwrap();
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    filter.wait_for("'rcpt'", 1);
    let notes = filter.notes();
    let rcpt = notes.iter().find(|line| line.starts_with("'rcpt'")).unwrap();
    assert_eq!(
        rcpt,
        "'rcpt' '<x@outside.example>' {rcpt_mailer}='error' {rcpt_host}='5.7.1'"
    );
}

#[test]
fn messages_that_are_given_up() {
    let filter = PythonMilter::start("class Filter(Recorder):\n    pass\n");
    let (server, _) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    let begin = |client: &mut Client| {
        client.say("MAIL FROM:<a@a.example>").unwrap();
        client.say("RCPT TO:<acaird@challenger.example>").unwrap();
    };
    begin(&mut client);
    client.say("RSET").unwrap();
    filter.wait_for("'abort'", 1);
    begin(&mut client);
    client.say("EHLO again").unwrap();
    filter.wait_for("'abort'", 2);
    begin(&mut client);
    client.send(b"BDAT 3\r\nA:b").unwrap();
    client.reply().unwrap();
    client.say("RSET").unwrap();
    filter.wait_for("'abort'", 3);
    // One that this server refuses itself.
    begin(&mut client);
    client.say("DATA").unwrap();
    let loops = "Received: x\r\n".repeat(101);
    let reply = client.say(&format!("{loops}\r\nx\r\n.")).unwrap();
    assert!(reply.starts_with("554 "), "{reply}");
    filter.wait_for("'abort'", 4);
    // And a client that is gone.
    begin(&mut client);
    client.say("DATA").unwrap();
    client.send(b"A: b\r\n").unwrap();
    drop(client);
    filter.wait_for("'close'", 1);
    assert!(
        !filter.notes().iter().any(|line| line == "'eom'"),
        "{:#?}",
        filter.notes()
    );
}

#[test]
fn commands_that_come_together() {
    let filter = PythonMilter::start(
        "class Filter(Recorder):\n    def envrcpt(self, recipient, *parameters):\n        \
         return Milter.REJECT if 'staff' in recipient else Milter.CONTINUE\n",
    );
    let (server, _) = start(Options::mx(), vec![milter("python", filter.address())]);
    let mut client = greeted(&server);
    client
        .send(
            b"MAIL FROM:<a@a.example>\r\nRCPT TO:<staff@challenger.example>\r\nRCPT TO:<acaird@challenger.example>\r\n\
              XYZZY\r\nDATA\r\n",
        )
        .unwrap();
    let replies: Vec<String> = (0..5).map(|_| client.reply().unwrap()[..3].to_owned()).collect();
    assert_eq!(replies, ["250", "550", "250", "500", "354"]);
    let reply = client.say("A: b\r\n\r\nx\r\n.").unwrap();
    let message = server.message(&reply).0;
    let to: Vec<String> = message
        .envelope
        .recipients
        .iter()
        .map(|one| one.address.to_string())
        .collect();
    assert_eq!(to, ["acaird@challenger.example"]);
}

#[test]
fn logins_are_not_shown() {
    let filter = PythonMilter::start("class Filter(Recorder):\n    pass\n");
    let mut options = Options::new(Role::Mx);
    options.listener.auth = AuthRule::Offer;
    let (server, _) = start(options, vec![milter("python", filter.address())]);
    let mut client = server.connect_secured();
    // Responses that look like unknown commands.
    client.say("AUTH LOGIN").unwrap();
    client.say("WFlaWlk=").unwrap();
    client.say("c2VjcmV0").unwrap();
    client.say("NOOP").unwrap();
    client.say("QUUX").unwrap();
    filter.wait_for("'unknown'", 1);
    let notes = filter.notes();
    assert!(
        !notes
            .iter()
            .any(|line| line.contains("WFla") || line.contains("c2Vj")),
        "{notes:#?}"
    );
}

#[test]
fn behind_a_proxy() {
    let filter = watching(&[
        "_",
        "{client_addr}",
        "{client_port}",
        "{client_resolve}",
        "{daemon_addr}",
        "{if_name}",
        "{if_addr}",
    ]);
    let mut options = Options::mx();
    options.listener.proxy_from = vec!["127.0.0.0/8".parse().unwrap()];
    options.settings.timeouts.reverse_lookup = Duration::ZERO;
    let (server, _) = start(options, vec![milter("python", filter.address())]);
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    socket
        .write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\nEHLO c\r\nQUIT\r\n")
        .unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("220 "), "{said}");
    filter.wait_for("'connect'", 1);
    let notes = filter.notes();
    let connect = notes.iter().find(|line| line.starts_with("'connect'")).unwrap();
    assert_eq!(
        *connect,
        format!(
            "'connect' '[192.0.2.7]' ('192.0.2.7', 4711) _='[192.0.2.7]' {{client_addr}}='192.0.2.7' {{client_port}}='4711' \
             {{client_resolve}}='FAIL' {{daemon_addr}}='198.51.100.1' {{if_name}}='{HOST}' {{if_addr}}='198.51.100.1'"
        )
    );
}
