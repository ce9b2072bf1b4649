"use strict";
// The dashboards (#/dashboards): of each service in each environment its requests, failures, latency and
// processor time, without a line of configuration. Each drawing is one PromQL query, over all services at once.
// Where nothing was seen there is a hatched gap, never a line. Everything that comes from outside is set as text.

const DASHBOARDS_MS = 30000;
const DASHBOARD_STEPS = 120;
const PLACE = "environment, service";
const FAILED = 'class=~"5xx|failed"';
const perSecond = (value) => `${Number(value.toPrecision(2))}/s`;
const DRAWINGS = [
  ["Requests", perSecond, [["all", (w) => `sum by (${PLACE}) (rate(andon_gateway_requests_total[${w}]))`]]],
  ["Share that failed", (value) => `${Number((100 * value).toPrecision(2))} %`, [["failed", (w) => `sum by (${PLACE}) (rate(andon_gateway_requests_total{${FAILED}}[${w}])) / sum by (${PLACE}) (rate(andon_gateway_requests_total[${w}]))`]]],
  ["Latency", (value) => briefly(value), [[0.99, "p99"], [0.5, "p50"]].map(([q, word]) => [word, (w) => `histogram_quantile(${q}, sum by (${PLACE}, le) (rate(andon_gateway_request_duration_seconds_bucket[${w}])))`])],
  ["Processor", (value) => `${Number(value.toPrecision(2))} cores`, [["cores", (w) => `sum by (${PLACE}) (rate(process_cpu_seconds_total{service!=""}[${w}]))`]]],
];
const EXEMPLARS = "andon_span_duration_seconds_bucket";
const MOST_DOTS = 30; // of one drawing: of many requests close to each other the slowest
let dashboardsTimer = null;
let dashboardsAsked = 0;

ROUTES.push([/^#\/dashboards(?:\?.*)?$/, "dashboards", () => showDashboards()]);
addEventListener("hashchange", () => clearTimeout(dashboardsTimer));

async function showDashboards() {
  document.title = "Dashboards · Andon";
  const since = asked().get("since") || "3600";
  const field = Object.assign(sinceField(since, "since"), { id: "dashboards-since" });
  byId("dashboards-since").replaceWith(field);
  field.onchange = () => { location.hash = `#/dashboards?since=${field.value}`; };
  const wish = ++dashboardsAsked;
  const here = location.hash;
  const step = Math.max(15, Math.ceil(Number(since) / DASHBOARD_STEPS));
  const end = (Math.floor(Date.now() / 1000 / step) - 1) * step; // what is newest is not whole yet
  const grid = { begin: end - DASHBOARD_STEPS * step, end, step };
  try {
    const dots = exemplarsOf(grid);
    const drawings = await Promise.all(DRAWINGS.map(([, , lines]) => Promise.all(lines.map(([word, query]) => dashboardLines(word, query(`${Math.max(60, 2 * step)}s`), grid)))));
    if (wish === dashboardsAsked && here === location.hash) drawDashboards(drawings, await dots, grid);
  } catch (error) {
    if (wish !== dashboardsAsked || here !== location.hash) return;
    const refused = /: 403$/.test(error.message);
    byId("dashboards-services").replaceChildren(make("p", { class: "empty" }, refused ? "Who looks here may view all environments; you may not." : "The control plane does not answer; trying again …"));
  }
  clearTimeout(dashboardsTimer);
  if (here === location.hash) dashboardsTimer = setTimeout(showDashboards, DASHBOARDS_MS);
}

async function dashboardLines(word, query, grid) {
  const words = new URLSearchParams({ query, start: String(grid.begin), end: String(grid.end), step: String(grid.step) });
  const told = await get(`/query_range?${words}`);
  return { word, lines: new Map(told.data.result.map((one) => [`${one.metric.service}\n${one.metric.environment}`, new Map(one.values.map(([at, value]) => [at, Number(value)]))])) };
}

// Requests of which a trace is kept, by service and environment. A service that tells no spans is known by the
// gateway's, which are named by where they led.
async function exemplarsOf(grid) {
  const found = new Map();
  const words = new URLSearchParams({ query: EXEMPLARS, start: String(grid.begin), end: String(grid.end) });
  const told = await get(`/query_exemplars?${words}`).catch(() => ({ data: [] }));
  for (const { seriesLabels: one, exemplars } of told.data) {
    const place = `${one.service === "gateway" ? one.operation : one.service}\n${one.environment}`;
    found.set(place, [...(found.get(place) || []), ...exemplars.filter((dot) => dot.labels.trace_id)]);
  }
  return found;
}

function spread(dots, grid) {
  const slowest = new Map();
  for (const dot of dots) {
    const column = Math.floor(MOST_DOTS * (dot.timestamp - grid.begin) / (grid.end - grid.begin + 1));
    if (!slowest.has(column) || Number(slowest.get(column).value) < Number(dot.value)) slowest.set(column, dot);
  }
  return [...slowest.values()].sort((one, other) => Number(other.value) - Number(one.value));
}

// A dot a request, which leads to its trace; by keyboard the slowest can be reached.
function exemplarDots(drawing, x, y, dots) {
  dots.forEach((dot, at) => {
    const said = `${briefly(Number(dot.value))} at ${time(dot.timestamp)}: its trace`;
    drawing.append(svgPart("a", { href: `#/traces/${encodeURIComponent(dot.labels.trace_id)}`, class: "exemplar", tabindex: at ? -1 : 0, "aria-label": said },
      svgPart("title", {}, said), svgPart("circle", { cx: x(dot.timestamp).toFixed(1), cy: y(Number(dot.value)).toFixed(1), r: 7 })));
  });
  if (dots.length) drawing.setAttribute("role", "group"); // Links of an image are none.
}

function drawDashboards(drawings, dots, grid) {
  const places = [...new Set(drawings.flatMap((lines) => lines.flatMap((one) => [...one.lines.keys()])))].sort();
  byId("dashboards-said").textContent = places.length ? "From the gateway's own counts and the processes' own times, a point each " + lasting(grid.step) + "." + (dots.size ? " A dot is one request, and leads to its trace." : "") : "";
  const none = make("p", { class: "empty" }, "Nothing was seen in that time: a service is, from its first deployment on.");
  byId("dashboards-services").replaceChildren(...(places.length ? places.map((place) => dashboardCard(place, drawings, dots.get(place) || [], grid)) : [none]));
}

function dashboardCard(place, drawings, dots, grid) {
  const [service, environment] = place.split("\n");
  const links = make("span", { class: "links" }, ...["traces", "logs"].map((page) => make("a", { href: `#/${page}?service=${encodeURIComponent(service)}` }, page)));
  const charts = DRAWINGS.map(([title, tell], at) => dashboardChart(`${title} of ${service} in ${environment}`, title, tell, drawings[at].map((one) => ({ word: one.word, points: one.lines.get(place) || new Map() })), grid, title === "Latency" ? spread(dots, grid) : []));
  return make("article", { class: "dashboard" }, make("h3", {}, `${service} `, make("small", {}, environment), " ", links), make("div", { class: "charts" }, ...charts));
}

function dashboardChart(label, title, tell, lines, grid, dots) {
  const finite = (value) => value !== undefined && Number.isFinite(value);
  const values = lines.flatMap((one) => [...one.points.values()]).filter(finite);
  const newest = lines.map((one) => [...one.points.entries()].filter(([, value]) => finite(value)).pop());
  const now = lines.map((one, at) => (newest[at] && newest[at][0] > grid.end - 3 * grid.step ? `${lines.length > 1 ? `${one.word} ` : ""}${tell(newest[at][1])}` : null)).filter((one) => one !== null);
  const caption = make("figcaption", {}, title, make("b", {}, now.join(", ") || "unknown"));
  const high = Math.max(...values, 0) || 1;
  const { drawing, x, y } = chartFrame(`${label}: ${now.join(", ") || "unknown"}`, 0, high, grid.begin, grid.end, [[high, values.length ? tell(high).split(" ")[0] : ""], [0, "0"]]);
  const moments = Array.from({ length: DASHBOARD_STEPS + 1 }, (_, at) => grid.begin + at * grid.step);
  const seen = (at) => lines.some((one) => finite(one.points.get(at)));
  let unseen = null;
  for (const at of [...moments, null]) {
    if (at !== null && !seen(at)) unseen = unseen === null ? at - grid.step : unseen;
    else if (unseen !== null) {
      unseenPart(drawing, x(Math.max(grid.begin, unseen)), x(at === null ? grid.end : at));
      unseen = null;
    }
  }
  lines.forEach((one, number) => {
    let run = [];
    const end = () => { if (run.length) drawing.append(svgPart(run.length > 1 ? "polyline" : "circle", run.length > 1 ? { class: `line-${number}`, points: run.join(" ") } : { class: `line-${number}`, cx: run[0].split(",")[0], cy: run[0].split(",")[1], r: 2.5 })); run = []; };
    for (const at of moments) {
      const value = one.points.get(at);
      if (finite(value)) run.push(`${x(at).toFixed(1)},${y(value).toFixed(1)}`);
      else end();
    }
    end();
  });
  exemplarDots(drawing, x, y, dots);
  return make("figure", {}, caption, drawing);
}
