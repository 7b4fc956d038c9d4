// Answers: which store, which keys; the value, what it rests on, and why it is what it is.

import { Gone, get, link, once, post, stream } from "./api.js";
import { chart } from "./chart.js";
import { keyField } from "./complete.js";
import { announce, each, h, id, put, say, set } from "./dom.js";
import { num, time } from "./format.js";
import { card, choice, copier, nothing, refusal, table } from "./parts.js";
import { basis, why } from "./result.js";
import { keyParts, keyText, measures } from "./schema.js";
import { brief, draw } from "./values.js";
import { note, place } from "./where.js";

const USUAL = { last: "24h", every: "1h", n: "10" };

export function mountAnswers(root, { job, params, signal }) {
  const { stores } = job;
  if (!stores.length) { put(root, card("Answers", { wide: true }, nothing("This job has no store", "It only writes: there is nothing to ask."))); return; }
  const asked = Object.fromEntries(params);
  let store = stores.find((x) => x.name === asked.store) ?? stores[0];
  let what = asked.what ?? "key";

  const names = id("store");
  const select = h("select", { id: names, onchange: () => { store = stores.find((x) => x.name === select.value); field.input.value = ""; form(); field.input.focus(); } },
    stores.map((x) => h("option", { value: x.name, selected: x === store }, x.name)));
  const field = keyField(() => store, () => run(), signal);
  field.input.value = asked.key ?? "";
  const extra = (label, name, size) => {
    const own = id(name);
    const input = h("input", { id: own, size, value: asked[name] ?? USUAL[name] ?? "", class: "mono", spellcheck: "false", autocomplete: "off" });
    return { input, node: h("div", { class: "field" }, h("label", { for: own }, label), input) };
  };
  const [last, every, end, count] = [extra("Last", "last", 6), extra("Every", "every", 8), extra("Until", "end", 10), extra("How many", "n", 5)];
  end.input.placeholder = "now";
  const kinds = h("div", { class: "kinds" });
  const schema = h("p", { class: "schema quiet mono" });
  const out = h("div", { class: "view answers-out" });
  const go = h("button", { class: "main" }, "Ask");
  const query = h("form", { class: "query", onsubmit: (e) => { e.preventDefault(); run(); } }, h("div", { class: "field" }, h("label", { for: names }, "Store"), select), kinds, field.node, last.node, every.node, end.node, count.node, go);
  put(root, h("h1", { class: "unseen" }, "Answers"), card("Ask", { wide: true, name: "ask" }, query, schema), out);

  function form() {
    const options = store.windows ? [["key", "Windows"], ["list", "Hops"]] : [["key", "Key"], ["list", "Under"], ["sum", "Sum"], ["top", "Largest"]];
    if (!options.some(([value]) => value === what)) what = "key";
    put(kinds, choice("What is asked", options, what, (value) => { what = value; form(); }));
    const windows = store.windows && what === "key";
    for (const part of [last, every, end]) part.node.hidden = !windows;
    count.node.hidden = what !== "top";
    say(field.label, { key: "Key", list: "First parts of keys", sum: "First parts of keys", top: "First parts of keys" }[what]);
    const parts = keyParts(store);
    field.input.placeholder = parts.join(",");
    field.input.required = what === "key" && (parts.length > 1 || parts[0] !== "text");
    say(schema, `${store.key} \u2192 ${store.value}`);
  }
  form();

  let running = null;
  function state(more = {}) {
    const windows = store.windows && what === "key";
    return {
      store: store.name, what: what === "key" ? null : what, key: field.input.value,
      ...(windows ? { last: last.input.value, every: every.input.value, end: end.input.value } : {}), ...(what === "top" ? { n: count.input.value } : {}), ...more,
    };
  }
  function run(more = {}) {
    field.close();
    running?.abort();
    running = new AbortController();
    signal.addEventListener("abort", () => running.abort(), { signal: running.signal });
    note("answers", state(more));
    const context = { store, what, key: field.input.value, out, signal: running.signal, more, again: run, state: () => state(more), last: last.input.value, every: every.input.value, end: end.input.value, n: count.input.value };
    if (what === "key" && store.windows) return windowsOf(context);
    if (what === "key") return keyOf(context);
    return listOf(context);
  }
  if (asked.key !== undefined || ["list", "sum", "top"].includes(asked.what)) return run(asked.partial ? { partial: "true" } : asked.accept_holes ? { accept_holes: "true" } : {});
  put(out, h("section", { class: "card" }, nothing("Ask for a key", "Type, or take one from the list with the arrow keys. The answer goes on by itself while it is shown.")));
  return undefined;
}

const at = (store) => `/v1/stores/${encodeURIComponent(store.name)}`;
const links = (state, path) => h("div", { class: "links" }, copier("Copy link", () => location.origin + location.pathname + place("answers", state())), copier("Copy as curl", () => `curl '${location.origin}${path.replaceAll("'", "%27")}'`));

/** What failed, and the ways on that there are. */
function failed({ out, again }, error) {
  const ways = error.kind === "incomplete" || error.kind === "try_again";
  put(out, h("section", { class: "card" }, refusal(error), ways && h("div", { class: "buttons" },
    h("button", { type: "button", onclick: () => again({ partial: "true" }) }, "Show what is known, and what is missing"),
    error.kind === "incomplete" && h("button", { type: "button", onclick: () => again({ accept_holes: "true" }) }, "Answer without the lost ranges"))));
}

/** The newest answer as long as it is shown: events, or one answer where there are none. */
async function follow(path, context, show, live) {
  const { signal } = context;
  while (!signal.aborted) {
    // A browser has few connections to a server: a tab that is not seen leaves its own to the others.
    const here = new AbortController();
    const leave = () => here.abort();
    const hide = () => { if (document.hidden) leave(); };
    signal.addEventListener("abort", leave, { signal: here.signal });
    document.addEventListener("visibilitychange", hide, { signal: here.signal });
    try {
      if (!live()) { show(await (context.ask ? context.ask(signal) : get(path, { signal }))); return; }
      await stream(path, here.signal, (name, data) => {
        if (here.signal.aborted) return;
        if (name === "problem") context.problem(data);
        else show(data);
      });
    } catch (error) {
      if (signal.aborted) return;
      // A stream that ended begins again; what the server refuses is shown.
      if (!(error instanceof Gone) && error.status) { context.problem(error); return; }
    }
    here.abort();
    if (!live()) return;
    if (document.hidden) await once(document, "visibilitychange", signal);
    else await once(document, "visibilitychange", signal, Math.max(1000, link.until - performance.now()));
  }
}

/** The frame of an answer that goes on: value at the left, what it rests on at the right. */
function frame(context, title, path, parts) {
  const rests = basis();
  const box = h("input", { type: "checkbox", checked: true, onchange: () => { if (box.checked) start(); else stopper?.abort(); } });
  const pulse = h("span", { class: "pulse", "aria-hidden": "true" });
  const changed = h("span", { class: "quiet changed" }, "\u00a0");
  const trouble = h("div");
  // What is partial, and keys that no path can say, are asked once.
  const still = context.more.partial || context.ask;
  let stopper = null;
  let shown = false;
  let changes = 0;
  function show(answer) {
    put(trouble);
    rests.show(answer);
    parts.show(answer);
    if (!shown) {
      shown = true;
      put(context.out, value, card("What it rests on", { name: "third" }, rests.node), ...(parts.below ?? []));
      announce(`Answer: ${parts.words(answer)}`);
      performance.mark("answer");
    } else { changes += 1; say(changed, `changed ${num(changes)}\u00d7, ${new Date().toISOString().slice(11, 19)}`); }
  }
  context.problem = (error) => {
    const told = error instanceof Error ? error : Object.assign(new Error(error.detail), error);
    if (!shown) failed(context, told);
    else put(trouble, refusal(told));
  };
  function start() {
    stopper = new AbortController();
    context.signal.addEventListener("abort", () => stopper.abort(), { signal: stopper.signal });
    follow(path, { signal: stopper.signal, problem: context.problem, ask: context.ask }, show, () => box.checked && !still);
  }
  const value = card(title, { name: "two-thirds answer", aside: [changed, h("label", { class: "live-box" }, box, pulse, "live"), links(context.state, path)] }, trouble, ...parts.nodes);
  if (still) box.closest("label").hidden = true;
  start();
}

function options(more) {
  const text = new URLSearchParams(more).toString();
  return text && `?${text}`;
}

/** Clients and proxies take these out of a path. */
const UNSAID = ["", ".", ".."];

function keyOf(context) {
  const { store, key, signal, more } = context;
  if (UNSAID.includes(key)) {
    context.ask = async (during) => {
      const { answers, ...rests } = await post(`${at(store)}/get`, { keys: [key] }, { signal: during });
      return { ...rests, ...answers[0] };
    };
  }
  const room = h("div", { class: "value-room" });
  const partial = h("div");
  const reasons = h("div", { class: "reasons" });
  const ask = h("button", { type: "button", onclick: () => why(store.name, key, signal, reasons) }, "Why this number?");
  frame(context, key === "" ? "(empty key)" : key, `${at(store)}/keys/${encodeURIComponent(key)}${options(more)}`, {
    nodes: [partial, room, h("p", {}, ask), reasons],
    words: (answer) => brief(answer.value ?? answer.so_far),
    show(answer) {
      const isPart = "so_far" in answer;
      put(partial, isPart && h("div", { class: "refused" }, h("p", {}, h("strong", {}, "This is no answer: a part is missing")), (answer.missing ?? []).map((m) => h("p", { class: "mono" }, typeof m === "string" ? m : JSON.stringify(m)))));
      ask.hidden = isPart || UNSAID.includes(key);
      put(room, draw(isPart ? answer.so_far : answer.value, store.value));
    },
  });
}

function windowsOf(context) {
  const { store, key, signal, more, last, every, end } = context;
  const asked = new URLSearchParams({ ...(last.includes(":") ? { last_hops: last } : /^\d{4}-/.test(last) ? { since: last } : { last }), ...(every ? { every } : {}), ...(end ? { end } : {}), ...more });
  const plot = chart(`Windows of ${key}`);
  signal.addEventListener("abort", plot.stop);
  const which = h("div");
  const grid = table("Windows", [["From", ""], ["To", ""], ["Value", "wrap n"], ["Hops", "n"]]);
  const whole = h("div", { class: "value-room" });
  const reasons = h("div", { class: "reasons" });
  let chosen = null;
  let newest = null;
  const hops = async () => {
    put(reasons, h("p", { class: "quiet" }, "Looking for the hops \u2026"));
    try {
      const under = key && keyParts(store).length === 1 ? keyText([key, ""]).replace(/,$/, "") : key;
      const { rows } = await get(`${at(store)}/keys?${new URLSearchParams({ under, limit: "60" })}`, { signal });
      const one = h("div");
      put(reasons, h("p", {}, "A window is the sum of hops. Each says what it was made of:"), h("div", { class: "hops" }, rows.map((r) => h("button", { type: "button", class: "small mono", onclick: () => why(store.name, keyText(r.key), signal, one) }, String(r.key.at(-1))))), one);
    } catch (error) { if (!signal.aborted) put(reasons, refusal(error)); }
  };
  const plotted = () => {
    const { windows } = newest;
    const some = windows.find((w) => w.value !== null && w.value !== undefined)?.value;
    const all = measures(some, store.value);
    if (!all.some(([name]) => name === chosen)) {
      chosen = all[0]?.[0] ?? null;
      put(which, all.length > 1 && choice("What is plotted", all.map(([name]) => [name, name]), chosen, (name) => { chosen = name; plotted(); }));
    }
    const of = all.find(([name]) => name === chosen)?.[1] ?? (() => null);
    plot.show(windows.map((w) => ({ from: Date.parse(w.window?.covered.start), to: Date.parse(w.window?.covered.end), value: null, low: null, high: null, ...(w.error ? {} : of(w.value)) })).filter((p) => p.to > p.from));
    plot.node.hidden = windows.length < 2;
    put(whole, windows.length === 1 && draw(windows[0].value, store.value));
    each(grid.body, windows, (w) => w.window?.covered.start ?? JSON.stringify(w.error), () => {
      const cells = ["", "", "wrap n", "n"].map((c, i) => h(i ? "td" : "th", { class: c, scope: i ? null : "row" }));
      return { node: h("tr", {}, cells), update: (w) => [time(Date.parse(w.window?.covered.start)), time(Date.parse(w.window?.covered.end)), w.error ? w.error.detail : brief(w.value), num(w.window?.hops)].forEach((t, i) => say(cells[i], t)) };
    });
    grid.show(windows.length > 0);
  };
  frame(context, key === "" ? "(empty key)" : key, `${at(store)}/windows/${encodeURIComponent(key)}?${asked}`, {
    nodes: [which, plot.node, whole, h("p", {}, h("button", { type: "button", onclick: hops }, "Why these numbers?")), reasons],
    below: [card("The same as a table", { wide: true }, grid.node)],
    words: (answer) => `${answer.windows.length} windows`,
    show(answer) { newest = answer; plotted(); },
  });
}

async function listOf(context) {
  const { store, what, key, signal, out, more, n } = context;
  const query = new URLSearchParams({ ...(key ? { under: key } : {}), ...(what === "top" ? { n: n || USUAL.n } : what === "list" ? { limit: "100" } : {}), ...more });
  const path = `${at(store)}/${what === "list" ? "keys" : what}?${query}`;
  const rests = basis();
  try {
    const answer = await get(path, { signal });
    rests.show(answer);
    const title = what === "sum" ? `Sum over ${key ? `keys under ${key}` : "all keys"}` : what === "top" ? `Largest values ${key && `under ${key}`}` : `Keys ${key && `under ${key}`}`;
    const body = what === "sum" ? [h("div", { class: "value-room" }, draw(answer.value, store.value))] : rowsOf(context, answer, path);
    put(out, card(title, { name: "two-thirds answer", aside: links(context.state, path) }, ...body), card("What it rests on", { name: "third" }, rests.node));
    announce(what === "sum" ? `Sum: ${brief(answer.value)}` : `${answer.rows.length} rows`);
  } catch (error) { if (!signal.aborted) failed(context, error); }
}

function rowsOf({ store, signal }, first, path) {
  const grid = table("Keys and values", [["Key", "mono"], ["Value", "wrap n"]], { empty: "No key is there." });
  const more = h("button", { type: "button" }, "More");
  let cursor = null;
  const add = (answer) => {
    for (const r of answer.rows) {
      const text = keyText(r.key);
      const target = store.windows ? place("answers", { store: store.name, key: keyText(r.key, true), ...USUAL, n: null }) : place("answers", { store: store.name, key: text });
      grid.body.insertBefore(h("tr", {}, h("th", { scope: "row", class: "mono" }, h("a", { href: target }, text === "" ? "(empty)" : text)), h("td", { class: "wrap n" }, brief(r.value))), grid.none);
    }
    grid.show(grid.body.children.length > 1);
    cursor = answer.next ?? null;
    set(more, "hidden", cursor === null);
  };
  more.addEventListener("click", async () => {
    more.disabled = true;
    try { add(await get(`${path}&cursor=${encodeURIComponent(cursor)}`, { signal })); } catch (error) { if (!signal.aborted) put(more.parentNode, refusal(error)); }
    more.disabled = false;
  });
  add(first);
  return [grid.node, h("p", {}, more)];
}
