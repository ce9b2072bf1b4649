"use strict";
// A step's log (#/runs/NAME/log/STEP, with ?line=NUMBER or ?text=WHAT to look for). Only what is looked at is fetched: pages of lines around the view,
// the rest stays folded on the server. A log is written by anybody, so it is text, never markup.

const PAGE_LINES = 500;
const MOST_ROWS = 6000;
const FOLLOW_MS = 1000;
const AGAIN_MS = 2000;
const STYLE = /^(bold|faint|italic|underline|inverse|strike|(on-)?(bright-)?(black|red|green|yellow|blue|magenta|cyan|white))$/;
let log = null;

class LogView {
  constructor(run, step) {
    this.address = `#/runs/${encodeURIComponent(run)}/log/${encodeURIComponent(step)}`;
    this.path = `/runs/${encodeURIComponent(run)}/log`;
    this.step = step;
    this.rows = byId("log-lines");
    this.folded = new Set(); // first lines of groups
    this.groups = new Map();
    this.start = this.next = this.total = 0;
    this.unfinished = this.ended = this.busy = false;
    this.follows = false;
    this.searching = 0;
  }

  ask(what, query) {
    return get(`${this.path}/${what}?${new URLSearchParams({ step: this.step, ...query })}`);
  }

  get alive() {
    return log === this;
  }

  async open(wish) {
    const state = await this.stateOfStep();
    await this.look();
    const groups = [...this.groups.values()];
    for (const group of groups.slice(0, -1)) if (group.last >= 0) this.folded.add(group.first);
    const line = Number(wish.get("line")) || 0;
    const text = wish.get("text") || "";
    this.follows = !this.ended && !line && !text;
    byId("log-follow").checked = this.follows;
    byId("log-text").value = text;
    if (line > 0 || text.length >= 2) {
      await this.jump(Math.max(line, 1) - 1);
      if (text.length >= 2) await this.search(text);
      this.keepFollowing();
      return;
    }
    const fromEnd = this.follows || state === "failed" || state === "interrupted";
    await this.show(fromEnd ? Math.max(0, this.total - PAGE_LINES) : 0);
    if (fromEnd) scrollTo(0, document.body.scrollHeight);
    this.keepFollowing();
  }

  async stateOfStep() {
    const run = await get(`${this.path.replace(/\/log$/, "")}/graph`);
    const job = run.jobs.find((one) => one.name === this.step);
    byId("log-state").replaceChildren(...(job ? [stateWord(job.state), job.message ? ` ${job.message}` : ""] : []));
    return job ? job.state : "";
  }

  // Learns how long it is and what folds; a long log is indexed a part at a time.
  async look() {
    for (;;) {
      const told = await this.ask("outline", {});
      this.take(told.groups, told.lines, told.ended);
      byId("log-size").textContent = `${told.lines.toLocaleString()} lines, ${(told.bytes / 1e6).toFixed(1)} MB${told.complete ? "" : ", still counting …"}`;
      if (told.complete || !this.alive) return;
    }
  }

  take(groups, total, ended) {
    for (const group of groups) this.groups.set(group.first, group);
    this.total = total;
    this.ended = ended;
  }

  // The outermost folded group that hides a line, or whose first line it is.
  foldAt(line) {
    let found = null;
    for (const first of this.folded) {
      const group = this.groups.get(first);
      if (first <= line && line <= group.last && (!found || first < found.first)) found = group;
    }
    return found;
  }

  nextFold(line) {
    let found = this.total;
    for (const first of this.folded) if (first >= line && first < found) found = first;
    return found;
  }

  async show(line) {
    const fold = this.foldAt(line);
    this.start = this.next = fold ? fold.first : line;
    this.rows.replaceChildren();
    await this.more();
  }

  async more() {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let room = PAGE_LINES; room > 0 && this.next < this.total && this.alive;) room -= await this.append(room);
    } finally {
      this.busy = false;
      this.tellEnds();
    }
  }

  async append(room) {
    const fold = this.foldAt(this.next);
    if (fold) {
      this.rows.append(this.header(fold));
      this.next = fold.last + 1;
      return 1;
    }
    const count = Math.min(room, this.nextFold(this.next) - this.next);
    const page = await this.ask("lines", { first: this.next, count });
    if (!this.alive) return room;
    this.rows.append(...page.lines.map((one) => this.line(one)));
    this.unfinished = page.unfinished && page.next === page.total;
    this.next = page.next;
    this.trim(true);
    return Math.max(page.lines.length, page.lines.length ? 1 : room);
  }

  async earlier() {
    if (this.busy || this.start <= 0) return;
    this.busy = true;
    const height = document.body.scrollHeight;
    try {
      await this.prepend(this.start - 1);
    } finally {
      this.busy = false;
      scrollBy(0, document.body.scrollHeight - height);
      this.tellEnds();
    }
  }

  async prepend(last) {
    const fold = this.foldAt(last);
    if (fold) {
      this.rows.prepend(this.header(fold));
      this.start = fold.first;
      return;
    }
    let first = Math.max(0, last - PAGE_LINES + 1);
    for (const begin of this.folded) {
      const group = this.groups.get(begin);
      if (group.last < last && group.last >= first) first = group.last + 1;
    }
    const found = [];
    for (let at = first; at <= last;) {
      const page = await this.ask("lines", { first: at, count: last - at + 1 });
      if (!page.lines.length) break;
      found.push(...page.lines);
      at = page.next;
    }
    this.rows.prepend(...found.map((one) => this.line(one)));
    this.start = first;
    this.trim(false);
  }

  trim(fromTop) {
    while (this.rows.children.length > MOST_ROWS) {
      const gone = fromTop ? this.rows.firstChild : this.rows.lastChild;
      const line = Number(gone.dataset.line);
      const group = gone.classList.contains("fold") && this.folded.has(line) ? this.groups.get(line) : null;
      if (fromTop) this.start = (group ? group.last : line) + 1;
      else this.next = line;
      gone.remove();
    }
  }

  tellEnds() {
    byId("log-earlier").hidden = this.start <= 0;
    byId("log-later").hidden = this.next >= this.total;
    byId("log-end").textContent = this.next < this.total ? "" : this.ended ? "The log ends here." : "More will follow.";
  }

  line(one) {
    if (this.groups.has(one.number)) return this.header(this.groups.get(one.number));
    const text = make("span", { class: "text" });
    for (const span of one.spans) text.append(this.span(span));
    if (one.cut) text.append(make("em", {}, ` … ${one.cut.toLocaleString()} bytes more; download shows them`));
    return this.row(one.number, text);
  }

  span(one) {
    const words = one.style.split(" ").filter((word) => STYLE.test(word));
    const element = document.createElement("span");
    element.className = words.map((word) => `t-${word}`).join(" ");
    element.textContent = one.text;
    return element;
  }

  row(number, ...parts) {
    const row = make("li", {}, make("a", { class: "number", href: `${this.address}?line=${number + 1}`, "aria-label": `line ${number + 1}` }, String(number + 1)), ...parts);
    row.dataset.line = number;
    return row;
  }

  header(group) {
    const closed = this.folded.has(group.first);
    const length = group.last >= 0 ? ` ${plural(group.last - group.first, "line")}` : " goes on";
    const button = make("button", { type: "button", "aria-expanded": String(!closed) }, make("i", { "aria-hidden": "true" }, closed ? "▸" : "▾"), ` ${group.title}`, make("small", {}, length));
    button.addEventListener("click", () => this.toggle(group).catch(lostLog));
    const row = this.row(group.first, button);
    row.className = "fold";
    return row;
  }

  async toggle(group) {
    if (this.busy || group.last < 0) return;
    if (!this.folded.delete(group.first)) this.folded.add(group.first);
    const at = this.rows.querySelector(`li[data-line="${group.first}"]`);
    while (at.nextSibling) at.nextSibling.remove();
    const header = this.header(group);
    at.replaceWith(header);
    header.querySelector("button").focus({ preventScroll: true });
    this.next = (this.folded.has(group.first) ? group.last : group.first) + 1;
    await this.more();
  }

  async jump(line) {
    while (this.busy) await new Promise((done) => setTimeout(done, 50));
    for (const group of this.groups.values()) if (group.first < line && line <= group.last) this.folded.delete(group.first);
    await this.show(Math.max(0, line - 20));
    const row = this.rows.querySelector(`li[data-line="${line}"]`);
    if (!row) return;
    row.classList.add("hit");
    row.scrollIntoView({ block: "center" });
  }

  async search(text) {
    const turn = ++this.searching;
    const list = byId("log-found");
    list.replaceChildren();
    let found = 0;
    for (let first = 0; this.alive && turn === this.searching;) {
      const told = await this.ask("search", { text, first });
      found += told.matches.length;
      list.append(...told.matches.map((one) => this.match(one)));
      first = told.next;
      const stopped = told.done || found >= 500;
      byId("log-matches").textContent = `${plural(found, "line")} found${stopped ? (told.done ? "" : ", and maybe more") : `, searched ${first.toLocaleString()} of ${told.total.toLocaleString()} lines …`}`;
      if (stopped) return;
    }
  }

  match(one) {
    const button = make("button", { type: "button" }, make("b", {}, String(one.line + 1)), ` ${one.text}`);
    button.addEventListener("click", () => {
      history.replaceState(null, "", `${this.address}?line=${one.line + 1}`);
      this.jump(one.line).catch(lostLog);
    });
    return make("li", {}, button);
  }

  // Goes on from the line it has come to, however often the connection was lost meanwhile.
  async keepFollowing() {
    while (this.alive && !(this.ended && this.next >= this.total)) {
      let pause = FOLLOW_MS;
      try {
        const was = this.total;
        await this.look();
        if (this.follows && this.alive) await this.catchUp(was);
        byId("log-link").textContent = "";
      } catch {
        byId("log-link").textContent = "The control plane does not answer; the log goes on as soon as it does.";
        pause = AGAIN_MS;
      }
      if (this.ended && !this.follows) break;
      await new Promise((done) => setTimeout(done, pause));
    }
    if (this.alive && this.ended) this.stateOfStep().catch(() => {});
  }

  async catchUp(was) {
    const atEnd = this.next >= was;
    if (atEnd && this.unfinished && this.rows.lastChild) {
      // What was the beginning of a line may be more of it by now.
      this.next = Number(this.rows.lastChild.dataset.line);
      this.rows.lastChild.remove();
    }
    for (let before = -1; this.alive && !this.busy && before < this.next && this.next < this.total;) {
      before = this.next;
      await this.more();
    }
    if (this.next >= this.total) scrollTo(0, document.body.scrollHeight);
    this.tellEnds();
  }
}

function openLog(run, step, wish) {
  log = new LogView(run, step);
  byId("log-title").textContent = step;
  byId("log-where").replaceChildren(make("a", { href: "#/" }, "The line"), " › ", linkTo(run, "runs", run));
  byId("log-download").href = `/api/v1${log.path}/raw?${new URLSearchParams({ step })}`;
  for (const id of ["log-lines", "log-found"]) byId(id).replaceChildren();
  for (const id of ["log-state", "log-size", "log-matches", "log-link", "log-end"]) byId(id).textContent = "";
  document.title = `${step} · ${run} · Andon`;
  log.open(wish).catch((error) => {
    byId("log-link").textContent = /: 404$/.test(error.message) ? "This step has no log." : "The log cannot be shown now; reload to try again.";
  });
}

function lostLog() {
  byId("log-link").textContent = "The control plane does not answer; try again.";
}

function closeLog() {
  log = null;
}

addEventListener("DOMContentLoaded", () => {
  byId("log-search").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("log-text").value;
    if (log && text.length >= 2) log.search(text).catch(() => { byId("log-matches").textContent = "The search was broken off."; });
  });
  byId("log-follow").addEventListener("change", (event) => {
    if (!log) return;
    log.follows = event.target.checked;
    if (log.follows) log.catchUp(log.total).catch(() => {});
  });
  byId("log-earlier").addEventListener("click", () => log && log.earlier().catch(lostLog));
  byId("log-later").addEventListener("click", () => log && log.more().catch(lostLog));
});
