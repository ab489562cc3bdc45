"""Checks the treasury's MCP server with a client that nobody here wrote: the Python `mcp` SDK.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python check_treasury.py PATH-TO-TREASURY-PROGRAM

Prints one line per check; exit code 1 if one fails.
"""

import asyncio
import os
import subprocess
import sys
import tempfile

from mcp import ClientSession, StdioServerParameters, stdio_client

TOKEN = "a-token-of-this-check"
ORDER = {
    "idempotency_key": "check-1",
    "vendor_id": "V001",
    "amount_cents": 12345,
    "currency": "EUR",
    "reference": "INV-1",
}
failures = []


def check(what, holds):
    print(("ok      " if holds else "FAILED  ") + what)
    if not holds:
        failures.append(what)


async def talk(program, db, token):
    """Runs the checks that fit the token in one session."""
    server = StdioServerParameters(command=program, args=["--db", db], env={"TREASURY_TOKEN": token})
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        if token != TOKEN:
            answer = await session.call_tool("transfer_create", ORDER)
            check("a wrong token is refused", answer.is_error)
            return
        tools = {tool.name for tool in (await session.list_tools()).tools}
        expected = {"transfer_create", "transfer_lookup", "transfer_list", "account_read"}
        check("lists its tools", tools == expected)

        missing = await session.call_tool("transfer_lookup", {"idempotency_key": "check-1"})
        check("nothing is found before the transfer", missing.structured_content["found"] is False)
        first = await session.call_tool("transfer_create", ORDER)
        check("creates", not first.is_error and first.structured_content["created"] is True)
        again = await session.call_tool("transfer_create", ORDER)
        check(
            "the same key answers the first transfer",
            again.structured_content["id"] == first.structured_content["id"]
            and again.structured_content["created"] is False,
        )
        other = await session.call_tool("transfer_create", {**ORDER, "amount_cents": 1})
        check("the same key with another amount is an error", other.is_error)
        found = await session.call_tool("transfer_lookup", {"idempotency_key": "check-1"})
        check(
            "looks it up",
            found.structured_content["found"] is True and found.structured_content["amount_cents"] == 12345,
        )
        listed = await session.call_tool("transfer_list", {})
        check("exactly one transfer exists", listed.structured_content["count"] == 1)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        db = os.path.join(directory, "treasury.db")
        environment = {**os.environ, "TREASURY_TOKEN": TOKEN}
        subprocess.run([program, "--db", db, "--init"], env=environment, check=True)
        asyncio.run(talk(program, db, "another"))
        asyncio.run(talk(program, db, TOKEN))
    if failures:
        sys.exit(1)


main()
