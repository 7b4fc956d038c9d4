//! The tables of `README.md` name tests and rules that are there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

fn here() -> PathBuf {
    // Not the path at compile time: clones that share build output share binaries, too.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).to_path_buf()
}

/// What stands between backquotes in the rows of the tables.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2))
}

#[test]
fn every_test_that_is_named_is_there() -> Result<()> {
    let text = fs::read_to_string(here().join("README.md"))?;
    let mut named = 0;
    for (file, test) in quoted(&text).filter_map(|name| name.split_once("::")) {
        let dir = match file.contains("/tests/") {
            true => here().join(".."),
            false => here().join("tests"),
        };
        let path = dir.join(format!("{file}.rs"));
        let code = fs::read_to_string(&path).with_context(|| format!("{file}::{test}: {}", path.display()))?;
        let lines: Vec<&str> = code.lines().collect();
        let at = lines
            .iter()
            .position(|line| line.starts_with(&format!("fn {test}(")))
            .with_context(|| format!("{file} has no test `{test}`"))?;
        let before = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        let attributes: Vec<_> = before.collect();
        ensure!(
            attributes.iter().any(|a| a.starts_with("#[test]")) && !attributes.iter().any(|a| a.contains("ignore")),
            "`{test}` in {file} is no test that runs: {attributes:?}"
        );
        named += 1;
    }
    ensure!(named > 80, "{named} tests are named");
    Ok(())
}

/// Each rule in brackets is one that the simulator drops.
#[test]
fn every_rule_that_is_named_is_dropped() -> Result<()> {
    let text = fs::read_to_string(here().join("README.md"))?;
    let simulator = fs::read_to_string(here().join("tests/protocol/main.rs"))?;
    let mut named = 0;
    for rule in text
        .split("[`")
        .skip(1)
        .filter_map(|rest| rest.split_once("`]"))
        .map(|(rule, _)| rule)
    {
        ensure!(
            simulator.contains(&format!("Rule::{rule}")),
            "nobody drops the rule {rule}"
        );
        named += 1;
    }
    ensure!(named > 10, "{named} rules are named");
    Ok(())
}
