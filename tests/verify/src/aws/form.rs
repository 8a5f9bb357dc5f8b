//! Arguments as the form of the query protocol.

use serde_json::Value;

/// The pairs of a form: `{"Filter": [{"Name": "name"}]}` becomes `Filter.1.Name`. `lists` stands between a list's
/// name and the number of an item.
pub(super) fn pairs(arguments: &Value, lists: &str) -> Vec<(String, String)> {
    let mut pairs = vec![];
    add(&mut pairs, String::new(), arguments, lists);
    pairs
}

fn add(pairs: &mut Vec<(String, String)>, name: String, value: &Value, lists: &str) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                add(pairs, name, value, lists);
            }
        }
        Value::Array(items) => {
            for (number, item) in (1..).zip(items) {
                add(pairs, format!("{name}{lists}.{number}"), item, lists);
            }
        }
        Value::String(text) => pairs.push((name, text.clone())),
        other => pairs.push((name, other.to_string())),
    }
}

/// The pairs, encoded.
pub(super) fn encoded(pairs: &[(String, String)]) -> String {
    let pair = |(name, value): &(String, String)| format!("{}={}", escaped(name), escaped(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

pub(crate) fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_and_lists_become_names_with_dots() {
        let arguments = json!({"ImageId": ["ami-1"], "Filter": [{"Name": "a b", "Value": ["ü"]}], "DryRun": true});
        assert_eq!(
            encoded(&pairs(&arguments, "")),
            "DryRun=true&Filter.1.Name=a%20b&Filter.1.Value.1=%C3%BC&ImageId.1=ami-1"
        );
        assert_eq!(encoded(&pairs(&json!({"A": ["b"], "C": null}), ".member")), "A.member.1=b");
    }
}
