//! What the engine does, rule by rule, on machines of a few states; and the project's own machines.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

mod children;
mod definitions;
mod determinism;
mod limits;
mod machines;
mod retry_and_catch;
mod seen_states;
mod service;
mod states;
mod support;
mod timeouts;
mod tokens;
