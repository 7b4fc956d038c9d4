//! Settings as the program takes them: who counts, and who is said to have said it.

use crate::bed::{Bed, Said};

fn origin(bed: &Bed, args: &[&str], variables: &[(&str, &str)], name: &str) -> (String, String) {
    let mut command = bed.command(&[&["config", "--json"], args].concat());
    command.envs(variables.iter().copied());
    let said = Said::of(&command.output().unwrap());
    assert_eq!(said.code, Some(0), "{}", said.err);
    let found = said.objects().into_iter().find(|o| o["name"] == name);
    let found = found.unwrap_or_else(|| panic!("{name}: {}", said.out));
    let value = found["value"].as_str().unwrap_or_default().to_string();
    (value, found["origin"].as_str().unwrap().to_string())
}

/// One rule: flag, then environment, then file, then what `main` says, then the default.
#[test]
fn one_rule_of_precedence() {
    let bed = Bed::new();
    let name = "sources.lines.location";
    let said = |value: &str, origin: &str| (format!("file:{value}"), origin.to_string());
    assert_eq!(origin(&bed, &[], &[], name), said("lines.txt", "main"));
    bed.settings("[sources.lines]\nlocation = 'file:of-the-file'\n");
    assert_eq!(origin(&bed, &[], &[], name), said("of-the-file", "file"));
    let variable = [("RUFOUS_SOURCES__LINES__LOCATION", "file:of-the-variable")];
    assert_eq!(
        origin(&bed, &[], &variable, name),
        said("of-the-variable", "environment")
    );
    for flag in [
        ["--source", "lines=file:of-the-flag"],
        ["--set", "sources.lines.location=file:of-the-flag"],
    ] {
        assert_eq!(origin(&bed, &flag, &variable, name), said("of-the-flag", "flag"));
    }
    assert_eq!(
        origin(&bed, &["--all"], &[], "instance"),
        ("main".into(), "default".into())
    );
    // What counts is what is done.
    let mut command = bed.command(&["explain"]);
    let explained = Said::of(&command.envs(variable).output().unwrap());
    assert!(
        explained.out.contains("bound to file:of-the-variable"),
        "{}",
        explained.out
    );
}

/// Who said nothing is told so, and where the defaults are shown; a program is given an empty list.
#[test]
fn where_nothing_was_said_that_is_said() {
    let bed = Bed::new();
    let config = |args: &[&str]| {
        let mut command = bed.command(&[&["config"], args].concat());
        let said = Said::of(&command.env("JOB_OF_TESTS", "unbound").output().unwrap());
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.out
    };
    assert_eq!(
        config(&[]),
        "nothing is said: every setting has its default, which `config --all` shows\n"
    );
    assert_eq!(config(&["--json"]), "");
    assert!(config(&["--all"]).starts_with("data = data  (default; "));
    assert_eq!(config(&["--data", "d"]), "data = d  (flag --data)\n");
}

/// Variables that were there before the rule are settings like others, and each setting is shown with where it was said.
#[test]
fn every_origin_is_shown() {
    let bed = Bed::new();
    bed.settings("instance = 'prod'\n[offline]\nkeep = 3\n");
    let mut command = bed.command(&["config", "--data", "d", "--set", "monitor.address=9464"]);
    command.envs([
        ("RUFOUS_LOG", "debug"),
        ("RUFOUS_REALTIME", "redis://h/0"),
        ("RUFOUS_DATA", "/tests"),
    ]);
    let said = Said::of(&command.output().unwrap());
    for line in [
        "data = d  (flag --data)",
        "instance = prod  (rufous.toml, line 1)",
        "log.level = debug  (variable RUFOUS_LOG)",
        "sources.lines.location = file:lines.txt  (main)",
        "sinks.long-words.location = long  (main)",
        "monitor.address = 9464  (flag --set)",
        "offline.keep = 3  (rufous.toml, line 3)",
        "realtime.location = redis://h/0  (variable RUFOUS_REALTIME)",
        "note: the variable RUFOUS_DATA is no setting; RUFOUS__DATA would be one",
    ] {
        assert!(said.out.lines().any(|l| l == line), "`{line}` in\n{}", said.out);
    }
    assert_eq!(said.out.lines().count(), 9, "{}", said.out);
}

/// A path that is no text is not made one: that would name another file. It is not shown, either, for it may be a secret.
#[cfg(unix)]
#[test]
fn what_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let bed = Bed::published();
    let odd = std::ffi::OsStr::from_bytes(b"d\xff");
    for (args, place) in [
        (&["get", "be", "--store", "counts", "--data"][..], "flag --data: "),
        (&["top", "--store", "counts", "--data"], "flag --data: "),
    ] {
        let said = Said::of(&bed.command(args).arg(odd).output().unwrap());
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(
            said.err.contains(place) && said.err.contains("is no UTF-8"),
            "{}",
            said.err
        );
    }
    let mut command = bed.command(&["get", "be", "--store", "counts"]);
    let said = Said::of(&command.env("RUFOUS__DATA", odd).output().unwrap());
    assert!(
        said.err.contains("variable RUFOUS__DATA: its value is no UTF-8"),
        "{}",
        said.err
    );
    let mut command = bed.command(&["get", "be", "--store", "counts"]);
    let said = Said::of(&command.env("RUFOUS_REALTIME_LOCATION", "redis://h/0").output().unwrap());
    assert!(
        said.err.contains("did you mean RUFOUS_REALTIME__LOCATION?"),
        "{} {}",
        said.out,
        said.err
    );
}

/// The environment and the file move the data directory alike.
#[test]
fn the_environment_moves_the_data() {
    let bed = Bed::published();
    std::fs::rename(bed.path("data"), bed.path("moved")).unwrap();
    let get = ["get", "be", "--store", "counts"];
    assert_eq!(bed.says(&get).code, Some(1));
    let mut command = bed.command(&get);
    let said = Said::of(&command.env("RUFOUS__DATA", "moved").output().unwrap());
    assert!(said.out.starts_with("be  2  "), "{} {}", said.out, said.err);
}

/// Memory of maps is asked of those who hold them: who reads is not refused for what a run would need.
#[test]
fn memory_of_maps_is_not_asked_of_readers() {
    let bed = Bed::published();
    std::fs::write(bed.path("rufous.toml"), "[stores.counts]\nmemory_mib = 600\n").unwrap();
    for reads in [&["get", "be", "--store", "counts"][..], &["batches"], &["generations"]] {
        let said = bed.says(reads);
        assert_eq!(said.code, Some(0), "{reads:?}: {}", said.err);
    }
    let said = bed.says(&["explain"]);
    assert!(said.code == Some(1) && said.err.contains("--memory"), "{}", said.err);
}

/// What has no effect where it is said is refused there.
#[test]
fn what_would_have_no_effect_is_refused() {
    let bed = Bed::published();
    let said = bed.says(&["explain-answer", "be", "--store", "counts", "--end", "2024-01-01"]);
    assert!(
        said.code == Some(1) && said.err.contains("--end is of a window"),
        "{}",
        said.err
    );
    let said = bed.says(&["scan", "--store", "counts", "--limit", "0"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    #[cfg(feature = "server")]
    {
        std::fs::write(bed.path("tokens"), "abcdefghijklmnop\n").unwrap();
        let mut command = bed.command(&["serve", "--listen", "0", "--token-file", "tokens"]);
        let said = Said::of(&command.env("RUFOUS_SERVE_TOKENS", "qrstuvwxyzabcdef").output().unwrap());
        assert!(
            said.code == Some(1) && said.err.contains("only one can count"),
            "{}",
            said.err
        );
        assert!(!said.err.contains("qrstuv"), "{}", said.err);
    }
}
