//! The console in a real browser, against a job that runs: what each view shows is what a plain program counts, nothing moves while
//! records come, nobody is left out who has no mouse or sees badly, and a server that goes away or asks who one is, is no end.
//!
//! `drive.mjs` does what a person would and says what it saw; here is compared. Its pictures are kept in `RUFOUS_SCREENSHOTS`.

mod judge;
mod world;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::process;
use serde_json::{Value, json};

use world::{HOSTILE, STORE, World, key};

const READ: &str = "read-0123456789abcdef";
const ADMIN: &str = "admin-0123456789abcdef";
/// Lines that are no flights.
const BAD: &str = "{\"date\":\"2001-01-06T00:00:00\",\"delay\":<script>window.pwned=true</script>}\n";

fn chromium() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").context("no PATH")?;
    let mut dirs = std::env::split_paths(&path);
    dirs.find_map(|dir| {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        names.iter().map(|name| dir.join(name)).find(|file| file.is_file())
    })
    .context("there is no Chromium: `./x setup test` installs it")
}

fn driver(url: &str, pictures: &Path, home: &Path) -> Result<Child> {
    let prepared = std::env::var_os("RUFOUS_BROWSER_DIR").context("RUFOUS_BROWSER_DIR is not set: run `./x test`")?;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/console/drive.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(prepared).arg(url).arg(pictures);
    // What a browser keeps goes away with the test.
    node.env("CHROMIUM", chromium()?).env("HOME", home).env("TMPDIR", home);
    node.stdin(Stdio::piped()).stdout(Stdio::piped());
    process::spawn(node)
}

#[test]
fn each_view_shows_what_is_so() -> Result<()> {
    let pictures = std::env::var_os("RUFOUS_SCREENSHOTS").map_or_else(
        || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("console"),
        PathBuf::from,
    );
    let mut world = World::new()?;
    for (days, generation) in [(1..5, 1), (5..6, 2)] {
        for day in days {
            world.arrive(day, 400)?;
        }
        world.run("stream", &["--until-end"])?;
        world
            .run("batch", &[])
            .with_context(|| format!("generation {generation}"))?;
    }
    let mut stream = world.stream()?;
    world.arrive(6, 300)?;
    world.append(1, BAD)?;
    world.live += 1;
    let late = world.arrive_late(2)?;
    let (mut server, url) = world.serve("0", &[])?;
    let home = tempfile::tempdir()?;
    let mut node = driver(&url, &pictures, home.path())?;
    let (mut to, from) = (
        node.stdin.take().context("no input")?,
        node.stdout.take().context("no output")?,
    );
    let (mut seen, mut others, mut counts) = (None, Vec::new(), Vec::new());
    let mut windows = None;
    // Takes questions, and answers none.
    let deaf = TcpListener::bind("127.0.0.1:0")?;
    for line in BufReader::new(from).lines() {
        let line = line?;
        if let Some(last) = line.strip_prefix("= ") {
            seen = Some(serde_json::from_str::<Value>(last)?);
            continue;
        }
        let Some(word) = line.strip_prefix("? ") else {
            println!("{line}");
            continue;
        };
        let answer = match word {
            "append" => {
                world.arrive(6, 200)?;
                counts.push(world.counted());
                world.live.to_string()
            }
            "key" => json!({ "store": STORE, "typed": "AT", "hostile": key(HOSTILE, 1), "wanted": key("ATL", 6), "mixed": key("ORD", 2) }).to_string(),
            "stop the server" => {
                process::stop(&mut server)?;
                String::new()
            }
            "start the server" => {
                server = world.serve(url.trim_start_matches("http://"), &[])?.0;
                String::new()
            }
            "guard" => {
                std::fs::write(world.path("read"), READ)?;
                std::fs::write(world.path("admin"), ADMIN)?;
                let (child, address) = world.serve("0", &["--token-file", "read", "--admin-token-file", "admin"])?;
                others.push(child);
                json!({ "read": READ, "admin": ADMIN, "address": address }).to_string()
            }
            "far" => {
                let (child, address) = world.without_archive(deaf.local_addr()?)?;
                others.push(child);
                json!({ "address": address }).to_string()
            }
            "windows" => {
                let (child, address, views) = world::windows(&world.path("views"))?;
                others.push(child);
                windows = Some(views);
                json!({ "address": address }).to_string()
            }
            other => anyhow::bail!("the driver asks `{other}`"),
        };
        writeln!(to, "{answer}")?;
    }
    node.wait()?;
    for child in others.iter_mut().chain([&mut server, &mut stream]) {
        process::stop(child)?;
    }
    let seen = seen.context("the driver said nothing at its end")?;
    std::fs::write(pictures.join("seen.json"), serde_json::to_vec_pretty(&seen)?)?;
    ensure!(
        seen["failed"].is_null(),
        "{}",
        seen["failed"].as_str().unwrap_or_default()
    );
    judge::page(&seen);
    judge::job(&seen["job"], &world, &late);
    judge::handover(&seen["handover"]);
    judge::answers(&seen["answers"], &counts);
    judge::windows(&seen["windows"], &windows.context("no windows were asked for")?);
    judge::health(&seen["health"]);
    judge::parts(&seen["parts"]);
    judge::again(&seen["again"]);
    judge::far(&seen["far"], &seen["handover"]);
    judge::gone(&seen["gone"]);
    judge::guarded(&seen["guarded"]);
    Ok(())
}
