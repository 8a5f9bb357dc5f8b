//! The project's own machines: they are loaded as they stand, and a run of theirs is driven to each of its ends.

use std::{collections::BTreeMap, fs, path::Path};

use local_step_functions::{Definition, substitute};

/// The text of a machine, with an ARN for each placeholder.
fn load(file: &str) -> Definition {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../state-machine").join(file);
    let text = fs::read_to_string(path).unwrap();
    let names = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let values: BTreeMap<String, String> = names.map(|name| (name.to_owned(), value(name))).collect();
    Definition::parse(&substitute(&text, &values).unwrap()).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn value(placeholder: &str) -> String {
    match placeholder {
        "Partition" => "aws".to_owned(),
        "OperationMachineArn" => "arn:aws:states:us-east-1:000000000000:stateMachine:ami-operation".to_owned(),
        function => format!("arn:aws:lambda:us-east-1:000000000000:function:{function}"),
    }
}

#[test]
fn both_machines_are_loaded_with_every_state_field_and_expression() {
    for file in ["lifecycle.asl.json", "operation.asl.json"] {
        assert!(load(file).state_names().count() > 5, "{file}");
    }
}
