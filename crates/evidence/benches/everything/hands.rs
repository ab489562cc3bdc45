//! What people sign with besides their first key.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use duty::{
    canonical::{self, Digest},
    passkey::{Assertion, Passkey},
    principal::{Proof, PublicKey},
    request::{AddCredential, Request, Whose},
    signature::Signature,
    ssh::{NAMESPACE, SshKey},
    statement::{ApprovalStatement, CredentialStatement, Signed},
};
use p256::ecdsa::signature::Signer as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::world::{ORIGIN, name};

const PAGE: &str = "http://localhost:7878";
const SSH: &[u8] = b"ssh-ed25519";

/// A credential that somebody signs with.
pub(super) struct Hand {
    person: String,
    sort: Sort,
    /// What its key is made from.
    seed: String,
}

enum Sort {
    First,
    Passkey,
    Ssh,
}

impl Hand {
    fn new(person: &str, sort: Sort, seed: String) -> Self {
        Self {
            person: person.to_owned(),
            sort,
            seed,
        }
    }

    pub(super) fn passkey(person: &str) -> Self {
        Self::new(person, Sort::Passkey, format!("{person}.passkey"))
    }

    pub(super) fn ssh(person: &str) -> Self {
        Self::new(person, Sort::Ssh, format!("{person}.ssh"))
    }

    /// A key that does not last.
    pub(super) fn passing(n: usize) -> Self {
        Self::new("bob", Sort::Ssh, format!("bob.{n}"))
    }

    /// Each person's first key, and the other, in turn.
    pub(super) fn of(person: &str, n: usize) -> Self {
        match (person, n / 6 % 2) {
            ("bob", 0) => Self::passkey("bob"),
            ("gus", 0) => Self::ssh("gus"),
            _ => Self::new(person, Sort::First, String::new()),
        }
    }

    pub(super) fn credential(&self) -> String {
        match self.sort {
            Sort::First => format!("{}-1", self.person),
            Sort::Passkey | Sort::Ssh => self.seed.clone(),
        }
    }

    /// The request that makes it the person's.
    pub(super) fn enrolment(&self) -> Request {
        let statement = CredentialStatement {
            statement: CredentialStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            signer: name(&self.person),
            credential: name(&self.credential()),
        };
        let proof = match self.sort {
            Sort::Passkey => {
                let point = self.p256().verifying_key().to_sec1_point(false);
                let public = BASE64_URL_SAFE_NO_PAD.encode(point.as_bytes());
                let pages = [PAGE.to_owned()];
                let key = Passkey::new("localhost", &pages, "AAAA", "ES256", &public);
                Proof::Passkey(key.unwrap())
            }
            Sort::Ssh => Proof::Ssh {
                public: SshKey::Ed25519(self.public()),
            },
            Sort::First => unreachable!("first keys come with their people"),
        };
        let possession = self.sign(statement);
        let whose = Whose::Shown(possession);
        Request::AddCredential(AddCredential { proof, whose })
    }

    pub(super) fn approves(&self, mut statement: ApprovalStatement) -> Request {
        statement.credential = name(&self.credential());
        Request::Approve(self.sign(statement))
    }

    fn sign<T: Serialize>(&self, statement: T) -> Signed<T> {
        let message = canonical::to_vec(&statement).unwrap();
        let signature = match self.sort {
            Sort::First => return crate::world::sign(statement, &self.person),
            Sort::Passkey => Signature::Passkey(self.assertion(&message)),
            Sort::Ssh => Signature::Text(self.armored(&message)),
        };
        Signed {
            statement,
            signature,
        }
    }

    fn seed(&self) -> [u8; 32] {
        *Digest::of_bytes(self.seed.as_bytes()).as_bytes()
    }

    fn p256(&self) -> p256::ecdsa::SigningKey {
        p256::ecdsa::SigningKey::from_slice(&self.seed()).unwrap()
    }

    fn public(&self) -> PublicKey {
        let key = ed25519_dalek::SigningKey::from_bytes(&self.seed());
        PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap()
    }

    fn assertion(&self, message: &[u8]) -> Assertion {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(message));
        let client =
            format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{PAGE}"}}"#);
        let mut data = Sha256::digest("localhost").to_vec();
        // Present and verified; an authenticator that does not count.
        data.extend([0x05, 0, 0, 0, 0]);
        let over = [&data[..], &Sha256::digest(&client)].concat();
        let signature: p256::ecdsa::Signature = self.p256().sign(&over);
        Assertion {
            authenticator_data: BASE64_URL_SAFE_NO_PAD.encode(&data),
            client_data: BASE64_URL_SAFE_NO_PAD.encode(&client),
            signature: BASE64_URL_SAFE_NO_PAD.encode(signature.to_der().as_bytes()),
        }
    }

    /// As `ssh-keygen -Y sign` writes it.
    fn armored(&self, message: &[u8]) -> String {
        let mut key = Vec::new();
        string(&mut key, SSH);
        string(&mut key, self.public().as_bytes());
        let mut signed = b"SSHSIG".to_vec();
        let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
        string(&mut blob, &key);
        for out in [&mut signed, &mut blob] {
            string(out, NAMESPACE.as_bytes());
            string(out, b"");
            string(out, b"sha256");
        }
        string(&mut signed, &Sha256::digest(message));
        let own = ed25519_dalek::SigningKey::from_bytes(&self.seed()).sign(&signed);
        let mut signature = Vec::new();
        string(&mut signature, SSH);
        string(&mut signature, &own.to_bytes());
        string(&mut blob, &signature);
        let letters = BASE64_STANDARD.encode(blob).into_bytes();
        let lines = letters.chunks(70).map(|l| std::str::from_utf8(l).unwrap());
        let lines: Vec<_> = lines.collect();
        format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
            lines.join("\n")
        )
    }
}

fn string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    to.extend(bytes);
}
