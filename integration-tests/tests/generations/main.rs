//! Generations through the whole system: rollbacks beside a live job, the commands, and object stores (P20-P25).

mod live;
mod program;
mod reconcile;
mod remote;
mod silent;
mod upkeep;
