"use strict";
// The page of a Run (#/runs/NAME) and that of a repository (#/repositories/NAME). A state is told by a
// mark and a word, never by its colour alone. Everything that comes from outside is set as text.

const JOB = {
  passed: ["✓", "go", "passed"], failed: ["✗", "stop", "failed"], running: ["▶", "move", "running"],
  waiting: ["·", "quiet", "waiting"], "skipped-by-rule": ["↷", "skip", "skipped by rule"],
  "not-run": ["○", "quiet", "not run"], interrupted: ["↯", "wait", "interrupted"],
  quarantined: ["◐", "wait", "quarantined"], cancelled: ["⊘", "quiet", "cancelled"],
};
const BUILD = { passing: "go", failing: "stop", running: "move", cancelled: "wait", unknown: "quiet" };
const OVER = new Set(["Succeeded", "Failed", "RolledBack", "Cancelled"]);
const MANY_JOBS = 300;
const OPEN_GROUP = 12;
const unfolded = new Map(); // group -> whether somebody opened or closed it
let runTimer = null;
let runDrawn = "";

function lasting(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

const ROUTES = [
  [/^#\/runs\/([^/]+)\/log\/([^/?]+)(?:\?(.*))?$/, "log", (run, step) => openLog(run, step, new URLSearchParams(location.hash.split("?")[1] || ""))],
  [/^#\/runs\/([^/?]+)(?:\?.*)?$/, "run", (run) => showRun(run)],
  [/^#\/repositories\/([^/]+)$/, "repository", (name) => showRepository(name)],
];

function route() {
  clearTimeout(runTimer);
  closeLog();
  runDrawn = "";
  for (const [pattern, view, show] of ROUTES) {
    const found = pattern.exec(location.hash);
    if (!found) continue;
    document.body.dataset.view = view;
    show(...found.slice(1, 3).map((part) => decodeURIComponent(part || "")));
    return;
  }
  document.body.dataset.view = "line";
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
const linkTo = (text, ...parts) => make("a", { href: `#/${parts.map(encodeURIComponent).join("/")}` }, text);

function stateWord(state) {
  const [mark, tone, word] = JOB[state] || ["?", "quiet", state];
  return make("span", { class: "state", "data-tone": tone }, make("i", { "aria-hidden": "true" }, mark), word);
}

// --- a Run --------------------------------------------------------------------------------------

async function showRun(name) {
  let again = 1000;
  try {
    const run = await get(`/runs/${encodeURIComponent(name)}/graph`);
    drawRun(run);
    showJudged(run);
    if (run.jobs.length > MANY_JOBS) again = 5000;
    if (OVER.has(run.phase)) again = 0;
  } catch (error) {
    if (/: 40[34]$/.test(error.message)) {
      byId("run-title").textContent = name;
      byId("run-said").textContent = "There is no such Run, or you may not see it.";
      return;
    }
    byId("run-said").textContent = "The control plane does not answer; trying again …";
    again = 2000;
  }
  if (again && location.hash.split("?")[0] === `#/runs/${encodeURIComponent(name)}`) runTimer = setTimeout(() => showRun(name), again);
}

function drawRun(run) {
  const ended = OVER.has(run.phase);
  const shape = JSON.stringify({ ...run, now: ended ? 0 : run.now });
  if (shape === runDrawn) return;
  runDrawn = shape;
  const focused = document.activeElement && document.activeElement.getAttribute("href");
  byId("run-title").textContent = run.name;
  byId("run-where").replaceChildren(make("a", { href: "#/" }, "The line"), " › ",
    ...(run.repository ? [linkTo(run.repository, "repositories", run.repository), " › "] : []),
    ...(run.change ? [linkTo(run.change, "changes", run.change)] : []));
  byId("run-commit").replaceChildren(...(run.title ? [run.title, " ", make("span", { class: "sha" }, short(run.sha)), ` on ${run.ref}`] : []));
  byId("run-said").textContent = run.message;
  byId("run-phase").replaceChildren(stateWord(phaseState(run.phase)), ` ${phaseWords(run)}`, ...(ended ? [" · ", linkTo("Trace", "traces", run.name)] : []));
  byId("run-verdict").replaceChildren(...verdictParts(run));
  byId("run-jobs").replaceChildren(...jobList(run));
  byId("run-path").replaceChildren(...pathParts(run.path));
  byId("run-advice").hidden = !run.path.advice.length;
  byId("advice-list").replaceChildren(...run.path.advice.map((one) => make("li", {}, sentence(one.text))));
  byId("run-failures").hidden = !run.failures.length;
  byId("failures-title").textContent = plural(run.failures.length, "failed test") + (run.failures.length >= 200 ? ", and maybe more" : "");
  byId("failures-list").replaceChildren(...run.failures.map(failure));
  document.title = `${phaseWords(run)} · ${run.name} · Andon`;
  if (focused) for (const link of document.querySelectorAll("#run a")) if (link.getAttribute("href") === focused) link.focus({ preventScroll: true });
}

const phaseState = (phase) => ({ Succeeded: "passed", Failed: "failed", RolledBack: "failed", Cancelled: "cancelled", Running: "running" })[phase] || "waiting";

function phaseWords(run) {
  const count = (state) => run.jobs.filter((job) => job.state === state).length;
  return Object.entries(JOB).filter(([state]) => count(state)).map(([state, [, , word]]) => `${count(state)} ${word}`).join(", ");
}

function verdictParts(run) {
  if (!run.verdict) return run.startedAt ? [`${lasting(run.path.totalSeconds)} in all`] : [];
  const told = run.verdict.verdictAt ? "Verdict" : "No verdict yet";
  const late = run.verdict.late ? make("b", { class: "late" }, " Later than agreed.") : null;
  return [`${told} after ${lasting(run.verdict.seconds)}; ${lasting(run.verdict.limitSeconds)} are agreed.`, late].filter(Boolean);
}

function jobList(run) {
  const ends = new Map(run.jobs.map((job) => [job.name, job.finishedAt]));
  const begin = run.startedAt || run.now;
  const whole = Math.max((run.finishedAt || run.now) - begin, 0.001);
  const scale = { ends, begin, whole, now: run.finishedAt || run.now, run: run.name };
  const groups = new Map();
  for (const job of run.jobs) {
    const key = job.group || job.name;
    groups.set(key, [...(groups.get(key) || []), job]);
  }
  return [...groups].map(([name, jobs]) => (jobs.length === 1 && !jobs[0].group ? jobRow(jobs[0], scale) : groupRow(name, jobs, scale)));
}

function groupRow(name, jobs, scale) {
  const count = (state) => jobs.filter((job) => job.state === state).length;
  const bad = jobs.some((job) => ["failed", "interrupted", "running"].includes(job.state));
  const counted = Object.keys(JOB).filter(count).map((state) => make("span", { class: "state", "data-tone": JOB[state][1] }, make("i", { "aria-hidden": "true" }, JOB[state][0]), `${count(state)} ${JOB[state][2]}`));
  const box = make("details", {}, make("summary", {}, make("b", {}, name), ` ${plural(jobs.length, "job")} `, ...counted),
    make("ol", { class: "jobs" }, ...jobs.map((job) => jobRow(job, scale))));
  box.open = unfolded.has(name) ? unfolded.get(name) : bad || jobs.length <= OPEN_GROUP;
  box.addEventListener("toggle", () => unfolded.set(name, box.open));
  return make("li", { class: "group" }, box);
}

function jobRow(job, scale) {
  const values = Object.entries(job.values).map(([key, value]) => `${key} ${value}`).join(", ");
  const name = job.hasLog ? linkTo(job.name, "runs", scale.run, "log", job.name) : make("span", {}, job.name);
  const took = job.startedAt ? lasting((job.finishedAt || scale.now) - job.startedAt) : "";
  const row = make("li", { class: "job", "data-state": job.state }, stateWord(job.state),
    make("div", { class: "name" }, name, values && job.name !== values ? make("small", {}, values) : null, job.critical ? make("span", { class: "critical" }, "◆ critical path") : null),
    gantt(job, scale), make("span", { class: "took" }, took));
  const facts = factsOf(job);
  if (job.message) row.append(make("p", { class: "said" }, job.message));
  if (job.services.length) row.append(make("p", { class: "said" }, "services: ", ...job.services.flatMap((one, at) => [at ? ", " : "", linkTo(one, "runs", scale.run, "log", `${job.name}/${one}`)])));
  if (facts.length) row.append(make("ul", { class: "facts" }, ...facts.map((fact) => make("li", {}, fact))));
  return row;
}

function gantt(job, scale) {
  const bar = make("div", { class: "gantt", "aria-hidden": "true" });
  if (!job.startedAt) return bar;
  const ready = Math.max(scale.begin, ...job.needs.map((need) => scale.ends.get(need) || 0));
  const end = job.finishedAt || scale.now;
  const put = (kind, from, to) => {
    const piece = make("i", { class: kind });
    piece.style.left = `${(Math.max(from - scale.begin, 0) / scale.whole) * 100}%`;
    piece.style.width = `${(Math.max(to - from, 0) / scale.whole) * 100}%`;
    bar.append(piece);
  };
  if (job.startedAt > ready) put("waited", ready, job.startedAt);
  put(job.critical ? "ran critical" : "ran", job.startedAt, end);
  bar.dataset.tone = (JOB[job.state] || ["", "quiet"])[1];
  return bar;
}

function factsOf(job) {
  const facts = [];
  if (job.attempt) facts.push(`attempt ${job.attempt + 1}`);
  if (job.fault === "machine") facts.push("the machine's fault, not the change's");
  if (job.tests) facts.push(`${plural(job.tests.passed + job.tests.failed, "test")}, ${job.tests.failed} failed, ${job.tests.skipped} skipped`);
  if (job.coverage && job.coverage.lines) facts.push(`${percent((job.coverage.covered / job.coverage.lines) * 100)} of ${job.coverage.lines.toLocaleString()} lines covered`);
  for (const [cache, said] of Object.entries(job.caches)) facts.push(`cache ${cache}: ${said}`);
  if (job.reused) facts.push(`reused from ${job.reused}`);
  if (job.flaky) facts.push(`flaky, failed before: ${firstLine(job.flaky)}`);
  if (job.quarantined.length) facts.push(`in quarantine: ${job.quarantined.join(", ")}`);
  if (job.origin) facts.push(job.origin);
  return facts;
}

function pathParts(path) {
  if (!path.stretches.length) return [make("li", {}, "Nothing has run yet.")];
  const steps = path.stretches.map((one) => make("li", {}, make("b", {}, one.job), ` ran ${lasting(one.ranSeconds)}`,
    one.waitedSeconds >= 0.05 ? `, waited ${lasting(one.waitedSeconds)} for ${one.waitedFor}` : ""));
  if (path.tailSeconds >= 0.05) steps.push(make("li", {}, `${lasting(path.tailSeconds)} after the last job`));
  return steps;
}

function failure(one) {
  const where = one.file ? `${one.file}${one.line ? `:${one.line}` : ""}` : "";
  return make("li", {}, make("b", {}, one.id), make("p", {}, one.message), make("small", {}, `${one.job}${where ? `, ${where}` : ""}`));
}

// --- a repository -------------------------------------------------------------------------------

async function showRepository(name) {
  byId("repository-title").textContent = name;
  const path = `/repositories/${encodeURIComponent(name)}`;
  try {
    const [row, told] = await Promise.all([get(path), get(`${path}/feedback`)]);
    drawRepository(row, told);
  } catch {
    byId("repository-said").textContent = "Nothing of that name is on the line.";
  }
}

function drawRepository(row, told) {
  byId("repository-said").replaceChildren(make("img", { src: row.badge, alt: `build: ${row.state}`, height: "20" }), ` ${row.location}`);
  byId("repository-badge").textContent = `![build](${location.origin}${row.badge})`;
  byId("branches").replaceChildren(...row.branches.map((one) => make("li", {},
    make("div", {}, make("span", { class: "message" }, one.run ? linkTo(one.ref, "runs", one.run) : one.ref),
      make("span", { class: "word", "data-state": BUILD[one.state] }, one.state)),
    make("p", { class: "note" }, make("span", { class: "sha" }, short(one.sha)), ` ${one.title}`))));
  byId("feedback").replaceChildren(...feedbackParts(told));
}

function feedbackParts(told) {
  const coffee = told.coffee;
  const parts = [];
  if (coffee.state === "no-data") parts.push("Coffee budget: no data yet.");
  else parts.push(`Coffee budget ${coffee.state}: ${coffee.late} of ${plural(coffee.verdicts, "verdict")} came later than ${lasting(coffee.limitSeconds)}; ${coffee.allowed} of ${coffee.window} may. Burn rate ${coffee.burnRate.toFixed(1)}; median ${lasting(coffee.medianSeconds || 0)}.`);
  for (const one of told.batches) {
    const behind = one.deployed ? `${plural(one.changes, "change")} behind the trunk` : "nothing deployed yet";
    parts.push(`${one.environment}: ${behind}${one.changes ? `, the oldest waits for ${lasting(one.oldestSeconds)}` : ""}.`);
  }
  for (const one of told.branches) parts.push(`${one.ref} is away from the trunk since ${lasting(one.ageSeconds)}.`);
  for (const one of told.path ? told.path.advice : []) parts.push(sentence(one.text));
  return parts.map((text) => make("li", {}, text));
}

async function listRepositories() {
  const rows = await get("/repositories");
  byId("repositories").replaceChildren(...rows.flatMap((row, at) => [at ? ", " : "", linkTo(row.name, "repositories", row.name), ` ${row.state}`]));
}
