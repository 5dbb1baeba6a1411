//! Signing mail: the keys and their use.

mod author;
pub(crate) mod folder;
mod inspector;
pub(crate) mod records;
pub(crate) mod rotate;
mod sevenbit;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postern_policy::signing::{Scope, SigningDomains};
use postern_seal::rotation::{RotationSettings, Stage};
use postern_seal::{Canonicalization, FieldNames, Signer, SigningKey};

use self::folder::KeyFolder;

pub(crate) use self::inspector::DkimSigner;
pub(crate) use self::sevenbit::{Fragile, convert, hash};

/// One `[[dkim]]`, checked.
#[derive(Clone, Debug)]
pub(crate) struct DkimDomain {
    /// In A-labels.
    pub(crate) domain: String,
    /// Whose mail it signs.
    pub(crate) scope: Scope,
    /// Keys named in the configuration; if empty, those below the state directory are used.
    pub(crate) given: Vec<GivenKey>,
    pub(crate) fields: Arc<FieldNames>,
    pub(crate) canonicalization: Canonicalization,
    pub(crate) expires: Option<Duration>,
    /// Whether the server continues rotations automatically.
    pub(crate) automatic: bool,
    pub(crate) rotation: RotationSettings,
}

/// A key named in the configuration.
#[derive(Clone, Debug)]
pub(crate) struct GivenKey {
    pub(crate) selector: String,
    pub(crate) key: Arc<SigningKey>,
}

/// The signers, by domain.
pub(crate) type Signers = SigningDomains<Vec<Signer>>;

impl DkimDomain {
    /// Whether its keys are managed by Postern.
    pub(crate) fn is_managed(&self) -> bool {
        self.given.is_empty()
    }

    /// The folder of its keys if Postern manages them.
    pub(crate) fn folder(&self, state_dir: &Path) -> KeyFolder {
        KeyFolder::of(state_dir, &self.domain)
    }

    fn signer(&self, selector: &str, key: Arc<SigningKey>) -> Signer {
        Signer {
            domain: self.domain.clone(),
            selector: selector.to_owned(),
            key,
            canonicalization: self.canonicalization,
            fields: Arc::clone(&self.fields),
            expires: self.expires,
        }
    }

    /// The keys that sign for it.
    ///
    /// # Errors
    ///
    /// A key file below the state directory cannot be used, as text.
    fn signers(&self, state_dir: &Path) -> Result<Vec<Signer>, String> {
        if !self.is_managed() {
            let signer = |given: &GivenKey| self.signer(&given.selector, Arc::clone(&given.key));
            return Ok(self.given.iter().map(signer).collect());
        }
        let folder = self.folder(state_dir);
        let ring = folder.ring()?;
        ring.at(Stage::Active)
            .map(|entry| Ok(self.signer(&entry.selector, Arc::new(folder.key(&entry.selector)?))))
            .collect()
    }
}

/// All current signers. A domain whose keys cannot be read has none; the second part says why.
pub(crate) fn signers(domains: &[DkimDomain], state_dir: &Path) -> (Signers, Vec<String>) {
    let (mut signers, mut problems) = (Signers::default(), Vec::new());
    for domain in domains {
        let keys = domain.signers(state_dir).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        signers.insert(&domain.domain, domain.scope, keys);
    }
    (signers, problems)
}
