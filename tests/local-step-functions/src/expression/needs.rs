//! Which fields of a variable an expression reads, so that no more of a large document is handed over.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is read of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Need {
    whole: bool,
    fields: BTreeMap<String, Need>,
}

impl Need {
    /// Adds a path: all of what it leads to is read.
    pub(super) fn add(&mut self, path: &[String]) {
        match path.split_first() {
            None => self.whole = true,
            Some((field, rest)) => self.fields.entry(field.clone()).or_default().add(rest),
        }
    }

    /// Whether all of the value is read.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The fields that are read by name.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&String, &Need)> {
        self.fields.iter()
    }

    /// What is read of a value. Of anything but an object that is all of it.
    pub(super) fn prune(&self, value: &Value) -> Value {
        match value {
            Value::Object(object) if !self.whole => {
                let read = |(field, need): (&String, &Need)| Some((field.clone(), need.prune(object.get(field)?)));
                Value::Object(self.fields().filter_map(read).collect())
            }
            _ => value.clone(),
        }
    }
}
