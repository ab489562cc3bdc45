//! People over the binary: what they passed, which groups they are in, and what was approved in advance.

use serde_json::Value;

use crate::rig::{Example, add_principal, expect, sound};

fn lines(out: &str) -> Vec<Value> {
    let lines = out.lines().filter(|l| l.starts_with('{'));
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn roles_through_groups_are_refused_with_their_path() {
    let example = Example::new(5);
    let dir = example.arg();
    let group = |code: i32, args: &[&str]| {
        let all = [&["principal", "group"], args, &["--dir", &dir]].concat();
        expect(code, &all)
    };
    add_principal(0, &dir, "yara", &["--human"]);
    group(0, &["create", "payers", "--role", "approver"]);
    group(0, &["create", "audit", "--role", "auditor"]);
    group(0, &["join", "payers", "yara"]);
    let (_, err) = group(3, &["join", "audit", "yara"]);
    assert!(err.contains("not-independent"), "{err}");
    assert!(err.contains("approver through the group `payers`"), "{err}");
    let (_, err) = group(3, &["join", "payers", "analyst"]);
    assert!(err.contains("not-your-duty"), "{err}");
    let (out, _) = group(0, &["list", "--json"]);
    let groups = lines(&out);
    assert_eq!(groups[1]["members"], serde_json::json!(["yara"]), "{out}");
    group(0, &["leave", "payers", "yara", "--reason", "another job"]);
    group(0, &["join", "audit", "yara"]);
    // A conflict through a group is named with its path.
    group(0, &["join", "payers", "olivia"]);
    let (out, _) = expect(1, &["release", "conflicts", &release(&dir), "--dir", &dir]);
    assert!(
        out.contains("holds the role approver through the group `payers`"),
        "{out}"
    );
    sound(&example.dir());
}

fn release(dir: &str) -> String {
    let (out, _) = expect(0, &["release", "list", "--json", "--dir", dir]);
    lines(&out)[0]["release"].as_str().unwrap().to_owned()
}

#[test]
fn certifications_are_assessed_by_another_listed_and_ended() {
    let example = Example::new(5);
    let dir = example.arg();
    let certification = |code: i32, args: &[&str]| {
        let all = [&["certification"], args, &["--dir", &dir]].concat();
        expect(code, &all)
    };
    let (out, _) = certification(0, &["list", "--json"]);
    assert_eq!(lines(&out).len(), 8, "{out}");
    assert!(
        lines(&out)
            .iter()
            .all(|c| c["signed"] == true && c["why_not"].is_null())
    );
    let (out, _) = certification(0, &["list", "--expiring", "30", "--json"]);
    assert!(lines(&out).is_empty(), "{out}");
    let (out, _) = certification(0, &["list", "--expiring", "400", "--json"]);
    assert_eq!(lines(&out).len(), 8, "{out}");
    // Without an assessor the release's course is not passed, and nobody assesses themselves.
    certification(2, &["add", "bram", "payment-approval"]);
    let own = ["assess", "dmitri", "payment-approval", "--as", "dmitri"];
    let (_, err) = certification(3, &own);
    assert!(err.contains("not-independent"), "{err}");
    let end = |person: &str, course: &str| {
        let reason = "it was somebody else in the room";
        certification(0, &["end", person, course, "--reason", reason])
    };
    end("bram", "payment-approval");
    // What an admin takes down is not signed, and this release asks for that.
    let unsigned = ["add", "bram", "payment-approval", "--assessor", "carla"];
    certification(0, &unsigned);
    let (out, _) = certification(0, &["list", "--expiring", "1", "--json"]);
    let lacking = lines(&out);
    assert_eq!(lacking.len(), 1, "{out}");
    assert!(
        lacking[0]["why_not"]
            .as_str()
            .unwrap()
            .contains("has not signed")
    );
    certification(0, &["assess", "bram", "payment-approval", "--as", "carla"]);
    // An owner who lapsed stops their agent.
    end("olivia", "agent-ownership");
    let (_, err) = expect(3, &["demo", "--once", "--cases", "6", "--dir", &dir]);
    assert!(err.contains("owner-lapsed"), "{err}");
    certification(0, &["assess", "olivia", "agent-ownership", "--as", "carla"]);
    sound(&example.dir());
}

#[test]
fn thresholds_say_what_is_used_and_what_is_left() {
    let example = Example::new(20);
    let dir = example.arg();
    let (out, _) = expect(0, &["threshold", "list", "--json", "--dir", &dir]);
    let [one] = &lines(&out)[..] else {
        panic!("{out}")
    };
    assert_eq!(one["env"], "staging");
    assert_eq!(one["why_not"], Value::Null);
    assert_eq!(one["signatures"].as_array().unwrap().len(), 2);
    let count = &one["all"]["count"];
    let (used, left) = (
        count["used"].as_i64().unwrap(),
        count["left"].as_i64().unwrap(),
    );
    assert!(used > 0, "{out}");
    assert_eq!(used + left, 400);
    let keys = one["keys"].as_object().unwrap();
    let by_key: i64 = keys
        .values()
        .map(|k| k["count"]["used"].as_i64().unwrap())
        .sum();
    assert_eq!(by_key, used);
    let show = ["threshold", "show", "small-invoices", "--dir", &dir];
    let (out, _) = expect(0, &show);
    assert!(
        out.contains("splitting") && out.contains("signed by     2 of 2"),
        "{out}"
    );
}
