//! Two network namespaces: the server's, which also has its own file system and host name, and the world around it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use postern_testkit::process::{program, wait_until};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The addresses of both ends of the link: the server's and the world's.
const ENDS: [&str; 2] = ["169.254.77.2", "169.254.77.1"];

/// A namespace, kept alive by an idle process.
#[derive(Debug)]
pub(crate) struct Space {
    keeper: Child,
    has_files: bool,
}

impl Space {
    /// A separate network.
    fn network() -> Self {
        Self::keep(&["--net"], "exec sleep infinity", &[], false)
    }

    /// A network, a host name, and a file system in which `root` has what programs need.
    fn machine(host: &str, root: &Path, binary: &Path) -> Self {
        // The world must not see the mounts; they end with the process.
        let script = "set -e; mount --make-rprivate /; hostname \"$1\"; \
            for folder in usr dev proc; do mount --rbind /$folder \"$2/$folder\"; done; \
            mount --bind \"$3\" \"$2/postern\"; mount --bind \"$2/load\" \"$2/proc/loadavg\"; \
            if [ -d \"$2/local\" ]; then mount --bind \"$2/local\" \"$2/usr/local\"; fi; \
            : > \"$2/tmp/ready\"; exec sleep infinity";
        let arguments = [host, &root.display().to_string(), &binary.display().to_string()];
        let space = Self::keep(&["--net", "--mount", "--uts"], script, &arguments, true);
        wait_until("the mounts of the server", || root.join("tmp/ready").exists());
        space
    }

    fn keep(kinds: &[&str], script: &str, arguments: &[&str], has_files: bool) -> Self {
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        // It must not outlive a killed test.
        let keeper = Command::new(program("/usr/bin/setpriv", "util-linux"))
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(kinds)
            .args(["sh", "-c", script, "sh"])
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let space = Self { keeper, has_files };
        wait_until("a network namespace (they need root)", || {
            fs::read_link(space.link()).is_ok_and(|link| link != own)
        });
        space
    }

    fn link(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.keeper.id()).into()
    }

    /// A command that runs in it.
    pub(crate) fn command(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program("/usr/bin/nsenter", "util-linux"));
        command.arg(format!("--net={}", self.link().display())).arg(name);
        command
    }

    /// A command that runs in it with the file system and the host name of the server.
    pub(crate) fn command_at_home(&self, root: &Path, name: &str) -> Command {
        assert!(self.has_files, "the world has no files of its own");
        let mut command = Command::new(program("/usr/bin/nsenter", "util-linux"));
        command
            .arg(format!("--target={}", self.keeper.id()))
            .args(["--net", "--mount", "--uts", "chroot"])
            .arg(root)
            .arg(name);
        command
    }

    /// Does something in its network, such as opening a socket, which then belongs to it.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on(&File::open(self.link()).unwrap(), work)
    }

    /// Returns a function that connects to an address from its network.
    pub(crate) fn connector(&self, address: String) -> impl Fn() -> io::Result<TcpStream> + Send + use<> {
        let link = File::open(self.link()).unwrap();
        move || on(&link, || TcpStream::connect(&address))
    }

    fn ip(&self, batch: &str) {
        let mut child = self
            .command(program("/usr/sbin/ip", "iproute2"))
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "ip failed:\n{batch}");
    }
}

/// Does something in a network, in a short-lived thread.
fn on<T: Send>(network: &File, work: impl FnOnce() -> T + Send) -> T {
    let within = || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        work()
    };
    thread::scope(|scope| scope.spawn(within).join().unwrap())
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// The server's machine and the world, with a link between them.
pub(crate) fn connect(
    host: &str,
    root: &Path,
    binary: &Path,
    server: &[String],
    world: &[String],
) -> (Space, Space) {
    let (inside, outside) = (Space::machine(host, root, binary), Space::network());
    let [near, far] = ENDS;
    let mut batch = format!(
        "link set lo up\nlink add line type veth peer name line netns {}\nlink set line up\naddr add {near}/30 dev line\n",
        outside.keeper.id()
    );
    for address in server {
        batch += &format!("addr add {address}/32 dev line\n");
    }
    batch += &format!("route add default via {far} src {}\n", server[0]);
    inside.ip(&batch);
    // Unassigned addresses are unreachable immediately.
    let mut batch = format!(
        "link set lo up\nlink set line up\naddr add {far}/30 dev line\nroute add unreachable default\n"
    );
    for address in world {
        batch += &format!("addr add {address}/32 dev lo\n");
    }
    for address in server {
        batch += &format!("route add {address}/32 dev line\n");
    }
    outside.ip(&batch);
    outside.within(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
    (inside, outside)
}
