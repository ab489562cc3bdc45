// The page's part in signing: shows what is signed from the very values that are signed, and sends the signed statement.

import { canonical, digest, findKey, forgetKey, importKey, sign } from "/assets/keys.js";

const $ = (id) => document.getElementById(id);
const say = (text, kind = "note") => {
  const status = $("status");
  status.textContent = text;
  status.className = `status ${kind}`;
};

const setUpKey = (form) => {
  const { person, registered } = form.dataset;
  const refresh = async () => {
    const here = Boolean(await findKey(person));
    document.querySelectorAll("[data-needs-key]").forEach((e) => { e.hidden = !here; });
    document.querySelectorAll("[data-lacks-key]").forEach((e) => { e.hidden = here; });
    return here;
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const file = $("key-file").files[0];
      const pem = file ? await file.text() : $("key-text").value;
      await importKey(person, pem, registered);
      form.reset();
      await refresh();
      say("Your key is in this browser now. Nobody can take it out, and it never leaves it.", "good");
    } catch (e) {
      say(e.message || "The key could not be read.", "bad");
    }
  });
  const forget = $("forget-key");
  if (forget) {
    forget.addEventListener("click", async () => {
      await forgetKey(person);
      await refresh();
      say("Your key is no longer in this browser.");
    });
  }
  return refresh();
};

const setUpDecision = (form) => {
  const waiting = JSON.parse(form.dataset.waiting);
  const { person, credential, csrf } = form.dataset;
  const dialog = $("confirm");
  let statement = null;

  const prepare = async (decision) => {
    const overrides = decision === "approve" ? waiting.yes_overrides : waiting.no_overrides;
    const reason = $("reason").value.trim();
    if ((decision === "reject" || overrides) && reason.length < 3) {
      $("reason").setAttribute("aria-invalid", "true");
      $("reason").focus();
      throw new Error(overrides ? "This goes against an agent's recommendation: give your reason." : "Give your reason for the rejection.");
    }
    $("reason").removeAttribute("aria-invalid");
    const computed = await digest({ tool: waiting.action.tool, arguments: waiting.action.arguments });
    if (computed !== waiting.digest) throw new Error("The action on this page is not the one that is asked to be signed. Do not sign; tell your auditor.");
    return {
      statement: "counterfoil/approval/v1", log: waiting.log, approval: waiting.approval, case: waiting.case,
      action: computed, release: waiting.release, env: waiting.env, expires: waiting.expires,
      decision, override: overrides, reason, signer: person, credential,
    };
  };

  const show = () => {
    $("confirm-word").textContent = statement.decision === "approve" ? "Yes" : "No";
    $("confirm-override").hidden = !statement.override;
    $("confirm-reason").textContent = statement.reason || "none given";
    const list = $("confirm-action");
    list.replaceChildren();
    for (const [name, value] of [["tool", waiting.action.tool], ...Object.entries(waiting.action.arguments)]) {
      const term = document.createElement("dt");
      const said = document.createElement("dd");
      term.textContent = name;
      said.textContent = String(value);
      list.append(term, said);
    }
    $("confirm-digest").textContent = statement.action;
    dialog.showModal();
    $("confirm-sign").focus();
  };

  for (const button of form.querySelectorAll("button[data-decision]")) {
    button.addEventListener("click", async () => {
      try {
        statement = await prepare(button.dataset.decision);
        say("");
        show();
      } catch (e) {
        say(e.message, "bad");
      }
    });
  }
  $("confirm-back").addEventListener("click", () => dialog.close());
  $("confirm-sign").addEventListener("click", async () => {
    dialog.close();
    try {
      const key = await findKey(person);
      if (!key) throw new Error("Your key is not in this browser.");
      const signature = await sign(key, statement);
      const answer = await fetch(`/approvals/${encodeURIComponent(waiting.approval)}/sign`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-counterfoil-csrf": csrf },
        body: canonical({ statement, signature }),
      });
      const said = await answer.json();
      if (!answer.ok) throw new Error(`Refused: ${said.why} ${said.remedy}${said.clause ? ` (clause ${said.clause})` : ""}`);
      form.hidden = true;
      $("done-link").hidden = false;
      say(`Signed and recorded as record ${said.record}. ${said.next}`, "good");
    } catch (e) {
      say(e.message, "bad");
    }
  });
};

const keyForm = $("key-form");
if (keyForm) await setUpKey(keyForm);
const decision = $("decision");
if (decision) setUpDecision(decision);
document.documentElement.dataset.ready = "yes";
