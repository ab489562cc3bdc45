//! Agents that come with tokens of their own identity provider, at both doors of the real binary.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    mcp::{Client, Outside, TRANSFER},
    rig::{
        ANALYST, Example, Server, add_principal, expect, expected, paid, records, sound, wait_for,
    },
};

const ISSUER: &str = "https://id.example/agents";
const AUDIENCE: &str = "https://counterfoil.example";

/// An identity provider: it publishes keys on this machine, and signs.
struct Provider {
    url: String,
    published: Arc<Mutex<Value>>,
}

impl Provider {
    fn start(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let published = Arc::new(Mutex::new(keys));
        let keys = Arc::clone(&published);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let body = keys.lock().unwrap().to_string();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { url, published }
    }

    fn publish(&self, keys: Value) {
        *self.published.lock().unwrap() = keys;
    }

    fn pin(&self, dir: &Path) {
        let text = format!(
            "[issuers.corp]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nalgorithms = [\"EdDSA\", \"ES256\"]\njwks_url = \"{}\"\n\n\
             [issuers.away]\nissuer = \"https://away.example\"\naudience = \"{AUDIENCE}\"\nalgorithms = [\"EdDSA\"]\njwks_file = \"away.json\"\n",
            self.url
        );
        fs::write(dir.join("identity.toml"), text).unwrap();
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(id: &str, key: &SigningKey) -> Value {
    let x = BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": x})
}

fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tokens of the moment")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn head(id: &str) -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": id})
}

fn claims(subject: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now(), "exp": now() + 600})
}

/// A value with other fields; those that are null go.
fn with(mut value: Value, other: Value) -> Value {
    let fields = value.as_object_mut().unwrap();
    for (name, value) in other.as_object().unwrap().clone() {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    value
}

fn unsigned(head: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(head), part(claims))
}

fn token(key: &SigningKey, head: &Value, claims: &Value) -> String {
    let text = unsigned(head, claims);
    let signature = key.sign(text.as_bytes()).to_bytes();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn hmac(secret: &[u8], head: &Value, claims: &Value) -> String {
    let text = unsigned(head, claims);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(text.as_bytes());
    let mac = mac.finalize().into_bytes();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
}

/// Tokens for the audience that the provider signs of this subject, as the command line names them.
fn tokens_of<'a>(subject: &'a str, audience: &'a str) -> [&'a str; 6] {
    [
        "--issuer",
        ISSUER,
        "--audience",
        audience,
        "--subject",
        subject,
    ]
}

/// Adds an agent that comes with this.
fn add_with(dir: &str, id: &str, by: &[&str], code: i32) -> String {
    add_principal(code, dir, id, &[ANALYST, by].concat())
}

/// Adds an agent that the provider knows under this subject.
fn add(dir: &str, id: &str, subject: &str, code: i32) -> String {
    add_with(dir, id, &tokens_of(subject, AUDIENCE), code)
}

/// Gives a principal another credential.
fn give(dir: &str, id: &str, what: &[&str], code: i32) -> String {
    let who = ["principal", "key", "add", id];
    expect(code, &[&who[..], what, &["--dir", dir]].concat()).1
}

/// The agent `ana` pays, by the MCP door, what a threshold covers; answers the credential that the log has of it.
#[track_caller]
fn pays(server: &Server, example: &Example, token: &str) -> Value {
    let dir = example.dir();
    let before = paid(&dir);
    let client = Client::new(server, token);
    let small = &expected(example, "auto")[3];
    let arguments = client.try_work_out(small).unwrap();
    let result = client.try_call(TRANSFER, small, &arguments).unwrap();
    assert_eq!(result["structuredContent"]["created"], true, "{result}");
    assert_eq!(paid(&dir), before + 1);
    wait_for("the recommendation's record", || {
        let log = records(&dir);
        let ana = |r: &&Value| r["kind"] == "recommendation.made" && r["actor"]["id"] == "ana";
        log.iter()
            .find(ana)
            .map(|r| r["actor"]["credential"].clone())
    })
}

/// What the HTTP door and the MCP door say to a bearer: the same.
#[track_caller]
fn both(server: &Server, token: &str) -> (u16, Value) {
    let (status, me) = server.get(token, "/v1/me");
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let (by_mcp, answer) = server.post_text_to("/mcp/staging", token, ping);
    assert_eq!(by_mcp, status, "{answer}");
    (status, me)
}

#[test]
fn a_token_that_does_not_hold_is_nobodys_at_either_door() {
    let example = Example::new(1);
    let (dir, arg) = (example.dir(), example.arg());
    let (k1, foreign) = (key(1), key(9));
    let keys = json!({"keys": [public("k1", &k1)]});
    Provider::start(keys).pin(&dir);
    add(&arg, "ana", "agent-7", 0);
    // One word of the provider is one principal's.
    let why = add(&arg, "bea", "agent-7", 3);
    assert!(why.contains("not-independent"), "{why}");
    let added = records(&dir);
    let added = added.iter().find(|r| r["body"]["request"]["id"] == "ana");
    assert_eq!(
        added.unwrap()["body"]["request"]["credentials"],
        json!([{"id": "ana.jwt-1", "proof": {"kind": "jwt", "issuer": ISSUER, "audience": AUDIENCE, "subject": "agent-7"}}])
    );
    assert!(!dir.join("keys/agents/ana.token").exists());

    let server = Server::start(&dir);
    let good = token(&k1, &head("k1"), &claims("agent-7"));
    let (status, me) = both(&server, &good);
    assert_eq!(status, 200, "{me}");
    assert_eq!(
        (&me["principal"], &me["credential"]),
        (&json!("ana"), &json!("ana.jwt-1"))
    );
    for fine in [
        json!({"aud": ["https://other.example", AUDIENCE]}),
        json!({"nbf": now() + 10, "iat": now() + 10}),
        json!({"exp": now() - 10, "iat": now() - 600}),
        json!({"iat": null}),
    ] {
        let claims = with(claims("agent-7"), fine.clone());
        assert_eq!(
            both(&server, &token(&k1, &head("k1"), &claims)).0,
            200,
            "{fine}"
        );
    }

    for wrong in [
        json!({"iss": "https://id.example/agents/"}),
        json!({"iss": [ISSUER]}),
        json!({"iss": null}),
        json!({"aud": "https://other.example"}),
        json!({"aud": ["https://other.example"]}),
        json!({"aud": null}),
        json!({"sub": "agent-8"}),
        json!({"sub": "AGENT-7"}),
        json!({"sub": "agent-7 "}),
        json!({"sub": null}),
        json!({"exp": now() - 120}),
        json!({"exp": null}),
        json!({"exp": format!("{}", now() + 600)}),
        json!({"exp": now() + 7 * 86_400}),
        json!({"nbf": now() + 120}),
        json!({"nbf": "now"}),
        json!({"iat": now() + 120}),
        json!({"cnf": {"jkt": "somebody's key"}}),
    ] {
        let claims = with(claims("agent-7"), wrong.clone());
        let (status, told) = both(&server, &token(&k1, &head("k1"), &claims));
        assert_eq!(
            (status, &told["code"]),
            (401, &json!("unauthenticated")),
            "{wrong}"
        );
    }
    for wrong in [
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "ES256"}),
        json!({"alg": "RS256"}),
        json!({"kid": "k2"}),
        json!({"kid": null}),
        json!({"crit": ["exp"]}),
        json!({"typ": "logout+jwt"}),
    ] {
        let head = with(head("k1"), wrong.clone());
        assert_eq!(
            both(&server, &token(&k1, &head, &claims("agent-7"))).0,
            401,
            "{wrong}"
        );
    }
    // Another's key, under the id of the provider's, and brought along.
    let brought = with(head("k1"), json!({"jwk": public("k1", &foreign)}));
    for head in [head("k1"), brought] {
        assert_eq!(
            both(&server, &token(&foreign, &head, &claims("agent-7"))).0,
            401
        );
    }
    // The published key as the secret of an HMAC, in each form in which it is published.
    let symmetric = with(head("k1"), json!({"alg": "HS256"}));
    let published = public("k1", &k1);
    let x = published["x"].as_str().unwrap().as_bytes().to_vec();
    let secrets = [
        k1.verifying_key().as_bytes().to_vec(),
        x,
        published.to_string().into_bytes(),
    ];
    for secret in secrets {
        assert_eq!(
            both(&server, &hmac(&secret, &symmetric, &claims("agent-7"))).0,
            401
        );
    }
    // No signature, another's, one that is not quite there; claims that were changed; a part too many.
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let raised = unsigned(
        &head("k1"),
        &with(claims("agent-7"), json!({"sub": "admin"})),
    );
    let none = unsigned(
        &with(head("k1"), json!({"alg": "none"})),
        &claims("agent-7"),
    );
    for wrong in [
        format!("{signed}."),
        format!("{none}."),
        format!("{raised}.{signature}"),
        format!("{signed}.{}", &signature[2..]),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{signed}.{}", "A".repeat(9_000)),
    ] {
        assert_eq!(both(&server, &wrong).0, 401, "{wrong}");
    }
    // An issuer whose keys cannot be had: nothing holds, and that is not the sender's fault.
    let claimed = with(claims("agent-7"), json!({"iss": "https://away.example"}));
    let (status, told) = both(&server, &token(&k1, &head("k1"), &claimed));
    assert_eq!(
        (status, &told["code"]),
        (503, &json!("unavailable")),
        "{told}"
    );

    // Where clients find out who issues tokens.
    let (status, told) = server.get("", "/.well-known/oauth-protected-resource/mcp/staging");
    assert_eq!(status, 200);
    assert_eq!(told["resource"], format!("{}/mcp/staging", server.url));
    assert_eq!(
        told["authorization_servers"],
        json!(["https://away.example", ISSUER])
    );
    assert_eq!(
        server.get("", "/.well-known/oauth-protected-resource/v1").0,
        404
    );

    // Revoked in the log, it is out at once, however long the token holds.
    let revoke = ["principal", "key", "revoke", "ana.jwt-1"];
    let why = ["--reason", "seen elsewhere", "--dir", &arg];
    expect(0, &[&revoke[..], &why].concat());
    assert_eq!(both(&server, &good).0, 401);
    server.stop();
    sound(&dir);
}

#[test]
fn a_provider_changes_its_keys_and_an_agent_of_its_pays_by_mcp() {
    let example = Example::new(1);
    let (dir, arg) = (example.dir(), example.arg());
    let (k1, k2) = (key(1), key(2));
    let provider = Provider::start(json!({"keys": [public("k1", &k1)]}));
    provider.pin(&dir);
    add(&arg, "ana", "agent-7", 0);
    let outside = Outside::of(example, "ana");
    let server = Server::start(&dir);
    let by_k1 = token(&k1, &head("k1"), &claims("agent-7"));
    assert_eq!(pays(&server, &outside.example, &by_k1), "ana.jwt-1");

    // Another key takes over: its first token makes the door look again, at most every ten seconds.
    provider.publish(json!({"keys": [public("k2", &k2)]}));
    let by_k2 = token(&k2, &head("k2"), &claims("agent-7"));
    wait_for("the other key", || {
        (server.get(&by_k2, "/v1/me").0 == 200).then_some(())
    });
    assert_eq!(
        both(&server, &by_k1).0,
        401,
        "a key that is not published any more"
    );
    // A principal that ended is out whatever its provider says.
    let revoke = [
        "principal",
        "revoke",
        "ana",
        "--reason",
        "it is over",
        "--dir",
        &arg,
    ];
    expect(0, &revoke);
    assert_eq!(both(&server, &by_k2).0, 401);
    server.stop();
    sound(&dir);
}

#[test]
fn an_agent_goes_over_from_its_bearer_token_to_its_providers_tokens() {
    let example = Example::new(1);
    let (dir, arg) = (example.dir(), example.arg());
    let k1 = key(1);
    add_with(&arg, "ana", &[], 0);
    let outside = Outside::of(example, "ana");
    // What no door would take is refused, with the place where it is to be written; and recorded nowhere.
    let (before, by_jwt) = (records(&dir).len(), tokens_of("agent-7", AUDIENCE));
    for why in [
        give(&arg, "ana", &by_jwt, 2),
        add(&arg, "bea", "agent-8", 2),
    ] {
        assert!(why.contains("is not pinned"), "{why}");
        assert!(why.contains("identity.toml"), "{why}");
    }
    Provider::start(json!({"keys": [public("k1", &k1)]})).pin(&dir);
    let elsewhere = tokens_of("agent-7", "https://other.example");
    let why = give(&arg, "ana", &elsewhere, 2);
    assert!(why.contains("pinned for the audience"), "{why}");
    // One thing at a time, and something.
    give(&arg, "ana", &[], 2);
    give(&arg, "ana", &[&by_jwt[..], &["--token"]].concat(), 2);
    assert_eq!(records(&dir).len(), before);

    let server = Server::start(&dir);
    let bearer = server.token("ana");
    let jwt = token(&k1, &head("k1"), &claims("agent-7"));
    assert_eq!(
        (both(&server, &bearer).0, both(&server, &jwt).0),
        (200, 401)
    );
    give(&arg, "ana", &by_jwt, 0);
    let (status, me) = both(&server, &jwt);
    assert_eq!((status, &me["principal"]), (200, &json!("ana")), "{me}");
    assert_eq!(both(&server, &bearer).0, 200, "both hold for a while");
    assert_eq!(pays(&server, &outside.example, &jwt), "ana.jwt-1");
    let revoke = ["principal", "key", "revoke", "ana.token-1"];
    let why = ["--reason", "it has tokens of its own", "--dir", &arg];
    expect(0, &[&revoke[..], &why].concat());
    assert_eq!(
        (both(&server, &bearer).0, both(&server, &jwt).0),
        (401, 200)
    );

    // People sign; and what is one's is nobody else's.
    let why = give(&arg, "olivia", &tokens_of("olivia", AUDIENCE), 3);
    assert!(why.contains("humans sign"), "{why}");
    let why = give(&arg, "reviewer", &by_jwt, 3);
    assert!(why.contains("not-independent"), "{why}");
    // And back: a token that is made now.
    give(&arg, "ana", &["--token"], 0);
    let file = dir.join("keys/agents/ana.token-2.token");
    let bearer = fs::read_to_string(file).unwrap();
    let (status, me) = both(&server, bearer.trim());
    assert_eq!((status, &me["credential"]), (200, &json!("ana.token-2")));
    server.stop();
    let given = records(&dir);
    let given = given.iter().find(|r| r["kind"] == "credential.added");
    assert_eq!(
        given.unwrap()["body"]["request"]["given"],
        json!({"principal": "ana", "credential": "ana.jwt-1"})
    );
    sound(&dir);
}
