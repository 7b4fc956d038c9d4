// Elements. Whatever a server says becomes text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** An element: h("p", { class: "quiet" }, "text", child). */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** The same of a drawing. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** Says a text, if it is another one: what stays is not touched. */
export function say(node, text) {
  const words = String(text ?? "");
  if (node.textContent !== words) node.textContent = words;
}

/** Sets an attribute, or takes it away, if it changes. */
export function set(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Keeps one child an item, by key: `make(item)` builds `{ node, update(item) }`, which stays while its key does. */
export function each(parent, items, keyOf, make) {
  const kept = (parent.kept ??= new Map());
  const seen = new Set();
  let at = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key)) continue;
    seen.add(key);
    let part = kept.get(key);
    if (!part) kept.set(key, (part = make(item)));
    part.update?.(item);
    if (part.node === at) at = at.nextSibling;
    else parent.insertBefore(part.node, at);
  }
  for (const [key, part] of kept) {
    if (seen.has(key)) continue;
    part.node.remove();
    kept.delete(key);
  }
}

/** Says something to who hears the page: rare, and only what was asked for or is news. */
export function announce(words) {
  say(document.getElementById("said"), words);
}

/** Makes a node's children these. */
export const put = (node, ...children) => node.replaceChildren(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));

let ids = 0;
/** An id that nobody else has. */
export const id = (name) => `${name}-${++ids}`;
