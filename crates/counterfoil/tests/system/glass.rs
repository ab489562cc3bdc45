//! Breaking the glass, over the binary: loud, short, and reviewed by somebody else.

use crate::rig::{Example, expect, expected, other_release, records, run_case, sound};

#[test]
fn an_emergency_is_loud_and_cannot_be_had_twice_before_its_review() {
    let example = Example::new(5);
    let dir = example.arg();
    other_release(&example, |path, text| {
        match path {
        "team.toml" => {
            text + "\n[break_glass]\nrole = \"approver\"\ncertification = \"payment-approval\"\nminutes = 15\nreview_minutes = 1440\nclause = \"PAY-3.9\"\n"
        }
        "policies/payment-authority.md" => text.replacen(
            "## 4. Thresholds",
            "### PAY-3.9 Emergencies\n\nWhere harm would come of waiting, one approver may release an elevated payment, and two a high one.\n\n## 4. Thresholds",
            1,
        ),
        _ => text,
    }
    });
    let one = expected(&example, "one_human");
    for (case, subject) in [("now", &one[0]), ("next", &one[1])] {
        run_case(&example, case, subject);
    }
    let glass = |case: &str, who: &str, code: i32| {
        let id = format!("{case}.a1");
        let args = [
            "approval",
            "break-glass",
            &id,
            "--as",
            who,
            "--reason",
            "the plant stops tonight",
            "--dir",
            &dir,
        ];
        expect(code, &args)
    };
    let (said, _) = glass("now", "amira", 0);
    assert!(
        said.contains("the glass is broken over now.a1 by `amira`; not asked: bram, carla"),
        "{said}"
    );
    let (_, err) = glass("next", "amira", 3);
    assert!(err.contains("glass-closed"), "{err}");
    let (_, err) = glass("next", "olivia", 3);
    assert!(err.contains("not-your-duty"), "{err}");
    let review = |who: &str, code: i32| {
        let args = [
            "glass",
            "review",
            "now.g1",
            "--as",
            who,
            "--reason",
            "the plant would have stopped",
            "--dir",
            &dir,
        ];
        expect(code, &args).1
    };
    assert!(
        expect(0, &["glass", "list", "--dir", &dir])
            .0
            .contains("now.g1")
    );
    assert!(review("amira", 3).contains("not-independent"));
    review("bram", 0);
    assert!(
        expect(0, &["glass", "list", "--dir", &dir])
            .0
            .contains("no emergency")
    );
    glass("next", "amira", 0);
    let all = records(&example.dir());
    let paid = all
        .iter()
        .filter(|r| r["kind"] == "outcome.recorded" && r["case"] == "now");
    assert_eq!(paid.count(), 1);
    assert!(
        all.iter()
            .any(|r| r["kind"] == "exception.raised" && r["body"]["sort"] == "break-glass")
    );
    sound(&example.dir());
}
