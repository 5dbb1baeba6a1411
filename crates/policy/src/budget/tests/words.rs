//! What people read.

use super::super::rules::network_name;
use super::super::verdict::{Exceeded, span_of};
use super::*;

#[test]
fn what_people_are_told() {
    use Counted::{Complaints, SentMessages, SentRecipients};
    let exceeded = |counted, total, again| Exceeded {
        budget: "users".into(),
        per: Per::Login,
        key: "ann".into(),
        bound: bound(counted, Span::Hour, 1, Action::Refuse),
        total,
        usual: None,
        again,
    };
    #[rustfmt::skip]
    let cases = [
        (exceeded(SentMessages, 2, Some(300)),   "Your account has sent too many messages in the last hour, try again in 5 minutes"),
        (exceeded(SentRecipients, 2, Some(1)),   "Your account has sent to too many recipients in the last hour, try again in 1 second"),
        (exceeded(SentRecipients, 7, None),      "This is more than may be sent at once: 7 recipients, 1 allowed in an hour"),
        (exceeded(Complaints, 1, Some(7_200)),   "Your account has had too many complaints in the last hour, try again in 2 hours"),
    ];
    for (exceeded, want) in cases {
        assert_eq!(exceeded.text(), want);
    }
    let one = exceeded(Complaints, 1, None).to_string();
    assert_eq!(
        one,
        "budget \"users\": 1 complaint in an hour for login ann, 1 allowed"
    );
}

#[test]
fn times_as_people_say_them() {
    let cases = [
        (0, "1 second"),
        (45, "45 seconds"),
        (91, "2 minutes"),
        (3_600, "60 minutes"),
        (7_000, "2 hours"),
    ];
    for (seconds, want) in cases {
        assert_eq!(span_of(seconds), want);
    }
}

#[test]
fn networks_by_name() {
    assert_eq!(&*network_name("192.0.2.77".parse().unwrap()), "192.0.2.77");
    assert_eq!(
        &*network_name("2001:db8:0:7::5".parse().unwrap()),
        "2001:db8:0:7::/64"
    );
}
