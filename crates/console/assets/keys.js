// A person's signing key, in this browser: imported once as a key that cannot be taken out again, kept in IndexedDB.

const open = () => new Promise((resolve, reject) => {
  const asked = indexedDB.open("counterfoil", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("keys");
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

const inStore = async (mode, work) => {
  const db = await open();
  return new Promise((resolve, reject) => {
    const store = db.transaction("keys", mode).objectStore("keys");
    const asked = work(store);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
};

// RFC 8785: keys in order of UTF-16 code units, numbers and strings as ECMAScript writes them.
export const canonical = (value) => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const fields = Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`);
    return `{${fields.join(",")}}`;
  }
  return JSON.stringify(value);
};

const bytes = (text) => new TextEncoder().encode(text);
const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const toBase64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));

export const digest = async (value) => {
  const hash = await crypto.subtle.digest("SHA-256", bytes(canonical(value)));
  return Array.from(new Uint8Array(hash), (b) => b.toString(16).padStart(2, "0")).join("");
};

// Imports a PKCS#8 PEM key for `person` if it is the one that the log records (`registered`, 32 bytes in base64).
export const importKey = async (person, pem, registered) => {
  const body = pem.match(/-----BEGIN PRIVATE KEY-----([\s\S]*?)-----END PRIVATE KEY-----/);
  if (!body) throw new Error("This is not a private key in PEM form.");
  let key;
  try {
    key = await crypto.subtle.importKey("pkcs8", fromBase64(body[1].replace(/\s/g, "")), { name: "Ed25519" }, false, ["sign"]);
  } catch (e) {
    throw new Error(e.name === "NotSupportedError" ? "This browser cannot sign with Ed25519: use a newer one." : "This is not an Ed25519 key in PKCS#8 form.");
  }
  const known = await crypto.subtle.importKey("raw", fromBase64(registered), { name: "Ed25519" }, false, ["verify"]);
  const probe = bytes("counterfoil/key-check");
  const fits = await crypto.subtle.verify("Ed25519", known, await crypto.subtle.sign("Ed25519", key, probe), probe);
  if (!fits) throw new Error("This key is not the one that the log records for you.");
  await inStore("readwrite", (store) => store.put(key, person));
};

export const findKey = (person) => inStore("readonly", (store) => store.get(person));
export const forgetKey = (person) => inStore("readwrite", (store) => store.delete(person));

export const sign = async (key, statement) =>
  toBase64(await crypto.subtle.sign("Ed25519", key, bytes(canonical(statement))));
