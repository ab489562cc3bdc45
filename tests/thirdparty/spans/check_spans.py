"""Collects spans of the real binary and reads them with what nobody here wrote: the protobuf of OTLP and the names of OpenTelemetry's
semantic conventions, both from OpenTelemetry's own Python packages.

    python3 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python check_spans.py COUNTERFOIL WORK-DIRECTORY

The example's team with its analyst on a scripted model, asked over HTTP and over MCP by clients that have a trace of their own.
Prints what it checked; exit code 1 at the first failure.
"""

import gzip
import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import opentelemetry.semconv
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

HERE = Path(__file__).resolve().parent
RELEASE = HERE.parent.parent.parent / "examples/payables/release"
OWN = "counterfoil."


def require(condition, what, seen=""):
    print(("ok      " if condition else "FAILED  ") + what + (f": {seen}" if seen and not condition else ""), flush=True)
    if not condition:
        sys.exit(1)


def names():
    """Every attribute that the semantic conventions have."""
    found = set()
    root = Path(opentelemetry.semconv.__path__[0])
    for file in root.glob("**/*_attributes.py"):
        name = ".".join(file.relative_to(root).with_suffix("").parts)
        module = importlib.import_module(f"opentelemetry.semconv.{name}")
        found |= {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}
    return found


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, headers, body))
        kind, answer = self.server.answer(body)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def model(body):
    """Reads the invoice, looks a clause up, and asks for a human: in the form of Anthropic."""
    matter = json.loads(body)["messages"][0]["content"]
    subject = matter.split("`")[3]
    if "answer of books.invoice_read" not in matter:
        name, arguments = "books_invoice_read", {"invoice_id": subject}
    elif '<clause id="' not in matter:
        name, arguments = "find_clauses", {"query": "what a human decides"}
    else:
        clause = matter.split('<clause id="')[1].split('"')[0]
        name, arguments = "recommend", {"stance": "refer", "confidence": 50, "rationale": "a-rationale", "clauses": [clause]}
    call = {"type": "tool_use", "id": "t0", "name": name, "input": arguments}
    answer = {"type": "message", "role": "assistant", "model": "alpha-1", "content": [call], "stop_reason": "tool_use"}
    return "application/json", json.dumps(answer | {"usage": {"input_tokens": 100, "output_tokens": 10}}).encode()


def wait_for(what, look, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    require(False, f"{what} came")


def plain(value):
    return getattr(value, value.WhichOneof("value"))


class Trace:
    """What was collected."""

    def __init__(self, collector):
        self.collector = collector

    def spans(self):
        found = []
        for path, headers, body in list(self.collector.seen):
            assert path == "/v1/traces" and headers["content-type"] == "application/x-protobuf", (path, headers)
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                self.resource = {a.key: plain(a.value) for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    found += scope.spans
        return found

    def named(self, name, **attributes):
        for span in self.spans():
            held = of(span)
            if span.name == name and all(held.get(k.replace("__", ".")) == v for k, v in attributes.items()):
                return span
        return None


def of(span):
    return {a.key: plain(a.value) for a in span.attributes}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, work = os.path.abspath(sys.argv[1]), Path(sys.argv[2]).resolve()
    data = work / "data"
    env = dict(os.environ, COUNTERFOIL_GUARDS=str(work / "guards"), OTEL_BSP_SCHEDULE_DELAY="100")
    env = {k: v for k, v in env.items() if not k.startswith("OTEL_EXPORTER")}

    def run(*words):
        words = [program, *map(str, words), "--dir", str(data)]
        return subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout

    def decide(decision, waiting, person):
        overrides = waiting["yes_overrides" if decision == "approve" else "no_overrides"]
        against = ["--override"] if overrides and decision == "approve" else []
        against += ["--code", waiting["codes"][0]] if overrides and waiting.get("codes") else []
        run("approval", decision, waiting["approval"], "--as", person, "--reason", "looked at", *against)

    run("demo", "--once", "--json", "--cases", 30)
    collector = Server(lambda _: ("application/x-protobuf", b""))
    trace = Trace(collector)
    exporting = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=ours",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }

    def serve(more):
        file = data / "serve.json"
        file.unlink(missing_ok=True)
        command = [program, "serve", "--listen", "127.0.0.1:0", "--dir", str(data)]
        child = subprocess.Popen(command, env=env | more, stdout=subprocess.DEVNULL)
        return child, wait_for("the server", lambda: file.exists() and json.loads(file.read_text())["url"])

    # What waits is signed for, and carried out.
    waiting = json.loads(run("approval", "list", "--json").splitlines()[0])
    server, url = serve(exporting)
    try:
        for person in ["amira", "bram"][: waiting["humans"]]:
            decide("approve", waiting, person)
        wait_for("the execution", lambda: trace.named("execute_tool treasury.transfer_create"))
    finally:
        server.terminate()
        server.wait()
    grant = trace.named("execute_tool treasury.transfer_create")

    home = work / "release"
    shutil.copytree(RELEASE, home)
    team = (home / "team.toml").read_text()
    rules = 'model = { kind = "rules", table = "tables/analyst.cedar" }'
    assert rules in team
    (home / "team.toml").write_text(
        team.replace(rules, 'model = { kind = "anthropic", id = "alpha-1", family = "acme", max_tokens = 500 }')
    )
    (home / "tables/analyst.cedar").unlink()
    digest = run("release", "build", home, "--as", "olivia").strip()
    run("control", "test", digest)
    run("release", "promote", digest, "--env", "staging", "--as", "carla", "--reason", "a model")

    asked = Server(model)
    (data / "models.toml").write_text(f'[anthropic]\nurl = "http://127.0.0.1:{asked.server_port}/v1"\nkey_file = "keys/model"\n')
    (data / "keys/model").write_text("a-model-key")
    (data / "keys/model").chmod(0o600)
    # What the books are told is noted on its way.
    targets = (data / "targets.toml").read_text()
    before, books = targets.split("[books]")
    noted = work / "told"
    args = json.dumps([str(HERE / "tee.py"), str(noted), program, "books", "--data", str(data / "targets/books")])
    (data / "targets.toml").write_text(f'{before}[books]\nprogram = "{sys.executable}"\nargs = {args}\n')

    def post(path, token, body, **headers):
        headers |= {"authorization": f"Bearer {token}", "content-type": "application/json"}
        headers |= {"accept": "application/json, text/event-stream"}
        request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def call(meta):
        arguments = {"invoice_id": "an-argument"}
        params = {"name": "books__invoice_read", "arguments": arguments, "_meta": meta}
        return post("/mcp/staging", analyst, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})

    analyst = (data / "keys/agents/analyst.token").read_text().strip()
    subject = (data / "targets/books/invoices.csv").read_text().splitlines()[1].split(",")[0]
    theirs, span_id, more_theirs = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "a" * 32
    server, url = serve(exporting)
    local = (data / "keys/local.token").read_text().strip()
    try:
        opening = {"case": "traced-1", "environment": "staging", "subject": subject, "source": "a-source"}
        require(post("/v1/cases", local, opening, traceparent=f"00-{theirs}-{span_id}-01") == 200, "a case opens")
        require(call({"traceparent": f"00-{more_theirs}-{span_id}-01"}) == 200, "a tool is called over MCP")
        said = wait_for("the last question", lambda: len(asked.seen) >= 3 and trace.named("invoke_agent analyst"))
        time.sleep(1)
    finally:
        server.terminate()
        server.wait()

    spans = trace.spans()
    by_id = {span.span_id: span for span in spans}
    known = names()
    strange = {a.key for span in spans for a in span.attributes if not a.key.startswith(OWN) and a.key not in known}
    require(len(known) > 500 and not strange, "every attribute is of the semantic conventions, or begins with `counterfoil.`", strange)
    require(trace.resource["service.name"] == "counterfoil", "the service has its name")
    require(trace.resource["deployment.environment.name"] == "test", "and what the environment says of it")
    require(all(h["x-tenant"] == "ours" for _, h, _ in collector.seen), "the collector is given its headers")

    def is_(span, what, kind, **expected):
        held = of(span)
        expected = {k.replace("__", "."): v for k, v in expected.items()}
        wrong = {k: held.get(k) for k, v in expected.items() if held.get(k) != v}
        require(not wrong and span.kind == kind, what, {"wrong": wrong, "kind": span.kind, "held": held})

    opened = trace.named("POST /v1/cases")
    is_(opened, "a request at the HTTP door", Span.SPAN_KIND_SERVER, http__request__method="POST", http__route="/v1/cases",
        http__response__status_code=200, gen_ai__conversation__id="traced-1", counterfoil__case="traced-1")  # fmt: skip
    require((opened.trace_id.hex(), opened.parent_span_id.hex()) == (theirs, span_id), "goes on with its client's trace")

    is_(said, "an agent's part", Span.SPAN_KIND_INTERNAL, gen_ai__operation__name="invoke_agent", gen_ai__agent__id="analyst",
        gen_ai__conversation__id="traced-1", counterfoil__case="traced-1", counterfoil__duty="prepare",
        counterfoil__environment="staging", counterfoil__release=digest)  # fmt: skip
    chat = trace.named("chat alpha-1")
    is_(chat, "its model is asked", Span.SPAN_KIND_CLIENT, gen_ai__operation__name="chat", gen_ai__provider__name="anthropic",
        gen_ai__request__model="alpha-1", gen_ai__request__max_tokens=500, gen_ai__response__model="alpha-1",
        gen_ai__usage__input_tokens=100, gen_ai__usage__output_tokens=10, gen_ai__conversation__id="traced-1")  # fmt: skip
    require(by_id[chat.parent_span_id] == said, "as a step of the agent's part")
    sent = {headers["traceparent"] for _, headers, _ in asked.seen}
    require(f"00-{chat.trace_id.hex()}-{chat.span_id.hex()}-01" in sent, "and the model's endpoint is told of the trace")
    read = trace.named("execute_tool books.invoice_read", counterfoil__case="traced-1")
    is_(read, "a tool is read", Span.SPAN_KIND_INTERNAL, gen_ai__operation__name="execute_tool",
        gen_ai__tool__name="books.invoice_read", gen_ai__tool__type="extension", gen_ai__tool__call__id="traced-1.c1",
        gen_ai__conversation__id="traced-1", counterfoil__release=digest)  # fmt: skip
    require(by_id[read.parent_span_id] == said, "as a step of the agent's part")
    target = next(s for s in spans if s.parent_span_id == read.span_id)
    is_(target, "the target's own part", Span.SPAN_KIND_CLIENT, mcp__method__name="tools/call", network__transport="pipe",
        gen_ai__tool__name="invoice_read")  # fmt: skip
    messages = [json.loads(line) for line in noted.read_text().splitlines()]
    parents = [m["params"].get("_meta", {}).get("traceparent") for m in messages if m.get("method") == "tools/call"]
    require(f"00-{target.trace_id.hex()}-{target.span_id.hex()}-01" in parents, "and the target is told of the trace, in `_meta`")

    is_(grant, "an effect", Span.SPAN_KIND_INTERNAL, gen_ai__operation__name="execute_tool", counterfoil__outcome="succeeded",
        gen_ai__tool__name="treasury.transfer_create", counterfoil__case=waiting["case"], counterfoil__risk=waiting["tier"])  # fmt: skip
    require(of(grant)["counterfoil.grant"] == of(grant)["gen_ai.tool.call.id"], "is called by its grant")
    door = trace.named("tools/call books.invoice_read")
    is_(door, "a call at the MCP door", Span.SPAN_KIND_SERVER, mcp__method__name="tools/call", network__transport="tcp",
        gen_ai__tool__name="books.invoice_read", gen_ai__agent__id="analyst", counterfoil__status="refused",
        error__type="tool_error", counterfoil__release=digest)  # fmt: skip
    require(door.status.code == Status.STATUS_CODE_ERROR, "that was refused has failed")
    require((door.trace_id.hex(), door.parent_span_id.hex()) == (more_theirs, span_id), "goes on with the trace in `_meta`")
    require(any(s.parent_span_id == door.span_id for s in spans), "and its steps are below it")

    everything = b"".join(body for _, _, body in collector.seen)
    for word in [local, analyst, "a-model-key", "an-argument", "a-source", "a-rationale", "What you obey", "looked at"]:
        require(word.encode() not in everything, "no secret, argument or word is in a span", word)

    # Collectors that do not answer, or are not there, cost nobody anything.
    hung = threading.Event()
    silent = Server(lambda _: hung.wait() and ("", b""))
    for what, port in {"a collector that does not answer": silent.server_port, "a collector that is away": 9}.items():
        server, url = serve({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"})
        began = time.monotonic()
        require(all(call({}) == 200 for _ in range(100)), f"{what} fails nothing")
        took = time.monotonic() - began
        server.terminate()
        require(server.wait(timeout=20) == 0 and took < 30, f"{what} holds up nothing ({took:.1f} s for 100 calls)")
    hung.set()


main()
