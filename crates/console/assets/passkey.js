// Passkeys: made and used by the authenticator, which shows no key to anybody. Source: W3C Web Authentication Level 3.

import { canonical } from "/assets/keys.js";

const bytes = (text) => new TextEncoder().encode(text);
const sha256 = (data) => crypto.subtle.digest("SHA-256", data);
const toUrl = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const fromUrl = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

// Whether this page is open where passkeys of `place` work.
export const works = (place) => Boolean(place && window.PublicKeyCredential && place.origins.includes(location.origin));

// What a browser says when somebody turns away or nothing fits is the same: it tells no more, so that pages cannot probe.
const plainly = (e) => {
  if (e.name === "NotAllowedError") return new Error("Nothing was signed: it was called off, took too long, or no authenticator here fits.");
  if (e.name === "InvalidStateError") return new Error("This authenticator holds a passkey of yours for this console already.");
  return e;
};

// A signature over `statement`: its digest is the challenge.
export const assertion = async (place, id, statement) => {
  let got;
  try {
    got = await navigator.credentials.get({
      publicKey: {
        challenge: await sha256(bytes(canonical(statement))),
        rpId: place.rp,
        allowCredentials: [{ type: "public-key", id: fromUrl(id) }],
        userVerification: "required",
      },
    });
  } catch (e) {
    throw plainly(e);
  }
  const { authenticatorData, clientDataJSON, signature } = got.response;
  return { authenticatorData: toUrl(authenticatorData), clientDataJSON: toUrl(clientDataJSON), signature: toUrl(signature) };
};

// The key's bytes at the end of its SubjectPublicKeyInfo (RFC 5480, RFC 8410), by COSE's number of the algorithm.
const forms = { "-7": ["ES256", 65], "-8": ["EdDSA", 32] };

// A new passkey, with its own signature that it is this person's.
export const make = async ({ place, log, person, own, next }) => {
  let made;
  try {
    made = await navigator.credentials.create({
      publicKey: {
        // Nothing is attested, so that nothing is signed here: the statement below is.
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        rp: { id: place.rp, name: "Counterfoil" },
        user: { id: await sha256(bytes(`${log} ${person}`)), name: person, displayName: person },
        pubKeyCredParams: Object.keys(forms).map((alg) => ({ type: "public-key", alg: Number(alg) })),
        excludeCredentials: own.map(({ id }) => ({ type: "public-key", id: fromUrl(id) })),
        attestation: "none",
        authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
      },
    });
  } catch (e) {
    throw plainly(e);
  }
  const form = forms[String(made.response.getPublicKeyAlgorithm())];
  const key = made.response.getPublicKey();
  if (!form || !key) throw new Error("This authenticator makes keys of a sort that is not taken.");
  const [algorithm, length] = form;
  const id = toUrl(made.rawId);
  const statement = { statement: "counterfoil/credential/v1", log, signer: person, credential: next };
  const signature = await assertion(place, id, statement);
  return { id, algorithm, public: toUrl(key.slice(-length)), possession: { statement, signature } };
};
