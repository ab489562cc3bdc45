"""The console in a real browser: sign in, bring a key, approve, reject with a reason, override.

Plain WebDriver (W3C) over chromedriver, with the standard library only. Prints one JSON object; exits 1 on the first
expectation that does not hold.
"""

import argparse
import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--disable-dev-shm-usage",
]


class Failed(Exception):
    """An expectation that does not hold."""


class Browser:
    """A Chromium of its own, with a fresh profile."""

    def __init__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        driver = shutil.which("chromedriver")
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not driver or not chromium:
            raise Failed("chromium and chromedriver must be installed: apt-get install chromium chromium-driver")
        self.profile = tempfile.mkdtemp()
        self.driver = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        self.wait(lambda: self.call("GET", "/status")["ready"], "chromedriver")
        options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={self.profile}"]}
        capabilities = {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.base += f"/session/{session['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            raise Failed(f"{method} {path}: {json.load(e)['value']['message'][:400]}") from e

    def wait(self, look, what, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                found = look()
                if found:
                    return found
            except (Failed, OSError, KeyError):
                pass
            if time.monotonic() > end:
                raise Failed(f"{what} did not come; the page says: {self.text()[:600]}")
            time.sleep(0.05)

    def go(self, url):
        self.call("POST", "/url", {"url": url})

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self.call("POST", f"/element/{self.find(css)}/click", {})

    def type(self, css, text):
        self.call("POST", f"/element/{self.find(css)}/value", {"text": text})

    def run(self, script, *args):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self):
        try:
            return self.run("return document.body.innerText")
        except Failed:
            return ""

    def says(self, words):
        self.wait(lambda: words in self.text(), f"`{words}`")

    def ready(self):
        self.wait(lambda: self.run("return document.documentElement.dataset.ready"), "the page's script")

    def size(self, width, height, dark):
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}})
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}})

    def picture(self, path):
        shot = self.call("POST", "/goog/cdp/execute", {"cmd": "Page.captureScreenshot", "params": {
            "captureBeyondViewport": True}})
        with open(path, "wb") as f:
            f.write(base64.b64decode(shot["data"]))

    def complaints(self):
        """What the browser logged as an error: violations of the content-security policy are among these."""
        entries = self.call("POST", "/se/log", {"type": "browser"})
        # What the scenario asks for and is rightly refused (403, 404, 410) the browser logs too.
        refused = "the server responded with a status of 4"
        return [e["message"] for e in entries if e["level"] == "SEVERE" and refused not in e["message"]]

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.profile, ignore_errors=True)


def expect(holds, what):
    if not holds:
        raise Failed(what)


def sign_in(b, link):
    b.go(link)
    b.says("This link signs you in once")
    b.click("main button")
    b.says("Waiting for approval")
    b.go(link)
    b.says("used already")


def bring_key(b, url, key, wrong):
    b.go(f"{url}/key")
    b.ready()
    b.type("#key-file", wrong)
    b.click("#key-form button.secondary")
    b.says("not the one that the log records")
    b.go(f"{url}/key")
    b.ready()
    b.type("#key-file", key)
    b.click("#key-form button.secondary")
    b.says("Your key is in this browser now")
    script = """
      const done = arguments[arguments.length - 1];
      import('/assets/keys.js').then(async (k) => {
        const key = await k.findKey(arguments[0]);
        let taken = 'nothing';
        try { await crypto.subtle.exportKey('pkcs8', key); taken = 'the key'; } catch (e) { taken = 'refused'; }
        const text = k.canonical({
          b: 1, a: ['\\u20ac', {z: null, y: true}], 'A\\n': '"', '\\uffff': 1, '\\ud800\\udc00': 2, '': [], '1': {}, 'é': -5,
          c: '\\u0000\\u001f\\u007f\\u2028\\b\\t\\f\\r\\\\/', n: 9007199254740991,
        });
        done([key.extractable, taken, text, await k.digest({tool: 't.u', arguments: {b: 1, a: 'é'}})]);
      });"""
    # A module's import may be made by a script of ours only; the driver's own script is not bound by the policy.
    extractable, taken, canonical, digest = b.call("POST", "/execute/async", {"script": script, "args": [b.person]})
    expect(not extractable and taken == "refused", f"the key can be taken out of the browser: {taken}")
    # What RFC 8785 asks for: keys in order of UTF-16 units, the shortest escapes, everything else as it is.
    right = (
        '{"":[],"1":{},"A\\n":"\\"","a":["\u20ac",{"y":true,"z":null}],"b":1,'
        '"c":"\\u0000\\u001f\x7f\u2028\\b\\t\\f\\r\\\\/","n":9007199254740991,"\u00e9":-5,"\U00010000":2,"\uffff":1}'
    )
    expect(canonical == right, f"not RFC 8785: {canonical!r}")
    plain = '{"arguments":{"a":"\u00e9","b":1},"tool":"t.u"}'
    expect(digest == hashlib.sha256(plain.encode()).hexdigest(), f"not the digest of {plain}: {digest}")


def open_approval(b, url, approval):
    b.go(f"{url}/approvals/{approval}")
    b.ready()
    b.wait(lambda: b.run("return !document.getElementById('decision').hidden"), "the decision's form")


def decide(b, url, approval, decision, reason):
    open_approval(b, url, approval)
    if reason:
        b.type("#reason", reason)
    # Where the release lists reason codes an override carries one; what is no override leaves it out.
    b.run("const code = document.getElementById('code'); if (code) code.selectedIndex = 1")
    b.click(f"button[data-decision={decision}]")
    b.says("You sign:")
    b.click("#confirm-sign")
    b.says("Signed and recorded")


def pictures(b, out, name):
    for width, height, word in [(390, 844, "phone"), (1280, 900, "desktop")]:
        for dark in [False, True]:
            b.size(width, height, dark)
            b.picture(os.path.join(out, f"{name}-{word}-{'dark' if dark else 'light'}.png"))
            overflow = b.run("return document.documentElement.scrollWidth - window.innerWidth")
            expect(overflow <= 0, f"{name} is {overflow} pixels too wide at {width}")
    b.size(1280, 900, False)


def labelled(b, name):
    """Every control has a name, every page one first heading and a language: what a screen reader needs first."""
    found = b.run("""
      const nameless = [...document.querySelectorAll('button, a[href], input:not([type=hidden]), textarea, select')]
        .filter((e) => !(e.innerText || '').trim() && !e.getAttribute('aria-label') && !(e.labels && e.labels.length));
      return [nameless.map((e) => e.outerHTML), document.querySelectorAll('h1').length, document.documentElement.lang];""")
    expect(found == [[], 1, "en"], f"{name}: {found}")


def scenario(b, args):
    b.person = args.person
    b.size(1280, 900, False)
    b.go(f"{args.url}/")
    b.says("Sign in")
    sign_in(b, args.link)
    b.go(f"{args.url}/")
    b.says("Waiting for approval")
    labelled(b, "inbox")
    pictures(b, args.out, "inbox")
    bring_key(b, args.url, args.key, args.wrong_key)
    pictures(b, args.out, "key")

    # One that a single yes completes.
    open_approval(b, args.url, args.approve)
    labelled(b, "approval")
    for words in ["The exact action", "Why it is here", "Analyst", "Reviewer", "The clauses"]:
        b.says(words)
    pictures(b, args.out, "approval")
    b.click("button[data-decision=approve]")
    b.says("You sign: Yes")
    expect("treasury." in b.run("return document.getElementById('confirm').innerText"), "the action is not shown again")
    for width, height, dark, word in [(1280, 900, False, "desktop-light"), (390, 844, True, "phone-dark")]:
        b.size(width, height, dark)
        b.picture(os.path.join(args.out, f"confirm-{word}.png"))
    b.size(1280, 900, False)
    b.click("#confirm-back")
    decide(b, args.url, args.approve, "approve", "")
    b.says("the executor acts now")
    case = args.approve.rsplit(".", 1)[0]

    def executed():
        b.go(f"{args.url}/cases/{case}")
        return "executed" in b.text()

    b.wait(executed, "the execution")
    labelled(b, "case")
    b.says("succeeded")
    pictures(b, args.out, "case")
    b.go(f"{args.url}/approvals/{args.approve}")
    b.says("it was decided")

    # A no needs its reason.
    open_approval(b, args.url, args.reject)
    b.click("button[data-decision=reject]")
    b.says("reason")
    expect(b.run("return document.getElementById('reason').getAttribute('aria-invalid')") == "true", "the field is not marked")
    decide(b, args.url, args.reject, "reject", "The goods were never ordered.")
    b.says("The case is closed")

    # Against an agent's recommendation: an override, with its reason.
    open_approval(b, args.url, args.override)
    b.says("A yes is an override.")
    b.click("button[data-decision=approve]")
    b.says("give your reason")
    decide(b, args.url, args.override, "approve", "The vendor confirmed the account by telephone.")
    b.says("Another person must sign too")

    # A page whose action is not the one to be signed, as a lying server would send it: the script refuses to sign.
    lie = b.call("POST", "/goog/cdp/execute", {"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": """
      document.addEventListener('readystatechange', () => {
        const form = document.getElementById('decision');
        if (document.readyState !== 'interactive' || !form) return;
        const w = JSON.parse(form.dataset.waiting);
        w.action.arguments.amount_cents = 1;
        form.dataset.waiting = JSON.stringify(w);
      });"""}})
    open_approval(b, args.url, args.other)
    b.click("button[data-decision=approve]")
    b.says("not the one that is asked to be signed")
    b.call("POST", "/goog/cdp/execute", {"cmd": "Page.removeScriptToEvaluateOnNewDocument", "params": lie})

    # Whose turn it is, said in the list and on the page.
    b.go(f"{args.url}/?show=others")
    labelled(b, "others")
    b.says("You signed this.")
    b.go(f"{args.url}/approvals/{args.override}")
    b.says("Another person must sign too")
    expect(not b.run("return document.getElementById('decision')"), "who signed is asked again")

    # A yes is taken back, with its reason, as long as nothing has begun; a no is what is left to them then.
    b.ready()
    labelled(b, "withdrawal")
    b.wait(lambda: b.run("return !document.getElementById('withdrawal').hidden"), "the withdrawal's form")
    pictures(b, args.out, "withdrawal")
    b.click("#withdrawal button.danger")
    b.says("Say why you take it back")
    b.type("#reason", "The vendor's call came from another number.")
    b.click("#withdrawal button.danger")
    b.says("Your yes counts no more")
    open_approval(b, args.url, args.override)
    b.says("You may say no.")
    expect(not b.run("return document.querySelector('button[data-decision=approve]')"), "a second yes is offered")

    for path, name in [("cases", "cases"), ("exceptions", "exceptions"), ("thresholds", "thresholds"), ("log", "log")]:
        b.go(f"{args.url}/{path}")
        labelled(b, name)
        pictures(b, args.out, name)
    b.says("counterfoil log verify")
    for words in ["Cosigned by a quorum", "ours", "theirs", "vault", "--witnesses", "--anchors"]:
        b.says(words)
    complaints = b.complaints()
    expect(not complaints, f"the browser complains: {complaints}")
    b.click(".who button")
    b.says("Ask whoever runs this console")
    b.go(f"{args.url}/cases")
    b.says("Ask whoever runs this console")


def main():
    parser = argparse.ArgumentParser()
    for name in ["url", "link", "key", "wrong-key", "person", "out", "approve", "reject", "override", "other"]:
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    try:
        browser = Browser()
        try:
            scenario(browser, args)
        finally:
            browser.close()
    except Failed as e:
        print(json.dumps({"passed": False, "why": str(e)}))
        return 1
    print(json.dumps({"passed": True, "pictures": sorted(os.listdir(args.out))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
