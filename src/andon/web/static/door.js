"use strict";
// Lets a person in: by the address that `andon portal` printed, password, token, or the organisation's
// provider. The session itself is a cookie that no script can read.

const atDoor = (id) => document.getElementById(id);
let csrf = "";

async function ask(method, path, body) {
  const answer = await fetch(`/api/v1${path}`, {
    method,
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-Andon-CSRF": csrf },
    body: body ? JSON.stringify(body) : undefined,
  });
  const said = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error([said.detail, said.hint].filter(Boolean).join(". "));
  return said;
}

function showDoor(said) {
  atDoor("door").hidden = false;
  atDoor("inside").hidden = true;
  atDoor("who").hidden = true;
  atDoor("link").hidden = true;
  atDoor("headline").textContent = "Who is there?";
  atDoor("door-said").textContent = said || "";
}

async function logIn(wish, inside) {
  try {
    await ask("POST", "/session", wish);
    await enter(inside);
  } catch (error) {
    showDoor(error.message);
  }
}

// What stands behind # is for this page alone, and is taken out of the address at once.
function fromAddress(name) {
  const found = new RegExp(`^#${name}=(.*)$`).exec(location.hash);
  if (found) history.replaceState(null, "", location.pathname);
  return found ? decodeURIComponent(found[1]) : "";
}

// A command line that asks is remembered over the login, also at the organisation's provider.
const PAIR = "andon-pair";

async function showPairing(code) {
  atDoor("pairing").hidden = false;
  atDoor("pairing-code").textContent = code;
  const answer = async (allow) => {
    atDoor("pairing-answers").hidden = true;
    try {
      await ask("POST", `/session/pairings/${encodeURIComponent(code)}`, { allow });
      atDoor("pairing-said").textContent = allow ? "Done: go back to the command line." : "Refused.";
    } catch (error) {
      atDoor("pairing-said").textContent = error.message;
    }
  };
  atDoor("pairing-yes").onclick = () => answer(true);
  atDoor("pairing-no").onclick = () => answer(false);
  try {
    const found = await ask("GET", `/session/pairings/${encodeURIComponent(code)}`);
    atDoor("pairing-who").textContent = `${found.machine || "somebody"}, from ${found.address}`;
  } catch (error) {
    atDoor("pairing-answers").hidden = true;
    atDoor("pairing-said").textContent = error.message;
  }
}

async function enter(inside) {
  const denied = fromAddress("denied");
  const pair = fromAddress("pair");
  if (pair) sessionStorage.setItem(PAIR, pair);
  const code = fromAddress("code");
  if (code) return logIn({ code }, inside);
  const session = await ask("GET", "/session");
  csrf = session.csrf;
  atDoor("door-password").hidden = !session.logins.includes("password");
  atDoor("door-oidc").hidden = !session.logins.includes("oidc");
  const waits = sessionStorage.getItem(PAIR);
  atDoor("door-pair").hidden = !waits;
  atDoor("door-code").textContent = waits || "";
  if (!session.identity) return showDoor(denied);
  if (waits) {
    sessionStorage.removeItem(PAIR);
    showPairing(waits);
  }
  atDoor("door").hidden = true;
  atDoor("inside").hidden = false;
  atDoor("link").hidden = false;
  atDoor("who").hidden = false;
  atDoor("who-name").textContent = session.identity.name.replace(/^person:/, "");
  return inside();
}

for (const id of ["door-password", "door-token"]) {
  atDoor(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const wish = Object.fromEntries(new FormData(event.target));
    event.target.reset();
    logIn(wish, begin);
  });
}
atDoor("leave").addEventListener("click", async () => {
  await ask("DELETE", "/session").catch(() => {});
  location.reload();
});
