// Andon: tells how a page did. No cookies, no ids, no addresses; a share of views, none that objects to it.
(() => {
  "use strict";
  const me = document.currentScript;
  if (!me || Math.random() >= RATIO || navigator.globalPrivacyControl || navigator.doNotTrack === "1") return;
  const to = new URL("beacon", me.src).href;
  const bare = (text) => String(text || "").replace(/[?#][^\s"')>\]]*/g, "").slice(0, 300);
  const errors = [];
  const slow = new Map();
  let lcp, cls = 0, burst = 0, first = 0, last = 0, sent = false;

  const watch = (type, each, more) => {
    try {
      new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true, ...more });
    } catch {}
  };
  watch("largest-contentful-paint", (one) => { lcp = one.startTime; });
  watch("layout-shift", (one) => {
    if (one.hadRecentInput) return;
    const at = one.startTime;
    if (burst && at - last < 1000 && at - first < 5000) burst += one.value;
    else [burst, first] = [one.value, at];
    last = at;
    cls = Math.max(cls, burst);
  });
  watch("event", (one) => {
    if (one.interactionId) slow.set(one.interactionId, Math.max(one.duration, slow.get(one.interactionId) || 0));
  }, { durationThreshold: 16 });

  const failed = (message, source, line) => {
    if (errors.length < 5) errors.push({ message: bare(message), source: bare(source), line: line | 0 });
  };
  addEventListener("error", (event) => { if (event.message) failed(event.message, event.filename, event.lineno); });
  addEventListener("unhandledrejection", (event) => failed(event.reason && event.reason.message || event.reason));

  const seconds = (milliseconds) => milliseconds > 0 ? Math.round(milliseconds) / 1000 : null;
  const tell = () => {
    if (sent) return;
    sent = true;
    const nav = performance.getEntriesByType("navigation")[0] || {};
    const waits = [...slow.values()].sort((a, b) => b - a);
    const body = JSON.stringify({
      page: location.pathname.slice(0, 500),
      ttfb_seconds: seconds(nav.responseStart),
      load_seconds: seconds(nav.loadEventEnd),
      lcp_seconds: seconds(lcp),
      inp_seconds: seconds(waits[Math.floor(waits.length / 50)]),
      cls: Math.round(cls * 1e4) / 1e4,
      errors,
    });
    fetch(to, { method: "POST", body, keepalive: true, credentials: "omit", referrerPolicy: "no-referrer" }).catch(() => {});
  };
  addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") tell(); });
  addEventListener("pagehide", tell);
})();
