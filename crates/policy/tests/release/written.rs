//! What is said of a release that is written wrongly.

use duty::release::Rules;
use policy::Release;

use crate::small::{EXECUTOR, POLICY, RISK, TABLE, TEAM, changed, files, wrong};

#[test]
fn a_wrong_release_is_told_what_where_and_what_to_do() {
    let twice = POLICY.replace("PAY-1.2", "PAY-1.1");
    wrong(
        "policies/pay.md",
        &twice,
        &["policies/pay.md:11", "policies/pay.md:7 too"],
    );
    wrong("team.toml", "name = ", &["team.toml:1"]);
    let keyless = TEAM.replace("idempotency = \"key\"", "idempotency = false");
    assert!(changed("team.toml", &keyless).is_ok());
    let lookup = "idempotency = false\nlookup = \"books.read\"";
    wrong(
        "team.toml",
        &keyless.replace("idempotency = false", lookup),
        &["`lookup`", "no `idempotency`"],
    );
    wrong(
        "team.toml",
        &TEAM.replace("humans = 2", "human = 2"),
        &["team.toml:", "human"],
    );
    wrong(
        "team.toml",
        &TEAM.replace("\"review\"", "\"prepare\""),
        &["2 agents prepare", "0 agents review"],
    );
    wrong(
        "team.toml",
        &TEAM.replace("humans = 2", "humans = 0"),
        &["[approval.high]", "at least 1"],
    );
    wrong(
        "team.toml",
        &TEAM.replace("tables/rev.cedar", "tables/x.cedar"),
        &["`tables/x.cedar`", "used by no agent"],
    );
    wrong(
        "team.toml",
        &TEAM.replace(
            "clause = \"PAY-1.1\"\n[grant]",
            "clause = \"PAY-9\"\n[grant]",
        ),
        &["PAY-9"],
    );
    wrong(
        "risk.cedar",
        &RISK.replace("@tier(\"low\")", ""),
        &["risk.cedar#small", "@tier"],
    );
    wrong("risk.cedar", "permit (principal", &["risk.cedar"]);
    wrong(
        "permissions/exe.cedar",
        &EXECUTOR.replace("@id(\"pay\")", ""),
        &["no `@id"],
    );
    wrong(
        "tables/ana.cedar",
        &TABLE.replace("PAY-1.2", "PAY-7.7"),
        &["PAY-7.7"],
    );
    wrong(
        "tables/ana.cedar",
        &TABLE.replace("@priority(\"9\")", "@priority(\"1\")"),
        &["same priority"],
    );
    let high = "humans = 2\nrole = \"approver\"";
    wrong(
        "team.toml",
        &TEAM.replace(high, &format!("min_seconds = 3600\n{high}")),
        &["[approval.high]", "nobody could ever approve"],
    );
    wrong(
        "team.toml",
        &TEAM.replace(high, &format!("hasty = \"raise\"\n{high}")),
        &["[approval.high]", "add `min_seconds`"],
    );
    for (bounds, says) in [
        ("", "sets no bound"),
        ("max_waiting = 0\n", "`max_waiting` is at least 1"),
        ("max_per_hour = 1001\n", "`max_per_hour` is 1 to 1000"),
    ] {
        wrong(
            "team.toml",
            &format!("{TEAM}[attention]\n{bounds}clause = \"PAY-1.2\"\n"),
            &["[attention]", says],
        );
    }
    for (bound, says) in [
        (
            "open_minutes = 0\nclause = \"PAY-1.2\"\n",
            "`open_minutes` is at least 1",
        ),
        ("open_minutes = 9\nclause = \"PAY-9\"\n", "PAY-9"),
    ] {
        let text = format!("{TEAM}[cases]\n{bound}");
        wrong("team.toml", &text, &["[cases]", says]);
    }
    wrong("notes.txt", "x", &["does not belong"]);
    wrong("prompts/ana.md", &"x".repeat(70_000), &["70000 bytes"]);
}

#[test]
fn a_wrong_course_is_refused() {
    let course = |from: &str, to: &str| {
        let good = "[[course]]\nid = \"pay\"\ntitle = \"Pay\"\nfile = \"courses/pay.md\"\nvalid_days = 30\nassessors = [\"owner\"]\nroles = [\"approver\"]\nclause = \"PAY-1.1\"\n";
        assert!(good.contains(from));
        let mut files = files();
        files.insert("courses/pay.md".to_owned(), "What to know.".to_owned());
        files.insert(
            "team.toml".to_owned(),
            format!("{TEAM}{}", good.replace(from, to)),
        );
        Release::from_files(files)
    };
    let release = course("30", "30").unwrap();
    let pay = release.team().course(&"pay".parse().unwrap()).unwrap();
    assert_eq!(
        pay.content,
        duty::canonical::Digest::of_bytes(b"What to know.")
    );
    assert_eq!(pay.warn_days, 14);
    for (from, to, says) in [
        (
            "courses/pay.md",
            "courses/other.md",
            "its content is a file of the release",
        ),
        (
            "courses/pay.md",
            "prompts/ana.md",
            "`courses/pay.md` is used by no course",
        ),
        ("30", "0", "`valid_days` is at least 1"),
        ("30", "30\nwarn_days = 30", "less than `valid_days`"),
        ("[\"owner\"]", "[]", "roles of humans"),
        ("[\"owner\"]", "[\"executor\"]", "roles of humans"),
        ("[\"approver\"]", "[\"executor\"]", "`executor` in `roles`"),
        ("PAY-1.1", "PAY-9.9", "which no policy document has"),
    ] {
        let message = course(from, to).unwrap_err().to_string();
        assert!(message.contains(says), "{from} to {to}: {message}");
    }
    wrong("courses/stray.md", "x", &["is used by no course"]);
}
