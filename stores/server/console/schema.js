// What keys and values are, read from the schema texts of a store.

/** Splits at commas that stand in no bracket. */
function split(text) {
  const parts = [];
  let [depth, from] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    if ("(<{[".includes(text[i])) depth += 1;
    else if (")>}]".includes(text[i])) depth -= 1;
    else if (text[i] === "," && depth === 0) { parts.push(text.slice(from, i)); from = i + 1; }
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}

const KINDS = [
  ["estimate", /^(hll|kmv|theta|cpc)\//],
  ["quantiles", /^(log-histogram|kll|req|t-digest)\//],
  ["hitters", /^heavy-hitters\//],
  ["map", /^map</],
];

/** What a value's schema says of it: `{ kind, fields }`, kind `struct`, `estimate`, `quantiles`, `hitters`, `map`, `option` or `plain`. */
export function valueOf(schema = "") {
  const struct = /^[^{(<,]*\{(.*)\}$/.exec(schema);
  if (struct) {
    const fields = split(struct[1]).map((field) => {
      const at = field.indexOf(":");
      return { name: field.slice(0, at).replace(/\?$/, ""), schema: field.slice(at + 1).replace(/^\?/, "") };
    });
    return { kind: "struct", fields };
  }
  const option = /^option<(.*)>$/.exec(schema);
  if (option) return valueOf(option[1]);
  return { kind: KINDS.find(([, form]) => form.test(schema))?.[0] ?? "plain", fields: [] };
}

/** The parts of a key, by their schemas; of a windowed store without the hop. */
export function keyParts(store) {
  const text = store.key;
  let parts = text.startsWith("(") && text.endsWith(")") ? split(text.slice(1, -1)) : [text];
  if (store.windows) {
    parts = parts.slice(0, -1);
    if (parts.length === 1 && parts[0].startsWith("(")) parts = split(parts[0].slice(1, -1));
  }
  return parts;
}

/** A key as it is typed: parts with commas between. */
export function keyText(key, windowed = false) {
  let parts = Array.isArray(key) ? key.flat() : [key];
  if (windowed) parts = parts.slice(0, -1);
  if (parts.length === 1) return String(parts[0]);
  return parts.map((p) => String(p).replaceAll("\\", "\\\\").replaceAll(",", "\\,")).join(",");
}

/** What is typed: the parts that are whole, as text, and the one that is being typed. */
export function typed(text, parts) {
  if (parts.length < 2) return { before: [], last: text };
  const found = [""];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\" && i + 1 < text.length) found.push(found.pop() + text[++i]);
    else if (text[i] === ",") found.push("");
    else found.push(found.pop() + text[i]);
  }
  return { before: found.slice(0, -1), last: found.at(-1) };
}

/** The number by which a value is plotted, with its bounds: `{ value, low, high }`, or null. */
export function measure(value) {
  if (typeof value === "number" || typeof value === "bigint") return { value: Number(value), low: null, high: null };
  if (value && typeof value === "object" && !Array.isArray(value)) {
    const middle = value.estimate ?? value.value;
    if (typeof middle === "number") return { value: middle, low: value.low ?? null, high: value.high ?? null };
  }
  return null;
}

/** What of a value can be plotted: `[[name, of(value)]]`. */
export function measures(value, schema) {
  const known = valueOf(schema);
  if (known.kind === "struct") {
    return known.fields.flatMap(({ name }) => (measure(value?.[name]) || typeof value?.[name]?.count === "number" ? [[name, (v) => measure(v?.[name]) ?? measure(v?.[name]?.p50)]] : []));
  }
  if (known.kind === "quantiles") return ["p50", "p90", "p99", "max"].map((name) => [name, (v) => measure(v?.[name])]);
  return measure(value) ? [["value", measure]] : [];
}
