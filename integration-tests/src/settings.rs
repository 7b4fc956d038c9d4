//! Lines of settings files: secrets are not written out in them, but kept in files beside.

use std::fs;
use std::path::Path;

use anyhow::Result;

/// `"name" = "value"`; of a secret, by its name, `"name" = { file = ".." }` with the value in a file of `dir`.
pub fn option(dir: &Path, name: &str, value: &str) -> Result<String> {
    let secret = ["password", "secret", "pem", "oauthbearer.config"];
    if !secret.iter().any(|part| name.contains(part)) {
        return Ok(format!("\"{name}\" = \"{value}\"\n"));
    }
    let path = dir.join(format!("secret-{name}"));
    fs::write(&path, format!("{value}\n"))?;
    Ok(format!("\"{name}\" = {{ file = '{}' }}\n", path.display()))
}
