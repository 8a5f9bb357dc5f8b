//! DescribeInstanceAttribute and DescribeInstanceTypes.

use crate::{api_error::ApiError, query::Query, world::World, xml::Xml};

pub(crate) fn describe_instance_attribute(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("InstanceId")?;
    let attribute = query.required("Attribute")?;
    query.finish()?;
    let instance = world.instance(&id)?;
    let value = match attribute.as_str() {
        "disableApiStop" => instance.stop_protection,
        "disableApiTermination" => false,
        _ => {
            return Err(ApiError::invalid_value(format!(
                "Value ({attribute}) for parameter attribute is not known here."
            )));
        }
    };
    let mut xml = Xml::default();
    xml.text("instanceId", id);
    xml.element(&attribute, |xml| xml.text("value", value));
    Ok(xml)
}

pub(crate) fn describe_instance_types(_: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let types = query.required_list("InstanceType")?;
    query.finish()?;
    if let Some(wrong) = types.iter().find(|name| !name.contains('.')) {
        let problem = format!("The following supplied instance types do not exist: [{wrong}]");
        return Err(ApiError::new("InvalidInstanceType", problem));
    }
    let mut xml = Xml::default();
    xml.list("instanceTypeSet", types, |xml, name| {
        xml.text("instanceStorageSupported", has_instance_store(&name));
        xml.text("instanceType", name);
    });
    Ok(xml)
}

/// By its family, as "Amazon EC2 instance type naming conventions" has it: a d after the generation, or a storage
/// optimized family.
fn has_instance_store(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    let (series, options) = family.split_at(family.find(|c: char| c.is_ascii_digit()).unwrap_or(family.len()));
    matches!(series, "i" | "im" | "is" | "d" | "h") || options.contains('d')
}
