"""The way of one guarded call, as steps without any I/O: each asks for one request and is sent its answer.

Where a call stands is read from its case, and nowhere else: a call that was cut off anywhere goes on from there when it
comes again with the same key.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias

from . import _wire
from ._wire import Call, Json
from .errors import AlreadyDone, NotGranted, OutcomeUnknown, Pending, Simulated


@dataclass(frozen=True)
class Seat:
    """An agent: its token, the model that it runs on, and the prompt, as the release pins them."""

    token: str
    model: str = ""
    prompt: str | None = None

    def prompt_digest(self) -> str | None:
        """SHA-256 of the prompt, where there is one."""
        return None if self.prompt is None else hashlib.sha256(self.prompt.encode()).hexdigest()


@dataclass(frozen=True)
class Opinion:
    """What a reviewer comes to: `proceed`, `refuse` or `refer`, how sure in percent, and why."""

    stance: str
    rationale: str
    confidence: int = 100


@dataclass(frozen=True)
class Review:
    """What a reviewer sees: the source as it came in, and the action that was prepared."""

    case: str
    subject: str
    source: str
    action: Json


@dataclass(frozen=True)
class Reviewer:
    """A reviewer in this process: an agent of its own, and what it checks."""

    seat: Seat
    check: Callable[[Review], Opinion]


@dataclass(frozen=True)
class Plan:
    """One guarded call, before it runs."""

    environment: str
    subject: str
    source: str
    action: Json
    query: str
    cite: tuple[str, ...]
    rationale: str
    confidence: int
    key: str


@dataclass(frozen=True)
class Ready:
    """The grant is used: the action is to be carried out now, once, and reported."""

    case: str
    grant: str


@dataclass(frozen=True)
class Ask:
    """One request, as whom."""

    seat: Seat
    call: Call


Steps: TypeAlias = Generator[Ask, Json, Ready]


def go(plan: Plan, analyst: Seat, reviewer: Reviewer | None, executor: Seat | None) -> Steps:
    """As far as it goes: the grant used, or an exception that says for whom it waits or how it ended."""
    opened = yield from open_case(plan, analyst)
    while True:
        view = yield Ask(analyst, _wire.get(f"/v1/cases/{opened}"))
        stage = view["stage"]
        if stage == "open":
            yield from recommend(
                plan, opened, analyst, "prepare", Opinion("proceed", plan.rationale, plan.confidence), view
            )
        elif stage == "prepared" and reviewer is not None:
            seen = Review(opened, plan.subject, plan.source, view["action"])
            yield from recommend(plan, opened, reviewer.seat, "review", reviewer.check(seen), view)
        elif stage == "granted" and executor is not None:
            return (yield from use(plan, opened, view["grant"]["grant"], executor))
        elif stage == "ended":
            raise AlreadyDone(opened) if view["ended"] == "executed" else NotGranted(
                opened, view["ended"]
            )
        elif stage in ("executing", "unknown"):
            raise OutcomeUnknown(opened)
        else:
            approval = view.get("approval")
            raise Pending(opened, stage, approval["approval"] if approval else None)


def open_case(plan: Plan, analyst: Seat) -> Generator[Ask, Json, str]:
    """The case of this key: opened now, or before."""
    body: Json = {
        "environment": plan.environment,
        "subject": plan.subject,
        "source": plan.source,
        "case": case_of(plan.key),
    }
    answer = yield Ask(analyst, _wire.post("/v1/cases", body, f"open-{case_of(plan.key)}"))
    return str(answer["case"])


def case_of(key: str) -> str:
    """The id of the case of a key: always the same."""
    return "c-" + hashlib.sha256(f"counterfoil\n{key}".encode()).hexdigest()[:32]


def recommend(
    plan: Plan, case: str, seat: Seat, duty: str, opinion: Opinion, view: Json
) -> Generator[Ask, Json, None]:
    """Retrieves, cites, and recommends the action."""
    query = _wire.post(f"/v1/cases/{case}/retrievals", {"query": plan.query}, f"{case}-{duty}-query")
    found = (yield Ask(seat, query))["ranking"]
    clauses = [f["clause"] for f in found]
    # What is named and was not found is refused by the server, with the reason.
    cited = [c for c in clauses if c["id"] in plan.cite] if plan.cite else clauses[:1]
    body: Json = {
        "duty": duty,
        "stance": opinion.stance,
        "confidence": opinion.confidence,
        "rationale": opinion.rationale,
        "action": plan.action,
        "clauses": cited,
        "model": seat.model,
        "inputs": [view["snapshot"]],
    }
    if (prompt := seat.prompt_digest()) is not None:
        body["prompt"] = prompt
    made = _wire.post(f"/v1/cases/{case}/recommendations", body, f"{case}-{duty}")
    yield Ask(seat, made)


def use(plan: Plan, case: str, grant: str, executor: Seat) -> Steps:
    """Uses the grant. The key is this attempt's alone: another process must not be told again to go."""
    call = _wire.post(f"/v1/grants/{grant}/use", {"action": plan.action}, f"use-{uuid.uuid4().hex}")
    used = yield Ask(executor, call)
    if used["carry_out"]:
        return Ready(case, grant)
    if used["simulated"]:
        raise Simulated(case)
    if used["outcome"] == "succeeded":
        raise AlreadyDone(case)
    raise OutcomeUnknown(case) if used["outcome"] == "unknown" else NotGranted(case, "failed")


def report(ready: Ready, executor: Seat, outcome: str, detail: str, result: object) -> Ask:
    """What came of it."""
    body: Json = {"outcome": outcome, "detail": detail[:300]}
    if result is not None:
        body["result"] = result
    return Ask(
        executor, _wire.post(f"/v1/grants/{ready.grant}/outcome", body, f"report-{ready.grant}-{outcome}")
    )
