//! What `Job::plan` refuses, before any record is read: each refusal is compared as a whole, with the lines of the calls that
//! contradict each other and the repair ("every message names the thing and the repair").

use rufous_core::*;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const TEXTS: Sink<String> = Sink::new("texts");
const WORDS: Counter = Counter::new("long-words");

fn words() -> KeyedProducer<String, u64> {
    LINES.read().keyed(|line, out| out.emit(line, 1))
}

fn texts() -> Producer<String> {
    LINES.read().map(|line| line.to_string())
}

/// The message of a job that is refused.
fn refusal(tails: impl Tails<Anywhere>) -> String {
    let job: Job = Job::new("job", tails);
    let error = job.plan().err().expect("this job is refused");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    error.to_string()
}

fn accepted(tails: impl Tails<Anywhere>) -> Plan {
    let job: Job = Job::new("job", tails);
    job.plan().expect("this job is accepted")
}

/// The line after the call, as messages name it.
#[track_caller]
fn next_line() -> String {
    let here = std::panic::Location::caller();
    format!("core/tests/refusals.rs:{}", here.line() + 1)
}

/// A job whose store has two sums would have no one value per key to read: the ancestor overwrote one of them.
#[test]
fn two_sums_of_one_store() {
    let (words, others) = (words(), words());
    let first = next_line();
    let one = words.sum_by_key(COUNTS);
    let second = next_line();
    let two = others.sum_by_key(COUNTS);
    assert_eq!(
        refusal((one, two)),
        format!(
            "store `counts` ends two sums ({first} and {second}): merge them before the sum, or give each a store of its own"
        )
    );
}

/// One port, one type: the bytes of one sum would be read as values of the other.
#[test]
fn two_sums_of_one_store_with_other_types() {
    const SIGNED: Store<String, i64> = Store::new("counts");
    let (words, others) = (words(), words().map_values(|n| *n as i64));
    let first = next_line();
    let one = words.sum_by_key(COUNTS);
    let second = next_line();
    let two = others.sum_by_key(SIGNED);
    assert_eq!(
        refusal((one, two)),
        format!("store `counts` is declared twice with different types ({first} and {second}): one port, one type")
    );
}

/// An end is what it is, not how often it is named: the same sum twice in a tuple is one sum.
#[test]
fn the_same_end_twice_is_one_end() {
    let sum = words().sum_by_key(COUNTS);
    assert_eq!(accepted((sum.clone(), sum)).stores().len(), 1);
    let write = texts().write(TEXTS);
    assert_eq!(accepted((write.clone(), write)).sinks().len(), 1);
}

#[test]
fn two_writes_of_one_sink() {
    let (texts, others) = (texts(), texts());
    let first = next_line();
    let one = texts.write(TEXTS);
    let second = next_line();
    let two = others.write(TEXTS);
    assert_eq!(
        refusal((one, two)),
        format!(
            "sink `texts` ends two writes ({first} and {second}): merge them before the write, or give each a sink of its own"
        )
    );
}

/// One port, one type.
#[test]
fn two_writes_of_one_sink_with_other_types() {
    const NUMBERS: Sink<u64> = Sink::new("texts");
    let (texts, others) = (texts(), LINES.read().map(|line| line.len() as u64));
    let first = next_line();
    let one = texts.write(TEXTS);
    let second = next_line();
    let two = others.write(NUMBERS);
    assert_eq!(
        refusal((one, two)),
        format!("sink `texts` is declared twice with different types ({first} and {second}): one port, one type")
    );
}

/// What a source declares about batches is in every archive and manifest: two declarations would cut one log in two ways
/// (P8).
#[test]
fn a_source_with_two_batchers() {
    const DAYS: Source<str> = LINES.batches(Batcher::of_hours(24));
    let first = next_line();
    let one = LINES.read();
    let second = next_line();
    let two = DAYS.read();
    let lengths = one.map(|line| line.len()).merge(two.map(|line| line.len()));
    assert_eq!(
        refusal(lengths.write(Sink::new("lengths"))),
        format!(
            "source `lines` is declared twice: `text timed=false clock=log batches=1 hour` ({first}) and `text timed=false \
             clock=log batches=1 day` ({second}); one port has one type, one clock and one batcher"
        )
    );
}

/// As above: the clock is what cuts (P2).
#[test]
fn a_source_with_two_clocks() {
    const TIMED: Source<str> = LINES.timed_by(|line| Timestamp(line.len() as i64));
    const BY_EVENT: Source<str> = TIMED.batch_clock(Clock::Event);
    let first = next_line();
    let one = TIMED.read();
    let second = next_line();
    let two = BY_EVENT.read();
    let lengths = one.map(|line| line.len()).merge(two.map(|line| line.len()));
    assert_eq!(
        refusal(lengths.write(Sink::new("lengths"))),
        format!(
            "source `lines` is declared twice: `text timed=true clock=log batches=1 hour` ({first}) and `text timed=true \
             clock=event batches=1 hour` ({second}); one port has one type, one clock and one batcher"
        )
    );
}

/// A record of one integer field, by this field's name.
macro_rules! record {
    ($name:ident, $field:literal) => {
        #[derive(Clone)]
        struct $name;
        impl Record for $name {
            const FIELDS: &'static [Field] = &[Field {
                name: $field,
                ty: FieldType::Integer,
                optional: false,
            }];
            fn from_row(_: &Row<'_>) -> Result<Self, RecordError> {
                Ok($name)
            }
        }
    };
}
record!(Ad, "campaign");
record!(Click, "campaign");
record!(View, "page");

/// One port, one type.
#[test]
fn a_source_with_other_fields() {
    const ADS: Source<Ad> = Source::new("ads");
    const VIEWS: Source<View> = Source::new("ads");
    let first = next_line();
    let one = ADS.read();
    let second = next_line();
    let two = VIEWS.read();
    assert_eq!(
        refusal(one.map(|_| 1).merge(two.map(|_| 2)).write(Sink::new("numbers"))),
        format!(
            "source `ads` is declared twice: `campaign:integer timed=false clock=log batches=1 hour` ({first}) and \
             `page:integer timed=false clock=log batches=1 hour` ({second}); one port has one type, one clock and one batcher"
        )
    );
}

/// One port, one type: also where both types have the same fields, for a chunk of one is no chunk of the other.
#[test]
fn a_source_with_other_types_of_the_same_fields() {
    const ADS: Source<Ad> = Source::new("ads");
    const CLICKS: Source<Click> = Source::new("ads");
    let first = next_line();
    let one = ADS.read();
    let second = next_line();
    let two = CLICKS.read();
    assert_eq!(
        refusal(one.map(|_| 1).merge(two.map(|_| 2)).write(Sink::new("numbers"))),
        format!(
            "source `ads` is declared twice with different types of the same fields ({first} and {second}): one port, one type"
        )
    );
}

/// Counters are a store of the job; its name is kept for it, whether the job counts or not.
#[test]
fn the_name_of_the_counters() {
    const MINE: Store<String, u64> = Store::new("counters");
    let words = words();
    let line = next_line();
    let sum = words.sum_by_key(MINE);
    assert_eq!(
        refusal(sum),
        format!("store `counters` ({line}): this name is kept for the job's counters; choose another")
    );
}

/// A job's name becomes a directory.
#[test]
fn names_of_jobs() {
    for name in ["", "Word count", "word_count", "../word-count", "w\u{f6}rter"] {
        let words = words();
        let line = next_line();
        let job: Job = Job::new(name, words.sum_by_key(COUNTS));
        let error = job.plan().err().expect("this name is refused");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(
            error.to_string(),
            format!("job name `{name}` ({line}): names are made of a-z, 0-9 and '-'")
        );
    }
}

#[test]
fn names_of_steps() {
    for name in ["", "Words", "long words", "a/b"] {
        let words = words();
        let line = next_line();
        let named = words.named(name);
        assert_eq!(
            refusal(named.sum_by_key(COUNTS)),
            format!("step name `{name}` ({line}): names are made of a-z, 0-9 and '-'")
        );
    }
    for name in ["-", "-a", "a-", "a--b"] {
        let words = words();
        let line = next_line();
        let named = words.named(name);
        assert_eq!(
            refusal(named.sum_by_key(COUNTS)),
            format!(
                "step name `{name}` ({line}): each '-' is to stand between two of a-z and 0-9: a variable could not say it otherwise"
            )
        );
    }
}

/// Options go by the name alone: one of a step must be none of a store.
#[test]
fn a_step_with_the_name_of_a_store() {
    let words = words();
    let first = next_line();
    let named = words.named("counts");
    let second = next_line();
    let sum = named.sum_by_key(COUNTS);
    assert_eq!(
        refusal(sum),
        format!(
            "step name `counts` ({first}) is the name of a store ({second}), too: options go by the name, so give the step another"
        )
    );
}

/// Options belong to exactly one named step: a name stands for one step.
#[test]
fn one_name_for_two_steps() {
    let (words, others) = (words(), words());
    let first = next_line();
    let one = words.named("words");
    let second = next_line();
    let two = others.named("words");
    assert_eq!(
        refusal(one.merge(two).sum_by_key(COUNTS)),
        format!(
            "two steps are named `words` ({first} and {second}): state, metrics and options go by the name, so it must be one \
             step's"
        )
    );
}

#[test]
fn two_names_for_one_step() {
    let lines = LINES.read();
    let step = next_line();
    let words = lines.keyed(|line, out| out.emit(line, 1));
    let named = words.named("words");
    let second = next_line();
    let named = named.named("tokens");
    assert_eq!(
        refusal(named.sum_by_key(COUNTS)),
        format!("step `keyed` named `words` ({step}) is given a second name, `tokens` ({second}): keep one")
    );
}

/// A producer that forks after its name is one named step, not two.
#[test]
fn a_name_before_a_fork_is_one_name() {
    const LENGTHS: Store<String, u64> = Store::new("lengths");
    let named = words().named("words");
    let lengths = named.clone().map_values(|n| n + 1).sum_by_key(LENGTHS);
    assert_eq!(accepted((named.sum_by_key(COUNTS), lengths)).stores().len(), 2);
}

fn cannot_count(line: &str) -> String {
    format!(
        "`.counting` ({line}) stands after something whose closure cannot count: put it right after the `flat_map`, `keyed`, \
         `keyed_pairs` or `flat_map_values` that does"
    )
}

/// What a key step counted would depend on how often the plan runs it.
#[test]
fn counting_after_key_steps() {
    for words in [
        words().map_keys(|word| word.clone()),
        words().filter_keys(|word| word.len() > 3),
        words().flat_map_keys(|word, out| out.emit(word.as_str())),
    ] {
        let line = next_line();
        let counting = words.counting([WORDS]);
        assert_eq!(refusal(counting.sum_by_key(COUNTS)), cannot_count(&line));
    }
}

/// These closures are handed nothing to count with.
#[test]
fn counting_after_closures_without_an_out() {
    for texts in [
        texts().map(String::clone),
        texts().filter(|t| !t.is_empty()),
        texts().filter_map(|t| Some(t.clone())),
    ] {
        let line = next_line();
        let counting = texts.counting([WORDS]);
        assert_eq!(refusal(counting.write(TEXTS)), cannot_count(&line));
    }
    for words in [words().map_values(|n| n + 1), words().filter_values(|n| *n > 1)] {
        let line = next_line();
        let counting = words.counting([WORDS]);
        assert_eq!(refusal(counting.sum_by_key(COUNTS)), cannot_count(&line));
    }
}

#[test]
fn counting_after_what_has_no_closure() {
    let merged = words().merge(words().map_values(|n| n + 1));
    for words in [merged, words().counted(WORDS)] {
        let line = next_line();
        let counting = words.counting([WORDS]);
        assert_eq!(refusal(counting.sum_by_key(COUNTS)), cannot_count(&line));
    }
    for texts in [texts().write(TEXTS).records(), texts().merge(texts())] {
        let line = next_line();
        let counting = texts.counting([WORDS]);
        assert_eq!(refusal(counting.write(Sink::new("more"))), cannot_count(&line));
    }
    let lines = LINES.read();
    let line = next_line();
    let counting = lines.counting([WORDS]);
    let words = counting.keyed(|line, out| out.emit(line, 1));
    assert_eq!(refusal(words.sum_by_key(COUNTS)), cannot_count(&line));
}

/// The message of a run over one line.
fn failure(sum: Summed<String, u64>) -> Option<String> {
    let plan = accepted(sum);
    let mut chunk = TextChunk::default();
    chunk.push("a long line");
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    let error = plan.instantiate().push(&meta, &mut chunk).err()?;
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    Some(error.to_string())
}

/// Counters are exact because the plan knows them: what is not declared fails the run instead of being lost.
#[test]
fn a_count_that_is_not_declared() {
    let lines = LINES.read();
    let line = next_line();
    let words = lines.keyed(|line, out| {
        out.count(WORDS, 1);
        out.emit(line, 1);
    });
    assert_eq!(
        failure(words.clone().named("words").sum_by_key(COUNTS)),
        Some(format!(
            "step `keyed` named `words` ({line}) counts `long-words`, which it does not declare: add `.counting([LONG_WORDS])` \
             after it"
        ))
    );
    assert_eq!(failure(words.counting([WORDS]).sum_by_key(COUNTS)), None);
}

/// A declaration is a step's own: another step's does not make the count known.
#[test]
fn a_count_that_another_step_declares() {
    let pairs = words().flat_map_values(|n, out| out.emit(*n)).counting([WORDS]);
    let line = next_line();
    let words = pairs.flat_map_values(|n, out| {
        out.count(WORDS, *n);
        out.emit(*n);
    });
    assert_eq!(
        failure(words.sum_by_key(COUNTS)),
        Some(format!(
            "step `flat-map-values` ({line}) counts `long-words`, which it does not declare: add `.counting([LONG_WORDS])` \
             after it"
        ))
    );
}

/// An unknown option offers the nearest known name; far ones are no help.
#[test]
fn memory_of_an_unknown_name() {
    let mut plan = accepted(words().named("words").sum_by_key(COUNTS));
    for (name, hint) in [
        ("count", "; did you mean `counts`?"),
        ("wrods", "; did you mean `words`?"),
        ("journeys", ""),
        ("", ""),
    ] {
        let error = plan
            .limit_memory(name, 1 << 20)
            .expect_err("an unknown name is refused");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(
            error.to_string(),
            format!("option memory of `{name}`: job `job` has no store or step of this name{hint}")
        );
    }
    plan.limit_memory("counts", 1 << 20).expect("a store has memory");
}

/// An option that would do nothing is refused, not ignored.
#[test]
fn memory_of_a_step_that_holds_nothing() {
    let mut plan = accepted(words().named("words").sum_by_key(COUNTS));
    assert_eq!(
        plan.limit_memory("words", 1).expect_err("it holds nothing").to_string(),
        "option memory of step `words`: it holds no values, so it needs no memory; stores and combiners do"
    );
}

/// A name that is not a constant is checked when the port is made.
#[test]
#[should_panic(expected = "port names are made of a-z, 0-9 and '-'")]
fn a_port_name_at_run_time() {
    let name: &'static str = String::leak("My lines".to_string());
    let _ = Source::<str>::new(name);
}

/// In a variable `-` is `_`, and `__` divides levels: two in a row, or one at an end, could not be told from those.
#[test]
fn a_port_name_that_no_variable_can_say() {
    for name in ["-", "-a", "a-", "a--b"] {
        let made = std::panic::catch_unwind(|| Source::<str>::new(name));
        let why = made
            .err()
            .and_then(|why| why.downcast_ref::<&str>().map(ToString::to_string));
        assert!(
            why.is_some_and(|why| why.starts_with("port names have each '-' between two")),
            "{name}"
        );
    }
    assert_eq!(Source::<str>::new("a-b-c").name(), "a-b-c");
}

/// A zone of another planet: said with the store, before anything runs.
#[test]
fn a_windowed_store_in_no_zone() {
    const MARS: WindowedStore<String, u64> =
        WindowedStore::new("views", &[HopSize::hours(1), HopSize::calendar_day()]).zone("Mars/Olympus");
    let keyed = LINES.read().keyed(|line, out| out.emit((line, Timestamp(0)), 1));
    let call = next_line();
    let sum = keyed.windowed_sum_by_key(MARS);
    assert_eq!(
        refusal(sum),
        format!(
            "store `views` ({call}): `Mars/Olympus` is no time zone: write a name of the IANA database, such as `Europe/Paris` or \
             `UTC`"
        )
    );
}

/// Hops of other sizes, or of a zone with other rules, are other values: the schema says which, the fingerprint changes, and how
/// long they are kept is no part of it.
#[test]
fn hops_are_part_of_the_schema() {
    const HOURS: WindowedStore<String, u64> = WindowedStore::new("views", &[HopSize::hours(1)]);
    const KEPT: WindowedStore<String, u64> = WindowedStore::new("views", &[HopSize::hours(1).keep_days(9)]);
    const DAYS: WindowedStore<String, u64> = WindowedStore::new("views", &[HopSize::hours(1), HopSize::calendar_day()]);
    let plan = |store: WindowedStore<String, u64>| {
        let keyed = LINES.read().keyed(|line, out| out.emit((line, Timestamp(0)), 1));
        accepted(keyed.windowed_sum_by_key(store))
    };
    assert_eq!(plan(HOURS).stores()[0].schema(), "(text,hop) in hops 1h -> u64");
    assert_eq!(plan(HOURS).fingerprint(), plan(KEPT).fingerprint());
    let (paris, london) = (plan(DAYS.zone("Europe/Paris")), plan(DAYS.zone("Europe/London")));
    assert_ne!(paris.fingerprint(), london.fingerprint());
    assert_ne!(paris.fingerprint(), plan(HOURS).fingerprint());
    let schema = paris.stores()[0].schema();
    assert!(
        schema.starts_with("(text,hop) in hops 1h,calendar-day Europe/Paris#"),
        "{schema}"
    );
    assert!(!paris.stores()[0].reads(&london.stores()[0].schema()));
}
