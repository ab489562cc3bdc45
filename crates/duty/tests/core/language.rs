//! Language models: whether one may be asked, what its answer is good for, and what rests on it.

use duty::{
    canonical::Digest,
    language::{Budget, Language, Tokens},
    principal::Duty,
    record::{Body, ExceptionSort},
    refusal::Code,
    request::{AnswerModel, CallModel, ModelResult, Request, Stance},
};

use crate::world::{World, name};

const DAY: i64 = 86_400_000;

/// The analyst runs on a language model.
fn world(budget: Budget) -> World {
    let mut w = World::new();
    let ana = w.rules.team.agents.iter_mut().find(|a| a.id == name("ana"));
    ana.unwrap().language = Some(Language {
        answers_as: ["alpha".to_owned()].into(),
        parameters: "{}".to_owned(),
        max_tokens: 100,
        attempts: 2,
        budget,
    });
    w.open("c0");
    w
}

fn call() -> CallModel {
    CallModel {
        case: name("c0"),
        model: "rules/a".to_owned(),
        prompt: Digest::of_bytes(b"ana"),
        parameters: "{}".to_owned(),
        snapshot: Digest::of_bytes(b"question"),
        bytes: 398,
        attempt: 1,
        redacted: Default::default(),
    }
}

fn answer(call: &str, result: ModelResult) -> AnswerModel {
    let said = matches!(result, ModelResult::Usable | ModelResult::Malformed);
    AnswerModel {
        call: name(call),
        result,
        snapshot: said.then(|| Digest::of_bytes(call.as_bytes())),
        model: said.then(|| "alpha".to_owned()),
        tokens: said.then_some(Tokens {
            input: 30,
            output: 20,
        }),
        status: None,
        latency_ms: 1,
        problem: (result != ModelResult::Usable).then(|| "why".to_owned()),
    }
}

fn asked(w: &mut World) {
    w.must("ana", Request::CallModel(call()));
}

fn answered(w: &mut World, call: &str, result: ModelResult) {
    w.must("engine", Request::AnswerModel(answer(call, result)));
}

#[test]
fn a_model_is_asked_as_the_release_pins_it_by_its_agent_in_its_turn() {
    let mut w = world(Budget::default());
    type Change = fn(&mut CallModel);
    let drifts: [Change; 3] = [
        |c| c.model = "rules/b".to_owned(),
        |c| c.prompt = Digest::of_bytes(b"other"),
        |c| c.parameters = "{\"temperature\":1}".to_owned(),
    ];
    for change in drifts {
        let mut other = call();
        change(&mut other);
        w.refused("ana", Request::CallModel(other), Code::ModelDrifted);
    }
    // The reviewer has no language model, and the executor neither recommends nor asks.
    w.refused("rev", Request::CallModel(call()), Code::NotPermitted);
    w.refused("exe", Request::CallModel(call()), Code::NotYourDuty);
    asked(&mut w);
    w.refused(
        "ana",
        Request::AnswerModel(answer("c0.m1", ModelResult::Usable)),
        Code::NotYourDuty,
    );
    answered(&mut w, "c0.m1", ModelResult::Usable);
    w.refused(
        "engine",
        Request::AnswerModel(answer("c0.m1", ModelResult::Usable)),
        Code::Replayed,
    );
    w.refused(
        "engine",
        Request::AnswerModel(answer("c0.m2", ModelResult::Usable)),
        Code::WrongState,
    );
    // Prepared: it is not its turn any more.
    w.read("c0", "ana", "");
    w.retrieve("c0", "ana");
    let mut said = w.recommendation("c0", Duty::Prepare, Stance::Proceed, 50);
    said.inputs.push(Digest::of_bytes(b"c0.m1"));
    w.must("ana", Request::Recommend(said));
    w.refused("ana", Request::CallModel(call()), Code::WrongState);
}

#[test]
fn one_question_at_a_time_and_again_only_as_often_as_the_release_says() {
    let mut w = world(Budget::default());
    let nth = |attempt| Request::CallModel(CallModel { attempt, ..call() });
    w.refused("ana", nth(2), Code::Malformed);
    asked(&mut w);
    w.refused("ana", nth(1), Code::WrongState);
    answered(&mut w, "c0.m1", ModelResult::Lost);
    w.refused("ana", nth(1), Code::Malformed);
    w.must("ana", nth(2));
    answered(&mut w, "c0.m2", ModelResult::Refused);
    w.refused("ana", nth(3), Code::OverBudget);
    w.refused("ana", nth(1), Code::Malformed);
}

#[test]
fn what_a_model_is_recommended_to_have_said_is_in_the_log() {
    let mut w = world(Budget::default());
    w.read("c0", "ana", "");
    w.retrieve("c0", "ana");
    let plain = |w: &World| w.recommendation("c0", Duty::Prepare, Stance::Proceed, 50);
    let resting = |w: &World, on: &str| {
        let mut said = plain(w);
        said.inputs.push(Digest::of_bytes(on.as_bytes()));
        Request::Recommend(said)
    };
    // Nothing was said.
    let said = Request::Recommend(plain(&w));
    w.refused("ana", said, Code::ModelUnheard);
    asked(&mut w);
    let said = Request::Recommend(plain(&w));
    w.refused("ana", said, Code::ModelUnheard);
    answered(&mut w, "c0.m1", ModelResult::Malformed);
    let said = resting(&w, "c0.m1");
    w.refused("ana", said, Code::ModelUnheard);
    asked(&mut w);
    answered(&mut w, "c0.m2", ModelResult::Usable);
    // Without naming it, or naming what is no input at all.
    let said = Request::Recommend(plain(&w));
    w.refused("ana", said, Code::ModelUnheard);
    let said = resting(&w, "c0.m9");
    w.refused("ana", said, Code::Malformed);
    // To refer with an action, or to refuse, rests on it as well.
    let mut said = plain(&w);
    said.stance = Stance::Refer;
    w.refused("ana", Request::Recommend(said), Code::ModelUnheard);
    let mut said = plain(&w);
    (said.stance, said.action) = (Stance::Refuse, None);
    w.refused("ana", Request::Recommend(said), Code::ModelUnheard);
    // What it said last counts, not what it said before.
    asked(&mut w);
    answered(&mut w, "c0.m3", ModelResult::Usable);
    let said = resting(&w, "c0.m2");
    w.refused("ana", said, Code::ModelUnheard);
    let said = resting(&w, "c0.m3");
    w.must("ana", said);
}

#[test]
fn a_human_can_always_be_asked() {
    let mut w = world(Budget::default());
    w.retrieve("c0", "ana");
    let mut said = w.recommendation("c0", Duty::Prepare, Stance::Refer, 50);
    said.action = None;
    w.must("ana", Request::Recommend(said));
}

#[test]
fn another_models_answer_is_an_exception_and_nothing_rests_on_it() {
    for other in [Some("alpha-2".to_owned()), None] {
        let mut w = world(Budget::default());
        w.read("c0", "ana", "");
        w.retrieve("c0", "ana");
        asked(&mut w);
        let mut drifted = answer("c0.m1", ModelResult::Usable);
        drifted.model = other;
        let records = w.must("engine", Request::AnswerModel(drifted));
        assert!(matches!(&records[0].body, Body::ModelAnswered(b) if b.drift.is_some()));
        assert!(
            matches!(&records[1].body, Body::ExceptionRaised(b) if b.sort == ExceptionSort::ModelDrifted)
        );
        let mut said = w.recommendation("c0", Duty::Prepare, Stance::Proceed, 50);
        said.inputs.push(Digest::of_bytes(b"c0.m1"));
        w.refused("ana", Request::Recommend(said), Code::ModelUnheard);
    }
}

#[test]
fn an_answer_is_usable_or_has_a_problem_and_what_was_said_is_kept() {
    let mut w = world(Budget::default());
    asked(&mut w);
    type Change = fn(&mut AnswerModel);
    let wrong: [Change; 3] = [
        |a| a.problem = Some("x".to_owned()),
        |a| a.snapshot = None,
        |a| a.result = ModelResult::Lost,
    ];
    for change in wrong {
        let mut a = answer("c0.m1", ModelResult::Usable);
        change(&mut a);
        w.refused("engine", Request::AnswerModel(a), Code::Malformed);
    }
}

#[test]
fn a_budget_counts_what_was_used_and_what_may_come() {
    // A question may come to 100 tokens of its answer and 100 of its 398 bytes.
    let most = |tokens| Budget {
        case_tokens: Some(tokens),
        ..Budget::default()
    };
    let mut w = world(most(199));
    w.refused("ana", Request::CallModel(call()), Code::OverBudget);
    // Once it is answered, what the endpoint counted counts: 50.
    let mut w = world(most(250));
    asked(&mut w);
    answered(&mut w, "c0.m1", ModelResult::Usable);
    asked(&mut w);
    answered(&mut w, "c0.m2", ModelResult::Usable);
    w.refused("ana", Request::CallModel(call()), Code::OverBudget);
    // Without an answer it counts whole; refused by the endpoint, for nothing.
    for (result, code) in [
        (ModelResult::Lost, Some(Code::OverBudget)),
        (ModelResult::Refused, None),
        (ModelResult::Unsent, None),
    ] {
        let mut w = world(most(250));
        asked(&mut w);
        answered(&mut w, "c0.m1", result);
        let again = Request::CallModel(CallModel {
            attempt: 2,
            ..call()
        });
        match code {
            Some(code) => drop(w.refused("ana", again, code)),
            None => drop(w.must("ana", again)),
        }
    }
    let mut w = world(Budget {
        case_calls: Some(1),
        ..Budget::default()
    });
    asked(&mut w);
    answered(&mut w, "c0.m1", ModelResult::Usable);
    w.refused("ana", Request::CallModel(call()), Code::OverBudget);
}

#[test]
fn a_days_budget_is_of_all_cases_and_ends_with_the_day() {
    for budget in [
        Budget {
            day_calls: Some(1),
            ..Budget::default()
        },
        Budget {
            day_tokens: Some(220),
            ..Budget::default()
        },
    ] {
        let mut w = world(budget);
        w.open("c1");
        asked(&mut w);
        answered(&mut w, "c0.m1", ModelResult::Usable);
        let other = Request::CallModel(CallModel {
            case: name("c1"),
            ..call()
        });
        w.refused("ana", other.clone(), Code::OverBudget);
        w.clock += DAY;
        w.must("ana", other);
    }
    // What is answered on the next day takes nothing from that day.
    let mut w = world(Budget {
        day_tokens: Some(300),
        ..Budget::default()
    });
    w.open("c1");
    asked(&mut w);
    w.clock += DAY;
    let other = Request::CallModel(CallModel {
        case: name("c1"),
        ..call()
    });
    w.must("ana", other);
    answered(&mut w, "c0.m1", ModelResult::Usable);
    let spent = w.state.spent[&name("staging")][&name("ana")];
    assert_eq!((spent.calls, spent.tokens), (1, 200));
}
