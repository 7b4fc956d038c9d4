//! Benchmarks of whole jobs: `./x bench`. Each prints a rate and `exact: yes` when the answer equals the generated counts.

mod bulk;
mod clock;
mod flights;
mod reads;
mod realtime;
mod servers;
mod windows;
mod words;

use anyhow::Result;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = args.split_first() {
        match first.as_str() {
            "realtime" => return realtime::table(rest),
            "bulk" => return bulk::table(rest),
            "bulk-subject" => return bulk::subject(rest),
            "bulk-days" => return bulk::days(rest),
            "reads" => return reads::table(rest),
            "servers" => return servers::table(rest),
            "servers-subject" => return servers::subject(rest),
            "subject" => return realtime::subject(rest),
            "windows" => return windows::reads(),
            _ => {}
        }
    }
    let only: Vec<&String> = args.iter().filter(|a| !a.starts_with("--")).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| *o == name);
    if wanted("words-local") {
        words::words_local(50_000_000)?;
    }
    if wanted("words-kafka") {
        words::words_kafka(10_000_000)?;
    }
    if wanted("flights-parquet") {
        flights::flights_parquet(10)?;
    }
    Ok(())
}
