//! Balances by account as a program: see `payments --help`. `generate-payments` writes a ledger.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::payments::payments;

fn main() -> ExitCode {
    App::new(payments).main()
}
