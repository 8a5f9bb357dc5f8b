//! What the application costs: in looks and seconds over thousands of simulated images, and in
//! dollars.

pub mod cost;
pub mod waits;
