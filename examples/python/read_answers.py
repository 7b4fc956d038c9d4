"""Asks a running `serve` for answers: by plain HTTP, and as Arrow. `python read_answers.py URL STORE KEY...`

Needs `pip install pyarrow`; everything else is Python's own.
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

import pyarrow as pa
import pyarrow.compute as pc

ARROW = "application/vnd.apache.arrow.stream"


def open_url(url, **headers):
    """The response, or an error that says what the server says: its kind, and the repair."""
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60)
    except urllib.error.HTTPError as refused:
        problem = json.load(refused)
        repair = f"; {problem['repair']}" if "repair" in problem else ""
        raise SystemExit(f"{problem['status']} {problem['kind']}: {problem['detail']}{repair}") from None


def answer(base, store, key):
    """One whole answer: its `value`, and what it covers. A part never comes under that name: see `partial=true`."""
    key = urllib.parse.quote(key, safe="")
    with open_url(f"{base}/v1/stores/{store}/keys/{key}") as response:
        return json.load(response)


def table(base, store):
    """A whole store, of one moment, as a table. A body that was cut off raises an error of HTTP."""
    with open_url(f"{base}/v1/stores/{store}/keys", Accept=ARROW) as response:
        return pa.ipc.open_stream(response).read_all()


def main(base, store, *keys):
    for key in keys:
        a = answer(base, store, key)
        print(f"{key}: {a['value']} (offline until {a['covered_until'] or 'the beginning'})")
    whole = table(base, store)
    print(f"{whole.num_rows} keys, {pc.sum(whole['value']).as_py()} in all")
    largest = whole.take(pc.select_k_unstable(whole, 3, [("value", "descending"), ("key", "ascending")]))
    for row in largest.to_pylist():
        print(f"  {row['key']}: {row['value']}")
    print(f"token {whole.schema.metadata[b'rufous.token'].decode()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
