//! Which fields of a variable an expression reads, so that no more of a large document is handed over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ast::{Field, Node, Start};

/// What is read of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Need {
    whole: bool,
    fields: BTreeMap<String, Need>,
}

impl Need {
    /// Adds a path: all of what it leads to is read.
    fn add(&mut self, path: &[&str]) {
        match path.split_first() {
            None => self.whole = true,
            Some((field, rest)) => self.fields.entry((*field).to_owned()).or_default().add(rest),
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

/// The variables that an expression reads, and those that it binds.
pub(super) fn of(node: &Node) -> Result<(BTreeMap<String, Need>, BTreeSet<String>), String> {
    let (mut needs, mut bound) = (BTreeMap::new(), BTreeSet::new());
    collect(node, false, &mut needs, &mut bound)?;
    needs.retain(|name, _| !bound.contains(name));
    Ok((needs, bound))
}

fn collect(
    node: &Node,
    in_predicate: bool,
    needs: &mut BTreeMap<String, Need>,
    bound: &mut BTreeSet<String>,
) -> Result<(), String> {
    let mut start = None;
    match node {
        Node::Path(first, fields) => match &first.node {
            Start::Node(node @ Node::Variable(name)) => {
                start = Some(node);
                let fields = if first.predicates.is_empty() { fields.as_slice() } else { &[] };
                read(name, fields, needs)?;
            }
            Start::Field(name) if !in_predicate => {
                return Err(format!("Reference to '{name}' at the top level is not supported."));
            }
            _ => {}
        },
        Node::Variable(name) => read(name, &[], needs)?,
        Node::Bind(name, _) => {
            bound.insert(name.clone());
        }
        _ => {}
    }
    let mut result = Ok(());
    node.for_each_part(&mut |part, predicate| {
        if result.is_ok() && !start.is_some_and(|start| std::ptr::eq(start, part)) {
            result = collect(part, in_predicate || predicate, needs, bound);
        }
    });
    result
}

/// Notes that a variable's field is read, and all of it from the first predicate on.
fn read(name: &str, fields: &[Field], needs: &mut BTreeMap<String, Need>) -> Result<(), String> {
    let named = fields.iter().position(|field| !field.predicates.is_empty()).map_or(fields.len(), |at| at + 1);
    let path: Vec<&str> = fields[..named].iter().map(|field| field.name.as_str()).collect();
    if name == "states" && path.is_empty() {
        return Err("$states without a field is not supported".to_owned());
    }
    needs.entry(name.to_owned()).or_default().add(&path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::parser::parse, *};

    fn of(source: &str) -> Result<(BTreeMap<String, Need>, BTreeSet<String>), String> {
        super::of(&parse(source)?)
    }

    #[test]
    fn the_fields_that_are_read_are_found() {
        let source =
            "$states.input.a.b & $x.y[$states.result.Payload.n = id].z & '$quoted.name' & $merge([$states.input.c])";
        let mut states = Need::default();
        for path in [["input", "a", "b"].as_slice(), &["result", "Payload", "n"], &["input", "c"]] {
            states.add(path);
        }
        let mut x = Need::default();
        x.add(&["y"]);
        assert_eq!(of(source).unwrap().0, BTreeMap::from([("states".to_owned(), states), ("x".to_owned(), x)]));
    }

    #[test]
    fn a_variable_that_the_expression_binds_is_not_read_from_outside() {
        let (needs, bound) = of("( $cause := $states.input.a; $cause & $y )").unwrap();
        assert_eq!(needs.keys().collect::<Vec<_>>(), ["states", "y"]);
        assert_eq!(bound.iter().collect::<Vec<_>>(), ["cause"]);
    }

    #[test]
    fn a_name_that_nothing_gives_a_context_is_refused() {
        assert_eq!(of("phone & 'x'").unwrap_err(), "Reference to 'phone' at the top level is not supported.");
        assert!(of("$x[phone = 1].phone").is_ok());
        for source in ["$states", "$merge([$states, {}])", "$states[0].input"] {
            assert_eq!(of(source).unwrap_err(), "$states without a field is not supported");
        }
    }
}
