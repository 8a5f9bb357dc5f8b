//! The command line of `cargo verify`.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

/// Proves a deployment of ami-from-instance in an AWS account, and leaves nothing behind.
///
/// It takes the AWS SDK's default credential chain. The exit status is 0 only if every check has passed.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo verify", bin_name = "cargo verify", max_term_width = 110)]
pub struct Command {
    /// The stack's name
    #[arg(long, value_name = "NAME", required_unless_present = "assumptions")]
    stack: Option<String>,
    /// The account's 12 digits; it refuses if the credentials are of another one
    #[arg(long, value_name = "ID", value_parser = account, required_unless_present = "assumptions")]
    account: Option<String>,
    /// The stack's Region, if it is not the credentials' own
    #[arg(long)]
    pub region: Option<String>,
    /// How deep; each depth has those before it
    #[arg(long, value_enum, default_value_t = Depth::Look)]
    pub depth: Depth,
    /// A subnet for the instance, if the default one is not to be used
    #[arg(long, value_name = "ID")]
    pub subnet: Option<String>,
    /// Finds what an earlier proof of this stack has left, by its tag, and removes it; proves nothing
    #[arg(long, conflicts_with = "depth")]
    pub clean: bool,
    /// Prints what is taken for granted about AWS and what of it was seen there, as Markdown; does nothing else
    #[arg(long)]
    pub assumptions: bool,
    /// Does not ask whether to go on
    #[arg(long)]
    pub yes: bool,
    /// Where report.json and report.md are written
    #[arg(long, value_name = "FOLDER", default_value = "target/verify")]
    pub report: PathBuf,
    /// How many times faster than real the account's time runs: for the local AWS
    #[arg(long, value_name = "N", default_value_t = 1.0, hide = true)]
    pub speed: f64,
}

impl Command {
    /// The stack's name.
    pub fn stack(&self) -> &str {
        self.stack.as_deref().unwrap_or_default()
    }

    /// The account's id.
    pub fn account(&self) -> &str {
        self.account.as_deref().unwrap_or_default()
    }
}

fn account(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_account { Ok(text.to_owned()) } else { Err("must be 12 digits".to_owned()) }
}

/// How deep a proof goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Depth {
    /// Looks at the stack and the account, and makes nothing
    Look,
    /// Makes an image of an empty snapshot, without an instance
    Image,
    /// Makes an instance of its own and images of it
    Instance,
}

impl Depth {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Image => "image",
            Self::Instance => "instance",
        }
    }

    /// What it does.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Look => "reads the stack, its roles and the account's settings, with dry runs; makes nothing",
            Self::Image => "makes images of an empty snapshot, and changes, deletes and sweeps them",
            Self::Instance => "runs one t4g.nano or t3.nano of its own, and makes, changes and deletes images of it",
        }
    }

    /// What it costs at most in US dollars, by the list prices of us-east-1. Not measured on AWS yet.
    pub fn costs(self) -> f64 {
        match self {
            Self::Look => 0.01,
            Self::Image => 0.01,
            Self::Instance => 0.1,
        }
    }

    /// How long it takes. Not measured on AWS yet.
    pub fn takes(self) -> Duration {
        let minutes = match self {
            Self::Look => 2,
            Self::Image => 5,
            Self::Instance => 70,
        };
        Duration::from_secs(60 * minutes)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed_and_refuses_a_wrong_account() {
        Command::command().debug_assert();
        let parse = |account: &str| Command::try_parse_from(["x", "--stack", "s", "--account", account]);
        assert!(parse("111122223333").is_ok_and(|command| command.depth == Depth::Look));
        for wrong in ["", "11112222333", "1111-2222-33"] {
            assert!(parse(wrong).is_err_and(|error| error.to_string().contains("12 digits")), "{wrong}");
        }
    }
}
