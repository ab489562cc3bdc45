//! The process killed at any moment, and the bank killed in the middle of a call: no effect without a record, none twice,
//! none lost.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::rig::{binary, demo, expect, records, signal};

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
