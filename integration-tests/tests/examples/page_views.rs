//! Windows of the web log against a plain pass over its lines for each question.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use rufous::client::{Client, End, Window, WindowAnswer};
use rufous::{HopSize, Timestamp};
use rufous_examples::page_views::{BY_PAGE, BY_STATUS, Visits, page_views};
use rufous_integration_tests::data;
use serde_json::{Value, json};

use super::{Estimates, Program};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// New York in the summer.
const OFFSET: i64 = -4 * HOUR;

/// A line: when, host, page, status, bytes.
struct Line {
    at: i64,
    host: String,
    url: String,
    status: u16,
    bytes: u64,
}

fn sample() -> String {
    let mut text = "host\tlogname\ttime\tmethod\turl\tresponse\tbytes\treferer\tuseragent\n".to_string();
    for i in 0..9_000u64 {
        let (host, page, at) = (i * i % 53, i % 7 % 5, 807_256_800 + i * 5);
        let status = [200, 200, 304, 404][(i % 4) as usize];
        text += &format!("h{host}.gov\t-\t{at}\tGET\t/p{page}\t{status}\t{i}\t\t\n");
    }
    text
}

fn parsed(text: &str) -> Result<Vec<Line>> {
    let line = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        Ok(Line {
            at: cells[2].parse::<i64>()? * 1000,
            host: cells[0].into(),
            url: cells[4].into(),
            status: cells[5].parse()?,
            bytes: cells[6].parse()?,
        })
    };
    text.lines().skip(1).map(line).collect()
}

fn down(at: i64, to: i64) -> i64 {
    at.div_euclid(to) * to
}

/// What a window covers, from what the example declares: five minutes serve two days, hours serve sixty, days of New York the rest.
/// Hops that end so long before what is sealed are gone.
fn covered(from: i64, to: i64, sealed: Option<i64>) -> Range<Timestamp> {
    let serves = |(size, keep): &(i64, i64)| {
        let end = down(from, *size) + size;
        to - from <= *keep && sealed.is_none_or(|sealed| end > sealed - keep)
    };
    let size = [(5 * MINUTE, 2 * DAY), (HOUR, 60 * DAY)].into_iter().find(serves);
    let start = size.map_or(down(from + OFFSET, DAY) - OFFSET, |(size, _)| down(from, size));
    Timestamp(start)..Timestamp(down(to + 5 * MINUTE - 1, 5 * MINUTE))
}

/// Views, bytes and visitors: each line is asked.
fn plainly(lines: &[Line], url: &str, span: &Range<Timestamp>) -> (u64, u64, usize) {
    let these = || {
        let inside = |l: &&Line| l.url == url && span.contains(&Timestamp(l.at));
        lines.iter().filter(inside)
    };
    let hosts: BTreeSet<&str> = these().map(|l| l.host.as_str()).collect();
    (these().count() as u64, these().map(|l| l.bytes).sum(), hosts.len())
}

struct World {
    lines: Vec<Line>,
    /// Up to where batches are published.
    sealed: Option<i64>,
    estimates: Estimates,
}

impl World {
    fn same(&mut self, url: &str, got: &WindowAnswer<Visits>) -> Result<()> {
        let want = plainly(&self.lines, url, &got.covered);
        let value = got.answer.value.as_ref();
        let sums = value.map_or((0, 0), |v| (v.views, v.bytes));
        ensure!(sums == (want.0, want.1), "{url}, {got}: {sums:?} for {want:?}");
        ensure!(value.is_some() == (want.0 > 0), "{url}, {got}: nothing is not zero");
        if let Some(visits) = value {
            self.estimates.check(&visits.visitors, want.2);
        }
        Ok(())
    }

    fn check(&mut self, client: &Client) -> Result<()> {
        let views = client.windows(BY_PAGE)?;
        let newest = self.lines.iter().map(|l| l.at).max().context("a line")?;
        let oldest = self.lines.iter().map(|l| l.at).min().context("a line")?;
        let urls: BTreeSet<&str> = self.lines.iter().map(|l| l.url.as_str()).collect();
        let mut urls: Vec<String> = urls.into_iter().map(str::to_string).collect();
        let count = |url: &String| self.lines.iter().filter(|l| l.url == *url).count();
        urls.sort_by_cached_key(|url| std::cmp::Reverse(count(url)));
        urls.truncate(4);
        urls.push("/no/such/page".into());
        // On edges of hops, within them, and on midnights; ends before, within and behind the log.
        let ends = [
            oldest,
            down(oldest, HOUR) + 5 * HOUR,
            down(oldest, HOUR) + 5 * HOUR + 1,
            down(newest, 5 * MINUTE) - 1,
            newest,
            newest + 1,
            down(newest, DAY) + DAY,
            newest + 3 * DAY,
        ];
        let lengths = [
            1,
            5 * MINUTE,
            17 * MINUTE,
            3 * HOUR,
            DAY,
            2 * DAY,
            2 * DAY + HOUR,
            9 * DAY + 1,
            60 * DAY,
            90 * DAY,
        ];
        for url in &urls {
            for to in ends {
                for length in lengths {
                    let span = Timestamp(to - length)..Timestamp(to);
                    let got = views.get(url, Window::between(span.start, span.end))?;
                    ensure!(got.asked == span, "{url}: {got}");
                    ensure!(
                        got.covered == covered(to - length, to, self.sealed),
                        "{url}: {length} before {to}: {got}"
                    );
                    self.same(url, &got)?;
                }
            }
            // Hour by hour: as many as there are, without gap or overlap.
            let within = Window::between(Timestamp(oldest), Timestamp(newest + 1));
            let hours = views.tumbling(url, within, HopSize::hours(1))?;
            ensure!(hours.len() as i64 == down(newest, HOUR) / HOUR - down(oldest, HOUR) / HOUR + 1);
            for pair in hours.windows(2) {
                ensure!(pair[0].asked.end == pair[1].asked.start && pair[1].asked.start.0 % HOUR == 0);
            }
            for hour in &hours {
                self.same(url, hour)?;
            }
            let all: u64 = hours.iter().filter_map(|h| Some(h.answer.value.as_ref()?.views)).sum();
            ensure!(
                all == self.lines.iter().filter(|l| l.url == *url).count() as u64,
                "{url}: {all}"
            );
            let end = End::At(Timestamp(newest + 1));
            let day = views.get(url, Window::last_hops(1, HopSize::calendar_day(), end))?;
            ensure!(day.covered.start.0 == down(newest + OFFSET, DAY) - OFFSET, "{day}");
            self.same(url, &day)?;
        }
        let statuses = client.windows(BY_STATUS)?;
        for status in [200u16, 302, 304, 404, 500] {
            for to in ends {
                for length in lengths {
                    let got = statuses.get(status, Window::between(Timestamp(to - length), Timestamp(to)))?;
                    let inside = |l: &&Line| l.status == status && got.covered.contains(&Timestamp(l.at));
                    let want = self.lines.iter().filter(inside).count() as u64;
                    ensure!(got.answer.value.unwrap_or(0) == want, "{status}, {got}: {want}");
                }
            }
        }
        Ok(())
    }
}

#[test]
fn page_views_in_windows() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = match data::large() {
        Some(root) => root.join("weblog/nasa-http-1995-08-01.tsv"),
        None => {
            let at = dir.path().join("nasa.tsv");
            std::fs::write(&at, sample())?;
            at
        }
    };
    let mut world = World {
        lines: parsed(&std::fs::read_to_string(&at)?)?,
        sealed: None,
        estimates: Estimates::default(),
    };
    let source = format!("hits=file:{}+tsv-header", at.display());
    let exe = env!("CARGO_BIN_EXE_job-page-views");
    let program = Program::new(exe, page_views().plan()?, &[source])?;
    program.run(&["stream", "--until-end"])?;
    world.check(&program.client()?)?;
    let url = world.lines[0].url.clone();
    let to_sealed = Window::last_hours(3, End::Sealed);
    let e = program.client()?.windows(BY_PAGE)?.get(&url, to_sealed);
    ensure!(e.is_err_and(|e| e.to_string().contains("nothing is sealed")));

    program.live_then_bulk()?;
    // The hour that was under way is open: what is sealed ends where it begins.
    let newest = world.lines.iter().map(|l| l.at).max().context("a line")?;
    world.sealed = Some(down(newest, HOUR));
    world.check(&program.client()?)?;
    let sealed = program.client()?.windows(BY_PAGE)?.get(&url, to_sealed)?;
    let end = down(newest, HOUR);
    ensure!(sealed.asked == (Timestamp(end - 3 * HOUR)..Timestamp(end)), "{sealed}");
    world.same(&url, &sealed)?;

    // The command says the same.
    let end = Timestamp(newest + 1).to_string();
    let args = [
        "window", &url, "--store", "by-page", "--last", "100m", "--end", &end, "--json",
    ];
    let said: Value = serde_json::from_str(&program.run(&args)?)?;
    let span = covered(newest + 1 - 100 * MINUTE, newest + 1, world.sealed);
    let want = plainly(&world.lines, &url, &span);
    ensure!(
        said["value"]["views"] == want.0 && said["value"]["bytes"] == want.1,
        "{said}"
    );
    ensure!(
        said["window"]["covered"] == json!({"start": span.start.to_string(), "end": span.end.to_string()}),
        "{said}"
    );
    world.estimates.finish()
}
