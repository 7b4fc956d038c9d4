#!/usr/bin/env python3
"""Makes examples/data from the table of flights in the npm package `vega-datasets` 3.2.1.

    npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz package/data/flights-3m.parquet
    python3 scripts/make-sample.py package/data/flights-3m.parquet examples/data      # needs pyarrow

Takes the first days of January 2001 whole, in the order of the file, until the next day would pass 100,000 rows.
expected.json is computed here from plain Python collections.
"""
import gzip
import hashlib
import json
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq

source, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
table = pq.read_table(source)
dates = table["date"].to_pylist()
assert all(a <= b for a, b in zip(dates, dates[1:])), "sorted by date"
end, i = 0, 0
while i < len(dates):
    j = i
    while j < len(dates) and dates[j].date() == dates[i].date():
        j += 1
    if j > 100_000:
        break
    end = i = j
sample = table.slice(0, end)
half = next(n for n in range(end // 2, end) if dates[n].date() != dates[n - 1].date())
for n, part in enumerate((sample.slice(0, half), sample.slice(half)), 1):
    pq.write_table(part, out / f"flights-sample-{n}.parquet", compression="zstd", compression_level=19, row_group_size=20_000)

days = defaultdict(lambda: defaultdict(lambda: {"delays": [], "distance": 0, "destinations": set()}))
with open(out / "flights-sample.jsonl.gz", "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9, mtime=0, filename="") as f:
    for row in sample.to_pylist():
        row["date"] = row["date"].isoformat()
        f.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        cell = days[row["origin"]][row["date"][:10]]
        cell["delays"].append(row["delay"])
        cell["distance"] += row["distance"]
        cell["destinations"].add(row["destination"])


def answer(cell):
    delays = sorted(cell["delays"])
    return {
        "flights": len(delays),
        "distance": cell["distance"],
        "delay": sum(delays),
        "delay_min": delays[0],
        "delay_max": delays[-1],
        "delay_p50": delays[(len(delays) + 1) // 2 - 1],
        "destinations": len(cell["destinations"]),
    }


expected = {
    "about": "delay_p50 is nearest rank: the ceil(n/2)-th smallest; destinations counts different ones",
    "rows": end,
    "by_origin_day": {o: {d: answer(c) for d, c in sorted(by_day.items())} for o, by_day in sorted(days.items())},
}
with open(out / "expected.json.gz", "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9, mtime=0, filename="") as f:
    f.write(json.dumps(expected, separators=(",", ":")).encode())
for path in sorted(out.glob("*")):
    if path.suffix in (".parquet", ".gz"):
        print(f"| `{path.name}` | {path.stat().st_size:,} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |")
print(end, "rows,", half, "in the first file")
