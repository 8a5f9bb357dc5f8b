//! The diagrams of the machines, in Mermaid, from their definitions.

use std::{fmt::Write as _, fs};

use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::Deserialize;

use crate::prepare::root;

/// Where the diagrams are checked in, from the workspace's folder.
pub const FILE: &str = "docs/machines.md";

const HEAD: &str = "# The machines

Users start the lifecycle machine. It reads the request, runs each operation of the plan as an execution of the operation
machine, and rolls back what a failed run did.

A diamond is a Choice, a hexagon a Wait, and a rounded box an end. A dotted arrow is a Catch. `cargo local picture` writes
this file from [`state-machine/`](../state-machine).
";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Machine {
    comment: String,
    states: IndexMap<String, State>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    r#type: String,
    comment: String,
    next: Option<String>,
    default: Option<String>,
    #[serde(default)]
    choices: Vec<Rule>,
    #[serde(default)]
    catch: Vec<Rule>,
}

/// A branch of a Choice, or a Catch, which has no condition.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    condition: Option<String>,
    next: String,
}

/// The machines, each as a flowchart and a table of its states.
pub fn draw() -> Result<String> {
    let mut page = HEAD.to_owned();
    for name in ["lifecycle", "operation", "create"] {
        let file = root().join(format!("state-machine/{name}.asl.json"));
        let machine: Machine = serde_json::from_str(&fs::read_to_string(file)?).context(name)?;
        write!(page, "\n## {name}\n\n{}\n\n```mermaid\nflowchart TD\n", machine.comment)?;
        for (name, state) in &machine.states {
            let (open, close) = match state.r#type.as_str() {
                "Choice" => ("{", "}"),
                "Wait" => ("{{", "}}"),
                "Succeed" | "Fail" => ("([", "])"),
                _ => ("[", "]"),
            };
            writeln!(page, "    {}{open}\"{name}\"{close}", id(name))?;
        }
        for (name, state) in &machine.states {
            for (target, label, arrow) in state.arrows() {
                let label = if label.is_empty() { label } else { format!("|\"{label}\"|") };
                writeln!(page, "    {} {arrow}{label} {}", id(name), id(target))?;
            }
        }
        page += "```\n\n| state | type | comment |\n|---|---|---|\n";
        for (name, state) in &machine.states {
            writeln!(page, "| {name} | {} | {} |", state.r#type, state.comment.replace('|', "\\|"))?;
        }
    }
    Ok(page)
}

impl State {
    /// One arrow for each state this one leads to, with its label; dotted if only errors lead there.
    fn arrows(&self) -> Vec<(&str, String, &str)> {
        let next = self.next.iter().map(|next| (next, String::new(), "-->"));
        let choices = self.choices.iter().map(|rule| (&rule.next, rule.words(), "-->"));
        let default = self.default.iter().map(|next| (next, "otherwise".to_owned(), "-->"));
        let catches = self.catch.iter().map(|rule| (&rule.next, String::new(), "-.->"));
        let mut arrows: Vec<(&str, String, &str)> = vec![];
        for (target, label, arrow) in next.chain(choices).chain(default).chain(catches) {
            match arrows.iter_mut().find(|known| known.0 == target) {
                Some(known) if !label.is_empty() => known.1 += &format!(", {label}"),
                Some(_) => {}
                None => arrows.push((target, label, arrow)),
            }
        }
        arrows
    }
}

impl Rule {
    /// The condition, without the JSONata around its names; a number below a count leaves some, one above 0 is told by
    /// its name.
    fn words(&self) -> String {
        let mut words = self.condition.clone().unwrap_or_default();
        for noise in [
            "{%",
            "%}",
            "$states.input.",
            "$states.context.Execution.",
            " > 0",
            "$exists",
            "$count",
            "status =",
            "(",
            ")",
            "'",
        ] {
            words = words.replace(noise, "");
        }
        words.split_once('<').map_or(words.trim().to_owned(), |(_, all)| format!("{} left", all.trim()))
    }
}

fn id(name: &str) -> String {
    name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
}
