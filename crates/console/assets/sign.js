// The page's part in signing: shows what is signed from the very values that are signed, and sends the signed statement.

import { canonical, digest, findKey, forgetKey, importKey, sign } from "/assets/keys.js";
import { assertion, make, works } from "/assets/passkey.js";

const $ = (id) => document.getElementById(id);
const say = (text, kind = "note") => {
  const status = $("status");
  status.textContent = text;
  status.className = `status ${kind}`;
};

// What can be signed with on this page at this moment: passkeys of this place, and the key in this browser.
const waysOf = async (form) => {
  const { place, own } = JSON.parse(form.dataset.passkeys);
  const ways = works(place)
    ? own.map(({ credential, id }) => ({ credential, name: `passkey (${credential})`, sign: (s) => assertion(place, id, s) }))
    : [];
  const { person, credential } = form.dataset;
  const key = credential && (await findKey(person));
  if (key) ways.push({ credential, name: `the key in this browser (${credential})`, sign: (s) => sign(key, s) });
  return ways;
};

let ways = [];
const showWays = async () => {
  const form = document.querySelector("form.signs");
  if (!form) return;
  ways = await waysOf(form);
  form.hidden = ways.length === 0;
  $("ways").hidden = ways.length < 2;
  $("with").replaceChildren(...ways.map(({ name }, i) => new Option(name, i)));
};

// Passkeys belong to a name: under another one of the same machine the page can only say where.
const sayWhere = (form) => {
  const { place } = JSON.parse(form.dataset.passkeys);
  const there = works(place);
  if ($("elsewhere")) $("elsewhere").hidden = there;
  if ($("enrol")) $("enrol").disabled = !there;
};

const setUpPasskeys = (form) => {
  sayWhere(form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    $("enrol").disabled = true;
    try {
      const made = await make(JSON.parse(form.dataset.passkeys));
      const said = await post("/key/passkeys", form.dataset.csrf, made);
      const { credential } = made.possession.statement;
      const line = document.createElement("li");
      line.className = "mono";
      line.textContent = credential;
      $("passkeys").append(line);
      $("passkeys").hidden = false;
      $("no-passkeys").hidden = true;
      $("enrol").hidden = true;
      say(`Your passkey is recorded, as record ${said.record}: ${credential}.`, "good");
    } catch (e) {
      $("enrol").disabled = false;
      say(e.message, "bad");
    }
  });
};

const setUpKey = (form) => {
  const { person, registered } = form.dataset;
  const refresh = async () => {
    const here = Boolean(await findKey(person));
    document.querySelectorAll("[data-needs-key]").forEach((e) => { e.hidden = !here; });
    document.querySelectorAll("[data-lacks-key]").forEach((e) => { e.hidden = here; });
    await showWays();
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
  $("forget-key").addEventListener("click", async () => {
    await forgetKey(person);
    await refresh();
    say("Your key is no longer in this browser.");
  });
  return refresh();
};

// A value as it is signed: text as it stands, everything else as its canonical JSON.
const exactly = (value) => (typeof value === "string" ? value : canonical(value));

// Money beside the exact number, from the same values, by the convention of names that the page follows too.
const readably = (name, value, currency) =>
  name.endsWith("_cents") && Number.isInteger(value)
    ? `${exactly(value)} (${(value / 100).toLocaleString("en", { minimumFractionDigits: 2 })} ${currency || ""})`.replace(" )", ")")
    : exactly(value);

const list = (id, pairs) => {
  $(id).replaceChildren(...pairs.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const said = document.createElement("dd");
    term.textContent = name;
    said.textContent = value;
    return [term, said];
  }));
};

// Sends what was signed; what comes back, or an error that says why nothing was recorded.
const post = async (path, csrf, signed) => {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-counterfoil-csrf": csrf },
      body: canonical(signed),
    });
  } catch {
    throw new Error("The server does not answer. Load the page again before you sign again: it shows whether your signature arrived.");
  }
  if (answer.redirected) throw new Error("Your session has ended, and nothing was recorded. Sign in again.");
  const text = await answer.text();
  let said;
  try {
    said = JSON.parse(text);
  } catch {
    throw new Error(`Nothing was recorded: ${text}`);
  }
  if (!answer.ok) throw new Error(`Refused: ${said.why}. To pass: ${said.remedy}.${said.clause ? ` (Clause ${said.clause}.)` : ""}`);
  return said;
};

// The reason as it was written; where one is needed and none is there, `needed` is said.
const reasonGiven = (needed) => {
  const reason = $("reason").value.trim();
  if (needed && reason.length < 3) {
    $("reason").setAttribute("aria-invalid", "true");
    $("reason").focus();
    throw new Error(needed);
  }
  $("reason").removeAttribute("aria-invalid");
  return reason;
};

const setUpDecision = (form) => {
  const waiting = JSON.parse(form.dataset.waiting);
  const { person, csrf } = form.dataset;
  let way = null;
  const dialog = $("confirm");
  let statement = null;
  // The time of the server as the page came, and what has gone by since: a clock of this machine that is wrong does no harm.
  const loaded = performance.now();
  const now = () => new Date(Date.parse(form.dataset.now) + performance.now() - loaded).toISOString();

  const prepare = async (decision) => {
    way = ways[Number($("with").value)];
    if (!way) throw new Error("There is nothing here to sign with.");
    const { credential } = way;
    const overrides = decision === "approve" ? waiting.yes_overrides : waiting.no_overrides;
    const needed = overrides ? "This goes against an agent's recommendation: give your reason." : "Give your reason for the rejection.";
    const reason = reasonGiven(decision === "reject" || overrides ? needed : null);
    // What is left out is not signed: a stage without a name, one's own name, a code where none is asked for.
    const chosen = $("standing") ? JSON.parse($("standing").value) : {};
    const optional = {};
    if (chosen.stage && decision === "approve") optional.stage = chosen.stage;
    if (chosen.on_behalf) optional.on_behalf = chosen.on_behalf;
    if (overrides && $("code")) {
      if (!$("code").value) {
        $("code").focus();
        throw new Error("This goes against an agent's recommendation: choose why.");
      }
      optional.code = $("code").value;
    }
    const computed = await digest({ tool: waiting.action.tool, arguments: waiting.action.arguments });
    if (computed !== waiting.digest) throw new Error("The action on this page is not the one that is asked to be signed. Do not sign; tell your auditor.");
    return {
      statement: "counterfoil/approval/v1", log: waiting.log, approval: waiting.approval, case: waiting.case,
      action: computed, release: waiting.release, env: waiting.env, expires: waiting.expires,
      signed: now(), decision, override: overrides, reason, signer: person, credential, ...optional,
    };
  };

  // What is signed says when: that is when Sign is pressed, not when the question was opened.
  let clock = null;
  const showTime = () => {
    statement.signed = now();
    $("confirm-time").textContent = statement.signed;
    $("confirm-bytes").textContent = canonical(statement);
  };
  dialog.addEventListener("close", () => clearInterval(clock));

  const show = () => {
    const { tool, arguments: given } = waiting.action;
    $("confirm-word").textContent = statement.decision === "approve" ? "Yes" : "No";
    $("confirm-override").hidden = !statement.override;
    list("confirm-action", [["tool", tool], ...Object.entries(given).map(([name, value]) => [name, readably(name, value, given.currency)])]);
    list("confirm-rest", [
      ["as", `${statement.signer} (${statement.credential})`],
      ...(statement.on_behalf ? [["for", statement.on_behalf]] : []),
      ...(statement.stage ? [["stage", statement.stage]] : []),
      ...(statement.code ? [["code", statement.code]] : []),
      ["case", statement.case], ["reason", statement.reason || "none given"],
      ["until", statement.expires], ["digest", statement.action],
    ]);
    showTime();
    clock = setInterval(showTime, 1000);
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
  $("confirm-sign").addEventListener("click", async (event) => {
    event.target.disabled = true;
    clearInterval(clock);
    showTime();
    try {
      const signature = await way.sign(statement);
      const said = await post(`/approvals/${encodeURIComponent(waiting.approval)}/sign`, csrf, { statement, signature });
      form.hidden = true;
      if ($("key-form")) $("key-form").hidden = true;
      $("done-link").hidden = false;
      say(`Signed and recorded as record ${said.record}. ${said.next}`, "good");
    } catch (e) {
      say(e.message, "bad");
    }
    event.target.disabled = false;
    dialog.close();
    $("status").focus();
  });
};

const setUpWithdrawal = (form) => {
  const waiting = JSON.parse(form.dataset.waiting);
  const { person, csrf } = form.dataset;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.danger");
    button.disabled = true;
    try {
      const way = ways[Number($("with").value)];
      if (!way) throw new Error("There is nothing here to sign with.");
      const reason = reasonGiven("Say why you take it back.");
      const statement = {
        statement: "counterfoil/withdrawal/v1", log: waiting.log, approval: waiting.approval, action: waiting.digest,
        reason, signer: person, credential: way.credential,
      };
      const signature = await way.sign(statement);
      const said = await post(`/approvals/${encodeURIComponent(waiting.approval)}/withdraw`, csrf, { statement, signature });
      form.hidden = true;
      if ($("key-form")) $("key-form").hidden = true;
      $("done-link").hidden = false;
      say(`Your yes counts no more: record ${said.record}.`, "good");
    } catch (e) {
      button.disabled = false;
      say(e.message, "bad");
    }
    $("status").focus();
  });
};

const keyForm = $("key-form");
if (keyForm) await setUpKey(keyForm);
const passkeyForm = $("passkey-form");
if (passkeyForm) setUpPasskeys(passkeyForm);
const decision = $("decision");
if (decision) setUpDecision(decision);
const withdrawal = $("withdrawal");
if (withdrawal) setUpWithdrawal(withdrawal);
if (decision || withdrawal) {
  sayWhere(decision || withdrawal);
  await showWays();
}
document.documentElement.dataset.ready = "yes";
