// Health: what the checks say, the figures that matter with their limits, and the last lines of the log.

import { poll } from "./api.js";
import { each, h, id, put, say, set } from "./dom.js";
import { ago, bytes, clock, num, span } from "./format.js";
import { card, choice, meter, nothing, refusal, sign } from "./parts.js";
import { pollRecords } from "./records.js";

const ORDER = { error: 0, warn: 1, ok: 2 };
const SAID = { ok: "good", warn: "look at it", error: "wrong" };
const KEPT = 1000;

export function mountHealth(root, { job, signal }) {
  const checks = checkCard();
  const metrics = metricCard();
  const log = logCard(job, signal);
  put(root, h("h1", { class: "unseen" }, "Health"), checks.node, metrics.node, log.node);
  if (job.unobserved) { checks.nothing(); return undefined; }
  const first = poll("/v1/console/health", 5000, signal, (seen) => { checks.show(seen); metrics.show(seen); }, (error) => checks.fail(error));
  return Promise.all([first, log.start()]);
}

function checkCard() {
  const list = h("ul", { class: "checks" });
  const summary = h("span", { class: "quiet" });
  const other = h("div");
  const make = () => {
    const [badge, name, said, repair] = [h("span", { class: "badge-room" }), h("strong"), h("p"), h("p", { class: "repair" })];
    let state = "";
    return {
      node: h("li", {}, badge, h("div", {}, name, said, repair)),
      update(check) {
        if (check.verdict !== state) put(badge, sign((state = check.verdict), SAID[check.verdict]));
        set(badge.parentNode, "class", check.verdict);
        say(name, check.name);
        say(said, check.said);
        say(repair, check.repair ?? "");
        repair.hidden = !check.repair;
      },
    };
  };
  return {
    node: card("Checks", { name: "two-thirds", aside: summary }, list, other),
    show(seen) {
      put(other, !seen.checks.length && nothing("Nothing is checked yet", "The checks of `doctor` are run when this view is shown."));
      const sorted = [...seen.checks].sort((a, b) => (ORDER[a.verdict] ?? 3) - (ORDER[b.verdict] ?? 3));
      each(list, sorted, (c) => c.name, make);
      const bad = (verdict) => seen.checks.filter((c) => c.verdict === verdict).length;
      say(summary, `${bad("error")} wrong, ${bad("warn")} to look at, ${bad("ok")} good; checked ${ago(seen.checked_ms, Date.now())}`);
    },
    fail(error) { if (error.status) put(other, refusal(error)); },
    nothing() { put(other, nothing("This server shows no job", "Its own health is at /healthz, /readyz and /metrics.")); },
  };
}

const UNITS = { ms: span, bytes, ratio: (v) => `${num(Math.round(Number(v) * 1000) / 10)} %`, s: (v) => span(Number(v) * 1000), seconds: (v) => span(Number(v) * 1000) };
/** One record, two records. */
const counted = (value, unit) => (Number(value) === 1 ? unit.replace(/s$/, "") : unit);
const shown = (value, unit) => (value === null || value === undefined ? "\u2013" : (UNITS[unit]?.(value) ?? `${num(typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(3)) : value)}${unit ? ` ${counted(value, unit)}` : ""}`));
const isSaid = (limit) => limit !== null && limit !== undefined;
/** From where on a figure is no longer good. */
function limitsOf(x) {
  const all = [isSaid(x.warn) && x.warn !== x.error && `look at it from ${shown(x.warn, x.unit)} on`, isSaid(x.error) && `wrong from ${shown(x.error, x.unit)} on`].filter(Boolean);
  return all.join(", ") || "no limit";
}

function metricCard() {
  const list = h("ul", { class: "metrics" });
  const none = h("div", {}, nothing("No figure yet", "Running processes say them."));
  const make = (m) => {
    const [badge, value, limits] = [h("span", { class: "badge-room" }), h("span", { class: "n figure" }), h("span", { class: "quiet" })];
    const bar = meter(m.label);
    const marks = h("span", { class: "limits", "aria-hidden": "true" });
    let state = "";
    return {
      node: h("li", {}, badge, h("span", {}, m.label), value, h("span", { class: "gauge" }, bar.node, marks), limits),
      update(x) {
        if (x.verdict !== state) put(badge, sign((state = x.verdict), SAID[x.verdict]));
        say(value, shown(x.value, x.unit));
        const top = x.error ?? x.warn;
        // Where less is worse there is no bar, for what is left has no whole; nor where the first one is too much.
        const rising = isSaid(top) && top > 1 && (x.warn === null || x.error === null || x.error >= x.warn);
        bar.node.parentNode.hidden = !rising || !top;
        if (rising && top) {
          const whole = Number(top) * 1.25;
          bar.show(Number(x.value) / whole, { warn: "warn", error: "error" }[x.verdict] ?? null);
          if (marks.children.length === 0) {
            for (const limit of [x.warn, x.error]) {
              if (limit === null || limit === undefined) continue;
              const mark = h("span");
              mark.style.setProperty("left", `${(Number(limit) / whole) * 100}%`);
              marks.append(mark);
            }
          }
        }
        say(limits, limitsOf(x));
      },
    };
  };
  return {
    node: card("Figures", { name: "third" }, list, none),
    show(seen) {
      each(list, seen.metrics, (m) => m.name, make);
      none.hidden = seen.metrics.length > 0;
    },
  };
}

const LEVELS = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
function logCard(job, signal) {
  const list = h("div", { class: "log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Lines of the log" });
  const none = h("div");
  const field = id("filter");
  const filter = h("input", { id: field, type: "search", placeholder: "text", spellcheck: "false", oninput: sift });
  let level = "INFO";
  let next = 0;
  let stops = true;
  const follow = h("input", { type: "checkbox", checked: true, onchange: () => { stops = follow.checked; if (stops) list.scrollTop = list.scrollHeight; } });
  const seen = (line) => LEVELS.indexOf(line.dataset.level) <= LEVELS.indexOf(level) && (!filter.value || line.textContent.toLowerCase().includes(filter.value.toLowerCase()));
  function sift() { for (const line of list.children) line.hidden = !seen(line); if (stops) list.scrollTop = list.scrollHeight; }
  function add(lines) {
    for (const l of lines) {
      const name = String(l.level ?? "INFO").toUpperCase();
      const fields = Object.entries(l.fields ?? {}).map(([k, v]) => `${k}=${typeof v === "object" ? JSON.stringify(v) : v}`).join(" ");
      const line = h("div", { "data-level": name, class: name.toLowerCase() }, h("span", { class: "quiet" }, clock(l.at_ms)), h("span", { class: "level" }, name),
        h("span", { class: "quiet who", title: l.target }, l.process ? `${l.process.kind} ${l.process.pid}` : ""), h("span", { class: "words" }, l.message, fields && h("span", { class: "quiet" }, ` ${fields}`)));
      line.hidden = !seen(line);
      list.append(line);
    }
    while (list.children.length > KEPT) list.firstChild.remove();
    // The first lines come before the view is seen: then it has no height yet.
    if (lines.length) requestAnimationFrame(() => { if (stops) list.scrollTop = list.scrollHeight; });
  }
  const node = card("Log", { wide: true, name: "log-card", aside: [choice("Least level", LEVELS.slice(0, 4).map((l) => [l, l.toLowerCase()]), level, (l) => { level = l; sift(); }),
    h("span", { class: "filter" }, h("label", { for: field }, "Filter"), filter), h("label", { class: "live-box" }, follow, "follow")] }, list, none);
  list.addEventListener("wheel", () => { if (list.scrollTop + list.clientHeight < list.scrollHeight - 8 && follow.checked) { follow.checked = stops = false; } }, { passive: true });
  return {
    node,
    start() {
      const where = () => `/v1/console/log?after=${next}&limit=200`;
      return pollRecords(job, where, 2000, signal, (answer) => {
        // Who began anew counts from the beginning.
        if (answer.next < next) put(list);
        next = answer.next;
        add(answer.lines);
        put(none, !list.children.length && nothing("No line yet", "Running processes keep their last lines for this view."));
        set(list, "hidden", list.children.length ? null : true);
      }, (node) => {
        put(none, node);
        list.hidden = node !== null || !list.children.length;
      });
    },
  };
}
