"""A passkey in a real browser, with a virtual authenticator: enrol it, approve with it, and where it must not work.

Prints one JSON object; exits 1 on the first expectation that does not hold.
"""

import argparse
import json
import os
import sys

from drive import Browser, Failed, decide, expect, labelled, open_approval, pictures, sign_in


def cdp(b, command, **params):
    return b.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})


def scenario(b, args):
    b.size(1280, 900, False)
    cdp(b, "WebAuthn.enable")
    authenticator = cdp(b, "WebAuthn.addVirtualAuthenticator", options={
        "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
    })["authenticatorId"]

    # Under an address the page says where to go, and makes nothing.
    sign_in(b, args.link_by_address)
    b.go(f"{args.by_address}/key")
    b.ready()
    b.says(f"Passkeys work at {args.url} only")
    expect(b.run("return document.getElementById('enrol').disabled"), "a passkey would be made under an address")

    sign_in(b, args.link)
    b.go(f"{args.url}/key")
    b.ready()
    labelled(b, "key")
    # Whom the authenticator does not verify gets none.
    cdp(b, "WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=False)
    b.click("#enrol")
    b.says("Nothing was signed")
    cdp(b, "WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=True)
    b.click("#enrol")
    b.says("Your passkey is recorded")
    expect("no passkey of yours" not in b.text(), "the page still says that there is none")
    pictures(b, args.out, "passkey-enrolled")
    b.go(f"{args.url}/key")
    b.ready()
    b.says(f"{args.person}.passkey-1")
    # The same authenticator gives no second one.
    b.click("#enrol")
    b.says("holds a passkey of yours")

    open_approval(b, args.url, args.approve)
    # What is folded away has no text to be looked at.
    b.run("document.getElementById('key-instead').open = true")
    labelled(b, "approval")
    b.run("document.getElementById('key-instead').open = false")
    pictures(b, args.out, "passkey-approval")
    cdp(b, "WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=False)
    b.click("button[data-decision=approve]")
    b.says("You sign: Yes")
    b.says(f"{args.person}.passkey-1")
    b.picture(os.path.join(args.out, "passkey-confirm.png"))
    b.click("#confirm-sign")
    b.says("Nothing was signed")
    cdp(b, "WebAuthn.setUserVerified", authenticatorId=authenticator, isUserVerified=True)
    decide(b, args.url, args.approve, "approve", "")
    b.says("the executor acts now")
    case = args.approve.rsplit(".", 1)[0]

    def executed():
        b.go(f"{args.url}/cases/{case}")
        return "executed" in b.text()

    b.wait(executed, "the execution")
    decide(b, args.url, args.reject, "reject", "The goods were never ordered.")
    b.says("The case is closed")
    complaints = b.complaints()
    expect(not complaints, f"the browser complains: {complaints}")


def main():
    parser = argparse.ArgumentParser()
    for name in ["url", "by-address", "link", "link-by-address", "person", "out", "approve", "reject"]:
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
