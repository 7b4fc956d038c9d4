//! Secrets are never shown: not by `Debug`, not in an error, not in a log.

use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rufous_core::secret::{HIDDEN, is_secret};

/// The properties as they may be shown.
pub(crate) fn shown(properties: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let value = |(name, value)| if is_secret(name) { (name, HIDDEN) } else { (name, value) };
    let pairs = properties.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    pairs.map(value).collect()
}

/// The secrets among a source's properties, to be taken out of texts of librdkafka: it quotes values that it refuses.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn of(properties: &BTreeMap<String, String>) -> Self {
        let secrets = properties
            .iter()
            .filter(|(name, value)| is_secret(name) && !value.is_empty());
        let mut all: Vec<String> = secrets.map(|(_, value)| value.clone()).collect();
        // One that begins with another must go first, or its rest would stay.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(all)
    }
    /// What librdkafka says of settings that it refuses. Its words name the property, and the value where it knows the property;
    /// of one that it does not know the value may be a secret under a misspelt name, and is not repeated.
    pub(crate) fn refusal(&self, e: &KafkaError) -> String {
        match e {
            KafkaError::ClientConfig(_, why, _, _) => self.hide(why),
            e => self.hide(&e.to_string()),
        }
    }
    /// The text without them.
    pub(crate) fn hide(&self, text: &str) -> String {
        let hide = |text: String, secret: &String| text.replace(secret.as_str(), HIDDEN);
        self.0.iter().fold(text.to_owned(), hide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden() {
        let all = BTreeMap::from([("sasl.password".to_string(), "hunter2".to_string())]);
        assert_eq!(
            Secrets::of(&all).hide("no such value \"hunter2\""),
            "no such value \"(hidden)\""
        );
        assert_eq!(shown(&all)["sasl.password"], HIDDEN);
        // One that another begins with hides no part of it only.
        let (short, long) = ("hunter".to_string(), "hunter2-of-the-key".to_string());
        for (sasl, key) in [(&short, &long), (&long, &short)] {
            let all = [
                ("sasl.password".to_string(), sasl.clone()),
                ("ssl.key.password".into(), key.clone()),
            ];
            let hidden = Secrets::of(&all.into()).hide("refused: hunter2-of-the-key, hunter");
            assert_eq!(hidden, "refused: (hidden), (hidden)");
        }
    }
}
