//! The same questions to Redis and PostgreSQL, asked by the tools that come with them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::hourly::{HOT, Log};
use rufous_test_servers::postgres::Server;
use rufous_test_servers::redis::RedisSetup;

use super::{Options, process};

/// Hours of the hot pages.
const HOURS: u64 = 720;

pub(super) fn table(log: &Log, options: &Options) -> Result<()> {
    redis(log, options)?;
    postgres(log, options)
}

/// Totals of all pages in a hash, a HyperLogLog for each hour of a hot page.
fn redis(log: &Log, options: &Options) -> Result<()> {
    let server = RedisSetup::volatile().start()?;
    let mut connection = redis::Client::open(server.url())?.get_connection()?;
    for page in 0..log.pages {
        redis::cmd("HSET")
            .arg("totals")
            .arg(Log::key(page))
            .arg(HOURS * Log::events(page))
            .exec(&mut connection)?;
    }
    let key = |page: u64, hour: u64| format!("visitors:{page}:{hour}");
    for page in 0..HOT {
        for hour in 0..HOURS {
            let mut add = redis::cmd("PFADD");
            add.arg(key(page, hour));
            (0..Log::events(page)).for_each(|n| {
                add.arg(Log::user(page, hour, n));
            });
            add.exec(&mut connection)?;
        }
    }
    let total: u64 = redis::cmd("HGET")
        .arg("totals")
        .arg(Log::key(77))
        .query(&mut connection)?;
    ensure!(total == HOURS * Log::events(77), "Redis has other totals");
    let pid: String = redis::cmd("INFO").arg("server").query(&mut connection)?;
    let pid = pid
        .lines()
        .find_map(|l| l.strip_prefix("process_id:"))
        .context("no process_id")?;
    let pid: u32 = pid.trim().parse()?;
    let bench = |what: &str, connections: u32, requests: u64, of: &[String]| -> Result<()> {
        let before = process::cpu(pid)?;
        let out = Command::new("redis-benchmark")
            .args([
                "-p",
                &server.port().to_string(),
                "-c",
                &connections.to_string(),
                "-n",
                &requests.to_string(),
            ])
            .args(["-r", &log.pages.to_string(), "--csv"])
            .args(of)
            .output()
            .context("cannot start `redis-benchmark` (Debian and Ubuntu: apt-get install redis-tools)")?;
        let cpu = process::cpu(pid)? - before;
        let text = String::from_utf8_lossy(&out.stdout);
        // test, rps, avg, min, p50, p95, p99, max; milliseconds. The command may have commas.
        let line = text
            .lines()
            .nth(1)
            .with_context(|| format!("redis-benchmark: {text}"))?;
        let mut fields: Vec<f64> = line
            .rsplit(',')
            .take(7)
            .map_while(|f| f.trim_matches('"').parse().ok())
            .collect();
        fields.reverse();
        let [rate, _, _, p50, _, p99, max] = fields[..] else {
            anyhow::bail!("redis-benchmark: {line}");
        };
        println!(
            "Redis, {what}: {rate:.0} a second, {:.0} a core-second; p50 {:.0} us, p99 {:.0} us, most {:.0} us",
            requests as f64 / cpu,
            p50 * 1e3,
            p99 * 1e3,
            max * 1e3
        );
        Ok(())
    };
    let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
    let n = options.seconds * 50_000;
    bench("HGET, 1 connection", 1, n / 5, &words("HGET totals __rand_int__"))?;
    bench("HGET, 64 connections", 64, n, &words("HGET totals __rand_int__"))?;
    let many = format!("HMGET totals{}", " __rand_int__".repeat(100));
    bench("HMGET of 100, 1 connection", 1, n / 20, &words(&many))?;
    let mut count = vec!["PFCOUNT".to_string()];
    count.extend((0..HOURS).map(|hour| key(3, hour)));
    bench("PFCOUNT of 720 hours, 1 connection", 1, n / 500, &count)
}

/// Totals of all pages, and hours and events of the hot ones.
fn postgres(log: &Log, options: &Options) -> Result<()> {
    let server = Server::start(&[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&server.url("postgres"), tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        client
            .batch_execute(
                "CREATE TABLE totals (page text PRIMARY KEY, n int8); \
                 CREATE TABLE counts (page text, hour int8, n int8, PRIMARY KEY (page, hour)); \
                 CREATE TABLE events (page text, hour int8, who int8)",
            )
            .await?;
        let keys: Vec<String> = (0..log.pages).map(Log::key).collect();
        let n: Vec<i64> = (0..log.pages).map(|page| (HOURS * Log::events(page)) as i64).collect();
        let fill = "INSERT INTO totals SELECT * FROM unnest($1::text[], $2::int8[])";
        client.execute(fill, &[&keys, &n]).await?;
        for page in 0..HOT {
            let hours: Vec<i64> = (0..HOURS as i64).collect();
            let fill = "INSERT INTO counts SELECT $1, h, $3 FROM unnest($2::int8[]) h";
            client
                .execute(fill, &[&Log::key(page), &hours, &(Log::events(page) as i64)])
                .await?;
            for hour in 0..HOURS {
                let who: Vec<i64> = (0..Log::events(page))
                    .map(|n| Log::user(page, hour, n) as i64)
                    .collect();
                let fill = "INSERT INTO events SELECT $1, $2, w FROM unnest($3::int8[]) w";
                client.execute(fill, &[&Log::key(page), &(hour as i64), &who]).await?;
            }
        }
        client.batch_execute("CREATE INDEX ON events (page, hour, who)").await?;
        client.batch_execute("VACUUM ANALYZE").await?;
        drop(client);
        connection.await??;
        anyhow::Ok(())
    })?;
    let pid = std::fs::read_to_string(server.dir().join("data/postmaster.pid")).context("postmaster.pid")?;
    let pid: u32 = pid.lines().next().context("no process")?.trim().parse()?;
    let page = format!("\\set r random(0, {} - 1)\n", log.pages);
    let hot = format!("\\set r random(0, {HOT} - 1)\n");
    let key = "lpad(:r::text, 12, '0')";
    let get = format!("{page}SELECT n FROM totals WHERE page = {key};\n");
    let many: String = (0..100)
        .map(|i| format!("\\set r{i} random(0, {} - 1)\n", log.pages))
        .collect();
    let keys: Vec<String> = (0..100).map(|i| format!("lpad(:r{i}::text, 12, '0')")).collect();
    let many = format!(
        "{many}SELECT page, n FROM totals WHERE page IN ({});\n",
        keys.join(", ")
    );
    let cases = [
        ("one total, 1 connection", 1, get.clone()),
        ("one total, 64 connections", 64, get),
        ("100 totals, 1 connection", 1, many),
        (
            "sum of 720 hours, 1 connection",
            1,
            format!("{hot}SELECT sum(n) FROM counts WHERE page = {key} AND hour >= 0 AND hour < {HOURS};\n"),
        ),
        (
            "count(DISTINCT) over 720 hours of events, 1 connection",
            1,
            format!(
                "{hot}SELECT count(DISTINCT who) FROM events WHERE page = {key} AND hour >= 0 AND hour < {HOURS};\n"
            ),
        ),
    ];
    for (what, connections, sql) in cases {
        pgbench(&server, pid, what, connections, &sql, options)?;
    }
    Ok(())
}

fn pgbench(server: &Server, pid: u32, what: &str, connections: u32, sql: &str, options: &Options) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let script = dir.path().join("script.sql");
    std::fs::write(&script, sql)?;
    let before = process::cpu(pid)?;
    let out = Command::new("pgbench")
        .args([
            "-n",
            "-M",
            "prepared",
            "-j",
            "1",
            "-c",
            &connections.to_string(),
            "-T",
            &options.seconds.to_string(),
        ])
        .args(["-l", "--log-prefix", "times", "-f"])
        .arg(&script)
        .arg(server.url("postgres"))
        .current_dir(dir.path())
        .output()
        .context("cannot start `pgbench` (Debian and Ubuntu: apt-get install postgresql-contrib)")?;
    // What a back end used is known when it has ended.
    std::thread::sleep(Duration::from_millis(500));
    ensure!(
        out.status.success(),
        "pgbench: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    let cpu = process::cpu(pid)? - before;
    let mut times: Vec<u64> = Vec::new();
    for entry in std::fs::read_dir(dir.path())? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "sql") {
            let text = std::fs::read_to_string(&path)?;
            // Client, number, time in microseconds, ..
            times.extend(text.lines().filter_map(|l| l.split(' ').nth(2)?.parse::<u64>().ok()));
        }
    }
    ensure!(!times.is_empty(), "pgbench wrote no times");
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get(((times.len() - 1) as f64 * share) as usize)
            .copied()
            .unwrap_or(0)
    };
    println!(
        "PostgreSQL, {what}: {:.0} a second, {:.0} a core-second; p50 {} us, p99 {} us, most {} us",
        times.len() as f64 / options.seconds as f64,
        times.len() as f64 / cpu,
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}
