//! What a create costs, in dollars of us-east-1 (AWS's price pages, 2026): state transitions of
//! Standard workflows, requests of Lambda and its time, and events.

/// A state transition: $0.025 a thousand.
pub const TRANSITION: f64 = 0.025 / 1_000.0;
/// An invocation: its request, and a fifth of a second, which is more than the two calls of a look
/// take, of 128 MB.
pub const INVOCATION: f64 = 0.20 / 1e6 + 0.2 * 0.125 * 0.000_016_666_7;
/// An event that is put on a bus: $1 a million. Those of AWS's own services cost nothing.
pub const EVENT: f64 = 1.0 / 1e6;

/// States a create enters, whatever its looks: five in the lifecycle machine, four in the operation
/// machine.
pub const STATES_OF_A_CREATE: f64 = 9.0;
/// States each look enters: the wait, the look, and the choice what follows.
pub const STATES_OF_A_LOOK: f64 = 3.0;

/// Dollars of a create with so many looks.
pub fn dollars_of_looks(looks: f64) -> f64 {
    dollars(STATES_OF_A_CREATE + STATES_OF_A_LOOK * looks, looks)
}

/// Dollars of a create that enters so many states, with so many looks. It invokes a function for each
/// look and three more, to read the request, to begin and to be woken, and puts an event for each wait.
pub fn dollars(transitions: f64, looks: f64) -> f64 {
    transitions * TRANSITION + (looks + 3.0) * INVOCATION + looks * EVENT
}

/// A single machine that begins, and then waits 15 seconds, looks and chooses until the image is
/// available, with the same functions.
#[derive(Clone, Copy, Debug)]
pub struct SingleMachine {
    /// The states it enters.
    pub transitions: f64,
    /// Dollars.
    pub dollars: f64,
}

/// The single machine's part for an image that takes so many seconds.
pub fn single_machine(seconds: f64) -> SingleMachine {
    let looks = (seconds / 15.0).ceil();
    let transitions = 2.0 + STATES_OF_A_LOOK * looks;
    SingleMachine { transitions, dollars: transitions * TRANSITION + (1.0 + looks) * INVOCATION }
}
