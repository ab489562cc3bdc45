//! A tool that its server describes otherwise than the release pins it is not called, and a human is told.

use duty::{
    canonical::Digest,
    record::{Body, ExceptionSort},
    refusal::Code,
    request::Request,
};

use crate::world::{World, kinds};

fn pinned(tool: &str) -> World {
    let mut w = World::new();
    let tool = w.rules.team.tools.get_mut(tool).unwrap();
    tool.pinned = Some(Digest::of_bytes(b"as released"));
    w
}

fn with(mut request: Request, described: Option<&[u8]>) -> Request {
    let digest = described.map(Digest::of_bytes);
    match &mut request {
        Request::Call(call) => call.described = digest,
        Request::UseGrant(using) => using.described = digest,
        other => panic!("{}", other.word()),
    }
    request
}

/// How many exceptions that a tool changed wait for somebody.
fn told(w: &World) -> usize {
    let raised = w.state.exceptions.values();
    raised
        .filter(|e| e.sort == ExceptionSort::ToolChanged)
        .count()
}

#[test]
fn a_read_passes_only_as_it_is_pinned() {
    let mut w = pinned("books.vendor");
    w.open("c1");
    for (n, described) in [Some(&b"poisoned"[..]), None].into_iter().enumerate() {
        let decision = w.ask("ana", with(w.call("c1"), described));
        let refusal = decision.refusal.expect("refused");
        assert_eq!(refusal.code, Code::ToolChanged);
        assert!(refusal.why.contains("books.vendor"), "{refusal}");
        // A human is told once, however often an agent tries.
        let all = ["request.refused", "exception.raised"];
        assert_eq!(kinds(&decision.records), all[..2 - n]);
        assert_eq!(told(&w), 1);
        assert!(w.state.cases.values().all(|case| case.calls.is_empty()));
    }
    let records = w.must("ana", with(w.call("c1"), Some(b"as released")));
    assert!(matches!(records[0].body, Body::CallPermitted(_)));
}

#[test]
fn a_grant_is_not_consumed_by_a_tool_that_changed() {
    let mut w = pinned("bank.pay");
    w.judged("c1", 50);
    let changed = w.ask("exe", with(w.use_grant("c1", 50), Some(b"poisoned")));
    assert_eq!(changed.refusal.map(|r| r.code), Some(Code::ToolChanged));
    assert_eq!(told(&w), 1);
    let unseen = w.ask("exe", with(w.use_grant("c1", 50), None));
    assert_eq!(unseen.refusal.map(|r| r.code), Some(Code::ToolChanged));
    w.must("exe", with(w.use_grant("c1", 50), Some(b"as released")));
}

#[test]
fn what_is_not_pinned_is_not_compared() {
    let mut w = pinned("bank.pay");
    w.open("c1");
    w.must("ana", with(w.call("c1"), Some(b"whatever")));
}
