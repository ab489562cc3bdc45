"""What can come of asking, other than what was asked."""

from __future__ import annotations

from typing import Any


class CounterfoilError(Exception):
    """The root of them all."""


class Unreachable(CounterfoilError):
    """The server did not answer. With the same key the request may be sent again."""


class Problem(CounterfoilError):
    """The server answered with a problem (RFC 9457)."""

    def __init__(
        self, status: int, code: str, detail: str, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after


class Refused(Problem):
    """A rule refused it; the refusal is in the log."""

    def __init__(self, status: int, code: str, detail: str, refusal: dict[str, Any]) -> None:
        super().__init__(status, code, detail)
        self.why: str = refusal["why"]
        """Why, in one sentence."""
        self.remedy: str = refusal["remedy"]
        """What would make it pass."""
        self.rule: str | None = refusal.get("rule")
        """The release's rule that spoke, or came nearest to permitting."""
        self.clause: str | None = refusal.get("clause")
        """The clause behind it."""


class Unauthenticated(Problem):
    """The token is nobody's, or was revoked."""


class TooMany(Problem):
    """More than the door takes; come again after `retry_after` seconds."""


class Unavailable(Problem):
    """The store or something else that is needed is away."""


class Pending(CounterfoilError):
    """The action waits for somebody. Nothing was done; the same call with the same key goes on where it stands."""

    def __init__(self, case: str, stage: str, approval: str | None) -> None:
        what = f"people must sign `{approval}`" if approval else "it waits for its review"
        super().__init__(f"case `{case}`: {what}")
        self.case = case
        self.stage = stage
        self.approval = approval


class NotGranted(CounterfoilError):
    """The case ended without a grant: `ended` is `refused`, `rejected`, `expired`, `lapsed` or `referred`."""

    def __init__(self, case: str, ended: str) -> None:
        super().__init__(f"case `{case}` ended: {ended}")
        self.case = case
        self.ended = ended


class AlreadyDone(CounterfoilError):
    """The case ended with its action carried out before; it is not carried out again."""

    def __init__(self, case: str) -> None:
        super().__init__(f"the action of case `{case}` was carried out before")
        self.case = case


class OutcomeUnknown(CounterfoilError):
    """The grant was used, and nobody knows what came of it: it is never carried out again by itself."""

    def __init__(self, case: str) -> None:
        super().__init__(
            f"the grant of case `{case}` was used and its outcome is not known; find out, and report it"
        )
        self.case = case


class Simulated(CounterfoilError):
    """Effects are simulated in the environment: the grant was used and nothing was done."""

    def __init__(self, case: str) -> None:
        super().__init__(f"effects are simulated in the environment of case `{case}`")
        self.case = case


class Unreported(CounterfoilError):
    """The effect took place, and its outcome could not be recorded. `result` is what the function gave."""

    def __init__(self, case: str, result: object) -> None:
        super().__init__(f"the action of case `{case}` was carried out and could not be reported")
        self.case = case
        self.result = result


class NotDone(Exception):
    """For a guarded function to raise: certainly nothing was done. Any other exception leaves the outcome unknown."""
