//! The rules of a Choice.

use super::{DefinitionError, fields::Fields, parse};
use crate::template::Template;

/// What distinguishes a Choice: its rules, of which the first that is true counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) rules: Vec<Rule>,
}

/// A rule of a Choice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// An expression that gives true or false.
    pub(crate) condition: Template,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
    pub(crate) next: String,
}

pub(super) fn choice(fields: &mut Fields<'_>) -> Result<Choice, DefinitionError> {
    let rules = fields.list("Choices")?.ok_or_else(|| fields.error("Choices", "is missing"))?;
    let mut choice = Choice { rules: Vec::new() };
    for (index, rule) in rules.iter().enumerate() {
        let mut rule = Fields::of(rule, "a rule of a Choice", &fields.at(&format!("Choices[{index}]")))?;
        rule.text("Comment")?;
        let condition = rule.template("Condition")?;
        let Some(condition @ Template::Expression(_)) = condition else {
            return Err(rule.error("Condition", "must be an expression"));
        };
        let (assign, output) = (parse::assign(&mut rule)?, rule.template("Output")?);
        choice.rules.push(Rule { condition, assign, output, next: rule.required_text("Next")? });
        rule.end()?;
    }
    Ok(choice)
}
