// What an answer rests on: how far it reaches in each partition, how fresh it is, its token, and each value that was merged.

import { get } from "./api.js";
import { each, h, put, s, say, set } from "./dom.js";
import { ago, bytes, num, time } from "./format.js";
import { copier, refusal } from "./parts.js";
import { measure } from "./schema.js";
import { brief } from "./values.js";

/** A token as `at_least` takes it. */
const tokenText = (token) => (typeof token === "object" && token ? `${token.manifest}@${token.fingerprint}${Object.entries(token.offsets ?? {}).map(([p, n], i) => `${i ? "," : ":"}${p}=${n}`).join("")}` : (token ?? ""));

/** Coverage, freshness and token of the newest answer. */
export function basis() {
  const [until, fresh, age, token] = [h("dd"), h("span"), h("span", { class: "quiet" }), h("dd", { class: "mono token" })];
  const lanes = h("ul", { class: "coverage" });
  const holes = h("div");
  let text = "";
  const node = h("div", { class: "basis" },
    h("dl", { class: "pairs left" }, h("dt", {}, "Offline until"), until, h("dt", {}, "Fresh until"), h("dd", {}, fresh, " ", age), h("dt", {}, "Token"), token),
    h("p", { class: "lane-legend quiet" }, h("span", { class: "swatch offline", "aria-hidden": "true" }), "from the generation ", h("span", { class: "swatch live", "aria-hidden": "true" }), "from live cells"),
    h("div", { class: "scroll coverage-room", tabindex: 0, role: "group", "aria-label": "Coverage by partition" }, lanes), holes,
    h("p", {}, copier("Copy token", () => text)));
  const make = ([name]) => {
    const [offline, live, words] = [h("span", { class: "offline" }), h("span", { class: "live" }), h("span", { class: "n" })];
    return {
      node: h("li", {}, h("span", { class: "mono" }, name), h("span", { class: "lane", "aria-hidden": "true" }, offline, live), words),
      update([, p]) {
        const applied = Number(p.applied);
        const cut = Math.min(Number(p.cut), applied);
        offline.style.setProperty("width", `${applied ? (cut / applied) * 100 : 0}%`);
        live.style.setProperty("width", `${applied ? ((applied - cut) / applied) * 100 : 0}%`);
        say(words, `${num(p.cut)} + ${num(applied - cut)} = ${num(p.applied)}`);
      },
    };
  };
  return {
    node,
    show(answer) {
      const { coverage } = answer;
      text = tokenText(answer.token);
      say(until, answer.covered_until ?? coverage?.covered_until ?? "");
      say(fresh, answer.freshness ?? "no time known");
      say(age, answer.freshness ? `(${ago(Date.parse(answer.freshness), Date.now())})` : "");
      say(token, text || "none: a part is missing");
      set(token, "title", text);
      each(lanes, Object.entries(coverage?.partitions ?? {}), ([name]) => name, make);
      const lost = coverage?.holes ?? [];
      put(holes, lost.length > 0 && h("div", { class: "refused" }, h("p", {}, h("strong", {}, "Without ranges that were lost")), lost.map((hole) => h("p", { class: "mono" }, JSON.stringify(hole)))),
        (coverage?.not_repeatable ?? []).length > 0 && h("p", { class: "quiet" }, `Asked as of now, so another time it may be another number: ${coverage.not_repeatable.join(", ")}`));
    },
  };
}

const placeOf = (part) => (part.layer === "offline" ? `generation ${part.manifest}, ${part.run}` : `${part.partition}, batch ${part.batch ?? "before all"}`);

/** Why this number: each value that was merged, in the order of merging, and what was left out. */
export async function why(store, key, signal, into) {
  put(into, h("p", { class: "quiet" }, "Looking at each value \u2026"));
  let found;
  try {
    found = await get(`/v1/stores/${encodeURIComponent(store)}/explain/${encodeURIComponent(key)}`, { signal });
  } catch (error) {
    if (!signal.aborted) put(into, refusal(error));
    return;
  }
  const parts = found.parts ?? [];
  const plain = parts.every((p) => measure(p.value) && typeof p.value !== "object");
  const total = plain ? parts.reduce((a, p) => a + Math.abs(Number(p.value)), 0) : 0;
  let before = 0;
  const bar = (part) => {
    if (!total) return null;
    const share = Math.abs(Number(part.value)) / total;
    const drawn = s("svg", { class: "share", viewBox: "0 0 200 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      s("rect", { class: "rail", width: 200, height: 10 }), s("rect", { class: part.layer, x: before * 200, width: Math.max(1, share * 200), height: 10 }));
    before += share;
    return drawn;
  };
  // A struct has a column a field: what adds up stands below each other.
  const fields = Object.keys(found.value ?? {});
  const apart = !plain && fields.length > 1 && fields.length < 9 && [found, ...parts].every((p) => p.value && !Array.isArray(p.value) && typeof p.value === "object" && fields.every((f) => f in p.value)) && !measure(found.value);
  const cells = (value, strong) => (apart ? fields.map((f) => value[f]) : [value]).map((v) => h("td", { class: "n wrap" }, strong ? h("strong", {}, brief(v)) : brief(v)));
  const line = (part, sign) => h("tr", {}, h("td", { class: "plus" }, sign), h("th", { scope: "row" }, h("span", { class: `layer ${part.layer}` }, part.layer === "offline" ? "offline" : "live")),
    h("td", { class: "wrap" }, placeOf(part)), cells(part.value), plain && h("td", { class: "share-cell" }, bar(part)), h("td", { class: "n" }, bytes(part.bytes)));
  put(into,
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Values that were merged" }, h("table", { class: "why-table" },
      h("caption", { class: "unseen" }, "Values that were merged"),
      h("thead", {}, h("tr", {}, h("td"), ["Layer", "Where", ...(apart ? fields : ["Value"])].map((t, i) => h("th", { scope: "col", class: i > 1 ? "n" : null }, t)), plain && h("td"), h("th", { scope: "col", class: "n" }, "Bytes"))),
      h("tbody", {}, parts.map((p, i) => line(p, i ? "+" : "")), !parts.length && h("tr", {}, h("td", { colspan: 14 }, "No value lies anywhere: the key is surely absent."))),
      h("tfoot", {}, h("tr", {}, h("td", { class: "plus" }, "="), h("th", { scope: "row" }, "answer"), h("td"), cells(found.value, true), plain && h("td"), h("td"))))),
    (found.left_out ?? []).length > 0 && h("div", { class: "left-out" }, h("h3", {}, "Left out, because the offline part has it"), h("ul", {}, found.left_out.map((p) => h("li", {}, h("span", { class: "mono" }, placeOf(p)), ` has ${brief(p.value)}: ${p.why}`)))),
    (found.runs_without ?? []).length > 0 && h("p", { class: "quiet" }, `Runs without this key: ${found.runs_without.join(", ")}`),
    found.freshness && h("p", { class: "quiet" }, `One snapshot, fresh until ${time(Date.parse(found.freshness))}.`));
}
