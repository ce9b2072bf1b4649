"use strict";
// The pages of traces (#/traces), of one trace (#/traces/ID or the name of a Run), and of who calls whom
// (#/services). Everything that comes from outside is set as text, or as an attribute of a drawing.

const HUES = 8;
const MOST_DRAWN = 1500;
const SINCE = [[900, "15 minutes"], [3600, "hour"], [21600, "6 hours"], [86400, "day"], [259200, "3 days"]];
let tracesAsked = 0;

ROUTES.push(
  [/^#\/traces(?:\?.*)?$/, "traces", () => showTraces()],
  [/^#\/traces\/([^/?]+)$/, "trace", (id) => showTrace(id)],
  [/^#\/services(?:\?.*)?$/, "services", () => showServices()],
);

function briefly(seconds) {
  if (seconds <= 0) return "0";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms`;
  return lasting(seconds);
}

const hueOf = (names) => {
  const order = new Map([...new Set(names)].sort().map((name, at) => [name, at % HUES]));
  return (name) => String(order.get(name) ?? 0);
};
const asked = () => new URLSearchParams(location.hash.split("?")[1] || "");
const share = (part, whole) => (part ? `${(100 * part / whole).toFixed(part / whole < 0.01 ? 2 : 1)} %` : "0 %");
const BAD_SHARE = 0.01;

// Answers of an earlier wish are dropped, and who may not look is told so.
async function telling(where, path, tell) {
  const wish = ++tracesAsked;
  try {
    const found = await get(path);
    if (wish === tracesAsked) tell(found);
  } catch (error) {
    if (wish !== tracesAsked) return;
    const status = (/: (\d+)$/.exec(error.message) || [])[1];
    byId(where).replaceChildren(make("p", { class: "empty" }, status === "403" ? "Who looks here may view all environments; you may not." : status === "404" ? "Nothing of that name is kept. Failed and slow traces are, and a share of the rest." : "The control plane does not answer; load the page again in a moment."));
  }
}

// --- the list -----------------------------------------------------------------------------------

function sinceField(value, name) {
  const field = make("select", { name, "aria-label": "How far back" });
  for (const [seconds, word] of SINCE) {
    const one = make("option", { value: String(seconds) }, `Last ${word}`);
    one.selected = String(seconds) === value;
    field.append(one);
  }
  return field;
}

function showTraces() {
  const told = asked();
  const form = byId("traces-form");
  byId("traces-since").replaceWith(Object.assign(sinceField(told.get("since") || "3600", "since"), { id: "traces-since" }));
  form.elements.service.value = told.get("service") || "";
  form.elements.least.value = told.get("least") || "";
  form.elements.failed.checked = told.get("failed") === "1";
  form.onsubmit = (event) => {
    event.preventDefault();
    const wish = new URLSearchParams({ since: form.elements.since.value });
    for (const name of ["service", "least"]) if (form.elements[name].value.trim()) wish.set(name, form.elements[name].value.trim());
    if (form.elements.failed.checked) wish.set("failed", "1");
    location.hash = `#/traces?${wish}`;
  };
  const query = new URLSearchParams({ sinceSeconds: told.get("since") || "3600", service: told.get("service") || "", minSeconds: String((Number(told.get("least")) || 0) / 1000), failed: told.get("failed") === "1" ? "true" : "false", limit: "200" });
  telling("traces-list", `/telemetry/traces?${query}`, (rows) => {
    const longest = Math.max(...rows.map((one) => one.seconds), 0);
    byId("traces-list").replaceChildren(rows.length ? make("ol", { class: "traces" }, ...rows.map((one) => traceRow(one, longest))) : make("p", { class: "empty" }, "No trace is kept of that time. Services tell theirs by OpenTelemetry; Runs are told once they ended."));
    document.title = `Traces · Andon`;
  });
}

function traceRow(one, longest) {
  const fill = make("i");
  fill.style.width = `${longest ? Math.max(0.5, 100 * one.seconds / longest) : 0}%`;
  const state = one.failed ? make("span", { class: "state", "data-tone": "stop" }, make("i", { "aria-hidden": "true" }, "✗"), "failed") : make("span", { class: "state", "data-tone": "go" }, make("i", { "aria-hidden": "true" }, "✓"), "ok");
  return make("li", {}, state,
    make("div", { class: "name" }, linkTo(one.root || "(no name)", "traces", one.trace), make("small", {}, `${one.service} · ${new Date(one.startedAt * 1000).toLocaleString([], { hour12: false })} · ${plural(one.spans, "span")}`)),
    make("div", { class: "bar", "data-tone": one.failed ? "stop" : "move", "aria-hidden": "true" }, fill),
    make("span", { class: "took" }, briefly(one.seconds)));
}

// --- a waterfall --------------------------------------------------------------------------------

function showTrace(id) {
  byId("trace-title").textContent = id;
  byId("trace-said").textContent = "";
  telling("trace-spans", `/telemetry/traces/${encodeURIComponent(id)}`, (trace) => {
    const first = trace.spans[0];
    const hue = hueOf(trace.services);
    byId("trace-title").textContent = first.name || trace.trace;
    byId("trace-said").textContent = `${new Date(trace.startedAt * 1000).toLocaleString([], { hour12: false })}, ${briefly(trace.seconds)} in all, ${plural(trace.spans.length, "span")} of ${plural(trace.services.length, "service")}. ${trace.trace} `;
    byId("trace-said").append(make("a", { href: `#/logs?since=259200&trace=${trace.trace}` }, "Its log lines"));
    byId("trace-said").append(" ", make("a", { href: `#/logs?trace=${encodeURIComponent(trace.trace)}&since=259200` }, "Its log lines"));
    byId("trace-services").replaceChildren(...trace.services.map((name) => make("li", {}, make("i", { "data-hue": hue(name), "aria-hidden": "true" }), name)));
    const drawn = trace.spans.slice(0, MOST_DRAWN);
    const rest = trace.spans.length - drawn.length;
    byId("trace-spans").replaceChildren(axis(trace.seconds), make("ol", { class: "fall" }, ...drawn.map((span) => spanRow(span, trace, hue))),
      ...(rest ? [make("p", { class: "note" }, `${plural(rest, "span")} more: `, make("code", {}, `andon traces show ${trace.trace}`))] : []));
    document.title = `${first.name} · Trace · Andon`;
  });
}

function axis(seconds) {
  const marks = [0, 0.25, 0.5, 0.75, 1].map((at) => {
    const mark = make("span", {}, briefly(seconds * at));
    mark.style.left = `${100 * at}%`;
    return mark;
  });
  return make("div", { class: "axis", "aria-hidden": "true" }, make("div", {}, ...marks));
}

function spanRow(span, trace, hue) {
  const bar = make("i", { "data-hue": hue(span.service) });
  const whole = trace.seconds || 1;
  bar.style.left = `${Math.min(99.5, Math.max(0, 100 * span.offsetSeconds / whole))}%`;
  bar.style.width = `${Math.max(0.3, Math.min(100, 100 * span.seconds / whole))}%`;
  const failed = span.status === "error";
  const name = make("span", { class: "name" }, failed ? make("b", { class: "late" }, "✗ failed ") : null, span.name || "(no name)", make("small", {}, span.service));
  name.style.paddingLeft = `${Math.min(span.depth, 14) * 0.8}rem`;
  const facts = [["kind", span.kind], ["began", `${briefly(span.offsetSeconds)} after the trace`], ["by itself", briefly(span.selfSeconds)], ["span", span.id]];
  if (span.orphan) facts.push(["parent", `${span.parent}, of which nobody told`]);
  const told = [...facts, ...Object.entries(span.attributes).sort()];
  return make("li", { class: failed ? "bad" : "" }, make("details", {}, make("summary", {}, name, make("span", { class: "track", "aria-hidden": "true" }, bar), make("span", { class: "took" }, briefly(span.seconds))),
    make("dl", {}, ...told.flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, valueOf(key, value, span))])),
    ...span.events.map((event) => make("p", { class: "note" }, `${briefly(event.at - trace.startedAt)}: ${event.name} `, Object.entries(event.attributes).map(([key, value]) => `${key}=${value}`).join(", "))),
    ...(span.links.length ? [make("p", { class: "note" }, "See also ", ...span.links.flatMap((one, at) => [at ? ", " : "", linkTo(short(one.trace), "traces", one.trace)]))] : [])));
}

function valueOf(key, value, span) {
  if (key === "cicd.pipeline.run.id") return linkTo(value, "runs", value);
  if (key === "andon.change") return linkTo(value, "changes", value);
  if (key === "andon.log" && span.attributes["cicd.pipeline.run.id"]) return linkTo(value, "runs", span.attributes["cicd.pipeline.run.id"], "log", span.attributes["cicd.pipeline.task.name"]);
  return value;
}

// --- who calls whom -----------------------------------------------------------------------------

function showServices() {
  const since = asked().get("since") || "3600";
  const field = Object.assign(sinceField(since, "since"), { id: "services-since" });
  byId("services-since").replaceWith(field);
  field.onchange = () => { location.hash = `#/services?since=${field.value}`; };
  telling("services-map", `/telemetry/services?sinceSeconds=${since}`, (found) => {
    document.title = "Services · Andon";
    const map = make("div", { class: "map" });
    new ResizeObserver(() => map.replaceChildren(drawnMap(found))).observe(map);
    byId("services-map").replaceChildren(...(found.calls.length ? [map, callsTable(found.calls)] : [make("p", { class: "empty" }, "No service told of a request in that time.")]));
  });
}

const SVG = "http://www.w3.org/2000/svg";
function draw_svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

// A service stands one column behind the nearest of its callers; circles end at who was there first.
function columnsOf(found) {
  const callees = new Map();
  for (const one of found.calls) callees.set(one.caller, [...(callees.get(one.caller) || []), one.callee]);
  const called = new Set(found.calls.map((one) => one.callee));
  const column = new Map();
  let next = [...new Set(["", ...found.services.map((one) => one.name).filter((name) => !called.has(name))])].filter((name) => callees.has(name));
  const all = () => found.services.find((one) => !column.has(one.name));
  for (let depth = 0; ; depth++) {
    if (!next.length) {
      const left = all();
      if (!left) return column;
      next = [left.name];
      depth = 1;
    }
    for (const name of next) column.set(name, depth);
    next = [...new Set(next.flatMap((name) => callees.get(name) || []))].filter((name) => !column.has(name));
  }
}

// Callers stand left of whom they call; on a narrow page, above.
function drawnMap(found) {
  const byDepth = new Map();
  for (const [name, depth] of columnsOf(found)) byDepth.set(depth, [...(byDepth.get(depth) || []), name]);
  const ranks = [...byDepth.keys()].sort((a, b) => a - b).map((depth) => byDepth.get(depth));
  const down = document.documentElement.clientWidth < 736;
  const widest = Math.max(...ranks.map((names) => names.length));
  const room = document.documentElement.clientWidth - 66;
  const wide = down ? Math.max(92, Math.min(172, room / widest - 12)) : 172;
  const [high, along, across] = [54, down ? 108 : wide + 90, down ? wide + 12 : 80];
  const place = new Map();
  ranks.forEach((names, rank) => names.forEach((name, at) => {
    const aside = ((widest - names.length) / 2 + at) * across + 10;
    place.set(name, down ? { x: aside, y: 14 + rank * along } : { x: 10 + rank * along, y: aside });
  }));
  const [width, height] = down ? [widest * across + 8, ranks.length * along - 30] : [ranks.length * along - 70, widest * across + 4];
  const shape = { wide, high, down, most: Math.max(...found.calls.map((one) => one.calls)) };
  const services = new Map(found.services.map((one) => [one.name, one]));
  const lines = found.calls.map((one) => callLine(one, place.get(one.caller), place.get(one.callee), shape));
  const boxes = [...place].map(([name, at]) => serviceBox(name, services.get(name), at, shape));
  return draw_svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "Which service calls which; the table below says the same." }, ...lines, ...boxes);
}

function callLine(one, from, to, { wide, high, down, most }) {
  const [x1, y1] = down ? [from.x + wide / 2, from.y + high] : [from.x + wide, from.y + high / 2];
  const [x2, y2] = down ? [to.x + wide / 2, to.y] : [to.x, to.y + high / 2];
  const far = down ? y2 - y1 : x2 - x1;
  const bend = far < 0 ? 70 : Math.max(24, far / 2);
  const aside = far < 0 ? high : 0; // What leads back goes around the boxes.
  const turns = down ? `${x1 + aside} ${y1 + bend} ${x2 + aside} ${y2 - bend}` : `${x1 + bend} ${y1 + aside} ${x2 - bend} ${y2 + aside}`;
  const failed = one.failed / one.calls;
  const path = draw_svg("path", { d: `M${x1} ${y1}C${turns} ${x2} ${y2}`, class: failed >= BAD_SHARE ? "call bad" : "call", "stroke-width": 1.5 + 4 * Math.log1p(one.calls) / Math.log1p(most) });
  path.append(draw_svg("title", {}, `${one.caller || "outside"} → ${one.callee}: ${one.calls.toLocaleString()} calls, ${share(one.failed, one.calls)} failed, ${briefly(one.meanSeconds)} each`));
  return path;
}

function serviceBox(name, told, at, { wide, high }) {
  const bad = told && told.requests && told.failed / told.requests >= BAD_SHARE;
  const text = (content, dy, kind) => draw_svg("text", { x: at.x + 9, y: at.y + dy, class: kind }, content);
  const label = name || "outside";
  const most = Math.floor((wide - 16) / 7.4);
  const box = draw_svg("g", { class: `service${bad ? " bad" : ""}${name ? "" : " outside"}` },
    draw_svg("rect", { x: at.x, y: at.y, width: wide, height: high, rx: 8 }),
    text(label.length > most ? `${label.slice(0, most - 1)}…` : label, 22, "title"));
  if (told && told.requests) {
    const took = wide > 150 ? ` · ${briefly(told.meanSeconds)}` : "";
    box.append(text(`${bad ? "✗ " : ""}${share(told.failed, told.requests)} failed${took}`, 41, "figure"));
  }
  if (!name) return box;
  const link = draw_svg("a", { href: `#/traces?service=${encodeURIComponent(name)}` }, box);
  link.append(draw_svg("title", {}, `Traces of ${name}`));
  return link;
}

function callsTable(calls) {
  const head = make("tr", {}, ...["From", "To", "Calls", "Failed", "Mean"].map((title) => make("th", { scope: "col" }, title)));
  const rows = calls.map((one) => make("tr", {}, make("td", {}, one.caller || "outside"), make("td", {}, one.callee), make("td", {}, one.calls.toLocaleString()), make("td", { class: one.failed / one.calls >= BAD_SHARE ? "late" : "" }, share(one.failed, one.calls)), make("td", {}, briefly(one.meanSeconds))));
  return make("table", { class: "calls" }, make("thead", {}, head), make("tbody", {}, ...rows));
}
