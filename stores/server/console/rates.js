// Counters that only grow become rates: what was added between two answers, by the server's clock.

/** Remembers counters for some seconds. */
export class Rates {
  #points = new Map();
  constructor(keepMs = 6000) { this.keepMs = keepMs; }
  /** The rate of a counter a second, or null as long as there is one answer only. A counter that fell began anew. */
  feed(key, count, at) {
    if (count === null || count === undefined) return null;
    const value = Number(count);
    let points = this.#points.get(key);
    if (!points || value < points.at(-1)[1]) this.#points.set(key, (points = []));
    if (!points.length || points.at(-1)[0] < at) points.push([at, value]);
    while (points.length > 2 && points[1][0] <= at - this.keepMs) points.shift();
    const [first, last] = [points[0], points.at(-1)];
    return last[0] > first[0] ? ((last[1] - first[1]) * 1000) / (last[0] - first[0]) : null;
  }
}

/** The last values of something, as a small curve. */
export class Trail {
  constructor(length = 60) { this.length = length; this.values = []; }
  push(value) {
    this.values.push(value ?? 0);
    if (this.values.length > this.length) this.values.shift();
  }
  /** A path in a box of this size. The newest is at the right. */
  path(width, height) {
    const most = Math.max(...this.values, 1e-9);
    const step = width / (this.length - 1);
    const x0 = width - (this.values.length - 1) * step;
    return this.values.map((v, i) => `${i ? "L" : "M"}${(x0 + i * step).toFixed(1)} ${(height - 1 - (v / most) * (height - 3)).toFixed(1)}`).join("");
  }
}
