//! The placeholders of a definition, which CloudFormation fills in from `DefinitionSubstitutions`.

use std::collections::BTreeMap;

use crate::definition_error::DefinitionError;

/// Replaces each `${Name}` of a definition's text by its value.
///
/// # Errors
///
/// A placeholder without a value, or one that does not end.
pub fn substitute(definition: &str, values: &BTreeMap<String, String>) -> Result<String, DefinitionError> {
    let mut parts = definition.split("${");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) =
            part.split_once('}').ok_or_else(|| DefinitionError::new("", "a placeholder does not end"))?;
        let value = values.get(name).ok_or_else(|| DefinitionError::new("", format!("${{{name}}} has no value")))?;
        // The text is JSON, so a value stands in it as a part of a JSON string.
        let quoted = serde_json::Value::from(value.as_str()).to_string();
        text.push_str(&quoted[1..quoted.len() - 1]);
        text.push_str(rest);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_placeholder_is_replaced_and_one_without_a_value_is_refused() {
        let values = BTreeMap::from([("Partition".to_owned(), "aws".to_owned()), ("A".to_owned(), "\"".to_owned())]);
        assert_eq!(substitute(r#""arn:${Partition}:x${A}""#, &values).unwrap(), r#""arn:aws:x\"""#);
        assert_eq!(substitute("${B}", &values).unwrap_err().to_string(), "${B} has no value");
        assert!(substitute("${B", &values).is_err());
    }
}
