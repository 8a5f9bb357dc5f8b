//! The faults of a run while it goes on: which are still to come, and which have struck.

use crate::faults::{CallFault, Deed, Delivery, Fate, Fault, InvocationFault, Moment};

/// A fault, with what is left of it.
#[derive(Clone, Debug)]
struct Pending {
    fault: Fault,
    after: u32,
    times: u32,
    struck: bool,
}

/// The faults of a run.
#[derive(Clone, Debug)]
pub(crate) struct Troubles {
    all: Vec<Pending>,
    over: bool,
}

impl Troubles {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let pending = |fault: &Fault| {
            let (after, times) = match fault {
                Fault::Call { after, times, .. }
                | Fault::MachineCall { after, times, .. }
                | Fault::Invocation { after, times, .. }
                | Fault::PutEvents { after, times } => (*after, *times),
                Fault::Person { at: Moment::Call(after) | Moment::CallWithSnapshot(after), .. } => (*after, 1),
                _ => (0, 1),
            };
            Pending { fault: fault.clone(), after, times, struck: false }
        };
        Self { all: faults.iter().map(pending).collect(), over: false }
    }

    /// From now on all goes well.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }

    /// Those that have struck.
    pub(crate) fn struck(&self) -> impl Iterator<Item = &Fault> {
        self.all.iter().filter(|pending| pending.struck).map(|pending| &pending.fault)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Fault> {
        self.all.iter().map(|pending| pending.fault.clone()).collect()
    }

    /// What strikes something of a kind that `of` recognizes; each fault counts what it could strike.
    fn strike<T>(&mut self, of: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        if self.over {
            return None;
        }
        let mut struck = None;
        for pending in &mut self.all {
            let Some(kind) = of(&pending.fault).filter(|_| pending.times > 0) else { continue };
            if pending.after > 0 {
                pending.after -= 1;
            } else if struck.is_none() {
                pending.times -= 1;
                pending.struck = true;
                struck = Some(kind);
            }
        }
        struck
    }

    pub(crate) fn call(&mut self, by: &str, called: &str) -> Option<CallFault> {
        self.strike(|fault| match fault {
            Fault::Call { caller, action, kind, .. }
                if caller.is_none_or(|caller| caller == by) && action.is_none_or(|action| action == called) =>
            {
                Some(*kind)
            }
            _ => None,
        })
    }

    /// Whether the work is done all the same, and the end of the error's name.
    pub(crate) fn machine_call(&mut self) -> Option<(bool, &'static str)> {
        self.strike(|fault| match fault {
            Fault::MachineCall { is_done, error, .. } => Some((*is_done, *error)),
            _ => None,
        })
    }

    pub(crate) fn invocation(&mut self, of: &str) -> Option<InvocationFault> {
        self.strike(|fault| match fault {
            Fault::Invocation { function, kind, .. } if function.is_none_or(|function| function == of) => Some(*kind),
            _ => None,
        })
    }

    pub(crate) fn put_events(&mut self) -> bool {
        self.strike(|fault| matches!(fault, Fault::PutEvents { .. }).then_some(())).is_some()
    }

    pub(crate) fn delivery(&mut self, delivered: Delivery) -> Option<Fate> {
        self.strike(|fault| match fault {
            Fault::Delivery { of, fate } if *of == delivered => Some(*fate),
            _ => None,
        })
    }

    /// What a person does at this call.
    pub(crate) fn deeds_at_call(&mut self, has_snapshot: impl FnOnce() -> bool) -> Vec<Deed> {
        let waits = |pending: &Pending, with_snapshot: bool| {
            pending.times > 0
                && match pending.fault {
                    Fault::Person { at: Moment::Call(_), .. } => !with_snapshot,
                    Fault::Person { at: Moment::CallWithSnapshot(_), .. } => with_snapshot,
                    _ => false,
                }
        };
        let with_snapshot = self.all.iter().any(|pending| waits(pending, true)) && has_snapshot();
        let mut deeds = vec![];
        for pending in &mut self.all {
            if self.over || !(waits(pending, false) || with_snapshot && waits(pending, true)) {
                continue;
            }
            if pending.after > 0 {
                pending.after -= 1;
            } else if let Fault::Person { does, .. } = pending.fault {
                pending.times = 0;
                pending.struck = true;
                deeds.push(does);
            }
        }
        deeds
    }

    /// Notes that something that comes at a certain time has come, unless all goes well by then.
    pub(crate) fn comes(&mut self, fault: &Fault) -> bool {
        if !self.over {
            self.has_struck(fault);
        }
        !self.over
    }

    /// Notes that something that is there from the start has struck.
    pub(crate) fn has_struck(&mut self, fault: &Fault) {
        for pending in self.all.iter_mut().filter(|pending| pending.fault == *fault) {
            pending.struck = true;
        }
    }
}
