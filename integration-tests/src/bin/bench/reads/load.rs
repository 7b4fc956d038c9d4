//! Load over HTTP by `wrk`: a known tool, so that nothing of Rufous measures itself.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// The total of any page.
    Get,
    /// The totals of 100 pages.
    Many,
    /// A window of a hot page in this store.
    Window(&'static str),
}

pub(super) struct Wrk<'a> {
    pub(super) kind: Kind,
    pub(super) connections: u32,
    pub(super) pages: u64,
    pub(super) window: &'a str,
    pub(super) seconds: u64,
}

/// What came of it; times in microseconds.
pub(super) struct Load {
    requests: f64,
    seconds: f64,
    bad: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Wrk<'_> {
    fn script(&self) -> String {
        let pages = self.pages;
        let request = match self.kind {
            Kind::Get => format!(
                "return wrk.format('GET', string.format('/v1/stores/totals/keys/%012d', math.random(0, {pages} - 1)))"
            ),
            Kind::Many => format!(
                "local keys = {{}}\n\
                 for i = 1, 100 do keys[i] = string.format('\"%012d\"', math.random(0, {pages} - 1)) end\n\
                 return wrk.format('POST', '/v1/stores/totals/get', {{['content-type'] = 'application/json'}}, \
                 '{{\"keys\":[' .. table.concat(keys, ',') .. ']}}')"
            ),
            Kind::Window(store) => format!(
                "return wrk.format('GET', string.format('/v1/stores/{store}/windows/%012d?{}', math.random(0, {} - 1)))",
                self.window,
                rufous_integration_tests::hourly::HOT
            ),
        };
        format!(
            "math.randomseed(7)\n\
             function request()\n{request}\nend\n\
             function done(s, latency, r)\n\
             local e = s.errors\n\
             io.write(string.format('result %d %d %d %d %d %d %d\\n', s.requests, s.duration, \
             e.connect + e.read + e.write + e.status + e.timeout, \
             latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))\n\
             end\n"
        )
    }
    /// # Errors
    /// Without `wrk`, or when it fails.
    pub(super) fn run(&self, url: &str) -> Result<Load> {
        let script = tempfile::Builder::new().suffix(".lua").tempfile()?;
        std::fs::write(script.path(), self.script())?;
        let out = Command::new("wrk")
            .args([
                "-t1",
                &format!("-c{}", self.connections),
                &format!("-d{}s", self.seconds),
                "-s",
            ])
            .arg(script.path())
            .arg(url)
            .output()
            .context("cannot start `wrk`: install it (Debian and Ubuntu: apt-get install wrk)")?;
        let text = String::from_utf8_lossy(&out.stdout);
        let line = text.lines().find_map(|l| l.strip_prefix("result "));
        let line =
            line.with_context(|| format!("wrk: {}{text}{}", out.status, String::from_utf8_lossy(&out.stderr)))?;
        let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        ensure!(numbers.len() == 7, "wrk: {line}");
        let at = |i: usize| numbers.get(i).copied().unwrap_or(f64::NAN);
        Ok(Load {
            requests: at(0),
            seconds: at(1) / 1e6,
            bad: at(2),
            p50: at(3),
            p99: at(4),
            p999: at(5),
            max: at(6),
        })
    }
}

impl Load {
    /// `cpu`: seconds of the server, and of the owner of the realtime part.
    pub(super) fn show(&self, cpu: Option<[f64; 2]>) -> String {
        let core = cpu.map(|[server, owner]| {
            format!(
                ", {:.0} a core-second (server {server:.1} s, owner {owner:.1} s)",
                self.requests / (server + owner)
            )
        });
        format!(
            "{:.0} a second{}; p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, most {:.0} us; {:.0} failed",
            self.requests / self.seconds,
            core.unwrap_or_default(),
            self.p50,
            self.p99,
            self.p999,
            self.max,
            self.bad
        )
    }
}
