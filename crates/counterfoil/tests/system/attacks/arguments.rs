//! What was approved is what is executed, once: other arguments in any spelling, and many at once.

use std::thread;

use serde_json::{Value, json};

use super::hand::by_hand_with;
use crate::rig::{
    Example, Server, expected, paid, records, signed, sound, unseat, unseat_all, wait_for,
};

/// The first request for approval that waits for one human and goes against nobody, signed by `amira`: what was approved.
fn approved(server: &Server, not: &[&str]) -> Value {
    let waiting = server.waiting();
    let fits = |w: &&Value| {
        w["humans"] == 1
            && w["yes_overrides"] == false
            && !not.contains(&w["case"].as_str().unwrap())
    };
    let one = waiting.iter().find(fits).unwrap().clone();
    let (status, answer) = server.post("", &signed(server, &one, "amira", "approve"));
    assert_eq!(status, 200, "{answer}");
    one
}

fn using(case: &str, action: &Value) -> Value {
    json!({"type": "use_grant", "grant": format!("{case}.g1"), "action": action})
}

#[test]
fn arguments_swapped_after_approval_pay_nothing_in_any_spelling() {
    let example = Example::new(40);
    let dir = example.dir();
    let executor = unseat(&dir, "executor");
    let server = Server::start(&dir);
    let one = approved(&server, &[]);
    let case = one["case"].as_str().unwrap();
    let before = paid(&dir);

    // One cent, one letter of the account, one field more, one less, another tool.
    let swapped = |change: &dyn Fn(&mut Value)| {
        let mut action = one["action"].clone();
        change(&mut action);
        using(case, &action)
    };
    let cents = one["action"]["arguments"]["amount_cents"].as_i64().unwrap();
    let text = |field: &str| {
        one["action"]["arguments"][field]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let changes: [&dyn Fn(&mut Value); 4] = [
        &|a| a["arguments"]["amount_cents"] = json!(cents + 1),
        &|a| a["arguments"]["account"] = json!(text("account") + "0"),
        &|a| a["arguments"]["reference"] = json!(text("reference") + " "),
        &|a| {
            a["arguments"].as_object_mut().unwrap().remove("reference");
        },
    ];
    for change in changes {
        server.refused(&executor, &swapped(change), "wrong-binding");
    }
    // A number as text is another value, and so is one with a fraction; what would be rounded to the one that was approved
    // is refused at the door.
    let as_text = swapped(&|a| a["arguments"]["amount_cents"] = json!(cents.to_string()));
    server.refused(&executor, &as_text, "wrong-binding");
    for fraction in [cents as f64 + 0.5, cents as f64 + 1e-9] {
        let more = swapped(&|a| a["arguments"]["amount_cents"] = json!(fraction));
        server.refused(&executor, &more, "wrong-binding");
    }
    let null = swapped(&|a| a["arguments"]["note"] = Value::Null);
    server.refused(&executor, &null, "wrong-binding");
    let plain = json!({"request": using(case, &one["action"])}).to_string();
    let number = format!("\"amount_cents\":{cents}");
    assert!(plain.contains(&number), "{plain}");
    for form in [
        "9007199254740993".to_owned(),
        "9007199254740992".to_owned(),
        format!("{cents}.0000000000000001"),
        format!("{cents}.00000000000000000000000000001"),
        format!("{}9999999999999999999e-19", cents - 1),
        format!("{cents}e400"),
    ] {
        let body = plain.replace(&number, &format!("\"amount_cents\":{form}"));
        let (status, answer) = server.post_text(&executor, &body);
        assert_eq!(
            (status, answer["code"].as_str()),
            (400, Some("malformed")),
            "{form}: {answer}"
        );
    }
    // So it is at the door of MCP.
    let message = |cents: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"treasury__transfer_create","arguments":{{"amount_cents":{cents}}}}}}}"#
        )
    };
    let rounded = message(&format!("{cents}.0000000000000001"));
    let (status, answer) = server.post_text_to("/mcp/dev", &executor, &rounded);
    let said = answer["detail"].as_str().unwrap_or_default();
    assert!(
        status == 400 && said.contains("would become"),
        "{status}: {answer}"
    );
    let (status, answer) = server.post_text_to("/mcp/dev", &executor, &message("0.5"));
    assert_eq!(status, 200, "{answer}");
    // Twice the same name: whoever reads the first and whoever reads the last must not see two payments.
    let twice = plain.replace(&number, &format!("{number},\"amount_cents\":1"));
    let (status, answer) = server.post_text(&executor, &twice);
    assert!(status == 400 || status == 403, "{status}: {answer}");
    assert_eq!(paid(&dir), before);

    // The order of keys, the space between them and how a whole number is spelt are no part of what is signed: this is what
    // was approved.
    let digits = cents.to_string().len();
    let spelt = [
        format!("{cents}.0"),
        format!("{cents}e0"),
        format!("0.{cents}E{digits}"),
    ];
    let arguments = one["action"]["arguments"].as_object().unwrap();
    let turned: Vec<String> = arguments
        .iter()
        .rev()
        .map(|(name, value)| match name.as_str() {
            "amount_cents" => format!("{} :\n {}", json!(name), spelt[2]),
            _ => format!("{} :\n {value}", json!(name)),
        })
        .collect();
    let body = format!(
        "{{\"request\": {{\"type\": \"use_grant\", \"grant\": \"{case}.g1\", \"action\": {{\"tool\": {},\n\"arguments\": {{{}}} }} }} }}",
        one["action"]["tool"],
        turned.join(" , ")
    );
    let (status, answer) = server.post_text(&executor, &body);
    assert_eq!(
        (status, &answer["outcome"]),
        (200, &json!("succeeded")),
        "{answer}"
    );
    assert_eq!(paid(&dir), before + 1);
    // And that was all of it: the case has ended, and there is no such grant any more, in no spelling.
    let again = spelt.map(|form| plain.replace(&number, &format!("\"amount_cents\":{form}")));
    for body in again.iter().chain([&plain]) {
        let (status, answer) = server.post_text(&executor, body);
        assert_eq!(status, 404, "{answer}");
    }
    // The record, and so the target, had the number in its one form.
    let used = records(&dir)
        .into_iter()
        .find(|r| r["kind"] == "grant.used" && r["case"] == case);
    let recorded =
        used.unwrap()["body"]["request"]["action"]["arguments"]["amount_cents"].to_string();
    assert_eq!(recorded, cents.to_string());
    assert_eq!(paid(&dir), before + 1);
    server.stop();
    sound(&dir);
}

#[test]
fn the_same_letters_in_another_unicode_form_are_another_action() {
    let example = Example::new(5);
    let dir = example.dir();
    let executor = unseat_all(&dir);
    let server = Server::start(&dir);
    let subject = expected(&example, "auto")[20].clone();
    let (composed, decomposed) = ("Caf\u{e9}", "Cafe\u{301}");
    let review = by_hand_with(&server, "form-1", &subject, |action| {
        action["arguments"]["reference"] = json!(composed);
    });
    let (status, answer) = server.post(&server.token("reviewer"), &review);
    assert_eq!(status, 200, "{answer}");
    // The reference is not that of the books, so that two people have to look.
    let waiting = server.waiting();
    let waiting = waiting.iter().find(|w| w["case"] == "form-1").unwrap();
    for who in ["amira", "bram"] {
        let (status, answer) = server.post("", &signed(&server, waiting, who, "approve"));
        assert_eq!(status, 200, "{answer}");
    }
    let before = paid(&dir);
    let mut action = review["action"].clone();
    for other in [decomposed, "Caf\u{45}\u{301}", "Cafe", "C\u{430}f\u{e9}"] {
        action["arguments"]["reference"] = json!(other);
        server.refused(&executor, &using("form-1", &action), "wrong-binding");
    }
    assert_eq!(paid(&dir), before);
    let (status, answer) = server.post(&executor, &using("form-1", &review["action"]));
    assert_eq!(
        (status, &answer["outcome"]),
        (200, &json!("succeeded")),
        "{answer}"
    );
    assert_eq!(paid(&dir), before + 1);
    server.stop();
}

#[test]
fn a_grant_that_many_race_for_is_used_once() {
    let example = Example::new(60);
    let dir = example.dir();
    let executor = unseat(&dir, "executor");
    let server = Server::start(&dir);
    let before = paid(&dir);
    let mut raced = Vec::new();
    for round in 0..3 {
        let not: Vec<&str> = raced.iter().map(String::as_str).collect();
        let one = approved(&server, &not);
        let case = one["case"].as_str().unwrap().to_owned();
        let request = using(&case, &one["action"]);
        let answers: Vec<(u16, Value)> = thread::scope(|scope| {
            let racing: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| server.post(&executor, &request)))
                .collect();
            racing.into_iter().map(|r| r.join().unwrap()).collect()
        });
        let won = answers.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!(won, 1, "{answers:?}");
        for (status, answer) in answers.iter().filter(|(status, _)| *status != 200) {
            let code = answer["code"].as_str().unwrap();
            assert!(
                // Once the case has ended the grant is not even found.
                (*status == 403 && ["replayed", "wrong-state"].contains(&code))
                    || (*status == 404 && code == "wrong-state"),
                "{status}: {answer}"
            );
        }
        assert_eq!(paid(&dir), before + round + 1);
        let used = wait_for("the outcome", || {
            let all = records(&dir);
            let of_case = |r: &&Value| r["case"] == case.as_str();
            let has = |kind: &str| {
                all.iter()
                    .filter(of_case)
                    .filter(|r| r["kind"] == kind)
                    .count()
            };
            (has("outcome.recorded") == 1).then(|| has("grant.used"))
        });
        assert_eq!(used, 1);
        raced.push(case);
    }
    server.stop();
    sound(&dir);
}
