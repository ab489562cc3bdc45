"""The examples over the real libraries: one call is held for a person, signed with their key, and gone on with."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
from types import ModuleType
from typing import Any

import pytest

from conftest import BINARY, ROOT, Desk


def example(name: str) -> ModuleType:
    file = ROOT / "examples" / name / "app.py"
    spec = importlib.util.spec_from_file_location(f"{name.replace('-', '_')}_app", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ASK = "Please refund my order o-17."


def test_langgraph_waits_and_goes_on(desk: Desk, model: None) -> None:
    from langgraph.types import Command

    graph = example("langgraph").build()
    config: Any = {"configurable": {"thread_id": "t-1"}}
    state = graph.invoke({"messages": [("user", ASK)]}, config)
    waits = state["__interrupt__"][0].value
    assert desk.paid() == []
    # Going on without a signature lets nothing happen.
    state = graph.invoke(Command(resume=True), config)
    assert state["__interrupt__"] and desk.paid() == []
    desk.decide(waits["approval"], "amira")
    state = graph.invoke(Command(resume=True), config)
    assert "refunded 4500" in state["messages"][-1].content
    assert desk.paid() == ["o-17 4500"]
    assert desk.client("analyst").read_case(waits["case"])["ended"] == "executed"


def test_langgraph_is_told_that_a_person_said_no(desk: Desk, model: None) -> None:
    from langgraph.types import Command

    graph = example("langgraph").build()
    config: Any = {"configurable": {"thread_id": "t-2"}}
    state = graph.invoke({"messages": [("user", ASK)]}, config)
    desk.decide(state["__interrupt__"][0].value["approval"], "amira", "reject", "not this one")
    state = graph.invoke(Command(resume=True), config)
    assert "not done" in state["messages"][-1].content
    assert desk.paid() == []


def test_openai_agents_waits_and_goes_on(desk: Desk, model: None) -> None:
    from agents import Runner, set_tracing_disabled
    from counterfoil.openai_agents import settle

    set_tracing_disabled(True)
    agent = example("openai-agents").build()

    async def run() -> str:
        result = await Runner.run(agent, ASK)
        assert len(result.interruptions) == 1 and desk.paid() == []
        # The SDK's own yes is none of Counterfoil's.
        state = result.to_state()
        state.approve(result.interruptions[0])
        alone = await Runner.run(agent, state)
        assert "not done yet" in str(alone.final_output) and desk.paid() == []
        result = await Runner.run(agent, ASK)
        (waiting,) = desk.client("analyst").approvals()
        desk.decide(waiting["approval"], "amira")
        result = await Runner.run(agent, await settle(result))
        return str(result.final_output)

    assert "refunded 4500" in asyncio.run(run())
    assert desk.paid() == ["o-17 4500"]


@pytest.fixture(autouse=True)
def sound(desk: Desk) -> Any:
    """After each test the log verifies and every decision is the same again."""
    yield
    desk.stop()
    verify = ["log", "verify", str(desk.dir), "--vkey", str(desk.dir / "log.vkey")]
    subprocess.run([str(BINARY), *verify], env=desk.env, check=True)
    desk.counterfoil("audit", "reperform")

