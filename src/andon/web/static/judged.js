"use strict";
// What the judge of a rollout saw, look by look (on the page of a Run); on request, what other rules would have
// made of the same counts; and what it will be able to see of a Change. A verdict is told by a mark and a word,
// never by its colour alone. Everything that comes from outside is set as text, or as a number of a drawing.

const JUDGED_MS = 3000;
const BESIDE = "threshold,argo,flagger,kayenta";
const VERDICT = {
  Advance: ["✓", "go", "fit to go on"], RollBack: ["✗", "stop", "rolled back"],
  Wait: ["·", "quiet", "undecided"], Untrustworthy: ["?", "wait", "not to be trusted"],
};
const judged = { run: "", wish: "", askedAt: 0 };

const wasJudged = (run) => run.jobs.some((job) => job.name.startsWith("canary-") && job.startedAt);
const verdictWord = (name) => {
  const [mark, tone, word] = VERDICT[name] || ["?", "quiet", name];
  return make("span", { class: "state", "data-tone": tone }, make("i", { "aria-hidden": "true" }, mark), word);
};
const failedOf = (errors, requests) => `${errors.toLocaleString()} of ${requests.toLocaleString()} failed`;

async function showJudged(run) {
  if (judged.run !== run.name || judged.wish !== location.hash) {
    Object.assign(judged, { run: run.name, wish: location.hash, askedAt: 0 });
    byId("run-judged").hidden = true;
    byId("judged-others").replaceChildren();
    byId("judged-ahead").textContent = "";
  }
  if (!wasJudged(run) || (judged.askedAt && (OVER.has(run.phase) || Date.now() - judged.askedAt < JUDGED_MS))) return;
  const first = !judged.askedAt;
  judged.askedAt = Date.now();
  try {
    const told = await get(`/runs/${encodeURIComponent(run.name)}/rounds`);
    if (judged.run !== run.name || !told.rounds.length) return;
    drawJudged(told);
    if (first && !OVER.has(run.phase) && run.change) foretell(run.change, (row) => row.service === told.service && row.environment === told.environment, "judged-ahead");
  } catch { /* Nothing was judged in it yet, or the page says already that nobody answers. */ }
}

function drawJudged(told) {
  const last = told.rounds[told.rounds.length - 1];
  byId("run-judged").hidden = false;
  byId("judged-said").replaceChildren(verdictWord(last.verdict), ` ${last.reason}`);
  byId("judged-charts").replaceChildren(
    evidenceChart("Evidence of harm", told.rounds, (one) => one.harmLog, told.harmThreshold),
    evidenceChart("Evidence it is fit", told.rounds, (one) => one.fitLog, told.fitThreshold),
    failuresChart(told.rounds));
  byId("judged-turns").replaceChildren(...turns(told.rounds).map(turnRow));
  byId("judged-ask").href = `#/runs/${encodeURIComponent(told.run)}?beside`;
  const shown = byId("judged-others").children.length;
  byId("judged-ask").hidden = asked().has("beside");
  if (asked().has("beside") && !shown) showBeside(told.run);
}

function judgedFrame(label, rounds, low, high, ticks) {
  const begin = rounds[0].at;
  const end = Math.max(rounds[rounds.length - 1].at, begin + 1);
  const frame = chartFrame(label, low, high, begin, end, ticks);
  rounds.forEach((one, at) => {
    if (at && rounds[at - 1].weight === one.weight) return;
    const { top, bottom, height } = CHART;
    frame.drawing.append(svgPart("line", { class: "step-line", x1: frame.x(one.at), x2: frame.x(one.at), y1: top, y2: height - bottom }),
      svgPart("text", { x: frame.x(one.at) + 6, y: height - bottom - 6 }, percent(one.weight)));
  });
  return frame;
}

const pathOf = (rounds, x, y, value) => rounds.map((one) => `${x(one.at).toFixed(1)},${y(value(one)).toFixed(1)}`).join(" ");

function evidenceChart(title, rounds, value, threshold) {
  const now = value(rounds[rounds.length - 1]);
  const low = Math.max(-threshold, Math.min(0, ...rounds.map(value)));
  const high = Math.min(2 * threshold, Math.max(1.15 * threshold, ...rounds.map(value)));
  const said = `${now.toFixed(1)} of ${threshold.toFixed(1)}`;
  const { drawing, x, y } = judgedFrame(`${title}: ${said}`, rounds, low, high, [[threshold, threshold.toFixed(1)], [0, "0"]]);
  drawing.append(svgPart("line", { class: "allowed", x1: CHART.left, x2: CHART.width - CHART.right, y1: y(threshold), y2: y(threshold) }),
    svgPart("polyline", { class: "line-0", points: pathOf(rounds, x, y, value) }));
  return make("figure", {}, make("figcaption", {}, title, make("b", {}, said)), drawing);
}

function failuresChart(rounds) {
  const share = (errors, requests) => (requests ? errors / requests : 0);
  const arms = [["new", (one) => share(one.canaryErrors, one.canaryRequests)], ["running", (one) => share(one.stableErrors, one.stableRequests)]];
  const last = rounds[rounds.length - 1];
  const tell = (value) => `${Number((100 * value).toPrecision(2))} %`;
  const high = Math.max(0.001, ...rounds.flatMap((one) => arms.map(([, value]) => value(one))));
  const said = arms.map(([word, value], number) => `${word} ${number && !last.stableRequests ? "none" : tell(value(last))}`).join(", ");
  const { drawing, x, y } = judgedFrame(`Share that failed so far: ${said}`, rounds, 0, high, [[high, tell(high)], [0, "0"]]);
  arms.forEach(([, value], number) => drawing.append(svgPart("polyline", { class: `line-${number}`, points: pathOf(rounds, x, y, value) })));
  return make("figure", {}, make("figcaption", {}, "Share that failed", make("b", {}, said)), drawing);
}

const turns = (rounds) => rounds.filter((one, at) => at === rounds.length - 1 || !at || rounds[at - 1].verdict !== one.verdict || rounds[at - 1].weight !== one.weight);

function turnRow(one) {
  const beside = one.stableRequests ? `running ${failedOf(one.stableErrors, one.stableRequests)}` : "nothing beside it";
  const counts = `new ${failedOf(one.canaryErrors, one.canaryRequests)}; ${beside}`;
  return make("li", {}, make("time", { datetime: new Date(one.at * 1000).toISOString() }, time(one.at)), ` at ${percent(one.weight)} `, verdictWord(one.verdict), make("small", {}, ` ${counts}`));
}

async function showBeside(run) {
  try {
    const told = await get(`/runs/${encodeURIComponent(run)}/replay?judge=${BESIDE}`);
    if (judged.run === run) byId("judged-others").replaceChildren(...besideParts(told));
  } catch {
    byId("judged-others").replaceChildren(make("p", { class: "note" }, "The control plane does not answer; load the page again."));
  }
}

function besideParts(told) {
  const cell = (...content) => make("td", {}, ...content);
  const head = make("tr", {}, ...["Rule", "Says", "Rolled back after", "Failed requests"].map((word) => make("th", { scope: "col" }, word)));
  const rows = told.judges.map((one) => make("tr", {}, make("th", { scope: "row" }, one.judge), cell(verdictWord(one.verdict)),
    cell(one.rollbackAfterSeconds === null ? "–" : lasting(one.rollbackAfterSeconds)), cell(one.failedRequests.toLocaleString())));
  const same = told.same ? "all that was decided comes out again, byte for byte" : "what was decided does NOT come out again: was it another release of Andon?";
  return [make("table", { class: "beside" }, make("thead", {}, head), make("tbody", {}, ...rows)),
    make("p", { class: "note" }, `Decided again from ${plural(told.samples, "stored count")}; ${same}. Other rules looked at the same counts; what users would have met under them nobody knows.`)];
}

// --- what is coming -----------------------------------------------------------------------------

const riseWord = (risk) => ({ 2: "a doubling of errors", 3: "a tripling of errors" })[risk] || (risk < 2 ? `a ${Math.round(100 * (risk - 1))} % rise of errors` : `${risk} times the errors`);
const aboutWord = (seconds) => (seconds < 90 ? `${Math.round(seconds)} seconds` : `${Math.round(seconds / 60)} minutes`);
const sightWord = (one) => (one.afterSeconds === null ? `${riseWord(one.risk)} cannot be seen in this plan` : `${riseWord(one.risk)} is seen in about ${aboutWord(one.afterSeconds)}`);

function foretold(row) {
  const where = `${row.service} in ${row.environment}`;
  if (!row.forecast) return `${where}: what the judge will see is unknown: ${row.unknown}.`;
  const risk = (wanted) => row.forecast.seen.filter((one) => one.risk === wanted);
  let said = [...risk(3), ...risk(1.2)];
  if (said.every((one) => one.afterSeconds === null)) said = [...row.forecast.seen.filter((one) => one.afterSeconds !== null).slice(0, 1), ...said.slice(0, 1)];
  const advice = row.forecast.advice.length ? ` Advice: ${row.forecast.advice[0]}.` : "";
  return `${where}, at ${Number(row.forecast.requestsPerSecond.toPrecision(3))} requests per second: ${said.map(sightWord).join(", ")}.${advice}`;
}

async function foretell(change, wanted, where) {
  try {
    const told = await get(`/changes/${encodeURIComponent(change)}/forecast`);
    byId(where).replaceChildren(...told.rollouts.filter(wanted).map((row) => make(where === "judged-ahead" ? "span" : "li", {}, foretold(row))));
  } catch {
    byId(where).replaceChildren();
  }
}
