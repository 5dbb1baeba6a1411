//! `postern cert`: a certificate authority of one's own, and showing certificates.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use postern_directory::read_secret;
use postern_net::ca::{Authority, AuthorityRequest, CaError, CertificateInfo, CertificateRequest, Purpose};
use postern_net::file::Existing;
use postern_net::tls::TlsError;
use secrecy::SecretString;

use super::recorded;
use crate::args::{CertArgs, CertCommand, JsonArg};
use crate::ca_files::{CA_CERTIFICATE, CA_KEY};
use crate::control::acts;
use crate::exit::{Exit, Failure, chain};
use crate::{output, rights, visible};

/// What `cert issue` was asked for.
struct Issue {
    names: Vec<String>,
    folder: PathBuf,
    client: bool,
    days: u32,
    passphrase_file: Option<PathBuf>,
    ca_passphrase_file: Option<PathBuf>,
    out: Option<String>,
    replace: bool,
}

/// Does what was asked.
pub(crate) fn run(args: CertArgs) -> Result<(), Failure> {
    acts::because(args.reason.reason.as_deref());
    let act = act_of(&args.command);
    let acts = act.as_ref().and_then(|_| recorded::acts_here());
    perform(args.command)?;
    if let (Some((act, what)), Some(acts)) = (act, acts) {
        recorded::record_here(&acts, act, what);
    }
    Ok(())
}

/// What is recorded of a command; nothing of one that only shows.
fn act_of(command: &CertCommand) -> Option<(&'static str, String)> {
    match command {
        CertCommand::Ca { folder, .. } => Some(("cert ca", folder.display().to_string())),
        CertCommand::Issue { names, .. } => Some(("cert issue", names.join(" "))),
        CertCommand::Show { .. } => None,
    }
}

fn perform(command: CertCommand) -> Result<(), Failure> {
    match command {
        CertCommand::Ca {
            folder,
            name,
            days,
            passphrase_file,
        } => make_authority(&folder, name, days, passphrase_file.as_deref()),
        CertCommand::Issue {
            names,
            folder,
            client,
            days,
            passphrase_file,
            ca_passphrase_file,
            out,
            replace,
        } => issue(Issue {
            names,
            folder,
            client,
            days,
            passphrase_file,
            ca_passphrase_file,
            out,
            replace,
        }),
        CertCommand::Show { files, json } => show(&files, json),
    }
}

fn make_authority(folder: &Path, name: String, days: u32, passphrase: Option<&Path>) -> Result<(), Failure> {
    let passphrase = passphrase.map(secret).transpose()?;
    rights::enter(folder)?;
    make_folder(folder)?;
    let (certificate, key) = (folder.join(CA_CERTIFICATE), folder.join(CA_KEY));
    let request = AuthorityRequest {
        days,
        ..AuthorityRequest::new(name)
    };
    let authority = Authority::create(&request, Timestamp::now()).map_err(|error| failure(&error))?;
    let saved = authority
        .credentials()
        .save(&certificate, &key, passphrase.as_ref(), Existing::Keep);
    saved.map_err(|error| failure(&error))?;
    output::say(&format!(
        "made {} and {}\nclients need {} to verify certificates; keep {} to yourself",
        certificate.display(),
        key.display(),
        certificate.display(),
        key.display()
    ))
}

fn issue(asked: Issue) -> Result<(), Failure> {
    let (ca_certificate, ca_key) = (asked.folder.join(CA_CERTIFICATE), asked.folder.join(CA_KEY));
    if !ca_certificate.exists() {
        return Err(Failure::new(
            Exit::InputOutput,
            format!(
                "there is no authority in {}; `postern cert ca --dir {0}` makes one",
                asked.folder.display()
            ),
        ));
    }
    let passphrase = asked.passphrase_file.as_deref().map(secret).transpose()?;
    // The new files belong to the owner of the folder: the server reads its keys as its own user.
    rights::enter(&asked.folder)?;
    let authority = Authority::load(&ca_certificate, &ca_key, asked.ca_passphrase_file.as_deref());
    let authority = authority.map_err(|error| failure(&error))?;
    let base = file_name(asked.out.as_deref().unwrap_or(&asked.names[0]));
    let request = CertificateRequest {
        days: asked.days,
        purpose: if asked.client {
            Purpose::Client
        } else {
            Purpose::Host
        },
        ..CertificateRequest::new(asked.names)
    };
    let credentials = authority
        .issue(&request, Timestamp::now())
        .map_err(|error| failure(&error))?;
    let certificate = asked.folder.join(format!("{base}.crt"));
    let key = asked.folder.join(format!("{base}.key"));
    let existing = if asked.replace || is_issued_by(&certificate, &ca_certificate) {
        Existing::Replace
    } else {
        Existing::Keep
    };
    let saved = credentials.save(&certificate, &key, passphrase.as_ref(), existing);
    saved.map_err(|error| failure(&error))?;
    output::say(&format!("made {} and {}", certificate.display(), key.display()))
}

/// Whether a certificate file was issued by this authority, and may be replaced by a renewed one.
fn is_issued_by(certificate: &Path, authority: &Path) -> bool {
    let first = |path: &Path| {
        CertificateInfo::load(path)
            .ok()
            .and_then(|all| all.into_iter().next())
    };
    match (first(certificate), first(authority)) {
        (Some(end), Some(authority)) => !end.is_ca && end.issuer == authority.subject,
        _ => false,
    }
}

/// A name as a file name: no wildcard, no slash, no leading dot.
fn file_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.@+".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::io(&format!("cannot make {}", folder.display()), &error))
}

fn secret(path: &Path) -> Result<SecretString, Failure> {
    read_secret(path).map_err(|error| Failure::new(Exit::InputOutput.unless_forbidden(&error), chain(&error)))
}

fn failure(error: &CaError) -> Failure {
    let exit = match error {
        CaError::NameCount | CaError::BadName(_) | CaError::BadCommonName | CaError::BadDays => Exit::Usage,
        CaError::Write { .. } => Exit::CannotCreate,
        CaError::Load(_) => Exit::InputOutput,
        CaError::Expired(_) | CaError::NotAnAuthority(_) | CaError::Mismatch => Exit::No,
        _ => Exit::Software,
    };
    let remedy = match error {
        CaError::Write { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            "\nuse another --dir, or for `cert issue` --replace"
        }
        CaError::Load(TlsError::PassphraseWrong { .. }) => {
            "\n--ca-passphrase-file names the file of its passphrase"
        }
        _ => "",
    };
    let text = match error {
        CaError::Load(TlsError::PassphraseMissing { path }) => format!(
            "{} is encrypted: name the file of its passphrase with --ca-passphrase-file FILE",
            path.display()
        ),
        error => chain(error),
    };
    Failure::new(exit.unless_forbidden(error), format!("{text}{remedy}"))
}

fn show(files: &[PathBuf], json: JsonArg) -> Result<(), Failure> {
    let mut all = Vec::new();
    for file in files {
        let read = CertificateInfo::load(file)
            .map_err(|error| Failure::new(Exit::InputOutput.unless_forbidden(&error), chain(&error)))?;
        all.extend(read.into_iter().map(|certificate| (file, certificate)));
    }
    if json.json {
        return output::print_json(&all.iter().map(|(_, certificate)| certificate).collect::<Vec<_>>());
    }
    let now = Timestamp::now();
    let texts: Vec<String> = all
        .iter()
        .map(|(file, certificate)| describe(file, certificate, now))
        .collect();
    output::print(&texts.join("\n\n"))
}

fn describe(file: &Path, certificate: &CertificateInfo, now: Timestamp) -> String {
    let left = certificate.not_after.as_second() - now.as_second();
    let validity = if left <= 0 {
        format!("expired {} ago", output::span(-left))
    } else if now < certificate.not_before {
        "not valid yet".to_owned()
    } else {
        format!("{} left", output::span(left))
    };
    let kind = if certificate.is_ca { "authority" } else { "end" };
    let facts = [
        ("file", file.display().to_string()),
        ("subject", certificate.subject.clone()),
        ("issuer", certificate.issuer.clone()),
        ("names", certificate.names.join(" ")),
        (
            "valid",
            format!(
                "{:.0} to {:.0} ({validity})",
                certificate.not_before, certificate.not_after
            ),
        ),
        ("fingerprint", certificate.fingerprint_sha256.clone()),
        ("key", certificate.key_type.clone()),
        ("serial", certificate.serial.clone()),
        ("kind", kind.to_owned()),
    ];
    let lines = facts.iter().filter(|(_, fact)| !fact.is_empty());
    let lines: Vec<String> = lines
        .map(|(name, fact)| format!("{name:<12} {}", visible::line(fact)))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names() {
        #[rustfmt::skip]
        let cases = [
            ("mx.example.org", "mx.example.org"), ("*.example.org", "_.example.org"), ("../../etc/x", "_._.._etc_x"),
            ("2001:db8::1", "2001_db8__1"), ("a@b.c", "a@b.c"),
        ];
        for (name, want) in cases {
            let got = file_name(name);
            assert!(!got.contains('/') && !got.starts_with('.'), "{got}");
            if name != "../../etc/x" {
                assert_eq!(got, want);
            }
        }
    }
}
