//! Passkeys and added keys in a log: a bare copy verifies, and a log's owner can forge none of it.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use duty::{
    canonical,
    passkey::{Assertion, Passkey},
    principal::Proof,
    record::{Body, Record},
    request::{AddCredential, Given, Request, RevokeCredential, Whose},
    signature::Signature,
    statement::{Choice, CredentialStatement, Signed},
};
use evidence::{Fault, open_at, verify};
use p256::ecdsa::{SigningKey, signature::Signer as _};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    tamper::check,
    world::{Invoice, ORIGIN, World, log_key, name},
};

const PAGE: &str = "http://localhost:7878";

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn passkey() -> Passkey {
    let point = key().verifying_key().to_sec1_point(false);
    let public = BASE64_URL_SAFE_NO_PAD.encode(point.as_bytes());
    Passkey::new("localhost", &[PAGE.to_owned()], "AAAA", "ES256", &public).unwrap()
}

fn signed<T: Serialize>(statement: T, counter: u32) -> Signed<T> {
    let challenge = Sha256::digest(canonical::to_vec(&statement).unwrap());
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge);
    let client =
        format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{PAGE}"}}"#);
    let mut data = Sha256::digest("localhost").to_vec();
    data.push(0x05);
    data.extend(counter.to_be_bytes());
    let over = [&data[..], &Sha256::digest(&client)].concat();
    let signature: p256::ecdsa::Signature = key().sign(&over);
    let assertion = Assertion {
        authenticator_data: BASE64_URL_SAFE_NO_PAD.encode(&data),
        client_data: BASE64_URL_SAFE_NO_PAD.encode(&client),
        signature: BASE64_URL_SAFE_NO_PAD.encode(signature.to_der().as_bytes()),
    };
    Signed {
        statement,
        signature: Signature::Passkey(assertion),
    }
}

/// A log in which bob gets a passkey, says yes with it, and loses it.
fn world(dir: &Path) -> World {
    let mut world = World::busy(dir);
    let possession = CredentialStatement {
        statement: CredentialStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        signer: name("bob"),
        credential: name("bob.passkey"),
    };
    let added = AddCredential {
        proof: Proof::Passkey(passkey()),
        whose: Whose::Shown(signed(possession, 5)),
    };
    world.must("admin", Request::AddCredential(added));
    world.judged("by-passkey", &Invoice::of(900_000, "V-2"));
    let mut statement = world.statement("by-passkey", "bob", Choice::Approve);
    statement.credential = name("bob.passkey");
    world.must("bob", Request::Approve(signed(statement, 6)));
    world.execute("by-passkey");
    let revoked = RevokeCredential {
        credential: name("bob.passkey"),
        reason: "lost".to_owned(),
    };
    world.must("admin", Request::RevokeCredential(revoked));
    world
}

fn approval(records: &mut [Record]) -> &mut Signed<duty::statement::ApprovalStatement> {
    let found = records.iter_mut().rev().find_map(|r| match &mut r.body {
        Body::ApprovalGiven(body) => Some(&mut body.request),
        _ => None,
    });
    let Some(Request::Approve(signed)) = found else {
        panic!("no approval")
    };
    signed
}

fn addition(records: &mut [Record]) -> &mut AddCredential {
    let found = records.iter_mut().find_map(|r| match &mut r.body {
        Body::CredentialAdded(body) => Some(&mut body.request),
        _ => None,
    });
    let Some(Request::AddCredential(added)) = found else {
        panic!("no credential")
    };
    added
}

fn possession(added: &mut AddCredential) -> &mut Signed<CredentialStatement> {
    match &mut added.whose {
        Whose::Shown(possession) => possession,
        Whose::Given(_) => panic!("it was given"),
    }
}

#[track_caller]
fn forged(change: impl FnOnce(&mut Vec<Record>)) -> Fault {
    let dir = tempfile::tempdir().unwrap();
    let mut world = world(dir.path());
    change(&mut world.records);
    world.publish(&log_key());
    check(dir.path()).expect_err("the forgery should be found")
}

#[test]
fn what_a_passkey_signed_verifies_from_a_bare_copy() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = world(dir.path());
    world.publish(&log_key());
    std::fs::rename(dir.path().join("log"), copy.path().join("log")).unwrap();
    let opened = open_at(&copy.path().display().to_string()).unwrap();
    let vkey = log_key().verifier().vkey();
    let report = verify(&*opened.source, &vkey, None, None).unwrap();
    let before = tempfile::tempdir().unwrap();
    World::busy(before.path()).publish(&log_key());
    let before = check(before.path()).unwrap();
    // The passkey's possession, and its yes.
    assert_eq!(report.signatures, before.signatures + 2);
}

#[test]
fn a_forged_assertion_is_found() {
    let fault = forged(|records| approval(records).statement.reason = "another".to_owned());
    assert!(fault.why.contains("another statement"), "{fault}");
    let fault = forged(|records| {
        let Signature::Passkey(assertion) = &mut approval(records).signature else {
            panic!()
        };
        // Without verifying the person, the flags would be 01.
        let mut data = BASE64_URL_SAFE_NO_PAD
            .decode(&assertion.authenticator_data)
            .unwrap();
        data[32] = 0x01;
        assertion.authenticator_data = BASE64_URL_SAFE_NO_PAD.encode(data);
    });
    assert!(fault.why.contains("did not verify"), "{fault}");
}

#[test]
fn an_older_signature_a_copied_authenticator_and_a_revoked_credential_are_found() {
    for counter in [5, 4, 0] {
        let fault = forged(|records| {
            let statement = approval(records).statement.clone();
            *approval(records) = signed(statement, counter);
        });
        assert!(fault.why.contains("after signature 5"), "{fault}");
    }
    // The end of the credential put where it came before the yes.
    let fault = forged(|records| {
        let revoked = records.pop().unwrap();
        let at = records
            .iter()
            .position(|r| r.body.kind() == "credential.added");
        let at = at.unwrap() + 1;
        records.insert(at, revoked);
        let time = records[at - 1].time;
        records[at].time = time;
        for (i, record) in records.iter_mut().enumerate().skip(at) {
            record.seq = i as u64;
            if i > at {
                record.cause = record.cause.map(|cause| cause + 1);
            }
        }
    });
    assert!(fault.why.contains("no key in force"), "{fault}");
}

#[test]
fn a_credential_that_its_owner_did_not_sign_for_is_found() {
    let fault = forged(|records| possession(addition(records)).statement.signer = name("gus"));
    assert!(fault.why.contains("nothing shows that `gus`"), "{fault}");
    let fault = forged(|records| {
        let origins = ["http://localhost:9999".to_owned()];
        let public =
            BASE64_URL_SAFE_NO_PAD.encode(key().verifying_key().to_sec1_point(false).as_bytes());
        let elsewhere = Passkey::new("localhost", &origins, "AAAA", "ES256", &public).unwrap();
        addition(records).proof = Proof::Passkey(elsewhere);
    });
    assert!(fault.why.contains("not to be used"), "{fault}");
    // An admin's word alone, as agents' credentials come.
    let fault = forged(|records| {
        let added = addition(records);
        added.whose = Whose::Given(Given {
            principal: added.principal().clone(),
            credential: added.credential().clone(),
        });
    });
    assert!(fault.why.contains("nothing shows that `bob`"), "{fault}");
}
