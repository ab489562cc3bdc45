"""The refunds of examples/langgraph, by the OpenAI Agents SDK. The environment is the same."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from counterfoil import Reviewer, Team
from counterfoil.openai_agents import govern, settle
from openai import AsyncOpenAI

sys.path.insert(0, str(Path(__file__).parent.parent / "desk"))
from desk import check, refund, seat  # noqa: E402


def build() -> Agent[None]:
    """The agent."""
    team = Team(
        os.environ["COUNTERFOIL_URL"],
        environment="staging",
        analyst=seat("analyst", "openai/gpt-5.1"),
        reviewer=Reviewer(seat("reviewer", "checks/refunds-1"), check),
        executor=seat("executor"),
    )
    return Agent(
        name="desk",
        instructions="Prepare the refund that the customer asks for.",
        model=OpenAIChatCompletionsModel("gpt-5.1", AsyncOpenAI()),
        tools=[govern(team, refund, tool="desk.refund")],
    )


async def main() -> None:
    """Asks once, waits for the person, and goes on."""
    set_tracing_disabled(True)
    agent = build()
    result = await Runner.run(agent, "Please refund my order o-17, 45.00 EUR, it was lost.")
    while result.interruptions:
        print("waits for a person: see `counterfoil approval list`")
        result = await Runner.run(agent, await settle(result))
    print(result.final_output)


if __name__ == "__main__":
    asyncio.run(main())
