//! The process killed at any moment, and the bank killed in the middle of a call: no effect without a record, none twice,
//! none lost.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    mcp::{Client, Outside, TRANSFER},
    rig::{Server, binary, demo, expect, expected, records, signal, token, wait_for},
};

/// Numbers that are the same in every run (xorshift), so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn start(dir: &Path, cases: usize, delay_ms: u64) -> Child {
    binary()
        .args(["demo", "--once", "--json", "--cases", &cases.to_string()])
        .args(["--treasury-delay-ms", &delay_ms.to_string(), "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_at_fifty_moments_and_continued_each_time() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("data");
    let mut dice = Dice(0x5eed_2026);
    let mut killed = 0;
    for _ in 0..50 {
        let mut child = start(&dir, 500, 0);
        sleep(Duration::from_millis(5 + dice.roll(400)));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(
        killed >= 40,
        "only {killed} of 50 runs were still going when killed"
    );
    // Twice: a call that was in flight at the last kill may have arrived after the first look-up.
    demo(&dir, 500);
    let s = demo(&dir, 500);
    assert_eq!(s["cases"], 500);
    assert_eq!(s["transfers"]["one_for_one"], true, "{s}");
    assert_eq!(
        s["transfers"]["cents_in_log"],
        s["transfers"]["cents_in_bank"]
    );
    assert_eq!(s["answers"]["traps_executed_without_human"], 0);
    sound(&dir);
    no_effect_without_record(&dir);
}

#[test]
fn the_bank_killed_in_the_middle_of_calls() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("data");
    let mut child = start(&dir, 60, 150);
    let mut kills = 0;
    while child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(700));
        for pid in banks_of(child.id()) {
            signal(pid, "KILL");
            kills += 1;
        }
    }
    assert!(kills > 0, "the bank was never there to be killed");
    let unknown = |dir: &Path| {
        let records = records(dir);
        let raised = records
            .iter()
            .filter(|r| r["body"]["sort"] == "outcome-unknown");
        raised.count()
    };
    assert!(unknown(&dir) > 0, "nothing was in flight in {kills} kills");
    let s = demo(&dir, 60);
    assert_eq!(s["transfers"]["one_for_one"], true, "{s}");
    no_effect_without_record(&dir);
    sound(&dir);
    // What stays unknown stays so, and is never called again.
    let used: Vec<Value> = records(&dir)
        .into_iter()
        .filter(|r| r["kind"] == "grant.used")
        .collect();
    let grants: HashSet<_> = used
        .iter()
        .map(|r| r["body"]["request"]["grant"].to_string())
        .collect();
    assert_eq!(grants.len(), used.len(), "a grant was used twice");
}

/// A transfer that an agent asks for through the MCP door.
struct Wanted {
    row: String,
    arguments: Value,
}

/// An agent that asks for one transfer after the other, and for the same one again where it was not told what came of it.
struct Asker<'a> {
    token: &'a str,
    rows: std::vec::IntoIter<String>,
    open: Option<Wanted>,
    /// What it was told, in which case, by the invoice.
    told: HashMap<String, (String, String)>,
    /// Set while a transfer is asked for.
    asking: &'a AtomicBool,
}

impl Asker<'_> {
    /// Asks until the server is gone, or so many were told.
    fn run(&mut self, server: &Server, most: usize) {
        let client = Client::new(server, self.token);
        let enough = self.told.len() + most;
        while self.told.len() < enough && self.ask(&client).is_some() {}
        self.asking.store(true, Ordering::Release);
    }

    /// One question; none where the server is gone.
    fn ask(&mut self, client: &Client<'_>) -> Option<()> {
        let wanted = match self.open.take() {
            Some(open) => open,
            None => {
                let row = self.rows.next().expect("the example has more invoices");
                let Some(arguments) = client.try_work_out(&row) else {
                    // Nothing was asked for: another one next time.
                    return None;
                };
                Wanted { row, arguments }
            }
        };
        self.asking.store(true, Ordering::Release);
        let answer = client.try_call(TRANSFER, &wanted.row, &wanted.arguments);
        let Some(answer) = answer else {
            self.open = Some(wanted);
            return None;
        };
        let meta = |name: &str| {
            answer["_meta"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        match meta("counterfoil/status").as_str() {
            status @ ("done" | "failed" | "unknown") => {
                let told = (status.to_owned(), meta("counterfoil/case"));
                self.told.insert(wanted.row, told);
            }
            // The team goes on with it by itself after a start.
            "pending_review" | "pending_execution" | "unavailable" => {
                self.open = Some(wanted);
                sleep(Duration::from_millis(10));
            }
            _ => panic!("{}: {answer}", wanted.row),
        }
        Some(())
    }
}

#[test]
fn killed_at_any_moment_of_effects_that_an_agent_asks_for() {
    let outside = Outside::new();
    let dir = outside.dir();
    let (token, asking) = (token(&dir, "analyst"), AtomicBool::new(false));
    let mut asker = Asker {
        token: &token,
        // The first ones the example's own run may have paid.
        rows: expected(&outside.example, "auto").split_off(3).into_iter(),
        open: None,
        told: HashMap::new(),
        asking: &asking,
    };
    let mut dice = Dice(0x5eed_0064);
    let mut cut = 0;
    for _ in 0..30 {
        let server = Server::start(&dir);
        asking.store(false, Ordering::Release);
        thread::scope(|scope| {
            let running = scope.spawn(|| asker.run(&server, usize::MAX / 2));
            wait_for("a question", || {
                asking.load(Ordering::Acquire).then_some(())
            });
            sleep(Duration::from_millis(dice.roll(200)));
            signal(server.pid(), "KILL");
            running.join().unwrap();
        });
        cut += usize::from(asker.open.is_some());
        drop(server);
        // What the killed one left would be taken for the next one's.
        fs::remove_file(dir.join("serve.json")).unwrap();
    }
    let server = Server::start(&dir);
    asker.run(&server, 2);
    server.stop();
    assert!(cut >= 10, "only {cut} of 30 kills came before an answer");

    no_effect_without_record(&dir);
    sound(&dir);
    let records = records(&dir);
    let bank = treasury::transfers(&dir.join("targets/treasury.db")).unwrap();
    let paid: HashSet<_> = bank.iter().map(|t| t.idempotency_key.as_str()).collect();
    let mut of_invoice = HashMap::<&str, usize>::new();
    for record in records.iter().filter(|r| r["kind"] == "grant.used") {
        let request = &record["body"]["request"];
        if request["grant"].as_str().is_some_and(|g| paid.contains(g)) {
            let invoice = request["action"]["arguments"]["invoice_id"].as_str();
            *of_invoice.entry(invoice.unwrap()).or_default() += 1;
        }
    }
    let twice: Vec<_> = of_invoice.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty(), "paid twice: {twice:?}");
    // What the agent was told is in the log.
    for (row, (status, case)) in &asker.told {
        let outcome = records.iter().rev().find_map(|r| {
            let of_case = r["kind"] == "outcome.recorded" && r["case"] == case.as_str();
            of_case.then(|| r["body"]["request"]["outcome"].as_str().unwrap())
        });
        let times = of_invoice.get(row.as_str()).copied().unwrap_or(0);
        let agree = match status.as_str() {
            "done" => outcome == Some("succeeded") && times == 1,
            "failed" => outcome == Some("failed") && times == 0,
            // A later look may have settled it.
            _ => outcome.is_some(),
        };
        assert!(agree, "{row} in {case}: {status}, {outcome:?}, {times}");
    }
}

/// The bank's processes under a run.
fn banks_of(parent: u32) -> Vec<u32> {
    let listed = Command::new("ps")
        .args(["-o", "pid=,args=", "--ppid", &parent.to_string()])
        .output()
        .unwrap();
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter(|l| l.contains(" treasury "))
        .filter_map(|l| l.split_whitespace().next()?.parse().ok())
        .collect()
}

fn sound(dir: &Path) {
    let dir = dir.display().to_string();
    expect(
        0,
        &["log", "verify", &dir, "--vkey", &format!("{dir}/log.vkey")],
    );
    expect(0, &["audit", "reperform", "--dir", &dir]);
}

/// Every transfer at the bank has the grant that was used for it, in the log, to the cent.
fn no_effect_without_record(dir: &Path) {
    let records = records(dir);
    let transfers = treasury::transfers(&dir.join("targets/treasury.db")).unwrap();
    assert!(!transfers.is_empty());
    for transfer in &transfers {
        let used = records.iter().filter(|r| {
            r["kind"] == "grant.used"
                && r["body"]["request"]["grant"] == transfer.idempotency_key.as_str()
        });
        let used: Vec<_> = used.collect();
        assert_eq!(used.len(), 1, "{}", transfer.idempotency_key);
        let arguments = &used[0]["body"]["request"]["action"]["arguments"];
        assert_eq!(arguments["amount_cents"], transfer.amount_cents);
    }
    let _ = fs::metadata(dir).unwrap();
}
