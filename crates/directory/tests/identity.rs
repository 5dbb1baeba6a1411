//! What own users are besides their logins: further addresses, groups, delegates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{check, granted};
use postern_directory::users::UserError;
use postern_directory::{Directories, DirectorySettings, Owner, PasswordVerdict, UserStore, UsersSettings};
use secrecy::SecretString;

fn secret() -> SecretString {
    SecretString::from("pass word")
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.into()).collect()
}

#[tokio::test]
async fn groups_and_delegates_come_with_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    let store = UserStore::open(&path).unwrap();
    store
        .add_in_groups(
            "boss",
            &secret(),
            &texts(&["Chief@relay.test"]),
            &texts(&["board"]),
        )
        .unwrap();
    store
        .add_in_groups("acaird", &secret(), &[], &texts(&["Sales", " sales ", "staff"]))
        .unwrap();
    store.add("bob@relay.test", &secret(), &[]).unwrap();
    store.add_delegate("Boss", "ACaird").unwrap();
    store.add_delegate("boss", "acaird").unwrap();
    store.add_delegate("bob@relay.test", "acaird").unwrap();

    let settings = DirectorySettings::Users(UsersSettings {
        database: path,
        domains: texts(&["relay.test", "other.test"]),
        ..UsersSettings::default()
    });
    let directories = Directories::open(vec![settings]).await.unwrap();
    let account = granted(check(&directories, "acaird", "pass word").await);
    assert_eq!(account.groups, ["sales", "staff"]);
    let bob = Owner {
        login: "bob@relay.test".into(),
        addresses: texts(&["bob@relay.test"]),
    };
    let boss = Owner {
        login: "boss".into(),
        addresses: texts(&["boss@relay.test", "boss@other.test", "chief@relay.test"]),
    };
    assert_eq!(account.acts_for, [bob.clone(), boss]);
    let other = granted(check(&directories, "boss", "pass word").await);
    assert_eq!(other.acts_for, [], "it does not work the other way round");
    let user = store.get("boss").unwrap().unwrap();
    assert_eq!((user.delegates, user.acts_for), (texts(&["acaird"]), Vec::new()));

    // At once, in a directory that is already open.
    store.disable("boss").unwrap();
    let found = directories.find_account("acaird").await;
    assert!(
        matches!(&found, PasswordVerdict::Granted(account) if account.acts_for == [bob]),
        "nobody acts for who is switched off: {found:?}"
    );
    store.enable("boss").unwrap();
    assert_eq!(
        store.get("acaird").unwrap().unwrap().acts_for,
        ["bob@relay.test", "boss"]
    );
    store.remove_delegate("boss", "acaird").unwrap();
    store.remove("bob@relay.test").unwrap();
    store.remove_group("acaird", "STAFF").unwrap();
    let user = store.get("acaird").unwrap().unwrap();
    assert_eq!((user.acts_for, user.groups), (Vec::new(), texts(&["sales"])));
}

#[test]
fn addresses_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = UserStore::open(&folder.path().join("users.db")).unwrap();
    store.add("acaird", &secret(), &[]).unwrap();
    store.add("bob@relay.test", &secret(), &[]).unwrap();
    store.add_address("ACaird", "Sales@Relay.test").unwrap();
    assert_eq!(store.list().unwrap()[0].addresses, ["sales@relay.test"]);
    let told = |result: Result<(), UserError>| result.unwrap_err().to_string();
    #[rustfmt::skip]
    let cases = [
        ("somebody's login",      store.add_address("acaird", "BOB@relay.test"),      "the address bob@relay.test belongs to another user"),
        ("an own one again",      store.add_address("acaird", "sales@relay.test"),    "the address sales@relay.test belongs to another user"),
        ("no address",            store.add_address("acaird", "sales"),               "\"sales\" is not an address"),
        ("nobody",                store.add_address("eve", "eve@relay.test"),         "there is no user eve"),
        ("not there",             store.remove_address("acaird", "x@relay.test"),     "acaird has no further address x@relay.test"),
        ("another's",             store.remove_address("acaird", "bob@relay.test"),   "acaird has no further address bob@relay.test"),
        ("an empty group",        store.add_group("acaird", " "),                     "\" \" cannot be a group: 1 to 255 characters without control characters"),
        ("nobody in a group",     store.add_group("eve", "sales"),                    "there is no user eve"),
        ("not in it",             store.remove_group("acaird", "sales"),              "acaird has no group sales"),
        ("for oneself",           store.add_delegate("acaird", "ACaird"),             "acaird sends in its own name without being its own delegate"),
        ("for nobody",            store.add_delegate("eve", "acaird"),                "there is no user eve"),
        ("nobody as delegate",    store.add_delegate("acaird", "eve"),                "there is no user eve"),
        ("no delegate",           store.remove_delegate("acaird", "bob@relay.test"),  "acaird has no delegate bob@relay.test"),
    ];
    for (shows, result, want) in cases {
        assert_eq!(told(result), want, "{shows}");
    }
    store.remove_address("acaird", "sales@relay.test").unwrap();
    assert!(store.list().unwrap()[0].addresses.is_empty());
}
