//! The examples over real data: every job as a program, live over files and in bulk, against plain collections and against
//! the answers of other engines. Without `RUFOUS_DATA` a small sample takes the place of the real data.

mod ads;
mod anomalies;
mod months;
mod page_views;
mod payments;
mod tweets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rufous::client::{Client, ClientParts};
use rufous::core::{COUNTERS, Key, Plan, PrefixOf};
use rufous::store_api::{Layout, ManifestLog, Until};
use rufous::{Codec, Hll, Semigroup, Store};
use rufous_examples::retail::BY_COUNTRY_DAY;
use rufous_examples::shoppers::{BASKETS, BY_DAY, NO_CUSTOMER};
use rufous_examples::weblog::{BAD_REQUESTS, NO_HIT, TRAFFIC};
use rufous_examples::{github, retail, shoppers, weblog};
use rufous_integration_tests::data;
use rufous_integration_tests::run::Bytes;
use rufous_store_offline::{Generations, Manifests};
use serde_json::{Value, json};

/// A job's program and its data directory.
struct Program {
    exe: &'static str,
    plan: Plan,
    dir: tempfile::TempDir,
    sources: Vec<String>,
}

impl Program {
    fn new(exe: &'static str, plan: Plan, sources: &[String]) -> Result<Self> {
        Ok(Self {
            exe,
            plan,
            dir: tempfile::tempdir()?,
            sources: sources.to_vec(),
        })
    }
    fn run(&self, args: &[&str]) -> Result<String> {
        let sources = self.sources.iter().flat_map(|s| ["--source", s.as_str()]);
        let out = Command::new(self.exe)
            .args(args)
            .args(sources)
            .current_dir(self.dir.path())
            .output()?;
        let err = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{args:?}: {err}");
        Ok(String::from_utf8(out.stdout)?)
    }
    /// What another process reads.
    fn client(&self) -> Result<Client> {
        let layout = Layout::new(&self.dir.path().join("data"), "main")?;
        let (job, stores, realtime) = (self.plan.job().to_string(), self.plan.stores().to_vec(), layout.clone());
        Ok(Client::new(ClientParts {
            manifests: Arc::new(Manifests::new(layout.manifests(&job))),
            generations: Arc::new(Generations::new(layout.offline(&job))),
            realtime: Arc::new({
                let job = job.clone();
                move |namespace: &str, _: &Until| {
                    let dir = realtime.realtime(&job, namespace);
                    Ok(rufous_store_rocksdb::RocksReader::open(&dir, namespace, &stores)?.map(Arc::from))
                }
            }),
            job,
        }))
    }
    /// Every answer of every store, counters included, as bytes.
    fn answers(&self) -> Result<Vec<(&'static str, Bytes)>> {
        let client = self.client()?;
        let rows = |face: &rufous::core::StoreFace| {
            let (rows, _) = client.raw(*face).under(&[])?;
            Ok((face.name, rows.into_iter().collect()))
        };
        self.plan.stores().iter().map(rows).collect()
    }
    fn all<K: Key + PrefixOf<()>, V: Codec + Semigroup>(&self, store: Store<K, V>) -> Result<Vec<(K, V)>> {
        let rows = self.client()?.store(store)?.under(())?;
        rows.into_iter()
            .map(|(key, answer)| Ok((key, answer.value.context("a value")?)))
            .collect()
    }
    fn counter(&self, name: &str) -> Result<u64> {
        Ok(self.client()?.store(COUNTERS)?.get(name)?.value.unwrap_or(0))
    }
    /// Live to the end of the files, then what is sealed in bulk from the archive: the answers stay.
    fn live_then_bulk(&self) -> Result<()> {
        self.run(&["stream", "--until-end"])?;
        let live = self.answers()?;
        let report = self.run(&["batch"])?;
        let layout = Layout::new(&self.dir.path().join("data"), "main")?;
        let newest = Manifests::new(layout.manifests(self.plan.job()))
            .newest(0)?
            .context("a manifest")?;
        for store in self.plan.stores() {
            let runs = newest.stores.get(store.name).map_or(0, |s| s.runs.len());
            ensure!(runs > 0, "nothing of store {} was published: {report}", store.name);
        }
        same("after the batch run", &self.answers()?, &live)
    }
}

fn same(what: &str, got: &[(&'static str, Bytes)], expected: &[(&'static str, Bytes)]) -> Result<()> {
    for ((store, got), (_, expected)) in got.iter().zip(expected) {
        let differing = expected
            .keys()
            .chain(got.keys())
            .find(|k| got.get(*k) != expected.get(*k))
            .map(|k| String::from_utf8_lossy(k).into_owned());
        ensure!(
            differing.is_none(),
            "{what}, store {store}: {} keys, expected {}; different at {differing:?}",
            got.len(),
            expected.len()
        );
    }
    ensure!(got.len() == expected.len(), "{what}: {} stores", got.len());
    Ok(())
}

/// How many estimates there were, and how many lie outside their bounds of two standard errors.
#[derive(Default)]
struct Estimates {
    all: usize,
    outside: usize,
}

impl Estimates {
    fn check<const P: u8>(&mut self, sketch: &Hll<P>, exact: usize) {
        let e = sketch.estimate();
        self.all += 1;
        self.outside += usize::from(!(e.low..=e.high).contains(&(exact as f64)));
    }
    /// Bounds of two standard errors hold for 95 % of all sketches.
    fn finish(self) -> Result<()> {
        ensure!(
            self.outside * 20 <= self.all,
            "{} of {} estimates outside their bounds",
            self.outside,
            self.all
        );
        Ok(())
    }
}

fn lines(bytes: &[u8]) -> Result<Vec<Value>> {
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    lines.map(|l| Ok(serde_json::from_slice(l)?)).collect()
}

fn text<'a>(record: &'a Value, field: &str) -> Result<&'a str> {
    record[field].as_str().with_context(|| format!("{field} in {record}"))
}

fn expected(root: &Path, name: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(
        root.join("expected").join(name),
    )?)?)
}

fn pairs(list: &Value) -> Result<Vec<(String, u64)>> {
    let pairs = list.as_array().context("a list")?.iter();
    pairs
        .map(|pair| {
            let key = pair[0].as_str().map_or_else(|| pair[0].to_string(), str::to_string);
            Ok((key, pair[1].as_u64().context("a number")?))
        })
        .collect()
}

fn object(value: &Value) -> Result<&serde_json::Map<String, Value>> {
    value.as_object().context("an object")
}

/// The retail rows: as JSON lines to follow, as Parquet, and as values.
struct Retail {
    lines: PathBuf,
    parquet: PathBuf,
    rows: Vec<Value>,
    _dir: tempfile::TempDir,
}

fn retail_data() -> Result<Retail> {
    let dir = tempfile::tempdir()?;
    if let Some(root) = data::large() {
        let lines_at = root.join("retail/retail-2010-12--2011-05.jsonl.zst");
        let mut bytes = Vec::new();
        let mut packed = std::fs::File::open(&lines_at)?;
        unzstd(&mut packed, &mut bytes)?;
        return Ok(Retail {
            lines: lines_at,
            parquet: root.join("retail/parquet"),
            rows: lines(&bytes)?,
            _dir: dir,
        });
    }
    let mut rows = Vec::new();
    for i in 0..2_000i64 {
        let (day, cancelled) = (1 + i / 300, i % 31 == 0);
        let mut row = json!({
            "invoice_no": format!("{}{}", if cancelled { "C" } else { "" }, 536_365 + i / 7),
            "stock_code": format!("{}A", 20_000 + i * i % 97),
            "quantity": if cancelled { -(i % 12) } else { i % 12 },
            "invoice_date": format!("2010-12-0{day}T{:02}:{:02}:00", 8 + i % 300 / 60, i % 60),
            "unit_price": (i % 1_000) as f64 / 1_000.0,
            "country": (["United Kingdom", "EIRE", "France"][(i % 11 % 3) as usize]),
        });
        if i % 4 != 0 {
            row["customer_id"] = json!(12_346 + i % 53);
        }
        rows.push(row);
    }
    let lines_at = dir.path().join("retail.jsonl");
    let text: String = rows.iter().map(|r| format!("{r}\n")).collect();
    std::fs::write(&lines_at, text)?;
    let parquet = dir.path().join("retail.parquet");
    write_parquet(&parquet, &rows)?;
    Ok(Retail {
        lines: lines_at,
        parquet,
        rows,
        _dir: dir,
    })
}

fn write_parquet(path: &Path, rows: &[Value]) -> Result<()> {
    use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
    let texts = |name: &str| -> ArrayRef { Arc::new(rows.iter().map(|r| r[name].as_str()).collect::<StringArray>()) };
    let numbers = |name: &str| -> ArrayRef {
        Arc::new(
            rows.iter()
                .map(|r| r[name].as_i64().map(|n| n as i32))
                .collect::<Int32Array>(),
        )
    };
    let prices: ArrayRef = Arc::new(rows.iter().map(|r| r["unit_price"].as_f64()).collect::<Float64Array>());
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("invoice_no", texts("invoice_no"), true),
        ("stock_code", texts("stock_code"), true),
        ("quantity", numbers("quantity"), true),
        ("invoice_date", texts("invoice_date"), true),
        ("unit_price", prices, true),
        ("customer_id", numbers("customer_id"), true),
        ("country", texts("country"), true),
    ])?;
    let file = std::fs::File::create(path)?;
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// The `zstd` program would do as well; this is the decoder that the tests have anyway.
fn unzstd(packed: &mut std::fs::File, bytes: &mut Vec<u8>) -> Result<()> {
    use std::io::Read;
    ruzstd::decoding::StreamingDecoder::new(packed)?.read_to_end(bytes)?;
    Ok(())
}

/// A retail job live over JSON lines and then in bulk from the archive, and another in bulk over Parquet: the same answers.
fn both_ways(exe: &'static str, plan: impl Fn() -> Result<Plan>, input: &Retail) -> Result<Program> {
    let live = Program::new(exe, plan()?, &[format!("lines=file:{}", input.lines.display())])?;
    live.live_then_bulk()?;
    let bulk = Program::new(exe, plan()?, &[format!("lines=parquet:{}", input.parquet.display())])?;
    bulk.run(&["batch"])?;
    same("Parquet and JSON lines", &bulk.answers()?, &live.answers()?)?;
    Ok(bulk)
}

/// What a country and a day, or a country, has.
#[derive(Default)]
struct Sales<'a> {
    rows: u64,
    quantity: i64,
    revenue_milli: i64,
    cancelled: u64,
    invoices: BTreeSet<&'a str>,
    items: BTreeSet<&'a str>,
    customers: BTreeSet<u64>,
}

#[test]
fn retail_totals() -> Result<()> {
    let input = retail_data()?;
    let program = both_ways(
        env!("CARGO_BIN_EXE_job-retail"),
        || Ok(retail::retail().plan()?),
        &input,
    )?;

    let mut exact: BTreeMap<(String, String), Sales<'_>> = BTreeMap::new();
    for row in &input.rows {
        let key = (
            text(row, "country")?.to_string(),
            text(row, "invoice_date")?[..10].to_string(),
        );
        let sales = exact.entry(key).or_default();
        let quantity = row["quantity"].as_i64().context("quantity")?;
        let price = row["unit_price"].as_f64().context("unit_price")?;
        sales.rows += 1;
        sales.quantity += quantity;
        sales.revenue_milli += quantity * (price * 1000.0).round() as i64;
        sales.cancelled += u64::from(text(row, "invoice_no")?.starts_with('C'));
        sales.invoices.insert(text(row, "invoice_no")?);
        sales.items.insert(text(row, "stock_code")?);
        sales.customers.extend(row["customer_id"].as_u64());
    }
    let all = program.all(BY_COUNTRY_DAY)?;
    ensure!(all.len() == exact.len(), "{} keys, expected {}", all.len(), exact.len());
    let mut estimates = Estimates::default();
    for ((country, day), got) in &all {
        let want = exact
            .get(&(country.clone(), day.to_string()))
            .context("an answer too many")?;
        let (got_exact, want_exact) = (
            (got.rows, got.quantity, got.revenue_milli, got.cancelled),
            (want.rows, want.quantity, want.revenue_milli, want.cancelled),
        );
        ensure!(
            got_exact == want_exact,
            "{country} {day}: {got_exact:?} for {want_exact:?}"
        );
        estimates.check(&got.invoices, want.invoices.len());
        estimates.check(&got.items, want.items.len());
        estimates.check(&got.customers, want.customers.len());
    }

    if let Some(root) = data::large() {
        let expected = expected(&root, "retail.json")?;
        let store = program.client()?.store(BY_COUNTRY_DAY)?;
        for (country, want) in object(&expected["per_country"])? {
            let got = store.sum_under((country.as_str(),))?.value.context("a country")?;
            ensure!(
                want["rows"] == got.rows
                    && want["quantity"] == got.quantity
                    && want["revenue_milli"] == got.revenue_milli,
                "{country}: {want}"
            );
            estimates.check(
                &got.customers,
                want["customers"].as_u64().context("customers")? as usize,
            );
            estimates.check(&got.items, want["items"].as_u64().context("items")? as usize);
        }
        let whole = store.sum_under(())?.value.context("the whole")?;
        ensure!(
            expected["rows"] == whole.rows
                && expected["quantity_sum"] == whole.quantity
                && expected["revenue_milli"] == whole.revenue_milli
                && expected["cancelled_rows"] == whole.cancelled,
            "totals: {whole:?}"
        );
        for (sketch, name) in [
            (&whole.invoices, "distinct_invoices"),
            (&whole.items, "distinct_items"),
            (&whole.customers, "distinct_customers"),
        ] {
            estimates.check(sketch, expected[name].as_u64().context("a count")? as usize);
        }
    }
    estimates.finish()
}

#[test]
fn shoppers_uniques() -> Result<()> {
    let input = retail_data()?;
    let program = both_ways(
        env!("CARGO_BIN_EXE_job-shoppers"),
        || Ok(shoppers::shoppers().plan()?),
        &input,
    )?;

    let mut baskets: BTreeMap<(u64, String), (u64, BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    let mut days: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let mut nobody = 0;
    for row in &input.rows {
        let day = text(row, "invoice_date")?[..10].to_string();
        let Some(customer) = row["customer_id"].as_u64() else {
            nobody += 1;
            continue;
        };
        days.entry(day.clone()).or_default().insert(customer);
        let basket = baskets.entry((customer, day)).or_default();
        basket.0 += 1;
        basket.1.insert(text(row, "stock_code")?);
        basket.2.insert(text(row, "invoice_no")?);
    }
    ensure!(
        nobody > 0 && program.counter(NO_CUSTOMER.name())? == nobody,
        "rows without a customer"
    );
    let all = program.all(BASKETS)?;
    ensure!(
        all.len() == baskets.len(),
        "{} baskets, expected {}",
        all.len(),
        baskets.len()
    );
    for ((customer, day), got) in &all {
        let want = baskets
            .get(&(u64::from(*customer), day.to_string()))
            .context("a basket too many")?;
        ensure!(
            got.rows == want.0 && got.items.iter().eq(&want.1) && got.invoices.iter().eq(&want.2),
            "{customer} {day}: {got:?}"
        );
    }
    let by_day = program.all(BY_DAY)?;
    ensure!(
        by_day.len() == days.len(),
        "{} days, expected {}",
        by_day.len(),
        days.len()
    );
    let mut estimates = Estimates::default();
    for (day, got) in &by_day {
        let want = days.get(&day.to_string()).context("a day too many")?;
        ensure!(
            got.customers.iter().map(|c| u64::from(*c)).eq(want.iter().copied()),
            "{day}"
        );
        estimates.check(&got.estimate, want.len());
    }

    if let Some(root) = data::large() {
        let expected = expected(&root, "retail.json")?;
        ensure!(
            expected["customer_missing"] == nobody,
            "rows without a customer, by other engines"
        );
        let per_day = object(&expected["distinct_customers_per_day"])?;
        ensure!(per_day.len() >= by_day.len(), "{} days", by_day.len());
        for (day, got) in &by_day {
            ensure!(per_day[&day.to_string()] == got.customers.len(), "{day}");
        }
        let client = program.client()?;
        let whole = client.store(BY_DAY)?.sum_under(())?.value.context("the whole")?;
        ensure!(expected["distinct_customers"] == whole.customers.len(), "customers");
        estimates.check(&whole.estimate, whole.customers.len());
        let store = client.store(BASKETS)?;
        for (customer, rows) in pairs(&expected["top_customers_by_rows"])? {
            let got = store
                .sum_under((customer.parse::<u32>()?,))?
                .value
                .context("a customer")?;
            ensure!(got.rows == rows, "customer {customer}: {} for {rows}", got.rows);
        }
    }
    estimates.finish()
}

/// Lines of the sample: the EPA's and NASA's.
fn weblog_sample() -> (Vec<u8>, Vec<u8>) {
    let mut epa = Vec::new();
    for i in 0..9_000u32 {
        let time = format!("30:{:02}:{:02}:{:02}", i / 1_000, i % 60, i % 59);
        epa.extend(format!("h{}.gov [{time}] \"GET /", i % 71).into_bytes());
        epa.extend(if i % 500 == 0 { &b"\xe9 \xff"[..] } else { b"a.gif" });
        epa.extend(b" HTTP/1.0\" 200 ");
        epa.extend(if i % 8 == 0 {
            b"-".to_vec()
        } else {
            i.to_string().into_bytes()
        });
        epa.push(b'\n');
    }
    let mut nasa = b"host\tlogname\ttime\tmethod\turl\tresponse\tbytes\treferer\tuseragent\n".to_vec();
    for i in 0..9_000u32 {
        nasa.extend(format!("h{}.gov\t-\t{}\tGET\t/b\t200\t{i}\t\t\n", i % 53, 807_256_800 + i * 4).into_bytes());
    }
    (epa, nasa)
}

/// By host and hour: hits, bytes, hits without a number of bytes.
type Traffic = BTreeMap<(String, String), (u64, u64, u64)>;

/// Lines of good logs as ISO-8859-1, cut at spaces and tabs.
fn traffic(epa: &[u8], nasa: &[u8]) -> Result<Traffic> {
    let latin = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
    let mut all = Traffic::new();
    let mut add = |host: &str, hour: String, bytes: &str| -> Result<()> {
        let traffic = all.entry((host.to_string(), hour)).or_default();
        traffic.0 += 1;
        match bytes {
            "-" => traffic.2 += 1,
            bytes => traffic.1 += bytes.parse::<u64>()?,
        }
        Ok(())
    };
    for line in latin(epa).split('\n').filter(|l| !l.is_empty()) {
        let mut words = line.split(' ');
        let (host, time) = (words.next().context("host")?, words.next().context("time")?);
        let (day, hour) = (time[1..3].parse::<u32>()?, time[4..6].parse::<u32>()? + 4);
        let hour = format!("1995-08-{:02}T{:02}", day + hour / 24, hour % 24);
        add(host, hour, line.rsplit(' ').next().context("bytes")?)?;
    }
    for line in latin(nasa).split('\n').skip(1).filter(|l| !l.is_empty()) {
        let cells: Vec<&str> = line.split('\t').collect();
        let hour = (cells[2].parse::<u32>()? - 807_235_200) / 3_600;
        add(
            cells[0],
            format!("1995-08-{:02}T{:02}", 1 + hour / 24, hour % 24),
            cells[6],
        )?;
    }
    Ok(all)
}

#[test]
fn weblog_traffic() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (epa_at, nasa_at) = match data::large() {
        Some(root) => (
            root.join("weblog/epa-http-1995-08-30-h00-08.log"),
            root.join("weblog/nasa-http-1995-08-01.tsv"),
        ),
        None => {
            let (epa, nasa) = weblog_sample();
            let (epa_at, nasa_at) = (dir.path().join("epa.log"), dir.path().join("nasa.tsv"));
            std::fs::write(&epa_at, epa)?;
            std::fs::write(&nasa_at, nasa)?;
            (epa_at, nasa_at)
        }
    };
    let sources = [
        format!("epa=file:{}", epa_at.display()),
        format!("nasa=file:{}", nasa_at.display()),
    ];
    let program = Program::new(env!("CARGO_BIN_EXE_job-weblog"), weblog::weblog().plan()?, &sources)?;
    program.live_then_bulk()?;

    let exact = traffic(&std::fs::read(&epa_at)?, &std::fs::read(&nasa_at)?)?;
    let all = program.all(TRAFFIC)?;
    ensure!(all.len() == exact.len(), "{} keys, expected {}", all.len(), exact.len());
    for ((host, hour), got) in &all {
        let want = exact.get(&(host.clone(), hour.to_string())).context("a key too many")?;
        let got = (got.hits, got.bytes, got.without_bytes);
        ensure!(got == *want, "{host} {hour}: {got:?} for {want:?}");
    }
    let reasons = NO_HIT.map(|reason| program.counter(reason.name()));
    let reasons: Vec<u64> = reasons.into_iter().collect::<Result<_>>()?;
    ensure!(
        reasons == [1, 0, 0, 0, 0],
        "a header and nothing malformed: {reasons:?}"
    );
    let malformed_requests = program.counter(BAD_REQUESTS.name())?;
    ensure!(
        all.iter().map(|(_, t)| t.malformed_requests).sum::<u64>() == malformed_requests,
        "the counter and the store count the same requests"
    );

    let Some(root) = data::large() else {
        ensure!(malformed_requests == 18, "{malformed_requests} malformed requests");
        return Ok(());
    };
    // The logs are of different days of August 1995, so their hours are apart.
    let store = program.client()?.store(TRAFFIC)?;
    for (name, day) in [
        ("weblog-epa-http-1995-08-30-h00-08.json", "1995-08-30"),
        ("weblog-nasa-http-1995-08-01.json", "1995-08-01"),
    ] {
        let expected = expected(&root, name)?;
        let of_day: Vec<_> = all
            .iter()
            .filter(|((_, hour), _)| hour.to_string().starts_with(day))
            .collect();
        let bytes: u64 = of_day.iter().map(|(_, t)| t.bytes).sum();
        ensure!(expected["bytes_sum"] == bytes, "{day}: {bytes} bytes");
        let requests = object(&expected["requests_per_hour_utc"])?;
        for (hour, want) in requests {
            let of_hour: Vec<_> = of_day.iter().filter(|((_, h), _)| h.to_string() == *hour).collect();
            ensure!(
                *want == of_hour.iter().map(|(_, t)| t.hits).sum::<u64>(),
                "{hour}: requests"
            );
            ensure!(
                expected["distinct_hosts_per_hour_utc"][hour] == of_hour.len(),
                "{hour}: hosts"
            );
            if let Some(want) = expected["bytes_per_hour_utc"].get(hour) {
                ensure!(
                    *want == of_hour.iter().map(|(_, t)| t.bytes).sum::<u64>(),
                    "{hour}: bytes"
                );
            }
        }
        let hosts: BTreeSet<&str> = of_day.iter().map(|((host, _), _)| host.as_str()).collect();
        ensure!(
            expected["distinct_hosts"] == hosts.len(),
            "{day}: {} hosts",
            hosts.len()
        );
        for (host, want) in pairs(&expected["top_hosts"])? {
            let hits: u64 = of_day
                .iter()
                .filter(|((h, _), _)| *h == host)
                .map(|(_, t)| t.hits)
                .sum();
            ensure!(hits == want, "{day}, {host}: {hits} for {want}");
            let both = store.sum_under((host.as_str(),))?.value.context("a host")?;
            ensure!(both.hits >= want, "{host}: all hours");
        }
        if day == "1995-08-30" {
            ensure!(
                expected["bytes_missing"] == of_day.iter().map(|(_, t)| t.without_bytes).sum::<u64>(),
                "bytes"
            );
            ensure!(
                expected["malformed_requests"] == malformed_requests,
                "malformed requests"
            );
            ensure!(
                expected["lines"] == of_day.iter().map(|(_, t)| t.hits).sum::<u64>(),
                "lines"
            );
        } else {
            ensure!(
                expected["rows"] == of_day.iter().map(|(_, t)| t.hits).sum::<u64>(),
                "rows"
            );
        }
    }
    Ok(())
}

fn github_sample() -> String {
    let event = |i: u32| {
        let kind = ["PushEvent", "WatchEvent", "ForkEvent"][(i % 7 % 3) as usize];
        let commits = vec![json!({"sha": "x", "type": "no", "repo": {"name": "no"}}); (i % 4) as usize];
        let event = json!({
            "id": i.to_string(),
            "type": kind,
            "actor": {"id": i % 211},
            "repo": {"id": i, "name": format!("owner-{}/r\u{e9}po", i % 97)},
            "payload": {"commits": commits},
            "created_at": format!("2015-01-01T00:{:02}:{:02}Z", i / 60 % 60, i % 60),
        });
        format!("{event}\n")
    };
    (0..3_000).map(event).collect()
}

#[test]
fn github_events() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let bytes = match data::large() {
        Some(root) => data::read(&root.join("github/events-2015-01-01-00.jsonl.gz"))?,
        None => github_sample().into_bytes(),
    };
    let packed = dir.path().join("events.jsonl.gz");
    let mut gz = flate2::write::GzEncoder::new(std::fs::File::create(&packed)?, flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &bytes)?;
    gz.finish()?;
    let exe = env!("CARGO_BIN_EXE_job-github");
    let program = Program::new(
        exe,
        github::github().plan()?,
        &[format!("events=file:{}", packed.display())],
    )?;
    program.run(&["stream", "--until-end"])?;

    // In bulk an hour counts when it is over: an event of the next one says so.
    let next = r#"{"id":"1","type":"NextHour","actor":{"id":1},"repo":{"name":"next/hour"},"created_at":"2015-01-01T01:00:00Z"}"#;
    let growing = dir.path().join("growing.jsonl");
    std::fs::write(&growing, [&bytes[..], next.as_bytes(), b"\n"].concat())?;
    let hybrid = Program::new(
        exe,
        github::github().plan()?,
        &[format!("events=file:{}", growing.display())],
    )?;
    hybrid.live_then_bulk()?;
    let without = |answers: Vec<(&'static str, Bytes)>| -> Vec<(&'static str, Bytes)> {
        let keep = |key: &[u8]| !key.windows(8).any(|w| w == b"NextHour");
        let stores = answers.into_iter();
        stores
            .map(|(name, rows)| (name, rows.into_iter().filter(|(k, _)| keep(k)).collect()))
            .collect()
    };
    let hybrid_answers = hybrid.answers()?;
    let rows = |answers: &[(&'static str, Bytes)]| answers.iter().map(|(_, rows)| rows.len()).sum::<usize>();
    ensure!(
        rows(&hybrid_answers) == rows(&program.answers()?) + 3,
        "the next hour is in every store"
    );
    same("gz and growing file", &without(hybrid_answers), &program.answers()?)?;

    let (mut by_repo_type, mut by_type) = (BTreeMap::<(String, String), u64>::new(), BTreeMap::<String, u64>::new());
    let mut actors: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for event in lines(&bytes)? {
        let kind = text(&event, "type")?.to_string();
        let repo = text(&event["repo"], "name")?.to_string();
        *by_repo_type.entry((repo, kind.clone())).or_default() += 1;
        *by_type.entry(kind.clone()).or_default() += 1;
        actors
            .entry(kind)
            .or_default()
            .insert(event["actor"]["id"].as_u64().context("actor")?);
    }
    ensure!(
        program.all(github::BY_REPO_TYPE)?.into_iter().eq(by_repo_type),
        "events by repository and type"
    );
    ensure!(program.all(github::BY_TYPE)?.into_iter().eq(by_type), "events by type");
    let mut estimates = Estimates::default();
    let sketches = program.all(github::ACTORS)?;
    ensure!(
        sketches.iter().map(|(kind, _)| kind).eq(actors.keys()),
        "types of actors"
    );
    for (kind, sketch) in &sketches {
        estimates.check(sketch, actors[kind].len());
    }

    if let Some(root) = data::large() {
        let expected = expected(&root, "github-events-2015-01-01-00.json")?;
        let types = object(&expected["types"])?;
        let by_type = program.all(github::BY_TYPE)?;
        ensure!(
            by_type.len() == types.len() && by_type.iter().all(|(kind, n)| types[kind] == *n),
            "types"
        );
        ensure!(expected["rows"] == by_type.iter().map(|(_, n)| n).sum::<u64>(), "rows");
        let store = program.client()?.store(github::BY_REPO_TYPE)?;
        for (repo, events) in pairs(&expected["top_repos"])? {
            let got = store.sum_under((repo.as_str(),))?.value;
            ensure!(got == Some(events), "{repo}: {got:?} for {events}");
        }
        let repos: BTreeSet<String> = program
            .all(github::BY_REPO_TYPE)?
            .into_iter()
            .map(|((repo, _), _)| repo)
            .collect();
        ensure!(
            expected["distinct_repos"] == repos.len(),
            "{} repositories",
            repos.len()
        );
        for (kind, sketch) in &sketches {
            let want = expected["distinct_actors_per_type"][kind].as_u64().context("actors")?;
            estimates.check(sketch, want as usize);
        }
        let everybody = program
            .client()?
            .store(github::ACTORS)?
            .sum_under(())?
            .value
            .context("actors")?;
        estimates.check(
            &everybody,
            expected["distinct_actors"].as_u64().context("actors")? as usize,
        );
    }
    estimates.finish()
}
