//! A small release, and how it is changed and asked.

use std::collections::BTreeMap;

use duty::{
    action::Action,
    facts::{Facts, Scalar},
    name::{Environment, PrincipalId},
    release::Ask,
};
use policy::Release;
use serde_json::{Value, json};

pub(crate) const POLICY: &str = "# Pay\n\n<!-- document: PAY, edition: 3 -->\n\n## One\n\n### PAY-1.1 Small payments\n\nSmall payments may go without a human.\n\n### PAY-1.2 Large payments\n\nLarge ones need two approvers.\n\n### PAY-1.3 Books\n\nEvery invoice is kept for ten years.\n";

pub(crate) const TEAM: &str = r#"
name = "t"
[[agent]]
id = "ana"
duty = "prepare"
owner = "olivia"
permission_set = "permissions/ana.cedar"
prompt = "prompts/ana.md"
model = { kind = "rules", table = "tables/ana.cedar" }
reads = [{ tool = "books.read", args = { id = "$case.subject" } }]
action = { tool = "bank.pay", args = { cents = "$facts.inv.cents" } }
[[agent]]
id = "rev"
duty = "review"
owner = "rashid"
permission_set = "permissions/rev.cedar"
prompt = "prompts/rev.md"
model = { kind = "rules", table = "tables/rev.cedar" }
[[agent]]
id = "exe"
duty = "execute"
owner = "ines"
permission_set = "permissions/exe.cedar"
prompt = "prompts/exe.md"
[[tool]]
name = "books.read"
effect = false
facts_as = "inv"
facts = ["cents"]
[[tool]]
name = "bank.pay"
effect = true
idempotency = "key"
[approval.low]
humans = 1
role = "approver"
certification = "pay"
expires_minutes = 60
clause = "PAY-1.1"
[approval.elevated]
humans = 1
role = "approver"
certification = "pay"
expires_minutes = 60
clause = "PAY-1.2"
[approval.high]
humans = 2
role = "approver"
certification = "pay"
expires_minutes = 60
clause = "PAY-1.2"
[recommendation]
min_confidence = 80
clause = "PAY-1.1"
[grant]
expires_minutes = 10
"#;

pub(crate) const TABLE: &str = r#"
@id("small") @priority("1") @recommend("proceed") @confidence("95") @query("small payments") @cite("PAY-1.1")
@clause("PAY-1.1") @rationale("Small.")
permit (principal, action, resource) when { context.facts.inv.cents <= 100 };
@id("rest") @priority("9") @recommend("refer") @confidence("90") @query("large payments") @cite("PAY-1.2")
@clause("PAY-1.2") @rationale("Not small.")
permit (principal, action, resource);
"#;

pub(crate) const EXECUTOR: &str = r#"
@id("pay") @clause("PAY-1.1") @why("may pay")
permit (principal == Agent::"exe", action == Action::"bank.pay", resource) when { context.args.cents > 0 };
@id("too-much") @clause("PAY-1.2") @why("too much")
forbid (principal, action == Action::"bank.pay", resource) when { context.args.cents > 1000 || context.facts.inv.cents > 1000 };
"#;

pub(crate) const RISK: &str = r#"
@id("small") @tier("low") @clause("PAY-1.1") @why("small")
permit (principal, action, resource) when { context.args.cents <= 100 };
@id("medium") @tier("elevated") @clause("PAY-1.2") @why("medium")
permit (principal, action, resource) when { context.args.cents > 50 };
"#;

pub(crate) fn files() -> BTreeMap<String, String> {
    let reader = "@id(\"read\") @clause(\"PAY-1.1\")\npermit (principal, action == Action::\"books.read\", resource);";
    [
        ("team.toml", TEAM),
        ("risk.cedar", RISK),
        ("permissions/ana.cedar", reader),
        ("permissions/rev.cedar", reader),
        ("permissions/exe.cedar", EXECUTOR),
        ("tables/ana.cedar", TABLE),
        ("tables/rev.cedar", TABLE),
        ("prompts/ana.md", "Prepare."),
        ("prompts/rev.md", "Review."),
        ("prompts/exe.md", "Execute."),
        ("policies/pay.md", POLICY),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .collect()
}

/// The release, with types for all that its tools take and bring.
pub(crate) fn typed() -> BTreeMap<String, String> {
    let mut files = files();
    let team = TEAM
        .replace(
            "facts = [\"cents\"]",
            "facts = { cents = \"Long\", seen = \"Bool?\" }\nargs = { id = \"String?\" }",
        )
        .replace(
            "idempotency = \"key\"",
            "idempotency = \"key\"\nargs = { cents = \"Long\" }",
        );
    assert_ne!(team, TEAM);
    files.insert("team.toml".to_owned(), team);
    let guarded = |text: &str| {
        text.replace(
            "context.facts.inv.cents",
            "context.facts has inv && context.facts.inv.cents",
        )
    };
    files.insert("permissions/exe.cedar".to_owned(), guarded(EXECUTOR));
    files.insert(
        "risk.cedar".to_owned(),
        RISK.replace("action,", "action == Action::\"bank.pay\","),
    );
    files
}

pub(crate) fn changed(path: &str, text: &str) -> Result<Release, policy::ReleaseErrors> {
    let mut files = files();
    files.insert(path.to_owned(), text.to_owned());
    Release::from_files(files)
}

#[track_caller]
pub(crate) fn wrong(path: &str, text: &str, says: &[&str]) {
    let message = changed(path, text).unwrap_err().to_string();
    for words in says {
        assert!(message.contains(words), "`{words}` is not in: {message}");
    }
}

pub(crate) fn pay(cents: Value) -> Action {
    let arguments = json!({ "cents": cents }).as_object().unwrap().clone();
    let tool = "bank.pay".to_owned();
    Action { tool, arguments }
}

pub(crate) fn facts(cents: i64) -> Facts {
    let mut facts = Facts::default();
    facts.insert("inv", "cents", Scalar::Int(cents));
    facts
}

pub(crate) fn asked<T>(
    who: &str,
    action: &Action,
    facts: &Facts,
    ask: impl FnOnce(&Ask<'_>) -> T,
) -> T {
    let (principal, environment): (PrincipalId, Environment) =
        (who.parse().unwrap(), "dev".parse().unwrap());
    ask(&Ask {
        principal: &principal,
        action,
        case: "c1",
        subject: "s",
        environment: &environment,
        facts,
    })
}
