// A field for keys that says which there are: the ARIA pattern of a combobox with a list.

import { get } from "./api.js";
import { h, id, put, set } from "./dom.js";
import { keyParts, keyText, typed } from "./schema.js";
import { brief } from "./values.js";

/** `store()` is the store that is asked; `chosen()` is told when a key was taken from the list. */
export function keyField(store, chosen, signal) {
  const [field, list] = [id("key"), id("keys")];
  const input = h("input", { id: field, class: "mono", role: "combobox", autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list });
  const box = h("ul", { id: list, class: "options", role: "listbox", "aria-label": "Keys", hidden: true });
  const label = h("label", { for: field }, "Key");
  const node = h("div", { class: "field key-field" }, label, input, box);
  let options = [];
  let at = -1;
  let asked = null;
  let waiting = null;

  function close() {
    asked?.abort();
    clearTimeout(waiting);
    box.hidden = true;
    at = -1;
    set(input, "aria-expanded", "false");
    set(input, "aria-activedescendant", null);
  }
  function mark(next) {
    at = options.length ? (next + options.length) % options.length : -1;
    [...box.children].forEach((o, i) => set(o, "aria-selected", i === at ? "true" : "false"));
    set(input, "aria-activedescendant", at >= 0 ? box.children[at].id : null);
    box.children[at]?.scrollIntoView({ block: "nearest" });
  }
  function take(text) {
    input.value = text;
    close();
    chosen();
  }
  async function ask() {
    asked?.abort();
    asked = new AbortController();
    const { signal: own } = asked;
    const of = store();
    if (!of) return;
    const parts = keyParts(of);
    const { before, last } = typed(input.value, parts);
    const query = new URLSearchParams({ limit: "40" });
    if (before.length) query.set("under", keyText(before));
    const textual = parts[before.length] === "text";
    if (last && textual) query.set("begins", last);
    try {
      const { rows } = await get(`/v1/stores/${encodeURIComponent(of.name)}/keys?${query}`, { signal: own });
      if (own.aborted || document.activeElement !== input) return;
      const texts = new Map(rows.map((r) => [keyText(r.key, Boolean(of.windows)), of.windows ? "" : brief(r.value)]));
      options = [...texts].filter(([text]) => textual || !last || text.startsWith(input.value)).slice(0, 40);
      put(box, options.map(([text, value]) => h("li", { id: id("option"), role: "option", "aria-selected": "false", onpointerdown: (e) => { e.preventDefault(); take(text); } }, h("span", { class: "mono" }, text), h("span", { class: "quiet" }, value))));
      at = -1;
      box.hidden = !options.length;
      set(input, "aria-expanded", options.length ? "true" : "false");
      set(input, "aria-activedescendant", null);
    } catch { close(); }
  }
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(ask, 120); };
  input.addEventListener("input", soon);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      if (box.hidden) ask();
      else mark(at < 0 && e.key === "ArrowUp" ? -1 : at + (e.key === "ArrowDown" ? 1 : -1));
    } else if (e.key === "Escape" && !box.hidden) { e.preventDefault(); close(); }
    else if (e.key === "Enter" && !box.hidden && at >= 0) { e.preventDefault(); take(options[at][0]); }
    else if (e.key === "Enter") close();
  });
  signal.addEventListener("abort", close);
  return { node, input, label, close };
}
