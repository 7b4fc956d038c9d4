// Where the steps of a job stand: layers by the longest way from a source, order by the middle of the neighbours.

/** Places nodes and edges: `{ width, height, nodes: Map(id -> {x, y}), edges: [{ edge, points }] }`, corners of boxes of `w` by `h`. */
export function place(nodes, edges, { w, h, along, across, down }) {
  const ids = new Set(nodes.map((n) => n.id));
  const known = edges.filter((e) => ids.has(e.from) && ids.has(e.to) && e.from !== e.to);
  const layer = depths(nodes, known);
  const count = Math.max(0, ...layer.values()) + 1;
  const rows = Array.from({ length: count }, () => []);
  for (const n of nodes) rows[layer.get(n.id)].push({ id: n.id, size: 1, up: [], down: [] });
  const at = new Map(rows.flat().map((p) => [p.id, p]));
  // An edge over several layers passes through a point in each.
  const routes = known.map((edge) => {
    const chain = [at.get(edge.from)];
    for (let l = layer.get(edge.from) + 1; l < layer.get(edge.to); l++) {
      const point = { id: null, size: 0.3, up: [], down: [] };
      rows[l].push(point);
      chain.push(point);
    }
    chain.push(at.get(edge.to));
    chain.slice(1).forEach((p, i) => { chain[i].down.push(p); p.up.push(chain[i]); });
    return { edge, chain };
  });
  rows.forEach((row, l) => row.forEach((p, i) => { p.layer = l; p.order = i; }));
  for (let sweep = 0; sweep < 8; sweep++) order(sweep % 2 ? [...rows].reverse() : rows, sweep % 2 ? "down" : "up");
  const [side, gap] = down ? [w, across] : [h, across];
  settle(rows, side, gap);
  const least = Math.min(0, ...rows.flat().map((p) => p.pos));
  let extent = 0;
  for (const p of rows.flat()) {
    p.pos -= least;
    extent = Math.max(extent, p.pos + p.size * side);
  }
  const step = (down ? h : w) + along;
  const length = count * step - along;
  const centre = (p) => p.pos + (p.size * side) / 2;
  const corner = (p) => (down ? { x: p.pos, y: p.layer * step } : { x: p.layer * step, y: p.pos });
  const point = (p, end) => {
    const a = p.layer * step + (end ? (down ? h : w) : 0);
    return down ? [centre(p), a] : [a, centre(p)];
  };
  return {
    width: down ? extent : length,
    height: down ? length : extent,
    nodes: new Map([...at].map(([key, p]) => [key, corner(p)])),
    edges: routes.map(({ edge, chain }) => ({
      edge,
      points: chain.flatMap((p, i) => (i === 0 ? [point(p, true)] : i === chain.length - 1 ? [point(p, false)] : [point(p, false), point(p, true)])),
    })),
  };
}

/** The longest way to each node; what lies on a circle stays where it was first met. */
function depths(nodes, edges) {
  const layer = new Map(nodes.map((n) => [n.id, 0]));
  for (let round = 0; round < nodes.length; round++) {
    let moved = false;
    for (const { from, to } of edges) {
      if (layer.get(to) <= layer.get(from) && layer.get(from) + 1 < nodes.length) {
        layer.set(to, layer.get(from) + 1);
        moved = true;
      }
    }
    if (!moved) break;
  }
  // Sources stand right before their first reader.
  for (const n of nodes) {
    if (edges.some((e) => e.to === n.id)) continue;
    const next = edges.filter((e) => e.from === n.id).map((e) => layer.get(e.to));
    if (next.length) layer.set(n.id, Math.max(0, Math.min(...next) - 1));
  }
  return layer;
}

function order(rows, side) {
  for (const row of rows) {
    for (const p of row) {
      const near = p[side].map((q) => q.order);
      p.wish = near.length ? near.reduce((a, b) => a + b, 0) / near.length : p.order;
    }
    row.sort((a, b) => a.wish - b.wish || a.order - b.order).forEach((p, i) => (p.order = i));
  }
}

/** Positions across: each near the middle of its neighbours, none over another. */
function settle(rows, side, gap) {
  for (const row of rows) {
    let next = 0;
    for (const p of row) { p.pos = next; next += p.size * side + gap; }
  }
  const middle = (p) => p.pos + (p.size * side) / 2;
  for (let round = 0; round < 24; round++) {
    const pull = round % 2 ? "down" : "up";
    for (const row of round % 2 ? [...rows].reverse() : rows) {
      for (const p of row) {
        const near = p[pull].length ? p[pull] : p[pull === "up" ? "down" : "up"];
        p.wish = near.length ? near.reduce((a, q) => a + middle(q), 0) / near.length - (p.size * side) / 2 : p.pos;
      }
      // Neighbours that would meet stand side by side around the mean of what they wish.
      const groups = [];
      for (const p of row) {
        let group = { parts: [p], sum: p.wish, length: p.size * side };
        group.start = p.wish;
        while (groups.length && groups.at(-1).start + groups.at(-1).length + gap > group.start) {
          const before = groups.pop();
          const shift = before.length + gap;
          group = {
            parts: [...before.parts, ...group.parts],
            sum: before.sum + group.sum - shift * group.parts.length,
            length: shift + group.length,
          };
          group.start = group.sum / group.parts.length;
        }
        groups.push(group);
      }
      for (const group of groups) {
        let next = group.start;
        for (const p of group.parts) { p.pos = next; next += p.size * side + gap; }
      }
    }
  }
}
