//! What a decision costs by the number of policies: with the index over their scopes, and with Cedar's scan of them all.
//!
//! `cargo bench -p policy`. One run measures both, so that the ratio holds on a machine that does other things too.

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hint::black_box,
    path::Path,
    str::FromStr,
    time::{Duration, Instant},
};

use cedar_policy::{
    Authorizer, Context, Decision as Cedar, Entities, EntityUid, PolicySet,
    Request as CedarRequest, RestrictedExpression,
};
use duty::{
    action::Action,
    canonical::Digest,
    decide,
    edition::Edition,
    facts::{Facts, Scalar},
    name::{Environment, PrincipalId},
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    release::{Ask, ClauseRef, Near, Permission, RiskFinding, RuleHit, Rules, Team, Threshold},
    request::{BuildRelease, Call, OpenCase, OpenLog, Promote, RecordFile, Request, Submission},
    state::State,
    time::Time,
};
use policy::{Indexed, Release};
use serde_json::json;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Rules for each tool; the scan's fair share.
const PER_TOOL: usize = 5;
const RUNS: usize = 2_000;

fn main() {
    println!("policies | asked, p50 | scan, p50 | decide, p50 | p99 | decide with the scan, p50");
    for size in SIZES {
        let (asked, scanned) = asking(size);
        let (p50, p99, scan) = deciding(size);
        println!("{size} | {asked:?} | {scanned:?} | {p50:?} | {p99:?} | {scan:?}");
    }
    example();
}

/// The rules of a set: for each tool three permits, a forbid, and one that also names the next tool. Where there are more
/// rules than that, the others are another agent's.
fn rules(size: usize) -> Vec<String> {
    let tools = tools(size);
    (0..size)
        .map(|n| {
            let (own, tool) = (n / PER_TOOL < tools, n / PER_TOOL % tools);
            let next = (tool + 1) % tools;
            let ana = if own { "ana" } else { "rev" };
            let (principal, condition) = match n % PER_TOOL {
                0 => (
                    format!("== Agent::\"{ana}\""),
                    "context.args.id == context.subject && [\"dev\", \"prod\"].contains(context.env)",
                ),
                1 => (
                    format!("in Agent::\"{ana}\""),
                    "context.args.n > 100 && context.args.n < 200",
                ),
                2 => (
                    format!("is Agent in Agent::\"{ana}\""),
                    "context.facts has inv.cents && context.facts.inv.cents > 500",
                ),
                3 => ("== Agent::\"rev\"".to_owned(), "true"),
                _ if own => (String::new(), "context.args.n > 1000"),
                _ => ("== Agent::\"rev\"".to_owned(), "context.args.n > 1000"),
            };
            let effect = if n % PER_TOOL == 4 { "forbid" } else { "permit" };
            let action = if n % PER_TOOL == 2 {
                format!("in [Action::\"t.r{tool}\", Action::\"t.r{next}\"]")
            } else {
                format!("== Action::\"t.r{tool}\"")
            };
            format!("@id(\"p{n}\")@clause(\"C-1.1\")\n{effect} (principal {principal}, action {action}, resource)\nwhen {{ {condition} }};\n")
        })
        .collect()
}

/// As many tools as fit in one `team.toml`.
fn tools(size: usize) -> usize {
    (size / PER_TOOL).clamp(1, 1_000)
}

/// Asking alone, over public types of Cedar.
fn asking(size: usize) -> (Duration, Duration) {
    let set = PolicySet::from_str(&rules(size).concat()).unwrap();
    let indexed = Indexed::from(&set);
    let nothing = Entities::empty();
    let uid = |s: &str| EntityUid::from_str(s).unwrap();
    let text = |s: &str| RestrictedExpression::new_string(s.to_owned());
    let requests: Vec<_> = (0..64_usize)
        .map(|n| {
            let tool = n * 7 % tools(size);
            let args = [
                ("id".to_owned(), text("s")),
                ("n".to_owned(), RestrictedExpression::new_long(7)),
            ];
            let record = |pairs: Vec<(String, RestrictedExpression)>| {
                RestrictedExpression::new_record(pairs).unwrap()
            };
            let inv = record(vec![(
                "cents".to_owned(),
                RestrictedExpression::new_long(5),
            )]);
            let context = [
                ("args".to_owned(), record(args.to_vec())),
                ("facts".to_owned(), record(vec![("inv".to_owned(), inv)])),
                ("env".to_owned(), text("dev")),
                ("subject".to_owned(), text("s")),
            ];
            CedarRequest::new(
                uid("Agent::\"ana\""),
                uid(&format!("Action::\"t.r{tool}\"")),
                uid("Case::\"c1\""),
                Context::from_pairs(context).unwrap(),
                None,
            )
            .unwrap()
        })
        .collect();
    let asked = median(RUNS, |n| {
        let answer = indexed.ask(&requests[n % requests.len()], &nothing);
        assert!(answer.allowed);
    });
    let authorizer = Authorizer::new();
    let scanned = median(RUNS.min(2_000_000 / size), |n| {
        let response = authorizer.is_authorized(&requests[n % requests.len()], &set, &nothing);
        assert_eq!(response.decision(), Cedar::Allow);
    });
    (asked, scanned)
}

/// `decide` of a call that is permitted, with the release's own rules, and with Cedar over the whole set.
fn deciding(size: usize) -> (Duration, Duration, Duration) {
    let release = Release::from_files(files(size)).unwrap();
    let state = state(&release);
    let submissions: Vec<_> = (0..64_usize)
        .map(|n| {
            let tool = n * 7 % tools(size);
            let arguments = json!({"id": "s", "n": 7});
            let request = Request::Call(Call {
                case: "c1".parse().unwrap(),
                action: Action {
                    tool: format!("t.r{tool}"),
                    arguments: arguments.as_object().unwrap().clone(),
                },
                described: None,
            });
            submission("ana", request, 100_000)
        })
        .collect();
    let mut times = times(RUNS, |n| {
        let decision = decide(&state, Some(&release), &submissions[n % submissions.len()]);
        assert_eq!(decision.refusal, None);
        black_box(decision);
    });
    times.sort();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let scan = Scan {
        set: PolicySet::from_str(&rules(size).concat()).unwrap(),
        release: &release,
    };
    let scanned = median(RUNS.min(2_000_000 / size), |n| {
        let decision = decide(&state, Some(&scan), &submissions[n % submissions.len()]);
        assert_eq!(decision.refusal, None);
        black_box(decision);
    });
    (p50, p99, scanned)
}

/// What the rules of the example cost, question by question.
fn example() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/payables/release");
    let release = Release::from_dir(&path).unwrap();
    let facts = facts();
    let arguments = json!({"invoice_id": "INV-1", "vendor_id": "V-7", "account": "A-1",
        "amount_cents": 120_000, "currency": "EUR", "reference": "R-1"});
    let action = Action {
        tool: "treasury.transfer_create".to_owned(),
        arguments: arguments.as_object().unwrap().clone(),
    };
    let principal: PrincipalId = "executor".parse().unwrap();
    let environment: Environment = "staging".parse().unwrap();
    let ask = Ask {
        principal: &principal,
        action: &action,
        case: "c1",
        subject: "INV-1",
        environment: &environment,
        facts: &facts,
    };
    let (threshold, _) = &release.thresholds()[0];
    assert!(matches!(release.permission(&ask), Permission::Allow(_)));
    assert_eq!(release.in_scope(threshold, &ask), Ok(true));
    let permission = median(RUNS, |_| drop(black_box(release.permission(&ask))));
    let risk = median(RUNS, |_| drop(black_box(release.risk(&ask))));
    let scope = median(RUNS, |_| {
        let _ = black_box(release.in_scope(threshold, &ask));
    });
    println!(
        "the example, p50: permission {permission:?}, risk {risk:?} ({}), scope {scope:?}",
        release.risk(&ask).tier.word()
    );
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    let all = json!({
        "invoice": {"found": true, "malformed": false, "row": "INV-1", "number": "R-1", "vendor_id": "V-7",
            "has_order": true, "order_id": "O-1", "amount_cents": 120_000, "currency": "EUR"},
        "vendor": {"found": true, "id": "V-7", "status": "active", "sanctioned": false, "account": "A-1",
            "currency": "EUR", "related_principal": ""},
        "order": {"found": true, "id": "O-1", "vendor_id": "V-7", "amount_cents": 200_000, "currency": "EUR",
            "open": true},
        "receipt": {"found": true, "order_id": "O-1", "received_cents": 200_000},
        "related": {"found": true, "row": "INV-1", "duplicates": 0, "split_count": 1, "split_sum_cents": 120_000,
            "split_limit_cents": 250_000, "order_billed_cents": 120_000, "days_since_account_change": 400,
            "days_since_onboarding": 900, "invoice_age_days": 3, "usual_amount_cents": 100_000,
            "memo_instructs": false},
    });
    for (namespace, fields) in all.as_object().unwrap() {
        for (field, value) in fields.as_object().unwrap() {
            facts.insert(namespace, field, Scalar::of(value).unwrap());
        }
    }
    facts
}

fn files(size: usize) -> BTreeMap<String, String> {
    let mut sets = Vec::new();
    let mut text = String::new();
    for rule in rules(size) {
        if text.len() + rule.len() > 47_000 {
            sets.push(std::mem::take(&mut text));
        }
        text.push_str(&rule);
    }
    sets.push(text);
    let names: Vec<_> = (0..sets.len())
        .map(|n| format!("permissions/ana-{n}.cedar"))
        .collect();
    let mut team = format!(
        "name = \"t\"\n[[agent]]\nid = \"ana\"\nduty = \"prepare\"\nowner = \"olivia\"\npermission_set = {names:?}\nprompt = \"prompts/a.md\"\nmodel = {{ kind = \"rules\", table = \"tables/a.cedar\" }}\n"
    );
    team.push_str("[[agent]]\nid = \"rev\"\nduty = \"review\"\nowner = \"rashid\"\npermission_set = \"permissions/o.cedar\"\nprompt = \"prompts/a.md\"\nmodel = { kind = \"rules\", table = \"tables/a.cedar\" }\n");
    team.push_str("[[agent]]\nid = \"exe\"\nduty = \"execute\"\nowner = \"ines\"\npermission_set = \"permissions/o.cedar\"\nprompt = \"prompts/a.md\"\n");
    for tier in ["low", "elevated", "high"] {
        write!(team, "[approval.{tier}]\nhumans = 1\nrole = \"approver\"\ncertification = \"pay\"\nexpires_minutes = 60\nclause = \"C-1.1\"\n").unwrap();
    }
    team.push_str("[recommendation]\nmin_confidence = 80\nclause = \"C-1.1\"\n[grant]\nexpires_minutes = 10\n");
    for tool in 0..tools(size) {
        write!(team, "[[tool]]\nname=\"t.r{tool}\"\neffect=false\n").unwrap();
    }
    let other =
        "@id(\"o\") @clause(\"C-1.1\") permit (principal, action == Action::\"t.r0\", resource);";
    let table = "@id(\"r\") @priority(\"1\") @recommend(\"refer\") @confidence(\"90\") @query(\"one\") @cite(\"C-1.1\") @clause(\"C-1.1\") @rationale(\"R.\") permit (principal, action, resource);";
    let risk =
        "@id(\"r\") @tier(\"high\") @clause(\"C-1.1\") permit (principal, action, resource);";
    let policy = "# C\n\n<!-- document: C, edition: 1 -->\n\n### C-1.1 One\n\nOne clause.\n";
    let mut files: BTreeMap<String, String> = [
        ("team.toml", team.as_str()),
        ("risk.cedar", risk),
        ("permissions/o.cedar", other),
        ("tables/a.cedar", table),
        ("prompts/a.md", "Prepare."),
        ("policies/c.md", policy),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .collect();
    files.extend(names.into_iter().zip(sets));
    files
}

/// A log with the release in force and a case that is open.
fn state(release: &Release) -> State {
    let mut state = State::default();
    // RFC 8032, 7.1, test 1; nothing is signed here.
    let key = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let key: [u8; 32] = key.unwrap().try_into().unwrap();
    let principal = |id: &str, kind, role, owner: Option<&str>| NewPrincipal {
        id: id.parse().unwrap(),
        kind,
        roles: vec![role],
        owner: owner.map(|o| o.parse().unwrap()),
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: format!("{id}-1").parse().unwrap(),
            proof: match kind {
                PrincipalKind::Human => Proof::Ed25519 {
                    public: PublicKey::from_bytes(&key).unwrap(),
                },
                PrincipalKind::Agent => Proof::Token {
                    sha256: Digest::of_bytes(id.as_bytes()),
                },
                PrincipalKind::Service => Proof::Local,
            },
        }],
    };
    let service = |id, role| principal(id, PrincipalKind::Service, role, None);
    let mut requests = vec![
        (
            "admin",
            Request::OpenLog(OpenLog {
                origin: "bench.example/log".to_owned(),
                principals: vec![
                    service("admin", Role::Admin),
                    service("engine", Role::Service),
                ],
            }),
        ),
        (
            "admin",
            Request::AddPrincipal(principal("olivia", PrincipalKind::Human, Role::Owner, None)),
        ),
        (
            "admin",
            Request::AddPrincipal(principal(
                "ana",
                PrincipalKind::Agent,
                Role::Analyst,
                Some("olivia"),
            )),
        ),
    ];
    for content in release.files().values().cloned() {
        let file = Request::RecordFile(RecordFile { content });
        requests.push(("admin", file));
    }
    let files = release.manifest();
    requests.push(("admin", Request::BuildRelease(BuildRelease { files })));
    let promote = Promote {
        environment: "dev".parse().unwrap(),
        release: release.digest(),
    };
    requests.push(("admin", Request::Promote(promote)));
    let open = OpenCase {
        case: "c1".parse().unwrap(),
        environment: "dev".parse().unwrap(),
        subject: "s".to_owned(),
        snapshot: Digest::of_bytes(b"s"),
    };
    requests.push(("engine", Request::OpenCase(open)));
    for (clock, (who, request)) in (1_000..).zip(requests) {
        let decision = decide(&state, Some(release), &submission(who, request, clock));
        if let Some(refusal) = decision.refusal {
            assert_eq!(refusal.code.word(), "replayed", "{refusal}");
        }
        for record in &decision.records {
            state.apply(record).unwrap();
        }
    }
    state
}

fn submission(who: &str, request: Request, clock: i64) -> Submission {
    Submission {
        clock: Time::from_millis(clock),
        principal: who.parse().unwrap(),
        credential: format!("{who}-1").parse().unwrap(),
        request,
    }
}

/// The release, but for its permission sets, which Cedar's authorizer scans.
struct Scan<'a> {
    set: PolicySet,
    release: &'a Release,
}

impl Rules for Scan<'_> {
    fn digest(&self) -> Digest {
        self.release.digest()
    }
    fn team(&self) -> &Team {
        self.release.team()
    }
    fn thresholds(&self) -> &[(Threshold, Digest)] {
        self.release.thresholds()
    }
    fn editions(&self, id: &str) -> &[Edition] {
        self.release.editions(id)
    }
    fn bound(&self, ask: &Ask<'_>) -> Vec<RuleHit> {
        self.release.bound(ask)
    }
    fn text_of(&self, cited: &ClauseRef) -> Option<&str> {
        self.release.text_of(cited)
    }
    fn permission(&self, ask: &Ask<'_>) -> Permission {
        let uid = |kind: &str, id: &str| {
            EntityUid::from_type_name_and_id(kind.parse().unwrap(), id.parse().unwrap())
        };
        let context = json!({"args": ask.action.arguments, "env": ask.environment.as_str(),
            "subject": ask.subject, "facts": {}});
        let request = CedarRequest::new(
            uid("Agent", ask.principal.as_str()),
            uid("Action", &ask.action.tool),
            uid("Case", ask.case),
            Context::from_json_value(context, None).unwrap(),
            None,
        );
        let nothing = Entities::empty();
        let answer = Authorizer::new().is_authorized(&request.unwrap(), &self.set, &nothing);
        let rule = answer.diagnostics().reason().next();
        match (answer.decision(), rule) {
            (Cedar::Allow, Some(rule)) => Permission::Allow(RuleHit {
                rule: rule.to_string(),
                why: String::new(),
                clause: None,
            }),
            _ => Permission::Silent,
        }
    }
    fn risk(&self, ask: &Ask<'_>) -> RiskFinding {
        self.release.risk(ask)
    }
    fn in_scope(&self, threshold: &Threshold, ask: &Ask<'_>) -> Result<bool, String> {
        self.release.in_scope(threshold, ask)
    }
    fn step_holds(&self, step: usize, ask: &Ask<'_>) -> bool {
        self.release.step_holds(step, ask)
    }
    fn near(&self, ask: &Ask<'_>) -> Vec<Near> {
        self.release.near(ask)
    }
}

fn times(runs: usize, mut f: impl FnMut(usize)) -> Vec<Duration> {
    for n in 0..runs.min(100) {
        f(n);
    }
    (0..runs)
        .map(|n| {
            let start = Instant::now();
            f(n);
            start.elapsed()
        })
        .collect()
}

fn median(runs: usize, f: impl FnMut(usize)) -> Duration {
    let mut times = times(runs.max(20), f);
    times.sort();
    times[times.len() / 2]
}
