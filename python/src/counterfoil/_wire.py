"""Requests and answers, without any I/O: shared by the sync and the async client."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from .errors import Problem, Refused, TooMany, Unauthenticated, Unavailable

Json = dict[str, Any]

#: Seconds between the tries of a request that did not get through.
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Call:
    """One request. A POST always carries a key, so that sending it again does nothing twice."""

    method: str
    path: str
    body: Json | None = None
    params: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    #: Seconds that the server may take longer than usual.
    patience: float = 0.0

    def headers(self, token: str) -> dict[str, str]:
        headers = {"authorization": f"Bearer {token}"}
        if self.key is not None:
            headers["idempotency-key"] = self.key
        return headers


def get(path: str, params: dict[str, str] | None = None, patience: float = 0.0) -> Call:
    return Call("GET", path, params=params or {}, patience=patience)


def post(path: str, body: Json, key: str | None = None) -> Call:
    return Call("POST", path, body=body, key=key or uuid.uuid4().hex)


def read(response: httpx.Response) -> Json:
    """The answer, or the problem as an exception."""
    try:
        answer = response.json()
    except json.JSONDecodeError:
        answer = {}
    if response.is_success and isinstance(answer, dict):
        return cast(Json, answer)
    if not isinstance(answer, dict):
        answer = {}
    status = response.status_code
    code = str(answer.get("code", "unavailable"))
    detail = str(answer.get("detail", response.text[:300]))
    refusal = answer.get("refusal")
    if isinstance(refusal, dict):
        raise Refused(status, code, detail, refusal)
    after = answer.get("retry_after")
    kind = {401: Unauthenticated, 429: TooMany}.get(status, Problem)
    if status >= 500:
        kind = Unavailable
    raise kind(status, code, detail, float(after) if after is not None else None)


def again(problem: Problem) -> float | None:
    """After how many seconds the same request is worth sending again, if it is."""
    if problem.status in (409, 429, 503) and problem.retry_after is not None:
        return problem.retry_after
    return None
