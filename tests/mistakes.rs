//! What the compiler says to mistakes in jobs: each case under `ui/` is wrong in one way, beside it stands the expected text.
//! After a change of wording: `TRYBUILD=overwrite cargo test -p rufous --test mistakes`, and read the diff.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// The cases are compiled against the facade with the features that the test's own binary was built with, which are found by
/// the binary's name. In a build of the whole workspace these are all of them, and RocksDB and librdkafka would be compiled
/// once more. Under this name none are found, so the default ones are taken.
const WITHOUT_FEATURES: &str = "mistakes-with-default-features";

#[test]
fn mistakes_are_explained() {
    let mut args = std::env::args_os();
    if args.next().is_some_and(|name| name == WITHOUT_FEATURES) {
        return trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
    }
    let this = std::env::current_exe().expect("the path of this test");
    let run = Command::new(this).arg0(WITHOUT_FEATURES).args(args).output();
    let run = run.expect("this test once more");
    assert!(
        run.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
}
