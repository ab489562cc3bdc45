"""Guarded functions as tools of LangGraph.

A call that waits for people interrupts the graph; with a checkpointer it is resumed, in any process, by
`Command(resume=...)`, whose value says nothing: whether people approved is asked at Counterfoil alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import InjectedToolCallId, StructuredTool
from langchain_core.tools.base import create_schema_from_function
from langgraph.types import interrupt
from pydantic import BaseModel, create_model

from .errors import NotGranted, Pending, Refused
from .team import Governed, Team


def govern(team: Team, function: Callable[..., Any], *, tool: str, **options: Any) -> StructuredTool:
    """A LangGraph tool whose effect is `function`'s body, as `Team.governed` guards it."""
    guarded: Governed[..., Any] = team.governed(tool, **options)(function)
    name = function.__name__

    @functools.wraps(function)
    def run(*, tool_call_id: str, config: RunnableConfig, **arguments: Any) -> Any:
        thread = (config.get("configurable") or {}).get("thread_id", "")
        key = f"{thread}/{tool_call_id}"
        while True:
            try:
                return guarded.call(key, **arguments)
            except Pending as pending:
                interrupt(
                    {"waits_for": "approval", "case": pending.case, "approval": pending.approval}
                )
            except NotGranted as refused:
                return f"It was not done: {refused}."
            except Refused as refused:
                return f"It was not done: {refused.why}; {refused.remedy}."

    # LangChain reads the wrapper's own annotations for the configuration.
    run.__annotations__ = {"config": RunnableConfig, "tool_call_id": str}
    del run.__wrapped__
    base = cast(type[BaseModel], create_schema_from_function(name, function))
    schema = create_model(
        name,
        __base__=base,
        tool_call_id=(Annotated[str, InjectedToolCallId], ...),
    )
    return StructuredTool(
        name=name, description=function.__doc__ or tool, args_schema=schema, func=run
    )
