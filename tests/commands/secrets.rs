//! No secret is printed: not by a command that fails, not by one that shows settings.

use crate::bed::{Bed, Said};

const SECRET: &str = "s3cr3t-of-a-test";

/// A battery of commands, most of which fail, with secrets said in every way: none of what they print has one.
#[test]
fn no_command_prints_a_secret() {
    let bed = Bed::published();
    std::fs::write(bed.path("kept"), SECRET).unwrap();
    let files = [
        format!("[kafka.properties]\n'sasl.password' = '{SECRET}'\n"),
        format!("[kafka.properties]\n'sasl.password' = \"{SECRET}\n"),
        format!("[kafka.properties]\nsasl.password = {{ files = '{SECRET}' }}\n"),
        format!("[sources.lines.options]\naws_secret_access_key = '{SECRET}'\n"),
        format!("[realtime]\nlocation = 'postgres://me:{SECRET}@h/d'\n"),
        format!("[serve]\ntokens = '{SECRET}'\n"),
        format!("[realtime]\nlocation = 'nonsense://me:{SECRET}@h/d'\n"),
        format!("[sources.lines]\nlocation = 'kafka://me:{SECRET}@h:1/t'\n"),
        format!("[realtime]\nlocation = 'postgres://me:{SECRET}?{SECRET}@h/d'\n"),
        format!(
            "[sources.lines.kafka.properties]\n'sasl.pasword' = '{SECRET}'\n'sasl.password' = {{ env = 'KEPT' }}\n"
        ),
        "[kafka.properties]\n'sasl.password' = { file = 'kept' }\n[realtime]\nlocation = { env = 'WHERE' }\n".into(),
        "[kafka.properties]\n'sasl.password' = { env = 'KEPT' }\n".into(),
        String::new(),
    ];
    let commands: [&[&str]; 13] = [
        &["serve", "--listen", "nowhere"],
        &["config"],
        &["config", "--all", "--json"],
        &["get", "be", "--store", "counts"],
        &["get", "be", "--store", "counts", "--json"],
        &["doctor", "-v"],
        &["doctor", "-v", "--json"],
        &["explain"],
        &["stream", "--until-end", "--source", "lines=kafka://127.0.0.1:1/t"],
        &["batch"],
        &["views"],
        &["rebuild"],
        &["sink", "list"],
    ];
    let secrets = [
        ("KEPT", SECRET.to_string()),
        ("WHERE", format!("postgres://me:{SECRET}@127.0.0.1:1/d")),
    ];
    let mut hidden = 0;
    for (n, text) in files.iter().enumerate() {
        bed.settings(text);
        for args in commands {
            let mut command = bed.command(args);
            command.envs(secrets.clone()).env("RUFOUS_LOG", "trace");
            if n == files.len() - 1 {
                command
                    .env("RUFOUS_REALTIME", format!("redis://:{SECRET}@127.0.0.1:1/0"))
                    .env("RUFOUS_KAFKA__PROPERTIES__SASL_PASSWORD", SECRET)
                    .env("RUFOUS_SERVE_TOKENS", SECRET);
            }
            let said = Said::of(&command.output().unwrap());
            let all = format!("{}{}", said.out, said.err);
            // A misspelt name is no secret's: what is said under it is shown by those who show settings.
            let misspelt = text.contains("pasword") && all.contains("sasl.pasword");
            assert!(misspelt || !all.contains(SECRET), "{text}{args:?}: {all}");
            assert_ne!(said.code, Some(101), "{text}{args:?}: {all}");
            hidden += usize::from(all.contains("(hidden)"));
        }
    }
    assert!(hidden >= 6, "secrets are shown as hidden: {hidden}");
}

/// The refusal says what to write instead, and what then works.
#[test]
fn the_refusal_says_what_to_write() {
    let bed = Bed::published();
    bed.settings(&format!("[kafka.properties]\n'sasl.password' = '{SECRET}'\n"));
    let said = bed.says(&["get", "be", "--store", "counts"]);
    assert_eq!(said.code, Some(1));
    for part in [
        "rufous.toml, line 2: `kafka.properties.sasl.password` is a secret",
        "{ env = \"VARIABLE\" }",
        "{ file = \"/path\" }",
        "RUFOUS_KAFKA__PROPERTIES__SASL_PASSWORD",
    ] {
        assert!(said.err.contains(part), "`{part}` in {}", said.err);
    }
    // One that is not there does not stand in the way of those who do not need it.
    bed.settings("[kafka.properties]\n'sasl.password' = { env = 'NOT_SET' }\n");
    assert!(bed.says(&["get", "be", "--store", "counts"]).out.starts_with("be  2"));
    let shown = bed.says(&["config"]);
    assert!(
        shown
            .out
            .contains("(hidden) { env = \"NOT_SET\" }, but the variable NOT_SET"),
        "{}",
        shown.out
    );
}
