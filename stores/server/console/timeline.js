// Batches of all partitions on one time line. What is drawn are runs of batches of one state, never batches: 10,000 batches of 256
// partitions are some thousand rectangles at most, and no more than a pixel's width each.

import { h, say } from "./dom.js";
import { batch as named, num } from "./format.js";
import { STATES, fills, runAt, sums } from "./states.js";

const GUTTER = 64;
const OVERVIEW = 12;
const AXIS = 24;
const SUM = 40;
const HEAD = OVERVIEW + 8 + AXIS + SUM + 6;
const HELP = "Arrow keys go from batch to batch and partition to partition, Page Up and Page Down by a screen, plus and minus zoom, 0 shows all, Home and End the first and the last batch.";

/** The time line: `{ node, show(source), fit, now, zoom, stop }`. */
export function timeline() {
  const head = h("canvas", { class: "head", "aria-hidden": "true" });
  const rows = h("canvas", { class: "rows", "aria-hidden": "true" });
  const room = h("div", { class: "room" }, rows);
  const lanes = h("div", { class: "lanes" }, room);
  const tip = h("div", { class: "tip", hidden: true });
  const spoken = h("output", { class: "unseen", "aria-live": "polite" });
  const node = h("div", { class: "timeline", tabindex: 0, role: "application", "aria-label": `Time line of batches. ${HELP}` }, head, lanes, tip, spoken);

  let data = null;
  let whole = [];
  let [from, to] = [0, 1];
  let cursor = null;
  let paint = null;
  let waiting = 0;
  let width = 0;
  let follows = true;

  const inner = () => Math.max(1, width - GUTTER);
  const x = (batch) => GUTTER + ((batch - from) / (to - from)) * inner();
  const batchAt = (px) => Math.floor(from + ((px - GUTTER) / inner()) * (to - from));
  const count = () => data?.partitions.length ?? 0;
  const rowHeight = () => Math.max(7, Math.min(34, Math.floor(300 / Math.max(1, count()))));
  const title = (batch) => named(batch, data.batch_ms, data.batch_ms && typeof data.first_ms === "number" ? data.first_ms - data.begins * data.batch_ms : 0);
  const last = () => data.last + 1;

  function bound() {
    const [low, high] = [data.first, Math.max(last(), data.first + 1)];
    const length = Math.max(4, Math.min(to - from, high - low));
    from = Math.max(low, Math.min(from, high - length));
    to = from + length;
    follows = to >= high - 1e-6;
    later();
  }
  const later = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; draw(); }); };

  function size(canvas, height) {
    const scale = devicePixelRatio || 1;
    const [w, t] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== w || canvas.height !== t) {
      canvas.width = w;
      canvas.height = t;
      canvas.style.setProperty("height", `${height}px`);
    }
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${getComputedStyle(node).fontFamily}`;
    context.textBaseline = "middle";
    return context;
  }

  /** Shares of partitions by state, one over the other. */
  function stack(c, top, height, start, end, map, colours) {
    let [drawn, lostTo] = [-1, -1];
    for (const part of whole) {
      if (part.to <= start || part.from >= end) continue;
      const [a, b] = [Math.max(GUTTER, map(part.from)), Math.min(width, map(part.to))];
      // Of what shares a pixel the first is drawn, and what was lost.
      const lost = part.counts[5] > 0 && b > lostTo + 0.5;
      if (b <= drawn + 0.5 && !lost) continue;
      drawn = b;
      if (lost) lostTo = b;
      let y = top + height;
      for (const at of [4, 3, 2, 1, 0, 6, 5]) {
        if (!part.counts[at]) continue;
        const tall = Math.max(at === 5 ? 2 : 0, (part.counts[at] / count()) * height);
        c.fillStyle = (b - a < 4 ? paint.flat : colours)[STATES[at]];
        c.fillRect(a, y - tall, Math.max(b - a - (b - a > 6 ? 1 : 0), 1), tall);
        y -= tall;
      }
    }
  }

  function axis(c, top) {
    const ms = data.batch_ms;
    const wanted = Math.max(1, inner() / 110);
    const per = (to - from) / wanted;
    const steps = ms ? [1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 1440, 4320, 8760].map((hours) => (hours * 3_600_000) / ms).filter((n) => n >= 1 && Number.isInteger(n)) : [];
    const step = steps.find((n) => n >= per) ?? 10 ** Math.ceil(Math.log10(Math.max(1, per)));
    c.textAlign = "left";
    for (let b = Math.ceil(from / step) * step; b < to; b += step) {
      const px = x(b);
      c.fillStyle = paint.line;
      c.fillRect(px, top, 1, AXIS + SUM);
      c.fillStyle = paint.soft;
      c.fillText(title(b), px + 5, top + AXIS / 2 - 2);
    }
  }

  function draw() {
    if (!data || !width) return;
    const c = size(head, HEAD);
    paint ??= fills(c, devicePixelRatio || 1);
    const all = (b) => GUTTER + ((b - data.first) / Math.max(1, last() - data.first)) * inner();
    stack(c, 0, OVERVIEW, data.first, last(), all, paint.flat);
    c.strokeStyle = paint.text;
    c.lineWidth = 2;
    const [a, b] = [all(from), all(to)];
    c.strokeRect(a + 1, 1, Math.max(4, b - a - 2), OVERVIEW - 2);
    c.fillStyle = paint.soft;
    c.textAlign = "right";
    c.fillText("all", GUTTER - 10, OVERVIEW / 2);
    const top = OVERVIEW + 8;
    axis(c, top);
    stack(c, top + AXIS, SUM, from, to, x, paint.marked);
    c.textAlign = "right";
    c.fillStyle = paint.text;
    c.fillText("in sum", GUTTER - 10, top + AXIS + SUM / 2);
    marks(c, top + AXIS, SUM);
    if (cursor?.row === -1) ring(c, top + AXIS, SUM);
    lanesOf();
  }

  function lanesOf() {
    const tall = rowHeight();
    const total = tall * count();
    const seen = Math.min(total, 340);
    lanes.style.setProperty("height", `${seen}px`);
    room.style.setProperty("height", `${total}px`);
    const c = size(rows, seen);
    const colours = tall >= 7 ? paint.marked : paint.flat;
    const start = Math.floor(lanes.scrollTop / tall);
    const shift = lanes.scrollTop;
    const gap = tall >= 10 ? 2 : 1;
    const every = Math.max(1, Math.ceil(13 / tall));
    for (let i = start; i < count() && i * tall - shift < seen; i++) {
      const part = data.partitions[i];
      const y = i * tall - shift;
      let [drawn, lostTo] = [-1, -1];
      for (let at = first(part.runs); at < part.runs.length && part.runs[at].from < to; at++) {
        const run = part.runs[at];
        const [p, q] = [Math.max(GUTTER, x(run.from)), Math.min(width, x(run.to))];
        const lost = run.state === "hole" && q > lostTo + 0.5;
        if (q <= drawn + 0.5 && !lost) continue;
        drawn = q;
        if (lost) lostTo = q;
        // A pattern needs some pixels to be one.
        c.fillStyle = (q - p < 4 ? paint.flat : colours)[run.state] ?? paint.sunk;
        c.fillRect(p, y, Math.max(1, q - p - (q - p > 6 ? 1 : 0)), tall - gap);
      }
      if (part.drop_before > from && part.drop_before < to) {
        c.fillStyle = paint.text;
        c.fillRect(x(part.drop_before) - 1, y, 2, tall - gap);
      }
      if (i % every === 0) {
        c.fillStyle = paint.soft;
        c.textAlign = "right";
        c.fillText(`part. ${part.partition}`, GUTTER - 10, y + Math.max(tall - gap, 11) / 2);
      }
      if (cursor?.row === i) ring(c, y, tall - gap);
    }
    marks(c, 0, seen);
  }

  const first = (runs) => {
    let [low, high] = [0, runs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (runs[middle].to <= from) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  function marks(c, top, height) {
    if (data.running === null || data.running === undefined || data.running < from || data.running >= to) return;
    c.fillStyle = paint.accent;
    c.globalAlpha = 0.9;
    c.fillRect(x(data.running), top, 1.5, height);
    c.globalAlpha = 1;
  }
  function ring(c, y, tall) {
    c.strokeStyle = paint.focus;
    c.lineWidth = 2;
    const a = x(cursor.batch);
    c.strokeRect(a, y, Math.max(3, x(cursor.batch + 1) - a), tall);
  }

  /** What is at a place, in words. */
  function words({ row, batch }) {
    const heading = `${title(batch)}${data.batch_ms ? ` (batch ${batch})` : ""}`;
    if (row < 0) {
      const part = whole.find((p) => p.from <= batch && batch < p.to);
      const counts = part ? STATES.flatMap((s, i) => (part.counts[i] ? [`${part.counts[i]} ${s}`] : [])).join(", ") : data.unsure ? "not known" : "no partition has it";
      return [`All partitions, ${heading}`, counts];
    }
    const part = data.partitions[row];
    const run = runAt(part.runs, batch);
    const many = run ? run.to - run.from : 0;
    return [
      `Partition ${part.partition}, ${heading}`,
      run ? `${run.state}${many > 1 ? `, as are ${num(many)} batches from ${title(run.from)} on` : ""}` : data.unsure ? "not known" : "nothing of it was read",
      `frontier ${title(part.frontier)}, ${part.lag === null ? "lag not known" : `${num(part.lag)} offsets behind`}, may be dropped before ${title(part.drop_before)}`,
    ];
  }

  function point(where, speak) {
    cursor = where;
    later();
    if (!where) { tip.hidden = true; return; }
    const lines = words(where);
    tip.replaceChildren(...lines.map((line, i) => h(i ? "p" : "strong", {}, line)));
    tip.hidden = false;
    const left = Math.max(0, Math.min(width - tip.offsetWidth, x(where.batch) + 14));
    const y = where.row < 0 ? HEAD : HEAD + (where.row + 1) * rowHeight() - lanes.scrollTop;
    const below = y + tip.offsetHeight < node.clientHeight + 60;
    tip.style.setProperty("transform", `translate(${left}px, ${below ? y + 6 : y - tip.offsetHeight - rowHeight() - 8}px)`);
    if (speak) say(spoken, lines.join(". "));
  }

  function at(event) {
    const box = node.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    if (px < GUTTER || !data) return null;
    const row = py < HEAD ? (py > OVERVIEW + AXIS ? -1 : null) : Math.floor((py - HEAD + lanes.scrollTop) / rowHeight());
    if (row === null || row >= count()) return null;
    return { row, batch: Math.max(data.first, Math.min(data.last, batchAt(px))), px, py };
  }

  function zoom(by, around = cursor?.batch ?? (from + to) / 2) {
    if (!data) return;
    const share = (around - from) / (to - from);
    const length = Math.max(4, (to - from) * by);
    [from, to] = [around - share * length, around + (1 - share) * length];
    bound();
    if (cursor) point(cursor);
  }
  function fit() { if (data) { [from, to] = [data.first, last()]; bound(); } }
  function now() { if (data) { const length = Math.min(last() - data.first, Math.max(12, inner() / 14)); [from, to] = [last() - length, last()]; bound(); } }

  let grip = null;
  node.addEventListener("pointerdown", (e) => {
    const box = node.getBoundingClientRect();
    if (e.clientX - box.left < GUTTER || !data || e.button) return;
    grip = { x: e.clientX, from, to, over: e.clientY - box.top < OVERVIEW + 4 };
    node.setPointerCapture(e.pointerId);
    if (grip.over) centre(e.clientX - box.left);
  });
  const centre = (px) => {
    const middle = data.first + ((px - GUTTER) / inner()) * (last() - data.first);
    const half = (to - from) / 2;
    [from, to] = [middle - half, middle + half];
    bound();
  };
  node.addEventListener("pointermove", (e) => {
    if (grip?.over) centre(e.clientX - node.getBoundingClientRect().left);
    else if (grip) {
      const by = ((grip.x - e.clientX) / inner()) * (grip.to - grip.from);
      [from, to] = [grip.from + by, grip.to + by];
      bound();
    } else point(at(e));
  });
  node.addEventListener("pointerup", () => { grip = null; });
  node.addEventListener("pointerleave", () => { if (!grip && document.activeElement !== node) point(null); });
  node.addEventListener("wheel", (e) => {
    if (!e.ctrlKey && !e.shiftKey) return;
    e.preventDefault();
    if (e.ctrlKey) zoom(e.deltaY > 0 ? 1.25 : 0.8, batchAt(e.clientX - node.getBoundingClientRect().left));
    else { const by = ((e.deltaY || e.deltaX) / inner()) * (to - from); from += by; to += by; bound(); }
  }, { passive: false });
  node.addEventListener("blur", () => point(null));
  node.addEventListener("keydown", (e) => {
    if (!data || e.altKey || e.metaKey) return;
    const here = cursor ?? { row: -1, batch: Math.min(data.last, data.running ?? data.last) };
    const page = Math.max(1, Math.round((to - from) * 0.8));
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], PageUp: [-page, 0], PageDown: [page, 0], Home: [-Infinity, 0], End: [Infinity, 0] };
    const move = moves[e.key];
    if (move) {
      const batch = Math.max(data.first, Math.min(data.last, here.batch + (cursor ? move[0] : 0)));
      const row = Math.max(-1, Math.min(count() - 1, here.row + (cursor ? move[1] : 0)));
      const length = to - from;
      if (batch < from) [from, to] = [batch, batch + length];
      if (batch + 1 > to) [from, to] = [batch + 1 - length, batch + 1];
      bound();
      const tall = rowHeight();
      if (row >= 0 && row * tall < lanes.scrollTop) lanes.scrollTop = row * tall;
      if (row >= 0 && (row + 1) * tall > lanes.scrollTop + lanes.clientHeight) lanes.scrollTop = (row + 1) * tall - lanes.clientHeight;
      point({ row, batch }, true);
    } else if (e.key === "+" || e.key === "=") zoom(0.7);
    else if (e.key === "-") zoom(1.4);
    else if (e.key === "0") fit();
    else if (e.key === "Escape") point(null);
    else return;
    e.preventDefault();
  });
  lanes.addEventListener("scroll", later);
  const seen = new ResizeObserver(() => { if (node.clientWidth !== width) { width = node.clientWidth; data && (follows ? now() : bound()); } });
  seen.observe(node);
  const recolour = () => { paint = null; later(); };
  addEventListener("recolour", recolour);

  return {
    node, zoom, fit, now,
    /** Another answer about the same source keeps what is looked at. */
    show(source) {
      const same = data?.source === source.source;
      const runs = source.partitions.flatMap((p) => p.runs.sort((a, b) => a.from - b.from));
      const first = runs.reduce((a, r) => Math.min(a, r.from), Infinity);
      const end = runs.reduce((a, r) => Math.max(a, r.to), -Infinity);
      data = { ...source, begins: source.first, first: runs.length ? first : (source.first ?? 0), last: runs.length ? end - 1 : (source.last ?? 0) };
      lanes.style.setProperty("height", `${Math.min(340, rowHeight() * count())}px`);
      head.style.setProperty("height", `${HEAD}px`);
      whole = sums(data.partitions);
      if (!same) now();
      else if (follows) { const length = to - from; [from, to] = [last() - length, last()]; bound(); } else bound();
      if (cursor) point(cursor.row < count() ? cursor : null);
    },
    stop() { seen.disconnect(); removeEventListener("recolour", recolour); cancelAnimationFrame(waiting); },
  };
}
