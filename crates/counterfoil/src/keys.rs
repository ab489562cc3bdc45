//! Private keys of people and tokens of agents, as files of the data directory.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::{
    canonical::{Digest, to_vec},
    name::{CredentialId, PrincipalId},
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    statement::{Signed, Statement},
};
use ed25519_dalek::{
    Signer as _, SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes, spki::der::pem::LineEnding},
};
use store::secret;

use crate::{
    cli::Signing,
    fail::{Failure, named},
};

/// The file of a person's key.
pub(crate) fn person_file(dir: &Path, id: &PrincipalId) -> PathBuf {
    dir.join("keys/people").join(format!("{id}.pem"))
}

/// The file of an agent's token, by the agent's id, or of a later one of its by the credential's.
pub(crate) fn agent_file(dir: &Path, id: impl Display) -> PathBuf {
    dir.join("keys/agents").join(format!("{id}.token"))
}

/// The same of a service.
pub(crate) fn service_file(dir: &Path, id: impl Display) -> PathBuf {
    dir.join("keys/services").join(format!("{id}.token"))
}

/// A human with a key, made now unless its file is there already (from a run that was cut off).
pub(crate) fn new_human(
    dir: &Path,
    id: &PrincipalId,
    roles: Vec<Role>,
) -> Result<NewPrincipal, Failure> {
    let file = person_file(dir, id);
    if !file.exists() {
        let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
        getrandom::fill(seed.as_mut()).map_err(Failure::unavailable)?;
        // PKCS#8 version 1 (RFC 8410), without the public key: browsers' WebCrypto reads no other.
        let pair = KeypairBytes {
            secret_key: *seed,
            public_key: None,
        };
        let pem = pair
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(Failure::unavailable)?;
        secret::write_secret(&file, pem.as_bytes())?;
    }
    let public = PublicKey::from_bytes(signing_key(&file)?.verifying_key().as_bytes());
    let proof = Proof::Ed25519 {
        public: public.map_err(Failure::unavailable)?,
    };
    principal(id, PrincipalKind::Human, roles, None, vec![("key", proof)])
}

/// An agent with a token, made now unless its file is there already.
pub(crate) fn new_agent(
    dir: &Path,
    id: &PrincipalId,
    owner: &PrincipalId,
    roles: Vec<Role>,
) -> Result<NewPrincipal, Failure> {
    let file = agent_file(dir, id);
    let (kind, owner) = (PrincipalKind::Agent, Some(owner.clone()));
    new_machine(id, kind, roles, owner, Some(&file), Vec::new())
}

/// An agent or a service: with the token of a file, which is made unless it is there already, and with what else proves it, each
/// with its sort as ids of credentials have it.
pub(crate) fn new_machine(
    id: &PrincipalId,
    kind: PrincipalKind,
    roles: Vec<Role>,
    owner: Option<PrincipalId>,
    token: Option<&Path>,
    more: Vec<(&str, Proof)>,
) -> Result<NewPrincipal, Failure> {
    let token = token.map(|file| Ok::<_, Failure>(("token", token_proof(file)?)));
    let proofs = token.transpose()?.into_iter().chain(more).collect();
    principal(id, kind, roles, owner, proofs)
}

/// What proves the token in a file, made now unless it is there already.
pub(crate) fn token_proof(file: &Path) -> Result<Proof, Failure> {
    Ok(Proof::Token {
        sha256: Digest::of_bytes(token(file)?.as_bytes()),
    })
}

/// The token in a file, made now unless it is there already.
pub(crate) fn token(file: &Path) -> Result<String, Failure> {
    if !file.exists() {
        secret::write_secret(file, secret::random_token()?.as_bytes())?;
    }
    let bytes = secret::read_secret(file)?;
    String::from_utf8(bytes.to_vec())
        .map(|t| t.trim().to_owned())
        .map_err(|_| {
            Failure::usage(format!(
                "`{}` is not a token: restore it or remove it",
                file.display()
            ))
        })
}

/// The signing key in a PKCS#8 PEM file.
pub(crate) fn signing_key(file: &Path) -> Result<SigningKey, Failure> {
    let bytes = secret::read_secret(file)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    SigningKey::from_pkcs8_pem(text).map_err(|e| {
        Failure::usage(format!(
            "`{}` is not an Ed25519 key in PKCS#8 PEM: {e}",
            file.display()
        ))
    })
}

/// A person who signs here, with the key.
pub(crate) struct Author {
    pub(crate) id: PrincipalId,
    pub(crate) credential: CredentialId,
    pub(crate) key: SigningKey,
}

impl Author {
    /// The person that the command line names.
    pub(crate) fn of(dir: &Path, sign: &Signing) -> Result<Self, Failure> {
        let id: PrincipalId = named(&sign.person)?;
        let file = sign.key.clone();
        let file = file.unwrap_or_else(|| person_file(dir, &id));
        Ok(Self {
            credential: named(&format!("{id}.key-1"))?,
            key: signing_key(&file)?,
            id,
        })
    }
}

/// Signs a statement: Ed25519 over its canonical JSON.
pub(crate) fn sign<T: Statement>(key: &SigningKey, statement: T) -> Result<Signed<T>, Failure> {
    let bytes = to_vec(&statement).map_err(Failure::usage)?;
    Ok(Signed {
        signature: BASE64_STANDARD.encode(key.sign(&bytes).to_bytes()).into(),
        statement,
    })
}

fn principal(
    id: &PrincipalId,
    kind: PrincipalKind,
    mut roles: Vec<Role>,
    owner: Option<PrincipalId>,
    proofs: Vec<(&str, Proof)>,
) -> Result<NewPrincipal, Failure> {
    roles.sort();
    roles.dedup();
    let credential = |(sort, proof): (&str, Proof)| {
        let id = named(&format!("{id}.{sort}-1"))?;
        Ok::<_, Failure>(Credential { id, proof })
    };
    let credentials = proofs.into_iter().map(credential);
    Ok(NewPrincipal {
        id: id.clone(),
        kind,
        roles,
        owner,
        acts_for: None,
        attributes: Default::default(),
        credentials: credentials.collect::<Result<_, _>>()?,
    })
}
