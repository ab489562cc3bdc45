"""A client gone wrong, against the MCP door of the real binary.

    python flood.py COUNTERFOIL [CALLS]

Malformed messages, wrong ids, huge and deep bodies, bodies and heads that never come to their end, calls that are hung up on, and
CALLS (10,000) calls that wait for people. The server must answer everybody else meanwhile, never with a 5xx, and its memory
stays within a bound. Prints what it measured; exits 1 at the first failure.
"""

import asyncio
import json
import random
import sys
import tempfile
from urllib.parse import urlsplit

import httpx2
from desk import Desk, main, require

CALLS = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
# More than this the server may not grow, in MiB: over all of the messages, and over each thousand waiting calls.
GROWTH, PER_THOUSAND = 200, 40

WHOLE = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-11-25",
}


def malformed(random):
    """Messages that are none, or not quite."""
    text = json.dumps(WHOLE)
    yield from ["", " ", "{", "null", "7", "[]", f"[{text}]", text + text, text[:-3], "\x00" * 100, "\ufeff" + text]
    yield from ["[" * 100_000, '{"a":' * 50_000, '"' + "x" * 200_000 + '"', "1" * 200_000]
    odd = [None, 0, -1, 1.5, 1e400, 2**64, 2**70, "", "x" * 100_000, [], {}, [[]], {"a": 1}, True, "\ud800"]
    for field in ["jsonrpc", "id", "method", "params"]:
        for value in odd:
            yield json.dumps(WHOLE | {field: value})
        yield json.dumps({k: v for k, v in WHOLE.items() if k != field})
    call = WHOLE | {"method": "tools/call"}
    for value in odd:
        yield json.dumps(call | {"params": {"name": value}})
        yield json.dumps(call | {"params": {"name": "files__write_file", "arguments": value}})
        yield json.dumps(call | {"params": {"name": "everything__get-sum", "arguments": {"a": value, "b": value}}})
        yield json.dumps(call | {"params": {"name": "everything__echo", "arguments": {}, "_meta": value}})
        yield json.dumps(WHOLE | {"method": "notifications/cancelled", "params": {"requestId": value}})
        yield json.dumps(WHOLE | {"method": "tasks/get", "params": {"taskId": value}})
    for _ in range(300):
        bent = bytearray(text.encode())
        for _ in range(random.randrange(1, 6)):
            bent[random.randrange(len(bent))] = random.randrange(256)
        yield bytes(bent)


def rss(desk):
    for line in open(f"/proc/{desk.child.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024


async def lives(http, desk, what):
    answer = await http.post(desk.url, json=WHOLE, headers=HEADERS)
    require(answer.status_code == 200 and answer.json()["result"]["tools"], f"the server answers others: {what}")


async def dribble(there, token, body, until):
    """A request that stops in its middle, and waits."""
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    head = f"POST {there.path} HTTP/1.1\r\nHost: localhost:{there.port}\r\n"
    if body:
        head += f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        head += 'Accept: application/json, text/event-stream\r\nContent-Length: 1000\r\n\r\n{"jsonrpc": '
    writer.write(head.encode())
    await writer.drain()
    try:
        await asyncio.wait_for(reader.read(1), until)
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    finally:
        writer.close()


async def whole(desk):
    there, token = urlsplit(desk.url), desk.token("agent")
    limits = httpx2.Limits(max_connections=64)
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=120, limits=limits)
    await lives(http, desk, "at first")
    before = rss(desk)

    statuses = {}
    for message in malformed(random.Random(7)):
        content = message if isinstance(message, bytes) else message.encode("utf-8", "surrogatepass")
        answer = await http.post(desk.url, content=content, headers=HEADERS)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    require(all(status < 500 for status in statuses), f"malformed messages: {statuses}")

    async def endless():
        for _ in range(2_000):
            yield b" " * 65_536

    for size, content in [("50 MB", b"x" * 50_000_000), ("endless", endless())]:
        try:
            answer = await http.post(desk.url, content=content, headers=HEADERS)
            require(answer.status_code == 413, f"a huge body ({size}) is refused: {answer.status_code}")
        except httpx2.TransportError as error:
            print(f"ok      a huge body ({size}) is hung up on: {type(error).__name__}")
    await lives(http, desk, "after them")

    slow = [asyncio.create_task(dribble(there, token, n % 2, 40)) for n in range(400)]
    await asyncio.sleep(3)
    await lives(http, desk, "while 400 requests stop in their middle")
    shut = await asyncio.gather(*slow)
    require(all(shut[1::2]), "bodies that do not come are given up")
    print(f"        heads that do not come within 40 s: {sum(shut[::2])} of {len(shut[::2])} given up")

    async def gone(n):
        arguments = {"duration": 60, "steps": 2}
        params = {"name": "everything__trigger-long-running-operation", "arguments": arguments}
        call = WHOLE | {"id": n, "method": "tools/call", "params": params}
        try:
            await http.post(desk.url, json=call, headers=HEADERS, timeout=1)
        except httpx2.TimeoutException:
            pass

    await asyncio.gather(*(gone(n) for n in range(60)))
    await lives(http, desk, "while 60 calls run that were hung up on")
    between = rss(desk)
    require(between - before < GROWTH, f"memory: {before} MiB at first, {between} MiB after all that")

    numbers, seen = iter(range(CALLS)), {}

    async def waits():
        for n in numbers:
            arguments = {"path": str(desk.dir / f"files/flood-{n}.txt"), "content": "x"}
            params = {"name": "files__write_file", "arguments": arguments}
            call = WHOLE | {"id": n, "method": "tools/call", "params": params}
            answer = await http.post(desk.url, json=call, headers=HEADERS)
            result = answer.json().get("result", {})
            status = result.get("_meta", {}).get("counterfoil/status", answer.text[:200])
            seen[status] = seen.get(status, 0) + 1

    await asyncio.gather(*(waits() for _ in range(32)))
    require(seen == {"pending_approval": CALLS}, f"calls that wait for people: {seen}")
    await lives(http, desk, "while they wait")
    after = rss(desk)
    bound = GROWTH + PER_THOUSAND * CALLS // 1000
    require(after - between < bound, f"memory: {after} MiB with {CALLS} calls waiting")
    await http.aclose()


def check():
    with tempfile.TemporaryDirectory() as home:
        desk = Desk(sys.argv[1], f"{home}/data")
        try:
            desk.start()
            asyncio.run(whole(desk))
            desk.stop()
        finally:
            desk.kill()


if __name__ == "__main__":
    main(check)
