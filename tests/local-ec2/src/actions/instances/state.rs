//! The state of an instance, as answers have it.

use aws_sdk_ec2::types::InstanceStateName;

use crate::xml::Xml;

pub(crate) fn code(state: &InstanceStateName) -> u8 {
    match state {
        InstanceStateName::Pending => 0,
        InstanceStateName::ShuttingDown => 32,
        InstanceStateName::Terminated => 48,
        InstanceStateName::Stopping => 64,
        InstanceStateName::Stopped => 80,
        _ => 16,
    }
}

/// Writes a state with its code as the element `name`.
pub(crate) fn write_state(xml: &mut Xml, name: &str, state: &InstanceStateName) {
    xml.element(name, |xml| {
        xml.text("code", code(state));
        xml.text("name", state.as_str());
    });
}
