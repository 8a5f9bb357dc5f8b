//! What is written about the application is true of it.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{fs, path::Path};

use ami_from_instance::error::Error;
use local_aws::{picture, prepare::root};

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
    let tests: String =
        names("tests/tests/local_aws").iter().map(|name| read(format!("tests/tests/local_aws/{name}"))).collect();
    for event in names("events") {
        assert!(tests.contains(&format!("\"{event}\"")), "{event}");
    }
}
