//! Signing of mail: which keys there are, and who uses them.

mod author;
pub(crate) mod folder;
mod inspector;
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
    /// Keys that the configuration names; without one those below the state directory are used.
    pub(crate) given: Vec<GivenKey>,
    pub(crate) fields: Arc<FieldNames>,
    pub(crate) canonicalization: Canonicalization,
    pub(crate) expires: Option<Duration>,
    /// Whether the server goes on with rotations by itself.
    pub(crate) automatic: bool,
    pub(crate) rotation: RotationSettings,
}

/// A key that the configuration names.
#[derive(Clone, Debug)]
pub(crate) struct GivenKey {
    pub(crate) selector: String,
    pub(crate) key: Arc<SigningKey>,
}

/// What mail is signed with, by domain.
pub(crate) type Signers = SigningDomains<Vec<Signer>>;

impl DkimDomain {
    /// Whether its keys are made and kept by Postern.
    pub(crate) fn is_managed(&self) -> bool {
        self.given.is_empty()
    }

    /// Where its keys lie that are Postern's to make.
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
    /// A file of a key below the state directory cannot be used, in words.
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

/// All that signs now. A domain whose keys cannot be read signs with none; why is said in the second.
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
