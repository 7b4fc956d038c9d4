"""One rival over one question: `rival.py ENGINE words|sums|uniques|windows|as-of DIRECTORY OUTPUT`.

Prints `result wall=S cpu=S peak_mb=M version=V`: the question alone, from the call to the whole answer in memory, without
imports. Writes the answer as lines `key<TAB>number[<TAB>number]` afterwards.
"""

import importlib.metadata
import resource
import sys
import time

QUERIES = {
    "words": ("SELECT word, count(*) AS n FROM {table} GROUP BY word", None),
    "sums": ("SELECT campaign, count(*) AS n, sum(cost) AS cost FROM {table} GROUP BY campaign", None),
    # The smallest hops first, the others out of them.
    "windows": (
        "WITH small AS (SELECT campaign, \"at\" // 300000 AS i, count(*) AS n, sum(cost) AS cost FROM {table} GROUP BY ALL) "
        "SELECT campaign || '/5m/' || i AS hop, n, cost FROM small UNION ALL "
        "SELECT campaign || '/1h/' || (i // 12), sum(n), sum(cost) FROM small GROUP BY campaign, i // 12 UNION ALL "
        "SELECT campaign || '/1d/' || (i // 288), sum(n), sum(cost) FROM small GROUP BY campaign, i // 288",
        None,
    ),
    # The rates lie beside the directory of the clicks.
    "as-of": (
        "SELECT c.campaign, count(*) AS n, sum(c.cost * coalesce(r.rate, 0)) AS rated FROM {table} c "
        "ASOF LEFT JOIN read_parquet('{rates}') r ON c.campaign = r.campaign AND c.at >= r.since GROUP BY c.campaign",
        None,
    ),
    "uniques": ("SELECT campaign, {distinct}(user) AS n FROM {table} GROUP BY campaign", None),
}


def duckdb(question, files):
    import duckdb as engine

    con = engine.connect()
    rates = files.removesuffix("/*.parquet") + ".rates"
    sql = QUERIES[question][0].format(table=f"read_parquet('{files}')", distinct="approx_count_distinct", rates=rates)
    return lambda: con.execute(sql.replace("user", '"user"')).to_arrow_table()


def polars(question, files):
    import polars as pl

    scan = pl.scan_parquet(files)
    if question == "words":
        plan = scan.group_by("word").agg(pl.len())
    elif question == "sums":
        plan = scan.group_by("campaign").agg(pl.len(), pl.col("cost").sum())
    else:
        plan = scan.group_by("campaign").agg(pl.col("user").approx_n_unique())
    return lambda: plan.collect(engine="streaming").to_arrow()


def datafusion(question, files):
    from datafusion import SessionContext

    ctx = SessionContext()
    ctx.register_parquet("t", files.rsplit("/", 1)[0])
    sql = QUERIES[question][0].format(table="t", distinct="approx_distinct").replace("user", '"user"')
    return lambda: ctx.sql(sql).to_arrow_table()


def chdb(question, files):
    import chdb as engine

    sql = QUERIES[question][0].format(table=f"file('{files}', Parquet)", distinct="uniqCombined")
    return lambda: engine.query(sql, "ArrowTable")


def main():
    name, question, directory, output = sys.argv[1:]
    run = globals()[name](question, f"{directory}/*.parquet")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu, wall = usage.ru_utime + usage.ru_stime, time.monotonic()
    table = run()
    wall = time.monotonic() - wall
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime - cpu
    print(f"result wall={wall} cpu={cpu} peak_mb={usage.ru_maxrss / 1024} version={importlib.metadata.version(name)}")
    columns = [column.to_pylist() for column in table.columns]
    with open(output, "w") as out:
        for row in zip(*columns):
            key = row[0].decode() if isinstance(row[0], bytes) else row[0]
            out.write("\t".join(str(part) for part in (key, *row[1:])) + "\n")


main()
