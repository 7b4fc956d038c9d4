// The job as a drawing: steps as boxes, what flows between them on the edges.

import { h, s, say, set } from "./dom.js";
import { rate, short } from "./format.js";
import { place } from "./layers.js";

const W = 176;
const H = 60;
// What a step does, drawn in a box of 16.
const GLYPHS = {
  source: "M2 3h7l5 5-5 5H2z",
  map: "M2 8h10M9 4.5 13 8l-4 3.5",
  filter: "M2 3h12L9.5 8.500V13L6.5 11.500v-3z",
  flat_map: "M2 8h4m0 0 4-4h4M6 8h8M6 8l4 4h4",
  merge: "M2 4h3l4 4h5M2 12h3l4-4",
  join: "M2 3v10l6-5zM14 3v10L8 8z",
  scan: "M2 13h3v-3h3V7h3V4h3",
  sum: "M12 4V3H4l4.5 5L4 13h8v-1",
  write: "M2 8h8M7 5l3 3-3 3M13.5 3v10",
};
const NAMES = { flat_map: "flat map", sum: "sum by key" };
export const kindName = (kind) => NAMES[kind] ?? kind.replaceAll("_", " ");

/** What a step is called: its own name, the port that it reads or fills, else what it is. */
export const titleOf = (node) => node.name ?? node.source ?? node.store ?? node.sink ?? node.label ?? kindName(node.kind);

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);

function curve(points, down) {
  const [start, ...rest] = points;
  let d = `M${start[0]} ${start[1]}`;
  let [px, py] = start;
  for (const [x, y] of rest) {
    if (down) d += `C${px} ${(py + y) / 2} ${x} ${(py + y) / 2} ${x} ${y}`;
    else d += `C${(px + x) / 2} ${py} ${(px + x) / 2} ${y} ${x} ${y}`;
    [px, py] = [x, y];
  }
  return d;
}

/** The drawing: `{ node, show(rates, steps) }`. `chosen(node)` is told which step is looked at. */
export function graph(described, chosen) {
  const { nodes, edges } = described;
  const frame = h("div", { class: "graph", tabindex: 0, role: "group", "aria-label": "Graph of the job" });
  const boxes = new Map();
  let labels = [];
  let latest = new Map();
  let drawn = 0;
  let current = nodes[0]?.id ?? null;

  function pick(node) {
    current = node.id;
    for (const [key, box] of boxes) set(box.node, "aria-pressed", key === current);
    chosen(node);
  }

  function box(node, { x, y }) {
    const title = titleOf(node);
    const flow = s("text", { class: "flow", x: 34, y: 49 });
    const about = `${kindName(node.kind)} ${cut(title, 20)}`;
    const g = s("g", {
      class: `step ${node.kind}`, transform: `translate(${x} ${y})`, tabindex: 0, role: "button", "aria-label": about, "aria-pressed": node.id === current, "data-step": node.id,
      onclick: () => pick(node),
      onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); pick(node); } },
    },
    s("rect", { class: "box", width: W, height: H, rx: 8 }),
    s("rect", { class: "edge-mark", width: 4, height: H - 16, x: 0, y: 8, rx: 2 }),
    s("path", { class: "glyph", d: GLYPHS[node.kind] ?? GLYPHS.map, transform: "translate(11 9)" }),
    // Spaces between, so that who hears it hears words.
    s("text", { class: "kind", x: 34, y: 17 }, kindName(node.kind)), " ",
    s("text", { class: "name", x: 34, y: 34 }, cut(title, 20)), " ", flow);
    boxes.set(node.id, { node: g, flow, about });
    return g;
  }

  /** Before it is on the page its width is known from the page's. */
  function expected() {
    const page = document.getElementById("main").clientWidth;
    return page > 900 ? page - 84 - 290 : page - 60;
  }

  function draw() {
    const width = frame.clientWidth || expected();
    const how = { w: W, h: H, along: 84, across: 18 };
    let placed = place(nodes, edges, how);
    const down = placed.width + 4 > width * 1.25;
    if (down) placed = place(nodes, edges, { ...how, along: 46, across: 20, down: true });
    drawn = width;
    boxes.clear();
    labels = placed.edges.map(({ edge, points }) => {
      const [a, b] = [points[0], points[1]];
      const text = s("text", { class: "rate", x: (a[0] + b[0]) / 2 + (down ? 8 : 0), y: (a[1] + b[1]) / 2 + (down ? 4 : -7), "text-anchor": down ? "start" : "middle" });
      const line = s("path", { class: "wire", d: curve(points, down), "marker-end": "url(#arrow)" }, edge.label && s("title", {}, edge.label));
      return { edge, text, line };
    });
    const svg = s("svg", { class: "drawing", viewBox: `-6 -8 ${placed.width + 12} ${placed.height + 16}`, role: "group", "aria-label": "Steps of the job" },
      s("defs", {}, s("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, s("path", { class: "arrow", d: "M0 0 8 4 0 8z" }))),
      labels.map((l) => l.line), nodes.map((n) => box(n, placed.nodes.get(n.id))), labels.map((l) => l.text));
    svg.style.setProperty("width", `${placed.width + 12}px`);
    svg.style.setProperty("min-width", `${Math.min(placed.width + 12, Math.max(320, (placed.width + 12) * 0.8))}px`);
    frame.replaceChildren(svg);
    write();
  }

  function write() {
    for (const { edge, text, line } of labels) {
      const into = described.edges.filter((e) => e.to === edge.to).length === 1 ? latest.get(edge.to)?.inRate : undefined;
      const flowing = into ?? latest.get(edge.from)?.outRate;
      say(text, flowing === undefined || flowing === null ? "" : rate(flowing));
      set(line, "data-flows", flowing > 0 || null);
    }
    for (const [key, box] of boxes) {
      const step = latest.get(key);
      // What ends in a store comes in and does not go out.
      const flow = !step ? "" : step.outRate === null && step.out === null ? `${short(step.in)} in` : `${short(step.out)} out`;
      say(box.flow, flow);
      set(box.node, "aria-label", `${box.about} ${flow}`.trim());
    }
  }

  const seen = new ResizeObserver(() => { if (Math.abs(drawn - frame.clientWidth) > 24) draw(); });
  seen.observe(frame);
  draw();
  return {
    node: frame,
    /** `steps`: id -> { in, out, inRate, outRate }. */
    show(steps) { latest = steps; write(); },
    stop: () => seen.disconnect(),
  };
}
