//! The image: its Containerfile and the guide's commands, carried out in a machine. No engine is needed, and none is
//! tested.

use std::collections::BTreeMap;
use std::fs;

use crate::guide;
use crate::machine::{CHECKOUT, Machine};

/// The last stage of the Containerfile.
struct Image {
    /// Instructions by name, each with its arguments.
    said: BTreeMap<String, Vec<String>>,
}

impl Image {
    fn read() -> Self {
        let text = fs::read_to_string(crate::checkout().join("Containerfile")).unwrap();
        let stage = text.rsplit("\nFROM ").next().unwrap().replace("\\\n", " ");
        let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in stage.lines().skip(1).filter(|line| !line.starts_with('#')) {
            if let Some((name, rest)) = line.split_once(' ') {
                said.entry(name.to_owned())
                    .or_default()
                    .push(rest.trim().to_owned());
            }
        }
        Self { said }
    }

    fn one(&self, name: &str) -> &str {
        let all = &self.said[name];
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        &all[0]
    }

    /// The words of an instruction in JSON form.
    fn words(&self, name: &str) -> Vec<String> {
        let text = self.one(name);
        let list = &text[text.find('[').unwrap()..];
        serde_json::from_str(list).unwrap()
    }

    /// A command line as the container runs it.
    fn inside(&self, words: &[String]) -> String {
        let (user, group) = self.one("USER").split_once(':').unwrap();
        let environment = self.said["ENV"].join(" ");
        format!(
            "cd {} && setpriv --reuid {user} --regid {group} --clear-groups --no-new-privs --bounding-set=-all \
             env {environment} {}",
            self.one("WORKDIR"),
            words.join(" ")
        )
    }
}

/// The words of a command after the image of `podman run`, or after the container of `podman exec`.
fn words_inside(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace().skip(2);
    while let Some(word) = words.next() {
        match word {
            "--rm" | "--detach" => {}
            "--name" | "--volume" | "--publish" => {
                let _ = words.next();
            }
            _ => break,
        }
    }
    words.map(str::to_owned).collect()
}

#[test]
fn the_image_serves_from_its_volume_as_a_user_without_rights() {
    let image = Image::read();
    let machine = Machine::boot(&[]);
    // The packages are available; the network is not.
    machine.ok(&format!("apt-get() {{ :; }}; {}", image.one("RUN")));
    let copied = image.one("COPY");
    assert!(copied.ends_with("release/postern /usr/bin/postern"), "{copied}");
    machine.ok("install -m 755 \"$POSTERN_BIN\" /usr/bin/postern");
    machine.ok(&format!("test -e {CHECKOUT}/Containerfile"));

    let (entry, default) = (image.words("ENTRYPOINT"), image.words("CMD"));
    let mut announced = String::new();
    for line in guide::with_podman() {
        let words = words_inside(&line);
        if line.starts_with("podman build") {
            continue;
        } else if line.starts_with("podman run --rm") {
            announced = machine.ok(&image.inside(&[entry.clone(), words].concat()));
        } else if line.starts_with("podman run --detach") {
            assert!(words.is_empty(), "{words:?}");
            for port in line.split_whitespace().filter_map(|word| word.split_once(':')) {
                let inside = port.1;
                let exposed = image.one("EXPOSE").split(' ').any(|one| one == inside);
                assert!(exposed || inside.starts_with('/'), "{inside}");
            }
            let server = image.inside(&[entry.clone(), default.clone()].concat());
            machine.ok(&format!(
                "systemd-run --quiet --unit=container --property=StandardOutput=file:/root/out \
                 --property=StandardError=file:/root/err bash -c 'cd / && {}'",
                server.replace(" && setpriv", " && exec setpriv")
            ));
            machine.wait_for(&image.inside(&image.words("HEALTHCHECK")));
        } else {
            machine.ok(&image.inside(&words));
        }
    }
    // The printed line sends a mail, to all addresses of the host.
    let line = announced.lines().find(|line| line.contains("curl")).unwrap();
    machine.ok(line);
    machine.wait_for("grep -rq 'Subject: First mail' /var/lib/postern/site/");
    machine.ok(
        "ss -ltn | grep -q '0.0.0.0:2525' && grep -q 'listening' /root/out && grep -q accepted /root/out",
    );
    assert_eq!(machine.ok("cat /root/err"), "", "the log is standard output");
    machine.ok("systemctl kill --signal SIGTERM container");
    machine.wait_for("grep -q ' stopped' /root/out");
    let output = machine.run(&image.inside(&image.words("HEALTHCHECK")), "");
    assert!(!output.status.success(), "nothing runs");
}
