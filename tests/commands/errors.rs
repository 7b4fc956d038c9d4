//! Errors name the fix: the nearest name that there is, or what to write.

use crate::bed::{Bed, Said};

/// Exit code and words of the message, as text and as one JSON object of the same kind.
#[test]
fn errors_name_the_nearest_name_and_the_repair() {
    let bed = Bed::published();
    let cases: [(&[&str], i32, &str, &[&str]); 18] = [
        (
            &["get", "be", "--store", "count"],
            1,
            "invalid_request",
            &["no store `count`", "did you mean `counts`?"],
        ),
        (
            &["top", "--store", "by-lenght"],
            1,
            "invalid_request",
            &["did you mean `by-length`?"],
        ),
        (
            &["scan", "--store", "count"],
            1,
            "invalid_request",
            &["did you mean `counts`?"],
        ),
        (
            &["window", "be", "--last", "1d", "--store", "hourl"],
            1,
            "invalid_request",
            &["did you mean `hourly`?"],
        ),
        (
            &["reconcile", "--store", "count"],
            1,
            "invalid_request",
            &["did you mean `counts`?"],
        ),
        (
            &["get", "be"],
            1,
            "invalid_request",
            &["which store?", "--store NAME", "counts, by-length"],
        ),
        (
            &["get", "be", "--source", "line=file:x"],
            1,
            "invalid_request",
            &["--source line=", "no source `line`", "did you mean `lines`?"],
        ),
        (
            &["get", "be", "--source", "lines"],
            1,
            "invalid_request",
            &["write NAME=LOCATION"],
        ),
        (
            &["sink", "read", "long-word"],
            1,
            "invalid_request",
            &["no sink `long-word`", "did you mean `long-words`?"],
        ),
        (
            &["get", "two", "--store", "by-length"],
            1,
            "invalid_request",
            &["key `two`", "keys are"],
        ),
        (
            &["get", "be", "--store", "counts", "--data", "nowhere"],
            1,
            "invalid_request",
            &["there is no data directory nowhere/main", "start `stream` or `batch`"],
        ),
        (
            &["batches", "--data", "nowhere"],
            1,
            "invalid_request",
            &["there is no data directory nowhere/main"],
        ),
        (
            &["get", "be", "--store", "counts", "--instance", "man"],
            1,
            "invalid_request",
            &["data/man", "did you mean --instance main?"],
        ),
        (
            &["get", "be", "--store", "counts", "--at-least", "2@f00d:lines/0=77"],
            3,
            "try_again",
            &["partition 0 of `lines`", "up to offset 77", "up to 9"],
        ),
        (
            &["get", "be", "--store", "counts", "--at-least", "yesterday"],
            2,
            "usage",
            &["--at-least", "give the token of an answer"],
        ),
        (&["gett", "be"], 2, "usage", &["gett", "get"]),
        (&["get", "be", "--stor", "counts"], 2, "usage", &["--stor", "--store"]),
        (&["top", "-n"], 2, "usage", &["-n"]),
    ];
    for (args, code, kind, words) in cases {
        let text = bed.says(args);
        assert_eq!(text.code, Some(code), "{args:?}: {}", text.err);
        for word in words {
            assert!(text.err.contains(word), "{args:?}: `{word}` in {}", text.err);
        }
        let json = bed.says(&[args, &["--json"]].concat());
        assert_eq!(json.code, Some(code), "{args:?}: {}", json.err);
        let error = json.error();
        assert_eq!(
            (&error["kind"], &error["exit_code"]),
            (&kind.into(), &code.into()),
            "{args:?}"
        );
        let said = format!("{} {}", error["message"], error["repair"]);
        for word in words {
            assert!(said.contains(word), "{args:?}: `{word}` in {said}");
        }
    }
    // Of the repair that is known a program need not read the message.
    let error = bed.says(&["get", "be", "--store", "count", "--json"]).error();
    assert_eq!(error["repair"], "did you mean `counts`?");
    let error = bed.says(&["get", "be", "--stor", "counts", "--json"]).error();
    assert!(error["repair"].as_str().unwrap().contains("'--store'"), "{error}");
}

/// `config` shows what counts, so what no command takes is refused by it as well, and before anything is done.
#[test]
fn what_no_command_takes_is_not_shown_as_counting() {
    for (settings, wanted) in [
        (
            "[stores.count]\nmemory_mib = 1\n",
            "rufous.toml, line 2: `stores.count`",
        ),
        ("[views]\nstores = ['cuonts']\n", "rufous.toml, line 2: `views.stores`"),
    ] {
        let bed = Bed::published();
        bed.settings(settings);
        for command in ["config", "doctor", "generations"] {
            let said = bed.says(&[command]);
            assert_eq!(said.code, Some(1), "{command}: {}", said.out);
            let meant = "did you mean `counts`?";
            assert!(
                said.err.contains(wanted) && said.err.contains(meant),
                "{command}: {}",
                said.err
            );
        }
    }
}

/// One key of several that is wrong says so with its turn; the others are answered.
#[test]
fn a_wrong_level_of_the_log_is_refused() {
    let bed = Bed::published();
    let mut command = bed.command(&["get", "be", "--store", "counts"]);
    let said = crate::bed::Said::of(&command.env("RUFOUS_LOG", "rufous=loud").output().unwrap());
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(
        said.err.contains("setting `log.level`") && said.err.contains("debug or trace"),
        "{}",
        said.err
    );
}

/// A job whose arguments clash with those of the commands is refused before any command is known, in the form that was asked for.
#[test]
fn clashing_arguments_are_refused_as_it_was_asked_for() {
    let bed = Bed::new();
    let refused = |args: &[&str]| Said::of(&bed.command(args).env("JOB_OF_TESTS", "clashing").output().unwrap());
    let text = refused(&["config"]);
    assert_eq!(text.code, Some(1));
    assert!(
        text.err.starts_with("error: argument `data` of the job: "),
        "{}",
        text.err
    );
    let json = refused(&["config", "--json"]);
    assert_eq!((json.code, json.out.as_str()), (Some(1), ""));
    let error = json.error();
    assert_eq!(error["kind"], "invalid_request");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("argument `data` of the job: "),
        "{error}"
    );
    assert!(
        error["repair"].as_str().unwrap().contains("call it otherwise"),
        "{error}"
    );
    // Behind `--` it is an argument like others.
    assert!(refused(&["get", "--", "--json"]).err.starts_with("error: "));
}
