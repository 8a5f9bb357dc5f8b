//! The command line of `cargo local`, read without a library: that would have to be compiled first.

use std::{path::PathBuf, str::FromStr};

/// The text of `cargo local --help`.
pub const HELP: &str = include_str!("help.txt");

const DEFAULT_FILE: &str = "events/requests/create.json";

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Show the help.
    Help,
    /// Start one execution and follow it.
    Run {
        /// The file with the execution's input.
        file: PathBuf,
        /// Where.
        local: Local,
    },
    /// Do many runs at once with faults of every kind.
    Chaos {
        /// Which.
        scope: Scope,
        /// Whether, in place of runs at random, there is one for a fault at every call and an abort at every state.
        everywhere: bool,
        /// Where.
        local: Local,
    },
    /// Simulate runs in virtual time with faults of every kind.
    Simulate {
        /// Which.
        scope: Scope,
        /// A field that their requests have.
        with: Option<String>,
    },
    /// Start the local AWS and stay.
    Up {
        /// Where.
        local: Local,
    },
    /// Start EC2 alone and stay.
    Ec2 {
        /// Where.
        local: Local,
        /// Whether MiniStack is started too.
        services: bool,
    },
    /// Record what the functions are sent and answer in this release.
    Record {
        /// Where.
        local: Local,
    },
    /// Draw the machines.
    Picture,
}

/// Which runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// How many.
    pub runs: u64,
    /// What everything random is made of.
    pub seed: u64,
    /// Only this one of them all.
    pub only: Option<u64>,
}

/// What can be chosen about the local AWS.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// How many times faster than real its time runs.
    pub speed: f64,
    /// The port for everything but EC2; 0 for a free one.
    pub port: u16,
    /// The port for EC2; 0 for a free one.
    pub ec2_port: u16,
    /// The URL at which the functions find EC2, if something stands between.
    pub ec2_through: Option<String>,
    /// Parameters of the template, as `Key=Value`.
    pub parameters: Vec<String>,
}

impl Command {
    /// Reads the words after `cargo local`.
    ///
    /// # Errors
    ///
    /// A sentence that names the word and says what it must be.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = Words(words.into_iter().collect());
        if words.0.iter().any(|word| word == "--help" || word == "-h") {
            return Ok(Self::Help);
        }
        let name = words.plain().unwrap_or_else(|| "run".to_owned());
        let command = match name.as_str() {
            "help" => return Ok(Self::Help),
            "run" => {
                let local = words.local()?;
                Self::Run { file: words.plain().unwrap_or_else(|| DEFAULT_FILE.to_owned()).into(), local }
            }
            "chaos" => {
                let everywhere = words.flag("--everywhere");
                Self::Chaos { scope: words.scope()?, everywhere, local: words.local()? }
            }
            "simulate" => Self::Simulate { scope: words.scope()?, with: words.values("--with")?.pop() },
            "up" => Self::Up { local: words.local()? },
            "ec2" => Self::Ec2 { services: words.flag("--services"), local: words.local()? },
            "record" => Self::Record { local: words.local()? },
            "picture" => Self::Picture,
            _ => {
                return Err(format!(
                    "{name}: must be run, up, chaos, simulate, ec2, record, picture or help; see cargo local --help"
                ));
            }
        };
        match words.0.first() {
            Some(word) => Err(format!("{word}: is not known to {name}; see cargo local --help")),
            None => Ok(command),
        }
    }

    /// What it is going to do, in a few words.
    pub fn purpose(&self) -> String {
        match self {
            Self::Help => "shows how it is used".to_owned(),
            Self::Run { file, .. } => format!("runs {} on a local AWS", file.display()),
            Self::Chaos { everywhere: true, .. } => {
                "puts a fault at every call and an abort at every state on a local AWS, and checks what is left"
                    .to_owned()
            }
            Self::Chaos { scope, .. } => {
                let runs = if scope.only.is_some() { 1 } else { scope.runs };
                format!("does {runs} runs with faults of every kind on a local AWS, and checks what they leave")
            }
            Self::Simulate { scope, .. } => {
                let runs = if scope.only.is_some() { 1 } else { scope.runs };
                format!("simulates {runs} runs with faults of every kind in virtual time, and checks what they leave")
            }
            Self::Up { .. } => "starts a local AWS that stays until Ctrl-C".to_owned(),
            Self::Ec2 { .. } => "starts EC2 alone, and stays until Ctrl-C".to_owned(),
            Self::Record { .. } => "records what the functions of this release are sent and answer".to_owned(),
            Self::Picture => "draws the state machines".to_owned(),
        }
    }
}

/// The words that were not read yet.
struct Words(Vec<String>);

impl Words {
    fn scope(&mut self) -> Result<Scope, String> {
        Ok(Scope {
            runs: self.number("--runs")?.unwrap_or(150),
            seed: self.number("--seed")?.unwrap_or(1),
            only: self.number("--only")?,
        })
    }

    /// The next word, unless it is an option.
    fn plain(&mut self) -> Option<String> {
        let is_plain = self.0.first().is_some_and(|word| !word.starts_with('-'));
        is_plain.then(|| self.0.remove(0))
    }

    /// All values of an option, which stand after it or after its equals sign.
    fn values(&mut self, option: &str) -> Result<Vec<String>, String> {
        let mut values = vec![];
        let is_it =
            |word: &String| word.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
        while let Some(position) = self.0.iter().position(is_it) {
            let word = self.0.remove(position);
            match word.split_once('=') {
                Some((_, value)) => values.push(value.to_owned()),
                None if position < self.0.len() => values.push(self.0.remove(position)),
                None => return Err(format!("{option}: must have a value; see cargo local --help")),
            }
        }
        Ok(values)
    }

    /// Whether an option without a value is given.
    fn flag(&mut self, option: &str) -> bool {
        let position = self.0.iter().position(|word| word == option);
        position.map(|position| self.0.remove(position)).is_some()
    }

    /// An option's last value.
    fn number<T: FromStr>(&mut self, option: &str) -> Result<Option<T>, String> {
        let Some(value) = self.values(option)?.pop() else { return Ok(None) };
        value.parse().map(Some).map_err(|_| format!("{option}: must be a number in its range; {value} is not"))
    }

    fn local(&mut self) -> Result<Local, String> {
        let speed = self.number("--speed")?.unwrap_or(60.0);
        if !(1.0..=1000.0).contains(&speed) {
            return Err(format!("--speed: must be from 1 to 1000; {speed} is not"));
        }
        let (port, ec2_port) = (self.number("--port")?.unwrap_or(0), self.number("--ec2-port")?.unwrap_or(0));
        let ec2_through = self.values("--ec2-through")?.pop();
        let parameters = self.values("--parameter")?;
        match parameters.iter().find(|parameter| !parameter.contains('=')) {
            Some(wrong) => Err(format!("--parameter: must be KEY=VALUE; {wrong} is not")),
            None => Ok(Local { speed, port, ec2_port, ec2_through, parameters }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    fn local() -> Local {
        Local { speed: 60.0, port: 0, ec2_port: 0, ec2_through: None, parameters: vec![] }
    }

    #[test]
    fn without_a_word_the_default_request_is_run() {
        assert_eq!(parse(""), Ok(Command::Run { file: DEFAULT_FILE.into(), local: local() }));
        assert_eq!(parse("run"), parse(""));
    }

    #[test]
    fn options_stand_anywhere_and_the_last_one_counts() {
        let parameters = vec!["A=1".into(), "B=x=y".into()];
        let expected = Local { speed: 10.0, port: 1, ec2_port: 2, ec2_through: None, parameters };
        let expected = Ok(Command::Run { file: "a.json".into(), local: expected });
        let options = "--speed 5 --speed=10 --port 1 --ec2-port=2 --parameter A=1 --parameter=B=x=y";
        assert_eq!(parse(&format!("run a.json {options}")), expected);
        assert_eq!(parse(&format!("run {options} a.json")), expected);
        let file = DEFAULT_FILE.into();
        assert_eq!(parse("--speed 7"), Ok(Command::Run { file, local: Local { speed: 7.0, ..local() } }));
        let scope = Scope { runs: 150, seed: 7, only: Some(42) };
        assert_eq!(parse("chaos --seed 7 --only 42"), Ok(Command::Chaos { scope, everywhere: false, local: local() }));
    }

    #[test]
    fn a_wrong_word_is_refused_by_its_name() {
        for (line, start) in [
            ("walk", "walk: must be run, up"),
            ("a.json", "a.json: must be run, up"),
            ("run a.json b.json", "b.json: is not known to run"),
            ("run --fast", "--fast: is not known to run"),
            ("picture --speed 3", "--speed: is not known to picture"),
            ("run --speed", "--speed: must have a value"),
            ("run --speed 0", "--speed: must be from 1 to 1000"),
            ("run --speed NaN", "--speed: must be from 1 to 1000"),
            ("up --port 70000", "--port: must be a number in its range"),
            ("chaos --runs many", "--runs: must be a number in its range"),
            ("run --parameter A", "--parameter: must be KEY=VALUE"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.starts_with(start), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_has_every_command_with_examples_that_work() {
        let examples: Vec<_> = HELP.lines().filter_map(|line| line.trim().strip_prefix("cargo local")).collect();
        for command in ["", "run", "up", "chaos", "ec2", "record", "picture", "--help"] {
            assert!(examples.iter().any(|example| example.split(' ').any(|word| word == command)), "{command}");
        }
        for example in examples {
            let words = example.split('|').next().unwrap_or_default();
            assert!(parse(words).is_ok(), "{example}");
        }
    }

    #[test]
    fn every_option_in_the_help_is_known() {
        let options: Vec<_> = HELP.lines().filter(|line| line.starts_with("  --")).collect();
        assert_eq!(options.len(), 10);
        for line in options {
            let option = line.split_whitespace().next().unwrap_or_default();
            let value = match option {
                "--parameter" => "A=1",
                "--everywhere" => "",
                _ => "2",
            };
            let command = if option == "--with" { "simulate" } else { "chaos" };
            assert!(parse(&format!("{command} {option} {value}")).is_ok(), "{line}");
        }
    }
}
