"""An MCP server with the tools of one AgentDojo suite, over an environment that lives in a file.

    python upstream.py SUITE ENVIRONMENT-FILE

The tools are the suite's own functions. Each call reads the environment, runs the function on it, and writes it back, so
that whoever put the environment there can look at what became of it.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from pathlib import Path

import mcp_types as types
from agentdojo.functions_runtime import FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suite
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from pydantic import BaseModel

VERSION = "v1.2.2"


def plain(value: object) -> object:
    """A function's result as JSON has it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def put(file: Path, environment: object) -> None:
    """Writes the environment so that no reader sees half of it."""
    new = file.with_suffix(".new")
    new.write_bytes(pickle.dumps(environment))
    new.replace(file)


def server(suite_name: str, file: Path) -> Server:
    tools = get_suite(VERSION, suite_name).tools
    runtime = FunctionsRuntime(tools)

    async def list_tools(_context: object, _params: object) -> types.ListToolsResult:
        shown = [
            types.Tool(
                name=tool.name,
                description=tool.description,
                input_schema=tool.parameters.model_json_schema(),
            )
            for tool in tools
        ]
        return types.ListToolsResult(tools=shown)

    async def call_tool(_context: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        environment = pickle.loads(file.read_bytes())
        result, error = runtime.run_function(environment, params.name, params.arguments or {})
        if error is not None:
            content = [types.TextContent(type="text", text=error)]
            return types.CallToolResult(content=content, is_error=True)
        put(file, environment)
        answer = {"result": plain(result)}
        content = [types.TextContent(type="text", text=json.dumps(answer))]
        return types.CallToolResult(content=content, structured_content=answer)

    return Server(f"agentdojo-{suite_name}", on_list_tools=list_tools, on_call_tool=call_tool)


async def main(suite_name: str, file: Path) -> None:
    served = server(suite_name, file)
    async with stdio_server() as (read, write):
        await served.run(read, write, served.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
