//! What librdkafka refuses is named, and its value is shown to nobody: it may be a secret under a misspelt name.

use std::error::Error as _;

use rufous_core::{Error, ErrorKind, Format};
use rufous_platform_kafka::{KafkaDeadLetters, KafkaLog, KafkaOptions};

fn everything(e: &Error) -> String {
    let (mut all, mut cause) = (format!("{e} {e:?}"), e.source());
    while let Some(e) = cause {
        all.push_str(&format!(" {e} {e:?}"));
        cause = e.source();
    }
    all
}

/// Misspelt properties, of the log and of its dead letters.
#[test]
fn no_refused_value_is_shown() {
    for (property, value) in [
        ("sasl.passwort", "hunter2"),
        ("sasl.password.", "hunter2"),
        ("sasl.oauthbearer.config.", "hunter2"),
    ] {
        let mut options = KafkaOptions::new(Format::Text);
        options.properties.insert(property.into(), value.into());
        let log = KafkaLog::open("127.0.0.1:1", "t", options.clone()).err().unwrap();
        let letters = KafkaDeadLetters::open("127.0.0.1:1", "t", options).err().unwrap();
        for e in [log, letters] {
            assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{e}");
            let all = everything(&e);
            assert!(all.contains(property) && !all.contains(value), "{all}");
        }
    }
}
