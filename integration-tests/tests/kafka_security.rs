//! Secured brokers: settings of librdkafka pass through, per source; a wrong password is a clear error soon; and a secret is in
//! nothing that the program says, at any level.

use std::process::Output;

use anyhow::{Result, ensure};
use rufous_integration_tests::kafka::Broker;
use rufous_integration_tests::kafka::job::{Live, Words};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const USER: &str = "reader";
/// As `keytool` wants it: six characters at least.
const PASSWORD: &str = "Tr0ub4dorAndThree";
const WRONG: &str = "CorrectHorseBattery";

const ONCE: [&str; 3] = ["stream", "--until-end", "--no-archive"];

fn said(out: &Output) -> String {
    let texts = [&out.stdout, &out.stderr].map(|t| String::from_utf8_lossy(t).into_owned());
    texts.concat()
}

/// Runs to the end with every log that there is, librdkafka's own too.
fn run(job: &Live) -> Result<Output> {
    Ok(job.command(&ONCE).env("RUFOUS_LOG", "trace").output()?)
}

#[test]
fn sasl_and_tls_pass_through_and_secrets_are_not_said() -> Result<()> {
    let broker = Broker::start_secured(USER, PASSWORD)?;
    let mut words = Words::new(&broker, 2)?;
    words.write(500)?;
    let sasl = |password| {
        [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanisms", "PLAIN"),
            ("sasl.username", USER),
            ("sasl.password", password),
            ("debug", "all"),
        ]
    };
    let good = Live::at(PROGRAM, &broker.sasl_addr()?, words.topic(), &sasl(PASSWORD))?;
    let out = run(&good)?;
    ensure!(out.status.success(), "{}", said(&out));
    ensure!(good.answers()? == words.expected(), "SASL: the answer");
    ensure!(said(&out).contains("librdkafka"), "the log is there: {}", said(&out));
    ensure!(!said(&out).contains(PASSWORD), "the password was said");

    let bad = Live::at(PROGRAM, &broker.sasl_addr()?, words.topic(), &sasl(WRONG))?;
    let out = run(&bad)?;
    let text = said(&out);
    ensure!(out.status.code() == Some(1), "{} {text}", out.status);
    ensure!(
        text.contains("the brokers refuse the connection") && text.contains("sasl.*"),
        "{text}"
    );
    ensure!(!text.contains(WRONG), "the wrong password was said");

    // Without any credentials, on the same port.
    let none = Live::at(PROGRAM, &broker.sasl_addr()?, words.topic(), &[])?;
    let out = run(&none)?;
    ensure!(
        !out.status.success() && said(&out).contains("security.protocol"),
        "{}",
        said(&out)
    );

    let (addr, certificate) = broker.ssl_addr()?;
    let certificate = certificate.display().to_string();
    let tls = [
        ("security.protocol", "SSL"),
        ("ssl.ca.location", certificate.as_str()),
        ("ssl.key.password", PASSWORD),
        ("debug", "security,conf"),
    ];
    let job = Live::at(PROGRAM, &addr, words.topic(), &tls)?;
    let out = run(&job)?;
    ensure!(out.status.success(), "{}", said(&out));
    ensure!(job.answers()? == words.expected(), "TLS: the answer");
    ensure!(!said(&out).contains(PASSWORD), "the password was said");

    // A certificate that nobody vouches for.
    let job = Live::at(PROGRAM, &addr, words.topic(), &[("security.protocol", "SSL")])?;
    let out = run(&job)?;
    ensure!(out.status.code() == Some(1), "{} {}", out.status, said(&out));
    ensure!(
        said(&out).contains("the brokers refuse the connection"),
        "{}",
        said(&out)
    );
    Ok(())
}

/// What librdkafka or TOML refuse, they quote.
#[test]
fn a_refused_value_is_not_quoted() -> Result<()> {
    let broker = "127.0.0.1:9";
    for name in [
        "ssl.key.pem",
        "ssl.certificate.pem",
        "sasl.password.typo",
        "sasl.oauthbearer.config",
    ] {
        let job = Live::at(PROGRAM, broker, "t", &[(name, PASSWORD), ("security.protocol", "SSL")])?;
        let out = run(&job)?;
        ensure!(!out.status.success(), "{name}");
        ensure!(!said(&out).contains(PASSWORD), "{name}: {}", said(&out));
    }
    let job = Live::at(PROGRAM, broker, "t", &[])?;
    let dir = tempfile::tempdir()?;
    let settings = dir.path().join("s.toml");
    std::fs::write(
        &settings,
        format!("[kafka.properties]\n\"sasl.password\" = {PASSWORD}\n"),
    )?;
    let out = job.command(&ONCE).arg("--settings").arg(&settings).output()?;
    ensure!(!out.status.success() && said(&out).contains("line 2"), "{}", said(&out));
    ensure!(!said(&out).contains(PASSWORD), "{}", said(&out));
    Ok(())
}
