"""Counterfoil's Python client: clients of the HTTP API, and functions that run only with a grant.

The record comes first: a guarded function's grant is used, and that is durable, before its body runs; what came of it is
recorded after. A process that dies in between leaves an unknown outcome, which nobody repeats by itself.
"""

from ._steps import Opinion, Review, Reviewer, Seat
from .client import AsyncClient, Client
from .errors import (
    AlreadyDone,
    CounterfoilError,
    NotDone,
    NotGranted,
    OutcomeUnknown,
    Pending,
    Problem,
    Refused,
    Simulated,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unreachable,
    Unreported,
)
from .team import Governed, Team

__all__ = [
    "AlreadyDone",
    "AsyncClient",
    "Client",
    "CounterfoilError",
    "Governed",
    "NotDone",
    "NotGranted",
    "Opinion",
    "OutcomeUnknown",
    "Pending",
    "Problem",
    "Refused",
    "Review",
    "Reviewer",
    "Seat",
    "Simulated",
    "Team",
    "TooMany",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "Unreported",
]
