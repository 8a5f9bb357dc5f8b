//! What can go wrong.

mod draw;

use aws_sdk_ec2::types::ImageState;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Calls that functions make, of EC2 or Step Functions.
    Call {
        /// Only calls of this function.
        caller: Option<&'static str>,
        /// Only calls of this action.
        action: Option<&'static str>,
        /// How many such calls go well before.
        after: u32,
        /// How many go wrong.
        times: u32,
        /// How.
        kind: CallFault,
    },
    /// Calls that the machines make of Step Functions.
    MachineCall {
        /// How many go well before.
        after: u32,
        /// How many go wrong.
        times: u32,
        /// Whether the work is done all the same.
        is_done: bool,
        /// The end of the error's name.
        error: &'static str,
    },
    /// Invocations of functions, by the machines, the rules and the schedule.
    Invocation {
        /// Only those of this function.
        function: Option<&'static str>,
        /// How many go well before.
        after: u32,
        /// How many go wrong.
        times: u32,
        /// How.
        kind: InvocationFault,
    },
    /// The machines' events are refused.
    PutEvents {
        /// How many go well before.
        after: u32,
        /// How many go wrong.
        times: u32,
    },
    /// What is not delivered once and soon.
    Delivery {
        /// Which.
        of: Delivery,
        /// What becomes of it.
        fate: Fate,
    },
    /// A person or another program does something.
    Person {
        /// What.
        does: Deed,
        /// When.
        at: Moment,
    },
    /// The image ends in this state.
    ImageFails(ImageState),
    /// The functions' clocks are wrong by so many seconds.
    Clock(i64),
    /// Nobody may use the key of the instance's volumes: once it is stopped, it does not start.
    KeyNotGranted,
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CallFault {
    Throttled,
    ServerError(u16),
    Reset,
    AnswerLost,
    AnswerLostAs(u16),
    /// The answer takes so many seconds.
    Slow(u64),
    Refused,
}

/// How an invocation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationFault {
    /// It is not made.
    Refused(&'static str),
    /// The function ends, and its answer does not arrive.
    AnswerLost,
    /// The function is killed when it waits for the so-manieth time.
    Killed(u32),
    /// The function starts so many seconds late.
    Late(u64),
}

/// What is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Delivery {
    EndOfRun,
    EndOfImage,
    Sweep,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does not arrive.
    Lost,
    /// It arrives so many seconds later.
    Late(u64),
    /// It arrives again so many seconds later.
    Doubled(u64),
}

/// What a person or another program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Stops the run.
    Abort,
    /// Redrives the run, which has ended.
    Redrive,
    /// Redrives all of its operations and rollbacks that have ended badly.
    RedriveOperations,
    /// Starts the run again, under its name.
    StartAgain,
    /// Starts another run that wants the same image name, of an instance of its own.
    StartRival,
    /// Starts another run that makes an image of the same instance.
    StartBeside,
    /// Deploys this version while everything runs: over the machines of the release before, or over itself.
    Deploy,
    /// Terminates the instance.
    TerminateInstance,
    /// Stops the instance.
    StopInstance,
    /// Locks a snapshot of the run.
    LockSnapshot,
    /// Protects the run's image from deregistration.
    ProtectImage,
    /// Protects the image from deregistration that the run was to change, delete or replace.
    ProtectOldImage,
    /// Deregisters the run's image.
    DeregisterImage,
    /// Deregisters the image that the run was to change, delete or replace.
    DeregisterOldImage,
    /// Lets a launch template name the run's image.
    UseImage,
    /// Lets a launch template name the image that the run was to change, delete or replace.
    UseOldImage,
    /// Puts a tag on the run's image, or on the one that it changes, and on its snapshots.
    Tag,
    /// Takes a tag off them.
    Untag,
}

/// When a person does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So many milliseconds after the run's start.
    Millis(u64),
    /// So many milliseconds after the run's end.
    MillisAfterEnd(u64),
    /// So many milliseconds after the run's so-manieth operation has succeeded.
    AfterOperation(u8, u64),
    /// At the so-manieth call that a function makes.
    Call(u32),
    /// At the so-manieth call after the run's first snapshot exists.
    CallWithSnapshot(u32),
}

impl CallFault {
    /// All kinds by their names.
    pub(crate) const NAMES: [&str; 7] =
        ["throttled", "server error", "reset", "answer lost", "answer lost as a server error", "slow", "refused"];

    pub(crate) fn name(self) -> &'static str {
        let [throttled, server_error, reset, lost, lost_as, slow, refused] = Self::NAMES;
        match self {
            Self::Throttled => throttled,
            Self::ServerError(_) => server_error,
            Self::Reset => reset,
            Self::AnswerLost => lost,
            Self::AnswerLostAs(_) => lost_as,
            Self::Slow(_) => slow,
            Self::Refused => refused,
        }
    }
}

impl InvocationFault {
    /// All kinds by their names.
    pub(crate) const NAMES: [&str; 4] = ["not made", "answer lost", "killed", "late"];

    pub(crate) fn name(self) -> &'static str {
        let [refused, lost, killed, late] = Self::NAMES;
        match self {
            Self::Refused(_) => refused,
            Self::AnswerLost => lost,
            Self::Killed(_) => killed,
            Self::Late(_) => late,
        }
    }
}

impl Delivery {
    /// All, as the table names them.
    pub(crate) const ALL: [Self; 3] = [Self::EndOfRun, Self::EndOfImage, Self::Sweep];
}

impl Fate {
    /// All kinds by their names.
    pub(crate) const NAMES: [&str; 3] = ["lost", "late", "doubled"];

    pub(crate) fn name(self) -> &'static str {
        let [lost, late, doubled] = Self::NAMES;
        match self {
            Self::Lost => lost,
            Self::Late(_) => late,
            Self::Doubled(_) => doubled,
        }
    }
}

impl Fault {
    /// The kind's name, for the table.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Call { kind, .. } => format!("call: {}", kind.name()),
            Self::MachineCall { is_done: false, .. } => "machine's call: refused".to_owned(),
            Self::MachineCall { .. } => "machine's call: answer lost".to_owned(),
            Self::Invocation { kind, .. } => format!("function: {}", kind.name()),
            Self::PutEvents { .. } => "machine's event: refused".to_owned(),
            Self::Delivery { of, fate } => format!("{of:?}: {}", fate.name()),
            Self::Person { does, .. } => format!("person: {does:?}"),
            Self::ImageFails(state) => format!("image: {state}"),
            Self::Clock(_) => "function: wrong clock".to_owned(),
            Self::KeyNotGranted => "instance: key not granted".to_owned(),
        }
    }
}
