//! The server's surroundings: name servers, next hops, filters, directories.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use postern_testkit::dovecot::Dovecot;
use postern_testkit::hops::{Arrival, Behaviour, Hops, server_config};
use postern_testkit::process::{Server, program, wait_until};
use postern_testkit::smtp::Client;

use crate::database::{mariadb, sasldb};
use crate::machine::{Machine, run};
use crate::network::Space;
use crate::site::{Ldap, Milter, Site};

/// Ports of next hops: SMTP, submission, LMTP, and one that sites like for special purposes.
const PORTS: [u16; 4] = [25, 587, 2525, 24];

/// All of it. Stopped when dropped.
#[derive(Debug)]
pub(crate) struct Around {
    pub(crate) hops: Hops,
    servers: Vec<Server>,
    _dovecot: Option<Dovecot>,
}

impl Around {
    pub(crate) fn start(site: &Site, machine: &Machine, inside: &Space, outside: &Space) -> Self {
        let hops = hops(site, machine);
        for port in PORTS {
            let listener = outside.within(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
            hops.listen(listener);
        }
        for (name, path) in &site.lab.lmtp {
            let path = machine.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            hops.listen_unix(UnixListener::bind(&path).unwrap(), name);
            open_to_all(&path);
        }
        if let Some((at, back)) = site.lab.behind_the_queue.clone() {
            let listener = inside.within(|| TcpListener::bind(&at).unwrap());
            behind_the_queue(inside, back).listen(listener);
        }
        if let Some(address) = &site.lab.greylist {
            greylist(inside.within(|| TcpListener::bind(address).unwrap()));
        }
        sasldb(&site.lab.sasldb, machine);
        let folder = machine.certificates.parent().unwrap();
        let mut servers = vec![dns(site, folder, inside)];
        for milter in &site.lab.milters {
            servers.push(start_milter(milter, machine, folder, inside));
        }
        for (milter, server) in site.lab.milters.iter().zip(&mut servers[1..]) {
            wait_for_milter(milter, server, machine, inside);
        }
        if let Some(dump) = &site.lab.mariadb {
            servers.push(mariadb(&machine.path(dump), folder, inside));
        }
        if let Some(ldap) = &site.lab.ldap {
            servers.push(slapd(site, ldap, folder, outside));
        }
        let dovecot = site.lab.dovecot.as_ref().map(|needs| {
            let dovecot = Dovecot::start_auth(&(needs.users.join("\n") + "\n"));
            // A socket can have any number of names.
            let path = machine.path(&needs.socket);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::hard_link(dovecot.socket(), &path).unwrap();
            dovecot
        });
        Self {
            hops,
            servers,
            _dovecot: dovecot,
        }
    }

    /// The output of the surrounding servers.
    pub(crate) fn logs(&self) -> String {
        self.servers
            .iter()
            .map(Server::log)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn hops(site: &Site, machine: &Machine) -> Hops {
    let at = |name: &str| machine.certificates.join(name);
    let plain = site
        .lab
        .without_tls
        .iter()
        .map(|host| site.address_of(host).unwrap());
    Hops::new(Behaviour {
        tls: Some(server_config(&at("world.crt"), &at("world.key"))),
        plain: plain.map(|address| address.parse().unwrap()).collect(),
        unknown: site.lab.unknown.iter().cloned().collect(),
        pass_on: None,
    })
}

/// An after-queue filter, such as amavis: it marks messages and returns them.
fn behind_the_queue(inside: &Space, back: String) -> Hops {
    let (sender, jobs) = std::sync::mpsc::channel::<(Arrival, std::sync::mpsc::Sender<String>)>();
    // The connection back must be made on the server's network.
    let connect = inside.connector(back);
    thread::spawn(move || {
        for (arrival, answer) in jobs {
            let content = format!("X-Virus-Scanned: lab\r\n{}", arrival.content);
            let rcpt: Vec<&str> = arrival.rcpt.iter().map(String::as_str).collect();
            let reply = connect().and_then(|stream| {
                let mut client = Client::over(stream)?;
                client.reply()?;
                client.say("EHLO localhost")?;
                client.mail(&arrival.mail, &rcpt, &content)
            });
            let _ = answer.send(reply.unwrap_or_else(|error| format!("451 4.4.1 {error}")));
        }
    });
    Hops::new(Behaviour {
        pass_on: Some(Box::new(move |arrival| {
            let (answer, reply) = std::sync::mpsc::channel();
            sender.send((arrival.clone(), answer)).ok()?;
            Some(reply.recv().ok()? + "\r\n")
        })),
        ..Behaviour::default()
    })
}

/// A policy service that makes each client, sender and recipient try a second time.
fn greylist(listener: TcpListener) {
    let seen: std::sync::Arc<std::sync::Mutex<HashSet<String>>> = std::sync::Arc::default();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = std::sync::Arc::clone(&seen);
            thread::spawn(move || {
                let mut input = BufReader::new(stream.try_clone().unwrap());
                let (mut stream, mut key, mut line) = (stream, String::new(), String::new());
                while input.read_line(&mut line).is_ok_and(|octets| octets > 0) {
                    let attribute = line.trim_end();
                    if ["client_address=", "sender=", "recipient="]
                        .iter()
                        .any(|it| attribute.starts_with(it))
                    {
                        key += attribute;
                    } else if attribute.is_empty() {
                        let is_new = seen.lock().unwrap().insert(std::mem::take(&mut key));
                        let action = if is_new {
                            "defer_if_permit greylisted"
                        } else {
                            "dunno"
                        };
                        if write!(stream, "action={action}\n\n").is_err() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
}

/// unbound as authoritative server for every name: what the site does not have does not exist.
fn dns(site: &Site, folder: &Path, inside: &Space) -> Server {
    let mut data = String::new();
    for (name, kinds) in &site.probes.dns {
        for (kind, values) in kinds {
            for value in values {
                let value = match value {
                    serde_json::Value::Array(mx) => format!("{} {}.", mx[0], mx[1].as_str().unwrap()),
                    value if kind == "PTR" => format!("{}.", value.as_str().unwrap()),
                    value if kind == "TXT" => format!("\"{}\"", value.as_str().unwrap()),
                    value => value.as_str().unwrap().to_owned(),
                };
                writeln!(data, "    local-data: '{name}. 60 {kind} {value}'").unwrap();
            }
        }
    }
    let configuration = format!(
        "server:\n    interface: 127.0.0.1\n    do-daemonize: no\n    use-syslog: no\n    chroot: \"\"\n    username: \"\"\n    \
         pidfile: \"\"\n    directory: \"{}\"\n    num-threads: 1\n    module-config: \"iterator\"\n    unblock-lan-zones: yes\n    \
         access-control: 127.0.0.0/8 allow\n    local-zone: \".\" static\n{data}remote-control:\n    control-enable: no\n",
        folder.display()
    );
    let file = folder.join("unbound.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = inside.command(program("/usr/sbin/unbound", "unbound"));
    let server = Server::start(command.arg("-c").arg(&file), &folder.join("unbound.log"));
    wait_for(inside, "127.0.0.1:53");
    server
}

/// Waits until somebody listens on a network.
pub(crate) fn wait_for(space: &Space, address: &str) {
    let connect = space.connector(address.to_owned());
    wait_until(&format!("a listener on {address}"), || connect().is_ok());
}

const MILTER: &str = r#"
import sys, Milter
name, refused, socket = sys.argv[1:]
class Filter(Milter.Base):
    def envfrom(self, sender, *parameters):
        self.subject = ''
        return Milter.CONTINUE
    def header(self, field, value):
        if field.lower() == 'subject':
            self.subject = value
        return Milter.CONTINUE
    def eom(self):
        if refused and refused in self.subject:
            self.setreply('550', '5.7.1', 'refused by ' + name)
            return Milter.REJECT
        self.addheader('X-Milter-' + name, 'seen')
        return Milter.CONTINUE
Milter.factory = Filter
Milter.set_flags(Milter.ADDHDRS)
Milter.runmilter(name, socket, 600)
"#;

fn start_milter(milter: &Milter, machine: &Machine, folder: &Path, inside: &Space) -> Server {
    let module = program("/usr/share/doc/python3-milter", "python3-milter");
    assert!(module.exists());
    let script = folder.join("filter.py");
    fs::write(&script, MILTER).unwrap();
    let socket = match milter.socket.strip_prefix("unix:") {
        Some(path) => {
            let path = machine.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            format!("unix:{}", path.display())
        }
        None => milter.socket.clone(),
    };
    let mut command = inside.command(program("/usr/bin/python3", "python3"));
    command.arg(script).args([&milter.name, &milter.refuses, &socket]);
    Server::start(&mut command, &folder.join(format!("{}.log", milter.name)))
}

fn wait_for_milter(milter: &Milter, server: &mut Server, machine: &Machine, inside: &Space) {
    let mut wait = |answers: &dyn Fn() -> bool| {
        wait_until(&format!("the filter {}", milter.name), || {
            assert!(server.runs(), "the filter has ended:\n{}", server.log());
            answers()
        });
    };
    if let Some(path) = milter.socket.strip_prefix("unix:") {
        let path = machine.path(path);
        wait(&|| UnixStream::connect(&path).is_ok());
        open_to_all(&path);
    } else {
        let port = milter.socket.split([':', '@']).nth(1).unwrap();
        let connect = inside.connector(format!("127.0.0.1:{port}"));
        wait(&|| connect().is_ok());
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

fn slapd(site: &Site, ldap: &Ldap, folder: &Path, outside: &Space) -> Server {
    let (data, file) = (folder.join("ldap"), folder.join("slapd.conf"));
    fs::create_dir(&data).unwrap();
    let configuration = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n\
         pidfile {0}/slapd.pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nmaxsize 16777216\nsuffix \"{1}\"\n\
         directory {0}/ldap\n",
        folder.display(),
        ldap.suffix
    );
    fs::write(&file, configuration).unwrap();
    let mut command = std::process::Command::new(program("/usr/sbin/slapadd", "slapd"));
    run(command
        .arg("-f")
        .arg(&file)
        .arg("-l")
        .arg(site.beside(&ldap.ldif)));
    let mut command = outside.command(program("/usr/sbin/slapd", "slapd"));
    let url = format!("ldap://{}:389/", ldap.address);
    command.args(["-d", "0", "-h", &url, "-f"]).arg(&file);
    let server = Server::start(&mut command, &folder.join("slapd.log"));
    wait_for(outside, &format!("{}:389", ldap.address));
    server
}

/// A stream opened by a client in the world, or on the server's machine itself.
pub(crate) fn from(space: &Space, source: &str, target: &str) -> std::io::Result<TcpStream> {
    space.within(|| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        let source: std::net::SocketAddr = format!("{source}:0").parse().unwrap();
        let target: std::net::SocketAddr = target.parse().unwrap();
        socket.bind(&source.into())?;
        socket.connect_timeout(&target.into(), std::time::Duration::from_secs(20))?;
        Ok(socket.into())
    })
}
