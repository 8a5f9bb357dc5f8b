//! Real answers, written down so that the models can be held to them: without accounts, ids, names and times.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{aws::Exchange, world::PREFIX};

/// What a probe was answered, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// The probe.
    pub probe: String,
    /// Where it comes from: `AWS`, or `local`.
    pub origin: String,
    /// The day, in UTC.
    pub day: String,
    /// The Region.
    pub region: String,
    /// Whether what is assumed holds; none if the answer did not tell.
    pub holds: Option<bool>,
    /// The requests and their answers, in their order; a repeated look whose answer is the same comes once.
    pub exchanges: Vec<Recorded>,
}

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The action.
    pub action: String,
    /// Milliseconds since the first answer; they are not compared.
    pub millis: u64,
    /// What was sent.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// What came back.
    pub answer: String,
}

impl Recording {
    /// Of some exchanges, with where and when they were. `secrets` are texts with what stands for them.
    pub fn new(
        probe: &str,
        (origin, region, day): (&str, &str, &str),
        holds: Option<bool>,
        exchanges: &[Exchange],
        secrets: &[(&str, &str)],
    ) -> Self {
        let mut names = Names::default();
        let first = exchanges.first().map_or(0, |one| one.millis);
        let mut recorded: Vec<Recorded> = vec![];
        for one in exchanges {
            let mut of = |text: &str| {
                // An encoded text would hide its words.
                let text = decoded(text);
                let text = secrets.iter().fold(text, |text, (secret, instead)| text.replace(secret, instead));
                names.replaced(&text)
            };
            let (request, answer) = (of(&one.request), of(&one.answer));
            let millis = one.millis.saturating_sub(first);
            let one = Recorded { action: one.action.clone(), millis, request, status: one.status, answer };
            let is_repeated = |last: &Recorded| {
                (&last.action, &last.request, last.status, &last.answer)
                    == (&one.action, &one.request, one.status, &one.answer)
            };
            if !recorded.last().is_some_and(is_repeated) {
                recorded.push(one);
            }
        }
        Self {
            probe: probe.to_owned(),
            origin: origin.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            holds,
            exchanges: recorded,
        }
    }

    /// Writes it into a folder, in a file of the probe's name.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let file = folder.join(self.probe.replace('/', "-")).with_extension("json");
        Ok(fs::write(file, format!("{}\n", serde_json::to_string_pretty(self)?))?)
    }

    /// Reads all of a folder, which need not be there.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>> {
        let mut files: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        files.iter().map(|file| Ok(serde_json::from_str(&fs::read_to_string(file)?)?)).collect()
    }

    /// In what this differs from a recording of the real thing. For each action, and for each resource that it asks for,
    /// these must be the same: status, code and fields of the answers, and the order of the states that they show. How
    /// often somebody looked does not matter, nor that one has missed what the other has seen pass. A recording that does
    /// not tell whether the assumption holds is compared with nothing.
    pub fn differences(&self, real: &Self) -> Vec<String> {
        if self.holds.is_none() || real.holds.is_none() {
            return vec![];
        }
        let (ours, theirs) = (self.courses(), real.courses());
        let mut differences = vec![];
        for question in ours.keys().chain(theirs.keys().filter(|question| !ours.contains_key(*question))) {
            let none = vec![];
            let (ours, theirs) = (ours.get(question).unwrap_or(&none), theirs.get(question).unwrap_or(&none));
            let [seen, real] = [(ours, theirs), (theirs, ours)].map(|(one, other)| seen_by_both(one, other));
            let states = |shapes: &[Shape]| shapes.iter().map(|shape| shape.states.clone()).collect::<BTreeSet<_>>();
            let seen_states: BTreeSet<_> = seen.iter().map(|shape| shape.states.clone()).collect();
            // A state that both have seen looks at least once the same.
            let (of_ours, of_theirs) = (states(ours), states(theirs));
            let mut of_both = of_ours.intersection(&of_theirs).filter(|state| !state.is_empty());
            if seen != real || !of_both.all(|state| seen_states.contains(state)) {
                differences.push(format!("{}: {question}: {seen:?} is not {real:?}", self.probe));
            }
        }
        differences
    }

    /// What each question was answered, one after the other.
    fn courses(&self) -> BTreeMap<String, Vec<Shape>> {
        let mut courses: BTreeMap<String, Vec<Shape>> = BTreeMap::new();
        // The call was sent again after these.
        let answered =
            self.exchanges.iter().filter(|one| one.status < 500 && !one.answer.contains("RequestLimitExceeded"));
        for exchange in answered {
            courses.entry(exchange.question()).or_default().push(exchange.shape());
        }
        courses.values_mut().for_each(Vec::dedup);
        courses
    }
}

/// One's answers but those that pass and that the other has not seen.
fn seen_by_both<'a>(one: &'a [Shape], other: &[Shape]) -> Vec<&'a Shape> {
    let is_seen = |(at, shape): &(usize, &Shape)| at + 1 == one.len() || other.contains(shape);
    let mut seen: Vec<_> = one.iter().enumerate().filter(is_seen).map(|(_, shape)| shape).collect();
    seen.dedup();
    seen
}

/// What two answers must have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shape {
    status: u16,
    code: String,
    /// Of what it shows, such as `pending`.
    states: Vec<String>,
    fields: Vec<String>,
}

/// What has a state in it: an image, a snapshot, an execution.
const STATES: [(&str, &str); 3] =
    [("<imageState>", "</imageState>"), ("<status>", "</status>"), ("\"status\":\"", "\"")];

impl Recorded {
    /// The action, and the resources that it names.
    fn question(&self) -> String {
        let words = self.request.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
        let is_resource = |word: &&str| {
            let number = word.rsplit_once('-').filter(|(kind, _)| KINDS.contains(kind)).map(|(_, number)| number);
            number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let named = words.filter(is_resource).map(|word| format!(" {word}"));
        format!("{}{}", self.action, named.collect::<String>())
    }

    fn shape(&self) -> Shape {
        // An element of XML or a field of JSON.
        let mut fields: Vec<_> =
            self.answer.split('<').skip(1).filter_map(|part| part.split(['>', ' ', '/']).next()).collect();
        if self.answer.trim_start().starts_with('{') {
            fields = self.answer.split('"').skip(1).step_by(2).collect();
            fields.retain(|name| self.answer.contains(&format!("\"{name}\":")));
        }
        let mut fields: Vec<_> =
            fields.into_iter().filter(|name| !name.is_empty() && !name.starts_with('?')).map(str::to_owned).collect();
        fields.sort();
        fields.dedup();
        let code = between(&self.answer, "<Code>", "</Code>").or_else(|| between(&self.answer, "\"__type\":\"", "\""));
        let code = code.unwrap_or_default().to_owned();
        let shown = STATES.iter().flat_map(|(start, end)| {
            self.answer
                .split(start)
                .skip(1)
                .filter_map(move |rest| rest.split_once(end))
                .map(|(state, _)| state.to_owned())
        });
        let mut states: Vec<_> = shown.collect();
        states.sort();
        states.dedup();
        Shape { status: self.status, code, states, fields }
    }
}

/// A text with its characters in place of such as `%20`. What is not encoded so stays as it is.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code =
            part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|code| (b' '..0x7f).contains(code));
        match code {
            Some(code) => {
                decoded.push(char::from(code));
                decoded.push_str(&part[2..]);
            }
            None => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    decoded
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(end)?.0)
}

/// What ids and names stand for: the first image is `ami-1` wherever it comes.
#[derive(Debug, Default)]
struct Names(BTreeMap<String, String>);

/// The kinds of ids, and what is no id but differs from run to run.
const KINDS: [&str; 10] = ["ami", "snap", "vol", "vol-ffffffff", "i", "r", "eni", "subnet", "sg", "vpc"];

impl Names {
    fn replaced(&mut self, text: &str) -> String {
        let mut replaced = String::new();
        let mut word = String::new();
        for character in text.chars().chain(['\n']) {
            if character.is_ascii_alphanumeric() || "-:.".contains(character) {
                word.push(character);
                continue;
            }
            replaced += &self.word(&word);
            word.clear();
            replaced.push(character);
        }
        replaced.pop();
        replaced
    }

    fn word(&mut self, word: &str) -> String {
        if let Some(rest) = word.strip_prefix(PREFIX) {
            let rest = rest.split_once('-').map_or("", |(_, rest)| rest);
            return format!("{PREFIX}NAME-{rest}");
        }
        let is_time =
            word.len() >= 19 && word.as_bytes().get(4) == Some(&b'-') && word.as_bytes().get(10) == Some(&b'T');
        if is_time {
            return "TIME".to_owned();
        }
        if is_uuid(word) {
            return "UUID".to_owned();
        }
        if word.contains(':') || word.contains('.') {
            let separator = if word.contains(':') { ':' } else { '.' };
            let parts: Vec<_> = word.split(separator).map(|part| self.word(part)).collect();
            return parts.join(&separator.to_string());
        }
        if word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            return "111122223333".to_owned();
        }
        let kind = KINDS.into_iter().find(|kind| word.strip_prefix(kind).is_some_and(is_id));
        let Some(kind) = kind else { return word.to_owned() };
        let number = self.0.values().filter(|name| name.starts_with(&format!("{kind}-"))).count() + 1;
        self.0.entry(word.to_owned()).or_insert_with(|| format!("{kind}-{number}")).clone()
    }
}

fn is_id(rest: &str) -> bool {
    let rest = rest.strip_prefix('-').unwrap_or_default();
    (rest.len() == 17 || rest.len() == 8) && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && word.matches('-').count() == 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(request: &str, answer: &str) -> Exchange {
        let (request, answer) = (request.to_owned(), answer.to_owned());
        Exchange { service: "ec2", action: "DescribeImages".into(), millis: 0, request, status: 200, answer }
    }

    #[test]
    fn accounts_ids_names_and_times_are_replaced() {
        let request = "ImageId.1=ami-0123456789abcdef0&Name=cargo-verify-a1b2c3d4-probe";
        let request =
            format!("{request}&Value=Created%20by%20CreateImage%28%2A%29%20for%20ami-0123456789abcdef0%2A&x=5%");
        let answer = "<R><requestId>f8db8f4e-26c5-4ab2-8df2-b0b5a1b1f7b4</requestId><a>ami-0123456789abcdef0</a>\
                      <b>arn:aws:states:x:444455556666:y</b><c>2026-11-28T10:00:00.000Z</c><d>ami-0123456789abcdef1</d></R>";
        let exchanges = [exchange(&request, answer), exchange(&request, answer)];
        let recording = Recording::new("p", ("local", "us-east-1", "2026-11-28"), Some(true), &exchanges, &[]);
        assert_eq!(recording.exchanges.len(), 1);
        let Recorded { request, answer, .. } = &recording.exchanges[0];
        assert_eq!(
            request,
            "ImageId.1=ami-1&Name=cargo-verify-NAME-probe&Value=Created by CreateImage(*) for ami-1*&x=5%"
        );
        assert_eq!(
            answer,
            "<R><requestId>UUID</requestId><a>ami-1</a><b>arn:aws:states:x:111122223333:y</b><c>TIME</c><d>ami-2</d></R>"
        );
    }

    #[test]
    fn the_stack_s_name_and_the_account_are_replaced_where_they_are_parts_of_words_too() {
        let request =
            "Value.1=arn%3Aaws%3Astates%3Ax%3A444455556666%3Aexecution%3Aweb-lifecycle%3Aa&Tag=web%2Fabcd1234";
        let exchanges =
            [exchange(request, r#"{"a":"web-WakeFunction-1"}"#), Exchange { millis: 1500, ..exchange(request, "{}") }];
        let about = ("AWS", "x", "2026-11-28");
        let secrets = [("web/abcd1234", "STACK/ID"), ("web-", "STACK-"), ("444455556666", "111122223333")];
        let recording = Recording::new("p", about, None, &exchanges, &secrets);
        let recorded = &recording.exchanges;
        let request = "Value.1=arn:aws:states:x:111122223333:execution:STACK-lifecycle:a&Tag=STACK/ID";
        assert_eq!(
            (recorded[0].request.as_str(), recorded[0].answer.as_str()),
            (request, r#"{"a":"STACK-WakeFunction-1"}"#)
        );
        assert_eq!((recorded[0].millis, recorded[1].millis), (0, 1500));
    }

    #[test]
    fn an_answer_of_another_code_or_with_other_fields_is_a_difference() {
        let record = |answer: &str, status| {
            let exchanges = [Exchange { status, ..exchange("", answer) }];
            Recording::new("p", ("AWS", "us-east-1", "2026-11-28"), Some(true), &exchanges, &[])
        };
        let real = record("<R><Code>A</Code><x>1</x></R>", 400);
        assert!(record("<R><Code>A</Code><x>2</x></R>", 400).differences(&real).is_empty());
        for (other, status) in [
            ("<R><Code>B</Code><x>1</x></R>", 400),
            ("<R><Code>A</Code></R>", 400),
            ("<R><Code>A</Code><x>1</x></R>", 500),
        ] {
            assert_eq!(record(other, status).differences(&real).len(), 1, "{other}");
        }
        let json = |text: &str| record(text, 400);
        assert!(json(r#"{"a":"b","n":1}"#).differences(&json(r#"{"a":"c","n":2}"#)).is_empty());
        assert_eq!(json(r#"{"a":"b"}"#).differences(&json(r#"{"b":"a"}"#)).len(), 1);
    }

    #[test]
    fn states_in_another_order_or_with_another_end_are_a_difference() {
        let record = |courses: &[&[&str]]| {
            let answer = |state: &str| format!("<R><status>{state}</status></R>");
            let of_one = |(number, course): (usize, &&[&str])| {
                let request = format!("SnapshotId.1=snap-{}", number + 1);
                course.iter().map(|state| exchange(&request, &answer(state))).collect::<Vec<_>>()
            };
            let exchanges: Vec<_> = courses.iter().enumerate().flat_map(of_one).collect();
            Recording::new("p", ("AWS", "us-east-1", "2026-11-28"), Some(true), &exchanges, &[])
        };
        let whole = ["pending", "recovering", "completed"];
        let real = record(&[&whole, &whole]);
        for same in [&whole[..], &["pending", "pending", "completed"], &["completed"], &["recovering", "completed"]] {
            assert!(record(&[same, &whole]).differences(&real).is_empty(), "{same:?}");
            assert!(real.differences(&record(&[same, &whole])).is_empty(), "{same:?}");
        }
        for other in [&["pending", "error"][..], &["recovering", "pending", "completed"], &["pending"], &[]] {
            assert_eq!(record(&[other, &whole]).differences(&real).len(), 1, "{other:?}");
        }
    }
}
