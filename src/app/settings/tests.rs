//! Who counts, what is refused, what is shown: against plain maps.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::layers::{Around, Flagged, Layers, Ports, Variable, unheard};
use super::names::{ANY, Found, Kind, NAMES, Name, PORT, find, variable};
use super::*;
use crate::core::{Job, Source, Store};

fn ports() -> Ports {
    Ports {
        job: "j".into(),
        sources: vec!["lines".into(), "page-views".into()],
        sinks: vec!["alerts".into()],
    }
}

/// A settings file, variables and flags of one process.
struct World {
    dir: tempfile::TempDir,
    variables: Vec<Variable>,
    said: Vec<Flagged>,
}

impl World {
    fn new(file: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("s.toml"), file).unwrap();
        Self {
            dir,
            variables: Vec::new(),
            said: Vec::new(),
        }
    }
    fn file(&self) -> PathBuf {
        self.dir.path().join("s.toml")
    }
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), Some(value.into())));
        self
    }
    fn no_text(mut self, name: &str) -> Self {
        self.variables.push((name.into(), None));
        self
    }
    fn set(mut self, text: &str) -> Self {
        self.said.push(Flagged::set(text).unwrap());
        self
    }
    fn load(&self) -> Result<Layers> {
        self.gather(&mut Err)
    }
    fn gather(&self, wrong: &mut dyn FnMut(Error) -> Result<()>) -> Result<Layers> {
        let file = self.file();
        let around = Around {
            variables: self.variables.clone(),
            file: Some(&file),
        };
        Layers::gather(&around, &self.said, &ports(), wrong)
    }
    fn refused(&self) -> String {
        let e = self.load().unwrap_err();
        assert_eq!(e.kind(), crate::core::ErrorKind::InvalidRequest);
        e.to_string().replace(&self.file().display().to_string(), "FILE")
    }
}

/// What the property test says: settings of every kind, as TOML has them and as a text.
const TRIED: [(&str, bool); 9] = [
    ("data", true),
    ("instance", true),
    ("sources.lines.location", true),
    ("sources.page-views.location", true),
    ("sinks.alerts.location", true),
    ("offline.keep", false),
    ("stores.counts.memory_mib", false),
    ("kafka.properties.client.id", true),
    ("realtime.schema", true),
];

fn levels(path: &str) -> Vec<String> {
    match path.strip_prefix("kafka.properties.") {
        Some(option) => vec!["kafka".into(), "properties".into(), option.into()],
        None => path.split('.').map(str::to_string).collect(),
    }
}

proptest! {
    /// Flag, environment, file, main: of all that is said of a setting the first of these counts, whatever else is said of it and
    /// of others. The oracle is a map into which layers are put, the least first.
    #[test]
    fn the_first_of_flag_environment_file_and_main_counts(
        said in prop::collection::vec((0..TRIED.len(), 0..4_usize, 0..1_000_u32), 0..40)
    ) {
        let mut layers: [BTreeMap<&str, String>; 4] = Default::default();
        for (setting, layer, value) in said {
            let (path, is_text) = TRIED[setting];
            let value = if is_text { format!("v{value}") } else { value.to_string() };
            layers[layer].insert(path, value);
        }
        let mut oracle: BTreeMap<&str, (String, &str)> = BTreeMap::new();
        for (layer, word) in layers.iter().zip(["main", "file", "environment", "flag"]) {
            oracle.extend(layer.iter().map(|(path, value)| (*path, (value.clone(), word))));
        }
        let quoted = |path: &str, value: &str| match TRIED.contains(&(path, true)) {
            true => format!("'{value}'"),
            false => value.to_string(),
        };
        let keys = |path: &str| levels(path).iter().map(|l| format!("'{l}'")).collect::<Vec<_>>().join(".");
        let text: String = layers[1].iter().map(|(p, v)| format!("{} = {}\n", keys(p), quoted(p, v))).collect();
        let mut world = World::new(&text);
        let path = |p: &str| -> Vec<String> { levels(p) };
        for (p, v) in &layers[0] {
            let levels = path(p);
            world.said.push(Flagged::main(&levels.iter().map(String::as_str).collect::<Vec<_>>(), v));
        }
        for (p, v) in &layers[2] {
            world = world.variable(&variable(&path(p)), v);
        }
        for (p, v) in &layers[3] {
            world = world.set(&format!("{p}={v}"));
        }
        let found = world.load().unwrap();
        let found: BTreeMap<String, (String, &str)> = found
            .all()
            .into_iter()
            .map(|(path, value, origin, _)| (path, (value.to_string(), origin.word())))
            .collect();
        let oracle: BTreeMap<String, (String, &str)> =
            oracle.into_iter().map(|(path, found)| (path.to_string(), found)).collect();
        prop_assert_eq!(found, oracle);
    }
}

/// Every setting can be said in each of the three ways, under the name that is shown for it.
#[test]
fn every_setting_has_a_variable_and_a_name_for_set() {
    for name in NAMES {
        let levels: Vec<String> = name
            .path
            .iter()
            .enumerate()
            .map(|(at, level)| match (*level, name.path[0], at) {
                (PORT, "sources", _) => "page-views".into(),
                (PORT, "sinks", _) => "alerts".into(),
                (PORT, ..) => "a-step".into(),
                (ANY, ..) if name.path.contains(&"kafka") => "security.protocol".into(),
                (ANY, ..) => "aws_region".into(),
                (level, ..) => level.into(),
            })
            .collect();
        let is_secret = name.kind == Kind::Named && crate::core::secret::is_secret(levels.last().unwrap());
        let value = match name.kind {
            Kind::Named if is_secret => "{ env = 'KEPT' }",
            // No setting asks for more than that.
            Kind::Number(_) => "1048576",
            Kind::Switch => "true",
            Kind::Choice(of) => of[1],
            _ => "text",
        };
        let by_variable = World::new("").variable(&variable(&levels), value).load().unwrap();
        let by_set = World::new("")
            .set(&format!("{}={value}", levels.join(".")))
            .load()
            .unwrap();
        for (found, word) in [(by_variable, "environment"), (by_set, "flag")] {
            let all = found.all();
            let [(path, found, origin, _)] = &all[..] else {
                panic!("{}: {all:?}", name.show());
            };
            assert_eq!((path, origin.word()), (&levels.join("."), word));
            assert_eq!(found.is_secret(), is_secret, "{path}");
            assert!(is_secret || found.to_string() == value, "{path}: {found}");
        }
        if let Some(own) = name.variable {
            let found = World::new("").variable(own, value).load().unwrap();
            assert_eq!(found.all()[0].2.to_string(), format!("variable {own}"));
        }
    }
}

/// A name that is not known is refused where it was said, with the nearest that is.
#[test]
fn unknown_names_are_refused_with_the_nearest_one() {
    let file = |text: &str| World::new(text).refused();
    let cases = [
        (
            file("data = 'd'\n[sources.lines]\n# so\nlocaton = 'file:a'\n"),
            "settings FILE, line 4: there is no setting `sources.lines.locaton`: did you mean `sources.lines.location`?",
        ),
        (
            file("[souces.lines]\nlocation = 'file:a'\n"),
            "settings FILE, line 1: there is no setting `souces`: did you mean `sources`?",
        ),
        (
            file("[sources.lins]\nlocation = 'file:a'\n"),
            "settings FILE, line 2: job `j` has no source `lins` (it has: lines, page-views): did you mean `lines`?",
        ),
        (
            file("[sinks.alert]\n"),
            "settings FILE, line 1: job `j` has no sink `alert` (it has: alerts): did you mean `alerts`?",
        ),
        (
            file("colour = 'red'\n"),
            "settings FILE, line 1: there is no setting `colour`: `config --all` lists all that there are",
        ),
        (
            file("[kafka]\ngroup = 'g'\n"),
            "settings FILE, line 2: [kafka] has a `group`, but a group belongs to one source: write it to [sources.NAME.kafka]",
        ),
        (
            file("realtime = 'postgres://h/d'\n"),
            "settings FILE, line 1: `realtime` is a section, and no setting: name one of its settings (`config --all` lists those of `realtime.`)",
        ),
        (
            World::new("")
                .variable("RUFOUS_SOURCES__LINES__LOCATON", "file:a")
                .refused(),
            "variable RUFOUS_SOURCES__LINES__LOCATON: there is no setting `sources.lines.locaton`: did you mean \
             RUFOUS_SOURCES__LINES__LOCATION (`sources.lines.location`)?",
        ),
        (
            World::new("").variable("RUFOUS__DATE", "d").refused(),
            "variable RUFOUS__DATE: there is no setting `date`: did you mean RUFOUS__DATA (`data`)?",
        ),
        (
            World::new("").variable("RUFOUS_REALTIM", "d").refused(),
            "variable RUFOUS_REALTIM: there is no such setting: did you mean RUFOUS_REALTIME?",
        ),
        (
            World::new("").variable("RUFOUS_INSTANCE", "d").refused(),
            "variable RUFOUS_INSTANCE: there is no such setting: did you mean RUFOUS__INSTANCE?",
        ),
        (
            World::new("").variable("RUFOUS_SINKS__ALERT__LOCATION", "d").refused(),
            "variable RUFOUS_SINKS__ALERT__LOCATION: job `j` has no sink `alert` (it has: alerts): did you mean `alerts`?",
        ),
        (
            World::new("").set("offline.kep=3").refused(),
            "flag --set: there is no setting `offline.kep`: did you mean `offline.keep`?",
        ),
    ];
    for (said, wanted) in cases {
        assert_eq!(said, wanted);
    }
    // Variables of our prefix that others use say nothing, and are nobody's mistake.
    let others = [
        "RUFOUS_DATA",
        "RUFOUS_KAFKA_DIR",
        "RUFOUS_S3_DIR",
        "RUFOUS_GRAPHS",
        "RUFOUS_DISK",
        "RUFOUS_CACHE",
        "RUFOUS_PYTHON_DIR",
        "RUFOUS_BROWSER_DIR",
        "RUFOUS_SCREENSHOTS",
        "RUFOUS_STREAMS_DIR",
        "RUFOUS_RACE_DATA",
        "RUFOUS_SERVICE_HOST",
    ];
    let mut world = World::new("");
    for name in others {
        world = world.variable(name, "x");
    }
    assert!(world.load().unwrap().all().is_empty());
    let heard: Vec<&str> = unheard(&world.variables).into_iter().map(|(name, _)| name).collect();
    assert_eq!(heard, others);
    assert_eq!(unheard(&world.variables)[0].1.as_deref(), Some("RUFOUS__DATA"));
}

/// One `_` where two belong is no other name: who sets it means the setting, and nothing else would tell him that it does not count.
#[test]
fn a_variable_with_one_underscore_between_levels_is_refused() {
    let levels = |name: &Name| -> Vec<String> {
        let level = |level: &&str| match *level {
            PORT => "page-views".into(),
            ANY => "client.id".into(),
            level => level.into(),
        };
        name.path.iter().map(level).collect()
    };
    for name in NAMES.iter().filter(|n| n.path.len() > 1) {
        let right = variable(&levels(name));
        let wrong = right.replace("__", "_");
        for said in [
            wrong.clone(),
            wrong.to_ascii_lowercase().replacen("rufous", "RUFOUS", 1),
        ] {
            if name.variable == Some(said.as_str()) {
                continue;
            }
            let e = World::new("").variable(&said, "text").refused();
            assert!(
                e.starts_with(&format!(
                    "variable {said}: there is no such setting: did you mean RUFOUS_"
                )),
                "{e}"
            );
            if !name.path.contains(&PORT) {
                assert!(e.ends_with(&format!("{right}?")), "{e}");
            }
        }
    }
    let e = World::new("")
        .variable("RUFOUS_SOURCES_LINES_LOCATION", "file:a")
        .refused();
    assert!(e.ends_with("did you mean RUFOUS_SOURCES__LINES__LOCATION?"), "{e}");
}

/// Two variables of one setting are refused in either order, unless they say the same or one of them nothing; neither value is shown.
#[test]
fn two_variables_of_one_setting_are_refused() {
    let pairs = [
        ("RUFOUS_REALTIME", "RUFOUS_REALTIME__LOCATION", "realtime.location"),
        ("RUFOUS_LOG", "RUFOUS_LOG__LEVEL", "log.level"),
        ("RUFOUS__INSTANCE", "RUFOUS__instance", "instance"),
        (
            "RUFOUS_SOURCES__PAGE_VIEWS__LOCATION",
            "RUFOUS_SOURCES__page_views__LOCATION",
            "sources.page-views.location",
        ),
        (
            "RUFOUS_KAFKA__PROPERTIES__SASL_PASSWORD",
            "RUFOUS_KAFKA__PROPERTIES__sasl_password",
            "kafka.properties.sasl.password",
        ),
    ];
    for (a, b, path) in pairs {
        let world = |a: (&str, &str), b: (&str, &str)| World::new("").variable(a.0, a.1).variable(b.0, b.1);
        for world in [world((a, SECRET), (b, "other")), world((b, "other"), (a, SECRET))] {
            assert_eq!(
                world.refused(),
                format!("variables {a} and {b} say different things of `{path}`: unset one of them")
            );
        }
        for (one, other) in [("same", "same"), ("same", ""), ("", "same")] {
            let layers = world((a, one), (b, other)).load().unwrap();
            assert_eq!(layers.all().len(), 1);
        }
    }
}

/// What is no text is not taken for an empty one, which would say nothing: a job would keep its state elsewhere than it was told.
#[test]
fn a_value_that_is_no_text_is_refused_by_name() {
    for name in ["RUFOUS_REALTIME", "RUFOUS__DATA", "RUFOUS_SOURCES__LINES__LOCATION"] {
        let e = World::new("").no_text(name).refused();
        assert_eq!(
            e,
            format!("variable {name}: its value is no UTF-8: set it to a text, or unset it")
        );
    }
    let others = World::new("").no_text("RUFOUS_DATA").no_text("LS_COLORS");
    assert!(others.load().unwrap().all().is_empty());
}

/// Dots of librdkafka's properties are known by where they stand, whatever a source is called.
#[test]
fn a_source_may_be_called_like_a_section() {
    for name in ["properties", "kafka"] {
        let ports = Ports {
            sources: vec![name.into()],
            ..ports()
        };
        let variables = [
            ("KAFKA__PROPERTIES__SASL_USERNAME", "me"),
            ("LOCATION", "kafka://h:1/t"),
        ];
        let around = Around {
            variables: variables
                .map(|(option, value)| {
                    let variable = format!("RUFOUS_SOURCES__{}__{option}", name.to_ascii_uppercase());
                    (variable, Some(value.to_string()))
                })
                .to_vec(),
            file: None,
        };
        let layers = Layers::load(&around, &[], &ports).unwrap();
        let found: Vec<String> = layers.all().into_iter().map(|(path, ..)| path).collect();
        let wanted = ["location", "kafka.properties.sasl.username"].map(|option| format!("sources.{name}.{option}"));
        assert_eq!(found, wanted);
    }
}

/// A value of another kind is refused with the kind that it should have.
#[test]
fn values_have_their_kind() {
    for (text, wanted) in [
        (
            "[offline]\nkeep = 'many'\n",
            "`offline.keep` is a whole number, and a text is said: write it without quotes",
        ),
        (
            "[offline]\nkeep = -1\n",
            "`offline.keep` is a whole number, and -1 is said",
        ),
        (
            "[realtime]\nconnections = 0\n",
            "`realtime.connections` is a whole number, at least 1, and 0 is said",
        ),
        (
            "data = 7\n",
            "`data` is a text, and something else is said: write it in quotes",
        ),
        (
            "[sources.lines]\non_bad_record = 'ignore'\n",
            "is one of fail, skip, dead-letter, and `ignore` is said",
        ),
        (
            "[sinks.alerts]\nmark_from_state = 'yes'\n",
            "is true or false, and a text is said: write it without quotes",
        ),
        ("[views]\nstores = 'counts'\n", "is a list of texts, and a text is said"),
        (
            "[views]\nstores = [1]\n",
            "is a list of texts, and a list of other things is said",
        ),
        ("data = { env = 'D' }\n", "`data` is a text, and a table is said"),
    ] {
        let e = World::new(text).refused();
        assert!(e.starts_with("settings FILE, line ") && e.ends_with(wanted), "{e}");
    }
    for (set, wanted) in [
        (
            "offline.keep=many",
            "`offline.keep` is a whole number, and `many` is said",
        ),
        ("realtime.accept_volatile=1", "is true or false, and `1` is said"),
    ] {
        let e = World::new("").set(set).refused();
        assert!(e.ends_with(wanted), "{e}");
    }
    let broken = World::new("[kafka.properties]\n'sasl.password' = 's3cr3t\n").refused();
    assert!(
        broken.starts_with("settings FILE, line 2: ") && !broken.contains("s3cr3t"),
        "{broken}"
    );
}

const SECRET: &str = "s3cr3t-of-a-test";

/// A secret that is written out is refused with the repair, in a file and on the command line; where it may be it is never shown.
#[test]
fn a_secret_that_is_written_out_is_refused() {
    for (name, literal) in [
        ("kafka.properties.sasl.password", SECRET.to_string()),
        ("kafka.properties.sasl.password.typo", SECRET.into()),
        ("sources.lines.kafka.properties.ssl.key.pem", SECRET.into()),
        ("sources.lines.options.aws_secret_access_key", SECRET.into()),
        ("archive.options.aws_session_token", SECRET.into()),
        ("offline.options.secret_access_key", SECRET.into()),
        ("realtime.location", format!("postgres://me:{SECRET}@h/d")),
        ("views.location", format!("postgres://me@h/d?password={SECRET}")),
    ] {
        let key = match name.split_once("properties.") {
            Some((section, option)) => format!("{section}properties.'{option}'"),
            None => name.to_string(),
        };
        for e in [
            World::new(&format!("{key} = '{literal}'\n")).refused(),
            World::new("").set(&format!("{name}={literal}")).refused(),
        ] {
            assert!(
                e.contains(&format!("`{name}`")) && e.contains("{ env = \"VARIABLE\" }"),
                "{e}"
            );
            assert!(!e.contains(SECRET), "{e}");
        }
        // Each other way is taken, and shows nothing.
        let place = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(place.path(), format!("{literal}\n")).unwrap();
        let path = place.path().display();
        let full = match find(&name.split('.').map(str::to_string).collect::<Vec<_>>()) {
            Ok(Found::Setting(_, whole)) => whole,
            _ => panic!("{name}"),
        };
        let worlds = [
            World::new(&format!("{key} = {{ env = 'KEPT' }}\n")).variable("KEPT", &literal),
            World::new(&format!("{key} = {{ file = '{path}' }}\n")),
            World::new("")
                .set(&format!("{name}={{ env = \"KEPT\" }}"))
                .variable("KEPT", &literal),
            World::new("").variable(&variable(&full), &literal),
            World::new("")
                .variable(&variable(&full), "{ env = 'KEPT' }")
                .variable("KEPT", &literal),
        ];
        for world in worlds {
            let layers = world.load().unwrap();
            let all = layers.all();
            let (_, value, origin, _) = &all[0];
            let shown = format!("{value} {value:?} {} {origin} {layers:?}", value.json());
            assert!(shown.contains("(hidden)") && !shown.contains(SECRET), "{shown}");
            let settings = Settings::of(layers);
            assert!(!format!("{settings:?}").contains(SECRET));
            let options = [&settings.kafka, &settings.archive.options, &settings.offline.options];
            let of_source = settings.sources.values().flat_map(|s| [&s.kafka, &s.options]);
            let held = options
                .into_iter()
                .chain(of_source)
                .any(|o| o.0.values().any(|v| v.as_deref() == Ok(&literal)));
            let urls = [
                settings.realtime.location.clone().and_then(Result::ok),
                settings.views.location.clone().and_then(Result::ok),
            ];
            let held = held || urls.iter().flatten().any(|url| url.text() == literal);
            assert!(held, "{name}: what is kept elsewhere is what those who need it get");
        }
    }
    // A location that has no password anywhere.
    let e = World::new("")
        .variable("RUFOUS_SOURCES__LINES__LOCATION", &format!("kafka://u:{SECRET}@h:1/t"))
        .refused();
    assert!(
        e.ends_with("no location of its kind has one: leave it out") && !e.contains(SECRET),
        "{e}"
    );
}

/// What is not where it is said to be is named; only those who need it fail.
#[test]
fn a_secret_that_is_gone_is_named() {
    let world = World::new("[kafka.properties]\n'sasl.password' = { env = 'NOT_SET' }\n'client.id' = 'me'\n");
    let settings = Settings::of(world.load().unwrap());
    let e = settings.kafka.all().unwrap_err().to_string();
    assert_eq!(
        e,
        "setting `kafka.properties.sasl.password`: the variable NOT_SET, which is to hold it, is not set: set it"
    );
    let world = World::new("[kafka.properties]\n'sasl.password' = { env = 'NO_TEXT' }\n").no_text("NO_TEXT");
    let e = Settings::of(world.load().unwrap()).kafka.all().unwrap_err().to_string();
    assert!(
        e.ends_with("the variable NO_TEXT, which is to hold it, is no UTF-8: set it to a text, or keep it in a file"),
        "{e}"
    );
    let world = World::new("[realtime]\nlocation = { file = '/nowhere/at/all' }\n");
    let e = Settings::of(world.load().unwrap()).realtime.location;
    let e = e.unwrap().unwrap_err();
    assert!(
        e.contains("line 2: `realtime.location`: the file /nowhere/at/all"),
        "{e}"
    );
}

/// Who goes on all the same is told everything that is wrong, and has all the rest.
#[test]
fn everything_wrong_is_gathered() {
    let world =
        World::new("instance = 'prod'\nmemry = '1GiB'\n[sources.lines]\nlocation = 'file:a'\nlocaton = 'file:b'\n")
            .variable("RUFOUS_SOURCES__LINES__ON_BAD_RECORD", "perhaps")
            .variable("RUFOUS__MEMORY", "2GiB");
    let mut wrong = Vec::new();
    let layers = world.gather(&mut |e| {
        wrong.push(e.to_string());
        Ok(())
    });
    let has = |part: &str| assert!(wrong.iter().any(|e| e.contains(part)), "`{part}` in {wrong:?}");
    has("`memry`");
    has("`sources.lines.locaton`");
    has("variable RUFOUS_SOURCES__LINES__ON_BAD_RECORD");
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    let settings = Settings::of(layers.unwrap());
    assert_eq!(
        (settings.instance.as_str(), settings.memory.as_deref()),
        ("prod", Some("2GiB"))
    );
    assert_eq!(settings.sources["lines"].location.as_deref(), Some("file:a"));
    // Who does not go on meets the first.
    assert_eq!(world.load().unwrap_err().to_string(), wrong[0]);
}

/// An option belongs to exactly one named thing, of the kind that the section says.
#[test]
fn memory_is_given_by_name() {
    const LINES: Source<str> = Source::new("lines");
    const COUNTS: Store<String, u64> = Store::new("counts");
    let keys = LINES
        .read()
        .keyed(|line, out| out.emit(line, 1))
        .flat_map_keys(|k, out| {
            out.emit(k);
            out.emit(k);
        });
    let mut plan = Job::new("j", keys.named("twice").sum_by_key(COUNTS)).plan().unwrap();
    let mut apply = |text: &str| {
        let world = World::new(text);
        let done = Settings::of(world.load().unwrap()).apply(&mut plan);
        done.map_err(|e| e.to_string().replace(&world.file().display().to_string(), "FILE"))
    };
    let wrong = apply("[stores.twice]\nmemory_mib = 1\n").unwrap_err();
    assert_eq!(
        wrong,
        "settings FILE, line 2: `stores.twice`: `twice` is no store but a step: write [steps.twice]"
    );
    let wrong = apply("[stores.count]\nmemory_mib = 1\n").unwrap_err();
    assert!(wrong.ends_with("did you mean `counts`?"), "{wrong}");
    let wrong = apply("[steps.twize]\nmemory_mib = 1\n").unwrap_err();
    assert!(
        wrong.starts_with("settings FILE, line 2: `steps.twize`: ") && wrong.ends_with("did you mean `twice`?"),
        "{wrong}"
    );
    let wrong = apply("[views]\nstores = ['counts', 'cuonts']\n").unwrap_err();
    assert_eq!(
        wrong,
        "settings FILE, line 2: `views.stores`: job `j` has no store `cuonts` (it has: counts): did you mean `counts`?"
    );
    apply("[views]\nstores = ['counts']\n").unwrap();
    apply("[stores.counts]\nmemory_mib = 3\n[steps.twice]\nmemory_mib = 2\n").unwrap();
    let text = plan.explain(Some(7 << 20));
    assert!(
        text.contains("3 MiB of its own") && text.contains("2 MiB of its own"),
        "{text}"
    );
    assert!(!text.contains("shares"), "{text}");
}

/// Who only looks waits no longer than he says, and no longer than was said or is usual: a patience lengthens nothing.
#[test]
fn a_patience_only_lowers() {
    let ms = Duration::from_millis;
    let text = "[realtime]\nlocation = 'redis://h:1/0'\nconnect_timeout_ms = 300\n[offline.options]\naws_timeout = '2s'\n\
                [archive.options]\nconnect_timeout = '1m'\ntimeout = 'soon'\n";
    for (patience, connect, answer, offline, archive) in [
        (
            ms(100),
            (ms(100), ms(100)),
            (ms(100), ms(100)),
            [
                ("aws_timeout", "2s"),
                ("connect_timeout", "100ms"),
                ("timeout", "100ms"),
            ]
            .as_slice(),
            ("100ms", "soon"),
        ),
        (
            ms(2_500),
            (ms(300), ms(2_500)),
            (ms(900), ms(2_500)),
            [("aws_timeout", "2s"), ("connect_timeout", "2500ms")].as_slice(),
            ("2500ms", "soon"),
        ),
        (
            ms(90_000),
            (ms(300), ms(10_000)),
            (ms(900), ms(10_000)),
            [("aws_timeout", "2s")].as_slice(),
            ("1m", "soon"),
        ),
    ] {
        let mut settings = Settings::of(World::new(text).load().unwrap());
        settings.wait_at_most(patience);
        let realtime = &settings.realtime;
        let lowered = |said, usual| realtime.lowered(said, usual);
        assert_eq!(
            (
                lowered(realtime.connect_timeout_ms, ms(10_000)),
                lowered(None, ms(10_000))
            ),
            connect
        );
        assert_eq!((lowered(Some(900), ms(10_000)), lowered(None, ms(10_000))), answer);
        let offline: BTreeMap<String, String> = offline
            .iter()
            .map(|(n, v)| ((*n).to_string(), (*v).to_string()))
            .collect();
        assert_eq!(settings.offline.options.all().unwrap(), offline, "{patience:?}");
        let found = settings.archive.options.all().unwrap();
        assert_eq!(
            (found["connect_timeout"].as_str(), found["timeout"].as_str()),
            archive,
            "{patience:?}"
        );
    }
    // By a variable, which an option would stand above.
    let mut options = Options::default();
    options.wait_at_most(ms(3_000), |name| (name == "AWS_TIMEOUT").then(|| "1s".into()));
    assert_eq!(
        options.all().unwrap(),
        BTreeMap::from([("connect_timeout".into(), "3000ms".into())])
    );
}

/// What `config --all` shows as defaults is what the code does.
#[test]
fn shown_defaults_are_those_of_the_code() {
    let shown = |path: &str| {
        let name = NAMES.iter().find(|n| n.show() == path).unwrap();
        name.default.to_string()
    };
    let settings = Settings::of(World::new("").load().unwrap());
    assert_eq!(shown("data"), settings.data.display().to_string());
    assert_eq!(shown("instance"), settings.instance);
    let budget = crate::realtime::budget::Budget::parse(&shown("memory")).unwrap();
    assert_eq!(budget.bytes(), crate::realtime::budget::Budget::default().bytes());
    let gc = rufous_store_offline::Gc::default();
    assert_eq!(shown("offline.keep"), gc.keep.to_string());
    assert_eq!(shown("offline.grace_minutes"), (gc.grace.as_secs() / 60).to_string());
    let limits = crate::realtime::Limits::default();
    assert_eq!(
        shown("monitor.stalled_after_ms"),
        limits.stalled.as_millis().to_string()
    );
    assert_eq!(shown("monitor.silent_after_ms"), limits.silent.as_millis().to_string());
}
