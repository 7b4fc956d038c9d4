// The states of a batch: order, words, colours and patterns, and how they add up over partitions.

/** From the first to the furthest, then what is lost, and what is not known. */
export const STATES = ["open", "sealed", "archived", "published", "dropped", "hole", "unknown"];
export const SAYS = {
  open: "live; the frontier has not passed it",
  sealed: "over: no record can come to it",
  archived: "whole in the archive",
  published: "in the current generation",
  dropped: "published, and its live cells are let go",
  hole: "a range of it was lost",
  unknown: "what would say whether it is over, archived or published does not answer",
};

/** The state of a batch in sorted runs, and the run. */
export function runAt(runs, batch) {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle].to <= batch) low = middle + 1;
    else high = middle;
  }
  return runs[low]?.from <= batch ? runs[low] : null;
}

/** How many partitions are in which state, from bound to bound: `[{ from, to, counts }]`, as long as the runs are many, not the batches. */
export function sums(partitions) {
  const steps = new Map();
  const step = (batch) => steps.get(batch) ?? (steps.set(batch, new Int32Array(STATES.length)), steps.get(batch));
  for (const { runs } of partitions) {
    for (const { from, to, state } of runs) {
      const at = STATES.indexOf(state);
      if (at < 0 || to <= from) continue;
      step(from)[at] += 1;
      step(to)[at] -= 1;
    }
  }
  const bounds = [...steps.keys()].sort((a, b) => a - b);
  const counts = new Int32Array(STATES.length);
  return bounds.slice(0, -1).map((from, i) => {
    steps.get(from).forEach((n, at) => { counts[at] += n; });
    return { from, to: bounds[i + 1], counts: counts.slice() };
  });
}

/** Fills for a canvas: a colour each, and a pattern for those that must be told apart without one. */
export function fills(context, scale) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const pattern = (name, draw) => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = Math.round(6 * scale);
    const c = tile.getContext("2d");
    c.scale(tile.width / 6, tile.height / 6);
    c.fillStyle = colour(name);
    c.fillRect(0, 0, 6, 6);
    c.strokeStyle = c.fillStyle = colour("panel");
    draw(c);
    const made = context.createPattern(tile, "repeat");
    made.setTransform(new DOMMatrix().scale(6 / tile.width));
    return made;
  };
  const lines = (...points) => (c) => {
    c.lineWidth = 1;
    c.globalAlpha = 0.6;
    c.beginPath();
    for (const [a, b, x, y] of points) { c.moveTo(a, b); c.lineTo(x, y); }
    c.stroke();
  };
  const flat = Object.fromEntries(STATES.map((name) => [name, colour(name === "unknown" ? "line-strong" : name)]));
  return {
    flat,
    marked: {
      ...flat,
      open: pattern("open", lines([0, 6, 6, 0], [-3, 3, 3, -3], [3, 9, 9, 3])),
      sealed: pattern("sealed", (c) => { c.globalAlpha = 0.75; c.fillRect(1, 1, 1.5, 1.5); c.fillRect(4, 4, 1.5, 1.5); }),
      hole: pattern("hole", lines([0, 0, 6, 6], [0, 6, 6, 0])),
    },
    text: colour("text"), soft: colour("soft"), line: colour("line"), panel: colour("panel"), sunk: colour("sunk"), focus: colour("focus"), accent: colour("accent"),
  };
}
