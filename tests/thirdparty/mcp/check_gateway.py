"""The MCP door between clients and servers that nobody here wrote.

    python check_gateway.py COUNTERFOIL

Clients: the Python SDK in both dates of the protocol, and the TypeScript SDK. Servers: server-filesystem and server-everything,
as child processes of the gateway. Each client reads, writes what a threshold allows, and has calls held and approved, held and
rejected, held until they expire. Prints what it checked; exits 1 at the first failure.
"""

import asyncio
import json
import subprocess
import sys
import tempfile

import httpx2
from desk import HERE, NODE, Desk, Failure, main, require
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

TOOLS = {
    "case_open", "cases_waiting", "case_status", "clauses_find", "recommend",
    "files__read_text_file", "files__list_directory", "files__write_file", "files__move_file",
    "everything__echo", "everything__get-sum", "everything__get-tiny-image",
    "everything__trigger-long-running-operation",
}  # fmt: skip


class Python:
    """A client of the Python SDK."""

    def __init__(self, name, mode):
        self.name, self.mode = name, mode

    async def connect(self, desk, agent="agent"):
        self.http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {desk.token(agent)}"}, timeout=60)
        self.client = Client(streamable_http_client(desk.url, http_client=self.http), mode=self.mode)
        await self.client.__aenter__()

    async def close(self):
        await self.client.__aexit__(None, None, None)
        await self.http.aclose()

    async def tools(self):
        listed = await self.client.list_tools()
        return {tool.name for tool in listed.tools}

    async def call(self, tool, **arguments):
        result = await self.client.call_tool(tool, arguments)
        return result.model_dump(by_alias=True, exclude_none=True, mode="json")


class TypeScript:
    """A client of the TypeScript SDK, in a process of its own."""

    name = "TypeScript"

    async def connect(self, desk, agent="agent"):
        self.child = await asyncio.create_subprocess_exec(
            NODE, HERE / "line.mjs", desk.url, desk.token(agent),
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


def status(result):
    return result["_meta"]["counterfoil/status"]


async def ended(client, arguments):
    for _ in range(300):
        result = await client.call("files__write_file", **arguments)
        if not status(result).startswith("pending"):
            return result
        await asyncio.sleep(0.1)
    raise Failure("the end of a call did not come")


async def first(desk, client):
    """All but what takes a day; answers the call that is left waiting."""
    who, files = client.name, desk.dir / "files"
    slug = who.lower().replace(" ", "-").replace(",", "")
    names = await client.tools()
    require(names == TOOLS, f"{who}: it is shown what it may call", names ^ TOOLS)
    echo = await client.call("everything__echo", message="hello")
    require(echo["content"][0]["text"] == "Echo: hello", f"{who}: server-everything echoes", echo)
    image = await client.call("everything__get-tiny-image")
    require("image" in [block["type"] for block in image["content"]], f"{who}: an image stays an image", image)

    draft = {"path": str(files / "drafts" / f"{slug}.txt"), "content": "a draft"}
    result = await client.call("files__write_file", **draft)
    require(status(result) == "done", f"{who}: a draft is written with no human", result)
    read = await client.call("files__read_text_file", path=draft["path"])
    require("a draft" in json.dumps(read), f"{who}: and read through server-filesystem", read)

    secret = {"path": str(files / "drafts" / f"{slug}-key.txt"), "content": "-----BEGIN PRIVATE KEY-----\nMC4="}
    result = await client.call("files__write_file", **secret)
    held_back = status(result) == "pending_approval" and not (files / "drafts" / f"{slug}-key.txt").exists()
    require(held_back, f"{who}: a key in a draft goes to a human, since the reviewer refuses it", result)

    async def held(name):
        path = files / f"{slug}-{name}.txt"
        arguments = {"path": str(path), "content": name}
        result = await client.call("files__write_file", **arguments)
        waits = result["structuredContent"]
        require(status(result) == waits["status"] == "pending_approval", f"{who}: {name}: held", result)
        again = await client.call("files__write_file", **arguments)
        same = again["structuredContent"]["approval"] == waits["approval"]
        require(same and not path.exists(), f"{who}: {name}: the same call waits for the same approval", again)
        return path, arguments, waits["approval"]

    path, arguments, approval = await held("approved")
    desk.run("approval", "approve", approval, "--as", "amira")
    result = await ended(client, arguments)
    done = status(result) == "done" and path.read_text() == "approved"
    require(done, f"{who}: approved: resumed and written", result)

    path, arguments, approval = await held("rejected")
    desk.run("approval", "reject", approval, "--as", "bram", "--reason", "not this one")
    result = await ended(client, arguments)
    refused = status(result) == "rejected" and result["isError"] and not path.exists()
    require(refused, f"{who}: rejected: an error, and nothing written", result)

    return await held("expired")


async def last(client, left):
    path, arguments, _ = left
    result = await ended(client, arguments)
    expired = status(result) == "expired" and result["isError"] and not path.exists()
    require(expired, f"{client.name}: expired: an error, and nothing written", result)


async def more(desk):
    """What one client is enough for."""
    client = Python("Python", "auto")
    await client.connect(desk)
    seen = []

    async def told(progress, total, message):
        seen.append(progress)

    tool, arguments = "everything__trigger-long-running-operation", {"duration": 5, "steps": 2}
    result = await client.client.call_tool(tool, arguments, progress_callback=told)
    require(seen and not result.is_error, "a long call tells its progress", (seen, result))
    case = (await client.call("case_open", subject="a-letter", source="Please write it."))["structuredContent"]["case"]
    found = await client.call("clauses_find", case=case, query="who releases a file that an agent writes")
    clauses = [clause["clause"] for clause in found["structuredContent"]["clauses"]]
    arguments = {"path": str(desk.dir / "files/drafts/letter.txt"), "content": "a letter"}
    result = await client.call(
        "recommend", case=case, stance="proceed", confidence=90, rationale="It was asked for.", clauses=clauses,
        action={"tool": "files.write_file", "arguments": arguments},
    )  # fmt: skip
    require(status(result) == "done", "an agent opens a case, finds clauses and recommends", result)
    await client.close()

    reviewer = Python("the reviewer", "auto")
    await reviewer.connect(desk, "reviewer")
    names = await reviewer.tools()
    require(names == {"cases_waiting", "case_status", "clauses_find", "review"}, "the reviewer reviews only", names)
    try:
        await reviewer.call("files__write_file", path="/x", content="x")
        raise Failure("the reviewer wrote a file")
    except MCPError as error:
        require("unknown tool" in str(error), "and calls nothing else")
    await reviewer.close()


def check():
    with tempfile.TemporaryDirectory() as home:
        desk = Desk(sys.argv[1], f"{home}/data")
        try:
            asyncio.run(whole(desk))
            desk.stop()
            desk.run("audit", "reperform")
            print("ok      every decision comes out the same again")
        finally:
            desk.kill()


async def whole(desk):
    desk.start()
    clients = [Python("Python, 2026-07-28", "2026-07-28"), Python("Python, 2025-11-25", "legacy"), TypeScript()]
    left = []
    for client in clients:
        await client.connect(desk)
        left.append(await first(desk, client))
        await client.close()
    await more(desk)
    desk.stop()
    desk.start(minutes=24 * 60 + 1)
    for client, waiting in zip(clients, left, strict=True):
        await client.connect(desk)
        await last(client, waiting)
        await client.close()


if __name__ == "__main__":
    main(check)
