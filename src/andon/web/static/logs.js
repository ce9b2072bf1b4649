"use strict";
// The page of all logs (#/logs?…): found, counted over time, grouped by template, and followed as they come.
// A line is written by anybody, so it is text, never markup.

const BARS = 60;
const LOGS_PAGE = 100;
const MOST_LIVE = 1000;
const LINE_FIELDS = ["text", "service", "environment", "source", "severity", "template", "trace", "label"];
let logsTail = null;
let logsTurn = 0;

ROUTES.push([/^#\/logs(?:\?.*)?$/, "logs", () => showLogs()]);
addEventListener("hashchange", () => endTail());

function endTail() {
  if (logsTail) logsTail.close();
  logsTail = null;
  byId("logs-live").textContent = "";
}

function wishOf(told) {
  const wish = new URLSearchParams();
  for (const name of LINE_FIELDS) for (const value of told.getAll(name)) if (value) wish.append(name, value);
  return wish;
}

function logsAddress(change) {
  const told = asked();
  for (const [name, value] of Object.entries(change)) {
    if (value) told.set(name, value);
    else told.delete(name);
  }
  return `#/logs?${told}`;
}

function showLogs() {
  endTail();
  const turn = ++logsTurn;
  const told = asked();
  drawLogsForm(told);
  document.title = "Logs · Andon";
  for (const id of ["logs-lines", "logs-templates", "logs-bars"]) byId(id).replaceChildren();
  byId("logs-older").hidden = true;
  byId("logs-said").textContent = "Looking …";
  const wish = wishOf(told);
  const between = new URLSearchParams([...wish, ...timeOf(told)]);
  findLines(between, "", turn);
  const here = (tell) => (found) => { if (turn === logsTurn) tell(found); };
  get(`/telemetry/logs/histogram?${between}&bars=${BARS}`).then(here(drawBars)).catch(() => {});
  get(`/telemetry/logs/templates?${between}&limit=30`).then(here(drawTemplates)).catch(() => {});
  if (told.get("live") === "1") followLines(wish, turn);
}

function timeOf(told) {
  if (told.get("start") && told.get("end")) return [["start", told.get("start")], ["end", told.get("end")]];
  return [["sinceSeconds", told.get("since") || "3600"]];
}

function drawLogsForm(told) {
  const form = byId("logs-form");
  byId("logs-since").replaceWith(Object.assign(sinceField(told.get("since") || "3600", "since"), { id: "logs-since" }));
  for (const name of ["text", "service", "environment", "severity"]) form.elements[name].value = told.get(name) || "";
  form.elements.live.checked = told.get("live") === "1";
  form.onsubmit = (event) => {
    event.preventDefault();
    const change = { start: "", end: "", live: form.elements.live.checked ? "1" : "" };
    for (const name of ["since", "text", "service", "environment", "severity"]) change[name] = form.elements[name].value.trim();
    goTo(logsAddress(change));
  };
  form.elements.live.onchange = () => form.requestSubmit();
  const only = [["template", "template"], ["trace", "trace"], ["source", "source"], ["start", "a part of the time"]];
  byId("logs-only").replaceChildren(...only.filter(([name]) => told.get(name)).map(([name, word]) => {
    const away = make("a", { href: logsAddress(name === "start" ? { start: "", end: "" } : { [name]: "" }), title: "Leave this condition out" }, `${word}${name === "start" ? "" : ` ${told.get(name).slice(0, 16)}`} ✕`);
    return make("li", {}, away);
  }));
}

// The same address once more asks once more.
function goTo(address) {
  if (location.hash === address) showLogs();
  else location.hash = address;
}

async function findLines(between, before, turn) {
  const older = byId("logs-older");
  try {
    const found = await get(`/telemetry/logs?${between}&limit=${LOGS_PAGE}${before ? `&before=${encodeURIComponent(before)}` : ""}`);
    if (turn !== logsTurn) return;
    byId("logs-lines").append(...found.lines.map(saidRow));
    const shown = byId("logs-lines").children.length;
    byId("logs-said").textContent = shown ? `${plural(shown, "line")}, newest first${found.next ? "; there are more" : ""}.` : found.next ? "Nothing yet; much was looked at, and there is more." : "Nothing found. Try a longer time, or fewer conditions.";
    older.hidden = !found.next;
    older.onclick = () => findLines(between, found.next, turn);
  } catch (error) {
    if (turn !== logsTurn) return;
    byId("logs-said").textContent = /: 40\d$/.test(error.message) ? "This cannot be looked for; mend the conditions." : "The logs do not answer; the line itself goes on.";
  }
}

function saidRow(one) {
  const whose = [one.environment, one.service || one.labels.job || one.source].filter(Boolean).join("/");
  const facts = Object.entries({ ...one.labels, ...one.attributes }).sort();
  const links = make("p", { class: "links" });
  if (one.trace) links.append(linkTo("Trace", "traces", one.trace), " ", make("a", { href: logsAddress({ trace: one.trace, live: "" }) }, "Lines of this trace"), " ");
  if (one.labels.run) links.append(linkTo(`Run ${one.labels.run}`, "runs", one.labels.run), " ");
  if (one.template) links.append(make("a", { href: logsAddress({ template: String(one.template), live: "" }) }, "Lines like this"));
  return make("li", { "data-severity": one.severity || "none" }, make("details", {},
    make("summary", {}, make("time", { datetime: new Date(one.at * 1000).toISOString() }, saidAt(one.at)), make("b", {}, one.severity || "–"), make("span", { class: "whose" }, whose), make("span", { class: "text" }, one.text)),
    links, make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))));
}

const saidAt = (seconds) => {
  const at = new Date(seconds * 1000);
  const clock = at.toLocaleTimeString([], { hour12: false });
  return at.toDateString() === new Date().toDateString() ? `${clock}.${String(at.getMilliseconds()).padStart(3, "0")}` : `${at.toLocaleDateString()} ${clock}`;
};

function drawBars(found) {
  const totals = found.bars.map((one) => Object.values(one.counts).reduce((sum, count) => sum + count, 0));
  const most = Math.max(...totals, 1);
  const bars = found.bars.map((one, at) => {
    const bad = (one.counts.error || 0) + (one.counts.fatal || 0);
    const warned = one.counts.warn || 0;
    const bar = make("a", { href: logsAddress({ start: one.at.toFixed(3), end: (one.at + found.barSeconds).toFixed(3), live: "" }), title: `${saidAt(one.at)}: ${plural(totals[at], "line")}, ${plural(bad, "error")}`, "aria-label": `${saidAt(one.at)}: ${plural(totals[at], "line")}, ${plural(bad, "error")}` });
    for (const [tone, count] of [["soft", totals[at] - bad - warned], ["wait", warned], ["stop", bad]]) {
      const piece = make("i", { "data-tone": tone });
      piece.style.height = `${count ? Math.max(2, 100 * count / most) : 0}%`;
      bar.append(piece);
    }
    return bar;
  });
  byId("logs-bars").replaceChildren(...bars);
  const sum = totals.reduce((all, one) => all + one, 0);
  byId("logs-count").textContent = sum ? `${plural(sum, "line")} between ${saidAt(found.bars[0].at)} and ${saidAt(found.bars[found.bars.length - 1].at + found.barSeconds)}; the highest bar has ${most}.` : "";
}

function drawTemplates(found) {
  byId("logs-templates").replaceChildren(...found.map((one) => make("li", {},
    make("span", { class: "took" }, one.lines.toLocaleString()),
    make("a", { href: logsAddress({ template: String(one.id), live: "" }), title: one.example }, one.text || "(lines without words)"))));
}

// Lines that come are put before the others, whenever they were said.
function followLines(wish, turn) {
  logsTail = new EventSource(`/api/v1/telemetry/logs/tail?${wish}`);
  logsTail.onopen = () => { byId("logs-live").textContent = "live"; };
  logsTail.onerror = () => { byId("logs-live").textContent = "cut off, comes again; lines of this while may be missing"; };
  logsTail.onmessage = (message) => {
    if (turn !== logsTurn) return;
    const list = byId("logs-lines");
    list.prepend(saidRow(JSON.parse(message.data)));
    while (list.children.length > MOST_LIVE) list.lastChild.remove();
  };
}
