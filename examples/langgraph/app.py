"""A LangGraph app whose refunds are prepared by its model, reviewed, signed by a person, and paid once.

Needs COUNTERFOIL_URL, the tokens of `analyst`, `reviewer` and `executor` in COUNTERFOIL_KEYS (a directory), and an
OpenAI-compatible model (OPENAI_BASE_URL, OPENAI_API_KEY). `examples/desk/setup.sh` sets the rest up.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from counterfoil import Reviewer, Team
from counterfoil.langgraph import govern
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

sys.path.insert(0, str(Path(__file__).parent.parent / "desk"))
from desk import check, refund, seat  # noqa: E402

def build() -> Any:
    """The graph."""
    team = Team(
        os.environ["COUNTERFOIL_URL"],
        environment="staging",
        analyst=seat("analyst", "openai/gpt-5.1"),
        reviewer=Reviewer(seat("reviewer", "checks/refunds-1"), check),
        executor=seat("executor"),
    )
    tools = [govern(team, refund, tool="desk.refund")]
    model = ChatOpenAI(model="gpt-5.1").bind_tools(tools)

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return graph.compile(checkpointer=InMemorySaver())


def main() -> None:
    """Asks once, waits for the person, and goes on."""
    from langgraph.types import Command

    graph, config = build(), {"configurable": {"thread_id": "mail-17"}}
    ask: Any = {"messages": [("user", "Please refund my order o-17, 45.00 EUR, it was lost.")]}
    while True:
        state = graph.invoke(ask, config)
        waits = state.get("__interrupt__")
        if not waits:
            print(state["messages"][-1].content)
            return
        print(f"waits for a person: counterfoil approval approve {waits[0].value['approval']} --as amira")
        input("press return when it is signed ")
        ask = Command(resume=True)


if __name__ == "__main__":
    main()
