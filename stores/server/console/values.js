// Values drawn as what they are: numbers, estimates with their bounds, quantiles, the most frequent items, structs of such.

import { h, s } from "./dom.js";
import { num, short } from "./format.js";
import { measure, valueOf } from "./schema.js";

/** A value of this schema, as a node. */
export function draw(value, schema) {
  if (value === null || value === undefined) return h("p", { class: "absent" }, "absent", h("span", { class: "quiet" }, "This key has no record: that is certain."));
  const known = valueOf(schema);
  const drawn = DRAWN[known.kind]?.(value, known);
  return drawn ?? plain(value);
}

const DRAWN = {
  struct: (value, { fields }) => (value && typeof value === "object" && fields.every(({ name }) => name in value)
    ? h("dl", { class: "struct" }, fields.map(({ name, schema }) => h("div", { class: `member ${valueOf(schema).kind}` }, h("dt", {}, name), h("dd", {}, draw(value[name], schema)))))
    : null),
  estimate, quantiles, hitters,
  map: (value) => {
    const rows = Object.entries(value ?? {});
    return rows.length && rows.every(([, v]) => measure(v)) ? bars(rows.map(([item, v]) => ({ item, low: v, high: v })).sort((a, b) => Number(b.low) - Number(a.low))) : null;
  },
};

function plain(value) {
  if (typeof value === "number" || typeof value === "bigint") return h("p", { class: "number" }, num(value));
  if (typeof value === "string") return h("p", { class: "text" }, value);
  if (measure(value)) return estimate(value);
  return h("pre", { class: "json" }, h("code", {}, JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}` : v), 2)));
}

function estimate(value) {
  const found = measure(value);
  if (!found || found.low === null) return null;
  const { low, high } = found;
  const half = Math.max(high - found.value, found.value - low, 1e-9);
  const [from, to] = [found.value - half * 1.6, found.value + half * 1.6];
  const x = (v) => (8 + ((v - from) / (to - from)) * 244).toFixed(1);
  const said = value.confidence ? `, at ${num(value.confidence * 100)} %` : "";
  return h("div", { class: "estimate" }, h("p", { class: "number" }, h("span", { class: "about", title: "estimate" }, "\u2248"), num(found.value)),
    s("svg", { class: "bounds", viewBox: "0 0 260 22", width: 260, height: 22, role: "img", "aria-label": `estimate ${num(found.value)}, between ${num(low)} and ${num(high)}${said}` },
      s("line", { class: "rail", x1: 4, x2: 256, y1: 11, y2: 11 }), s("line", { class: "range", x1: x(low), x2: x(high), y1: 11, y2: 11 }),
      s("line", { class: "end", x1: x(low), x2: x(low), y1: 5, y2: 17 }), s("line", { class: "end", x1: x(high), x2: x(high), y1: 5, y2: 17 }), s("circle", { class: "point", cx: x(found.value), cy: 11, r: 4 })),
    h("p", { class: "quiet" }, `between ${num(low)} and ${num(high)}${said}`));
}

const RANKS = [["min", "min"], ["p50", "50 %"], ["p90", "90 %"], ["p99", "99 %"], ["max", "max"]];
function quantiles(value) {
  const points = RANKS.flatMap(([name, text], i) => { const m = measure(value?.[name]); return m ? [{ ...m, text, i }] : []; });
  if (!points.length) return h("p", { class: "number" }, "no value", h("span", { class: "quiet" }, " 0 values"));
  const all = points.flatMap((p) => [p.low ?? p.value, p.high ?? p.value]);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  // Delays reach from milliseconds to hours: beyond three powers of ten, by their logarithm.
  const log = least > 0 && most / least > 1000;
  const f = log ? Math.log10 : (v) => v;
  const y = (v) => (most === least ? 60 : 104 - ((f(v) - f(least)) / (f(most) - f(least))) * 84);
  const x = (i) => 34 + i * 78;
  const line = points.map((p, i) => `${i ? "L" : "M"}${x(p.i)} ${y(p.value).toFixed(1)}`).join("");
  const band = `${points.map((p, i) => `${i ? "L" : "M"}${x(p.i)} ${y(p.high ?? p.value).toFixed(1)}`).join("")}${[...points].reverse().map((p) => `L${x(p.i)} ${y(p.low ?? p.value).toFixed(1)}`).join("")}Z`;
  return h("div", { class: "quantiles" },
    s("svg", { viewBox: "0 0 380 134", role: "img", "aria-label": `quantiles of ${num(value.count)} values: ${points.map((p) => `${p.text} ${num(p.value)}`).join(", ")}` },
      points.map((p) => s("line", { class: "rail", x1: x(p.i), x2: x(p.i), y1: 14, y2: 112 })), s("path", { class: "band", d: band }), s("path", { class: "line", d: line }),
      points.map((p) => [s("circle", { class: "point", cx: x(p.i), cy: y(p.value), r: 3.5 }, s("title", {}, p.low === null ? num(p.value) : `between ${num(p.low)} and ${num(p.high)}`)),
        s("text", { class: "mark", x: x(p.i), y: Math.max(10, y(p.value) - 9), "text-anchor": "middle" }, short(p.value)), s("text", { class: "axis", x: x(p.i), y: 130, "text-anchor": "middle" }, p.text)])),
    h("p", { class: "quiet" }, `${num(value.count)} values${log ? "; logarithmic" : ""}`));
}

function hitters(value) {
  if (!Array.isArray(value) || !value.every((e) => e && "low" in e)) return null;
  return value.length ? bars(value) : h("p", { class: "quiet" }, "no item");
}

/** The most frequent items: what is certain, and what may be on top of it. */
function bars(items) {
  const shown = items.slice(0, 20);
  const most = Math.max(...shown.map((e) => Number(e.high)), 1);
  return h("div", { class: "hitters" }, h("ol", {}, shown.map((e) => {
    const [low, high] = [Number(e.low), Number(e.high)];
    const sure = h("span", { class: "sure" });
    const maybe = h("span", { class: "maybe" });
    sure.style.setProperty("width", `${(low / most) * 100}%`);
    maybe.style.setProperty("width", `${((high - low) / most) * 100}%`);
    return h("li", {}, h("span", { class: "item", title: itemText(e.item) }, itemText(e.item)), h("span", { class: "bar-room", "aria-hidden": "true" }, sure, maybe), h("span", { class: "n" }, high > low ? `${num(e.low)} to ${num(e.high)}` : num(e.low)));
  })), items.length > shown.length && h("p", { class: "quiet" }, `and ${items.length - shown.length} more`));
}
const itemText = (item) => (typeof item === "object" && item !== null ? JSON.stringify(item) : String(item));

/** A value in a cell of a table. */
export function brief(value) {
  if (value === null || value === undefined) return "absent";
  const found = measure(value);
  if (found) return found.low !== null && found.low !== found.high ? `\u2248 ${num(value.estimate ?? value.value)}` : num(typeof value === "object" ? (value.estimate ?? value.value) : value);
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.length > 4 ? `${value.length} items` : value.map(brief).join(", ");
  if ("count" in value && "p50" in value) return `${num(value.count)} values, p50 ${num(measure(value.p50)?.value)}`;
  return Object.entries(value).map(([k, v]) => `${k} ${brief(v)}`).join(" \u00b7 ");
}
