use super::*;
use crate::admin::role::By;
use crate::control::wishes::AccountWish;

/// The decision about a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Came {
    Whole,
    Own,
    IfOwn,
    No,
}
use Came::{IfOwn, No, Own as Narrowed, Whole};

fn who(role: Role, login: Option<&str>) -> Who {
    Who {
        name: "x".into(),
        role,
        by: By::Session,
        login: login.map(str::to_owned),
        uid: None,
        scope: None,
    }
}

fn came(role: Role, request: &Request) -> Came {
    let asked = serde_json::to_value(request).unwrap();
    match permit(&who(role, Some("anna")), request.clone()) {
        Permit::Ask(put) if serde_json::to_value(&put).unwrap() == asked => Whole,
        Permit::Ask(put) => {
            assert!(
                serde_json::to_string(&put).unwrap().contains("\"anna\""),
                "{put:?}"
            );
            Narrowed
        }
        Permit::IfOwn { .. } => IfOwn,
        Permit::No(_) => No,
    }
}

#[test]
fn who_may_ask_for_what() {
    let bert = || "bert".to_owned();
    let which = Which::default;
    let wish = || AccountWish {
        account: bert(),
        reason: None,
        remove: false,
    };
    let list = Request::Queue(Operation::List {
        filter: Which {
            ids: vec!["01HJ3K8Q2M7XA".into()],
            login: Some(bert()),
            ..Which::default()
        },
        after: None,
        limit: 10,
    });
    let id = || "01HJ3K8Q2M7XA".to_owned();
    let app_password = |login: &str| {
        Request::Users(UserRequest::RevokeAppPassword {
            login: login.into(),
            label: "phone".into(),
        })
    };
    let by_login = |login| TraceRequest {
        login: Some(login),
        ..TraceRequest::default()
    };
    let sessions = || WhichSessions {
        login: Some(bert()),
        ..WhichSessions::default()
    };
    #[rustfmt::skip]
    let cases = [
        // the request                                                     own       read   operate  administer
        (list,                                                             [Narrowed, Whole, Whole, Whole]),
        (Request::Queue(Operation::Show { id: id() }),                     [IfOwn, Whole, Whole, Whole]),
        (Request::Queue(Operation::Content { id: id() }),                  [IfOwn, IfOwn, Whole, Whole]),
        (Request::Queue(Operation::Hold(which())),                         [No, No, Whole, Whole]),
        (Request::Queue(Operation::Release(which())),                      [No, No, Whole, Whole]),
        (Request::Queue(Operation::Retry(which())),                        [No, No, Whole, Whole]),
        (Request::Queue(Operation::Remove(which())),                       [No, No, Whole, Whole]),
        (Request::Queue(Operation::Flush { domain: None }),                [No, No, Whole, Whole]),
        (Request::Queue(Operation::Recover { import: false }),             [No, Whole, Whole, Whole]),
        (Request::Queue(Operation::Recover { import: true }),              [No, No, No, Whole]),
        (Request::Status,                                                  [No, Whole, Whole, Whole]),
        (Request::Configuration,                                           [No, Whole, Whole, Whole]),
        (Request::Session { session: "1-1".into() },                       [No, Whole, Whole, Whole]),
        (Request::Sessions(sessions()),                                    [Narrowed, Whole, Whole, Whole]),
        (Request::EndSessions(sessions()),                                 [Narrowed, Narrowed, Whole, Whole]),
        (Request::Trace(by_login(bert())),                                 [Narrowed, Whole, Whole, Whole]),
        (Request::Account { account: bert() },                             [No, Whole, Whole, Whole]),
        (Request::Account { account: "anna".into() },                      [Whole, Whole, Whole, Whole]),
        (Request::HoldAccount(wish()),                                     [No, No, Whole, Whole]),
        (Request::ReleaseAccount(wish()),                                  [No, No, Whole, Whole]),
        (Request::Unlock { login: None, network: None },                   [No, No, Whole, Whole]),
        (Request::Directories { check: true },                             [No, No, Whole, Whole]),
        (Request::Reload,                                                  [No, No, No, Whole]),
        (Request::Link,                                                    [No, No, No, Whole]),
        (Request::Users(UserRequest::List),                                [No, Whole, Whole, Whole]),
        (Request::Users(UserRequest::Show { login: bert() }),              [No, Whole, Whole, Whole]),
        (Request::Users(UserRequest::Show { login: "anna".into() }),       [Whole, Whole, Whole, Whole]),
        (Request::Users(UserRequest::Remove { login: "anna".into() }),     [No, No, No, Whole]),
        (Request::Users(UserRequest::Passwd { login: "anna".into(), password: None }), [No, No, No, Whole]),
        (app_password("bert"),                                             [No, No, No, Whole]),
        (app_password("Anna"),                                             [Whole, Whole, Whole, Whole]),
        (Request::ApiTokens(TokenRequest::List),                           [No, No, No, Whole]),
        (Request::Factors(FactorRequest::Remove { login: bert(), code: None }),        [No, No, No, Whole]),
        (Request::Factors(FactorRequest::Remove { login: "anna".into(), code: None }), [Whole, Whole, Whole, Whole]),
    ];
    for (request, wanted) in cases {
        for (role, wanted) in Role::ALL.into_iter().zip(wanted) {
            assert_eq!(
                came(role, &request),
                wanted,
                "{} by {}",
                name(&request),
                role.name()
            );
        }
    }
}

#[test]
fn ids_do_not_widen_an_own_listing() {
    let asked = Request::Queue(Operation::List {
        filter: Which {
            ids: vec!["01HJ3K8Q2M7XA".into()],
            ..Which::default()
        },
        after: None,
        limit: 10,
    });
    let Permit::Ask(Request::Queue(Operation::List { filter, .. })) =
        permit(&who(Role::Own, Some("anna")), asked)
    else {
        panic!("narrowed");
    };
    assert!(filter.ids.is_empty());
    assert_eq!(filter.login.as_deref(), Some("anna"));
}

#[test]
fn without_a_login_nothing_is_own_and_a_scope_takes_away() {
    let asked = Request::Sessions(WhichSessions::default());
    assert!(matches!(
        permit(&who(Role::Own, None), asked.clone()),
        Permit::No(Refusal::Role { .. })
    ));
    let mut scoped = who(Role::Administer, None);
    scoped.scope = Some(vec!["queue".into()]);
    assert!(matches!(
        permit(&scoped, asked),
        Permit::No(Refusal::Scope { .. })
    ));
    assert!(may(&scoped, &Request::Queue(Operation::Flush { domain: None })));
}

#[test]
fn every_request_can_be_named_in_a_scope() {
    use crate::admin::tokens::REQUESTS;
    for request in [
        Request::Status,
        Request::Queue(Operation::Flush { domain: None }),
        Request::Link,
        Request::Certificates,
        Request::Dkim,
    ] {
        assert!(REQUESTS.contains(&name(&request)), "{}", name(&request));
    }
    assert!(REQUESTS.is_sorted());
}
