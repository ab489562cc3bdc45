//! TLS at the doors of the real binary, and agents that come with certificates. OpenSSL makes the certificates.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::rig::{ANALYST, Server, add_principal, binary, expect, records, wait_for};

/// A certificate authority in a directory.
struct Authority {
    home: PathBuf,
    name: &'static str,
}

fn openssl(home: &Path, words: &str) {
    let done = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(home)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status();
    assert!(done.unwrap().success(), "openssl {words}");
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

impl Authority {
    fn new(home: &Path, name: &'static str) -> Self {
        openssl(
            home,
            &format!(
                "req -x509 {KEY} -keyout {name}.key -out {name}.pem -days 30 -subj /CN={name} -addext keyUsage=critical,keyCertSign,cRLSign"
            ),
        );
        let home = home.to_owned();
        Self { home, name }
    }

    /// A new key with its certificate, `<id>.key` and `<id>.pem`.
    fn issue(&self, id: &str, days: i32) {
        openssl(
            &self.home,
            &format!("req {KEY} -keyout {id}.key -out {id}.csr -subj /CN={id}"),
        );
        self.renew(id, id, days);
    }

    /// Another certificate for a key that is there.
    fn renew(&self, id: &str, to: &str, days: i32) {
        let ca = self.name;
        let said = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n";
        fs::write(self.home.join("said"), said).unwrap();
        openssl(
            &self.home,
            &format!(
                "x509 -req -in {id}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days {days} -extfile said -out {to}.pem"
            ),
        );
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.home.join(format!("{id}.key")), mode).unwrap();
    }

    fn revoke(&self, id: &str) {
        self.keep_lists(&format!("-revoke {id}.pem"));
    }

    /// What was revoked until now, as `<name>.crl`; `times` says from when the list is, and until when.
    fn list(&self, times: &str) {
        let name = self.name;
        self.keep_lists(&format!("-gencrl {times} -out {name}.crl"));
    }

    fn keep_lists(&self, what: &str) {
        let name = self.name;
        if !self.home.join("lists").exists() {
            let said = "[ca]\ndefault_ca=lists\n[lists]\ndatabase=revoked\ncrlnumber=number\ndefault_md=sha256\n";
            for (file, text) in [("lists", said), ("revoked", ""), ("number", "01\n")] {
                fs::write(self.home.join(file), text).unwrap();
            }
        }
        openssl(
            &self.home,
            &format!("ca -config lists -keyfile {name}.key -cert {name}.pem {what}"),
        );
    }
}

/// A directory with two agents that have certificates.
struct Site {
    home: TempDir,
    ours: Authority,
}

impl Site {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let ours = Authority::new(home.path(), "ours");
        ours.issue("server", 5);
        ours.issue("ana", 5);
        ours.issue("bea", 5);
        let site = Self { home, ours };
        let dir = site.dir();
        expect(0, &["init", "--origin", "example.com/log", "--dir", &dir]);
        add_principal(0, &dir, "olivia", &["--human", "--role", "owner"]);
        site.add("ana", "ana.pem", &[], 0);
        site.add("bea", "bea.pem", &["--token"], 0);
        site
    }

    fn dir(&self) -> String {
        self.at("data")
    }

    fn at(&self, file: &str) -> String {
        self.home.path().join(file).display().to_string()
    }

    fn add(&self, id: &str, certificate: &str, more: &[&str], code: i32) -> String {
        let certificate = self.at(certificate);
        let by = ["--certificate", &certificate];
        add_principal(code, &self.dir(), id, &[ANALYST, &by, more].concat())
    }

    fn start(&self) -> (Server, String) {
        self.start_with(&[])
    }

    fn start_with(&self, more: &[&str]) -> (Server, String) {
        let (cert, key, ca) = (
            self.at("server.pem"),
            self.at("server.key"),
            self.at("ours.pem"),
        );
        let files = ["--tls-cert", &cert, "--tls-key", &key, "--client-ca", &ca];
        let more = [&files[..], more].concat();
        let server = Server::start_with(Path::new(&self.dir()), &more);
        let serving = fs::read(Path::new(&self.dir()).join("serve.json")).unwrap();
        let serving: Value = serde_json::from_slice(&serving).unwrap();
        let url = serving["public_url"].as_str().unwrap().to_owned();
        assert!(url.starts_with("https://127.0.0.1:"), "{url}");
        (server, url)
    }

    /// A client with a certificate, or without one.
    fn client(&self, with: Option<(&str, &str)>) -> ureq::Agent {
        let read = |file: &str| fs::read(self.home.path().join(file)).unwrap();
        let root = Certificate::from_pem(&read("ours.pem")).unwrap();
        let own = with.map(|(certificate, key)| {
            let chain = [Certificate::from_pem(&read(certificate)).unwrap()];
            ClientCert::new_with_certs(&chain, PrivateKey::from_pem(&read(key)).unwrap())
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[root]))
            .client_cert(own);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .tls_config(tls.build());
        ureq::Agent::new_with_config(config.build())
    }

    /// Who a client is to the HTTP door and to the MCP door: the status of both, and what the first says; none where there is no
    /// connection.
    #[track_caller]
    fn known(
        &self,
        url: &str,
        with: Option<(&str, &str)>,
        token: Option<&str>,
    ) -> Option<(u16, Value)> {
        let client = self.client(with);
        let mut ask = client.get(format!("{url}/v1/me"));
        let mut ping = client
            .post(format!("{url}/mcp/staging"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(token) = token {
            ask = ask.header("authorization", format!("Bearer {token}"));
            ping = ping.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = ask.call().ok()?;
        let status = answer.status().as_u16();
        let by_mcp = ping.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        assert_eq!(by_mcp.ok()?.status().as_u16() == 401, status == 401);
        let text = answer.body_mut().read_to_string().unwrap();
        Some((status, serde_json::from_str(&text).unwrap()))
    }
}

/// The bridge of an agent, as its client starts it.
struct Bridge {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Bridge {
    fn start(site: &Site, url: &str, shows: &[&str]) -> Self {
        let mut child = binary()
            .env("SSL_CERT_FILE", site.at("ours.pem"))
            .args(["mcp", "--url", &format!("{url}/mcp")])
            .args(["--environment", "staging"])
            .args(shows)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// What the door says to a client's first words.
    fn hello(&mut self) -> Value {
        let client = json!({"name": "t", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        writeln!(self.to, "{hello}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    #[track_caller]
    fn is_known(&mut self) {
        let answer = self.hello();
        let version = &answer["result"]["protocolVersion"];
        assert_eq!(version, "2025-11-25", "{answer}");
    }

    #[track_caller]
    fn is_refused(&mut self, why: &str) {
        let answer = self.hello();
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains(why), "{answer}");
    }

    fn end(mut self) {
        drop(self.to);
        assert!(self.child.wait().unwrap().success());
    }
}

const ANA: Option<(&str, &str)> = Some(("ana.pem", "ana.key"));
const BEA: Option<(&str, &str)> = Some(("bea.pem", "bea.key"));

#[test]
fn a_certificate_of_the_pinned_authority_is_its_agents_until_it_is_revoked() {
    let site = Site::new();
    let dir = PathBuf::from(site.dir());
    // One key is one principal's.
    assert!(
        site.add("cleo", "ana.pem", &[], 3)
            .contains("not-independent")
    );
    let foreign = Authority::new(site.home.path(), "foreign");
    foreign.issue("other", 5);
    foreign.renew("ana", "ana-foreign", 5);
    site.ours.renew("ana", "ana-over", -1);
    site.ours.renew("ana", "ana-next", 9);
    site.ours.issue("nobody", 5);
    let (server, url) = site.start();

    let (status, me) = site.known(&url, ANA, None).unwrap();
    assert_eq!((status, &me["principal"]), (200, &json!("ana")), "{me}");
    assert_eq!(me["credential"], "ana.certificate-1");
    // Renewed for the same key, it is the same.
    let (_, me) = site
        .known(&url, Some(("ana-next.pem", "ana.key")), None)
        .unwrap();
    assert_eq!(me["credential"], "ana.certificate-1", "{me}");
    // None, and one of the authority that is nobody's.
    assert_eq!(site.known(&url, None, None).unwrap().0, 401);
    assert_eq!(
        site.known(&url, Some(("nobody.pem", "nobody.key")), None)
            .unwrap()
            .0,
        401
    );
    // Another authority's, be it for the same key; one that is over; one whose key is another's: there is no connection.
    for wrong in [
        ("other.pem", "other.key"),
        ("ana-foreign.pem", "ana.key"),
        ("ana-over.pem", "ana.key"),
    ] {
        assert_eq!(site.known(&url, Some(wrong), None), None, "{wrong:?}");
    }
    // A token beside it: its own, nobody's, another's.
    let bea = server.token("bea");
    let (_, me) = site.known(&url, None, Some(&bea)).unwrap();
    assert_eq!(me["credential"], "bea.token-1", "{me}");
    let (_, me) = site.known(&url, BEA, Some(&bea)).unwrap();
    assert_eq!(me["credential"], "bea.token-1", "{me}");
    assert_eq!(site.known(&url, ANA, Some("nobody's")).unwrap().0, 401);
    assert_eq!(site.known(&url, ANA, Some(&bea)).unwrap().0, 401);
    // In the clear there is nothing at that port.
    let at = url.strip_prefix("https://").unwrap();
    let plain = ureq::get(format!("http://{at}/v1/status")).call();
    assert!(plain.is_err());
    // Whoever does not shake hands holds nobody up.
    let mut silent = TcpStream::connect(at).unwrap();
    assert_eq!(site.known(&url, ANA, None).unwrap().0, 200);
    silent
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "it is given up");

    let revoke = ["principal", "key", "revoke", "ana.certificate-1"];
    let why = ["--reason", "its laptop is lost", "--dir", &site.dir()];
    expect(0, &[&revoke[..], &why].concat());
    assert_eq!(site.known(&url, ANA, None).unwrap().0, 401);
    server.stop();
    let added = records(&dir);
    let added = added
        .iter()
        .find(|r| r["body"]["request"]["id"] == "ana")
        .unwrap();
    assert_eq!(
        added["body"]["request"]["credentials"][0]["proof"]["kind"],
        "certificate"
    );
    let (log, vkey) = (site.dir(), site.at("data/log.vkey"));
    expect(0, &["log", "verify", &log, "--vkey", &vkey]);
    expect(0, &["audit", "reperform", "--dir", &log]);
}

#[test]
fn a_renewed_certificate_is_taken_over_and_a_bad_one_is_not() {
    let site = Site::new();
    let (server, url) = site.start();
    assert_eq!(site.known(&url, ANA, None).unwrap().0, 200);
    let home = site.home.path();
    let good = fs::read(home.join("server.pem")).unwrap();
    // Neither rubbish nor another's certificate: the old one stays.
    for bad in [b"rubbish".to_vec(), fs::read(home.join("ana.pem")).unwrap()] {
        fs::write(home.join("server.pem"), bad).unwrap();
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(site.known(&url, ANA, None).unwrap().0, 200);
    }
    fs::write(home.join("server.pem"), good).unwrap();
    // Another authority takes over, for server and clients: those of the old one are out.
    let next = Authority::new(home, "next");
    next.renew("server", "server", 5);
    fs::copy(home.join("ours.pem"), home.join("before.pem")).unwrap();
    fs::copy(home.join("next.pem"), home.join("ours.pem")).unwrap();
    next.renew("bea", "bea", 5);
    wait_for("the other certificate", || {
        let (status, _) = site.known(&url, BEA, None)?;
        (status == 200).then_some(())
    });
    assert_eq!(site.known(&url, ANA, None), None);
    server.stop();
    // What does not hold together does not start.
    let (cert, key, dir) = (site.at("server.pem"), site.at("ana.key"), site.dir());
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--dir",
        &dir,
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
    ];
    let (_, why) = expect(2, &serve);
    assert!(why.contains("do not go together"), "{why}");
}

#[test]
fn an_agent_behind_the_bridge_shows_its_certificate_and_a_renewed_one() {
    let site = Site::new();
    let home = site.home.path();
    let foreign = Authority::new(home, "foreign");
    foreign.renew("ana", "ana-foreign", 5);
    let (server, url) = site.start();
    let (certificate, key) = (site.at("ana.pem"), site.at("ana.key"));
    let by_certificate = ["--certificate", &certificate, "--key", &key];
    let mut bridge = Bridge::start(&site, &url, &by_certificate);
    bridge.is_known();
    // Beside a token, which is another's, and alone.
    let token = site.at("data/keys/agents/bea.token");
    let by_token = ["--token-file", &token];
    let both = [&by_token[..], &by_certificate].concat();
    let mut torn = Bridge::start(&site, &url, &both);
    torn.is_refused("`--token-file` and `--certificate`");
    torn.end();
    let mut bea = Bridge::start(&site, &url, &by_token);
    bea.is_known();
    bea.end();
    // The certificate is whose the log says, and no longer than that.
    let revoke = ["principal", "key", "revoke", "ana.certificate-1"];
    let why = ["--reason", "its laptop is lost", "--dir", &site.dir()];
    expect(0, &[&revoke[..], &why].concat());
    bridge.is_refused("`--certificate`");
    // Another one takes its place under the running bridge: first the half of it, then all.
    fs::copy(home.join("bea.pem"), home.join("ana.pem")).unwrap();
    bridge.is_refused("do not go together");
    fs::copy(home.join("bea.key"), home.join("ana.key")).unwrap();
    bridge.is_known();
    let mode = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(home.join("ana.key"), mode).unwrap();
    };
    mode(0o640);
    bridge.is_refused("ana.key");
    mode(0o600);
    bridge.end();

    // What cannot be shown is said at once.
    let start = |certificate: &str, url: &str| {
        let (certificate, key) = (site.at(certificate), site.at("ana.key"));
        let by = ["--certificate", &certificate, "--key", &key];
        expect(2, &[&["mcp", "--url", url][..], &by].concat()).1
    };
    assert!(start("ana-foreign.pem", &url).contains("do not go together"));
    assert!(start("nowhere.pem", &url).contains("nowhere.pem"));
    assert!(start("bea.pem", "http://127.0.0.1:1/mcp").contains("https"));
    mode(0o640);
    let why = start("bea.pem", &url);
    assert!(why.contains("ana.key") && why.contains("chmod"), "{why}");
    expect(2, &["mcp", "--url", &url]);
    server.stop();
}

#[test]
fn what_the_authority_revoked_is_out_and_a_list_that_is_over_lets_none_in() {
    let site = Site::new();
    let home = site.home.path();
    let held = "-crldays 5";
    site.ours.list(held);
    let list = site.at("ours.crl");
    let (server, url) = site.start_with(&["--client-crl", &list]);
    for who in [ANA, BEA] {
        assert_eq!(site.known(&url, who, None).unwrap().0, 200);
    }
    site.ours.revoke("ana");
    site.ours.list(held);
    wait_for("the other list", || {
        site.known(&url, ANA, None).is_none().then_some(())
    });
    assert_eq!(site.known(&url, BEA, None).unwrap().0, 200);
    // Rubbish changes nothing.
    let good = fs::read(&list).unwrap();
    fs::write(&list, "rubbish").unwrap();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(site.known(&url, ANA, None), None);
    assert_eq!(site.known(&url, BEA, None).unwrap().0, 200);
    // A list whose time is over, and one of another authority, say nothing of anybody; tokens need none.
    let foreign = Authority::new(home, "foreign");
    let over = "-crl_lastupdate 20250101000000Z -crl_nextupdate 20250102000000Z";
    for (authority, times) in [(&site.ours, over), (&foreign, held)] {
        fs::write(&list, &good).unwrap();
        wait_for("the good list", || {
            (site.known(&url, BEA, None)?.0 == 200).then_some(())
        });
        authority.list(times);
        fs::rename(
            home.join(format!("{}.crl", authority.name)),
            home.join("next.crl"),
        )
        .unwrap();
        fs::rename(home.join("next.crl"), &list).unwrap();
        wait_for("the list that says nothing", || {
            site.known(&url, BEA, None).is_none().then_some(())
        });
    }
    let bea = server.token("bea");
    assert_eq!(site.known(&url, None, Some(&bea)).unwrap().0, 200);
    server.stop();
    fs::write(&list, "rubbish").unwrap();
    let (cert, key, ca, dir) = (
        site.at("server.pem"),
        site.at("server.key"),
        site.at("ours.pem"),
        site.dir(),
    );
    let serve = ["serve", "--listen", "127.0.0.1:0", "--dir", &dir];
    let tls = ["--tls-cert", &cert, "--tls-key", &key, "--client-ca", &ca];
    let crl = ["--client-crl", &list];
    let (_, why) = expect(2, &[&serve[..], &tls, &crl].concat());
    assert!(why.contains("holds no revocation list"), "{why}");
    expect(2, &[&serve[..], &tls[..4], &crl].concat());
}
