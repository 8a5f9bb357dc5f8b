//! Protection from deregistration.

use std::time::SystemTime;

/// Whether an image is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Off,
    On {
        /// Whether it protects for another day after it is switched off.
        with_cooldown: bool,
    },
    CoolingDown {
        until: SystemTime,
    },
}

impl Protection {
    pub(crate) fn forbids(self, now: SystemTime) -> bool {
        match self {
            Self::Off => false,
            Self::On { .. } => true,
            Self::CoolingDown { until } => now < until,
        }
    }

    /// The value of `deregistrationProtection`.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Off | Self::CoolingDown { .. } => "disabled",
            Self::On { with_cooldown: false } => "enabled-without-cooldown",
            Self::On { with_cooldown: true } => "enabled-with-cooldown",
        }
    }
}
