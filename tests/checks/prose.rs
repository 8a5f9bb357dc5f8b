//! The documents can be used as they are written: examples work, links and commands exist, and the words are plain.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use ami_from_instance::plan::request::Request;
use local_aws::prepare::root;
use serde_json::Value;

/// When the examples were written, in seconds since 1970.
const NOW: i64 = 1_795_000_000;
/// The folders whose files the documents name.
const FOLDERS: [&str; 6] = ["docs/", "events/", "functions/", "state-machine/", "tests/", ".ci/"];
/// Words that say less than AWS's own do.
const BANNED: [&str; 8] = ["told", "trust", "promise", "silent", "strangers", "nets", "time limit", "undo"];

fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap());
    let mut files = vec![];
    for entry in entries {
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(self::files(&path, extension));
        } else if path.ends_with(extension) {
            files.push((PathBuf::from(&path), fs::read_to_string(root().join(&path)).unwrap()));
        }
    }
    files
}

fn documents() -> Vec<(PathBuf, String)> {
    let top = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let top = top.map(|path| (PathBuf::from(path), fs::read_to_string(root().join(path)).unwrap()));
    top.into_iter().chain(files("docs", ".md")).collect()
}

/// The blocks of code in a language, or those in none of them: the prose.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let code = text.split("\n```").skip(1).step_by(2);
    code.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect()
}

/// The commands in a document: lines of shell, and code within the prose.
fn commands(text: &str) -> Vec<String> {
    let prose = prose(text);
    let spans = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    spans.chain(blocks(text, "sh").join("\n").lines().map(str::to_owned)).collect()
}

#[test]
fn every_example_of_json_is_json_and_every_request_is_accepted() {
    let mut requests = 0;
    for (path, text) in documents() {
        for block in blocks(&text, "json") {
            let rendered = block.replace("{{date}}", "2026-11-23").replace("{{time}}", "03-00-07");
            let example: Value =
                serde_json::from_str(&rendered).unwrap_or_else(|error| panic!("{path:?}: {error} in {block}"));
            // A result has an id.
            let is_request = example["action"].is_string() || example["sourceInstanceId"].is_string();
            if is_request && example["id"].is_null() {
                requests += 1;
                Request::parse(&example, NOW).unwrap_or_else(|error| panic!("{path:?}: {error} in {block}"));
            }
        }
    }
    assert!(requests > 6, "{requests}");
}

#[test]
fn every_cargo_command_exists() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let aliases = read(".cargo/config.toml");
    let manifest = read("tests/Cargo.toml");
    let sources = files("tests", ".rs");
    let is_test = |name: &str| {
        let files = [format!("tests/{name}.rs"), format!("tests/{name}/main.rs")];
        manifest.contains(&format!("name = \"{name}\""))
            || sources.iter().any(|(path, _)| files.iter().any(|file| path.ends_with(file)))
    };
    for (path, text) in documents() {
        for command in commands(&text) {
            let words: Vec<_> = command.split('#').next().unwrap().split_whitespace().collect();
            let ["cargo", subcommand, arguments @ ..] = &words[..] else { continue };
            let is_alias = aliases.contains(&format!("\n{subcommand} = "));
            let known = ["build", "fmt", "clippy", "test", "deny", "fuzz", "install", "lambda"].contains(subcommand);
            assert!(known || is_alias, "{path:?}: {command}");
            if let Some(at) = arguments.iter().position(|word| *word == "--profile") {
                assert!(
                    read("Cargo.toml").contains(&format!("\n[profile.{}]\n", arguments[at + 1])),
                    "{path:?}: {command}"
                );
            }
            if let Some(at) = arguments.iter().position(|word| *word == "--test") {
                assert!(is_test(arguments[at + 1]), "{path:?}: {command}");
            }
            let variants = match *subcommand {
                "local" => read("tests/cargo-local/src/command.rs"),
                "pace" => read("tests/performance/src/bin/pace.rs"),
                _ => continue,
            };
            if let Some(variant) = arguments.first().filter(|word| !word.starts_with('-')) {
                let variant = variant[..1].to_uppercase() + &variant[1..];
                assert!(variants.lines().any(|line| line.trim_start().starts_with(&variant)), "{path:?}: {command}");
            }
        }
    }
}

#[test]
fn every_file_that_is_named_exists() {
    for (path, text) in documents() {
        let commands = commands(&text).join(" ");
        let words = commands.split_whitespace().map(|word| word.trim_start_matches("file://"));
        for word in words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder))) {
            assert!(root().join(word).exists(), "{path:?}: {word}");
        }
    }
}

/// The name that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_has_its_target() {
    for (path, text) in documents() {
        let prose = prose(&text);
        let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap_or(Path::new("")).join(file) };
            assert!(root().join(&target).exists(), "{path:?}: {link}");
            if let Some(heading) = heading {
                let target = self::prose(&fs::read_to_string(root().join(&target)).unwrap());
                let mut headings = target.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
                assert!(headings.any(|one| anchor(one) == heading), "{path:?}: {link}");
            }
        }
    }
}

#[test]
fn no_sentence_of_the_readme_has_more_than_30_words() {
    let readme = prose(&fs::read_to_string(root().join("README.md")).unwrap());
    // A list's item, a cell and a paragraph begin a sentence too.
    let readme = readme.replace("\n- ", "\n\n").replace("\n| ", "\n\n").replace(" | ", "\n\n").replace("**", "");
    let paragraphs = readme.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    for sentence in paragraphs.flat_map(|paragraph| paragraph.split(". ").map(str::to_owned).collect::<Vec<_>>()) {
        let words = sentence.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
        assert!(words <= 30, "{words}: {sentence}");
    }
}

#[test]
fn no_table_is_wider_than_five_columns() {
    for (path, text) in documents() {
        for line in prose(&text).lines().filter(|line| line.starts_with("|-")) {
            assert!(line.matches('|').count() <= 6, "{path:?}: {line}");
        }
    }
}

#[test]
fn no_text_for_users_has_a_word_that_says_less_than_awss_own() {
    let text_of = |text: &str| prose(text).split('`').step_by(2).collect::<String>();
    let mut texts: Vec<_> = documents().iter().map(|(path, text)| (path.clone(), text_of(text))).collect();
    texts.push((PathBuf::from("template.yaml"), fs::read_to_string(root().join("template.yaml")).unwrap()));
    // Messages are what is between quotation marks, and has more than one word.
    for (path, source) in files("functions/src", ".rs") {
        let code: String = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let messages = code.split('"').skip(1).step_by(2).filter(|text| text.contains(' '));
        texts.push((path, messages.collect::<Vec<_>>().join("\n")));
    }
    for (path, text) in texts {
        let words = text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " ");
        for banned in BANNED {
            assert!(!format!(" {words} ").contains(&format!(" {banned} ")), "{path:?}: {banned}");
        }
    }
}
