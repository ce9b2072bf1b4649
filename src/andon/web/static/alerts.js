"use strict";
// The page of alerts (#/alerts): what fires, by service; what budgets still allow; what is kept quiet. A
// severity is a word first and a colour second. Everything that comes from outside is set as text.

const SEVERITY = { page: ["!", "stop"], ticket: ["▲", "wait"], question: ["?", "move"], info: ["i", "soft"] };
const BUDGET = { healthy: ["✓", "go"], caution: ["▲", "wait"], frozen: ["✱", "move"], exhausted: ["✗", "stop"] };
const ALERTS_MS = 10000;
let alertsTimer = null;

ROUTES.push([/^#\/alerts(?:\?.*)?$/, "alerts", () => showAlerts()]);
addEventListener("hashchange", () => clearTimeout(alertsTimer));

async function showAlerts() {
  document.title = "Alerts · Andon";
  const here = location.hash;
  const all = asked().get("all") === "true";
  byId("alerts-all").checked = all;
  byId("alerts-all").onchange = (event) => { location.hash = event.target.checked ? "#/alerts?all=true" : "#/alerts"; };
  try {
    const [told, silences, budgets] = await Promise.all([
      get(`/alerts?limit=200${all ? "&all=true" : ""}`), get("/silences").catch(() => []), get("/budgets").catch(() => []),
    ]);
    if (here !== location.hash) return;
    drawAlerts(told, all);
    drawSilences(silences);
    drawBudgets(budgets);
  } catch {
    if (here === location.hash) byId("alerts-said").textContent = "The control plane does not answer; trying again …";
  }
  clearTimeout(alertsTimer);
  if (here === location.hash) alertsTimer = setTimeout(showAlerts, ALERTS_MS);
}

function drawAlerts(told, all) {
  const firing = told.alerts.filter((one) => one.state === "firing");
  const loud = firing.filter((one) => !one.silencedBy && !one.inhibitedBy);
  const count = (severity) => loud.filter((one) => one.severity === severity).length;
  const words = [[count("page"), "page"], [count("ticket"), "ticket"], [count("question"), "question"]].filter(([number]) => number).map(([number, word]) => `${number} ${word}${number > 1 ? "s" : ""}`);
  const age = told.evaluatedAt ? `Objectives were looked at ${lasting(Math.max(0, Math.round(Date.now() / 1000 - told.evaluatedAt)))} ago.` : "Objectives were not looked at yet: what they would say is unknown.";
  byId("alerts-said").textContent = `${words.length ? `${words.join(", ")}.` : "Nothing fires that anybody need look at."} ${age}`;
  const groups = new Map();
  for (const one of told.alerts) {
    const key = [one.environment, one.service].filter(Boolean).join(" / ") || "elsewhere";
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(one);
  }
  byId("alerts-groups").replaceChildren(...[...groups].map(([key, some]) => alertGroup(key, some, all)));
  const may = told.pending.map((one) => make("li", {}, severityMark(one.severity), make("span", {}, `${one.service} in ${one.environment}: ${one.summary}`)));
  byId("alerts-pending").replaceChildren(...may);
  byId("alerts-pending-title").hidden = !may.length;
  const refused = told.refused.map((one) => make("li", {}, make("span", {}, `${one.name} of ${one.objective}${one.environment ? ` in ${one.environment}` : ""}: ${one.reason}`)));
  byId("alerts-refused").replaceChildren(...refused);
  byId("alerts-refused-title").hidden = !refused.length;
}

function alertGroup(key, some) {
  const firing = some.filter((one) => one.state === "firing").length;
  return make("article", { class: "alerts-group" },
    make("h3", {}, key, make("small", {}, firing ? ` ${firing} firing` : " over")),
    make("ol", {}, ...some.map(alertRow)));
}

function severityMark(severity) {
  const [mark, tone] = SEVERITY[severity] || SEVERITY.info;
  return make("span", { class: "state", "data-tone": tone }, make("i", { "aria-hidden": "true" }, mark), severity);
}

function alertState(one) {
  if (one.state === "resolved") return `over since ${clockTime(one.resolvedAt)}: ${one.resolution}`;
  if (one.silencedBy) return `silenced by ${one.silencedBy}`;
  if (one.inhibitedBy) return `${one.inhibitedBy} says it already`;
  if (one.unknownSince) return `unknown since ${clockTime(one.unknownSince)}: nothing is seen any more, so it is not over`;
  if (one.acknowledgedAt) return `taken on by ${one.acknowledgedBy.replace("person:", "")}: ${one.acknowledgedFor}`;
  return `andon alerts ack ${one.name} -m REASON`;
}

const clockTime = (seconds) => new Date(seconds * 1000).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });

function alertRow(one) {
  const loud = one.state === "firing" && !one.silencedBy && !one.inhibitedBy;
  const state = alertState(one);
  const told = Object.keys(one.notified);
  const facts = [one.name, `since ${clockTime(one.firedAt)}`, `by ${one.source}`];
  if (told.length) facts.push(`told: ${told.join(", ")}`);
  if (one.hold) facts.push(`holds: ${one.hold}`);
  return make("li", { "data-loud": String(loud) }, severityMark(one.severity),
    make("div", {}, make("p", { class: "what" }, sentence(one.summary)),
      make("p", { class: "note" }, facts.join(" · ")),
      state.startsWith("andon ") ? make("code", {}, state) : make("p", { class: "note" }, sentence(state))));
}

function drawSilences(silences) {
  byId("alerts-silences").replaceChildren(...silences.map((one) => make("li", {},
    make("div", {}, make("p", { class: "what" }, make("code", {}, one.matchers.join(" "))),
      make("p", { class: "note" }, `${one.name} until ${clockTime(one.until)}, by ${one.by.replace("person:", "")}: ${one.reason}`),
      make("code", {}, `andon alerts unsilence ${one.name}`)))));
  byId("alerts-silent").textContent = silences.length ? "" : "Nothing is silenced.";
}

function drawBudgets(budgets) {
  byId("alerts-budgets").replaceChildren(...budgets.map((one) => {
    const [mark, tone] = BUDGET[one.state];
    const deeds = Object.entries(one.effects).map(([deed, effect]) => `${deed}: ${effect}`);
    const allowed = one.override ? `set aside by ${one.override}` : deeds.length ? deeds.join(", ") : "all is allowed";
    return make("li", {}, make("span", { class: "state", "data-tone": tone }, make("i", { "aria-hidden": "true" }, mark), one.state),
      make("div", {}, make("p", { class: "what" }, `${one.environment} / ${one.service}`),
        make("p", { class: "note" }, sentence(one.said)), make("p", { class: "note" }, `${one.policy}: ${allowed}`)));
  }));
  byId("alerts-unbudgeted").textContent = budgets.length ? "" : "No BudgetPolicy is in force.";
}
