"""Guarded functions as tools of the OpenAI Agents SDK.

A call that waits for people interrupts the run. `settle` waits for them, and hands the run's state back with what they
decided; the SDK's own yes to the state lets nothing happen that they did not sign.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from agents import FunctionTool, RunContextWrapper, RunResult, function_tool
from agents.run_state import RunState
from agents.tool_context import ToolContext

from .errors import CounterfoilError, NotGranted, Pending, Refused
from .team import Governed, Team

_GUARDED = "__counterfoil_guarded__"


def govern(team: Team, function: Callable[..., Any], *, tool: str, **options: Any) -> FunctionTool:
    """A tool of the Agents SDK whose effect is `function`'s body, as `Team.governed` guards it."""
    guarded: Governed[..., Any] = team.governed(tool, **options)(function)

    async def waits(_: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
        try:
            return await guarded.aprepare(call_id, **arguments) is not None
        except CounterfoilError:
            # Said when it is called, to the model.
            return False

    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        try:
            return await guarded.acall(context.tool_call_id, **json.loads(arguments or "{}"))
        except NotGranted as refused:
            return f"It was not done: {refused}."
        except Pending as pending:
            return f"It was not done yet: {pending}."
        except Refused as refused:
            return f"It was not done: {refused.why}; {refused.remedy}."

    made = dataclasses.replace(
        function_tool(function), on_invoke_tool=invoke, needs_approval=waits
    )
    setattr(made, _GUARDED, guarded)
    return made


async def settle(result: RunResult, timeout: float | None = None) -> RunState[Any, Any]:
    """Waits until people have decided on every call that interrupted the run, and gives the state to run on with.

    A call that still waits after `timeout` seconds stays an interruption.
    """
    state = result.to_state()
    for item in result.interruptions:
        tools = {tool.name: tool for tool in item.agent.tools}
        guarded: Governed[..., Any] | None = getattr(tools.get(item.name or ""), _GUARDED, None)
        if guarded is None:
            continue
        arguments = json.loads(item.arguments or "{}")
        call_id = item.call_id or ""
        try:
            pending = await guarded.aprepare(call_id, **arguments)
            if pending is not None:
                client = guarded.team.client(guarded.team.analyst)
                client.wait_for_approval(pending.case, timeout)
                pending = await guarded.aprepare(call_id, **arguments)
        except NotGranted as refused:
            state.reject(item, rejection_message=f"It was not done: {refused}.")
            continue
        if pending is None:
            state.approve(item)
    return state
