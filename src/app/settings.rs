//! Settings: where and how much, never what. Flag, then file, then what the binary says, then the default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::core::{Error, Result};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) data: Option<PathBuf>,
    pub(super) instance: Option<String>,
    pub(super) sources: BTreeMap<String, SourceSettings>,
    pub(super) kafka: KafkaSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SourceSettings {
    pub(super) location: Option<String>,
    pub(super) on_bad_record: Option<OnBad>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnBad {
    Fail,
    Skip,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KafkaSettings {
    /// Properties of librdkafka.
    pub(super) properties: BTreeMap<String, String>,
}

impl Settings {
    /// From `path`, or from `rufous.toml` if that is there.
    pub(super) fn load(path: Option<&Path>) -> Result<Self> {
        let (path, asked) = path.map_or((Path::new("rufous.toml"), false), |p| (p, true));
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|e| Error::invalid(format!("settings {}: {}", path.display(), e.to_string().trim_end()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !asked => Ok(Self::default()),
            Err(e) => Err(Error::io("cannot read settings", path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_are_errors_that_name_the_known_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.toml");
        std::fs::write(
            &path,
            "instance = 'prod'\n[sources.lines]\nlocation = 'file:a'\non_bad_record = 'skip'\n",
        )
        .unwrap();
        let s = Settings::load(Some(&path)).unwrap();
        assert_eq!(s.sources["lines"].on_bad_record, Some(OnBad::Skip));
        std::fs::write(&path, "[sources.lines]\nlocaton = 'file:a'\n").unwrap();
        let e = Settings::load(Some(&path)).unwrap_err().to_string();
        assert!(e.contains("unknown field `locaton`") && e.contains("`location`"), "{e}");
        assert!(Settings::load(Some(&dir.path().join("none.toml"))).is_err());
    }
}
