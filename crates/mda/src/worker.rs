//! One delivery: the process becomes the user, and does what the configuration and the user's `.forward` say.

mod plan;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::plan::{Plan, Step, plan};
use crate::agent::Run;
use crate::content::Content;
use crate::forward;
use crate::maildir;
use crate::mbox::{self, Target};
use crate::pipe;
use crate::rights::{Account, Spool, spool_group_of};
use crate::settings::{Form, Settings};
use crate::trouble::{Kind, Trouble};
use crate::wire::{Done, Reply, Request};

/// Longest job as a line, in octets.
pub const JOB_MAX: usize = 128 << 10;

/// What the helper hands to the process of one delivery.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Job {
    /// The settings.
    pub settings: Settings,
    /// The server's request.
    pub request: Request,
}

impl Job {
    /// The job as one line.
    ///
    /// # Errors
    ///
    /// It is too long.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        match line.len() <= JOB_MAX {
            true => Ok(line),
            false => Err(io::Error::other("the settings are too long")),
        }
    }

    /// Reads a job, without the end of its line.
    #[must_use]
    pub fn decode(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

/// Delivers a message. Afterwards the process has the user's permissions, and must end.
#[must_use]
pub fn work(job: &Job, content: &Content) -> Reply {
    match deliver(job, content) {
        Ok(done) => Reply::Done(done),
        Err(trouble) => Reply::Failed(trouble),
    }
}

fn deliver(job: &Job, content: &Content) -> Result<Done, Trouble> {
    let Job { settings, request } = job;
    if let Some(asked) = &request.pipe {
        return pipe::deliver(settings, request, asked, content);
    }
    let Some(account) = Account::find(&request.user, settings.min_uid)? else {
        let text = format!("no user {} has a mailbox on this machine", request.user);
        return Err(Trouble::new(Kind::NoUser, text));
    };
    let form = Form::of(&settings.mailbox, &account.name, &account.home);
    let group = match &form {
        Form::Mbox(path) if settings.agent.first().is_none_or(|agent| lends_rights(agent)) => {
            spool_group_of(path)
        }
        _ => None,
    };
    let spool = account.become_for_good(group)?;
    let found = match settings.forward {
        true => forward::find(&account, &request.detail, &settings.hostname)?,
        false => forward::Found::None,
    };
    let may = plan::May {
        programs: settings.forward_programs,
        files: settings.forward_files,
        shell: forward::is_valid_shell(&account.shell),
    };
    let plan = plan(found, request, &account.name, may);
    let delivery = Delivery {
        settings,
        request,
        account: &account,
        form: &form,
        spool: &spool,
        from_line: mbox::from_line(&request.sender, request.received),
        content,
        until: Instant::now() + settings.timeout,
    };
    delivery.carry_out(plan)
}

/// Whether a program has a set-user-ID or set-group-ID bit.
fn lends_rights(program: &str) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(program).is_ok_and(|found| found.mode() & 0o6000 != 0)
}

/// What all steps of a delivery need.
#[derive(Clone)]
struct Delivery<'a> {
    settings: &'a Settings,
    request: &'a Request,
    account: &'a Account,
    form: &'a Form,
    spool: &'a Spool,
    from_line: String,
    content: &'a Content,
    /// Until when its programs may run, all together.
    until: Instant,
}

impl Delivery<'_> {
    /// Takes all steps. A temporary trouble ends it, and everything is retried; a refusal counts if nothing else accepted the
    /// message.
    fn carry_out(&self, plan: Plan) -> Result<Done, Trouble> {
        let mut done = Done {
            forward: plan.forward,
            warnings: plan.warnings,
            ..Done::default()
        };
        let mut refusal = None;
        for step in &plan.steps {
            match self.step(step) {
                Ok(place) => done.places.push(place),
                Err(trouble) if trouble.kind.is_permanent() => {
                    done.warnings.push(trouble.text.clone());
                    refusal.get_or_insert(trouble);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        match refusal {
            Some(trouble) if done.places.is_empty() && done.forward.is_empty() => Err(trouble),
            _ => Ok(done),
        }
    }

    fn step(&self, step: &Step) -> Result<String, Trouble> {
        match step {
            Step::Program(command) => {
                self.run().program(command)?;
                Ok(format!("|{command}"))
            }
            Step::Discard => Ok("/dev/null".into()),
            Step::File(path) => {
                let form = match path.ends_with('/') {
                    true => Form::Maildir(path.into()),
                    false => Form::Mbox(path.into()),
                };
                self.write(&form, &Spool::none(self.account.gid))
            }
            Step::Mailbox => match &self.settings.agent[..] {
                [] => self.write(self.form, self.spool),
                [agent, ..] => {
                    self.make_ready(agent)?;
                    self.run().agent(&self.settings.agent, &self.settings.hostname)?;
                    Ok(agent.clone())
                }
            },
        }
    }

    fn run(&self) -> Run<'_> {
        Run {
            account: self.account,
            request: self.request,
            from_line: &self.from_line,
            content: self.content,
            timeout: self.settings.timeout,
            until: self.until,
        }
    }

    /// Traditional agents, such as procmail, run as root for a moment to create a mailbox in `/var/mail`, and give it to the
    /// user. Here they never run as root: the mailbox is created beforehand.
    fn make_ready(&self, agent: &str) -> Result<(), Trouble> {
        match self.form {
            Form::Mbox(path) if lends_rights(agent) && !path.exists() => {
                mbox::make(&self.target(path, self.spool))
            }
            _ => Ok(()),
        }
    }

    fn target<'t>(&self, path: &'t Path, spool: &'t Spool) -> Target<'t> {
        Target {
            path,
            owner: self.account.uid,
            spool,
            wait: self.lock_wait(),
            min_free: self.settings.min_free,
        }
    }

    /// How long it may wait for the lock of one more mailbox. All waits together are not longer than the helper waits for the
    /// delivery ([`Settings::longest`]), however many there are.
    fn lock_wait(&self) -> Duration {
        let most = self.settings.lock_timeout;
        (self.until + most)
            .saturating_duration_since(Instant::now())
            .min(most)
    }

    /// Writes a copy into a mailbox; returns where it is.
    fn write(&self, form: &Form, spool: &Spool) -> Result<String, Trouble> {
        let min_free = self.settings.min_free;
        match form {
            Form::Maildir(folder) => {
                self.check_home(folder)?;
                let name = self.file_name();
                maildir::deliver(folder, self.account.uid, &name, self.content, min_free)?;
                Ok(folder.display().to_string())
            }
            Form::Mbox(path) => {
                mbox::append(&self.target(path, spool), &self.from_line, self.content)?;
                Ok(path.display().to_string())
            }
        }
    }

    /// A home folder is never created: if it is missing, its disk may not be mounted.
    fn check_home(&self, mailbox: &Path) -> Result<(), Trouble> {
        let home = &self.account.home;
        if !mailbox.starts_with(home) || home.is_dir() {
            return Ok(());
        }
        let text = format!("the home folder {} is not there", home.display());
        Err(Trouble::new(Kind::Mailbox, text))
    }

    /// The same at each attempt, so that a repeated delivery replaces the first one.
    fn file_name(&self) -> String {
        let Request {
            received,
            queue,
            index,
            ..
        } = self.request;
        let host = self.settings.hostname.replace(['/', ':'], "_");
        format!("{received}.Q{queue}R{index}.{host}")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use nix::unistd::{getegid, geteuid};

    use super::*;

    #[test]
    fn steps_and_what_their_ends_mean_together() {
        let home = tempfile::tempdir().unwrap();
        let account = Account {
            name: "ann".into(),
            uid: geteuid(),
            gid: getegid(),
            home: home.path().to_owned(),
            shell: "/bin/sh".into(),
        };
        let settings = Settings {
            mailbox: "~/Maildir/".into(),
            agent: Vec::new(),
            forward: true,
            forward_programs: true,
            forward_files: true,
            min_uid: 0,
            timeout: Duration::from_secs(60),
            lock_timeout: Duration::ZERO,
            min_free: 0,
            hostname: "mx.test".into(),
            pipes: Vec::new(),
        };
        let request = Request {
            queue: "1A".into(),
            index: 2,
            received: 5,
            ..crate::wire::testing::request()
        };
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"S: x\n\ny\n").unwrap();
        let form = Form::of(&settings.mailbox, "ann", home.path());
        let delivery = Delivery {
            settings: &settings,
            request: &request,
            account: &account,
            form: &form,
            spool: &Spool::none(account.gid),
            from_line: "From x\n".into(),
            content: &Content::new(file, 0),
            until: Instant::now() + settings.timeout,
        };
        let run = |steps: Vec<Step>, forward: &[&str]| {
            delivery.carry_out(Plan {
                steps,
                forward: forward.iter().map(|&to| to.into()).collect(),
                warnings: Vec::new(),
            })
        };
        let program = |text: &str| Step::Program(text.into());
        let box_file = home.path().join("old").display().to_string();
        let done = run(
            vec![program("true"), Step::File(box_file.clone()), Step::Mailbox],
            &[],
        )
        .unwrap();
        assert_eq!(done.places.len(), 3, "{done:?}");
        assert_eq!(fs::read_to_string(&box_file).unwrap(), "From x\nS: x\n\ny\n\n");
        assert!(home.path().join("Maildir/new/5.Q1AR2.mx.test").exists());
        // A refusal counts if it is the only step, and is reported if there are others.
        assert_eq!(
            run(vec![program("exit 77")], &[]).unwrap_err().kind,
            Kind::Refused
        );
        let done = run(vec![program("exit 77"), Step::Mailbox], &[]).unwrap();
        assert_eq!((done.places.len(), done.warnings.len()), (1, 1), "{done:?}");
        assert!(run(vec![program("exit 77")], &["a@b.test"]).is_ok());
        assert_eq!(
            run(vec![program("exit 75"), Step::Mailbox], &[])
                .unwrap_err()
                .kind,
            Kind::Agent
        );
        // Programs share the time of a delivery: if earlier ones have used it up, the next one is ended at once.
        let late = Delivery {
            until: Instant::now(),
            ..delivery.clone()
        };
        let trouble = late.step(&program("sleep 86400")).unwrap_err();
        assert_eq!(trouble.kind, Kind::Agent);
        assert!(trouble.text.contains("longer than 60 s"), "{trouble}");
        // Without the home folder nothing is created.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::remove_dir_all(home.path()).unwrap();
        assert!(
            run(vec![Step::Mailbox], &[])
                .unwrap_err()
                .text
                .contains("is not there")
        );
        assert!(!home.path().exists());
    }
}
