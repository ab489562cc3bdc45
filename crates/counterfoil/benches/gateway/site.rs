//! A data directory of the bench, set up by the command line as anybody would, and its server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use duty::canonical::Digest;
use serde_json::{Value, json};

use crate::{Result, client::Client, upstream::Upstream};

const BINARY: &str = env!("CARGO_BIN_EXE_counterfoil");

/// Environments, each with a team and so with one agent that prepares: many credentials are that one's.
const TEAMS: usize = 10;

/// A server with its agents.
pub(crate) struct Site {
    /// All of its files are below.
    pub(crate) room: PathBuf,
    server: Option<Child>,
    url: String,
    /// Tokens of its clients, each of the next team.
    pub(crate) tokens: Vec<String>,
}

impl Site {
    /// Sets a directory below `parent` up for so many clients, each with a credential of its own, and serves it.
    pub(crate) fn start(parent: &Path, upstream: &Upstream, clients: usize) -> Result<Self> {
        let room = parent.join(format!("gateway-bench-{}", std::process::id()));
        fs::create_dir_all(&room)?;
        let mut site = Self {
            room,
            server: None,
            url: String::new(),
            tokens: (0..clients).map(token).collect(),
        };
        site.run(&["init", "--origin", "counterfoil.example/bench"])?;
        for owner in ["olivia", "rashid", "ines", "carla", "dmitri"] {
            site.run(&["principal", "add", owner, "--human", "--role", "owner"])?;
        }
        for (agent, owner) in [("reviewer", "rashid"), ("executor", "ines")] {
            site.run(&["principal", "add", agent, "--owner", owner, "--role", agent])?;
        }
        let targets = format!("[store]\nurl = \"{}\"\n", upstream.url);
        fs::write(site.data().join("targets.toml"), targets)?;
        // Agents with many credentials come by the server, releases without it: the next command sees what the last one did.
        site.serve()?;
        for team in 0..TEAMS {
            site.add_agent(team)?;
        }
        site.end()?;
        for team in 0..TEAMS {
            site.release(team)?;
        }
        site.serve()?;
        Ok(site)
    }

    fn serve(&mut self) -> Result<()> {
        let server = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .spawn()?;
        self.server = Some(server);
        self.url = self.wait_for_server()?;
        Ok(())
    }

    /// Ends the server as Ctrl-C would.
    fn end(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        let pid = server.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        if server.wait()?.success() {
            return Ok(());
        }
        Err("the server ended badly".into())
    }

    fn data(&self) -> PathBuf {
        self.room.join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .arg("--dir")
            .arg(self.data())
            .env("COUNTERFOIL_GUARDS", self.room.join("guards"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if status.success() {
            return Ok(text(&stdout));
        }
        Err(format!("{arguments:?}: {}{}", text(&stdout), text(&stderr)).into())
    }

    fn wait_for_server(&self) -> Result<String> {
        let began = Instant::now();
        loop {
            let serving = fs::read(self.data().join("serve.json")).ok();
            let serving = serving.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            if let Some(url) = serving.as_ref().and_then(|value| value["url"].as_str()) {
                return Ok(url.to_owned());
            }
            if began.elapsed() > Duration::from_secs(60) {
                return Err("the server did not come".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The agent of a team, with the credentials of all its clients.
    fn add_agent(&self, team: usize) -> Result<()> {
        let local = fs::read_to_string(self.data().join("keys/local.token"))?;
        let id = agent(team);
        let tokens = self.tokens.iter().skip(team).step_by(TEAMS).enumerate();
        let credentials = tokens.map(|(number, token)| {
            json!({
                "id": format!("{id}.token-{}", number + 1),
                "proof": {"kind": "token", "sha256": Digest::of_bytes(token.as_bytes())},
            })
        });
        let request = json!({
            "type": "add_principal", "id": id, "kind": "agent", "roles": ["analyst"], "owner": "olivia",
            "credentials": credentials.collect::<Vec<_>>(),
        });
        ureq::post(format!("{}/v1/requests", self.url))
            .header("authorization", format!("Bearer {}", local.trim()))
            .header("content-type", "application/json")
            .send(json!({"as": "admin", "request": request}).to_string())?;
        Ok(())
    }

    /// Puts a team's release in force.
    fn release(&self, team: usize) -> Result<()> {
        let env = &environment(team);
        let home = self.room.join(format!("release-{env}"));
        let mut files = vec![("team.toml", TEAM.replace("AGENT", &agent(team)))];
        files.extend(FILES.map(|(name, text)| (name, text.to_owned())));
        for (name, text) in files {
            let file = home.join(name);
            fs::create_dir_all(file.parent().unwrap_or(&home))?;
            fs::write(file, text)?;
        }
        let home = home.display().to_string();
        self.run(&["release", "pin", &home, "--server", "store"])?;
        let built = self.run(&["release", "build", &home, "--as", "olivia"])?;
        let digest = built.trim();
        self.run(&["control", "test", digest])?;
        let reason = ["--reason", "measured"];
        let promote = ["release", "promote", digest, "--env", env, "--as", "carla"];
        self.run(&[&promote[..], &reason].concat())?;
        // All teams have the same one: what is signed is its text.
        for owner in ["carla", "dmitri"].into_iter().filter(|_| team == 0) {
            self.run(&["threshold", "sign", "items", "--env", env, "--as", owner])?;
        }
        Ok(())
    }

    /// A client by its number.
    pub(crate) async fn connect(&self, number: usize) -> Result<Client> {
        let token = self.tokens.get(number).ok_or("no such client")?;
        let url = format!("{}/mcp/{}", self.url, environment(number % TEAMS));
        Client::connect(&url, Some(token), "store__read", "store__write").await
    }

    /// KiB of the server that are resident.
    pub(crate) fn resident(&self) -> Result<u64> {
        let pid = self.server.as_ref().ok_or("no server")?.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let line = line.ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Stops the server, and checks what it has written.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()?;
        let log = self.data().join("log").display().to_string();
        let key = self.data().join("log.vkey").display().to_string();
        let verified = Command::new(BINARY)
            .args(["log", "verify", &log, "--vkey", &key])
            .stdout(Stdio::null())
            .status()?;
        verified
            .success()
            .then_some(())
            .ok_or_else(|| "its log does not verify".into())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // It may have ended by itself.
            let _ = server.kill();
            let _ = server.wait();
        }
        if let Err(e) = fs::remove_dir_all(&self.room) {
            eprintln!("`{}` is left: {e}", self.room.display());
        }
    }
}

fn token(number: usize) -> String {
    format!("token-of-client-{number}-{}", std::process::id())
}

fn agent(team: usize) -> String {
    format!("agent-{team}")
}

fn environment(team: usize) -> String {
    format!("load-{team}")
}

const TEAM: &str = r#"
name = "load"

[[tool]]
name = "store.read"
effect = false
args = { item = "String" }

[[tool]]
name = "store.write"
effect = true
idempotency = false
args = { item = "String" }

[[bind]]
tool = "store.write"
clause = "ITM-1.1"

[approval.low]
humans = 1
role = "approver"
certification = "items"
expires_minutes = 60
clause = "ITM-1.1"

[approval.elevated]
humans = 1
role = "approver"
certification = "items"
expires_minutes = 60
clause = "ITM-1.1"

[approval.high]
humans = 2
role = "approver"
certification = "items"
expires_minutes = 60
clause = "ITM-1.1"

[recommendation]
min_confidence = 60
clause = "ITM-2.1"

[grant]
expires_minutes = 10

[[agent]]
id = "reviewer"
duty = "review"
owner = "rashid"
permission_set = "permissions/reviewer.cedar"
prompt = "prompts/all.md"
model = { kind = "rules", table = "tables/reviewer.cedar" }

[[agent]]
id = "executor"
duty = "execute"
owner = "ines"
permission_set = "permissions/executor.cedar"
prompt = "prompts/all.md"

[[agent]]
id = "AGENT"
duty = "prepare"
owner = "olivia"
permission_set = "permissions/agent.cedar"
prompt = "prompts/all.md"
model = { kind = "external", id = "any/agent" }
"#;

const FILES: [(&str, &str); 8] = [
    ("prompts/all.md", "Do as you are asked.\n"),
    (
        "permissions/agent.cedar",
        r#"@id("use") @clause("ITM-2.1") @why("agents read items, and ask for them to be written")
permit (principal, action in [Action::"store.read", Action::"store.write"], resource);
"#,
    ),
    (
        "permissions/reviewer.cedar",
        r#"@id("nothing") @clause("ITM-2.1") @why("the reviewer calls nothing")
forbid (principal == Agent::"reviewer", action, resource);
"#,
    ),
    (
        "permissions/executor.cedar",
        r#"@id("write") @clause("ITM-1.1") @why("the executor writes what was approved")
permit (principal == Agent::"executor", action == Action::"store.write", resource);
"#,
    ),
    (
        "tables/reviewer.cedar",
        r#"@id("as-asked")
@priority("10")
@recommend("proceed")
@confidence("90")
@query("an agent asks for an item to be written, and another one reviews it")
@cite("ITM-2.1")
@clause("ITM-2.1")
@rationale("The request is of a sort that the policies know; the rules judge its arguments.")
permit (principal, action == Action::"review", resource);
"#,
    ),
    (
        "policies/items.md",
        "<!-- document: ITM, edition: 1, effective: 2026-01-01, owner: Head of Stores -->\n# Items\n\n## Writing\n\n\
         ### ITM-1.1 Items are written\n\nAn agent may have items written into the store.\n\n## Agents\n\n\
         ### ITM-2.1 Agents prepare\n\nAn agent asks for an item to be written, and another one reviews it. No agent does what it \
         asked for.\n",
    ),
    (
        "risk.cedar",
        r#"@id("item") @tier("low") @clause("ITM-1.1") @why("an item")
permit (principal, action == Action::"store.write", resource);
"#,
    ),
    (
        "thresholds/items.toml",
        r#"id = "items"
title = "Items"
owner = "carla"
tool = "store.write"
tier = "low"
scope = 'context.args.item like "item-*"'
starts = "2026-01-01T00:00:00.000Z"
expires = "2036-12-31T00:00:00.000Z"
clause = "ITM-1.1"
signatures = 2
near_percent = 90
[caps.all]
window_minutes = 1
count = 1000000
"#,
    ),
];
