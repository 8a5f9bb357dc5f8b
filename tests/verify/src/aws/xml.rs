//! Answers in XML as JSON values.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use quick_xml::{Reader, events::Event};
use serde_json::{Map, Value};

/// What a document's root contains. An element with nothing but `item` or `member` in it is a list, one with other
/// elements an object, and any other one a text; so an empty list is an empty text. Of a name that comes more than once,
/// an object has a list.
pub(super) fn value(text: &str) -> Result<Value> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event()? {
            Event::Start(_) => return element(&mut reader),
            Event::Empty(_) => return Ok(Value::String(String::new())),
            Event::Eof => bail!("there is no element"),
            _ => {}
        }
    }
}

fn element(reader: &mut Reader<&[u8]>) -> Result<Value> {
    let (mut fields, mut items, mut text) = (Map::new(), vec![], String::new());
    let mut repeated = BTreeSet::new();
    loop {
        let (name, value) = match reader.read_event()? {
            Event::Start(start) => (start.name().as_ref().to_owned(), element(reader)?),
            Event::Empty(empty) => (empty.name().as_ref().to_owned(), Value::String(String::new())),
            Event::Text(part) => {
                text += &part;
                continue;
            }
            Event::CData(part) => {
                text += &part;
                continue;
            }
            Event::GeneralRef(reference) => {
                let known = match reference.resolve_char_ref()? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_xml_entity(&reference).context("an unknown entity")?.to_owned(),
                };
                text += &known;
                continue;
            }
            Event::End(_) => break,
            Event::Eof => bail!("an element does not end"),
            _ => continue,
        };
        match name.as_str() {
            "item" | "member" => items.push(value),
            _ => match fields.get_mut(&name) {
                Some(Value::Array(values)) if repeated.contains(&name) => values.push(value),
                Some(first) => {
                    *first = Value::Array(vec![first.take(), value]);
                    repeated.insert(name);
                }
                None => {
                    fields.insert(name, value);
                }
            },
        }
    }
    Ok(match (fields.is_empty(), items.is_empty()) {
        (true, true) => Value::String(text.trim().to_owned()),
        (true, false) => Value::Array(items),
        (false, _) => Value::Object(fields),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_objects_and_texts_are_told_apart() -> Result<()> {
        let text =
            "<?xml version=\"1.0\"?><R xmlns=\"x\"><set><item><id>a&amp;&#98;</id></item><item/></set><none/></R>";
        assert_eq!(value(text)?, json!({"set": [{"id": "a&b"}, ""], "none": ""}));
        assert_eq!(value("<R><a>1</a><a>2</a><a>3</a></R>")?, json!({"a": ["1", "2", "3"]}));
        assert!(value("<R><a></R>").is_err());
        Ok(())
    }
}
