//! Every kind of question over a real socket and real stores, against the sums of everything as plain collections.

mod support;

use rufous_core::key::to_bytes;
use rufous_server::ServerOptions;
use serde_json::{Value, json};
use support::*;

fn world() -> World {
    let mut w = World::default();
    w.count(&[("a", 1), ("b", 2), ("a", 4), ("slash/key", 8), ("100%", 16)]);
    w.commit(&[
        ("hours", to_bytes(&("x", 1u32)), 3),
        ("hours", to_bytes(&("x", 2u32)), 5),
        ("hours", to_bytes(&("y", 1u32)), 7),
    ]);
    w.view("home", HOUR, 1);
    w.publish();
    w.count(&[("a", 32), ("c", 64)]);
    w.commit(&[("hours", to_bytes(&("x", 2u32)), 10)]);
    w.view("home", 2 * HOUR, 2);
    w.view("home", 30 * HOUR, 4);
    w
}

fn sum(w: &World, store: &str, key: &[u8]) -> Value {
    w.sums[store].get(key).map_or(Value::Null, |n| json!(n))
}

/// The answer is both layers' sum; a key that is in none is surely absent. Coverage, freshness and token are in the body and in
/// the headers.
#[test]
fn one_key() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    for (path, key) in [
        ("a", "a"),
        ("b", "b"),
        ("c", "c"),
        ("slash%2Fkey", "slash/key"),
        ("100%25", "100%"),
        ("none", "none"),
    ] {
        let answer = s.get(&format!("/v1/stores/counts/keys/{path}"));
        let json = answer.fine();
        assert_eq!(
            (&json["key"], &json["value"]),
            (&json!(key), &sum(&w, "counts", &to_bytes(&key))),
            "{key}"
        );
        assert_eq!(json["covered_until"], "batch 2");
        assert_eq!(json["coverage"]["partitions"]["lines/0"]["applied"], w.next);
        assert_eq!(json["token"]["offsets"]["lines/0"], w.next);
        assert_eq!(json["freshness"], "1970-01-01T02:00:00Z");
        assert_eq!(answer.header("rufous-covered-until"), Some("batch 2"));
        assert_eq!(answer.header("rufous-freshness"), Some("1970-01-01T02:00:00Z"));
        assert_eq!(
            answer.header("rufous-token"),
            Some(format!("1@f00d:lines/0={}", w.next).as_str())
        );
    }
    let json = s.get("/v1/stores/hours/keys/x,2").fine();
    assert_eq!((&json["key"], &json["value"]), (&json!(["x", 2]), &json!(15)));
}

/// The entity tag is that of token and value: it holds until either changes, and a new manifest over the same offsets changes
/// the token.
#[test]
fn what_is_known_is_not_sent_again() {
    let mut w = world();
    let s = w.serve(ServerOptions::default());
    let path = "/v1/stores/counts/keys/a";
    let first = s.get(path);
    let tag = first.header("etag").unwrap().to_string();
    assert!(tag.starts_with("W/\""));
    let again = s.get_with(path, &[("if-none-match", &tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    assert_eq!(again.header("rufous-token"), first.header("rufous-token"));
    assert_eq!(s.get_with(path, &[("if-none-match", "\"x\", *")]).status, 304);
    assert_eq!(s.get_with(path, &[("if-none-match", "\"x\"")]).status, 200);
    let other = s.get("/v1/stores/counts/keys/b");
    assert_ne!(other.header("etag"), Some(tag.as_str()), "another value");
    w.count(&[("unrelated", 1)]);
    let moved = s.get_with(path, &[("if-none-match", &tag)]);
    assert_eq!(moved.fine()["value"], 37, "the token moved on");
    let tag = moved.header("etag").unwrap().to_string();
    w.publish();
    assert_eq!(s.get_with(path, &[("if-none-match", &tag)]).fine()["value"], 37);
}

/// Keys that wait together are read together, and each question gets the answer of its own key.
#[test]
fn what_is_read_together_is_answered_apart() {
    let mut w = World::default();
    for i in 0..10u64 {
        w.count(&[(&format!("k{i}"), i + 1)]);
    }
    let mut options = ServerOptions::default();
    options.readers = 1;
    let s = w.serve(options);
    w.slow.store(5, std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        for n in 0..16u64 {
            let s = &s;
            scope.spawn(move || {
                let mut rng = Rng(n + 1);
                for _ in 0..20 {
                    let i = rng.below(12);
                    let value = if i < 10 { json!(i + 1) } else { Value::Null };
                    let json = s.get(&format!("/v1/stores/counts/keys/k{i}")).fine();
                    assert_eq!((&json["key"], &json["value"]), (&json!(format!("k{i}")), &value));
                }
            });
        }
    });
    w.slow.store(0, std::sync::atomic::Ordering::Relaxed);
    let text = String::from_utf8(s.get("/metrics").body).unwrap();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|l| l.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
    };
    let (questions, reads) = (
        value("rufous_http_read_together_sum"),
        value("rufous_http_read_together_count"),
    );
    assert!(
        questions == 320.0 && reads < questions / 2.0,
        "{questions} questions in {reads} reads"
    );
}

/// One result a key, in order, all under one token.
#[test]
fn many_keys() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let keys = ["c", "none", "a", "a", "slash/key"];
    let json = s.post("/v1/stores/counts/get", &json!({ "keys": keys })).fine();
    let expected: Vec<Value> = keys
        .iter()
        .map(|k| json!({"key": k, "value": sum(&w, "counts", &to_bytes(k))}))
        .collect();
    assert_eq!(json["answers"], json!(expected));
    assert_eq!(json["token"]["offsets"]["lines/0"], w.next);
    let many: Vec<String> = (0..1000).map(|i| format!("k{i}")).collect();
    let json = s.post("/v1/stores/counts/get", &json!({ "keys": many })).fine();
    assert_eq!(json["answers"].as_array().unwrap().len(), 1000);
}

/// Keys of several stores are of one manifest and one snapshot, in the order in which they are asked for.
#[test]
fn several_stores() {
    let mut w = world();
    let s = w.serve(ServerOptions::default());
    let asked = json!({"stores": {"hours": ["x,2", "y,1"], "counts": ["a", "none"]}});
    let answer = s.post("/v1/get", &asked);
    let json = answer.fine();
    let names: Vec<&String> = json["stores"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["hours", "counts"]);
    assert_eq!(
        json["stores"]["hours"]["answers"],
        json!([{"key": ["x", 2], "value": 15}, {"key": ["y", 1], "value": 7}])
    );
    assert_eq!(
        json["stores"]["counts"]["answers"],
        json!([{"key": "a", "value": 37}, {"key": "none", "value": null}])
    );
    assert_eq!(json["manifest"], 1);
    for store in names {
        assert_eq!(json["stores"][store]["token"]["offsets"]["lines/0"], w.next);
    }
    assert_eq!(
        answer.header("rufous-token"),
        Some(format!("1@f00d:lines/0={}", w.next).as_str())
    );
    s.post("/v1/get", &json!({"stores": {"count": ["a"]}})).problem(404);
    s.post("/v1/get", &json!({"stores": {}})).problem(400);
    s.post("/v1/get", &json!({"stores": {"hours": ["x"]}})).problem(400);
    s.post(
        "/v1/get",
        &json!({"stores": {"counts": ["a"]}, "at_least": "lines/0=99"}),
    )
    .problem(503);
    let twice = br#"{"stores": {"counts": ["a"], "counts": ["b"]}}"#;
    http::ask(
        s.address,
        "POST",
        "/v1/get",
        &[("content-type", "application/json")],
        twice,
    )
    .problem(400);
    w.lose(3);
    s.post("/v1/get", &asked).problem(409);
    let mut asked = asked;
    asked["accept_holes"] = json!(true);
    s.post("/v1/get", &asked).fine();
}

/// The parts of an answer add up to it.
#[test]
fn an_answer_is_explained() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let json = s.get("/v1/stores/counts/explain/a").fine();
    let parts = json["parts"].as_array().unwrap();
    let sum: u64 = parts.iter().map(|p| p["value"].as_u64().unwrap()).sum();
    assert_eq!((sum, &json["value"], parts.len()), (37, &json!(37), 2));
    assert_eq!(
        (&parts[0]["layer"], &parts[1]["layer"]),
        (&json!("offline"), &json!("realtime"))
    );
    s.get("/v1/stores/counts/explain/a?partial=true").problem(400);
}

/// A window is explained by its hops, each by what was merged: all add up to the sum that the window itself answers.
#[test]
fn a_window_is_explained_by_its_hops() {
    let mut w = World::default();
    // Two days of hours, the first day published, the second only live.
    let mut day = [0, 0];
    for hour in 0..48 {
        if hour == 24 {
            w.publish();
        }
        let value = 1 + hour as u64;
        w.view("x", hour * HOUR + 1, value);
        day[(hour / 24) as usize] += value;
    }
    w.view("y", HOUR, 1_000);
    let s = w.serve(ServerOptions::default());
    let asked = "since=1970-01-01&end=1970-01-02T03:00:00Z";
    let json = s.get(&format!("/v1/stores/views/explain/x?{asked}")).fine();
    let wanted = day[0] + 25 + 26 + 27;
    assert_eq!((&json["key"], &json["value"]), (&json!("x"), &json!(wanted)));
    let window = s.get(&format!("/v1/stores/views/windows/x?{asked}")).fine();
    assert_eq!(
        (&window["windows"][0]["value"], &window["token"]),
        (&json!(wanted), &json["token"])
    );
    let hops = json["hops"].as_array().unwrap();
    let sums: Vec<(u64, Vec<&str>)> = hops
        .iter()
        .map(|hop| {
            let parts = hop["parts"].as_array().unwrap();
            let sum = parts.iter().map(|p| p["value"].as_u64().unwrap()).sum();
            (sum, parts.iter().map(|p| p["layer"].as_str().unwrap()).collect())
        })
        .collect();
    // The day as one hop, then three hours.
    let live = |n| (n, vec!["realtime"]);
    assert_eq!(sums, [(day[0], vec!["offline"]), live(25), live(26), live(27)]);
    assert_eq!(hops[0]["span"]["end"], "1970-01-02T00:00:00Z");
    // The tag is that of the answer, whatever the clock says: nothing was seen in the last day.
    let path = "/v1/stores/views/explain/x?last=1d";
    let first = s.get(path);
    let tag = first.header("etag").unwrap().to_string();
    assert!(first.fine()["value"].is_null());
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(s.get_with(path, &[("if-none-match", &tag)]).status, 304);

    for (path, says) in [
        (
            "/v1/stores/views/explain/x?end=sealed",
            "`end` and `aligned` are of a window",
        ),
        ("/v1/stores/views/explain/x?last=7d&every=1d", "every"),
        ("/v1/stores/views/explain/x?last=7d&last_hops=3:day", "last"),
        ("/v1/stores/views/explain/x?last=week", "week"),
        ("/v1/stores/counts/explain/a?last=7d", "counts"),
        ("/v1/stores/views/explain/x?last=7d&partial=true", "partial"),
    ] {
        let problem = s.get(path).problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{path}: {problem}");
    }
}

/// Pages are what a plain collection has in its order, without a row twice or left out.
#[test]
fn lists_in_pages() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let all: Vec<Value> = w.sums["counts"]
        .iter()
        .map(|(k, v)| json!({"key": rufous_core::key::decode_all::<String>(k).unwrap(), "value": v}))
        .collect();
    let mut found = Vec::new();
    let mut path = "/v1/stores/counts/keys?limit=2".to_string();
    loop {
        let json = s.get(&path).fine();
        let rows = json["rows"].as_array().unwrap();
        assert!(rows.len() <= 2 && json["token"].is_object());
        found.extend(rows.iter().cloned());
        let Some(next) = json["next"].as_str() else { break };
        path = format!("/v1/stores/counts/keys?limit=2&cursor={next}");
    }
    assert_eq!(found, all);
    let under = s.get("/v1/stores/hours/keys?under=x").fine();
    assert_eq!(
        under["rows"],
        json!([{"key": ["x", 1], "value": 3}, {"key": ["x", 2], "value": 15}])
    );
    assert!(under["next"].is_null());
    s.get("/v1/stores/hours/keys?under=y&cursor=eA").problem(400);
}

/// What somebody types who does not know the key yet: keys whose next part begins so, as a plain collection says.
#[test]
fn lists_what_begins_so() {
    let mut w = world();
    let words = ["the", "then", "th\u{0}", "th\u{1}e", "t", "à la", "a,b", "a\\b", ""];
    for (i, word) in words.iter().enumerate() {
        w.count(&[(word, 1)]);
        w.commit(&[("hours", to_bytes(&(*word, u32::try_from(i).unwrap())), 1)]);
    }
    let s = w.serve(ServerOptions::default());
    let keys = |path: &str| -> Vec<Value> {
        let json = s.get(path).fine();
        json["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["key"].clone())
            .collect()
    };
    let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    for begins in ["", "t", "th", "the", "th\u{0}", "th\u{1}", "à", "a,", "a\\", "z"] {
        let known = |store: &str| w.sums[store].keys().cloned().collect::<Vec<_>>();
        let expected: Vec<Value> = { known("counts").into_iter() }
            .map(|k| rufous_core::key::decode_all::<String>(&k).unwrap())
            .filter(|k| k.starts_with(begins))
            .map(Value::from)
            .collect();
        let typed = encoded(begins);
        assert_eq!(
            keys(&format!("/v1/stores/counts/keys?begins={typed}")),
            expected,
            "{begins:?}"
        );
        let expected: Vec<Value> = { known("hours").into_iter() }
            .map(|k| rufous_core::key::decode_all::<(String, u32)>(&k).unwrap())
            .filter(|(k, _)| k.starts_with(begins))
            .map(|(k, n)| json!([k, n]))
            .collect();
        assert_eq!(
            keys(&format!("/v1/stores/hours/keys?begins={typed}")),
            expected,
            "{begins:?}"
        );
    }
    // Pages of such a list, too.
    let first = s.get("/v1/stores/counts/keys?begins=the&limit=1").fine();
    let next = first["next"].as_str().unwrap();
    assert_eq!(
        keys(&format!("/v1/stores/counts/keys?begins=the&limit=1&cursor={next}")),
        [json!("then")]
    );
    // A number has no beginning, and there is no part behind the last one.
    for path in [
        "hours/keys?under=x&begins=1",
        "counts/keys?under=the&begins=n",
        "hours/keys?under=a%5C,b&begins=1",
    ] {
        let problem = s.get(&format!("/v1/stores/{path}")).problem(400);
        assert!(problem["repair"].as_str().unwrap().contains("begins"), "{problem}");
    }
}

#[test]
fn sums_and_top() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let total: u64 = w.sums["counts"].values().sum();
    assert_eq!(s.get("/v1/stores/counts/sum").fine()["value"], total);
    assert_eq!(s.get("/v1/stores/hours/sum?under=x").fine()["value"], 18);
    assert_eq!(s.get("/v1/stores/hours/sum?from=x,2&to=y,1").fine()["value"], 15);
    assert!(s.get("/v1/stores/hours/sum?under=z").fine()["value"].is_null());
    s.get("/v1/stores/hours/sum?from=x").problem(400);
    let mut by_size: Vec<(u64, &Vec<u8>)> = w.sums["counts"].iter().map(|(k, v)| (*v, k)).collect();
    by_size.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let top = s.get("/v1/stores/counts/top?n=3").fine();
    let values: Vec<u64> = top["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["value"].as_u64().unwrap())
        .collect();
    assert_eq!(values, by_size.iter().take(3).map(|r| r.0).collect::<Vec<_>>());
    assert_eq!(
        s.get("/v1/stores/hours/top?under=x&n=1").fine()["rows"],
        json!([{"key": ["x", 2], "value": 15}])
    );
}

/// A window is the sum of its hops and says what it covers.
#[test]
fn windows() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let ask = |q: &str| s.get(&format!("/v1/stores/views/windows/home?{q}"));
    let one = ask("since=1970-01-01&end=1970-01-02").fine();
    assert_eq!(
        (&one["windows"][0]["key"], &one["windows"][0]["value"]),
        (&json!("home"), &json!(3))
    );
    assert_eq!(
        one["windows"][0]["window"]["covered"],
        json!({"start": "1970-01-01T00:00:00Z", "end": "1970-01-02T00:00:00Z"})
    );
    let last = ask("last=29h&end=1970-01-02T07:00:00Z").fine();
    assert_eq!(last["windows"][0]["value"], 6);
    let days = ask("since=1970-01-01&end=1970-01-03&every=1d").fine();
    let values: Vec<&Value> = days["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| &w["value"])
        .collect();
    assert_eq!(values, [&json!(3), &json!(4)]);
    assert_eq!(ask("last_hops=1:1d&end=1970-01-03").fine()["windows"][0]["value"], 4);
    let body = json!({"keys": ["home", "none"], "window": {"since": "1970-01-01", "end": "1970-01-02"}});
    let both = s.post("/v1/stores/views/windows", &body).fine();
    assert_eq!(
        (&both["windows"][0]["value"], &both["windows"][1]["value"]),
        (&json!(3), &Value::Null)
    );
    let until_now = ask("since=1970-01-01");
    let tag = until_now.header("etag").unwrap();
    assert_eq!(until_now.fine()["windows"][0]["value"], 7);
    let again = s.get_with(
        "/v1/stores/views/windows/home?since=1970-01-01",
        &[("if-none-match", tag)],
    );
    assert!(matches!(again.status, 200 | 304), "a new hour may have begun");
    for bad in [
        "",
        "last=1x",
        "last=1h&since=1970-01-01",
        "last_hops=3",
        "since=now",
        "last=1h&end=soon",
        "last=1h&every=1y",
        "what=1",
    ] {
        ask(bad).problem(400);
    }
}

/// P30: who demands offsets that are not applied yet is told so, with both numbers.
#[test]
fn the_least_that_is_applied_may_be_demanded() {
    let mut w = world();
    let s = w.serve(ServerOptions::default());
    let token = s
        .get("/v1/stores/counts/keys/a")
        .header("rufous-token")
        .unwrap()
        .to_string();
    let path = format!("/v1/stores/counts/keys/a?at_least={token}");
    assert_eq!(s.get(&path).fine()["value"], 37);
    let ahead = format!("lines/0={}", w.next + 1);
    let asked = [
        s.get(&format!("/v1/stores/counts/keys/a?at_least={ahead}")),
        s.get(&format!("/v1/stores/counts/keys/a?partial=true&at_least={ahead}")),
        s.get(&format!("/v1/stores/counts/keys?at_least={ahead}")),
        s.get(&format!("/v1/stores/counts/sum?at_least={ahead}")),
        s.get(&format!("/v1/stores/counts/top?at_least={ahead}")),
        s.get(&format!("/v1/stores/views/windows/home?last=1h&at_least={ahead}")),
        s.post("/v1/stores/counts/get", &json!({"keys": ["a"], "at_least": ahead})),
    ];
    for answer in asked {
        let problem = answer.problem(503);
        assert_eq!(problem["kind"], "try_again");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("partition 0 of `lines`") && detail.contains(&(w.next + 1).to_string()),
            "{detail}"
        );
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    w.count(&[("a", 100)]);
    assert_eq!(
        s.get(&format!("/v1/stores/counts/keys/a?at_least={ahead}")).fine()["value"],
        137
    );
}

/// P31: a lost range is an error of its own kind; who accepts it is shown it, and a partial answer has no `value`.
#[test]
fn a_lost_range_is_no_answer() {
    let mut w = world();
    w.lose(5);
    w.count(&[("a", 100)]);
    let s = w.serve(ServerOptions::default());
    let path = "/v1/stores/counts/keys/a";
    for answer in [
        s.get(path),
        s.post("/v1/stores/counts/get", &json!({"keys": ["a", "b"]})),
        s.get("/v1/stores/counts/keys"),
    ] {
        let problem = answer.problem(409);
        assert_eq!(problem["kind"], "incomplete");
        assert!(
            problem["repair"].as_str().unwrap().contains("accept_holes=true"),
            "{problem}"
        );
    }
    let accepted = s.get(&format!("{path}?accept_holes=true"));
    assert_eq!(accepted.fine()["value"], 137);
    assert_eq!(accepted.fine()["coverage"]["holes"].as_array().unwrap().len(), 1);
    assert_eq!(accepted.header("rufous-holes"), Some("1"));
    let partial = s.get(&format!("{path}?partial=true"));
    let json = partial.fine();
    assert_eq!(
        (&json["so_far"], &json["missing"][0]["missing"]),
        (&json!(137), &json!("hole"))
    );
    assert!(json.get("value").is_none() && partial.header("etag").is_none());
    assert_eq!(partial.header("rufous-missing"), Some("1"));
    assert_eq!(s.get("/readyz").status, 503);
}

/// A silent owner is an error of its own kind, readiness says so, and a partial answer is the offline part.
#[test]
fn a_silent_owner_is_no_answer() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    assert_eq!(s.get("/readyz").fine(), json!({"ready": true, "reasons": []}));
    w.silent.store(true, std::sync::atomic::Ordering::Relaxed);
    let answer = s.get("/v1/stores/counts/keys/a");
    assert_eq!(answer.problem(503)["kind"], "try_again");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let json = s.get("/v1/stores/counts/keys/a?partial=true").fine();
    assert_eq!(
        (&json["so_far"], &json["missing"][0]["missing"]),
        (&json!(5), &json!("unavailable"))
    );
    let ready = s.get("/readyz");
    assert_eq!(
        (ready.status, ready.json()["reasons"].as_array().unwrap().len()),
        (503, 4)
    );
    assert_eq!(s.get("/healthz").fine(), json!({"healthy": true}));
}

/// A job that has never run says so.
#[test]
fn stores_are_listed_and_described() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let json = s.get("/v1/stores").fine();
    assert_eq!((&json["job"], &json["instance"]), (&json!("words"), &json!("main")));
    let names: Vec<&str> = json["stores"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["counts", "hours", "visitors", "views"]);
    let views = s.get("/v1/stores/views").fine();
    assert!(views["windows"].as_str().unwrap().contains("1h"), "{views}");
    assert_eq!(s.get("/v1/stores/hours").fine()["value"], "u64");
}

/// The document is generated from the routes, so it names every one of them, and says what comes back.
#[test]
fn the_document_names_every_route() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    let document = s.get("/openapi.json").fine();
    let paths = document["paths"].as_object().unwrap();
    for (path, method) in [
        ("/v1/stores", "get"),
        ("/v1/stores/{store}", "get"),
        ("/v1/stores/{store}/keys", "get"),
        ("/v1/stores/{store}/keys/{key}", "get"),
        ("/v1/stores/{store}/get", "post"),
        ("/v1/get", "post"),
        ("/v1/stores/{store}/explain/{key}", "get"),
        ("/v1/stores/{store}/sum", "get"),
        ("/v1/stores/{store}/top", "get"),
        ("/v1/stores/{store}/windows/{key}", "get"),
        ("/v1/stores/{store}/windows", "post"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    ] {
        assert!(
            paths
                .get(path)
                .is_some_and(|p| p[method]["responses"]["200"].is_object()),
            "{method} {path}"
        );
    }
    let parameters = paths["/v1/stores/{store}/keys/{key}"]["get"]["parameters"]
        .as_array()
        .unwrap();
    let names: Vec<&str> = parameters.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["store", "key", "partial", "accept_holes", "at_least"]);
}

#[test]
fn what_was_asked_is_counted() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    s.get("/v1/stores/counts/keys/a").fine();
    s.get("/v1/stores/none/keys/a").problem(404);
    let text = String::from_utf8(s.get("/metrics").body).unwrap();
    for line in [
        "rufous_http_answers_total{route=\"/v1/stores/{store}/keys/{key}\",status=\"200\"} 1",
        "rufous_http_answers_total{route=\"/v1/stores/{store}/keys/{key}\",status=\"404\"} 1",
        "rufous_http_read_together_count 1",
        "rufous_http_job_info{name=\"words\",instance=\"main\"} 1",
        "rufous_http_requests_total 3",
        "rufous_http_waiting 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let table = include_str!("../src/metrics.rs");
    for name in text
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next())
    {
        let short = name
            .replace("rufous_http_long_waiting", "_long_waiting")
            .replace("rufous_http_bulk_waiting", "_bulk_waiting");
        assert!(
            table.contains(&format!("`{short}`")) || table.contains(&format!("`{short}_total`")),
            "{name} is not in the table"
        );
    }
}

/// What a reply about several stores says in its headers is true of all of them: what was lost or is damaged in any is counted.
#[test]
fn the_headers_of_several_stores_speak_for_all() {
    let mut w = world();
    w.damage_value("counts", "a");
    w.lose(3);
    let s = w.serve(ServerOptions::default());
    let asked = json!({"stores": {"hours": ["x,2", "y,1"], "counts": ["a", "b"]}, "accept_holes": true});
    let answer = s.post("/v1/get", &asked);
    let json = answer.fine();
    let of = |store: &str| &json["stores"][store];
    let listed: usize = ["hours", "counts"]
        .iter()
        .map(|store| of(store)["coverage"]["holes"].as_array().unwrap().len())
        .sum();
    assert_eq!(of("counts")["answers"][0]["error"]["kind"], "corrupt_data");
    assert_eq!(
        (answer.header("rufous-failed"), answer.header("rufous-holes")),
        (Some("1"), Some(listed.to_string().as_str()))
    );
    assert_eq!(listed, 2);
    assert_eq!(answer.header("rufous-freshness"), of("hours")["freshness"].as_str());
    assert_eq!(
        answer.header("rufous-covered-until"),
        of("hours")["covered_until"].as_str()
    );
}

/// Only a question that is asked by GET is known already: whoever sends a body gets what he asks for.
#[test]
fn a_post_is_answered_whole() {
    let w = world();
    let s = w.serve(ServerOptions::default());
    for (path, body) in [
        ("/v1/stores/counts/get", json!({"keys": ["a"]})),
        ("/v1/get", json!({"stores": {"counts": ["a"]}})),
        (
            "/v1/stores/views/windows",
            json!({"keys": ["home"], "window": {"since": "1970-01-01", "end": "1970-01-02"}}),
        ),
    ] {
        let headers = [("content-type", "application/json"), ("if-none-match", "*")];
        let answer = http::ask(s.address, "POST", path, &headers, body.to_string().as_bytes());
        assert_eq!((answer.status, answer.body.is_empty()), (200, false), "{path}");
    }
    let head = http::ask(
        s.address,
        "HEAD",
        "/v1/stores/counts/keys/a",
        &[("if-none-match", "*")],
        b"",
    );
    assert_eq!(head.status, 304);
}
