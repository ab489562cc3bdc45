"""A client gone wrong, against the MCP door of the real binary.

    python flood.py COUNTERFOIL [CALLS]

Malformed messages, wrong ids, huge and deep bodies; heads and bodies that come byte by byte or never come to their end; clients that
do not read what they asked for, and event streams that nobody reads; calls that are hung up on; and CALLS (10,000) calls that wait
for people, and one more. The server must answer everybody else meanwhile, never with a 5xx, its memory stays within a bound, what
is given up is given up in time, and it stops when it is told to. Prints what it measured; exits 1 at the first failure.
"""

import asyncio
import json
import os
import random
import socket
import sys
import tempfile
import time
from urllib.parse import urlsplit

import httpx2
from desk import Desk, main, require

CALLS = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
# More than this the server may not grow, in MiB: over all of the messages, and over each thousand waiting calls.
GROWTH, PER_THOUSAND = 200, 40
# How long the server lets a head, a body or an unread answer take, in seconds, and a little more.
PATIENCE = 45
# Clients of each slow sort; calls at once.
SLOW, AT_ONCE = 200, 64
# How long it may take to stop, in seconds, with all of them connected.
STOPS = 55

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


def sockets(desk):
    """How many connections the server has open."""
    found = 0
    for file in os.scandir(f"/proc/{desk.child.pid}/fd"):
        try:
            found += os.readlink(file.path).startswith("socket:")
        except OSError:
            pass
    return found


def head(there, token, more=""):
    return (
        f"POST {there.path} HTTP/1.1\r\nHost: localhost:{there.port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{more}"
    )


async def dribble(there, start, byte):
    """A request that stops in its middle, or goes on byte by byte; answers after how long the server gave it up, if it did."""
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    since = time.monotonic()
    writer.write(start.encode())

    async def go_on():
        try:
            while byte:
                await asyncio.sleep(1)
                writer.write(byte.encode())
                await writer.drain()
        except ConnectionError:
            pass

    going_on = asyncio.create_task(go_on())
    try:
        await asyncio.wait_for(reader.read(1), PATIENCE)
    except ConnectionError:
        pass
    except TimeoutError:
        return None
    finally:
        going_on.cancel()
        writer.close()
    return time.monotonic() - since


def unread(there, asked):
    """A connection whose client asks and asks, and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((there.hostname, there.port))
    client.setblocking(False)
    try:
        while asked:
            asked = asked[client.send(asked) :]
    except BlockingIOError:
        pass
    return client


async def whole(desk):
    there, token = urlsplit(desk.url), desk.token("agent")
    # What is slow comes with a credential of its own: it takes no other's room.
    slow_token = desk.token("reviewer")
    limits = httpx2.Limits(max_connections=AT_ONCE)
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

    # Requests that stop in their middle, in the head or the body; half of them go on, a byte a second.
    begun = head(there, slow_token, "Content-Length: 1000\r\n")
    starts = [(begun, ""), (begun, "x"), (begun + '\r\n{"jsonrpc": ', ""), (begun + '\r\n{"jsonrpc": ', " ")]
    slow = [asyncio.create_task(dribble(there, *starts[n % 4])) for n in range(SLOW)]
    # Answers that nobody reads, of some hundreds of kB each: more than the system holds for a connection.
    asked = b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
    few = sockets(desk)
    readers = [unread(there, asked) for _ in range(SLOW)]
    events = head(there, slow_token).replace(f"POST {there.path}", "GET /v1/approvals/events").encode() + b"\r\n"
    readers += [unread(there, events) for _ in range(SLOW // 20)]
    await asyncio.sleep(1)
    await lives(http, desk, f"while {len(slow)} requests stop in their middle, and {len(readers)} clients do not read")
    taken = time.monotonic()

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
    print(f"        memory: {before} MiB at first, {between} MiB after all that; {sockets(desk)} connections", flush=True)
    require(between - before < GROWTH, f"memory: {before} MiB at first, {between} MiB after all that")

    numbers, seen = iter(range(CALLS)), {}

    async def wait(n):
        path = str(desk.dir / f"files/flood-{n}.txt")
        params = {"name": "files__write_file", "arguments": {"path": path, "content": "x"}}
        # About something else each: calls about the same wait for each other's case to open.
        params["_meta"] = {"counterfoil/subject": f"flood-{n}"}
        call = WHOLE | {"id": n, "method": "tools/call", "params": params}
        answer = await http.post(desk.url, json=call, headers=HEADERS)
        result = answer.json().get("result", {})
        return result.get("_meta", {}).get("counterfoil/status", answer.text[:200])

    async def wait_all():
        for n in numbers:
            status = await wait(n)
            seen[status] = seen.get(status, 0) + 1

    since = time.monotonic()
    await asyncio.gather(*(wait_all() for _ in range(AT_ONCE)))
    print(f"        {CALLS} calls in {time.monotonic() - since:.0f} s", flush=True)
    require(seen == {"pending_approval": CALLS}, f"calls that wait for people: {seen}")
    await lives(http, desk, "while they wait")
    after = rss(desk)
    print(f"        memory: {after} MiB with {CALLS} calls waiting", flush=True)
    bound = GROWTH + PER_THOUSAND * CALLS // 1000
    require(after - between < bound, f"their memory is bounded: {after - between} MiB more, of at most {bound}")
    more = {await wait(CALLS + n) for n in range(3)}
    require(more == {"unavailable"}, f"as is how many there may be: {more}")

    shut = await asyncio.gather(*slow)
    late = [seconds for seconds in shut if seconds is None]
    require(not late, f"heads and bodies that do not come are given up: {len(shut) - len(late)} of {len(shut)}")
    print(f"        the last after {max(shut):.0f} s", flush=True)
    await asyncio.sleep(max(0, PATIENCE - (time.monotonic() - taken)))
    held = sockets(desk) - few
    # What is left are this client's own, and events that the system still has room for.
    most = AT_ONCE + SLOW // 20 + 10
    require(held <= most, f"answers that nobody reads are given up: {held} of {len(readers)} connections are left")
    readers += [unread(there, events) for _ in range(20)]
    await http.aclose()
    return readers


def check():
    with tempfile.TemporaryDirectory() as home:
        desk = Desk(sys.argv[1], f"{home}/data")
        try:
            # One case is that of calls without a subject of their own.
            (desk.dir / "api.toml").write_text(f"[limits]\ncases = {CALLS + 1}\n")
            desk.start()
            readers = asyncio.run(whole(desk))
            since = time.monotonic()
            desk.stop()
            seconds = time.monotonic() - since
            require(seconds < STOPS, f"it stops in time with {len(readers)} clients that do not read: {seconds:.1f} s")
        finally:
            desk.kill()


if __name__ == "__main__":
    main(check)
