//! Jobs are run, on SQLite or on the PostgreSQL server that is given.
#![allow(clippy::unwrap_used, missing_docs)]

mod crash;
mod housekeeping;
mod puppet;
mod runner;
mod timers;
