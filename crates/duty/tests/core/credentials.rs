//! Passkeys and SSH keys: what verifies, that every byte counts, and how they come to a person and go; and how an agent or a
//! service comes to another token, subject of tokens or certificate.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use duty::{
    canonical::{self, Digest},
    jwt::Subject,
    name::CredentialId,
    passkey::{Assertion, Passkey},
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    record::Body,
    refusal::Code,
    request::{AddCredential, Given, Request, RevokeCredential, RevokePrincipal, Whose},
    signature::Signature,
    ssh::{NAMESPACE, SshKey},
    statement::{ApprovalStatement, Choice, CredentialStatement, Signed},
};
use ed25519_dalek::Signer as _;
use p256::ecdsa::SigningKey;
use proptest::prelude::*;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::world::{ORIGIN, World, key, kinds, name, sign};

/// An authenticator as a test wants it.
#[derive(Clone)]
struct Authenticator {
    seed: u8,
    ed25519: bool,
    rp: &'static str,
    origin: &'static str,
    flags: u8,
    counter: u32,
    sort: &'static str,
    more: &'static str,
}

const GOOD: Authenticator = Authenticator {
    seed: 7,
    ed25519: false,
    rp: "localhost",
    origin: "http://localhost:7878",
    flags: 0x05,
    counter: 0,
    sort: "webauthn.get",
    more: r#","crossOrigin":false"#,
};

impl Authenticator {
    fn p256(&self) -> SigningKey {
        SigningKey::from_slice(&[self.seed; 32]).unwrap()
    }

    fn curve(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&[self.seed; 32])
    }

    fn passkey(&self) -> Passkey {
        let (algorithm, public) = if self.ed25519 {
            ("EdDSA", self.curve().verifying_key().as_bytes().to_vec())
        } else {
            let point = self.p256().verifying_key().to_sec1_point(false);
            ("ES256", point.as_bytes().to_vec())
        };
        let origins = [GOOD.origin.to_owned()];
        let id = BASE64_URL_SAFE_NO_PAD.encode([self.seed; 16]);
        let public = BASE64_URL_SAFE_NO_PAD.encode(public);
        Passkey::new(GOOD.rp, &origins, &id, algorithm, &public).unwrap()
    }

    fn assertion(&self, message: &[u8]) -> Assertion {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(message));
        let client = format!(
            r#"{{"type":"{}","challenge":"{challenge}","origin":"{}"{}}}"#,
            self.sort, self.origin, self.more
        );
        let mut data = Sha256::digest(self.rp).to_vec();
        data.push(self.flags);
        data.extend(self.counter.to_be_bytes());
        self.over(&data, client.as_bytes())
    }

    fn over(&self, data: &[u8], client: &[u8]) -> Assertion {
        let signed = [data, &Sha256::digest(client)].concat();
        let signature = if self.ed25519 {
            self.curve().sign(&signed).to_bytes().to_vec()
        } else {
            let signature: p256::ecdsa::Signature = self.p256().sign(&signed);
            signature.to_der().as_bytes().to_vec()
        };
        Assertion {
            authenticator_data: BASE64_URL_SAFE_NO_PAD.encode(data),
            client_data: BASE64_URL_SAFE_NO_PAD.encode(client),
            signature: BASE64_URL_SAFE_NO_PAD.encode(signature),
        }
    }

    fn signed<T: Serialize>(&self, statement: T) -> Signed<T> {
        let bytes = canonical::to_vec(&statement).unwrap();
        Signed {
            signature: Signature::Passkey(self.assertion(&bytes)),
            statement,
        }
    }
}

/// Whether the assertion of `changed` is refused as the passkey of [`GOOD`], for a reason that holds `why`.
#[track_caller]
fn is_refused(changed: &Authenticator, why: &str) {
    let verdict = GOOD.passkey().verify(b"yes", &changed.assertion(b"yes"));
    let said = verdict.expect_err("it should be refused");
    assert!(said.contains(why), "{said}");
}

#[test]
fn an_assertion_holds_for_its_statement_place_and_person_only() {
    for ed25519 in [false, true] {
        let good = Authenticator { ed25519, ..GOOD };
        let (passkey, assertion) = (good.passkey(), good.assertion(b"yes"));
        passkey.verify(b"yes", &assertion).unwrap();
        let other = passkey.verify(b"no", &assertion).unwrap_err();
        assert!(other.contains("another statement"), "{other}");
    }
    is_refused(&Authenticator { seed: 8, ..GOOD }, "not the passkey's");
    let elsewhere = "http://localhost:7879";
    is_refused(
        &Authenticator {
            origin: elsewhere,
            ..GOOD
        },
        "not to be used",
    );
    is_refused(
        &Authenticator {
            rp: "other.example",
            ..GOOD
        },
        "not made for",
    );
    is_refused(
        &Authenticator {
            flags: 0x01,
            ..GOOD
        },
        "did not verify",
    );
    is_refused(
        &Authenticator {
            flags: 0x04,
            ..GOOD
        },
        "nobody was there",
    );
    is_refused(
        &Authenticator {
            flags: 0x45,
            ..GOOD
        },
        "cannot be",
    );
    is_refused(
        &Authenticator {
            flags: 0x85,
            ..GOOD
        },
        "cannot be",
    );
    is_refused(
        &Authenticator {
            flags: 0x15,
            ..GOOD
        },
        "cannot be",
    );
    is_refused(
        &Authenticator {
            sort: "webauthn.create",
            ..GOOD
        },
        "of type",
    );
    for more in [
        r#","crossOrigin":true"#,
        r#","crossOrigin":"false""#,
        r#","topOrigin":"https://other.example""#,
    ] {
        is_refused(&Authenticator { more, ..GOOD }, "inside another's");
    }
    for more in [
        r#","type":"webauthn.get""#,
        r#","a":1,"a":2"#,
        r#","a":{"b":[{"c":1,"c":1}]}"#,
    ] {
        is_refused(&Authenticator { more, ..GOOD }, "comes twice");
    }
    is_refused(&Authenticator { more: "}x", ..GOOD }, "cannot be read");
}

#[test]
fn more_bytes_or_another_form_of_the_same_bytes_is_refused() {
    let (passkey, good) = (GOOD.passkey(), GOOD.assertion(b"yes"));
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let data = [decode(&good.authenticator_data), vec![0]].concat();
    let longer = GOOD.over(&data, &decode(&good.client_data));
    assert!(
        passkey
            .verify(b"yes", &longer)
            .unwrap_err()
            .contains("38 bytes")
    );
    let with = |change: &dyn Fn(&mut Assertion)| {
        let mut assertion = good.clone();
        change(&mut assertion);
        passkey.verify(b"yes", &assertion)
    };
    assert!(with(&|_| ()).is_ok());
    assert!(with(&|a| a.signature.push_str("AA")).is_err());
    assert!(with(&|a| a.signature.push('=')).is_err());
    assert!(with(&|a| a.authenticator_data.push_str("==")).is_err());
    // 37 bytes leave four bits of the last letter unused: another letter would mean the same.
    let last = good.authenticator_data.chars().last().unwrap();
    let next = char::from(u8::try_from(last).unwrap() + 1);
    assert!(
        with(&|a| {
            a.authenticator_data.pop();
            a.authenticator_data.push(next);
        })
        .is_err()
    );
}

#[test]
fn a_passkey_belongs_to_a_domain_and_pages_of_it() {
    let good = GOOD.passkey();
    let public =
        BASE64_URL_SAFE_NO_PAD.encode(GOOD.p256().verifying_key().to_sec1_point(false).as_bytes());
    let made = |rp: &str, origin: &str| {
        Passkey::new(rp, &[origin.to_owned()], good.id(), "ES256", &public).is_ok()
    };
    for (rp, origin) in [
        ("localhost", "http://localhost"),
        ("localhost", "https://localhost:8443"),
        ("pay.example", "https://pay.example"),
        ("pay.example", "https://console.pay.example:8443"),
    ] {
        assert!(made(rp, origin), "{rp} {origin}");
    }
    for (rp, origin) in [
        ("127.0.0.1", "http://127.0.0.1:7878"),
        ("pay.example", "http://pay.example"),
        ("pay.example", "https://xpay.example"),
        ("pay.example", "https://pay.example.evil.example"),
        ("pay.example", "https://pay.example/"),
        ("pay.example", "https://pay.example:443"),
        ("pay.example", "https://pay.example:0443"),
        ("pay.example", "https://user@pay.example"),
        ("pay.example", "https://.pay.example"),
        ("Pay.example", "https://Pay.example"),
        ("", "https://"),
    ] {
        assert!(!made(rp, origin), "{rp} {origin}");
    }
    // Compressed, and so shorter: the same key in another form would be another credential.
    let short =
        BASE64_URL_SAFE_NO_PAD.encode(GOOD.p256().verifying_key().to_sec1_point(true).as_bytes());
    let origins = [GOOD.origin.to_owned()];
    assert!(Passkey::new("localhost", &origins, good.id(), "ES256", &short).is_err());
    assert!(Passkey::new("localhost", &[], good.id(), "ES256", &public).is_err());
    assert!(Passkey::new("localhost", &origins, "", "ES256", &public).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// No bit of any part can be changed.
    #[test]
    fn every_byte_of_an_assertion_counts(bit in 0..8_u8, ed25519: bool) {
        let signer = Authenticator { ed25519, ..GOOD };
        let (passkey, good) = (signer.passkey(), signer.assertion(b"yes"));
        for part in 0..3 {
            let text = [&good.authenticator_data, &good.client_data, &good.signature][part];
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let mut changed = good.clone();
                *[&mut changed.authenticator_data, &mut changed.client_data, &mut changed.signature][part] =
                    BASE64_URL_SAFE_NO_PAD.encode(bytes);
                prop_assert!(passkey.verify(b"yes", &changed).is_err(), "part {part}, byte {at}");
            }
        }
    }

    /// The same of SSH signatures, and of each letter of their armor.
    #[test]
    fn every_byte_of_an_ssh_signature_counts(bit in 0..7_u8) {
        for (key, armored) in [
            (include_str!("ssh/ed25519.pub"), include_str!("ssh/ed25519.sig").to_owned()),
            (include_str!("ssh/ecdsa.pub"), include_str!("ssh/ecdsa.sig").to_owned()),
            (&hardware_key().to_string(), hardware(b"{}", 1, 5)),
        ] {
            let key = SshKey::read(key).unwrap();
            let message: &[u8] = if matches!(key, SshKey::Hardware { .. }) { b"{}" } else { MESSAGE };
            prop_assert_eq!(key.verify(message, &armored), Ok(()));
            for at in 0..armored.len() {
                let mut bytes = armored.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes).unwrap();
                prop_assert!(key.verify(message, &changed).is_err(), "letter {at}");
            }
        }
    }
}

const MESSAGE: &[u8] = include_bytes!("ssh/message");

#[test]
fn what_openssh_signed_verifies() {
    for (key, sig) in [
        (
            include_str!("ssh/ed25519.pub"),
            include_str!("ssh/ed25519.sig"),
        ),
        (include_str!("ssh/ecdsa.pub"), include_str!("ssh/ecdsa.sig")),
    ] {
        let key = SshKey::read(key).unwrap();
        key.verify(MESSAGE, sig).unwrap();
        assert!(key.verify(b"another", sig).is_err());
        let one_line = sig.replacen('\n', "\r\n", 1);
        for other in [
            sig.trim_end().to_owned(),
            format!("{sig}\n"),
            one_line,
            sig.replacen("\nU1", "\n U1", 1),
        ] {
            assert!(key.verify(MESSAGE, &other).is_err());
        }
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<SshKey>(&text).unwrap(), key);
        let commented = text
            .replace("\"ssh", "\" ssh")
            .replace("\"ecdsa", "\" ecdsa");
        assert!(serde_json::from_str::<SshKey>(&commented).is_err());
    }
    let keys = [
        include_str!("ssh/ed25519.pub"),
        include_str!("ssh/ecdsa.pub"),
    ];
    let other = SshKey::read(keys[1])
        .unwrap()
        .verify(MESSAGE, include_str!("ssh/ed25519.sig"));
    assert!(other.unwrap_err().contains("another SSH key"));
    assert!(
        SshKey::read("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAA==")
            .unwrap_err()
            .contains("not taken")
    );
    assert!(SshKey::read(&keys[0].replace("ssh-ed25519 ", "ssh-rsa ")).is_err());
}

const APPLICATION: &str = "ssh:";

fn hardware_key() -> SshKey {
    let mut blob = Vec::new();
    string(&mut blob, b"sk-ssh-ed25519@openssh.com");
    string(&mut blob, GOOD.curve().verifying_key().as_bytes());
    string(&mut blob, APPLICATION.as_bytes());
    SshKey::read(&format!(
        "sk-ssh-ed25519@openssh.com {}",
        BASE64_STANDARD.encode(blob)
    ))
    .unwrap()
}

fn string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    to.extend(bytes);
}

/// What an authenticator behind `ssh-keygen` signs (`PROTOCOL.u2f`).
fn hardware(message: &[u8], flags: u8, counter: u32) -> String {
    sshsig(message, NAMESPACE, |signed| {
        let mut inner = Sha256::digest(APPLICATION).to_vec();
        inner.push(flags);
        inner.extend(counter.to_be_bytes());
        inner.extend(Sha256::digest(signed));
        let mut signature = Vec::new();
        string(&mut signature, b"sk-ssh-ed25519@openssh.com");
        string(&mut signature, &GOOD.curve().sign(&inner).to_bytes());
        signature.push(flags);
        signature.extend(counter.to_be_bytes());
        signature
    })
}

fn sshsig(message: &[u8], namespace: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = hardware_key().to_string();
    let key = BASE64_STANDARD
        .decode(text.split_once(' ').unwrap().1)
        .unwrap();
    let mut signed = b"SSHSIG".to_vec();
    let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
    string(&mut blob, &key);
    for out in [&mut signed, &mut blob] {
        string(out, namespace.as_bytes());
        string(out, b"");
        string(out, b"sha256");
    }
    string(&mut signed, &Sha256::digest(message));
    string(&mut blob, &sign(&signed));
    let letters = BASE64_STANDARD.encode(blob).into_bytes();
    let lines: Vec<_> = letters
        .chunks(70)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    format!(
        "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
        lines.join("\n")
    )
}

#[test]
fn a_hardware_key_needs_a_touch_and_the_namespace() {
    let key = hardware_key();
    key.verify(b"yes", &hardware(b"yes", 1, 5)).unwrap();
    assert!(
        key.verify(b"yes", &hardware(b"yes", 0, 5))
            .unwrap_err()
            .contains("touched")
    );
    let other = sshsig(b"yes", "git", |_| Vec::new());
    assert!(
        key.verify(b"yes", &other)
            .unwrap_err()
            .contains("namespace")
    );
    assert_eq!(Signature::Text(hardware(b"yes", 1, 5)).counter(), Some(5));
    assert_eq!(
        Signature::Text(include_str!("ssh/ed25519.sig").to_owned()).counter(),
        None
    );
}

fn possession(person: &str, credential: &str) -> CredentialStatement {
    CredentialStatement {
        statement: CredentialStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        signer: name(person),
        credential: name(credential),
    }
}

fn enrolment(person: &str, credential: &str, with: &Authenticator) -> Request {
    Request::AddCredential(AddCredential {
        proof: Proof::Passkey(with.passkey()),
        whose: Whose::Shown(with.signed(possession(person, credential))),
    })
}

fn with_passkey(w: &World, case: &str, person: &str, with: &Authenticator) -> Request {
    let statement = ApprovalStatement {
        credential: name(&format!("{person}.passkey")),
        ..w.approval(case, person, Choice::Approve)
    };
    Request::Approve(with.signed(statement))
}

fn revoked(credential: &str) -> Request {
    Request::RevokeCredential(RevokeCredential {
        credential: name(credential),
        reason: "lost".to_owned(),
    })
}

#[test]
fn a_credential_is_added_by_an_admin_for_whoever_holds_it() {
    let mut w = World::new();
    let good = enrolment("bob", "bob.passkey", &GOOD);
    let Request::AddCredential(added) = &good else {
        unreachable!()
    };
    let by = |proof| {
        let whose = added.whose.clone();
        Request::AddCredential(AddCredential { proof, whose })
    };
    let said = |change: &dyn Fn(&mut CredentialStatement)| {
        let mut possession = added.possession().unwrap().clone();
        change(&mut possession.statement);
        Request::AddCredential(AddCredential {
            proof: added.proof.clone(),
            whose: Whose::Shown(possession),
        })
    };
    // Only an admin; only what the new key signed; only for this log; only a human.
    w.refused("engine", good.clone(), Code::NotYourDuty);
    let other = Authenticator { seed: 9, ..GOOD };
    w.refused(
        "admin",
        by(Proof::Passkey(other.passkey())),
        Code::BadSignature,
    );
    w.refused("admin", said(&|s| s.signer = name("gus")), Code::Malformed);
    w.refused(
        "admin",
        said(&|s| s.credential = name("bob.other")),
        Code::BadSignature,
    );
    w.refused(
        "admin",
        said(&|s| s.log = "other".to_owned()),
        Code::WrongBinding,
    );
    w.refused(
        "admin",
        enrolment("ana", "ana.passkey", &GOOD),
        Code::NotHuman,
    );
    w.refused("admin", by(Proof::Local), Code::Malformed);
    w.must("admin", good.clone());
    // The same again, and the same key under another name or for somebody else.
    w.refused("admin", good, Code::NotIndependent);
    w.refused(
        "admin",
        enrolment("gus", "gus.passkey", &GOOD),
        Code::NotIndependent,
    );
    w.refused(
        "admin",
        enrolment("bob", "bob.passkey", &other),
        Code::Replayed,
    );
    // The Ed25519 key of somebody as their SSH key is the same key.
    let mut blob = Vec::new();
    string(&mut blob, b"ssh-ed25519");
    string(&mut blob, key("gus").verifying_key().as_bytes());
    let public = SshKey::read(&format!("ssh-ed25519 {}", BASE64_STANDARD.encode(blob))).unwrap();
    let same = AddCredential {
        proof: Proof::Ssh { public },
        whose: Whose::Shown(sign(possession("bob", "bob.ssh"), "gus")),
    };
    w.refused("admin", Request::AddCredential(same), Code::NotIndependent);
}

#[test]
fn an_approval_by_passkey_counts_once_and_for_its_case_only() {
    let mut w = World::new();
    w.must("admin", enrolment("bob", "bob.passkey", &GOOD));
    w.judged("c1", 500);
    w.judged("c2", 500);
    let Request::Approve(first) = with_passkey(&w, "c1", "bob", &GOOD) else {
        unreachable!()
    };
    let Request::Approve(mut second) = with_passkey(&w, "c2", "bob", &GOOD) else {
        unreachable!()
    };
    second.signature = first.signature.clone();
    w.refused("bob", Request::Approve(second.clone()), Code::BadSignature);
    second.signature = sign(second.statement.clone(), "bob").signature;
    w.refused("bob", Request::Approve(second), Code::BadSignature);
    w.must("bob", Request::Approve(first.clone()));
    w.refused("bob", Request::Approve(first), Code::Replayed);
    w.must("exe", w.use_grant("c1", 500));
}

#[test]
fn a_counter_that_goes_back_is_refused() {
    let mut w = World::new();
    let at = |counter| Authenticator { counter, ..GOOD };
    w.must("admin", enrolment("bob", "bob.passkey", &at(3)));
    for (case, counter, goes) in [
        ("c1", 3, false),
        ("c1", 0, false),
        ("c1", 4, true),
        ("c2", 4, false),
        ("c2", 9, true),
    ] {
        if !w.state.cases.contains_key(&name(case)) {
            w.judged(case, 500);
        }
        let request = with_passkey(&w, case, "bob", &at(counter));
        if goes {
            w.must("bob", request);
        } else {
            w.refused("bob", request, Code::Replayed);
        }
    }
    // One that never counts is taken as it is.
    let uncounted = Authenticator { seed: 9, ..GOOD };
    w.must("admin", enrolment("hal", "hal.passkey", &uncounted));
    assert!(w.state.principals[&name("hal")].counters.is_empty());
}

#[test]
fn what_a_revoked_credential_approved_does_not_count() {
    let mut w = World::new();
    w.must("admin", enrolment("bob", "bob.passkey", &GOOD));
    w.judged("c1", 500);
    w.judged("c2", 500);
    w.must("bob", with_passkey(&w, "c1", "bob", &GOOD));
    w.refused("engine", revoked("bob.passkey"), Code::NotYourDuty);
    w.refused("admin", revoked("bob.none"), Code::UnknownPrincipal);
    w.refused("admin", revoked("admin-1"), Code::Malformed);
    w.must("admin", revoked("bob.passkey"));
    w.refused("admin", revoked("bob.passkey"), Code::UnknownPrincipal);
    w.refused("exe", w.use_grant("c1", 500), Code::QuorumMissing);
    w.refused("bob", with_passkey(&w, "c2", "bob", &GOOD), Code::Revoked);
    // The key is used up for ever; the person's other key is not.
    w.refused(
        "admin",
        enrolment("bob", "bob.again", &GOOD),
        Code::NotIndependent,
    );
    w.must("bob", w.approve("c2", "bob"));
    w.must("exe", w.use_grant("c2", 500));
    let signing: Vec<CredentialId> = w.state.principals[&name("bob")]
        .signing()
        .map(|c| c.id.clone())
        .collect();
    assert_eq!(signing, [name("bob-1")]);
}

#[test]
fn a_revoked_first_signature_leaves_a_quorum_open() {
    let mut w = World::new();
    w.must("admin", enrolment("bob", "bob.passkey", &GOOD));
    w.judged("c1", 5_000);
    w.must("bob", with_passkey(&w, "c1", "bob", &GOOD));
    w.must("admin", revoked("bob.passkey"));
    let records = w.must("gus", w.approve("c1", "gus"));
    let given = records.iter().find_map(|r| match &r.body {
        Body::ApprovalGiven(b) => Some((b.have, b.need)),
        _ => None,
    });
    assert_eq!(given, Some((1, 2)));
    assert!(w.state.cases[&name("c1")].grant.is_none());
}

fn given(to: &str, credential: &str, proof: Proof) -> Request {
    Request::AddCredential(AddCredential {
        proof,
        whose: Whose::Given(Given {
            principal: name(to),
            credential: name(credential),
        }),
    })
}

fn token(text: &str) -> Proof {
    Proof::Token {
        sha256: Digest::of_bytes(text.as_bytes()),
    }
}

fn jwt(subject: &str) -> Proof {
    Proof::Jwt(Subject::new("https://id.example", "counterfoil", subject).unwrap())
}

fn certificate(key: &str) -> Proof {
    Proof::Certificate {
        spki: Digest::of_bytes(key.as_bytes()),
    }
}

/// Adds a service that opens cases.
fn add_intake(w: &mut World) {
    let intake = NewPrincipal {
        id: name("intake"),
        kind: PrincipalKind::Service,
        roles: vec![Role::Intake],
        owner: None,
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: name("intake-1"),
            proof: token("intake"),
        }],
    };
    w.must("admin", Request::AddPrincipal(intake));
}

#[test]
fn an_agent_and_a_service_get_another_credential_and_lose_the_first() {
    let mut w = World::new();
    add_intake(&mut w);
    for (to, credential, proof) in [
        ("ana", "ana.jwt-1", jwt("agent-7")),
        ("ana", "ana.certificate-1", certificate("ana's")),
        ("ana", "ana.token-2", token("another of ana's")),
        ("intake", "intake.jwt-1", jwt("intake")),
    ] {
        let records = w.must("admin", given(to, credential, proof.clone()));
        assert_eq!(kinds(&records), ["credential.added"]);
        let holder = w.state.holder(&proof);
        assert_eq!(holder, Some((&name(to), &name(credential))));
    }
    // The first one's end leaves the others in force.
    w.must("admin", revoked("ana-1"));
    assert_eq!(w.state.holder(&token("ana")), None);
    let holder = w.state.holder(&jwt("agent-7"));
    assert_eq!(holder, Some((&name("ana"), &name("ana.jwt-1"))));
    w.open("c1");
    w.refused("ana", w.call("c1"), Code::Revoked);
    let by_jwt = w.with_credential("ana", "ana.jwt-1", w.call("c1"));
    assert_eq!(by_jwt.refusal, None);
}

#[test]
fn a_credential_that_is_given_is_of_its_principals_kind_and_nobody_elses() {
    let mut w = World::new();
    let good = given("ana", "ana.jwt-1", jwt("agent-7"));
    // Not by an agent for itself, and not by the engine.
    w.refused("ana", good.clone(), Code::NotYourDuty);
    w.refused("engine", good.clone(), Code::NotYourDuty);
    // People show that they hold a key, and come with nothing else.
    let public = PublicKey::from_bytes(key("x").verifying_key().as_bytes()).unwrap();
    let ed25519 = Proof::Ed25519 { public };
    for (to, credential, proof, code) in [
        ("bob", "bob.jwt-1", jwt("bob"), Code::Malformed),
        ("bob", "bob.token-1", token("bob's"), Code::Malformed),
        ("bob", "bob.key-2", ed25519.clone(), Code::BadSignature),
        ("ana", "ana.key-1", ed25519, Code::Malformed),
        ("ana", "ana.local", Proof::Local, Code::Malformed),
        ("engine", "engine.local", Proof::Local, Code::Malformed),
        ("ana", "other.jwt-1", jwt("agent-7"), Code::Malformed),
        ("ana", "ana-1", jwt("agent-7"), Code::NotIndependent),
        ("ana", "ana.token-2", token("exe"), Code::NotIndependent),
        ("ana", "ana.token-2", token("ana"), Code::NotIndependent),
        ("nobody", "nobody.jwt-1", jwt("x"), Code::UnknownPrincipal),
    ] {
        w.refused("admin", given(to, credential, proof), code);
    }
    w.must("admin", good.clone());
    w.refused("admin", good, Code::NotIndependent);
    // Another's, in force or not: a proof and an id are used up for ever.
    let again = given("exe", "exe.jwt-1", jwt("agent-7"));
    w.refused("admin", again.clone(), Code::NotIndependent);
    w.must("admin", revoked("ana.jwt-1"));
    w.refused("admin", again, Code::NotIndependent);
    w.refused(
        "admin",
        given("ana", "ana.jwt-1", jwt("agent-8")),
        Code::NotIndependent,
    );
    let end = RevokePrincipal {
        principal: name("ana"),
        reason: "it is over".to_owned(),
    };
    w.must("admin", Request::RevokePrincipal(end));
    w.refused(
        "admin",
        given("ana", "ana.jwt-2", jwt("agent-9")),
        Code::UnknownPrincipal,
    );
}

#[test]
fn credentials_that_ended_leave_room_for_others() {
    let mut w = World::new();
    for n in 0..40 {
        let id = format!("ana.token-{n}");
        w.must("admin", given("ana", &id, token(&id)));
        w.must("admin", revoked(&id));
    }
    // Beside the first.
    for n in 0..31 {
        let id = format!("ana.jwt-{n}");
        w.must("admin", given("ana", &id, jwt(&id)));
    }
    w.refused(
        "admin",
        given("ana", "ana.jwt-x", jwt("x")),
        Code::Malformed,
    );
}

#[test]
fn a_credential_is_shown_or_given_and_reads_as_it_was_written_before() {
    let shown = enrolment("bob", "bob.passkey", &GOOD);
    let given = given("ana", "ana.jwt-1", jwt("agent-7"));
    let text = |request: &Request| serde_json::to_value(request).unwrap();
    let (shown, given) = (text(&shown), text(&given));
    let fields = |value: &serde_json::Value| -> Vec<String> {
        let mut fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        fields.sort();
        fields
    };
    assert_eq!(fields(&shown), ["possession", "proof", "type"]);
    assert_eq!(fields(&given), ["given", "proof", "type"]);
    let read = |value: &serde_json::Value| serde_json::from_str::<Request>(&value.to_string());
    assert_eq!(text(&read(&shown).unwrap()), shown);
    assert_eq!(text(&read(&given).unwrap()), given);
    let mut both = shown.clone();
    both["given"] = given["given"].clone();
    let mut neither = shown.clone();
    neither.as_object_mut().unwrap().remove("possession");
    let mut more = given.clone();
    more["reason"] = "x".into();
    for wrong in [both, neither, more] {
        assert!(read(&wrong).is_err(), "{wrong}");
    }
}
