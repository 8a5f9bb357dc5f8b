//! Any input of a run: it is read without a panic, and what is wrong is told by its field.

#![no_main]

use ami_from_instance::{
    error::Error,
    plan::request::{Action, Create, Request},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// 2026-11-23, in seconds since 1970.
const NOW: i64 = 1_795_392_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = serde_json::from_slice::<Value>(bytes) else { return };
    match Request::parse(&input, NOW) {
        Ok(request) => {
            if let Action::Create(create) | Action::Replace(create, _) = &request.action {
                check(create);
            }
        }
        Err(Error::InvalidRequest { field, problem }) => assert!(!field.is_empty() && !problem.is_empty()),
        Err(error) => panic!("{error:?}"),
    }
});

fn check(create: &Create) {
    let length = create.name.chars().count();
    assert!((3..=128).contains(&length), "{length} characters in a name");
    assert!(create.source_instance_id.as_str().starts_with("i-"));
    assert!(create.description.is_ascii() && create.description.len() <= 255);
    assert!(create.tags.keys().all(|key| !key.to_lowercase().starts_with("aws:")));
}
