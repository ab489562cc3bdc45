//! The console's door, over HTTP: who gets in, who is turned away, and that nothing is recorded that nobody signed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use duty::{
    canonical::Digest,
    name::PrincipalId,
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    record::Body,
    request::{Request, RevokePrincipal},
    time::Time,
};
use engine::{Engine, Seat, clock::Clock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{Answer, Browser};

/// The public key of the first test of RFC 8032.
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A console on a log of its own, with one approver.
struct House {
    home: TempDir,
    clock: Arc<Hands>,
    engine: Arc<Engine>,
    url: String,
}

impl House {
    async fn open() -> Self {
        let home = TempDir::new().unwrap();
        store::DataDir::init(home.path(), "log.example/console").unwrap();
        let clock = Arc::new(Hands(AtomicI64::new(1_790_000_000_000)));
        let options = engine::Options {
            clock: clock.clone(),
            ..engine::Options::new(&home.path().join("guards"))
        };
        let engine = Arc::new(Engine::open(home.path(), options).await.unwrap());
        let public: PublicKey = serde_json::from_value(json!(PUBLIC)).unwrap();
        let amira = NewPrincipal {
            id: amira(),
            kind: PrincipalKind::Human,
            roles: vec![Role::Approver],
            owner: None,
            acts_for: None,
            attributes: Default::default(),
            credentials: vec![Credential {
                id: "amira.key-1".parse().unwrap(),
                proof: Proof::Ed25519 { public },
            }],
        };
        let admin = Seat::admin();
        engine
            .submit(&admin, Request::AddPrincipal(amira))
            .await
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = console::router(console::Options {
            engine: Arc::clone(&engine),
            dir: home.path().to_owned(),
            public_url: url.clone(),
            outside: Arc::new(Vec::new),
        });
        let router = router.unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            home,
            clock,
            engine,
            url,
        }
    }

    fn dir(&self) -> &Path {
        self.home.path()
    }

    fn wait(&self, minutes: i64) {
        self.clock.0.fetch_add(minutes * 60_000, Ordering::SeqCst);
    }

    fn browser(&self) -> Browser {
        Browser::new(self.url.strip_prefix("http://").unwrap())
    }

    /// The path of a new one-time link.
    fn link(&self) -> String {
        let link = console::sign_in_link(self.dir(), &amira(), &self.url, self.engine.now());
        link.unwrap().strip_prefix(&self.url).unwrap().to_owned()
    }

    async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let answer = browser.post(&self.link(), &[], "").await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        browser
    }

    fn size(&self) -> u64 {
        self.engine.read(|state| state.size)
    }
}

fn amira() -> PrincipalId {
    "amira".parse().unwrap()
}

/// The secret of the session's forms, as a page has it.
fn secret(page: &Answer) -> String {
    let after = page.body.split("name=\"csrf\" value=\"").nth(1).unwrap();
    after.split('"').next().unwrap().to_owned()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_anything_without_signing_in() {
    let house = House::open().await;
    let mut browser = house.browser();
    for path in [
        "/",
        "/cases",
        "/cases/ap-1",
        "/approvals/ap-1.a1",
        "/exceptions",
        "/thresholds",
        "/log",
        "/key",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 303, "{path}");
        assert_eq!(answer.header("location"), Some("/sign-in"), "{path}");
    }
    let answer = browser.post("/approvals/ap-1.a1/sign", &[JSON], "{}").await;
    assert_eq!(answer.header("location"), Some("/sign-in"));
    browser.cookie = Some("counterfoil-session=0000".to_owned());
    assert_eq!(browser.get("/").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_says_what_a_browser_may_do_with_it() {
    let house = House::open().await;
    let mut browser = house.signed_in().await;
    for path in [
        "/",
        "/cases",
        "/exceptions",
        "/thresholds",
        "/log",
        "/key",
        "/sign-in",
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        let policy = page.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert!(!page.body.contains(" style=") && !page.body.contains(" onclick="));
    }
    assert_eq!(browser.get("/cases/ap-1").await.status, 404);
    assert_eq!(browser.get("/approvals/ap-1.a1").await.status, 404);
    let page = browser.get("/").await;
    let style = page.body.split("href=\"/assets/").nth(1).unwrap();
    let style = format!("/assets/{}", style.split('"').next().unwrap());
    let style = browser.get(&style).await;
    assert_eq!(style.status, 200);
    let cache = style.header("cache-control").unwrap();
    assert!(cache.contains("immutable"), "{cache}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_signs_in_once_and_looking_at_it_does_not_use_it_up() {
    let house = House::open().await;
    let link = house.link();
    let mut previewer = house.browser();
    for _ in 0..2 {
        assert_eq!(previewer.get(&link).await.status, 200);
    }
    let elsewhere = [("origin", "http://evil.example")];
    let answer = previewer.post(&link, &elsewhere, "").await;
    assert_eq!((answer.status, previewer.cookie.as_deref()), (403, None));

    let mut browser = house.browser();
    let answer = browser.post(&link, &[("origin", &house.url)], "").await;
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(browser.get("/").await.status, 200);

    let mut second = house.browser();
    assert_eq!(second.post(&link, &[], "").await.status, 410);
    assert_eq!(second.get("/").await.status, 303);

    let late = house.link();
    house.wait(15);
    assert_eq!(second.get(&late).await.status, 410);
    assert_eq!(second.post(&late, &[], "").await.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_idle_when_left_and_when_the_person_is_revoked() {
    let house = House::open().await;
    let mut idle = house.signed_in().await;
    house.wait(29);
    assert_eq!(idle.get("/").await.status, 200);
    house.wait(30);
    assert_eq!(idle.get("/").await.status, 303);

    let mut left = house.signed_in().await;
    let csrf = secret(&left.get("/").await);
    let held = left.cookie.clone();
    let form = format!("csrf={csrf}");
    assert_eq!(left.post("/sign-out", &[FORM], &form).await.status, 303);
    left.cookie = held;
    assert_eq!(left.get("/").await.status, 303);

    let mut revoked = house.signed_in().await;
    assert_eq!(revoked.get("/").await.status, 200);
    let request = Request::RevokePrincipal(RevokePrincipal {
        principal: amira(),
        reason: "left".to_owned(),
    });
    house.engine.submit(&Seat::admin(), request).await.unwrap();
    assert_eq!(revoked.get("/").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_not_ours_changes_nothing() {
    let house = House::open().await;
    let mut browser = house.signed_in().await;
    let csrf = secret(&browser.get("/").await);
    let other = secret(&house.signed_in().await.get("/").await);
    assert_ne!(csrf, other);
    let size = house.size();
    for form in ["", "csrf=", &format!("csrf={other}"), &format!("x={csrf}")] {
        let answer = browser.post("/sign-out", &[FORM], form).await;
        assert_eq!(answer.status, 403, "{form}");
    }
    let body = statement("amira", "ap-1.a1").to_string();
    for headers in [
        vec![JSON],
        vec![JSON, ("x-counterfoil-csrf", other.as_str())],
        vec![
            JSON,
            ("x-counterfoil-csrf", csrf.as_str()),
            ("origin", "http://evil.example"),
        ],
        vec![
            JSON,
            ("x-counterfoil-csrf", csrf.as_str()),
            ("origin", "null"),
        ],
    ] {
        let path = "/approvals/ap-1.a1/sign";
        let answer = browser.post(path, &headers, &body).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(!answer.body.contains("remedy"), "{}", answer.body);
    }
    assert_eq!(house.size(), size);
    assert_eq!(browser.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_for_this_machine_is_not_served() {
    let house = House::open().await;
    let mut browser = house.signed_in().await;
    browser.host = "evil.example".to_owned();
    for path in ["/", "/sign-in"] {
        assert_eq!(browser.get(path).await.status, 403, "{path}");
    }
    let healthy = browser.get("/healthz").await;
    assert_eq!((healthy.status, healthy.body.as_str()), (200, "ok"));
}

/// A statement as a browser would send it, with a signature that is none.
fn statement(signer: &str, approval: &str) -> Value {
    let digest = Digest::of_bytes(b"").to_string();
    json!({
        "statement": {
            "statement": "counterfoil/approval/v1", "log": "log.example/console", "approval": approval, "case": "ap-1",
            "action": digest, "release": digest, "env": "staging", "expires": "2026-11-24T00:00:00.000Z", "signed": "2026-11-23T00:00:00.000Z",
            "decision": "approve", "override": false, "reason": "", "signer": signer, "credential": "amira.key-1",
        },
        "signature": format!("{}==", "A".repeat(86)),
    })
}

/// A passkey as a browser would send it, with an assertion that is none.
fn enrolment(person: &str) -> Value {
    // The generator of P-256: a good key, whose private half is 1.
    let point =
        "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
    json!({
        "id": "AAAA", "algorithm": "ES256", "public": point,
        "possession": {
            "statement": {
                "statement": "counterfoil/credential/v1", "log": "log.example/console", "signer": person,
                "credential": format!("{person}.passkey-1"),
            },
            "signature": {"authenticatorData": "AAAA", "clientDataJSON": "AAAA", "signature": "AAAA"},
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_needs_a_fresh_link_the_forms_secret_and_its_own_signature() {
    let house = House::open().await;
    let mut browser = house.signed_in().await;
    let csrf = secret(&browser.get("/key").await);
    let headers = [JSON, ("x-counterfoil-csrf", csrf.as_str())];
    let path = "/key/passkeys";
    let size = house.size();
    let mine = enrolment("amira").to_string();
    let without = browser.post(path, &[JSON], &mine).await;
    assert_eq!(without.status, 403, "{}", without.body);
    let other = browser
        .post(path, &headers, &enrolment("bram").to_string())
        .await;
    assert!(
        other.status == 403 && other.body.contains("not yours"),
        "{}",
        other.body
    );
    let mut wrong = enrolment("amira");
    wrong["public"] = json!("AAAA");
    let wrong = browser.post(path, &headers, &wrong.to_string()).await;
    assert!(
        wrong.status == 400 && wrong.body.contains("P-256"),
        "{}",
        wrong.body
    );
    assert_eq!(house.size(), size, "none of these reached the core");
    // What does reach it is refused there: nothing shows that she holds the key.
    let answer = browser.post(path, &headers, &mine).await;
    let said: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (answer.status, &said["code"]),
        (403, &json!("bad-signature"))
    );
    // A session that is good for reading says no more who this is.
    house.wait(16);
    let late = browser.post(path, &headers, &mine).await;
    assert!(
        late.status == 403 && late.body.contains("new sign-in link"),
        "{}",
        late.body
    );
    let page = browser.get("/key").await;
    assert!(
        page.status == 200 && !page.body.contains("id=\"enrol\""),
        "{}",
        page.body
    );
    assert_eq!(house.size(), size + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_persons_own_signature_counts() {
    let house = House::open().await;
    let mut browser = house.signed_in().await;
    let csrf = secret(&browser.get("/").await);
    let headers = [JSON, ("x-counterfoil-csrf", csrf.as_str())];
    let path = "/approvals/ap-1.a1/sign";
    let size = house.size();
    for (body, status) in [
        (statement("bram", "ap-1.a1"), 403),
        (statement("amira", "ap-2.a1"), 403),
        (json!({"statement": {}}), 400),
    ] {
        let answer = browser.post(path, &headers, &body.to_string()).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        let said: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(said["why"].is_string() && said["remedy"].is_string());
    }
    assert_eq!(house.size(), size, "none of these reached the core");

    // The session is amira's and the statement says so too: without her key it is still nobody's.
    let body = statement("amira", "ap-1.a1").to_string();
    let answer = browser.post(path, &headers, &body).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    let said: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(said["code"], "bad-signature", "{said}");
    for field in ["why", "remedy"] {
        assert!(said[field].as_str().is_some_and(|s| s.len() > 10), "{said}");
    }
    let source = evidence::open(&house.dir().display().to_string()).unwrap();
    let journal = house.engine.journal();
    journal.wait_published(house.size()).await.unwrap();
    let mut refused = 0;
    let count = evidence::for_each_record(&*source, size, &mut |record| {
        assert!(matches!(record.body, Body::RequestRefused(_)));
        refused += 1;
        Ok(())
    });
    assert_eq!((count.unwrap(), refused), (size + 1, 1));
}
