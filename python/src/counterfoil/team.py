"""A team in this process, and functions that run only with a grant."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

from . import _steps
from ._steps import Ask, Plan, Ready, Reviewer, Seat
from ._wire import Json
from .client import AsyncClient, Client
from .errors import CounterfoilError, NotDone, Pending, Unreported

P = ParamSpec("P")
R = TypeVar("R")


class Team:
    """Who acts from this process: the analyst always, a reviewer and an executor where their tokens are here.

    The analyst's principal needs the role `intake` beside `analyst`, since it opens the cases.
    """

    def __init__(
        self,
        url: str,
        *,
        environment: str,
        analyst: Seat,
        executor: Seat | None = None,
        reviewer: Reviewer | None = None,
    ) -> None:
        self.url = url
        self.environment = environment
        self.analyst = analyst
        self.executor = executor
        self.reviewer = reviewer
        self._clients: dict[str, Client] = {}

    def client(self, seat: Seat) -> Client:
        """A client that speaks as this agent."""
        return self._clients.setdefault(seat.token, Client(self.url, seat.token))

    def governed(
        self,
        tool: str,
        *,
        subject: Callable[..., str] | None = None,
        source: Callable[..., str] | None = None,
        query: str | None = None,
        cite: tuple[str, ...] = (),
        rationale: str | None = None,
        confidence: int = 100,
        wait: float | None = None,
    ) -> Callable[[Callable[P, R]], Governed[P, R]]:
        """Makes a function the effect of `tool`: its body runs only with a grant, and what came of it is recorded.

        `subject` and `source` are made of the call's arguments; without them the subject is the first argument, and the
        source all of them. `query` is what is looked for in the policies (the function's first line of documentation), and
        `cite` which of the clauses found are cited (the first). With `wait`, a call waits so many seconds for people;
        without, it raises `Pending` at once.
        """

        def guard(function: Callable[P, R]) -> Governed[P, R]:
            return Governed(
                self, function, tool, subject, source, query, cite, rationale, confidence, wait
            )

        return guard


class Governed(Generic[P, R]):
    """A guarded function. Called, it goes as far as it may; `call` and `acall` take a key to go on with."""

    def __init__(
        self,
        team: Team,
        function: Callable[P, R],
        tool: str,
        subject: Callable[..., str] | None,
        source: Callable[..., str] | None,
        query: str | None,
        cite: tuple[str, ...],
        rationale: str | None,
        confidence: int,
        wait: float | None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.team = team
        self.function = function
        self.tool = tool
        self._subject = subject
        self._source = source
        line = (inspect.getdoc(function) or tool).splitlines()[0]
        self._query = query or line
        self._cite = cite
        self._rationale = rationale or f"The app asks for it: {line}"
        self._confidence = confidence
        self._wait = wait
        self._signature = inspect.signature(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.call(uuid.uuid4().hex, *args, **kwargs)

    def plan(self, key: str, arguments: Json) -> Plan:
        """The call as it is asked for."""
        subject = self._subject or (lambda **named: str(next(iter(named.values()), self.tool)))
        source = self._source or (lambda **named: json.dumps(named, sort_keys=True))
        return Plan(
            environment=self.team.environment,
            subject=subject(**arguments),
            source=source(**arguments),
            action={"tool": self.tool, "arguments": arguments},
            query=self._query,
            cite=self._cite,
            rationale=self._rationale,
            confidence=self._confidence,
            key=key,
        )

    def arguments(self, *args: Any, **kwargs: Any) -> Json:
        """The call's arguments by name."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def call(self, key: str, *args: P.args, **kwargs: P.kwargs) -> R:
        """As calling it; the same key goes on where the call stands, also in another process."""
        plan = self.plan(key, self.arguments(*args, **kwargs))
        ready = self._granted(plan)
        body = cast(Callable[..., R], self.function)
        try:
            result = body(**plan.action["arguments"])
        except BaseException as e:
            self._report(ready, *_failed(e), None)
            raise
        self._report(ready, "succeeded", "done", result)
        return result

    async def acall(self, key: str, *args: P.args, **kwargs: P.kwargs) -> Any:
        """As `call`, for asyncio; the function may be a coroutine function."""
        plan = self.plan(key, self.arguments(*args, **kwargs))
        ready = await self._agranted(plan)
        body = cast(Callable[..., Any], self.function)
        try:
            result = body(**plan.action["arguments"])
            if inspect.isawaitable(result):
                result = await result
        except BaseException as e:
            # Also where this task is cancelled: what is known of the effect must not be lost with it.
            await asyncio.shield(self._areport(ready, *_failed(e), None))
            raise
        await self._areport(ready, "succeeded", "done", result)
        return result

    def prepare(self, key: str, *args: P.args, **kwargs: P.kwargs) -> Pending | None:
        """Goes as far as the agents can without executing: gives for whom it waits, or nothing where it waits for nobody."""
        steps = self._way(self.plan(key, self.arguments(*args, **kwargs)), None)
        try:
            self._drive(steps)
        except Pending as pending:
            return None if pending.stage == "granted" else pending
        return None

    async def aprepare(self, key: str, *args: P.args, **kwargs: P.kwargs) -> Pending | None:
        """As `prepare`, for asyncio."""
        return await asyncio.to_thread(self.prepare, key, *args, **kwargs)

    def _way(self, plan: Plan, executor: Seat | None) -> _steps.Steps:
        return _steps.go(plan, self.team.analyst, self.team.reviewer, executor)

    def _drive(self, steps: _steps.Steps) -> Ready:
        try:
            ask = next(steps)
            while True:
                ask = steps.send(self._send(ask))
        except StopIteration as done:
            return cast(Ready, done.value)

    def _send(self, ask: Ask) -> Json:
        return self.team.client(ask.seat).send(ask.call)

    def _granted(self, plan: Plan) -> Ready:
        end = None if self._wait is None else time.monotonic() + self._wait
        while True:
            try:
                return self._drive(self._way(plan, self._executor()))
            except Pending as pending:
                left = 0.0 if end is None else end - time.monotonic()
                if left < 1:
                    raise
                client = self.team.client(self.team.analyst)
                client.read_case(pending.case, stage=pending.stage, wait=left)

    async def _agranted(self, plan: Plan) -> Ready:
        # Its requests are blocking; each is short, but for one that waits for people.
        return await asyncio.to_thread(self._granted, plan)

    def _executor(self) -> Seat:
        if self.team.executor is None:
            raise CounterfoilError("this process has no executor: give the team the executor's token")
        return self.team.executor

    def _report(self, ready: Ready, outcome: str, detail: str, result: object) -> None:
        try:
            self._send(_steps.report(ready, self._executor(), outcome, detail, _plain(result)))
        except CounterfoilError as e:
            if outcome == "succeeded":
                raise Unreported(ready.case, result) from e
            # The exception of the function itself says more; unreported, the outcome becomes unknown by itself.

    async def _areport(self, ready: Ready, outcome: str, detail: str, result: object) -> None:
        await asyncio.to_thread(self._report, ready, outcome, detail, result)


def _failed(error: BaseException) -> tuple[str, str]:
    """What an exception says of the effect. Its words may hold personal data, so that only its name is recorded."""
    if isinstance(error, NotDone):
        return "failed", str(error) or "not done"
    return "unknown", f"the function raised {type(error).__name__}"


def _plain(result: object) -> object:
    """The result, where it is plain JSON; else nothing is kept of it."""
    try:
        json.dumps(result)
    except (TypeError, ValueError):
        return None
    return result


__all__ = ["AsyncClient", "Client", "Governed", "Reviewer", "Seat", "Team"]
