//! The quotas of Step Functions that a run can meet.

use std::io::{self, Write};

use serde_json::Value;

/// Events of an execution's history, the last included.
pub const HISTORY_EVENTS: usize = 25_000;

/// Bytes of a state's input, output, arguments or result, written as JSON in UTF-8.
pub const PAYLOAD_BYTES: usize = 262_144;

/// Characters of a cause. What is longer is cut off.
pub const CAUSE_CHARACTERS: usize = 32_768;

/// Characters of an error's name. What is longer is cut off.
pub(crate) const ERROR_CHARACTERS: usize = 256;

/// Characters of the name of an execution, a state or a variable.
pub(crate) const NAME_CHARACTERS: usize = 80;

/// How long the name of an execution that has ended stays taken, and the execution known: 90 days.
pub const NAME_KEPT_MILLIS: i64 = 90 * 24 * 3600 * 1000;

/// How long an execution can be redriven after its end: 14 days.
pub(crate) const REDRIVABLE_MILLIS: i64 = 14 * 24 * 3600 * 1000;

/// Seconds of a Wait, a timeout or a delay before a retry.
pub(crate) const SECONDS: u64 = 99_999_999;

/// The most that one page of a list or a history has.
pub(crate) const PAGE: usize = 1000;

/// What a page has if the caller does not say.
pub(crate) const DEFAULT_PAGE: usize = 100;

/// Whether a document is too large for a state.
pub(crate) fn too_large(document: &Value) -> bool {
    let mut room = Room(PAYLOAD_BYTES);
    serde_json::to_writer(&mut room, document).is_err()
}

/// So many bytes may be written into it.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first characters of a text.
pub(crate) fn cut(text: String, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// Whether Step Functions takes an execution's name: 1 to 80 characters, without blanks, brackets,
/// wildcards, the characters `" # % \ ^ | ~ ` $ & , ; : /` and control characters.
pub(crate) fn is_execution_name(name: &str) -> bool {
    let refused = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c)
            || ('\u{fffe}'..='\u{ffff}').contains(&c)
    };
    !name.is_empty() && name.chars().count() <= NAME_CHARACTERS && !name.contains(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_262_144_bytes_at_the_most() {
        for (characters, is_too_large) in [(PAYLOAD_BYTES - 2, false), (PAYLOAD_BYTES - 1, true)] {
            assert_eq!(too_large(&"a".repeat(characters).into()), is_too_large);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aéz".to_owned(), 2), "aé");
        assert_eq!(cut("aéz".to_owned(), 3), "aéz");
    }

    #[test]
    fn a_name_has_1_to_80_characters_of_the_allowed_set() {
        for name in ["a", "run-1_x.y@z+(1)='!'", &"a".repeat(80)] {
            assert!(is_execution_name(name), "{name}");
        }
        for name in ["", &"a".repeat(81), "a b", "a:b", "a/b", "a\u{7f}", "a*", "a\nb", "a{b"] {
            assert!(!is_execution_name(name), "{name}");
        }
    }
}
