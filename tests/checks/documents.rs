//! What is written about the application is true of it.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{fs, path::Path};

use ami_from_instance::{
    error::Error,
    settings::{DEFAULT_TAGS, Settings},
};
use local_aws::{diagram, prepare::root};
use proptest::{prop_assert, proptest, string::string_regex};
use serde_json::Value;
use verify::{probes, recording::Recording};

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_error_is_explained_with_an_example_of_its_cause() {
    let errors = read("docs/errors.md");
    for name in Error::NAMES.iter().chain(&["FunctionFailed", "RunEnded", "RunNotStarted"]) {
        assert!(errors.contains(&format!("\n| [`{name}`](#{}) |", name.to_lowercase())), "{name}");
        assert!(errors.contains(&format!("\n## {name}\n\n```\n")), "{name}");
    }
}

#[test]
fn the_version_is_the_same_wherever_it_stands() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("template.yaml", format!("    SemanticVersion: {version}\n")),
        ("README.md", format!("**Status:** version {version},")),
        ("CHANGELOG.md", format!("\n## {version}")),
        ("docs/releases.md", format!("such as `v{version}`")),
        ("functions/fuzz/Cargo.lock", format!("name = \"ami-from-instance\"\nversion = \"{version}\"")),
        ("tests/releases/README.md", format!("`{version}/`")),
    ] {
        assert!(read(file).contains(&line), "{file} has no {line}");
    }
}

#[test]
fn a_notifications_link_leads_to_the_console_of_the_stacks_partition() {
    let template = read("template.yaml");
    let console = template.split("- Console: ").nth(1).unwrap().lines().next().unwrap();
    let mut hosts = console.split(['[', ',', ']']).map(str::trim).filter(|word| word.contains("console."));
    for (condition, partition) in [("IsInChina", "aws-cn"), ("IsInGovCloud", "aws-us-gov")] {
        assert!(template.contains(&format!("\n  {condition}: !Equals [!Ref AWS::Partition, {partition}]\n")));
        assert!(console.contains(&format!("!If [{condition}, {}, ", hosts.next().unwrap())));
    }
    assert_eq!(hosts.collect::<Vec<_>>(), ["console.aws.amazon.com"]);
}

/// What the text of an error has between its fields, by the error's name, as `error.rs` writes it.
fn fixed_parts() -> Vec<(String, Vec<String>)> {
    let source = read("functions/src/error.rs");
    let variants = source.split("#[error(").skip(1).map(|variant| {
        let text = variant.split('"').nth(1).unwrap().split(['{', '}']).step_by(2).map(str::to_owned);
        let name = variant.lines().find_map(|line| line.strip_prefix("    ")?.strip_suffix(" {")).unwrap();
        (name.to_owned(), text.collect())
    });
    variants.collect()
}

#[test]
fn the_example_of_each_cause_is_what_the_functions_say() {
    let errors = read("docs/errors.md");
    let of_all = fixed_parts();
    assert_eq!(of_all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), Error::NAMES);
    for (name, parts) in of_all {
        let section = errors.split(&format!("\n## {name}\n\n```\n")).nth(1).unwrap();
        let mut left = section.lines().next().unwrap();
        for part in parts {
            left = left.split_once(&part).unwrap_or_else(|| panic!("{name}: {part:?} is not in {left:?}")).1;
        }
    }
}

#[test]
fn every_parameter_and_output_of_the_template_is_explained() {
    let (page, template) = (read("docs/parameters.md"), read("template.yaml"));
    for section in ["\nParameters:\n", "\nOutputs:\n"] {
        let section = template.split(section).nth(1).unwrap().split("\nConditions:").next().unwrap();
        let names = section.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
        let names: Vec<_> = names.filter(|name| !name.starts_with(' ')).collect();
        assert!(names.len() > 3);
        for name in names {
            assert!(page.contains(&format!("\n| `{name}` | ")), "{name}");
        }
    }
}

/// A parameter's AllowedPattern, which is on a line of its own.
fn pattern(parameter: &str) -> String {
    let template = read("template.yaml");
    let parameter = template.split(&format!("\n  {parameter}:\n")).nth(1).unwrap();
    let mut lines = parameter.lines().skip_while(|line| !line.contains("AllowedPattern: ")).skip(1);
    lines.next().unwrap().trim().to_owned()
}

#[test]
fn the_functions_can_use_every_value_that_the_template_admits() {
    let timeouts = string_regex(&pattern("CreateTimeout")).unwrap();
    // What the tests' library of regular expressions does not know: reserved keys are refused.
    let tags = pattern("DefaultTags").replace("(?![Aa][Ww][Ss]:|ami-from-instance:)", "");
    proptest!(|(timeout in timeouts, tags in string_regex(&tags).unwrap())| {
        let text = |name: &str| Some(if name == DEFAULT_TAGS { &tags } else { &timeout }.clone());
        let settings = Settings::from(text);
        prop_assert!(settings.timeouts.is_ok(), "{:?}", settings.timeouts);
        prop_assert!(settings.default_tags.is_ok(), "{:?}", settings.default_tags);
    });
}

#[test]
fn every_statement_of_the_templates_policies_is_in_the_documents() {
    let (page, template) = (read("docs/permissions.md"), read("template.yaml"));
    let sids = template.lines().filter_map(|line| line.split_once("Sid: ")).map(|(_, sid)| sid);
    let actions = template.split(|c: char| !c.is_alphanumeric() && c != ':');
    let actions = actions.map(|word| word.trim_end_matches(':'));
    let actions = actions.filter(|word| word.starts_with("ec2:") || word.starts_with("states:"));
    for word in sids.chain(actions.filter(|action| action.contains(char::is_uppercase))) {
        assert!(page.contains(word), "{word}");
    }
}

#[test]
fn the_diagrams_show_the_machines_as_they_are() {
    assert!(read(diagram::FILE) == diagram::draw().unwrap(), "write them again: cargo local picture");
}

#[test]
fn every_state_is_in_its_machines_diagram_and_table() {
    let page = read(diagram::FILE);
    for machine in ["lifecycle", "operation", "create"] {
        let section = page.split("\n## ").find(|section| section.starts_with(machine)).unwrap();
        let (diagram, table) = section.split_once("\n| state |").unwrap();
        let states = json(&format!("state-machine/{machine}.asl.json"))["States"].take();
        for (name, state) in states.as_object().unwrap() {
            assert!(diagram.contains(&format!("\"{name}\"")), "{machine}: {name}");
            assert!(
                table.contains(&format!("\n| {name} | {} |", state["Type"].as_str().unwrap())),
                "{machine}: {name}"
            );
        }
    }
}

#[test]
fn every_event_is_used_by_a_test() {
    let tests: String = names("tests/end_to_end").iter().map(|name| read(format!("tests/end_to_end/{name}"))).collect();
    for event in ["requests", "functions", "schedules"].map(|folder| names(&format!("events/{folder}"))).concat() {
        assert!(tests.contains(&event), "{event}");
    }
}

#[test]
fn each_function_has_an_event_and_the_requests_reader_has_what_its_state_sends() {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for function in names("functions/src/bin") {
        read(format!("events/functions/{}", function.replace(".rs", ".json")));
    }
    let lifecycle = json("state-machine/lifecycle.asl.json");
    let sent = &lifecycle["States"]["Read the request"]["Arguments"]["Payload"];
    assert_eq!(keys(&json("events/functions/read-request.json")), keys(sent));
}

#[test]
fn what_is_not_seen_on_aws_is_listed() {
    let recordings = Recording::read_all(&probes::recordings()).unwrap();
    let document = read("docs/verification.md");
    let table = probes::table(&recordings);
    assert!(
        document.contains(&table),
        "docs/verification.md must have what cargo verify --assumptions prints:\n{table}"
    );
}
