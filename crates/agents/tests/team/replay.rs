//! What models were asked and what was made of their answers, again from the log: the same where all went as it must, and
//! otherwise where a runner asked or did something else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use agents::{
    Stop,
    language::compose,
    replay::{Replayed, Verdict, live::Live},
    view::{Place, view},
};
use duty::{
    action::Action,
    name::ItemId,
    principal::Duty,
    record::Body,
    release::Rules,
    request::{AnswerModel, CallModel, ModelResult, Request},
};
use engine::Seat;
use serde_json::{Map, Value, json};

use crate::{
    endpoint::{Endpoint, Reply, Says, Seen},
    language::{ANTHROPIC, OPENAI, clerk, first_clause, matter, release, rig, told},
    rig::{Rig, endpoints, name, shown, small_row},
};

/// Every question the same, and what followed it.
fn all_same(replayed: &Replayed) {
    for asked in &replayed.asked {
        assert!(asked.verdicts().all(|v| *v == Verdict::Same), "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_and_every_step_comes_out_again_in_both_forms() {
    for form in [OPENAI, ANTHROPIC] {
        let endpoint = Endpoint::thinking(clerk);
        let rig = rig(form, "", &endpoint).await;
        assert_eq!(rig.run("c1", &small_row()).await.unwrap(), Stop::Ended);
        let before = endpoint.seen().len();
        let replayed = rig.replayed("c1");
        assert_eq!(replayed.asked.len(), 12);
        all_same(&replayed);
        assert!(shown(&replayed).contains("recommends to proceed treasury.transfer_create("));
        assert_eq!(endpoint.seen().len(), before, "nobody is asked");
        // Values that were put out come back into the steps.
        let mut files = release(form, "");
        let team = files.get_mut("team.toml").unwrap();
        team.push_str("\n[[redact]]\nkind = \"vendor\"\npattern = \"V00[0-9]{2}\"\n");
        let rig = Rig::with(files, Some(endpoint.port)).await;
        assert_eq!(rig.run("c1", &small_row()).await.unwrap(), Stop::Ended);
        let replayed = rig.replayed("c1");
        all_same(&replayed);
        assert!(shown(&replayed).contains("vendor_id=\"V00"));
    }
}

/// A model that says things that cannot be used, is refused what it asks for, and is not always there.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_comes_out_again_too() {
    let elsewhere = || Says::Call("books_invoice_read", json!({"invoice_id": "INV-ELSEWHERE"}));
    let (rig, _, stop) = told(
        "",
        vec![
            Says::Prose("Good morning!"),
            // The permission set refuses another case's invoice, and the model is told so.
            elsewhere(),
            Says::Raw(Reply::new(503, "away")),
            elsewhere(),
        ],
    )
    .await;
    assert_eq!(stop, Stop::Ended);
    let refused = rig.records();
    let refused = refused.iter().filter(
        |r| matches!(&r.body, Body::RequestRefused(b) if matches!(b.request, Request::Call(_))),
    );
    assert_eq!(refused.count(), 2);
    let replayed = rig.replayed("c1");
    all_same(&replayed);
    assert_eq!(replayed.asked[2].attempt, 1);
    assert_eq!(replayed.asked[3].attempt, 2);

    // A recommendation that the core refuses, said otherwise; and one that is never mended.
    for mends in [true, false] {
        let endpoint = Endpoint::thinking(move |seen| match clerk(seen) {
            Says::Call("recommend", mut said) => {
                if mends && matter(seen).contains("It could not be used: bad-citation") {
                    let cited = said["clauses"].as_array_mut().unwrap();
                    cited.retain(|id| id != BOUND);
                    cited.push(json!(BOUND));
                } else {
                    let mut found = Vec::new();
                    let matter = matter(seen);
                    let mut rest = matter.as_str();
                    while let Some(id) = first_clause(rest) {
                        rest = rest.split_once("<clause id=\"").unwrap().1;
                        found.push(id);
                    }
                    found.retain(|id| id != BOUND);
                    said["clauses"] = json!([found[0]]);
                }
                Says::Call("recommend", said)
            }
            says => says,
        });
        let mut files = release(OPENAI, "");
        let team = files.get_mut("team.toml").unwrap();
        team.push_str(&format!(
            "\n[[bind]]\ntool = \"treasury.transfer_create\"\nclause = \"{BOUND}\"\n"
        ));
        let rig = Rig::with(files, Some(endpoint.port)).await;
        rig.run("c1", &small_row()).await.unwrap();
        let refused = rig.records();
        let refused = refused.iter().filter(|r| {
            matches!(&r.body, Body::RequestRefused(b) if matches!(b.request, Request::Recommend(_)))
        });
        // The analyst alone, and once; or three times the analyst, who then refers it.
        assert!(refused.count() >= if mends { 1 } else { 3 });
        let paid = rig.bank.calls.lock().unwrap().len();
        assert_eq!(paid, usize::from(mends));
        let replayed = rig.replayed("c1");
        all_same(&replayed);
        rig.holds();
    }
}

/// A clause that the release binds to paying.
const BOUND: &str = "AGT-2.2";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_is_told_from_one_that_did_otherwise() {
    let hang = Arc::new(AtomicBool::new(true));
    let hangs = Arc::clone(&hang);
    let endpoint = Endpoint::thinking(move |seen| {
        let matter = matter(seen);
        // It asks for what it may not see first, so that a refusal is in the way.
        if !matter.contains("INV-ELSEWHERE") {
            return Says::Call("books_invoice_read", json!({"invoice_id": "INV-ELSEWHERE"}));
        }
        if hangs.load(Ordering::SeqCst) {
            let mut never = Reply::new(200, "{}");
            never.after = std::time::Duration::from_secs(3600);
            return Says::Raw(never);
        }
        clerk(seen)
    });
    let rig = rig(OPENAI, ", timeout_seconds = 1", &endpoint).await;
    rig.open("c1", &small_row()).await;
    let runner = Arc::clone(&rig.runner);
    let going = tokio::spawn(async move { runner.advance(&name("c1")).await });
    while endpoint.seen().len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    going.abort();
    let _ = going.await;
    hang.store(false, Ordering::SeqCst);
    // The next run knows nothing of the refusal, and asks without it.
    let rig = rig.reopened().await;
    assert_eq!(rig.runner.advance(&name("c1")).await.unwrap(), Stop::Ended);
    let replayed = rig.replayed("c1");
    all_same(&replayed);
    let questions: Vec<_> = replayed.asked.iter().map(|a| a.attempt).collect();
    assert_eq!(&questions[..3], [1, 1, 2], "{questions:?}");
    rig.holds();
}

/// A question by hand, as a runner with a fault could ask it: of `body`, or of what the log makes.
async fn ask(rig: &Rig, change: impl Fn(&str) -> String) -> ItemId {
    let case = rig.engine.read(|s| s.cases[&name("c1")].clone());
    let release = rig.engine.release(case.release).unwrap().unwrap();
    let agent = name("analyst");
    let id = name("c1");
    let place = Place {
        id: &id,
        case: &case,
        release: &release,
        agent: &agent,
        duty: Duty::Prepare,
    };
    let seen = view(&place, &Default::default(), &|digest| {
        let bytes = rig.engine.snapshots().get(digest.as_bytes());
        bytes.unwrap().ok_or(())
    });
    let composed = compose(&release, &agent, &seen.unwrap()).unwrap();
    let body = change(std::str::from_utf8(&composed.body).unwrap()).into_bytes();
    let pinned = release.team().agent(&agent).unwrap();
    let request = Request::CallModel(CallModel {
        case: id,
        model: pinned.model.clone().unwrap(),
        prompt: pinned.prompt,
        parameters: pinned.language.as_ref().unwrap().parameters.clone(),
        bytes: u32::try_from(body.len()).unwrap(),
        snapshot: rig.engine.keep(&case.subject, body).await.unwrap(),
        attempt: 1,
        redacted: composed.redacted.counts().clone(),
    });
    let records = rig.engine.submit(&rig.seat("analyst"), request).await;
    let call = records.unwrap().iter().find_map(|r| match &r.body {
        Body::ModelCalled(b) => Some(b.call.clone()),
        _ => None,
    });
    call.unwrap()
}

/// An answer by hand, filed under a result that need not be right.
async fn answer(rig: &Rig, call: &ItemId, body: Value, result: ModelResult) {
    let subject = rig.engine.read(|s| s.cases[&name("c1")].subject.clone());
    let body = body.to_string().into_bytes();
    let request = Request::AnswerModel(AnswerModel {
        call: call.clone(),
        result,
        snapshot: Some(rig.engine.keep(&subject, body).await.unwrap()),
        model: Some("alpha-1".to_owned()),
        tokens: None,
        status: Some(200),
        latency_ms: 5,
        problem: (result != ModelResult::Usable).then(|| "so it says".to_owned()),
    });
    rig.engine.submit(&Seat::engine(), request).await.unwrap();
}

fn calling(tool: &str, arguments: &Value) -> Value {
    json!({"model": "alpha-1", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "tool_calls": [{"id": "t", "type": "function",
            "function": {"name": tool, "arguments": arguments.to_string()}}],
    }}]})
}

async fn opened() -> Rig {
    let endpoint = Endpoint::thinking(clerk);
    let rig = rig(OPENAI, "", &endpoint).await;
    rig.open("c1", &small_row()).await;
    rig
}

fn read(tool: &str, argument: &str, value: &str) -> Action {
    Action {
        tool: tool.to_owned(),
        arguments: Map::from_iter([(argument.to_owned(), json!(value))]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_the_release_does_not_make_is_shown_word_for_word() {
    let rig = opened().await;
    let call = ask(&rig, |body| {
        body.replace("it never tells you", "IT NEVER TELLS YOU")
            .replace(
                "What you obey, in this order",
                "Obey the data, in this order",
            )
    })
    .await;
    answer(
        &rig,
        &call,
        calling("books_invoice_read", &json!({"invoice_id": small_row()})),
        ModelResult::Usable,
    )
    .await;
    let invoice = read("books.invoice_read", "invoice_id", &small_row());
    let (seat, case) = (rig.seat("analyst"), name("c1"));
    rig.engine.call(&seat, &case, invoice).await.unwrap();
    let replayed = rig.replayed("c1");
    assert!(replayed.differs());
    let asked = &replayed.asked[0];
    let Verdict::Differs { differences } = &asked.question else {
        panic!("{asked}");
    };
    assert_eq!(differences.len(), 1);
    assert!(
        differences[0]
            .what
            .starts_with("the body at `/messages/0/content`, line 3")
    );
    assert!(
        differences[0]
            .recorded
            .as_str()
            .unwrap()
            .starts_with("Obey the data")
    );
    assert!(
        differences[0]
            .again
            .as_str()
            .unwrap()
            .starts_with("What you obey")
    );
    // The answer, and the step that followed, are as they must be.
    assert_eq!(
        (asked.answer.as_ref(), &asked.then),
        (Some(&Verdict::Same), &Verdict::Same)
    );
    // All that the core can see is in order.
    let journal = rig.engine.journal();
    journal
        .wait_published_blocking(rig.engine.read(|s| s.size))
        .unwrap();

    // The same JSON, written otherwise, is another question too.
    let rig = opened().await;
    ask(&rig, |body| body.replacen("{\"", "{ \"", 1)).await;
    let replayed = rig.replayed("c1");
    assert!(replayed.differs());
    assert!(shown(&replayed).contains("the bytes of the body"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_the_model_did_not_say_is_named() {
    // It says to read the invoice, and the runner reads another vendor's record instead.
    let rig = opened().await;
    let invoice = json!({"invoice_id": small_row()});
    let call = ask(&rig, str::to_owned).await;
    answer(
        &rig,
        &call,
        calling("books_invoice_read", &invoice),
        ModelResult::Usable,
    )
    .await;
    let query = "small payments";
    rig.engine
        .retrieve(&rig.seat("analyst"), &name("c1"), query)
        .await
        .unwrap();
    let replayed = rig.replayed("c1");
    let text = shown(&replayed);
    assert!(replayed.differs(), "{text}");
    assert!(
        text.contains("what the agent did next") && text.contains("looked for"),
        "{text}"
    );
    assert_eq!(replayed.asked[0].question, Verdict::Same);

    // It says so, and nothing of it happens: the log ends there, which is no difference, and is said.
    let rig = opened().await;
    let call = ask(&rig, str::to_owned).await;
    answer(
        &rig,
        &call,
        calling("books_invoice_read", &invoice),
        ModelResult::Usable,
    )
    .await;
    let replayed = rig.replayed("c1");
    assert!(!replayed.differs());
    let Verdict::NotTaken { due } = &replayed.asked[0].then else {
        panic!("{}", shown(&replayed));
    };
    assert!(due.starts_with("calls books.invoice_read("), "{due}");

    // A step without any question.
    let rig = opened().await;
    rig.engine
        .retrieve(&rig.seat("analyst"), &name("c1"), query)
        .await
        .unwrap();
    let replayed = rig.replayed("c1");
    assert!(replayed.asked.is_empty() && replayed.differs());
    assert!(shown(&replayed).contains("its model said no such thing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_filed_for_something_else_than_it_is_comes_out() {
    // Nonsense filed as usable, which the core cannot see.
    let rig = opened().await;
    let call = ask(&rig, str::to_owned).await;
    answer(
        &rig,
        &call,
        json!({"model": "alpha-1", "choices": []}),
        ModelResult::Usable,
    )
    .await;
    let replayed = rig.replayed("c1");
    let Some(Verdict::Differs { differences }) = &replayed.asked[0].answer else {
        panic!("{}", shown(&replayed));
    };
    assert!(
        differences
            .iter()
            .any(|d| d.what == "what it is good for" && d.again == "malformed")
    );
    // And the other way round.
    let rig = opened().await;
    let call = ask(&rig, str::to_owned).await;
    let invoice = json!({"invoice_id": small_row()});
    answer(
        &rig,
        &call,
        calling("books_invoice_read", &invoice),
        ModelResult::Malformed,
    )
    .await;
    let replayed = rig.replayed("c1");
    assert!(replayed.asked[0].answer.as_ref().unwrap().differs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_snapshot_is_named_and_one_that_is_away_is_said_so() {
    let (rig, _, _) = told("", Vec::new()).await;
    let records = rig.records();
    let question = records.iter().find_map(|r| match r.body.request() {
        Some(Request::CallModel(call)) => Some(call.snapshot),
        _ => None,
    });
    let file = rig.snapshot_file(&question.unwrap());
    let whole = std::fs::read(&file).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&file, changed).unwrap();
    let replayed = rig.replayed("c1");
    assert!(replayed.differs());
    assert!(matches!(
        replayed.asked[0].question,
        Verdict::Damaged { .. }
    ));
    assert_eq!(replayed.asked[1].question, Verdict::Same);
    std::fs::remove_file(&file).unwrap();
    let replayed = rig.replayed("c1");
    assert!(!replayed.differs());
    assert!(
        replayed
            .missing()
            .next()
            .unwrap()
            .starts_with("a snapshot (")
    );
    // Of a bare copy of the log nothing can be compared, and nothing is claimed.
    let opened = evidence::open_at(
        &rig.snapshot_file(&question.unwrap())
            .ancestors()
            .nth(3)
            .unwrap()
            .join("log")
            .display()
            .to_string(),
    );
    let replayed = agents::replay::replay(&*opened.unwrap().source, None, &name("c1")).unwrap();
    assert_eq!(replayed.asked.len(), 12);
    assert!(replayed.missing().count() >= 12);
}

async fn live(rig: &Rig, endpoint: &Endpoint, most: Option<usize>) -> Vec<Live> {
    let replayed = rig.replayed("c1");
    let endpoints = endpoints(Some(endpoint.port));
    let plan = replayed.plan(&endpoints, most).unwrap();
    let mut all = Vec::new();
    let asked = replayed
        .ask(&endpoints, most, &mut |live| all.push(live))
        .await;
    asked.unwrap();
    assert_eq!(plan.questions, all.len());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn live_models_are_asked_the_same_and_what_they_say_otherwise_is_named() {
    for form in [OPENAI, ANTHROPIC] {
        let other = Arc::new(AtomicBool::new(false));
        let changed = Arc::clone(&other);
        let endpoint = Endpoint::thinking(move |seen: &Seen| match clerk(seen) {
            Says::Call("recommend", mut said) if changed.load(Ordering::SeqCst) => {
                said["stance"] = json!("refer");
                said["rationale"] = json!("I am not sure.");
                said.as_object_mut().unwrap().remove("action");
                Says::Call("recommend", said)
            }
            Says::Call("books_order_read", _) if changed.load(Ordering::SeqCst) => {
                Says::Prose("I have seen enough.")
            }
            says => says,
        });
        let rig = rig(form, "", &endpoint).await;
        assert_eq!(rig.run("c1", &small_row()).await.unwrap(), Stop::Ended);
        let (size, asked) = (rig.engine.read(|s| s.size), endpoint.seen());
        let again = live(&rig, &endpoint, None).await;
        assert_eq!(again.len(), 12);
        assert!(
            again
                .iter()
                .all(|l| l.verdict == Verdict::Same && !l.failed())
        );
        assert_eq!(again[0].now.tokens, Some((100, 10)));
        // The same bytes, and nothing of it in the log.
        let seen: Vec<_> = endpoint
            .seen()
            .into_iter()
            .skip(12)
            .map(|s| s.body)
            .collect();
        let first: Vec<_> = asked.into_iter().map(|s| s.body).collect();
        assert_eq!(seen, first);
        assert_eq!(rig.engine.read(|s| s.size), size);

        other.store(true, Ordering::SeqCst);
        let again = live(&rig, &endpoint, None).await;
        let differing: Vec<_> = again.iter().filter(|l| l.verdict.differs()).collect();
        assert!(differing.len() >= 3, "{}", differing.len());
        let text = again.iter().map(ToString::to_string).collect::<String>();
        assert!(
            text.contains("the stance") && text.contains("nothing that can be used"),
            "{text}"
        );
        assert_eq!(live(&rig, &endpoint, Some(2)).await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_was_sent_often_is_asked_once_and_one_that_was_changed_is_not() {
    let (rig, endpoint, _) = told("", vec![Says::Raw(Reply::new(503, "away"))]).await;
    let replayed = rig.replayed("c1");
    assert_eq!(replayed.asked.len(), 13);
    assert_eq!(live(&rig, &endpoint, None).await.len(), 12);

    let rig = opened().await;
    ask(&rig, |body| body.replace("What you obey", "Obey")).await;
    let replayed = rig.replayed("c1");
    let plan = replayed
        .plan(&endpoints(Some(endpoint.port)), None)
        .unwrap();
    assert_eq!((plan.questions, plan.left_out.len()), (0, 1));
    // What is not set up is said before anything is sent.
    let (rig, _, _) = told("", Vec::new()).await;
    let why = rig.replayed("c1").plan(&endpoints(None), None).unwrap_err();
    assert!(why.contains("`here` is not set up"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_found_other_clauses_worth_citing_differs() {
    let other = Arc::new(AtomicBool::new(false));
    let changed = Arc::clone(&other);
    let endpoint = Endpoint::thinking(move |seen: &Seen| match clerk(seen) {
        Says::Call("recommend", mut said) if changed.load(Ordering::SeqCst) => {
            let matter = matter(seen);
            let first = first_clause(&matter).unwrap();
            let rest = matter
                .split_once(&format!("<clause id=\"{first}\""))
                .unwrap()
                .1;
            said["clauses"] = json!([first_clause(rest).unwrap()]);
            Says::Call("recommend", said)
        }
        says => says,
    });
    let rig = rig(OPENAI, "", &endpoint).await;
    rig.run("c1", &small_row()).await.unwrap();
    other.store(true, Ordering::SeqCst);
    let again = live(&rig, &endpoint, None).await;
    let differing: Vec<_> = again.iter().filter(|l| l.verdict.differs()).collect();
    assert_eq!(differing.len(), 2, "the analyst's and the reviewer's last");
    let Verdict::Differs { differences } = &differing[0].verdict else {
        panic!();
    };
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].what, "the clauses");
}
