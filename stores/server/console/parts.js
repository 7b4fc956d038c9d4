// Pieces that several views are made of.

import { h, id, s, say, set } from "./dom.js";

/** A part of a view under a heading of its own. */
export function card(title, { aside, wide, name } = {}, ...children) {
  const heading = id("h");
  return h("section", { class: `card${wide ? " wide" : ""}${name ? ` ${name}` : ""}`, "aria-labelledby": heading },
    h("header", {}, h("h2", { id: heading }, title), aside && h("div", { class: "aside" }, aside)), ...children);
}

/** A number that matters, with room for what it becomes. */
export function tile(label, { curve } = {}) {
  const value = h("dd", { class: "value" }, "\u2013");
  const more = h("dd", { class: "more" }, "\u00a0");
  const path = s("path", { class: "line" });
  const node = h("div", { class: "tile" }, h("dt", {}, label), value, more,
    curve && s("svg", { class: "curve", viewBox: "0 0 120 28", preserveAspectRatio: "none", "aria-hidden": "true" }, path));
  return {
    node,
    show(text, below, state, d) {
      say(value, text);
      set(value, "data-long", text.length > 10 || null);
      say(more, below || "\u00a0");
      set(node, "data-state", state);
      if (d !== undefined) set(path, "d", d);
    },
  };
}

const MARKS = { ok: "M3.5 8.5 7 12l6-7.5", warn: "M8 4v5M8 11.600v.4", error: "M4.5 4.500l7 7m0-7-7 7", none: "M4.5 8h7" };
const SHAPES = { ok: "M8 .5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15z", warn: "M8 1 15.5 15H.5z", error: "M5 .5h6L15.5 5v6L11 15.500H5L.5 11V5z", none: "M1 1h14v14H1z" };
/** A state as a shape, a colour and a word for who sees neither. */
export function sign(state, word) {
  const kind = state in MARKS ? state : "none";
  const node = s("svg", { class: `badge ${kind}`, viewBox: "0 0 16 16", width: 16, height: 16, role: "img", "aria-label": word ?? kind });
  node.append(s("path", { class: "shape", d: SHAPES[kind] }), s("path", { class: "stroke", d: MARKS[kind] }));
  return node;
}

/** A table whose rows are kept: `columns` are `[title, kind]`, kind `n` for numbers. */
export function table(caption, columns, { empty = "There is nothing yet." } = {}) {
  const body = h("tbody");
  const none = h("tr", { class: "none" }, h("td", { colspan: columns.length }, empty));
  body.append(none);
  const node = h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title)))), body));
  return { node, body, none, show(any) { none.hidden = any; } };
}

/** A row of cells whose texts are set by `update(item)`. The first one is its header. */
export function row(cells, texts, attributes = {}) {
  const tds = cells.map((kind, i) => h(i ? "td" : "th", { class: kind, scope: i ? null : "row" }));
  const node = h("tr", attributes, tds);
  return { node, tds, update(item) { texts(item).forEach((text, i) => text instanceof Node ? tds[i].firstChild === text || tds[i].replaceChildren(text) : say(tds[i], text)); } };
}

/** How much of a limit is taken. */
export function meter(label) {
  const fill = h("span", { class: "fill" });
  const node = h("span", { class: "meter", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  return {
    node,
    show(part, state) {
      const percent = Math.max(0, Math.min(100, part * 100 || 0));
      fill.style.setProperty("width", `${percent.toFixed(1)}%`);
      set(node, "aria-valuenow", Math.round(percent));
      set(node, "data-state", state);
    },
  };
}

/** What stands where there is nothing to show, and how there would be. */
export const nothing = (title, text, code) => h("div", { class: "nothing" }, h("p", { class: "lead" }, title), text && h("p", { class: "quiet" }, text), code && h("pre", {}, h("code", {}, code)));

/** What a server refused, and the repair. */
export function refusal(error) {
  return h("div", { class: "refused", role: "alert" }, h("p", {}, h("strong", {}, error.title ?? "No answer")),
    h("p", {}, error.message), error.repair && h("p", { class: "quiet" }, error.repair));
}

/** A choice of a few, side by side. */
export function choice(label, options, chosen, change) {
  const name = id("choice");
  return h("fieldset", { class: "choice" }, h("legend", { class: "unseen" }, label), options.map(([value, text]) => {
    const input = h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => change(value) });
    return h("label", {}, input, h("span", {}, text));
  }));
}

/** Copies a text, and says so. */
export function copier(label, text) {
  const button = h("button", { type: "button", class: "small plain", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text());
      say(button, "Copied");
    } catch { say(button, "Cannot copy"); }
    setTimeout(() => say(button, label), 1500);
  } }, label);
  return button;
}
