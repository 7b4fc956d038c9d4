//! What the console shows of a job that runs: a live part, an archive, batch runs and `serve` as programs, against lists.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::{Bed, plan};

/// Records of a batch have offsets, which are bytes of the file, in one stretch of so many.
const BATCH: u64 = 150;
const ADMIN: &str = "admin-of-the-tests";

fn lines() -> Vec<String> {
    (0..40)
        .map(|n| format!("to be or not to be wonderful{n:03}\n"))
        .collect()
}

/// A program that runs until it is dropped.
struct Runs(Child);

impl Drop for Runs {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Runs {
    fn begin(bed: &Bed, args: &[&str]) -> Self {
        let mut command = bed.command(args);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
    fn stop(mut self) {
        let pid = self.0.id().to_string();
        assert!(std::process::Command::new("kill").arg(pid).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

/// `serve` on a port of its own.
struct Serves {
    program: Runs,
    address: String,
}

impl Serves {
    fn begin(bed: &Bed, more: &[&str]) -> Self {
        Self::by(bed.command(&[&["serve", "--listen", "0"], more].concat()))
    }
    fn by(mut command: Command) -> Self {
        command.env("RUFOUS_SERVE_ADMIN_TOKENS", ADMIN);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let address = said
            .trim()
            .strip_prefix("serving http://")
            .unwrap_or_else(|| panic!("{said}"));
        Self {
            address: address.into(),
            program: Runs(child),
        }
    }
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.ask_as(ADMIN, method, path, body)
    }
    fn ask_as(&self, token: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "{method} /v1/console/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (
            status,
            serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}")),
        )
    }
    #[track_caller]
    fn look(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
    /// Looks until it is so.
    #[track_caller]
    fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.look(path);
            if is(&found) {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{path}: {found}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    #[track_caller]
    fn does(&self, action: Value) -> Value {
        let (status, planned) = self.ask("POST", "plan", &action.to_string());
        assert_eq!(status, 200, "{planned}");
        let confirm = json!({ "confirm": planned["confirm"] });
        let (status, done) = self.ask("POST", "act", &confirm.to_string());
        assert_eq!(status, 200, "{done}");
        // A plan is confirmed once.
        assert_eq!(self.ask("POST", "act", &confirm.to_string()).0, 409);
        done
    }
}

fn array<'a>(value: &'a Value, member: &str) -> &'a Vec<Value> {
    value[member].as_array().unwrap_or_else(|| panic!("{member}: {value}"))
}

/// The graph is that of the plan, with what is known of each port; it names no file of the code's author but the job's own.
#[test]
fn the_job_is_shown_as_it_is_planned() {
    let bed = Bed::published();
    let serves = Serves::begin(&bed, &[]);
    let job = serves.look("job");
    let plan = plan();
    assert_eq!((&job["job"], &job["actions"]), (&json!("words"), &json!(true)));
    assert_eq!(job["fingerprint"], plan.fingerprint());
    let nodes = array(&job["graph"], "nodes");
    let explained = bed.says(&["explain"]).out;
    let planned: Vec<&str> = explained
        .split("\nplan\n")
        .nth(1)
        .unwrap()
        .lines()
        .take(nodes.len())
        .collect();
    for (n, (node, line)) in nodes.iter().zip(planned).enumerate() {
        assert_eq!(node["id"], n.to_string());
        let label = node["label"].as_str().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            (words[0], words[1]),
            (node["id"].as_str().unwrap(), label.split(' ').next().unwrap())
        );
    }
    let of_kind = |kind: &str| nodes.iter().filter(|n| n["kind"] == kind).count();
    assert_eq!(
        [of_kind("source"), of_kind("sum"), of_kind("write"), of_kind("filter")],
        [1, 3, 1, 1]
    );
    let stores: Vec<&Value> = array(&job, "stores").iter().map(|s| &s["name"]).collect();
    assert_eq!(stores, [&json!("counts"), &json!("by-length"), &json!("hourly")]);
    assert_eq!(job["stores"][2]["windows"]["hops"], json!(["1h"]));
    let names: Vec<&str> = nodes.iter().filter_map(|n| n["id"].as_str()).collect();
    for edge in array(&job["graph"], "edges") {
        for end in ["from", "to"] {
            assert!(names.contains(&edge[end].as_str().unwrap()), "{edge}");
        }
    }
    assert_eq!(job["sources"][0]["log"], "file:lines.txt");
    // Nothing runs, and that is said.
    let live = serves.look("live");
    assert_eq!(live["processes"], json!([]));
    assert!(live["note"].as_str().unwrap().contains("no process"));
}

/// A stream that runs is shown with what it counts, step by step, as lists have it; one that is killed is gone with the next look.
#[test]
fn what_runs_is_shown_with_its_counts() {
    let bed = Bed::new();
    let all = lines();
    std::fs::write(bed.path("lines.txt"), all.concat()).unwrap();
    let stream = Runs::begin(&bed, &["stream", "--commit-ms", "100"]);
    let serves = Serves::begin(&bed, &[]);
    let bytes: usize = all.iter().map(String::len).sum();
    let live = serves.until("live", |live| {
        live["processes"][0]["commits"].as_u64() > Some(0) && live["processes"][0]["uncommitted_records"] == 0
    });
    let process = &live["processes"][0];
    assert_eq!(array(&live, "processes").len(), 1);
    assert_eq!(
        (&process["kind"], &process["pid"]),
        (&json!("stream"), &json!(stream.0.id()))
    );
    assert_eq!(
        (&process["reachable"], &process["healthy"], &process["ready"]),
        (&json!(true), &json!(true), &json!(true))
    );
    let source = &process["sources"][0];
    assert_eq!(
        (&source["source"], &source["records"], &source["bad"]),
        (&json!("lines"), &json!(40), &json!(0))
    );
    let partition = &source["partitions"][0];
    assert_eq!(
        (&partition["applied"], &partition["end"], &partition["lag"]),
        (&json!(bytes), &json!(bytes), &json!(0))
    );
    // 40 lines of 6 words, of which one is long.
    let nodes = serves.look("job")["graph"]["nodes"].as_array().unwrap().clone();
    let steps: BTreeMap<&str, (&Value, &Value)> = { array(process, "steps").iter() }
        .map(|s| (s["id"].as_str().unwrap(), (&s["in"], &s["out"])))
        .collect();
    let job = serves.look("job");
    for node in &nodes {
        let (id, kind) = (node["id"].as_str().unwrap(), node["kind"].as_str().unwrap());
        // What goes into a step came out of those before it.
        let before = array(&job["graph"], "edges").iter().filter(|e| e["to"] == id);
        let before = before.map(|e| steps[e["from"].as_str().unwrap()].1.as_u64().unwrap());
        assert_eq!(steps[id].0.as_u64().unwrap_or(0), before.sum::<u64>(), "{node}");
        if kind == "combine" || node["store"] == "hourly" || node["label"].as_str().unwrap().contains("hop") {
            // Each word of the file once at least, and not more often than it came.
            let n = steps[id].1.as_u64().or(steps[id].0.as_u64()).unwrap();
            assert!((44..=280).contains(&n), "{node}: {n}");
            continue;
        }
        let wanted = match (kind, node["name"].as_str()) {
            ("source", _) => (Value::Null, json!(40)),
            (_, Some("split")) => (json!(40), json!(280)),
            ("filter", _) => (json!(280), json!(40)),
            ("write", _) => (json!(40), Value::Null),
            ("sum", _) => (json!(280), Value::Null),
            _ => (json!(280), json!(280)),
        };
        assert_eq!(steps[id], (&wanted.0, &wanted.1), "{node}");
    }
    assert!(
        array(process, "memory")
            .iter()
            .any(|m| m["part"] == "process" && m["bytes"].as_u64() > Some(1 << 20))
    );
    // What it logs is seen, once, and of whom it is.
    let log = serves.until("log", |log| !array(log, "lines").is_empty());
    let seqs: Vec<u64> = array(&log, "lines")
        .iter()
        .map(|l| l["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.windows(2).all(|w| w[0] + 1 == w[1]), "{seqs:?}");
    assert!(
        array(&log, "lines").iter().any(|l| l["process"]["kind"] == "stream"),
        "{log}"
    );
    let next = log["next"].as_u64().unwrap();
    for line in array(&serves.look(&format!("log?after={next}")), "lines") {
        assert!(line["seq"].as_u64() > Some(next), "{line}");
    }
    // Killed, it leaves its note and its socket.
    drop(stream);
    let gone = serves.until("live", |live| array(live, "processes").is_empty());
    assert!(gone["note"].is_string());
    let left = || {
        let dir = std::fs::read_dir(bed.path("data/main/jobs/words/processes"));
        dir.unwrap().count()
    };
    assert_eq!(left(), 0);
    // One that ends by itself leaves nothing to clean up.
    let stream = Runs::begin(&bed, &["stream", "--commit-ms", "100"]);
    serves.until("live", |live| live["processes"][0]["reachable"] == true);
    stream.stop();
    assert_eq!(left(), 0);
}

/// A process that is stopped does not answer: it is shown as such, soon, and what lies on disk is shown all the same.
#[test]
fn a_stopped_process_holds_up_nobody() {
    let bed = Bed::new();
    std::fs::write(bed.path("lines.txt"), lines().concat()).unwrap();
    let archive = Runs::begin(&bed, &["archive"]);
    let serves = Serves::begin(&bed, &[]);
    serves.until("live", |live| live["processes"][0]["reachable"] == true);
    let signal = |name: &str| {
        let pid = archive.0.id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    signal("-STOP");
    let begun = Instant::now();
    let live = serves.until("live", |live| live["processes"][0]["reachable"] == false);
    let process = &live["processes"][0];
    assert_eq!(
        (&process["kind"], &process["healthy"]),
        (&json!("archive"), &json!(false))
    );
    assert!(process["why"].as_str().unwrap().contains("did not answer"), "{process}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    serves.look("handover");
    let health = serves.look("health");
    let silent = array(&health, "metrics")
        .iter()
        .find(|m| m["name"] == "silent")
        .unwrap();
    assert_eq!((&silent["value"], &silent["verdict"]), (&json!(1.0), &json!("error")));
    signal("-CONT");
    serves.until("live", |live| live["processes"][0]["reachable"] == true);
}

/// While the owner of the realtime state hangs the hand-over goes on: what is archived and published is of now, the rest as it was, and which
/// part is silent is said. The server ends all the same, and soon.
#[test]
fn a_silent_owner_does_not_hide_the_rest() {
    let bed = Bed::new();
    let all = lines();
    std::fs::write(bed.path("lines.txt"), all[..20].concat()).unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    std::fs::write(bed.path("lines.txt"), all.concat()).unwrap();
    let stream = Runs::begin(&bed, &["stream", "--commit-ms", "100"]);
    let bytes: usize = all.iter().map(String::len).sum();
    let serves = Serves::begin(&bed, &[]);
    let whole = serves.until("handover", |found| {
        let p = &found["sources"][0]["partitions"][0];
        p["applied"] == bytes && p["archived"].as_u64() > Some(0)
    });
    assert!(whole["silent"].is_null(), "{whole}");
    let signal = |name: &str| {
        let pid = stream.0.id().to_string();
        let sent = std::process::Command::new("kill").args([name, &pid]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    let begun = Instant::now();
    let found = serves.until("handover", |found| !found["silent"].is_null());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let silent = &found["silent"];
    assert_eq!(silent["part"], "realtime state");
    assert!(silent["as_of_ms"].as_i64() <= found["now_ms"].as_i64(), "{found}");
    let (before, now) = (
        &whole["sources"][0]["partitions"][0],
        &found["sources"][0]["partitions"][0],
    );
    for member in ["applied", "archived", "runs", "running"] {
        assert_eq!(now[member], before[member], "{member}: {found}");
    }
    // One that never heard of it shows what lies in files.
    let other = Serves::begin(&bed, &[]);
    let found = other.look("handover");
    assert!(
        found["silent"]["as_of_ms"].is_null() && found["silent"]["why"].is_string(),
        "{found}"
    );
    let p = &found["sources"][0]["partitions"][0];
    assert_eq!(
        (&p["archived"], &p["applied"]),
        (&before["archived"], &Value::Null),
        "{found}"
    );
    // Its checks are under way, and end with it.
    other.look("health");
    let begun = Instant::now();
    other.program.stop();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    signal("-CONT");
    let found = serves.until("handover", |found| found["silent"].is_null());
    assert_eq!(found["sources"][0]["partitions"][0]["applied"], bytes);
}

/// A bucket of the archive that takes questions and says nothing, and one that is not there, hide nothing else: what is live is shown, what is
/// not known is called that, and why is said.
#[cfg(feature = "s3")]
#[test]
fn an_archive_out_of_reach_does_not_hide_the_rest() {
    let bed = Bed::new();
    std::fs::write(bed.path("lines.txt"), lines().concat()).unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    let whole = Serves::begin(&bed, &[]).look("handover");
    assert_eq!(whole["unreached"], json!([]));
    let of = |found: &Value| found["sources"][0]["partitions"][0].clone();
    let unknown = |mut run: Value| {
        // The open one, too: nobody counts live, and the archive may be further.
        if ["open", "sealed", "archived"].contains(&run["state"].as_str().unwrap()) {
            run["state"] = json!("unknown");
        }
        (run["from"].clone(), run["to"].clone(), run["state"].clone())
    };
    let mut wanted: Vec<_> = array(&of(&whole), "runs").iter().cloned().map(unknown).collect();
    wanted.dedup_by(|run, before| {
        let joins = run.2 == before.2;
        if joins {
            before.1 = run.1.clone();
        }
        joins
    });
    assert!(wanted.iter().any(|run| run.2 == "unknown"), "{whole}");
    bed.settings("[archive]\nlocation = 's3://nowhere/at-all'\n");
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", deaf.local_addr().unwrap());
    let mut deaf = Some(deaf);
    for says in ["no answer since 2 s", "nowhere"] {
        let mut command = bed.command(&["serve", "--listen", "0"]);
        command.env("AWS_ENDPOINT", &at).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "k").env("AWS_SECRET_ACCESS_KEY", "s");
        let serves = Serves::by(command);
        let begun = Instant::now();
        let found = serves.until("handover", |found| {
            let why = found["unreached"][0]["why"].as_str();
            why.is_some_and(|why| why.contains(says))
        });
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        let unreached = &found["unreached"][0];
        assert_eq!(
            (&unreached["part"], &unreached["source"], &unreached["as_of_ms"]),
            (&json!("archive"), &json!("lines"), &Value::Null)
        );
        let runs: Vec<_> = array(&of(&found), "runs").iter().cloned().map(unknown).collect();
        assert_eq!(runs, wanted, "{found}");
        for member in ["applied", "running", "holes", "lost"] {
            assert_eq!(of(&found)[member], of(&whole)[member], "{member}");
        }
        assert!(of(&found)["archived"].is_null() && found["silent"].is_null(), "{found}");
        // The next one finds nobody.
        drop(deaf.take());
    }
}

/// Bad records are counted, and some are shown, with where and why.
#[test]
fn bad_records_are_shown() {
    let bed = Bed::new();
    std::fs::write(bed.path("lines.txt"), b"to be\n\xff\xfe no text\nor not\n").unwrap();
    let _stream = Runs::begin(&bed, &["stream", "--commit-ms", "100", "--on-bad-record", "skip"]);
    let serves = Serves::begin(&bed, &[]);
    let found = serves.until("samples?kind=bad&limit=5", |found| !array(found, "samples").is_empty());
    let sample = &found["samples"][0];
    assert_eq!(array(&found, "samples").len(), 1);
    assert_eq!(
        (&sample["source"], &sample["partition"], &sample["offset"]),
        (&json!("lines"), &json!(0), &json!(6))
    );
    assert!(sample["text"].as_str().unwrap().ends_with(" no text"), "{sample}");
    assert!(!sample["why"].as_str().unwrap().is_empty());
    assert_eq!(serves.look("samples?kind=late")["samples"], json!([]));
}

/// Records and the log are shown to those who may act, unless it is said otherwise; and the page is told.
#[test]
fn who_sees_records_can_be_said() {
    let bed = Bed::new();
    std::fs::write(bed.path("lines.txt"), b"\xff\n").unwrap();
    let _stream = Runs::begin(&bed, &["stream", "--commit-ms", "100", "--on-bad-record", "skip"]);
    let serves = Serves::begin(&bed, &[]);
    assert_eq!(serves.look("job")["records"], "admin");
    serves.until("samples", |found| !array(found, "samples").is_empty());
    for view in ["samples", "log"] {
        let (status, problem) = serves.ask_as("nobody-in-particular", "GET", view, "");
        assert_eq!(status, 403, "{problem}");
        assert!(
            problem["repair"].as_str().unwrap().contains("serve.records"),
            "{problem}"
        );
    }
    assert_eq!(serves.ask_as("nobody-in-particular", "GET", "live", "").0, 200);
    for (word, wanted) in [("all", 200), ("none", 403)] {
        bed.settings(&format!("[serve]\nrecords = \"{word}\"\n"));
        let serves = Serves::begin(&bed, &[]);
        assert_eq!(serves.look("job")["records"], word);
        let (status, said) = serves.ask_as("nobody-in-particular", "GET", "log", "");
        assert_eq!(status, wanted, "{said}");
    }
}

/// The state of every batch is the one that `batches` prints, through all states, and so are the marks of each partition.
#[test]
fn the_hand_over_is_that_of_batches() {
    let bed = Bed::new();
    let all = lines();
    let serves = {
        std::fs::write(bed.path("lines.txt"), all[..20].concat()).unwrap();
        assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
        Serves::begin(&bed, &[])
    };
    let same = || {
        let said = bed.says(&["batches", "--json"]).objects();
        assert!(!said.is_empty());
        // Answers are shared for a second.
        std::thread::sleep(Duration::from_millis(1_100));
        let found = serves.look("handover");
        let partition = &found["sources"][0]["partitions"][0];
        for line in &said {
            let batch = line["batch"].as_i64().unwrap();
            let of: Vec<&Value> = { array(partition, "runs").iter() }
                .filter(|run| run["from"].as_i64() <= Some(batch) && run["to"].as_i64() > Some(batch))
                .collect();
            assert_eq!(of.len(), 1, "batch {batch}: {partition}");
            assert_eq!(of[0]["state"], line["state"], "batch {batch}: {partition}");
        }
        let last = said.last().unwrap();
        assert_eq!(
            (&partition["applied"], &partition["running"]),
            (&last["to"], &last["batch"])
        );
        assert_eq!(found["sources"][0]["running"], last["batch"]);
        let states: Vec<String> = said.iter().map(|l| l["state"].as_str().unwrap().to_string()).collect();
        (found, states)
    };
    let (found, states) = same();
    assert!(states.contains(&"archived".into()));
    assert_eq!(found["sources"][0]["batch_ms"], Value::Null);
    assert_eq!(bed.says(&["batch"]).code, Some(0));
    let (found, states) = same();
    assert!(states.contains(&"published".into()));
    assert_eq!(found["manifest"], 1);
    let covered = found["covered_until"]["batch"].as_u64().unwrap();
    assert_eq!(found["sources"][0]["partitions"][0]["frontier"], covered);
    let first = all[..20].iter().scan(0, |at, l| {
        let from = *at;
        *at += l.len() as u64;
        Some(from)
    });
    assert_eq!(
        covered,
        first.map(|at| at / BATCH).max().unwrap(),
        "all but the running one"
    );
    std::fs::write(bed.path("lines.txt"), all.concat()).unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    same();
    assert_eq!(bed.says(&["batch", "--keep", "0"]).code, Some(0));
    std::fs::write(bed.path("lines.txt"), all.concat() + "more\n").unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    let (_, states) = same();
    assert!(states.contains(&"dropped".into()), "{states:?}");
    // A part of it is asked for.
    let part = serves.look("handover?from=2&to=4");
    let runs = array(&part["sources"][0]["partitions"][0], "runs").clone();
    assert_eq!(
        (runs[0]["from"].as_i64(), runs[runs.len() - 1]["to"].as_i64()),
        (Some(2), Some(4))
    );
}

/// Generations are those that the command lists; what was compared is shown; a rollback is planned, confirmed once, refused when the
/// state has moved, and so are a switch and a gc.
#[test]
fn what_is_planned_is_done_once() {
    let bed = Bed::new();
    let all = lines();
    std::fs::write(bed.path("lines.txt"), all[..20].concat()).unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    let serves = Serves::begin(&bed, &[]);
    assert!(serves.look("drift")["note"].is_string());
    assert_eq!(bed.says(&["batch"]).code, Some(0));
    std::fs::write(bed.path("lines.txt"), all.concat()).unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    assert_eq!(bed.says(&["batch"]).code, Some(0));
    let listed = || {
        let said = bed.says(&["generations", "--json"]).objects();
        let one = |g: &Value| {
            json!([
                g["generation"],
                g["keys"],
                g["bytes"],
                g["state"] == "current",
                g["state"] == "rollback_can_reach_it"
            ])
        };
        said.iter().map(one).collect::<Vec<_>>()
    };
    let shown = || {
        std::thread::sleep(Duration::from_millis(2_100));
        let found = serves.look("generations");
        let one = |g: &Value| json!([g["number"], g["rows"], g["bytes"], g["current"], g["rollback_allowed"]]);
        array(&found, "generations").iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(shown(), listed());
    let found = serves.look("generations");
    let newest = array(&found, "generations").last().unwrap().clone();
    assert_eq!(newest["number"], found["current"]);
    let end: usize = all.iter().map(String::len).sum();
    assert!(
        newest["inputs"][0]["to"].as_u64() <= Some(end as u64) && newest["inputs"][0]["source"] == "lines",
        "{newest}"
    );
    let drift = serves.look("drift");
    assert!(drift["note"].is_null(), "{drift}");
    for batch in array(&drift, "batches") {
        assert_eq!(batch["differing"], 0, "{batch}");
        assert!(batch["compared"].as_u64() > Some(0), "{batch}");
    }
    // Planned, and overtaken.
    let (_, planned) = serves.ask("POST", "plan", r#"{"action":"rollback"}"#);
    let says = planned["says"][0].as_str().unwrap();
    assert!(says.contains("generation 1 was"), "{planned}");
    assert_eq!(shown(), listed(), "nothing is done");
    assert_eq!(bed.says(&["rollback"]).code, Some(0));
    let confirm = json!({ "confirm": planned["confirm"] }).to_string();
    let (status, problem) = serves.ask("POST", "act", &confirm);
    assert_eq!(
        (status, problem["kind"].as_str()),
        (409, Some("try_again")),
        "{problem}"
    );
    let after = listed();
    let number = after.last().unwrap()[0].as_u64().unwrap();
    let done = serves.does(json!({ "action": "rollback", "to": number - 1 }));
    let again = number + 1;
    assert!(
        done["done"]
            .as_str()
            .unwrap()
            .contains(&format!("generation {again} is generation {} again", number - 1))
    );
    assert_eq!(shown(), listed());
    assert_eq!(listed().last().unwrap()[0], again);
    // A line that is filled beside it, and made current.
    let (status, problem) = serves.ask("POST", "plan", r#"{"action":"switch"}"#);
    assert_eq!(status, 400, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("no staged line"),
        "{problem}"
    );
    assert_eq!(bed.says(&["backfill"]).code, Some(0));
    std::thread::sleep(Duration::from_millis(2_100));
    assert!(
        serves.look("generations")["backfill"]["line"]
            .as_str()
            .unwrap()
            .contains("covered until")
    );
    let done = serves.does(json!({ "action": "switch" }));
    assert!(done["done"].as_str().unwrap().contains("is current"), "{done}");
    assert_eq!(listed().last().unwrap()[0], again + 1);
    let left = |bed: &Bed| bed.says(&["gc", "--dry-run", "--json"]).objects().last().unwrap()["files"].as_u64();
    assert_eq!(left(&bed), Some(0), "readers may be at work with all of it");
    let done = serves.does(json!({ "action": "gc" }));
    assert!(done["done"].as_str().unwrap().starts_with("0 files"), "{done}");
    // With no time for readers there is something to delete.
    bed.settings("[offline]\nkeep = 0\ngrace_minutes = 0\n");
    let other = Serves::begin(&bed, &[]);
    let before = left(&bed);
    assert!(before > Some(0));
    other.does(json!({ "action": "gc" }));
    assert_eq!(left(&bed), Some(0));
}

/// The checks are those of `doctor`, each with its verdict, and are made again when they are old.
#[test]
fn health_is_what_the_doctor_says() {
    let bed = Bed::new();
    std::fs::write(bed.path("lines.txt"), lines().concat()).unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    let serves = Serves::begin(&bed, &[]);
    let of_doctor = || -> Vec<(String, String)> {
        let said = bed.says(&["doctor", "--json"]).objects();
        let one = |o: &Value| {
            let verdict = o["status"]
                .as_str()
                .unwrap()
                .replace("fail", "error")
                .replace("skip", "warn");
            (o["check"].as_str().unwrap().to_string(), verdict)
        };
        said.iter().map(one).collect()
    };
    // Who looks writes nothing: a file that was made and taken away would be seen by its directory.
    let root = bed.path("data/main");
    let changed = || std::fs::metadata(&root).unwrap().modified().unwrap();
    let before = changed();
    let health = serves.until("health", |health| health["checked_ms"].is_u64());
    assert_eq!(changed(), before);
    let said = |name: &str| -> String {
        let all = array(&health, "checks");
        let one = all.iter().find(|c| c["name"] == name).unwrap();
        one["said"].as_str().unwrap().into()
    };
    let permissions = said("permissions of data");
    assert!(permissions.contains("not tried here"), "{permissions}");
    let checks: Vec<(String, String)> = { array(&health, "checks").iter() }
        .map(|c| {
            (
                c["name"].as_str().unwrap().to_string(),
                c["verdict"].as_str().unwrap().to_string(),
            )
        })
        .collect();
    assert_eq!(checks, of_doctor());
    assert!(checks.iter().all(|(_, verdict)| verdict == "ok"), "{checks:?}");
    // What is wrong has a repair.
    std::fs::write(bed.path("lines.txt"), lines()[..35].concat()).unwrap();
    let serves = Serves::begin(&bed, &[]);
    let health = serves.until("health", |health| health["checked_ms"].is_u64());
    let wrong = array(&health, "checks")
        .iter()
        .find(|c| c["name"] == "retention of lines")
        .unwrap();
    assert_eq!(wrong["verdict"], "error");
    assert!(wrong["repair"].as_str().unwrap().contains("restore the log"), "{wrong}");
}
