//! Mode 1: several processes of one consumer group on one server (section 11 of the protocol). Whatever happens to processes, group
//! or server, the answer is the plain fold of the log, byte for byte, whoever is asked.

mod faults;
mod hybrid;
mod servers;
mod settings;
mod sinks;
