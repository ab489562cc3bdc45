"""`counterfoil mcp`, the bridge for local clients, between other people's clients and the real binary.

    python check_bridge.py COUNTERFOIL

The Python SDK over stdio in both dates of the protocol, and the TypeScript SDK over stdio: each lists the tools, reads, writes what
a threshold allows, has a call held and approved. Then the server goes away and comes back under the same client; a token that is
not known, a file that is not there. Prints what it checked; exits 1 at the first failure.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack

from check_gateway import TOOLS, ended, status
from desk import HERE, NODE, Desk, Failure, main, require
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client


def command(desk, token="keys/agents/agent.token"):
    return [desk.counterfoil, "mcp", "--url", desk.url, "--token-file", str(desk.dir / token), "--environment", "staging"]


class Python:
    """A client of the Python SDK."""

    def __init__(self, name, mode):
        self.name, self.mode = name, mode

    async def connect(self, desk, said=None):
        program, *words = command(desk)
        self.stack = AsyncExitStack()
        transport = stdio_client(StdioServerParameters(command=program, args=words), errlog=said or sys.stderr)
        self.client = await self.stack.enter_async_context(Client(transport, mode=self.mode))

    async def close(self):
        await self.stack.aclose()

    async def tools(self):
        return {tool.name for tool in (await self.client.list_tools()).tools}

    async def call(self, tool, **arguments):
        result = await self.client.call_tool(tool, arguments)
        return result.model_dump(by_alias=True, exclude_none=True, mode="json")


class TypeScript:
    """A client of the TypeScript SDK, in a process of its own."""

    name = "TypeScript"

    async def connect(self, desk):
        self.child = await asyncio.create_subprocess_exec(
            NODE, HERE / "line.mjs", "--stdio", *command(desk),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**22,
        )  # fmt: skip

    async def close(self):
        self.child.stdin.close()
        await self.child.wait()

    async def ask(self, **question):
        self.child.stdin.write(json.dumps(question).encode() + b"\n")
        answer = json.loads(await asyncio.wait_for(self.child.stdout.readline(), 60) or "null")
        if not answer or "error" in answer:
            raise Failure(f"{question}: {answer}")
        return answer

    async def tools(self):
        return {tool["name"] for tool in (await self.ask())["tools"]}

    async def call(self, tool, **arguments):
        return await self.ask(tool=tool, arguments=arguments)


async def works(desk, client):
    who, files = client.name, desk.dir / "files"
    slug = who.lower().replace(" ", "-").replace(",", "")
    await client.connect(desk)
    names = await client.tools()
    require(names == TOOLS, f"{who}: it is shown what it may call", names ^ TOOLS)
    echo = await client.call("everything__echo", message="über stdio\nzwei")
    require(echo["content"][0]["text"] == "Echo: über stdio\nzwei", f"{who}: server-everything echoes", echo)
    draft = {"path": str(files / "drafts" / f"{slug}.txt"), "content": "a draft"}
    result = await client.call("files__write_file", **draft)
    require(status(result) == "done", f"{who}: a draft is written with no human", result)
    path = files / f"bridge-{slug}.txt"
    arguments = {"path": str(path), "content": "held"}
    held = await client.call("files__write_file", **arguments)
    require(status(held) == "pending_approval" and not path.exists(), f"{who}: a call is held", held)
    desk.run("approval", "approve", held["structuredContent"]["approval"], "--as", "amira")
    result = await ended(client, arguments)
    require(status(result) == "done" and path.read_text() == "held", f"{who}: approved: resumed and written", result)


async def away(desk, client):
    """The server ends and comes back; the client and its bridge stay."""
    tool, arguments = "everything__trigger-long-running-operation", {"duration": 20, "steps": 2}
    calling = asyncio.create_task(client.call(tool, **arguments))
    await asyncio.sleep(2)
    address = desk.url.removeprefix("http://").removesuffix("/mcp")
    desk.kill()

    async def error(task, words):
        try:
            found = await asyncio.wait_for(task, 30)
        except MCPError as error:
            found = str(error)
        require(isinstance(found, str) and words in found, f"{client.name}: told, not left waiting: `{words}`", found)

    await error(calling, "the same call is told what came of it")
    await error(client.call("everything__echo", message="x"), "is `counterfoil serve` running")
    desk.start(listen=address)
    echo = await client.call("everything__echo", message="again")
    require(echo["content"][0]["text"] == "Echo: again", f"{client.name}: and goes on with the server that came back", echo)


def refused(desk):
    """What the bridge does on its own: errors that are clear, without the token, and nothing but messages on stdout."""
    hello = {"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}  # fmt: skip
    secret = desk.dir / "keys/agents/nobody.token"
    secret.touch(mode=0o600)
    secret.write_text("a-token-that-nobody-has")

    def run(words, text):
        return subprocess.run(words, input=text, capture_output=True, text=True, timeout=60)

    done = run(command(desk, "keys/agents/nobody.token"), f"{json.dumps(hello)}\nno message\n")
    answers = {json.dumps(a["id"]): a for a in map(json.loads, done.stdout.splitlines())}
    known = answers.get('"a"', {}).get("error", {}).get("message", "")
    require(done.returncode == 0 and "--token-file" in known, "a token that nobody has: an error for the client", done)
    require(answers.get("null", {}).get("error", {}).get("code") == -32700, "what is no message: an error", done)
    require(secret.read_text() not in done.stdout + done.stderr, "and the token is in none of it")
    done = run(command(desk, "keys/nowhere"), "")
    require(done.returncode == 2 and "nowhere" in done.stderr and not done.stdout, "a file that is not there: at once", done)
    os.chmod(secret, 0o644)
    done = run(command(desk, "keys/agents/nobody.token"), "")
    require(done.returncode == 2 and "chmod" in done.stderr, "a token that others may read: at once, with what to do", done)
    plain = ["mcp", "--url", "http://door.example/mcp", "--token-file", str(desk.dir / "keys/agents/agent.token")]
    done = run([desk.counterfoil, *plain], "")
    require(done.returncode == 2 and "https" in done.stderr, "a token goes over no open line", done)


async def all_of_them(desk):
    clients = [Python("Python, 2025-11-25", "legacy"), Python("Python, 2026-07-28", "2026-07-28"), TypeScript()]
    for client in clients:
        await works(desk, client)
    for client in clients[1:]:
        await client.close()
    await away(desk, clients[0])
    await clients[0].close()


def check():
    with tempfile.TemporaryDirectory() as home:
        desk = Desk(sys.argv[1], f"{home}/data")
        try:
            desk.start()
            asyncio.run(all_of_them(desk))
            refused(desk)
            desk.stop()
        finally:
            desk.kill()


if __name__ == "__main__":
    main(check)
