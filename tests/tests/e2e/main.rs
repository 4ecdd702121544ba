//! The server from outside: every way in, every way out.

#![allow(clippy::unwrap_used)]

mod joining;
mod outputs;
