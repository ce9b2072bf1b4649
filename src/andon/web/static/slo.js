"use strict";
// The page of promises (#/slo) and that of one Objective (#/slo/NAME). A state is told by a mark and a word,
// never by its colour alone; where nothing was seen there is a hatched gap, never a line. Everything that
// comes from outside is set as text, or as a number of a drawing.

const PROMISE = { met: ["✓", "go"], missed: ["✗", "stop"], unknown: ["?", "wait"] };
const SLO_MS = 15000;
const CHART = { width: 720, height: 180, left: 74, right: 8, top: 20, bottom: 28 };
let sloTimer = null;

ROUTES.push(
  [/^#\/slo(?:\?.*)?$/, "slo", () => showPromises()],
  [/^#\/slo\/([^/?]+)(?:\?.*)?$/, "objective", (name) => showObjective(name)],
);
addEventListener("hashchange", () => clearTimeout(sloTimer));

function svgPart(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

async function sloAnswer(path, where, tell, again) {
  const here = location.hash;
  try {
    const found = await get(path);
    if (here === location.hash) tell(found);
  } catch (error) {
    if (here !== location.hash) return;
    const gone = /: 404$/.test(error.message);
    byId(where).replaceChildren(make("p", { class: "empty" }, gone ? "No Objective of that name is known, or you may not see where it holds." : "The control plane does not answer; trying again …"));
  }
  clearTimeout(sloTimer);
  if (here === location.hash) sloTimer = setTimeout(again, SLO_MS);
}

const promiseName = (one) => (one.objective.endsWith(`-${one.name}`) ? one.objective : `${one.objective} · ${one.name}`);
const wholePercent = (value) => `${Number((100 * value).toPrecision(6))} %`;
const burnWord = (one) => (one.burn === null ? "no data" : `${Number(one.burn.toPrecision(3))} ×`);

function emptyWord(one) {
  if (one.remaining !== null && one.remaining <= 0) return "empty";
  if (one.burn === null) return "no data";
  return one.emptySeconds === null ? "never, at this burn" : `in ${lasting(one.emptySeconds)}`;
}

function stateOfPromise(one) {
  const [mark, tone] = PROMISE[one.state];
  return make("span", { class: "state", "data-tone": tone }, make("i", { "aria-hidden": "true" }, mark), one.state);
}

function budgetBar(one) {
  const left = one.remaining === null ? 0 : Math.min(1, Math.max(0, one.remaining));
  const text = one.remaining === null ? "unknown" : `${Math.round(100 * one.remaining)} %`;
  const fill = make("i");
  fill.style.width = `${100 * left}%`;
  const tone = one.state === "unknown" ? "unknown" : left > 0.25 ? "go" : "stop";
  const bar = make("div", { class: "bar budget", "data-tone": tone, role: "meter", "aria-label": "Budget left", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": String(Math.round(100 * left)), "aria-valuetext": text }, fill);
  return make("div", { class: "budget-left" }, bar, make("output", { "aria-hidden": "true" }, text));
}

function sparkOf(values) {
  const width = 120;
  const height = 26;
  const step = width / Math.max(1, values.length - 1);
  const y = (value) => 2 + (height - 4) * (1 - Math.min(1, Math.max(0, value)));
  const lines = [];
  let run = [];
  values.forEach((value, at) => {
    if (value === null) {
      if (run.length) lines.push(run);
      run = [];
    } else run.push([at * step, y(value)]);
  });
  if (run.length) lines.push(run);
  const drawing = svgPart("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Budget left in the last day" });
  for (const points of lines) {
    if (points.length === 1) drawing.append(svgPart("circle", { cx: points[0][0].toFixed(1), cy: points[0][1].toFixed(1), r: 2 }));
    else drawing.append(svgPart("polyline", { points: points.map((point) => point.map((part) => part.toFixed(1)).join(",")).join(" ") }));
  }
  return drawing;
}

// --- all promises -------------------------------------------------------------------------------

function showPromises() {
  document.title = "Promises · Andon";
  sloAnswer("/objectives", "slo-list", drawPromises, showPromises);
}

function drawPromises(board) {
  const count = (state) => board.objectives.filter((one) => one.state === state).length;
  const age = Math.max(0, Date.now() / 1000 - board.at);
  byId("slo-said").textContent = board.objectives.length ? `${count("met")} met, ${count("missed")} missed, ${count("unknown")} unknown; evaluated ${board.at ? `${lasting(Math.round(age))} ago` : "never yet"}.` : "Nothing runs yet. Every service has two promises once it does; documents of kind Objective say more.";
  byId("slo-list").replaceChildren(...board.objectives.map(promiseRow));
}

function promiseRow(one) {
  const head = make("div", { class: "name" }, linkTo(promiseName(one), "slo", one.objective),
    make("small", {}, `${one.environment || "runs elsewhere"} · ${wholePercent(one.target)} over ${one.window}${one.default ? " · default, nobody wrote it" : ""}`));
  const facts = make("dl", {},
    make("dt", {}, "Burn"), make("dd", {}, burnWord(one)),
    make("dt", {}, "Empty"), make("dd", {}, emptyWord(one)));
  return make("li", { "data-state": one.state }, stateOfPromise(one), head, budgetBar(one), facts, sparkOf(one.spark),
    one.state === "met" ? null : make("p", { class: "why" }, sentence(one.message)));
}

// --- one Objective ------------------------------------------------------------------------------

function showObjective(name) {
  document.title = `${name} · Andon`;
  byId("objective-title").textContent = name;
  const days = asked().get("days") || "30";
  const form = byId("objective-days");
  form.value = days;
  form.onchange = () => { location.hash = `#/slo/${encodeURIComponent(name)}?days=${form.value}`; };
  sloAnswer(`/objectives/${encodeURIComponent(name)}?days=${encodeURIComponent(days)}`, "objective-promises", (found) => drawObjective(found, Number(days)), () => showObjective(name));
}

function drawObjective(found, days) {
  byId("objective-promises").replaceChildren(...found.promises.map((told) => promiseCard(told, days)));
}

function promiseCard(told, days) {
  const one = told.standing;
  const fact = (name, text) => [make("dt", {}, name), make("dd", {}, text)];
  const when = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString([], { hour12: false }) : "never");
  const over = one.timeZone ? `${one.window} of the calendar (${one.timeZone}), until ${when(one.end)}` : `the last ${one.window}`;
  return make("article", { class: "promise", "data-state": one.state },
    make("h3", {}, stateOfPromise(one), ` ${one.name} in ${one.environment || "–"}`),
    make("p", {}, sentence(one.message)),
    budgetBar(one),
    make("dl", { class: "facts" },
      ...fact("Promised", `${wholePercent(one.target)} over ${over}, by ${one.budgeting}${one.default ? "; a default, nobody wrote it" : ""}`),
      ...fact("Counted", `${Number(one.bad.toPrecision(6)).toLocaleString()} bad of ${Number(one.total.toPrecision(6)).toLocaleString()}`),
      ...fact("Observed", `${wholePercent(Math.floor(1000 * one.coverage) / 1000)} since ${when(Math.max(one.since, one.begin))}; last heard ${when(one.heardAt)}`),
      ...fact("Burn", one.burn === null ? "no data" : `${burnWord(one)} what is allowed, in the last hour`),
      ...fact("Empty", emptyWord(one))),
    told.history.length > 1 ? make("figure", {}, make("figcaption", {}, "Budget left"), budgetChart(told.history, days)) : null,
    told.counts.length ? make("figure", {}, make("figcaption", {}, "Share that failed; hatched where it was not observed"), rateChart(told.counts, 1 - one.target)) : null);
}

function chartFrame(label, low, high, begin, end, ticks) {
  const { width, height, left, right, top, bottom } = CHART;
  const x = (at) => left + (width - left - right) * (at - begin) / Math.max(1, end - begin);
  const y = (value) => top + (height - top - bottom) * (1 - (Math.min(high, Math.max(low, value)) - low) / (high - low));
  const drawing = svgPart("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const hatch = svgPart("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svgPart("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch" }));
  drawing.append(svgPart("defs", {}, hatch));
  for (const [value, word] of ticks) {
    drawing.append(svgPart("line", { class: "grid-line", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    drawing.append(svgPart("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, word));
  }
  const day = (seconds) => new Date(seconds * 1000).toLocaleString([], end - begin > 2 * 86400 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hour12: false });
  drawing.append(svgPart("text", { x: left, y: height - 6 }, day(begin)), svgPart("text", { x: width - right, y: height - 6, "text-anchor": "end" }, day(end)));
  return { drawing, x, y };
}

function unseenPart(drawing, from, to) {
  const { top, bottom, height } = CHART;
  drawing.append(svgPart("rect", { x: from.toFixed(1), y: top, width: Math.max(1, to - from).toFixed(1), height: height - top - bottom, fill: "url(#hatch)", class: "unseen" }));
}

function budgetChart(history, days) {
  const now = Date.now() / 1000;
  const begin = Math.max(now - days * 86400, history[0].at);
  const lowest = Math.min(0, ...history.map((one) => one.remaining ?? 0));
  const low = Math.max(-1, lowest);
  const { drawing, x, y } = chartFrame("Budget left over time", low, 1, begin, now, [[1, "100 %"], [0.5, "50 %"], [0, "0 %"], ...(low < -0.15 ? [[low, `${Math.round(100 * low)} %`]] : [])]);
  let line = [];
  const end = () => { if (line.length) drawing.append(svgPart("polyline", { class: "left", points: line.join(" ") })); line = []; };
  history.forEach((one, at) => {
    const next = at + 1 < history.length ? history[at + 1].at : now;
    if (one.state === "unknown" || one.remaining === null) {
      end();
      unseenPart(drawing, x(Math.max(begin, one.at)), x(next));
    } else if (next >= begin) line.push(`${x(Math.max(begin, one.at)).toFixed(1)},${y(one.remaining).toFixed(1)}`, `${x(next).toFixed(1)},${y(one.remaining).toFixed(1)}`);
  });
  end();
  return drawing;
}

function rateChart(counts, allowed) {
  const step = counts.length > 1 ? counts[1].at - counts[0].at : 1;
  const seen = counts.findIndex((one) => one.coverage > 0);
  const told = seen > 0 ? counts.slice(Math.max(0, seen - 1)) : counts;
  const rates = told.map((one) => (one.total > 0 ? one.bad / one.total : 0));
  const high = Math.max(2 * allowed, ...rates);
  const { drawing, x, y } = chartFrame("Share that failed over time", 0, high, told[0].at - step, told[told.length - 1].at, [[high, wholePercent(Number(high.toPrecision(2)))], [allowed, `${Number((100 * allowed).toPrecision(2))} %`], [0, "0"]]);
  told.forEach((one, at) => {
    const from = x(one.at - step);
    const to = x(one.at);
    if (one.coverage < 0.5) unseenPart(drawing, from, to);
    else if (rates[at] > 0) drawing.append(svgPart("rect", { class: rates[at] > allowed ? "over" : "under", x: from.toFixed(1), y: y(rates[at]).toFixed(1), width: Math.max(1, to - from - 0.5).toFixed(1), height: (y(0) - y(rates[at])).toFixed(1) }));
  });
  drawing.append(svgPart("line", { class: "allowed", x1: CHART.left, x2: CHART.width - CHART.right, y1: y(allowed), y2: y(allowed) }));
  return drawing;
}
