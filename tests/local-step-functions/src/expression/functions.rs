//! The functions that an expression may call: some of JSONata's, and `$parse`, which Step Functions adds.
//! None of them reads a clock, draws a random number or shows the order of an object's fields.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    ast::Regex,
    evaluate::{Out, truth},
    number,
};

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal..=$most:literal,)*) => {
        /// A function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Function { $($variant,)* }

        impl Function {
            /// Their names, and how many arguments they take.
            const ALL: &[(Function, &str, usize, usize)] = &[$((Function::$variant, $name, $least, $most),)*];
        }
    };
}

functions! {
    Abs "abs" 1..=1,
    Append "append" 2..=2,
    Assert "assert" 2..=2,
    Boolean "boolean" 1..=1,
    Ceil "ceil" 1..=1,
    Contains "contains" 2..=2,
    Count "count" 1..=1,
    Exists "exists" 1..=1,
    Floor "floor" 1..=1,
    Join "join" 1..=2,
    Length "length" 1..=1,
    Lookup "lookup" 2..=2,
    Lowercase "lowercase" 1..=1,
    Max "max" 1..=1,
    Merge "merge" 1..=1,
    Min "min" 1..=1,
    Not "not" 1..=1,
    Parse "parse" 1..=1,
    Replace "replace" 3..=3,
    String "string" 1..=1,
    Substring "substring" 2..=3,
    SubstringAfter "substringAfter" 2..=2,
    SubstringBefore "substringBefore" 2..=2,
    Sum "sum" 1..=1,
    Uppercase "uppercase" 1..=1,
}

/// An argument: a value, a regular expression, or nothing.
pub(super) enum Argument<'a> {
    Value(Option<Out<'a>>),
    Regex(&'a Regex),
}

type Answer<'a> = Result<Option<Out<'a>>, String>;

impl Function {
    pub(super) fn exists(name: &str) -> bool {
        Self::ALL.iter().any(|(_, known, ..)| *known == name)
    }

    /// The function of a name, for so many arguments.
    pub(super) fn named(name: &str, arguments: usize) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, known, ..)| *known == name);
        let (function, _, least, most) = found.ok_or_else(|| format!("the function ${name} is not supported"))?;
        if !(*least..=*most).contains(&arguments) {
            return Err(format!("${name} takes {least} to {most} arguments"));
        }
        Ok(*function)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(function, ..)| *function == self).map_or("", |(_, name, ..)| name)
    }

    /// Calls it.
    pub(super) fn call<'a>(self, arguments: &[Argument<'a>]) -> Answer<'a> {
        let arguments = Arguments { function: self, arguments };
        let text = |text: String| Ok(Some(Out::owned(Value::String(text))));
        let boolean = |value: bool| Ok(Some(Out::owned(Value::Bool(value))));
        // Where the first argument is nothing, so is the answer, but for these.
        match (self, arguments.value(0)?) {
            (Self::Exists, value) => return boolean(value.is_some()),
            (Self::Append, None) => return Ok(arguments.value(1)?.cloned()),
            (Self::Count, None) => return Ok(Some(Out::owned(Value::from(0)))),
            (_, None) => return Ok(None),
            _ => {}
        }
        match self {
            Self::Abs => arguments.number(0).map(f64::abs).and_then(to_out),
            Self::Ceil => arguments.number(0).map(f64::ceil).and_then(to_out),
            Self::Floor => arguments.number(0).map(f64::floor).and_then(to_out),
            Self::Append => Ok(arguments.append()?),
            Self::Boolean => boolean(truth(arguments.required(0)?)),
            Self::Not => boolean(!truth(arguments.required(0)?)),
            Self::Assert if truth(arguments.required(0)?) => Ok(None),
            Self::Assert => Err(format!("D3141: {}", arguments.text(1)?)),
            Self::Exists => boolean(true),
            Self::Count => Ok(Some(Out::owned(Value::from(items(arguments.required(0)?).len())))),
            Self::Contains => boolean(arguments.contains()?),
            Self::Join => text(arguments.join()?),
            Self::Length => Ok(Some(Out::owned(Value::from(arguments.text(0)?.chars().count())))),
            Self::Lookup => Ok(lookup(arguments.required(0)?, arguments.text(1)?)),
            Self::Lowercase => text(arguments.text(0)?.to_lowercase()),
            Self::Uppercase => text(arguments.text(0)?.to_uppercase()),
            Self::Max => arguments.fold(f64::max),
            Self::Min => arguments.fold(f64::min),
            Self::Sum => to_out(arguments.numbers()?.into_iter().sum()),
            Self::Merge => arguments.merge(),
            Self::Parse => match serde_json::from_str(arguments.text(0)?) {
                Ok(document) => Ok(Some(Out::owned(document))),
                Err(error) => Err(format!("$parse: {error}")),
            },
            Self::Replace => match (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?) {
                (_, "", _) => Err("D3010: Second argument of replace function cannot be an empty string".to_owned()),
                (subject, pattern, replacement) => text(subject.replace(pattern, replacement)),
            },
            Self::String => text(to_text(arguments.required(0)?)?),
            Self::Substring => text(arguments.substring()?),
            Self::SubstringAfter => {
                let (subject, mark) = (arguments.text(0)?, arguments.text(1)?);
                text(subject.split_once(mark).map_or(subject, |(_, after)| after).to_owned())
            }
            Self::SubstringBefore => {
                let (subject, mark) = (arguments.text(0)?, arguments.text(1)?);
                text(subject.split_once(mark).map_or(subject, |(before, _)| before).to_owned())
            }
        }
    }
}

struct Arguments<'a, 'b> {
    function: Function,
    arguments: &'b [Argument<'a>],
}

impl<'a> Arguments<'a, '_> {
    fn value(&self, index: usize) -> Result<Option<&Out<'a>>, String> {
        match self.arguments.get(index) {
            None => Ok(None),
            Some(Argument::Value(value)) => Ok(value.as_ref()),
            Some(Argument::Regex(_)) => Err(self.invalid(index)),
        }
    }

    fn invalid(&self, index: usize) -> String {
        let name = self.function.name();
        format!("T0410: Argument {} of function \"{name}\" does not match function signature", index + 1)
    }

    fn required(&self, index: usize) -> Result<&Value, String> {
        self.value(index)?.map(Out::value).ok_or_else(|| self.invalid(index))
    }

    fn text(&self, index: usize) -> Result<&str, String> {
        self.required(index)?.as_str().ok_or_else(|| self.invalid(index))
    }

    fn number(&self, index: usize) -> Result<f64, String> {
        self.required(index)?.as_f64().ok_or_else(|| self.invalid(index))
    }

    fn numbers(&self) -> Result<Vec<f64>, String> {
        let name = self.function.name();
        let number = |item: &Value| {
            item.as_f64()
                .ok_or_else(|| format!("T0412: Argument 1 of function \"{name}\" must be an array of \"number\""))
        };
        items(self.required(0)?).iter().map(number).collect()
    }

    fn fold(&self, choose: fn(f64, f64) -> f64) -> Answer<'a> {
        self.numbers()?.into_iter().reduce(choose).map_or(Ok(None), to_out)
    }

    fn append(&self) -> Result<Option<Out<'a>>, String> {
        let Some(second) = self.value(1)? else { return Ok(self.value(0)?.cloned()) };
        let (first, second) = (items(self.required(0)?), items(second.value()));
        Ok(Some(Out::owned(first.iter().chain(second).cloned().collect())))
    }

    fn contains(&self) -> Result<bool, String> {
        let subject = self.text(0)?;
        match self.arguments.get(1) {
            Some(Argument::Regex(Regex(regex))) => Ok(regex.find(subject).is_some()),
            _ => Ok(subject.contains(self.text(1)?)),
        }
    }

    fn join(&self) -> Result<String, String> {
        let separator = if self.value(1)?.is_some() { self.text(1)? } else { "" };
        let texts: Option<Vec<&str>> = items(self.required(0)?).iter().map(Value::as_str).collect();
        let error = "T0412: Argument 1 of function \"join\" must be an array of \"string\"";
        texts.map(|texts| texts.join(separator)).ok_or_else(|| error.to_owned())
    }

    fn merge(&self) -> Answer<'a> {
        let mut merged = Map::new();
        for item in items(self.required(0)?) {
            let Value::Object(object) = item else {
                return Err("T0412: Argument 1 of function \"merge\" must be an array of \"object\"".to_owned());
            };
            merged.extend(object.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        Ok(Some(Out::owned(Value::Object(merged))))
    }

    fn substring(&self) -> Result<String, String> {
        let (subject, start) = (self.text(0)?, self.number(1)?.trunc());
        let length = if self.value(2)?.is_some() { self.number(2)?.max(0.0) } else { f64::INFINITY };
        #[expect(clippy::cast_precision_loss, reason = "no text is that long")]
        let characters = subject.chars().count() as f64;
        let start = if start < 0.0 { (characters + start).max(0.0) } else { start };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates, as is wanted")]
        let (skipped, taken) = (start as usize, length as usize);
        Ok(subject.chars().skip(skipped).take(taken).collect())
    }
}

fn to_out<'a>(number: f64) -> Answer<'a> {
    Ok(Some(Out::owned(number::to_json(number)?)))
}

/// An array's items, or the value as the only item.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        other => std::slice::from_ref(other),
    }
}

/// A field of an object, or of all objects of an array.
pub(super) fn lookup<'a>(value: &Value, name: &str) -> Option<Out<'a>> {
    match value {
        Value::Object(object) => object.get(name).cloned().map(Out::owned),
        Value::Array(values) => {
            let mut found = Vec::new();
            for value in values.iter().filter_map(|value| lookup(value, name)) {
                match value.value {
                    Cow::Owned(Value::Array(items)) => found.extend(items),
                    other => found.push(other.into_owned()),
                }
            }
            Out::sequence(found)
        }
        _ => None,
    }
}

/// A value as a text.
pub(super) fn to_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number::to_text(number.as_f64().unwrap_or(f64::NAN))),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(in_document).collect::<Result<_, _>>()?;
            Ok(format!("[{}]", items.join(",")))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                Ok(format!("{}:{}", Value::from(name.as_str()), in_document(value)?))
            };
            let fields: Vec<String> = fields.iter().map(field).collect::<Result<_, String>>()?;
            Ok(format!("{{{}}}", fields.join(",")))
        }
        other => Ok(other.to_string()),
    }
}

/// A value within an array or an object, where texts stand in quotes.
fn in_document(value: &Value) -> Result<String, String> {
    if value.is_string() { Ok(value.to_string()) } else { to_text(value) }
}
