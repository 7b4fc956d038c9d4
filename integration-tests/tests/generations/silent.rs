//! What `serve` shows while the bucket of the generations takes questions and says nothing (issue 11).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::process;
use rufous_integration_tests::s3::Server;
use rufous_integration_tests::settings::option;
use serde_json::Value;

use super::program::World;

/// A server; it ends with this value.
struct Serves {
    child: Child,
    address: String,
}

impl Serves {
    fn begin(w: &World) -> Result<Self> {
        // Who waits for so long is refused: a look that keeps a reader as long as the bucket may hang would be seen.
        let mut command = w.command(&["serve", "--listen", "0", "--set", "serve.request_ms=8000"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = process::spawn(command)?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut said)?;
        let address = said
            .trim()
            .strip_prefix("serving http://")
            .context(said.clone())?
            .into();
        Ok(Self { child, address })
    }
    fn ask(&self, view: &str) -> Result<(u16, Value)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(
            stream,
            "GET /v1/console/{view} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of the headers")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, serde_json::from_str(body)?))
    }
    fn look(&self, view: &str) -> Result<Value> {
        let (status, said) = self.ask(view)?;
        ensure!(status == 200, "{view}: {status} {said}");
        Ok(said)
    }
    fn until(&self, view: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let said = self.look(view)?;
            if is(&said) {
                return Ok(said);
            }
            ensure!(begun.elapsed() < Duration::from_secs(60), "{view}: {said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Serves {
    fn drop(&mut self) {
        let _ = process::kill(&mut self.child);
    }
}

fn reached(handover: &Value) -> bool {
    handover["unreached"].as_array().is_some_and(Vec::is_empty)
}

/// However many look at what lies in the bucket, what lies elsewhere is shown, each time; the hand-over says what of it is not of now, and all is
/// as it was when the bucket answers again.
#[test]
fn silent_generations_leave_room_for_the_rest() -> Result<()> {
    let mut server = Server::start("offline")?;
    let mut settings = "[offline]\nlocation = 's3://offline/some/prefix'\n[offline.options]\n".to_string();
    let secrets = tempfile::tempdir()?;
    for (key, value) in server.options() {
        settings += &option(secrets.path(), &key, &value)?;
    }
    let mut w = World::new(&settings)?;
    w.feed()?;
    w.run(&["batch"])?;
    let serves = Serves::begin(&w)?;
    let whole = serves.until("handover", reached)?;
    let (generations, drift) = (serves.look("generations")?, serves.look("drift")?);
    ensure!(
        whole["manifest"] == 1 && generations["current"] == 1,
        "{whole} {generations}"
    );

    server.pause()?;
    let (done, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let begun = Instant::now();
    let rest = || -> Result<()> {
        serves.until("handover", |said| !reached(said))?;
        while begun.elapsed() < Duration::from_secs(12) {
            let said = serves.look("handover")?;
            let unreached = &said["unreached"][0];
            ensure!(
                unreached["part"] == "generations" && unreached["as_of_ms"].is_i64(),
                "{said}"
            );
            ensure!(
                said["manifest"] == 1 && said["covered_until"] == whole["covered_until"],
                "{said}"
            );
            let applied = |of: &Value| of["sources"][0]["partitions"][0]["applied"].clone();
            ensure!(
                applied(&said).is_u64() && applied(&said) == applied(&whole),
                "{said} {whole}"
            );
            for view in ["live", "job"] {
                serves.look(view)?;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let ask = |view: &'static str| {
            let (serves, done, refused) = (&serves, &done, &refused);
            move || -> Result<()> {
                while !done.load(Relaxed) {
                    let (status, said) = serves.ask(view)?;
                    // What was answered a moment ago is told once more.
                    ensure!(
                        status == 200 || (status == 503 && said["kind"] == "try_again"),
                        "{view}: {said}"
                    );
                    refused.fetch_add(usize::from(status == 503), Relaxed);
                    std::thread::sleep(Duration::from_millis(200));
                }
                Ok(())
            }
        };
        let asking = ["generations", "drift", "generations", "drift"].map(|view| scope.spawn(ask(view)));
        let rest = rest();
        done.store(true, Relaxed);
        for asking in asking {
            asking.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
        }
        rest
    })?;
    ensure!(refused.load(Relaxed) > 0, "nobody saw that the bucket is silent");

    server.resume()?;
    let again = serves.until("handover", reached)?;
    ensure!(again["sources"] == whole["sources"], "{again} {whole}");
    for (view, before) in [("generations", generations), ("drift", drift)] {
        let begun = Instant::now();
        loop {
            let (status, said) = serves.ask(view)?;
            if status == 200 {
                ensure!(said == before, "{view}: {said}, before {before}");
                break;
            }
            ensure!(begun.elapsed() < Duration::from_secs(60), "{view}: {said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    Ok(())
}
