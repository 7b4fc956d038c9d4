// The hand-over: where each batch is between live and published, the generations, backfill and drift.

import { get, poll } from "./api.js";
import { actionButton } from "./dialogs.js";
import { each, h, put, s, say, set } from "./dom.js";
import { ago, batch as named, bytes, num, plural, short, time } from "./format.js";
import { card, choice, meter, nothing, refusal, row, sign, table, tile } from "./parts.js";
import { SAYS, STATES } from "./states.js";
import { timeline } from "./timeline.js";
import { note } from "./where.js";

/** Where batch 0 begins: days of a calendar do not begin at midnight of UTC. */
const offsetOf = (source) => (source.batch_ms && typeof source.first_ms === "number" ? source.first_ms - source.first * source.batch_ms : 0);

export function mountHandover(root, { job, params, signal }) {
  const tiles = { running: tile("Running batch"), covered: tile("Offline until"), manifest: tile("Generation"), lag: tile("Largest lag"), held: tile("Batches live"), fill: tile("Backfill") };
  const again = () => { loadGenerations(); loadDrift(); };
  const lines = timelineCard(job, params, signal);
  const generations = generationCard(job, () => again());
  const drift = driftCard();
  put(root, h("h1", { class: "unseen" }, "Hand-over between live and offline"),
    h("dl", { class: "tiles" }, Object.values(tiles).map((t) => t.node)), lines.node, generations.node, drift.node);
  if (job.unobserved) { lines.nothing("This server shows no job", "It answers for stores only."); return undefined; }

  const first = poll("/v1/console/handover", 2000, signal, (seen) => {
    lines.show(seen);
    const source = seen.sources[0];
    const parts = seen.sources.flatMap((x) => x.partitions.map((p) => ({ ...p, source: x })));
    const worst = parts.reduce((a, p) => (p.lag > (a?.lag ?? -1) ? p : a), null);
    const live = parts.reduce((a, p) => a + p.runs.reduce((b, r) => b + (["open", "sealed", "archived", "unknown"].includes(r.state) ? r.to - r.from : 0), 0), 0);
    // An archive that does not answer may be ahead of the live part.
    const archive = (seen.unreached ?? []).find((x) => x.part === "archive");
    tiles.running.show(source ? named(source.running, source.batch_ms, offsetOf(source)) : "\u2013", source ? `batch ${source.running ?? "\u2013"}${archive?.source === source.source ? ", or a later one" : ` of ${source.source}`}` : "");
    const until = seen.covered_until;
    // What could not be asked is not known, and no zero.
    const unasked = (seen.unreached ?? []).find((x) => x.part === "generations");
    const lost = unasked && seen.manifest === null;
    if (lost) tiles.covered.show("not known", "the generations do not answer");
    else tiles.covered.show(until?.batch === null || until?.batch === undefined ? "the beginning" : source?.batch_ms ? named(until.batch, source.batch_ms, offsetOf(source)) : (until.text ?? String(until.batch)), unasked ? `as at ${time(unasked.as_of_ms)}` : until?.why_behind ?? (until ? "every partition" : "nothing is published"));
    if (lost) tiles.manifest.show("not known", "the generations do not answer");
    else tiles.manifest.show(seen.manifest === null ? "none" : num(seen.manifest), seen.manifest === null ? "nothing is published" : unasked ? `as at ${time(unasked.as_of_ms)}` : "current");
    tiles.lag.show(worst ? short(worst.lag) : "\u2013", worst ? `${worst.source.source}/${worst.partition}` : "");
    const untold = unasked ? "the generations do" : seen.silent && !seen.silent.as_of_ms ? "the live part does" : archive && !archive.as_of_ms ? "the archive does" : null;
    if (untold) tiles.held.show("not known", `${untold} not answer`);
    else tiles.held.show(short(live), archive ? "at least, not published yet" : "not published yet");
  }, (error) => lines.fail(error));
  const made = poll("/v1/console/generations", 5000, signal, showGenerations, (e) => generations.fail(e));
  const compared = poll("/v1/console/drift", 5000, signal, (seen) => drift.show(seen), (e) => drift.fail(e));
  function showGenerations(seen) {
    generations.show(seen);
    const fill = seen.backfill;
    tiles.fill.show(fill ? (fill.total ? `${Math.floor((100 * fill.done) / fill.total)} %` : "runs") : "none", fill?.text ?? "no line beside the live one");
  }
  const loadGenerations = () => get("/v1/console/generations", { signal }).then(showGenerations, () => {});
  const loadDrift = () => get("/v1/console/drift", { signal }).then((seen) => drift.show(seen), () => {});
  return Promise.all([first, made, compared]);
}

const since = (x) => (x.as_of_ms ? `as it was at ${time(x.as_of_ms)}` : "not known");

/** That the live part does not answer. */
function silence(silent, unreached) {
  return `The ${silent.part} does not answer: ${unreached.length ? "" : "what is archived and published is of now, "}what is live is ${since(silent)} (${silent.why}).`;
}

/** That an archive or the generations do not, and what is therefore not known. */
function absence(x) {
  const part = x.part === "archive" ? `archive of ${x.source} does` : "generations do";
  return `The ${part} not answer: ${x.unknown}, is ${since(x)}. Batches that may be further are shown as unknown (${x.why}).`;
}

function timelineCard(job, params, signal) {
  const drawn = timeline();
  signal.addEventListener("abort", drawn.stop);
  const legend = h("div", { class: "legend-room" }, h("ul", { class: "legend", "aria-label": "States of a batch" }, STATES.map((state) => h("li", { title: SAYS[state] }, h("span", { class: `swatch ${state}`, "aria-hidden": "true" }), state)),
    h("li", {}, h("span", { class: "tick running", "aria-hidden": "true" }), "running"), h("li", {}, h("span", { class: "tick drop", "aria-hidden": "true" }), "may be dropped before")),
  h("details", {}, h("summary", {}, "What the states mean"), h("p", { class: "quiet" }, "A batch is a span of one partition that the live part hands over to the generations, each record of it once. It goes from open to dropped:"),
    h("dl", { class: "meanings" }, STATES.flatMap((state) => [h("dt", {}, state), h("dd", {}, SAYS[state])]))));
  const grid = table("Runs of batches by partition", [["Partition", ""], ["From", ""], ["To, not with it", ""], ["Batches", "n"], ["State", ""], ["Frontier", ""], ["Lag", "n"]]);
  grid.node.hidden = true;
  const other = h("div");
  const which = h("select", { "aria-label": "Source", hidden: true, onchange: () => { chosen = which.value; note("handover", { source: chosen, as }); last && show(last); } });
  let chosen = params.get("source");
  let as = params.get("as") === "table" ? "table" : "line";
  let last = null;
  const buttons = h("span", { class: "zoom" }, [["\u2212", "Zoom out", () => drawn.zoom(1.6)], ["+", "Zoom in", () => drawn.zoom(0.6)], ["All", "Show all batches", drawn.fit], ["Now", "Now: show the newest batches", drawn.now]].map(([text, label, go]) => h("button", { type: "button", class: "small", "aria-label": label, onclick: go }, text)));
  function form() {
    drawn.node.hidden = buttons.hidden = as !== "line";
    grid.node.hidden = as !== "table";
  }
  const forms = choice("Shown as", [["line", "Time line"], ["table", "Table"]], as, (value) => { as = value; note("handover", { source: chosen, as: as === "table" ? as : null }); form(); last && show(last); });
  form();
  const silent = h("p", { class: "silent", role: "status", hidden: true });
  const node = card("Batches", { wide: true, name: "batches", aside: [which, buttons, forms] }, silent, drawn.node, grid.node, legend, other);

  function show(seen) {
    last = seen;
    const source = seen.sources.find((x) => x.source === chosen) ?? seen.sources[0];
    const names = seen.sources.map((x) => x.source);
    which.hidden = names.length < 2;
    if (which.dataset.names !== names.join()) {
      which.dataset.names = names.join();
      put(which, names.map((name) => h("option", { value: name, selected: name === source?.source }, name)));
    }
    const unreached = seen.unreached ?? [];
    const said = [...(seen.silent ? [silence(seen.silent, unreached)] : []), ...unreached.map(absence)];
    silent.hidden = !said.length;
    if (said.length) say(silent, said.join(" "));
    const none = !source || !source.partitions.length;
    legend.hidden = none;
    if (none && (unreached.length || seen.silent)) { drawn.node.hidden = grid.node.hidden = true; put(other, nothing("No batch is known", "What would say which there are does not answer.")); return; }
    if (none) { drawn.node.hidden = grid.node.hidden = true; put(other, nothing("No batch yet", "Nothing of this job has been read here. A live run begins it:", `${job.job} stream`)); return; }
    put(other);
    form();
    if (as === "line") drawn.show({ ...source, unsure: unreached.length > 0 });
    else rows(source);
  }
  function rows(source) {
    const items = source.partitions.flatMap((p) => p.runs.map((run) => ({ p, run }))).slice(0, 4000);
    each(grid.body, items, ({ p, run }) => `${source.source}/${p.partition}/${run.from}`, () => row(["", "", "", "n", "", "", "n"], ({ p: x, run }) => [
      `${source.source}/${x.partition}`, named(run.from, source.batch_ms, offsetOf(source)), named(run.to, source.batch_ms, offsetOf(source)), num(run.to - run.from), run.state, named(x.frontier, source.batch_ms, offsetOf(source)), num(x.lag)]));
    grid.show(items.length > 0);
  }
  return {
    node, show,
    fail(error) {
      if (!error.status) return;
      if (last) {
        silent.hidden = false;
        say(silent, `All of this is as it was at ${time(last.now_ms)} (${error.message}).`);
        return;
      }
      drawn.node.hidden = legend.hidden = true;
      put(other, refusal(error));
    },
    nothing(title, text) { drawn.node.hidden = legend.hidden = true; put(other, nothing(title, text)); },
  };
}

const inputsOf = (x) => (x.inputs ?? []).map((i) => `${i.source} ${num(i.from)}\u2013${num(i.to)}${i.partitions > 1 ? ` of ${i.partitions} partitions` : ""}`).join(", ") || x.covered_until || "";

/** Why there is no way back to it: the beginning of it, and all of it to who points at it. */
function whyNot(x) {
  const text = x.rollback ?? "not possible";
  return [h("span", { class: "quiet clamp", title: text }, text), x.kept_until_ms && h("span", { class: "quiet" }, `kept until ${time(x.kept_until_ms)}`)];
}

function generationCard(job, changed) {
  const grid = table("Generations", [["Generation", ""], ["Made", ""], ["Inputs", "wrap"], ["Until", ""], ["Rows", "n"], ["Size", "n"], ["Files", "n"], ["Code", ""], ["Rollback", "wrap"]], { empty: "Nothing is published. `batch` makes the first generation of what is sealed." });
  const bar = meter("Backfill");
  const text = h("p", { class: "quiet" });
  const fill = h("div", { class: "fill-line", hidden: true }, text, bar.node);
  const failed = h("div");
  const node = card("Generations", { name: "half-wide", aside: [actionButton(job, "switch", "Switch", {}, changed), actionButton(job, "gc", "Collect garbage", {}, changed)] }, fill, grid.node, failed);
  return {
    node,
    show(seen) {
      put(failed);
      fill.hidden = !seen.backfill;
      if (seen.backfill) {
        say(text, `Backfill: ${seen.backfill.text}`);
        bar.show(seen.backfill.total ? seen.backfill.done / seen.backfill.total : 0, "open");
      }
      each(grid.body, [...seen.generations].sort((a, b) => b.number - a.number), (g) => g.number, (g) => {
        const made = row(["", "", "wrap", "", "n", "n", "n", "mono", "wrap"], (x) => x);
        const title = h("span", { class: "with-badge" });
        const undo = h("span");
        let shown = "";
        return {
          node: made.node,
          update(x) {
            const key = `${x.current}/${x.rollback_allowed}/${x.rollback}`;
            if (key !== shown) {
              shown = key;
              put(title, num(x.number), x.current && h("span", { class: "chip current" }, "current"), x.form_of !== null && x.form_of !== undefined && h("span", { class: "chip quiet" }, `form of ${x.form_of}`));
              put(undo, x.current ? "" : x.rollback_allowed ? actionButton(job, "rollback", "Roll back", { to: g.number }, changed) : whyNot(x));
            }
            made.update([title, time(x.made_ms), inputsOf(x), x.covered_until ?? "", num(x.rows), bytes(x.bytes), num(x.files), String(x.code ?? "").slice(0, 8), undo]);
          },
        };
      });
      grid.show(seen.generations.length > 0);
    },
    fail(error) { if (error.status) put(failed, refusal(error)); },
  };
}

const nameOf = (b) => `${b.start_ms === null || b.start_ms === undefined ? `batch ${b.batch ?? "?"}` : time(b.start_ms)}${b.generation ? `, generation ${b.generation}` : ""}`;

function driftCard() {
  const summary = h("p", { class: "lead" });
  const strip = s("svg", { class: "drift", role: "img", preserveAspectRatio: "none" });
  const list = h("ul", { class: "worst" });
  const none = h("div");
  let shown = "";
  return {
    node: card("Drift between live and offline", { wide: true, name: "drift-card" }, summary, strip, list, none),
    show(seen) {
      const text = JSON.stringify(seen, (_, v) => (typeof v === "bigint" ? String(v) : v));
      if (text === shown) return;
      shown = text;
      const batches = seen.batches.slice(-360);
      put(none, !batches.length && nothing("Nothing was compared", seen.note));
      strip.toggleAttribute("hidden", !batches.length);
      const off = batches.filter((b) => b.differing > 0);
      const [compared, not] = [batches.filter((b) => b.compared !== null), batches.filter((b) => b.compared === null)];
      const keys = compared.reduce((a, b) => a + Number(b.compared), 0);
      const agree = off.length ? `${off.length} differ` : "all agree";
      say(summary, batches.length ? `${plural(compared.length, "run was", "runs were")} compared key by key (${num(keys)} values): ${compared.length ? agree : "none"}.${not.length ? ` ${not.length} cannot be compared.` : ""}` : "");
      summary.hidden = !batches.length;
      // Few are bars of a usual width, and not a wall each.
      set(strip, "viewBox", `0 0 ${Math.max(60, batches.length)} 20`);
      set(strip, "aria-label", summary.textContent);
      put(strip, batches.map((b, i) => s("rect", { class: b.compared === null ? "unknown" : b.differing > 0 ? "differs" : "agrees", x: i + 0.08, width: 0.84, y: b.differing > 0 ? 0 : 8, height: b.differing > 0 ? 20 : 12 }, s("title", {}, b.compared === null ? `${nameOf(b)}: ${(b.stores ?? []).map((x) => `${x.store}: ${x.why}`).join("; ") || "cannot be compared"}` : `${nameOf(b)}: ${num(b.compared)} compared, ${num(b.differing)} differ`))));
      put(list, off.slice(-8).reverse().map((b) => h("li", {}, sign("error", "differs"), h("span", {}, h("strong", {}, nameOf(b)), ` ${num(b.differing)} of ${num(b.compared)} differ`, b.worst && h("code", {}, ` ${Object.entries(b.worst).map(([k, v]) => `${k} ${v}`).join(", ")}`)))));
    },
    // What is answered afterwards is shown, also when it is what was shown before.
    fail(error) { if (error.status) { shown = ""; put(none, refusal(error)); } },
  };
}
