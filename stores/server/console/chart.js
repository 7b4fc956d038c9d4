// Windows over time: a bar a window, bounds where the value is an estimate, and every window reachable by keyboard.

import { h, s, say } from "./dom.js";
import { num, short, time } from "./format.js";

const HEIGHT = 240;
const LEFT = 62;
const TOP = 12;
const BOTTOM = 28;

/** `points`: `[{ from, to, value, low, high }]`, value null where there was no record. */
export function chart(label) {
  const tip = h("output", { class: "chart-tip", "aria-live": "polite" }, "\u00a0");
  const room = h("div", { class: "chart-room", tabindex: 0, role: "application", "aria-label": `${label}. Left and right arrows go from window to window.` });
  const node = h("div", { class: "chart" }, room, tip);
  let points = [];
  let at = null;
  let parts = [];
  let width = 0;

  function ticks(most) {
    const rough = most / 4;
    const power = 10 ** Math.floor(Math.log10(rough || 1));
    const step = [1, 2, 5, 10].map((m) => m * power).find((v) => v >= rough) ?? power;
    return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
  }

  function draw() {
    if (!points.length || !width) { room.replaceChildren(); return; }
    const most = Math.max(...points.map((p) => p.high ?? p.value ?? 0), 1e-9) * 1.06;
    const least = Math.min(0, ...points.map((p) => p.low ?? p.value ?? 0));
    const [start, end] = [points[0].from, points.at(-1).to];
    const x = (t) => LEFT + ((t - start) / Math.max(1, end - start)) * (width - LEFT - 8);
    const y = (v) => TOP + (1 - (v - least) / (most - least)) * (HEIGHT - TOP - BOTTOM);
    const days = end - start > 3 * 86_400_000;
    const wanted = Math.max(1, Math.floor((width - LEFT) / 120));
    const every = Math.ceil(points.length / wanted);
    parts = points.map((p, i) => {
      const [a, b] = [x(p.from), x(p.to)];
      const wide = Math.max(1, b - a - Math.min(3, (b - a) * 0.2));
      const g = s("g", { class: "window", "data-at": i });
      g.append(s("rect", { class: "hit", x: a, y: TOP, width: Math.max(1, b - a), height: HEIGHT - TOP - BOTTOM }));
      if (p.value === null) g.append(s("circle", { class: "absent", cx: (a + b) / 2, cy: y(0) - 4, r: 2 }));
      else g.append(s("rect", { class: "bar", x: a + (b - a - wide) / 2, y: Math.min(y(p.value), y(0)), width: wide, height: Math.max(1, Math.abs(y(0) - y(p.value))), rx: Math.min(2, wide / 4) }));
      if (p.low !== null && p.low !== undefined && p.high > p.low) {
        const m = (a + b) / 2;
        g.append(s("path", { class: "whisker", d: `M${m} ${y(p.low)}V${y(p.high)}${wide > 7 ? `M${m - 3} ${y(p.low)}h6M${m - 3} ${y(p.high)}h6` : ""}` }));
      }
      return g;
    });
    const svg = s("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, "aria-hidden": "true" },
      ticks(most).map((v) => [s("line", { class: "rail", x1: LEFT, x2: width - 8, y1: y(v), y2: y(v) }), s("text", { class: "axis", x: LEFT - 8, y: y(v) + 4, "text-anchor": "end" }, short(v))]),
      parts, points.map((p, i) => (i % every ? null : s("text", { class: "axis", x: x(p.from), y: HEIGHT - 8 }, days ? time(p.from).slice(5, 10) : time(p.from).slice(5, 16)))));
    room.replaceChildren(svg);
    pick(at);
  }

  function pick(next) {
    parts[at]?.classList.remove("picked");
    at = next === null || !points.length ? null : Math.max(0, Math.min(points.length - 1, next));
    if (at === null) { say(tip, "\u00a0"); return; }
    parts[at]?.classList.add("picked");
    const p = points[at];
    const bounds = p.low !== null && p.low !== undefined && p.high > p.low ? `, between ${num(p.low)} and ${num(p.high)}` : "";
    say(tip, `${time(p.from)} to ${time(p.to)}: ${p.value === null ? "no record" : num(p.value)}${bounds}`);
  }

  room.addEventListener("pointermove", (e) => { const g = e.target.closest?.("[data-at]"); if (g) pick(Number(g.dataset.at)); });
  room.addEventListener("pointerleave", () => { if (document.activeElement !== room) pick(null); });
  room.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[e.key];
    if (!step) return;
    e.preventDefault();
    pick(at === null ? points.length - 1 : at + step);
  });
  const seen = new ResizeObserver(() => { if (room.clientWidth !== width) { width = room.clientWidth; draw(); } });
  seen.observe(room);
  return { node, show(next) { points = next; draw(); }, stop: () => seen.disconnect() };
}
