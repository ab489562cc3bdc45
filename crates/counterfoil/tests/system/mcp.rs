//! The MCP door over the real binary: an agent of another make prepares, the built-in team reviews and executes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::rig::{
    Example, Server, expect, expected, paid, records, signed, sound, token, wait_for,
};

/// The example with an analyst that comes from outside and may ask for transfers.
pub(crate) struct Outside {
    pub(crate) example: Example,
}

impl Outside {
    pub(crate) fn new() -> Self {
        Self::of(Example::new(1), "analyst")
    }

    /// As [`Outside::new`], where this agent of the directory is the analyst.
    pub(crate) fn of(example: Example, analyst: &str) -> Self {
        release(&example, analyst);
        Self { example }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.example.dir()
    }
}

/// Puts the example's release in force in `staging`, with an outside analyst.
fn release(example: &Example, analyst: &str) {
    let home = example.home.path().join("release");
    for (path, text) in payables::release_files() {
        let text = match path.as_str() {
            "tables/analyst.cedar" => continue,
            "team.toml" => outside_analyst(&text),
            "permissions/analyst.cedar" => {
                let (reads, _) = text.split_once("@id(\"no-treasury\")").unwrap();
                format!(
                    "{reads}@id(\"ask\") @clause(\"AGT-1.3\") @why(\"the preparing agent may ask for the transfer of its case\")\n\
                     permit (principal == Agent::\"analyst\", action == Action::\"treasury.transfer_create\", resource)\n\
                     when {{ context.args.invoice_id == context.subject }};\n"
                )
            }
            _ => text,
        };
        let text = ["Agent::\"", "id = \""].iter().fold(text, |text, before| {
            text.replace(
                &format!("{before}analyst\""),
                &format!("{before}{analyst}\""),
            )
        });
        let file = home.join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let (home, dir) = (home.display().to_string(), example.arg());
    let (digest, _) = expect(
        0,
        &["release", "build", &home, "--as", "olivia", "--dir", &dir],
    );
    let digest = digest.trim();
    expect(0, &["control", "test", digest, "--dir", &dir]);
    let promote = [
        "release", "promote", digest, "--env", "staging", "--as", "carla",
    ];
    let reason = ["--reason", "an analyst from outside", "--dir", &dir];
    expect(0, &[&promote[..], &reason].concat());
}

fn outside_analyst(team: &str) -> String {
    let (before, rest) = team.split_once("model = { kind = \"rules\"").unwrap();
    let (_, after) = rest.split_once("[[agent]]").unwrap();
    format!(
        "{before}model = {{ kind = \"external\", id = \"openai/gpt-5.1\" }}\n\n[[agent]]{after}\n\
         [[bind]]\ntool = \"treasury.transfer_create\"\nclause = \"PAY-2.1\"\n"
    )
}

/// A client of one agent.
pub(crate) struct Client<'s> {
    url: String,
    token: &'s str,
    date: &'static str,
    /// Whether it says that it knows tasks.
    tasks: bool,
}

impl<'s> Client<'s> {
    pub(crate) fn new(server: &Server, token: &'s str) -> Self {
        Self {
            url: format!("{}/mcp/staging", server.url),
            token,
            date: "2025-11-25",
            tasks: false,
        }
    }

    fn send(&self, message: &Value) -> (u16, Value) {
        let params = &message["params"];
        let name = params["name"].as_str().or(params["taskId"].as_str());
        let name = name.unwrap_or_default();
        self.send_named(message, name)
    }

    fn send_named(&self, message: &Value, name: &str) -> (u16, Value) {
        let method = message["method"].as_str().unwrap_or_default();
        self.send_text(&message.to_string(), method, name)
    }

    fn send_text(&self, message: &str, method: &str, name: &str) -> (u16, Value) {
        self.try_send(message, method, name).unwrap()
    }

    /// None where the connection ended before the answer.
    fn try_send(&self, message: &str, method: &str, name: &str) -> Option<(u16, Value)> {
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build(),
        );
        let mut request = agent
            .post(&self.url)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", self.date);
        if self.date == "2026-07-28" {
            request = request.header("mcp-method", method);
            if !name.is_empty() {
                request = request.header("mcp-name", name);
            }
        }
        let mut answer = request.send(message).ok()?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().ok()?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some((status, value))
    }

    /// As [`Client::call`], of a server that may be killed: none where it was.
    pub(crate) fn try_call(&self, tool: &str, subject: &str, arguments: &Value) -> Option<Value> {
        let meta = json!({"counterfoil/subject": subject, "counterfoil/rationale": "It is due."});
        let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
        let message = self.message("tools/call", params).to_string();
        let (status, answer) = self.try_send(&message, "tools/call", tool)?;
        assert_eq!((status, &answer["id"]), (200, &json!(7)), "{answer}");
        Some(answer["result"].clone())
    }

    fn message(&self, method: &str, mut params: Value) -> Value {
        if self.date == "2026-07-28" {
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(self.date);
            let mut capabilities = json!({});
            if self.tasks {
                capabilities["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
            }
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
        }
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
    }

    #[track_caller]
    fn ask(&self, method: &str, params: Value) -> Value {
        let (status, answer) = self.send(&self.message(method, params));
        assert_eq!((status, &answer["id"]), (200, &json!(7)), "{answer}");
        answer["result"].clone()
    }

    #[track_caller]
    fn call(&self, tool: &str, subject: &str, arguments: &Value) -> Value {
        self.try_call(tool, subject, arguments).unwrap()
    }

    /// Reads what a payment rests on, as a good analyst does; answers the arguments of the transfer.
    fn work_out(&self, row: &str) -> Value {
        self.try_work_out(row).unwrap()
    }

    /// As [`Client::work_out`], of a server that may be killed: none where it was.
    pub(crate) fn try_work_out(&self, row: &str) -> Option<Value> {
        let read = |tool: &str, arguments: Value| {
            let result = self.try_call(&format!("books__{tool}"), row, &arguments)?;
            assert_eq!(result["isError"], false, "{result}");
            Some(result["structuredContent"].clone())
        };
        let invoice = read("invoice_read", json!({"invoice_id": row}))?;
        let vendor = read("vendor_read", json!({"vendor_id": invoice["vendor_id"]}))?;
        for tool in ["order_read", "receipt_read"] {
            read(tool, json!({"order_id": invoice["order_id"]}))?;
        }
        read("related_read", json!({"invoice_id": row}))?;
        Some(json!({
            "invoice_id": row, "vendor_id": vendor["id"], "account": vendor["account"],
            "amount_cents": invoice["amount_cents"], "currency": invoice["currency"], "reference": invoice["number"],
        }))
    }
}

pub(crate) const TRANSFER: &str = "treasury__transfer_create";

#[test]
fn a_call_under_a_threshold_is_done_and_one_above_waits_for_people() {
    let outside = Outside::new();
    let dir = outside.dir();
    let server = Server::start(&dir);
    let ana = token(&dir, "analyst");
    let client = Client::new(&server, &ana);

    let hello = client.ask(
        "initialize",
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
    );
    assert_eq!(hello["protocolVersion"], "2025-11-25");
    // What its permission set could allow, and nothing else.
    let listed = client.ask("tools/list", json!({}));
    let tools = listed["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "cases_waiting",
            "case_status",
            "clauses_find",
            "recommend",
            "books__invoice_read",
            "books__order_read",
            "books__receipt_read",
            "books__related_read",
            "books__vendor_read",
            TRANSFER
        ]
    );
    let transfer = &tools[9]["inputSchema"];
    assert_eq!(transfer["properties"]["amount_cents"]["type"], "integer");
    assert_eq!(transfer["required"].as_array().unwrap().len(), 6);

    // Under the threshold: in the same call.
    let before = paid(&dir);
    let small = &expected(&outside.example, "auto")[3];
    let arguments = client.work_out(small);
    let result = client.call(TRANSFER, small, &arguments);
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["structuredContent"]["created"], true, "{result}");
    assert_eq!(paid(&dir), before + 1);

    // Above it: told at once, and nothing happens until people say so.
    let large = &expected(&outside.example, "one_human")[1];
    let arguments = client.work_out(large);
    let held = client.call(TRANSFER, large, &arguments);
    let waits = &held["structuredContent"];
    assert_eq!(
        (&held["isError"], &waits["status"]),
        (&json!(false), &json!("pending_approval"))
    );
    assert_eq!(
        &client.call(TRANSFER, large, &arguments)["structuredContent"]["approval"],
        &waits["approval"],
        "the same call waits for the same people"
    );
    assert_eq!(paid(&dir), before + 1);
    let waiting = server.waiting();
    let of_it = waiting.iter().find(|w| w["approval"] == waits["approval"]);
    let yes = signed(&server, of_it.unwrap(), "amira", "approve");
    assert_eq!(server.post(&ana, &yes).0, 200);
    let done = wait_for("the answer", || {
        let again = client.call(TRANSFER, large, &arguments);
        (again["_meta"]["counterfoil/status"] == "done").then_some(again)
    });
    assert_eq!(done["structuredContent"]["created"], true, "{done}");
    assert_eq!(paid(&dir), before + 2);
    let roles: Vec<_> = records(&dir)
        .iter()
        .filter(|r| r["case"] == waits["case"] && r["kind"] == "recommendation.made")
        .map(|r| r["actor"]["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(roles, ["analyst", "reviewer"]);
    server.stop();
    sound(&dir);
}

#[test]
fn an_agent_reads_on_and_on_and_its_next_effect_is_done() {
    let outside = Outside::new();
    let dir = outside.dir();
    let server = Server::start(&dir);
    let ana = token(&dir, "analyst");
    let client = Client::new(&server, &ana);
    let small = expected(&outside.example, "auto");
    // More digests of answers than a record holds.
    let read = |row: &str, times: usize| {
        for _ in 0..times {
            let result = client.call("books__invoice_read", row, &json!({"invoice_id": row}));
            assert_eq!(result["isError"], false, "{result}");
        }
    };
    let transfer = |row: &str| {
        let result = client.call(TRANSFER, row, &client.work_out(row));
        assert_eq!(result["structuredContent"]["created"], true, "{result}");
    };
    read(&small[3], 950);
    transfer(&small[3]);
    // More reads than a case holds: another opens.
    read(&small[4], 1_030);
    transfer(&small[4]);
    server.stop();
    let lapsed = records(&dir);
    let lapsed = lapsed.iter().filter(|r| r["kind"] == "case.lapsed").count();
    assert_eq!(lapsed, 1);
    sound(&dir);
}

#[test]
fn both_dates_of_the_protocol_are_spoken_to_those_who_are_known() {
    let outside = Outside::new();
    let server = Server::start(&outside.dir());
    let ana = server.token("analyst");
    let mut client = Client::new(&server, &ana);
    client.date = "2026-07-28";
    let found = client.ask("server/discover", json!({}));
    let versions = found["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{found}");
    assert!(versions.contains(&json!("2025-11-25")), "{found}");
    assert_eq!(
        client.ask("tools/list", json!({}))["tools"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let row = &expected(&outside.example, "auto")[5];
    let result = client.call("books__invoice_read", row, &json!({"invoice_id": row}));
    assert_eq!(result["structuredContent"]["found"], true, "{result}");

    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    assert_eq!(Client::new(&server, "nobody's").send(&list).0, 401);
    // What it is not shown it cannot call, and the attempt is in the log.
    let before = records(&server.dir).len();
    let (_, answer) = Client::new(&server, &ana).send(&json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "treasury.account_read", "arguments": {"currency": "EUR"}},
    }));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    wait_for("the refusal's record", || {
        let records = records(&server.dir);
        let refused = records[before..]
            .iter()
            .find(|r| r["kind"] == "request.refused");
        refused.map(|r| assert_eq!(r["body"]["refusal"]["code"], "not-permitted"))
    });
    // The reviewer reads, and asks for nothing.
    let rev = server.token("reviewer");
    let listed = Client::new(&server, &rev).ask("tools/list", json!({}));
    let names = listed["tools"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "cases_waiting",
            "case_status",
            "clauses_find",
            "review",
            "books__invoice_read",
            "books__related_read",
            "books__vendor_read"
        ]
    );
}

#[test]
fn what_waits_is_a_task_to_those_who_know_tasks_and_a_denial_is_told_after_a_restart() {
    let outside = Outside::new();
    let dir = outside.dir();
    let ana = token(&dir, "analyst");
    let row = &expected(&outside.example, "one_human")[2];
    let before = paid(&dir);
    let ask = |client: &Client<'_>, method: &str, name: &str, mut params: Value| {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        client.send_named(&message, name).1
    };
    let (task, arguments) = {
        let server = Server::start(&dir);
        let mut client = Client::new(&server, &ana);
        let arguments = client.work_out(row);
        client.date = "2026-07-28";
        let params = json!({
            "name": TRANSFER, "arguments": arguments, "_meta": {"counterfoil/subject": row},
        });
        let made = ask(&client, "tools/call", TRANSFER, params);
        assert_eq!(made["result"]["resultType"], "task", "{made}");
        let task = made["result"]["taskId"].as_str().unwrap().to_owned();
        let get = ask(&client, "tasks/get", &task, json!({"taskId": task}));
        assert_eq!(get["result"]["status"], "working", "{get}");
        let waiting = server.waiting();
        let of_it = waiting.iter().find(|w| w["case"] == task.as_str()).unwrap();
        let no = signed(&server, of_it, "amira", "reject");
        assert_eq!(server.post(&ana, &no).0, 200);
        server.stop();
        (task, arguments)
    };
    let server = Server::start(&dir);
    let mut client = Client::new(&server, &ana);
    // The same call, from a client that knows no tasks.
    let told = client.call(TRANSFER, row, &arguments);
    assert_eq!(told["isError"], true, "{told}");
    assert_eq!(told["structuredContent"]["error"], "rejected", "{told}");
    assert!(
        told["structuredContent"]["why"]
            .as_str()
            .unwrap()
            .contains("amira")
    );
    client.date = "2026-07-28";
    let get = ask(&client, "tasks/get", &task, json!({"taskId": task}));
    assert_eq!(get["result"]["status"], "completed", "{get}");
    assert_eq!(get["result"]["result"]["isError"], true, "{get}");
    // A task is its agent's alone.
    let rev = server.token("reviewer");
    let mut other = Client::new(&server, &rev);
    other.date = "2026-07-28";
    let get = ask(&other, "tasks/get", &task, json!({"taskId": task}));
    assert_eq!(get["error"]["code"], -32602, "{get}");
    assert_eq!(paid(&dir), before);
    server.stop();
    sound(&dir);
}

#[test]
fn what_is_no_message_is_told_so_and_stops_nothing() {
    let outside = Outside::new();
    let server = Server::start(&outside.dir());
    let ana = server.token("analyst");
    let client = Client::new(&server, &ana);
    let send = |body: &str| client.send_text(body, "", "");
    for (body, code) in [
        ("", -32700),
        ("{\"jsonrpc\":", -32700),
        ("[]", -32600),
        (
            "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
            -32600,
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}",
            -32600,
        ),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":[]}", -32600),
        ("\u{feff}", -32700),
    ] {
        let (status, answer) = send(body);
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!(code)),
            "{body}: {answer}"
        );
    }
    let long = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}",
        "x".repeat(300_000)
    );
    assert_eq!(send(&long).0, 413);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(send(&deep).0, 400);
    let (_, answer) = send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no/such\"}");
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    assert_eq!(client.ask("ping", json!({})), json!({}));
}

/// The answer of people to what a call waits for.
#[track_caller]
fn answer(server: &Server, token: &str, approval: &Value, person: &str, decision: &str) {
    let waiting = server.waiting();
    let of_it = waiting.iter().find(|w| w["approval"] == *approval);
    let word = signed(server, of_it.unwrap(), person, decision);
    let (status, said) = server.post(token, &word);
    assert_eq!(status, 200, "{said}");
}

#[test]
fn what_people_reject_or_leave_is_an_error_for_the_agent_that_asked() {
    let outside = Outside::new();
    let dir = outside.dir();
    let server = Server::start(&dir);
    let ana = token(&dir, "analyst");
    let client = Client::new(&server, &ana);
    let rows = expected(&outside.example, "one_human");
    let before = paid(&dir);
    let held = |client: &Client<'_>, row: &str| {
        let arguments = client.work_out(row);
        let held = client.call(TRANSFER, row, &arguments);
        let waits = held["structuredContent"].clone();
        assert_eq!(waits["status"], "pending_approval", "{held}");
        (arguments, waits["approval"].clone())
    };

    let (arguments, approval) = held(&client, &rows[1]);
    answer(&server, &ana, &approval, "amira", "reject");
    let rejected = wait_for("the no", || {
        let again = client.call(TRANSFER, &rows[1], &arguments);
        (again["_meta"]["counterfoil/status"] != "pending_approval").then_some(again)
    });
    assert_eq!(rejected["_meta"]["counterfoil/status"], "rejected");
    assert_eq!(rejected["isError"], true, "{rejected}");

    let (arguments, _) = held(&client, &rows[2]);
    server.stop();
    let later = Server::start_at(&dir, 24 * 60 + 1);
    let client = Client::new(&later, &ana);
    let expired = wait_for("the end", || {
        let again = client.call(TRANSFER, &rows[2], &arguments);
        (again["_meta"]["counterfoil/status"] != "pending_approval").then_some(again)
    });
    assert_eq!(expired["_meta"]["counterfoil/status"], "expired");
    assert_eq!(expired["isError"], true, "{expired}");
    assert_eq!(paid(&dir), before);
    later.stop();
    sound(&dir);
}

/// The files of what the door knows of calls.
fn calls_of(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let theirs = entries.filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("mcp.db")
    });
    theirs
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn what_a_power_failure_takes_of_calls_is_found_in_the_log() {
    let outside = Outside::new();
    let dir = outside.dir();
    let ana = token(&dir, "analyst");
    Server::start(&dir).stop();
    let older = calls_of(&dir);
    assert!(!older.is_empty());
    let before = paid(&dir);

    let server = Server::start(&dir);
    let client = Client::new(&server, &ana);
    let small = &expected(&outside.example, "auto")[3];
    let small_arguments = client.work_out(small);
    let done = client.call(TRANSFER, small, &small_arguments);
    assert_eq!(done["isError"], false, "{done}");
    let large = &expected(&outside.example, "one_human")[1];
    let arguments = client.work_out(large);
    let waits = client.call(TRANSFER, large, &arguments)["structuredContent"].clone();
    assert_eq!(waits["status"], "pending_approval", "{waits}");
    server.stop();
    for (path, _) in calls_of(&dir) {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in older {
        fs::write(path, bytes).unwrap();
    }

    let server = Server::start(&dir);
    let client = Client::new(&server, &ana);
    // That it was told is lost: it is told again, and nothing is paid twice.
    let again = client.call(TRANSFER, small, &small_arguments);
    assert_eq!(
        again["_meta"]["counterfoil/case"],
        done["_meta"]["counterfoil/case"]
    );
    assert_eq!(again["structuredContent"], done["structuredContent"]);
    assert_eq!(paid(&dir), before + 1);
    let still = client.call(TRANSFER, large, &arguments)["structuredContent"].clone();
    assert_eq!(still["approval"], waits["approval"], "{still}");
    answer(&server, &ana, &waits["approval"], "amira", "approve");
    let done = wait_for("the answer", || {
        let again = client.call(TRANSFER, large, &arguments);
        (again["_meta"]["counterfoil/status"] == "done").then_some(again)
    });
    assert_eq!(done["_meta"]["counterfoil/case"], waits["case"]);
    assert_eq!(paid(&dir), before + 2);
    server.stop();
    sound(&dir);
}

#[test]
fn what_waits_is_a_task_for_those_who_know_tasks() {
    let outside = Outside::new();
    let dir = outside.dir();
    let server = Server::start(&dir);
    let (ana, rev) = (token(&dir, "analyst"), token(&dir, "reviewer"));
    let mut client = Client::new(&server, &ana);
    (client.date, client.tasks) = ("2026-07-28", true);
    let found = client.ask("server/discover", json!({}));
    let extension = &found["capabilities"]["extensions"]["io.modelcontextprotocol/tasks"];
    assert!(extension.is_object(), "{found}");
    let rows = expected(&outside.example, "one_human");
    let before = paid(&dir);
    for (row, decision) in [(&rows[1], "approve"), (&rows[2], "reject")] {
        let arguments = client.work_out(row);
        let made = client.call(TRANSFER, row, &arguments);
        assert_eq!(
            (&made["resultType"], &made["status"]),
            (&json!("task"), &json!("working")),
            "{made}"
        );
        let id = json!({"taskId": made["taskId"]});
        assert_eq!(client.ask("tasks/get", id.clone())["status"], "working");
        // Nobody else has this task.
        let mut other = Client::new(&server, &rev);
        (other.date, other.tasks) = (client.date, true);
        let mut params = id.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": client.date,
            "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
        });
        let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": params});
        assert_eq!(other.send(&ask).1["error"]["code"], -32602);
        // Taking it back takes nothing back from the people who were asked.
        client.ask("tasks/cancel", id.clone());
        assert_eq!(client.ask("tasks/get", id.clone())["status"], "working");

        let waiting = server.waiting();
        let of_it = waiting.iter().find(|w| w["case"] == made["taskId"]);
        let approval = of_it.unwrap()["approval"].clone();
        answer(&server, &ana, &approval, "amira", decision);
        let ended = wait_for("the end", || {
            let task = client.ask("tasks/get", id.clone());
            (task["status"] != "working").then_some(task)
        });
        assert_eq!(ended["status"], "completed", "{ended}");
        let denied = decision == "reject";
        assert_eq!(ended["result"]["isError"], denied, "{ended}");
    }
    assert_eq!(paid(&dir), before + 1);
    server.stop();
    sound(&dir);
}

#[test]
fn an_agent_recommends_by_the_doors_own_tools() {
    let outside = Outside::new();
    let dir = outside.dir();
    let server = Server::start(&dir);
    let (ana, rev) = (token(&dir, "analyst"), token(&dir, "reviewer"));
    let client = Client::new(&server, &ana);
    let row = &expected(&outside.example, "auto")[4];
    let before = paid(&dir);
    let arguments = client.work_out(row);
    let own = |tool: &str, arguments: Value| {
        let result = client.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].clone()
    };
    let waiting = own("cases_waiting", json!({}));
    let theirs = waiting["cases"].as_array().unwrap();
    let case = &theirs.iter().find(|c| c["subject"] == **row).unwrap()["case"];
    let status = own("case_status", json!({"case": case}));
    assert_eq!(status["stage"], "open", "{status}");
    let query = "payment of an approved invoice by transfer";
    let found = own("clauses_find", json!({"case": case, "query": query}));
    let clauses: Vec<_> = found["clauses"].as_array().unwrap().iter().collect();
    assert!(clauses[0]["text"].is_string(), "{found}");
    let cited: Vec<_> = clauses.iter().map(|c| &c["clause"]).collect();
    let recommended = json!({
        "case": case, "stance": "proceed", "confidence": 95, "rationale": "It is due.", "clauses": cited,
        "action": {"tool": TRANSFER, "arguments": arguments},
    });
    // Who reviews does not recommend.
    let ask = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "recommend", "arguments": recommended},
    });
    let (_, refused) = Client::new(&server, &rev).send(&ask);
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    // What was not found in the case is not cited.
    let mut invented = recommended.clone();
    invented["clauses"] = json!(["PAY-99.9"]);
    let refused = client.ask(
        "tools/call",
        json!({"name": "recommend", "arguments": invented}),
    );
    assert_eq!(
        refused["_meta"]["counterfoil/status"], "refused",
        "{refused}"
    );
    let done = own("recommend", recommended);
    assert_eq!(done["created"], true, "{done}");
    assert_eq!(paid(&dir), before + 1);
    let ended = own("case_status", json!({"case": case}));
    assert_eq!(ended["ended"], "executed", "{ended}");
    server.stop();
    sound(&dir);
}
