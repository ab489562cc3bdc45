"""Clients of the HTTP API, one blocking and one for asyncio, with the same methods."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import httpx

from . import _wire
from ._wire import Call, Json
from .errors import Problem, Unreachable

_TIMEOUT = 30.0
#: The longest that the server lets a reader wait, in seconds.
_WAIT = 25.0


def _open(environment: str, subject: str, source: str, case: str | None, key: str | None) -> Call:
    body: Json = {"environment": environment, "subject": subject, "source": source}
    if case is not None:
        body["case"] = case
    return _wire.post("/v1/cases", body, key)


def _recommend(
    case: str,
    duty: str,
    stance: str,
    action: Json | None,
    confidence: int,
    rationale: str,
    clauses: list[Json],
    model: str,
    prompt: str | None,
    inputs: list[str],
    key: str | None,
) -> Call:
    body: Json = {
        "duty": duty,
        "stance": stance,
        "confidence": confidence,
        "rationale": rationale,
        "clauses": clauses,
        "model": model,
        "inputs": inputs,
    }
    if action is not None:
        body["action"] = action
    if prompt is not None:
        body["prompt"] = prompt
    return _wire.post(f"/v1/cases/{case}/recommendations", body, key)


def _record(
    case: str,
    stance: str,
    action: Json | None,
    confidence: int,
    rationale: str,
    clauses: list[Json],
    model: str,
    system: str,
    key: str | None,
) -> Call:
    body: Json = {
        "stance": stance,
        "confidence": confidence,
        "rationale": rationale,
        "clauses": clauses,
        "model": model,
        "system": system,
    }
    if action is not None:
        body["action"] = action
    return _wire.post(f"/v1/cases/{case}/decisions", body, key)


def _report(grant: str, outcome: str, detail: str, result: object, key: str | None) -> Call:
    body: Json = {"outcome": outcome, "detail": detail}
    if result is not None:
        body["result"] = result
    return _wire.post(f"/v1/grants/{grant}/outcome", body, key)


def _read_case(case: str, stage: str | None, wait: float) -> Call:
    if stage is None or wait < 1:
        return _wire.get(f"/v1/cases/{case}")
    seconds = str(int(min(wait, _WAIT)))
    return _wire.get(f"/v1/cases/{case}", {"wait": seconds, "while": stage}, patience=_WAIT)


def _page(path: str, params: dict[str, str], cursor: str | None) -> Call:
    return _wire.get(path, params if cursor is None else {**params, "cursor": cursor})


class Client:
    """One principal at a server, by its token. Every POST is sent again where it did not get through, and done once."""

    def __init__(self, url: str, token: str, *, http: httpx.Client | None = None) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._http = http or httpx.Client()
        self._own = http is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._own:
            self._http.close()

    def send(self, call: Call) -> Json:
        """Sends a call, again where that is safe, and reads the answer."""
        pauses = iter(_wire.PAUSES)
        while True:
            try:
                response = self._http.request(
                    call.method,
                    self._url + call.path,
                    json=call.body,
                    params=call.params,
                    headers=call.headers(self._token),
                    timeout=_TIMEOUT + call.patience,
                )
                return _wire.read(response)
            except httpx.TransportError as e:
                pause = next(pauses, None)
                if pause is None:
                    raise Unreachable(f"{self._url}: {e}") from e
            except Problem as e:
                pause = next(pauses, None)
                after = _wire.again(e)
                if pause is None or after is None or after > 10:
                    raise
                pause = max(pause, after)
            time.sleep(pause)

    def me(self, environment: str | None = None) -> Json:
        """Who the token's holder is, and its place in the team of an environment."""
        return self.send(_wire.get("/v1/me", {"environment": environment} if environment else None))

    def open_case(
        self,
        environment: str,
        subject: str,
        source: str = "",
        *,
        case: str | None = None,
        key: str | None = None,
    ) -> Json:
        """Opens a case over its source."""
        return self.send(_open(environment, subject, source, case, key))

    def read_case(self, case: str, *, stage: str | None = None, wait: float = 0) -> Json:
        """Where a case stands; with `wait`, at most so many seconds as long as it stands at `stage`."""
        return self.send(_read_case(case, stage, wait))

    def call(self, case: str, action: Json, *, key: str | None = None) -> Json:
        """Calls a tool without effect."""
        return self.send(_wire.post(f"/v1/cases/{case}/calls", {"action": action}, key))

    def retrieve(self, case: str, query: str, *, key: str | None = None) -> Json:
        """Looks for clauses."""
        return self.send(_wire.post(f"/v1/cases/{case}/retrievals", {"query": query}, key))

    def recommend(
        self,
        case: str,
        *,
        duty: str,
        stance: str,
        rationale: str,
        clauses: list[Json],
        model: str,
        inputs: list[str],
        confidence: int = 100,
        action: Json | None = None,
        prompt: str | None = None,
        key: str | None = None,
    ) -> Json:
        """Recommends, under the duty `prepare` or `review`."""
        return self.send(
            _recommend(
                case, duty, stance, action, confidence, rationale, clauses, model, prompt, inputs, key
            )
        )

    def record(
        self,
        case: str,
        *,
        stance: str,
        rationale: str,
        clauses: list[Json],
        model: str,
        system: str,
        confidence: int = 100,
        action: Json | None = None,
        key: str | None = None,
    ) -> Json:
        """Takes down a decision that was made elsewhere; the case ends with it."""
        return self.send(
            _record(case, stance, action, confidence, rationale, clauses, model, system, key)
        )

    def clauses(self, environment: str, *ids: str) -> list[Json]:
        """Clauses of the release in force: those named, or all."""
        found: list[Json] = []
        for only in ids or (None,):
            params = {"environment": environment, **({"id": only} if only else {})}
            found += self._all("/v1/clauses", params)
        return found

    def approvals(self) -> list[Json]:
        """What waits for people."""
        return self._all("/v1/approvals", {})

    def exceptions(self) -> list[Json]:
        """What a person must triage."""
        return self._all("/v1/exceptions", {})

    def wait_for_approval(self, case: str, timeout: float | None = None) -> Json:
        """Waits until the case waits no more for people, or so many seconds; gives where it stands then."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _WAIT if end is None else max(0.0, end - time.monotonic())
            view = self.read_case(case, stage="waiting", wait=left)
            if view["stage"] != "waiting" or (end is not None and time.monotonic() >= end - 1):
                return view

    def statement(
        self, approval: str, *, signer: str, credential: str, decision: str, reason: str = ""
    ) -> Json:
        """The statement that a person would sign, with its bytes in base64."""
        params = {
            "signer": signer,
            "credential": credential,
            "decision": decision,
            "reason": reason,
        }
        return self.send(_wire.get(f"/v1/approvals/{approval}/statement", params))

    def sign(self, statement: Json, signature: Any) -> Json:
        """Sends a statement that a person signed."""
        return self.send(
            _wire.post("/v1/statements", {"statement": statement, "signature": signature})
        )

    def use_grant(self, grant: str, action: Json, *, key: str | None = None) -> Json:
        """Uses a grant. A `key` here must not outlive the process that carries the effect out."""
        return self.send(_wire.post(f"/v1/grants/{grant}/use", {"action": action}, key))

    def report(
        self,
        grant: str,
        outcome: str,
        detail: str = "",
        result: object = None,
        *,
        key: str | None = None,
    ) -> Json:
        """Says what came of an effect that this principal carried out."""
        return self.send(_report(grant, outcome, detail, result, key))

    def _all(self, path: str, params: dict[str, str]) -> list[Json]:
        items: list[Json] = []
        cursor: str | None = None
        while True:
            page = self.send(_page(path, params, cursor))
            items += page["items"]
            cursor = page.get("next")
            if cursor is None:
                return items


class AsyncClient:
    """As `Client`, for asyncio."""

    def __init__(self, url: str, token: str, *, http: httpx.AsyncClient | None = None) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._http = http or httpx.AsyncClient()
        self._own = http is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._own:
            await self._http.aclose()

    async def send(self, call: Call) -> Json:
        """Sends a call, again where that is safe, and reads the answer."""
        pauses = iter(_wire.PAUSES)
        while True:
            try:
                response = await self._http.request(
                    call.method,
                    self._url + call.path,
                    json=call.body,
                    params=call.params,
                    headers=call.headers(self._token),
                    timeout=_TIMEOUT + call.patience,
                )
                return _wire.read(response)
            except httpx.TransportError as e:
                pause = next(pauses, None)
                if pause is None:
                    raise Unreachable(f"{self._url}: {e}") from e
            except Problem as e:
                pause = next(pauses, None)
                after = _wire.again(e)
                if pause is None or after is None or after > 10:
                    raise
                pause = max(pause, after)
            await asyncio.sleep(pause)

    async def me(self, environment: str | None = None) -> Json:
        """As `Client.me`."""
        params = {"environment": environment} if environment else None
        return await self.send(_wire.get("/v1/me", params))

    async def open_case(
        self,
        environment: str,
        subject: str,
        source: str = "",
        *,
        case: str | None = None,
        key: str | None = None,
    ) -> Json:
        """As `Client.open_case`."""
        return await self.send(_open(environment, subject, source, case, key))

    async def read_case(self, case: str, *, stage: str | None = None, wait: float = 0) -> Json:
        """As `Client.read_case`."""
        return await self.send(_read_case(case, stage, wait))

    async def call(self, case: str, action: Json, *, key: str | None = None) -> Json:
        """As `Client.call`."""
        return await self.send(_wire.post(f"/v1/cases/{case}/calls", {"action": action}, key))

    async def retrieve(self, case: str, query: str, *, key: str | None = None) -> Json:
        """As `Client.retrieve`."""
        return await self.send(_wire.post(f"/v1/cases/{case}/retrievals", {"query": query}, key))

    async def recommend(
        self,
        case: str,
        *,
        duty: str,
        stance: str,
        rationale: str,
        clauses: list[Json],
        model: str,
        inputs: list[str],
        confidence: int = 100,
        action: Json | None = None,
        prompt: str | None = None,
        key: str | None = None,
    ) -> Json:
        """As `Client.recommend`."""
        return await self.send(
            _recommend(
                case, duty, stance, action, confidence, rationale, clauses, model, prompt, inputs, key
            )
        )

    async def record(
        self,
        case: str,
        *,
        stance: str,
        rationale: str,
        clauses: list[Json],
        model: str,
        system: str,
        confidence: int = 100,
        action: Json | None = None,
        key: str | None = None,
    ) -> Json:
        """As `Client.record`."""
        return await self.send(
            _record(case, stance, action, confidence, rationale, clauses, model, system, key)
        )

    async def wait_for_approval(self, case: str, timeout: float | None = None) -> Json:
        """As `Client.wait_for_approval`."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _WAIT if end is None else max(0.0, end - time.monotonic())
            view = await self.read_case(case, stage="waiting", wait=left)
            if view["stage"] != "waiting" or (end is not None and time.monotonic() >= end - 1):
                return view

    async def use_grant(self, grant: str, action: Json, *, key: str | None = None) -> Json:
        """As `Client.use_grant`."""
        return await self.send(_wire.post(f"/v1/grants/{grant}/use", {"action": action}, key))

    async def report(
        self,
        grant: str,
        outcome: str,
        detail: str = "",
        result: object = None,
        *,
        key: str | None = None,
    ) -> Json:
        """As `Client.report`."""
        return await self.send(_report(grant, outcome, detail, result, key))
