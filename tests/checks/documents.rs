//! What is written about the application is true of it.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{collections::BTreeSet, fs, path::Path};

use ami_from_instance::error::Error;
use local_aws::{picture, prepare::root};
use serde_json::Value;

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_readme_explains_every_error() {
    let readme = read("README.md");
    for name in Error::NAMES {
        assert!(readme.contains(&format!("\n| `{name}` |")), "{name}");
    }
}

#[test]
fn the_readme_names_every_parameter_of_the_template() {
    let (readme, template) = (read("README.md"), read("template.yaml"));
    let parameters = template.split("\nParameters:\n").nth(1).unwrap().split("\nConditions:").next().unwrap();
    let parameters: Vec<_> = parameters
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '))
        .collect();
    assert!(parameters.len() > 3);
    for parameter in parameters {
        assert!(readme.contains(&format!("`{parameter}`")), "{parameter}");
    }
}

#[test]
fn the_picture_shows_the_machines_as_they_are() {
    assert!(read(picture::FILE) == picture::draw().unwrap(), "draw it again: cargo local picture");
}

#[test]
fn every_event_is_used_by_a_test() {
    let tests: String = names("tests/end_to_end").iter().map(|name| read(format!("tests/end_to_end/{name}"))).collect();
    for event in [names("events"), names("events/functions")].concat() {
        assert!(event == "functions" || tests.contains(&format!("\"{event}\"")), "{event}");
    }
}

#[test]
fn each_function_has_a_payload_with_the_fields_that_the_machines_send() {
    let json = |path: String| serde_json::from_str::<Value>(&read(path)).unwrap();
    let lifecycle = json("state-machine/lifecycle.asl.json".to_owned());
    let payloads: Vec<_> = names("functions/src/bin").iter().map(|name| name.replace(".rs", "")).collect();
    assert_eq!(names("events/functions").len(), payloads.len());
    // What EventBridge sends is not the machines'.
    for (function, state) in [
        ("read-request", "Read the request"),
        ("start-create", "Create the image"),
        ("check-status", "Create the image"),
        ("start-update", "Update the image"),
        ("cleanup", "Roll back"),
    ] {
        let payload = json(format!("events/functions/{function}.json"));
        let arguments = &lifecycle["States"][state]["Arguments"];
        let sent = arguments["Payload"].as_object().or(arguments["Input"].as_object()).unwrap();
        let mut fields: BTreeSet<_> = sent.keys().map(String::as_str).collect();
        if function != "read-request" {
            fields.insert("execution");
        }
        let found: BTreeSet<_> = payload.as_object().unwrap().keys().map(String::as_str).collect();
        // A look has the last answer besides.
        assert!(if function == "check-status" { found.is_superset(&fields) } else { found == fields }, "{function}");
    }
}

#[test]
fn the_application_in_the_template_has_the_workspaces_version() {
    let version = |text: &str, key: &str| Some(text.split(key).nth(1)?.lines().next()?.trim_matches('"').to_owned());
    let (workspace, template) = (read("Cargo.toml"), read("template.yaml"));
    let workspace = version(&workspace, "\nversion = ").unwrap();
    assert_eq!(version(&template, "SemanticVersion: ").as_ref(), Some(&workspace));
    assert!(read("CHANGELOG.md").contains(&format!("\n## {workspace}")));
}
