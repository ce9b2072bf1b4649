"use strict";
// Draws the line from GET /api/v1/status and keeps it moving with /api/v1/events. Everything that
// comes from outside is set as text, never as markup.

const STATE = {
  Succeeded: "go", Running: "move", Pending: "move", Waiting: "wait",
  Failed: "stop", RolledBack: "stop", Cancelled: "wait",
};
const SAID = {
  Succeeded: "in place", Running: "rolling out", Pending: "about to start", Waiting: "waiting",
  Failed: "failed", RolledBack: "rolled back", Cancelled: "superseded",
};
const STORY_LINES = 40;
const REFRESH_MS = 10000;
const byId = (id) => document.getElementById(id);
const drawn = new Map(); // run name -> function that redraws its meters
const told = new Set();
let lastDrawing = "";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const short = (text) => (text || "").replace(/^sha256:/, "").slice(0, 12);
const firstLine = (text) => (text || "").split("\n")[0];
const percent = (value) => `${Math.round(value * 10) / 10} %`;
const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function meter(label, tone) {
  const fill = make("i");
  const bar = make("div", { class: "bar", "data-tone": tone, role: "meter", "aria-label": label, "aria-valuemin": "0" }, fill);
  const output = make("output", { "aria-hidden": "true" });
  const set = (value, full, text) => {
    const share = full > 0 ? Math.min(Math.max(value / full, 0), 1) : 0;
    fill.style.width = `${share * 100}%`;
    bar.setAttribute("aria-valuemax", String(full));
    bar.setAttribute("aria-valuenow", String(Math.min(Math.max(value, 0), full)));
    bar.setAttribute("aria-valuetext", text);
    output.textContent = text;
  };
  return { parts: [make("span", {}, label), bar, output], set };
}

function canaryMeters(run) {
  const weight = meter("Traffic", "move");
  const fit = meter("Evidence it is fit", "go");
  const harm = meter("Evidence of harm", "stop");
  const counts = make("p", { class: "note" });
  const redraw = (now) => {
    weight.set(now.weight, 100, percent(now.weight));
    fit.set(now.fitLog, now.fitThreshold, `${now.fitLog.toFixed(1)} of ${now.fitThreshold.toFixed(1)}`);
    harm.set(now.evidenceLog, now.evidenceThreshold, `${now.evidenceLog.toFixed(1)} of ${now.evidenceThreshold.toFixed(1)}`);
    counts.textContent = `${plural(now.canaryErrors, "error")} in ${now.canaryRequests.toLocaleString()} requests; beside it ${now.stableErrors} in ${now.stableRequests.toLocaleString()}`;
  };
  redraw(run);
  drawn.set(run.name, redraw);
  return [make("div", { class: "meters" }, ...weight.parts, ...fit.parts, ...harm.parts), counts];
}

function stateOf(row) {
  if (row.holds && row.holds.length) return "stop";
  if (row.canary) return STATE[row.canary.run.phase] || "move";
  return row.version && (row.version.sha || row.version.digest) ? "go" : "quiet";
}

function sentenceOf(row, state) {
  if (row.canary) return SAID[row.canary.run.phase] || "moving";
  if (state === "stop") return "held";
  return state === "go" ? "serving" : "nothing yet";
}

function station(row, environment) {
  const cell = make("td", { "data-environment": environment });
  if (!row) {
    cell.append(make("span", { class: "lamp", "aria-hidden": "true" }), make("span", { class: "what" }, "nothing yet"));
    return cell;
  }
  const state = stateOf(row);
  const arriving = row.canary ? row.canary.version : row.version;
  const sha = short(arriving && (arriving.sha || arriving.digest));
  cell.append(
    make("span", { class: "lamp", "data-state": state, "aria-hidden": "true" }),
    make("span", { class: "what", "data-state": state }, make("b", {}, sentenceOf(row, state)), sha ? " " : null, sha ? make("span", { class: "sha" }, sha) : null),
  );
  if (row.canary) {
    cell.append(...canaryMeters(row.canary.run));
    if (row.canary.run.message) cell.append(make("p", { class: "note" }, firstLine(row.canary.run.message)));
  }
  const before = row.canary && short(row.version && (row.version.sha || row.version.digest));
  if (before) cell.append(make("p", { class: "note" }, `serving ${before} with ${percent(row.weight)}`));
  const ready = row.replicas || { ready: 0, wanted: 0 };
  const address = row.address ? make("a", { href: row.address, rel: "noreferrer" }, row.address.replace(/^https?:\/\//, "")) : null;
  if (ready.wanted || address) cell.append(make("p", { class: "note" }, `${ready.ready} of ${ready.wanted} ready`, address ? " · " : null, address));
  return cell;
}

function grid(status) {
  const named = [...new Set(status.services.map((row) => row.environment))];
  const environments = status.environments && status.environments.length ? status.environments : named;
  const services = [...new Set(status.services.map((row) => row.service))];
  if (!services.length) return make("p", { class: "empty" }, "Nothing has been shipped yet. ", make("code", {}, "andon ship"), " takes the current commit onto the line.");
  const head = make("tr", {}, make("th", { scope: "col" }, "Service"), ...environments.map((name) => make("th", { scope: "col" }, name)));
  const rows = services.map((service) => make("tr", {}, make("th", { scope: "row" }, service),
    ...environments.map((environment) => station(status.services.find((row) => row.service === service && row.environment === environment), environment))));
  return make("table", { class: "grid" }, make("thead", {}, head), make("tbody", {}, ...rows));
}

function hold(one) {
  const until = one.expiresAt ? `, until ${time(one.expiresAt)}` : "";
  return make("li", {}, make("strong", {}, one.scopeText), make("p", {}, one.reason),
    make("small", {}, `by ${one.source} since ${time(one.createdAt)}${until}. Opens with `, make("code", {}, one.opens)));
}

function change(one) {
  const state = STATE[one.phase] || "wait";
  const word = one.phase === "Running" || one.phase === "Pending" ? "on the line" : one.phase === "Succeeded" ? "done" : SAID[one.phase];
  return make("li", {},
    make("div", {}, make("span", { class: "message" }, linkTo(firstLine(one.message), "changes", one.name)), make("span", { class: "word", "data-state": state }, word || one.phase)),
    make("p", { class: "note" }, make("span", { class: "sha" }, short(one.sha)), ` by ${one.author}`, one.statusMessage ? `: ${firstLine(one.statusMessage)}` : ""));
}

function headline(status) {
  const names = (rows) => [...new Set(rows.map((row) => `${row.service} in ${row.environment}`))].join(", ");
  const moving = status.services.filter((row) => row.canary);
  const held = status.services.filter((row) => row.holds && row.holds.length);
  if (moving.length) return ["move", `${names(moving)}: ${SAID[moving[0].canary.run.phase] || "moving"}.`];
  if (held.length) return ["stop", `The line is stopped for ${names(held)}.`];
  if (status.runs.length) return ["move", "The line is moving."];
  return status.services.length ? ["go", "The line is clear."] : ["quiet", "The line is empty."];
}

function draw(status) {
  const [state, sentence] = headline(status);
  document.querySelector(".board").dataset.state = state;
  if (byId("headline").textContent !== sentence) byId("headline").textContent = sentence;
  byId("subline").textContent = `${plural(status.services.length, "deployment")}, ${plural(status.runs.length, "run")} under way, ${plural(status.holds.length, "hold")}`;
  document.title = `${state === "stop" ? "■ " : ""}${sentence} Andon`;
  const shape = JSON.stringify([status.services, status.holds, status.changes, status.environments],
    (key, value) => (/^(weight|evidence|fit|canaryR|canaryE|stable|expected)/.test(key) ? undefined : value));
  if (shape !== lastDrawing) {
    lastDrawing = shape;
    drawn.clear();
    byId("holds").hidden = !status.holds.length;
    byId("holds-list").replaceChildren(...status.holds.map(hold));
    byId("grid").replaceChildren(grid(status));
    byId("grid").setAttribute("aria-busy", "false");
    const changes = status.changes.map(change);
    byId("changes").replaceChildren(...(changes.length ? changes : [make("li", {}, "None yet.")]));
  } else {
    for (const row of status.services) if (row.canary) moveMeters(row.canary.run);
  }
}

function moveMeters(run) {
  const redraw = drawn.get(run.name);
  if (redraw) redraw(run);
}

function tell(at, text) {
  const key = `${at.toFixed(3)} ${text}`;
  if (told.has(key)) return;
  told.add(key);
  const line = make("li", {}, make("time", { datetime: new Date(at * 1000).toISOString() }, time(at)), make("span", {}, text));
  line.dataset.at = at;
  const list = byId("story");
  const later = [...list.children].find((other) => Number(other.dataset.at) <= at);
  list.insertBefore(line, later || null);
  while (list.children.length > STORY_LINES) list.lastChild.remove();
}

async function get(path) {
  const answer = await fetch(`/api/v1${path}`, { headers: { Accept: "application/json" } });
  if (answer.status === 401) showDoor("Your session is over.");
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

let pending = null;
function refreshSoon() {
  pending = pending || setTimeout(refresh, 250);
}

async function refresh() {
  pending = null;
  try {
    draw(await get("/status"));
    connected(true);
  } catch {
    connected(false);
  }
}

function connected(on) {
  byId("link").dataset.on = String(on);
  byId("link-text").textContent = on ? "live" : "control plane does not answer; services go on";
}

async function tellRecent() {
  for (const one of (await get("/changes?limit=3")).reverse()) {
    const why = await get(`/why?subject=${encodeURIComponent(one.name)}`);
    for (const moment of why.story) tell(moment.at, moment.text);
  }
}

function follow() {
  const events = new EventSource("/api/v1/events");
  events.addEventListener("open", refresh);
  events.addEventListener("error", refreshSoon);
  events.addEventListener("progress", (message) => moveMeters(JSON.parse(message.data).run));
  events.addEventListener("event", (message) => {
    const event = JSON.parse(message.data);
    tell(event.at, event.text);
    refreshSoon();
  });
}

// #/changes/NAME: where a commit's status in a forge and a notice lead to.
async function showSubject() {
  const found = /^#\/changes\/(.+)$/.exec(location.hash);
  byId("subject").hidden = !found;
  if (!found) return;
  const name = decodeURIComponent(found[1]);
  byId("subject-title").textContent = name;
  byId("subject-runs").replaceChildren();
  foretell(name, () => true, "subject-forecast");
  get(`/runs?change=${encodeURIComponent(name)}`).then((runs) => byId("subject-runs").replaceChildren(...runs.map((one) => make("li", {}, linkTo(one.name, "runs", one.name), ` ${one.phase}`)))).catch(() => {});
  try {
    const why = await get(`/why?subject=${encodeURIComponent(name)}`);
    byId("subject-summary").textContent = why.summary;
    const missing = why.missing.map((one) => make("li", {}, make("strong", {}, one.check), make("p", {}, one.environment ? `missing in ${one.environment}` : "missing"), make("small", {}, "Opens with ", make("code", {}, one.opens))));
    byId("subject-reasons").replaceChildren(...why.holds.map(hold), ...missing);
  } catch {
    byId("subject-summary").textContent = "Nothing of that name is on the line.";
    byId("subject-reasons").replaceChildren();
  }
}

let timer = null;
function begin() {
  refresh().then(tellRecent).catch(() => {}).finally(follow);
  showSubject();
  route();
  listRepositories().catch(() => {});
  addEventListener("hashchange", () => { showSubject(); route(); });
  timer = timer || setInterval(refresh, REFRESH_MS);
}

enter(begin);
