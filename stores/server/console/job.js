// The job: its graph with what flows, its sources, its memory, its processes, its bad records.

import { poll } from "./api.js";
import { each, h, put, s, say, set } from "./dom.js";
import { ago, bytes, num, plural, rate, short, span, time } from "./format.js";
import { graph, kindName, titleOf } from "./graph.js";
import { card, choice, meter, nothing, refusal, row, sign, table, tile } from "./parts.js";
import { Rates, Trail } from "./rates.js";
import { pollRecords } from "./records.js";
import { place } from "./where.js";

/** Whose counts are the totals, by what runs: the first of these. */
const COUNTS = ["stream", "backfill", "batch", "archive"];

const add = (a, b) => (b === null || b === undefined ? a : (a ?? 0) + Number(b));

export function mountJob(root, { job, signal }) {
  const rates = new Rates();
  const trails = new Map();
  const trail = (key) => trails.get(key) ?? (trails.set(key, new Trail()), trails.get(key));

  const tiles = { records: tile("Records", { curve: true }), lag: tile("Lag"), late: tile("Late"), bad: tile("Bad"), commit: tile("Last commit"), memory: tile("Memory") };
  const inspector = inspect(job);
  const drawing = job.graph.nodes.length ? graph(job.graph, (node) => inspector.choose(node)) : null;
  if (drawing) signal.addEventListener("abort", drawing.stop);
  const processes = processCard();
  const sources = sourceCard(rates);
  const memory = memoryCard();
  const samples = sampleCard(job, signal);
  put(root,
    h("h1", { class: "unseen" }, `Job ${job.job}`),
    h("dl", { class: "tiles" }, Object.values(tiles).map((t) => t.node)),
    drawing ? card("Graph", { wide: true, name: "graph-card", aside: h("span", { class: "quiet" }, "choose a step to see what flows through it \u00b7 ", h("span", { class: "mono" }, `version ${job.version} \u00b7 ${String(job.fingerprint).slice(0, 12)}`)) },
      h("div", { class: "graph-and-step" }, drawing.node, inspector.node))
      : card("Graph", { wide: true }, nothing(job.unobserved ? "This server shows no job" : "This job has no steps", job.unobserved ? "It answers for stores only: look at Answers." : null)),
    sources.node, processes.node, memory.node, samples.node);
  if (job.unobserved) return undefined;

  const live = poll("/v1/console/live", 1000, signal, (live) => {
    const now = live.now_ms;
    const seen = { records: null, bytes: null, late: null, held: null, bad: null, lag: null, commits: null, last: null, used: null, rate: null };
    const steps = new Map();
    // A bulk run and an archive read what a live process counts, too: a total is that of one kind, and rates are of all that flows.
    const kind = COUNTS.find((kind) => live.processes.some((p) => p.kind === kind && p.sources?.length));
    for (const p of live.processes) {
      const of = `${p.kind}/${p.pid}/${p.started_ms}`;
      const counts = p.kind === kind;
      for (const source of p.sources ?? []) {
        if (counts) for (const name of ["records", "bytes", "late", "held", "bad"]) seen[name] = add(seen[name], source[name]);
        seen.rate = add(seen.rate, rates.feed(`${of}/${source.source}`, source.records, now));
        for (const part of source.partitions ?? []) if (part.lag !== null && p.kind === "stream") seen.lag = add(seen.lag, part.lag);
      }
      for (const step of p.steps ?? []) {
        const sum = steps.get(step.id) ?? { in: null, out: null, inRate: null, outRate: null };
        if (counts) [sum.in, sum.out] = [add(sum.in, step.in), add(sum.out, step.out)];
        sum.inRate = add(sum.inRate, rates.feed(`${of}/in/${step.id}`, step.in, now));
        sum.outRate = add(sum.outRate, rates.feed(`${of}/out/${step.id}`, step.out, now));
        steps.set(step.id, sum);
      }
      // A process says what it is in all, and what its parts are.
      const whole = (p.memory ?? []).filter((m) => m.part === "process");
      for (const part of whole.length ? whole : (p.memory ?? [])) seen.used = add(seen.used, part.bytes);
      if (p.last_commit_ms) seen.last = Math.max(seen.last ?? 0, p.last_commit_ms);
      seen.commits = add(seen.commits, p.commits);
    }
    const curve = trail("records");
    if (seen.records !== null) curve.push(seen.rate);
    tiles.records.show(seen.records === null ? "\u2013" : rate(seen.rate ?? 0), seen.records === null ? "no process" : `${num(seen.records)} in all${kind === "stream" ? "" : ` by ${kind}`}`, null, curve.path(120, 28));
    tiles.lag.show(short(seen.lag), seen.lag === null ? "" : seen.lag === 0 ? "at the end of the log" : "offsets to read", seen.lag > 0 ? null : seen.lag === 0 ? "good" : null);
    tiles.late.show(short(seen.late), seen.late === null ? "" : seen.held ? `${short(seen.held)} held` : "counted, in their own time", null);
    tiles.bad.show(short(seen.bad), seen.bad ? (kind === "stream" ? "see the samples" : `see the log of ${kind}`) : seen.bad === null ? "" : "none", seen.bad ? "warn" : null);
    tiles.commit.show(ago(seen.last, now), seen.commits === null ? "" : `${num(seen.commits)} commits`);
    tiles.memory.show(bytes(seen.used), seen.used === null ? "" : "of all processes");
    for (const [id, step] of steps) trail(`step/${id}`).push(step.outRate ?? step.inRate);
    drawing?.show(steps);
    inspector.show(steps, trail);
    processes.show(live);
    sources.show(live);
    memory.show(live);
  }, (error) => processes.fail(error));
  return Promise.all([live, samples.ready]);
}

/** What is known of the step that is looked at. */
function inspect(job) {
  let node = job.graph.nodes[0];
  let steps = new Map();
  let trails = null;
  const kind = h("p", { class: "kind" });
  const name = h("h3");
  const detail = h("p", { class: "detail" });
  const pairs = ["in", "out", "out for one in"].map((word) => [h("dt", {}, word), h("dd")]);
  const line = s("path", { class: "line" });
  const flow = h("p", { class: "quiet" }, "\u00a0");
  const link = h("p");
  const box = h("div", { class: "inspector", "aria-live": "off" }, kind, name, detail,
    h("dl", { class: "pairs" }, pairs),
    s("svg", { class: "curve", viewBox: "0 0 240 44", preserveAspectRatio: "none", "aria-hidden": "true" }, line), flow, link);
  function write() {
    const step = steps.get(node?.id);
    const [cameIn, out] = [step?.in ?? null, step?.out ?? null];
    [num(cameIn), num(out), cameIn && out !== null ? (out / cameIn).toPrecision(3) : "\u2013"].forEach((text, i) => say(pairs[i][1], text));
    const now = out === null ? step?.inRate : step?.outRate;
    say(flow, typeof now === "number" ? `${rate(now)} ${out === null ? "in" : "out"} now; the last minute above` : step ? "\u00a0" : "Nothing runs that counts it.");
    if (trails) set(line, "d", step && trails ? trails(`step/${node.id}`).path(240, 44) : null);
  }
  function choose(other) {
    node = other;
    say(kind, kindName(node.kind));
    say(name, titleOf(node));
    // Nothing goes into a source, and nothing out of an end.
    const [begins, ends] = [node.kind === "source", node.ends === true];
    pairs.forEach((pair, i) => { for (const cell of pair) cell.hidden = [begins, ends, begins || ends][i]; });
    put(detail, [node.label !== titleOf(node) && node.label, ...(node.detail ?? "").split("; ").map((t) => t.replace(/^-> /, "\u2192 "))].filter(Boolean).flatMap((t, i) => (i ? [h("br"), t] : [t])));
    put(link, node.store && h("a", { href: place("answers", { store: node.store }) }, "Ask this store"));
    write();
  }
  if (node) choose(node);
  return { node: box, choose, show(all, of) { steps = all; trails = of; write(); } };
}

function processCard() {
  const list = h("ul", { class: "processes" });
  const note = h("div");
  const node = card("Processes", { name: "third" }, list, note);
  const make = () => {
    const [title, since, why] = [h("strong"), h("span", { class: "quiet" }), h("div", { class: "why" })];
    const badge = h("span", { class: "badge-room" });
    const bar = meter("progress");
    let state = "";
    return {
      node: h("li", {}, badge, h("div", {}, h("p", {}, title, " ", since), why, bar.node)),
      update({ process: p, now }) {
        const next = !p.reachable ? "error" : p.healthy === false ? "error" : p.ready === false ? "warn" : "ok";
        if (next !== state) put(badge, sign((state = next), { ok: "well", warn: "not ready", error: "not well" }[next]));
        say(title, p.kind);
        say(since, `process ${p.pid}, for ${span(now - p.started_ms)}`);
        const reasons = (p.reasons ?? []).slice(0, 3).map((r) => `${r.source}${r.partition === null || r.partition === undefined ? "" : `/${r.partition}`} waits: ${r.awaits}${r.lag ? ` (${short(r.lag)} behind)` : ""}`);
        say(why, !p.reachable ? (p.why ?? "does not answer") : (p.progress?.text ?? (reasons.join("; ") || (p.healthy === false ? "it makes no progress, or has not for a while: Health says more" : p.uncommitted_records ? `${short(p.uncommitted_records)} records not committed yet` : "all is committed"))));
        bar.node.hidden = !p.progress?.total;
        if (p.progress?.total) bar.show(p.progress.done / p.progress.total);
      },
    };
  };
  let failed = null;
  return {
    node,
    show(live) {
      each(list, live.processes.map((process) => ({ process, now: live.now_ms })), (x) => `${x.process.kind}/${x.process.pid}`, make);
      const next = live.processes.length ? "" : (live.note ?? "no process of this job runs on this machine");
      if (failed !== next) { failed = next; put(note, next && nothing("Nothing runs", next)); }
    },
    fail(error) { if (error.status && failed !== error.message) { failed = error.message; put(note, refusal(error)); } },
  };
}

const COLUMNS = [["Source", ""], ["Records", "n"], ["Rate", "n rate-column"], ["Late", "n"], ["Held", "n"], ["Bad", "n"], ["Lag", "n"], ["Batch", "n"], ["Newest", "n"]];
function sourceCard(rates) {
  const grid = table("Sources and their partitions", COLUMNS, { empty: "No process has read anything yet." });
  const open = new Set();
  const make = (item) => {
    const made = row(COLUMNS.map((c) => c[1]), (x) => x.texts, { class: item.partition ? "part" : "whole" });
    if (!item.partition) {
      const button = h("button", { type: "button", class: "fold", "aria-expanded": open.has(item.key), onclick: () => {
        if (open.has(item.key)) open.delete(item.key);
        else open.add(item.key);
        set(button, "aria-expanded", open.has(item.key));
        last && show(last);
      } }, item.name);
      const texts = made.update;
      made.update = (x) => texts({ texts: [button, ...x.texts.slice(1)] });
    }
    return made;
  };
  let last = null;
  function show(live) {
    last = live;
    const items = [];
    for (const p of live.processes) {
      for (const source of p.sources ?? []) {
        const key = `${p.kind}/${p.pid}/${source.source}`;
        const parts = source.partitions ?? [];
        const lag = parts.reduce((a, x) => add(a, x.lag), null);
        const newest = parts.reduce((a, x) => Math.max(a, x.time_ms ?? -Infinity), -Infinity);
        const top = parts.map((x) => x.batch).filter((b) => typeof b === "number");
        const at = rates.feed(`table/${key}/${p.started_ms}`, source.records, live.now_ms);
        items.push({ key, name: `${source.source} (${[p.kind, parts.length && plural(parts.length, "partition", "partitions")].filter(Boolean).join(", ")})`, texts: [source.source, num(source.records), rate(at), num(source.late), num(source.held), num(source.bad), num(lag), num(top.length ? Math.max(...top) : null), time(newest)] });
        if (!open.has(key)) continue;
        for (const x of parts) items.push({ key: `${key}/${x.partition}`, partition: true, texts: [`partition ${x.partition}`, `up to ${num(x.applied)}`, rate(rates.feed(`part/${key}/${x.partition}/${p.started_ms}`, x.applied, live.now_ms)), "", "", "", num(x.lag), num(x.batch), time(x.time_ms)] });
      }
    }
    each(grid.body, items, (x) => x.key, make);
    grid.show(items.length > 0);
  }
  return { node: card("Sources", { name: "two-thirds" }, grid.node), show };
}

function memoryCard() {
  const list = h("ul", { class: "memory" });
  const none = h("div", {}, nothing("Nothing is held", "A running process says here what its parts hold."));
  const make = (x) => {
    const [name, size] = [h("span", {}, x.part), h("span", { class: "n" })];
    const bar = meter(x.part);
    return {
      node: h("li", {}, name, size, bar.node),
      update({ bytes: used, limit_bytes: limit, most }) {
        say(size, limit ? `${bytes(used)} of ${bytes(limit)}` : bytes(used));
        const part = used / (limit ?? most);
        bar.show(part, limit && part > 0.9 ? "warn" : limit ? null : "open");
      },
    };
  };
  return {
    node: card("Memory", { name: "third" }, list, none),
    show(live) {
      const parts = live.processes.flatMap((p) => (p.memory ?? []).map((m) => ({ ...m, key: `${p.pid}/${m.part}`, part: live.processes.length > 1 ? `${p.kind}: ${m.part}` : m.part })));
      const most = Math.max(1, ...parts.map((p) => p.bytes));
      each(list, parts.map((p) => ({ ...p, most })), (p) => p.key, make);
      none.hidden = parts.length > 0;
    },
  };
}

function sampleCard(job, signal) {
  let kind = "bad";
  const list = h("ol", { class: "samples", tabindex: 0, "aria-label": "Samples" });
  const none = h("div");
  const load = (answer) => {
    each(list, answer.samples, (x) => `${kind}/${x.source}/${x.partition}/${x.offset}`, (x) => ({
      node: h("li", {}, h("p", { class: "where" }, h("span", { class: "mono" }, `${x.source}/${x.partition} @ ${num(x.offset)}`), h("span", { class: "quiet" }, time(x.time_ms))),
        h("p", {}, x.why), h("pre", {}, h("code", {}, x.text))),
    }));
    put(none, !answer.samples.length && nothing(kind === "bad" ? "No bad record" : "No late record", kind === "bad" ? "Records that cannot be read are shown here with the reason." : "Events behind the running batch are counted, and shown here."));
  };
  const instead = (node) => {
    put(none, node);
    list.hidden = node !== null;
  };
  const ask = () => {
    const asked = new AbortController();
    signal.addEventListener("abort", () => asked.abort(), { signal: asked.signal });
    asked.first = pollRecords(job, `/v1/console/samples?kind=${kind}&limit=20`, 5000, asked.signal, load, instead);
    return asked;
  };
  let asked = ask();
  const which = choice("Which samples", [["bad", "Bad"], ["late", "Late"]], kind, (value) => { kind = value; asked.abort(); asked = ask(); });
  return { node: card("Samples", { name: "two-thirds", aside: which }, list, none), ready: asked.first };
}
