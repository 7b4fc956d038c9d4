//! The model of the protocol (`integration-tests/model`): what of it takes some seconds. It finds no violation in what the
//! protocol says, and one in each rule that it drops.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// Section 8 of the page on operators: sums in a row, joins, pins, sinks, overlays.
#[test]
fn quick_check() -> Result<()> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("model");
    let out = Command::new(env!("CARGO"))
        .args(["run", "--release", "--quiet", "--locked", "--manifest-path"])
        .arg(model.join("Cargo.toml"))
        // Kept between runs, apart from the other packages.
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("model"))
        .args(["--", "quick"])
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    println!("{text}");
    ensure!(
        out.status.success(),
        "{}\n{text}\n{}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    ensure!(text.contains("two sums: Changes"), "nothing was checked:\n{text}");
    Ok(())
}
