//! Sinks under kill -9 (O22-O27): every record exactly once, by its id, in each partition in the order of its log. The oracle is a
//! loop over the lines of each file.

mod command;
mod files;
mod generations;
mod joint;
mod table;
mod topic;
mod world;
