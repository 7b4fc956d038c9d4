//! What the console asks: the routes, who may ask, and what becomes of hostile requests. What is looked at stands in lists here; a real
//! job is looked at in the tests of the command line.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rufous_core::{Error, Result};
use rufous_server::console::{Action, Planned, Undone, View};
use rufous_server::{Observed, Records, ServerOptions, Tokens};
use serde_json::{Value, json};
use support::*;

const READS: &str = "Bearer reader-reader-reader";
const ACTS: &str = "Bearer admin-admin-admin-1";
const ACTS_TOO: &str = "Bearer admin-admin-admin-2";

/// Says what it was asked.
#[derive(Default)]
struct Shown {
    looks: AtomicU64,
    /// A look at the health ends only when this does.
    held: AtomicBool,
    done: Mutex<Vec<String>>,
    /// Whose plans were asked for.
    planned: Mutex<Vec<usize>>,
}

impl Observed for Shown {
    fn look(&self, view: &View) -> Result<Value> {
        self.looks.fetch_add(1, Relaxed);
        match view {
            View::Drift => Err(Error::try_again("the reports do not answer")),
            View::Generations => panic!("told to panic"),
            View::Health => {
                std::thread::sleep(Duration::from_millis(700));
                let begun = Instant::now();
                while self.held.load(Relaxed) && begun.elapsed() < Duration::from_secs(30) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(json!({ "checks": [] }))
            }
            view => Ok(json!({ "seen": format!("{view:?}") })),
        }
    }
    fn plan(&self, action: &Action, whose: usize) -> Result<Planned> {
        self.planned.lock().unwrap().push(whose);
        if matches!(action, Action::Rollback { to: Some(99) }) {
            return Err(Error::invalid("there is no generation 99: the newest is 3"));
        }
        Ok(Planned::new(vec![format!("{action:?} is done.")], "c0ffee".into()))
    }
    fn act(&self, confirm: &str) -> std::result::Result<String, Undone> {
        match confirm {
            "c0ffee" => {
                self.done.lock().unwrap().push(confirm.into());
                Ok("it is done".into())
            }
            "late" => Err(Undone::Moved("generation 4 is current".into())),
            _ => Err(Error::corrupt("a file is gone").into()),
        }
    }
}

/// Takes a while to be let go of, as a database does.
struct Slow(Arc<AtomicBool>, Arc<AtomicBool>);

impl Observed for Slow {
    fn look(&self, _: &View) -> Result<Value> {
        let begun = Instant::now();
        while self.0.load(Relaxed) && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Value::Null)
    }
    fn plan(&self, _: &Action, _: usize) -> Result<Planned> {
        Err(Error::bug("nothing is planned here"))
    }
    fn act(&self, _: &str) -> std::result::Result<String, Undone> {
        Err(Error::bug("nothing is done here").into())
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(300));
        self.1.store(true, Relaxed);
    }
}

/// When a server has ended nobody holds any more what it served with, though an answer was cut: the process may end then, and a database that
/// is closed while it does so ended it with a signal (seen once: "pthread lock: Invalid argument", of RocksDB).
#[test]
fn a_server_that_ended_has_let_go() {
    let (held, gone) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let mut w = World::default();
    w.observed = Some(Arc::new(Slow(held.clone(), gone.clone())));
    let mut options = options();
    options.last_answers = Duration::from_millis(50);
    let mut s = w.serve(options);
    w.observed = None;
    let asks = {
        let mut stream = http::connect(s.address);
        std::io::Write::write_all(&mut stream, &http::request("GET", "/v1/console/job", &[], b"")).unwrap();
        stream
    };
    std::thread::sleep(Duration::from_millis(300));
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        held.store(false, Relaxed);
    });
    s.end();
    assert!(gone.load(Relaxed), "somebody still has it");
    release.join().unwrap();
    drop(asks);
}

fn options() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.body_time = Duration::from_millis(300);
    options
}

fn guarded() -> ServerOptions {
    let tokens = |all: &[&str]| Some(Tokens::parse(&all.join("\n").replace("Bearer ", ""), "t").unwrap());
    let mut options = options();
    (options.tokens, options.admin) = (tokens(&[READS]), tokens(&[ACTS, ACTS_TOO]));
    options
}

fn world() -> (World, Arc<Shown>) {
    let shown = Arc::new(Shown::default());
    let mut world = World::default();
    world.observed = Some(shown.clone());
    world.count(&[("a", 1)]);
    (world, shown)
}

fn post(s: &Running, path: &str, token: Option<&str>, body: &str) -> http::Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(token.map(|t| ("authorization", t)));
    http::ask(s.address, "POST", path, &headers, body.as_bytes())
}

/// Each route asks for its view, with what the question says and not more than the limits.
#[test]
fn every_view_has_a_route() {
    let (w, _) = world();
    let s = w.serve(options());
    for (path, seen) in [
        ("job", "Job"),
        ("live", "Live"),
        ("samples", "Samples { kind: Bad, limit: 20 }"),
        ("samples?kind=late&limit=3", "Samples { kind: Late, limit: 3 }"),
        ("samples?limit=9999999", "Samples { kind: Bad, limit: 1000 }"),
        ("handover", "Handover { from: None, to: None }"),
        ("handover?from=-3&to=4", "Handover { from: Some(-3), to: Some(4) }"),
        ("log", "Log { after: 0, limit: 200 }"),
        ("log?after=7&limit=5", "Log { after: 7, limit: 5 }"),
    ] {
        let answer = s.get(&format!("/v1/console/{path}"));
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        assert_eq!(answer.fine()["seen"], seen, "{path}");
    }
    let document = s.get("/openapi.json").fine();
    for path in [
        "job",
        "live",
        "samples",
        "handover",
        "generations",
        "drift",
        "health",
        "log",
        "plan",
        "act",
    ] {
        assert!(document["paths"].get(format!("/v1/console/{path}")).is_some(), "{path}");
    }
}

/// Who looks often is told 304 while nothing changed, and many who look at once cost one look.
#[test]
fn looks_are_shared() {
    let (w, shown) = world();
    let s = w.serve(options());
    let answer = s.get("/v1/console/job");
    let tag = answer.header("etag").unwrap().to_string();
    let again = http::ask(s.address, "GET", "/v1/console/job", &[("if-none-match", &tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let before = shown.looks.load(Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| s.get("/v1/console/health").fine());
        }
    });
    assert_eq!(shown.looks.load(Relaxed) - before, 1);
}

/// A look that takes long, fails or panics is answered, and holds up no answer.
#[test]
fn looks_harm_nobody() {
    let (w, shown) = world();
    let s = w.serve(options());
    shown.held.store(true, Relaxed);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| s.get("/v1/console/health"));
        while shown.looks.load(Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let value = s.get("/v1/stores/counts/keys/a");
        let alive = s.get("/healthz");
        // Both came while the look was under way.
        assert!(!slow.is_finished());
        shown.held.store(false, Relaxed);
        assert_eq!((value.fine()["value"].as_i64(), alive.status), (Some(1), 200));
        slow.join().unwrap().fine();
    });
    let problem = s.get("/v1/console/drift").problem(503);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("the reports do not answer")
    );
    let problem = s.get("/v1/console/generations").problem(500);
    assert!(
        problem["detail"].as_str().unwrap().contains("told to panic"),
        "{problem}"
    );
    assert_eq!(s.get("/v1/console/job").fine()["seen"], "Job");
}

/// Questions that mean nothing are refused, each with what is wrong.
#[test]
fn hostile_questions_are_refused() {
    let (w, shown) = world();
    let s = w.serve(options());
    for path in [
        "job?x=1",
        "live?limit=1",
        "samples?kind=worse",
        "samples?limit=-1",
        "samples?limit=99999999999999999999999",
        "handover?from=a",
        "handover?from=5&to=5",
        "handover?from=9223372036854775808",
        "log?after=-1",
        "log?before=1",
        "health?now=true",
    ] {
        s.get(&format!("/v1/console/{path}")).problem(400);
    }
    s.get("/v1/console").problem(404);
    s.get("/v1/console/..%2fjob").problem(404);
    http::ask(s.address, "DELETE", "/v1/console/job", &[], b"").problem(405);
    s.get("/v1/console/act").problem(405);
    assert_eq!(shown.looks.load(Relaxed), 0);
}

/// Whoever may read may look; only who may change something may plan and confirm, and he may read as well. Who plans is told apart.
#[test]
fn actions_need_a_token_of_their_own() {
    let (w, shown) = world();
    let s = w.serve(guarded());
    s.get("/v1/console/job").problem(401);
    post(&s, "/v1/console/plan", None, r#"{"action":"gc"}"#).problem(401);
    for token in [READS, ACTS] {
        let answer = http::ask(s.address, "GET", "/v1/console/job", &[("authorization", token)], b"");
        assert_eq!(answer.status, 200, "{token}");
    }
    let problem = post(&s, "/v1/console/plan", Some(READS), r#"{"action":"gc"}"#).problem(403);
    assert!(
        problem["repair"].as_str().unwrap().contains("--admin-token-file"),
        "{problem}"
    );
    assert_eq!(*shown.planned.lock().unwrap(), [0_usize; 0], "nothing was looked at");
    for token in [ACTS, ACTS_TOO] {
        let planned = post(&s, "/v1/console/plan", Some(token), r#"{"action":"rollback","to":2}"#).fine();
        assert_eq!(planned["action"], "rollback");
        assert_eq!(planned["says"], json!(["Rollback { to: Some(2) } is done."]));
        assert_eq!(planned["confirm"], "c0ffee");
    }
    assert_eq!(*shown.planned.lock().unwrap(), [0, 1]);
    let confirm = r#"{"confirm":"c0ffee"}"#;
    let problem = post(&s, "/v1/console/act", Some(READS), confirm).problem(403);
    assert!(
        problem["repair"].as_str().unwrap().contains("--admin-token-file"),
        "{problem}"
    );
    assert_eq!(*shown.done.lock().unwrap(), [""; 0], "nothing was done");
    assert_eq!(
        post(&s, "/v1/console/act", Some(ACTS), confirm).fine()["done"],
        "it is done"
    );
    assert_eq!(*shown.done.lock().unwrap(), ["c0ffee"]);
    let problem = post(&s, "/v1/console/act", Some(ACTS), r#"{"confirm":"late"}"#).problem(409);
    assert!(
        problem["detail"].as_str().unwrap().contains("generation 4"),
        "{problem}"
    );
    post(&s, "/v1/console/act", Some(ACTS), r#"{"confirm":"broken"}"#).problem(500);
    let problem = post(&s, "/v1/console/plan", Some(ACTS), r#"{"action":"rollback","to":99}"#).problem(400);
    assert!(
        problem["detail"].as_str().unwrap().contains("no generation 99"),
        "{problem}"
    );
}

/// Who is shown records and the log is said by a setting; without one it is whoever may read, until somebody may do more than read.
#[test]
fn records_are_not_for_everybody() {
    let (w, shown) = world();
    let seen = |options: ServerOptions, token: Option<&str>| -> [u16; 3] {
        let s = w.serve(options);
        ["samples", "log", "live"].map(|view| {
            let headers: Vec<_> = token.map(|t| ("authorization", t)).into_iter().collect();
            let answer = http::ask(s.address, "GET", &format!("/v1/console/{view}"), &headers, b"");
            if answer.status == 403 {
                let problem = answer.problem(403);
                let repair = problem["repair"].as_str().unwrap();
                assert!(repair.contains("serve.records"), "{problem}");
                return 403;
            }
            answer.status
        })
    };
    let with = |records: Option<Records>, base: fn() -> ServerOptions| {
        let mut options = base();
        options.records = records;
        options
    };
    let (all, mine, nobody) = (Some(Records::All), Some(Records::Admin), Some(Records::None));
    for (records, base, token, wanted) in [
        (None, options as fn() -> ServerOptions, None, [200, 200, 200]),
        (all, options, None, [200, 200, 200]),
        (mine, options, None, [403, 403, 200]),
        (nobody, options, None, [403, 403, 200]),
        (None, guarded, Some(READS), [403, 403, 200]),
        (None, guarded, Some(ACTS), [200, 200, 200]),
        (mine, guarded, Some(READS), [403, 403, 200]),
        (all, guarded, Some(READS), [200, 200, 200]),
        (nobody, guarded, Some(ACTS), [403, 403, 200]),
    ] {
        let before = shown.looks.load(Relaxed);
        assert_eq!(seen(with(records, base), token), wanted, "{records:?} {token:?}");
        let looks = wanted.iter().filter(|status| **status == 200).count();
        assert_eq!(
            shown.looks.load(Relaxed) - before,
            looks as u64,
            "who may not see it is not looked for"
        );
    }
    // What was answered to one who may is not told to one who may not.
    let s = w.serve(guarded());
    let ask = |token: &str| {
        http::ask(
            s.address,
            "GET",
            "/v1/console/samples",
            &[("authorization", token)],
            b"",
        )
    };
    assert_eq!([ask(ACTS).status, ask(READS).status], [200, 403]);
}

/// Without such tokens nobody acts, not even where everybody may read; and a server with nothing to show says so.
#[test]
fn without_tokens_nobody_acts() {
    let (mut w, shown) = world();
    let s = w.serve(options());
    for (path, body) in [("plan", r#"{"action":"gc"}"#), ("act", r#"{"confirm":"c0ffee"}"#)] {
        let problem = post(&s, &format!("/v1/console/{path}"), Some(ACTS), body).problem(403);
        assert!(
            problem["repair"]
                .as_str()
                .unwrap()
                .contains("RUFOUS_SERVE_ADMIN_TOKENS"),
            "{problem}"
        );
    }
    assert_eq!(*shown.done.lock().unwrap(), [""; 0]);
    w.observed = None;
    let s = w.serve(guarded());
    for path in ["job", "live", "log"] {
        let path = format!("/v1/console/{path}");
        let problem = http::ask(s.address, "GET", &path, &[("authorization", READS)], b"").problem(404);
        assert!(problem["type"].as_str().unwrap().ends_with("no-console"), "{problem}");
    }
    post(&s, "/v1/console/act", Some(ACTS), "{}").problem(404);
}

/// What is no plan is none: nothing is done, whatever is sent.
#[test]
fn hostile_actions_are_refused() {
    let (w, shown) = world();
    let s = w.serve(guarded());
    let large = format!(r#"{{"action":"gc","x":"{}"}}"#, "x".repeat(2 << 20));
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        ("null", 400),
        ("{\"action\":\"format\"}", 400),
        ("{\"action\":\"gc\",\"to\":1}", 400),
        ("{\"action\":\"rollback\",\"to\":-1}", 400),
        ("{\"action\":\"rollback\",\"too\":1}", 400),
        ("{\"action\":\"switch\",\"behind\":\"yes\"}", 400),
        (&large, 413),
    ] {
        post(&s, "/v1/console/plan", Some(ACTS), body).problem(status);
    }
    for body in [
        "{}",
        "{\"confirm\":7}",
        "{\"confirm\":\"c0ffee\",\"force\":true}",
        "\"c0ffee\"",
    ] {
        post(&s, "/v1/console/act", Some(ACTS), body).problem(400);
    }
    let plain = [("authorization", ACTS), ("content-type", "text/plain")];
    http::ask(
        s.address,
        "POST",
        "/v1/console/act",
        &plain,
        b"{\"confirm\":\"c0ffee\"}",
    )
    .problem(400);
    assert_eq!(*shown.done.lock().unwrap(), [""; 0]);
}
