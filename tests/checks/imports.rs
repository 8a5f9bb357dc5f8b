//! The modules of a crate lie in layers: none imports one that imports it, directly or by way of others.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use local_aws::prepare::root;

const CRATES: [&str; 7] = [
    "functions/src",
    "tests/local-aws/src",
    "tests/local-ec2/src",
    "tests/local-step-functions/src",
    "tests/performance/src",
    "tests/simulation/src",
    "tests/verify/src",
];

/// The root of a crate, beside its modules: who imports from it depends on all of them.
const ROOT: &str = "lib";

/// For each module, those it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn files(folder: &Path) -> Vec<PathBuf> {
    let (folders, files): (Vec<_>, Vec<_>) =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

/// The sources of a crate's library: each file's module, such as `images/create`, with its text.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let module = |file: &Path| file.strip_prefix(folder).unwrap().with_extension("").display().to_string();
    let sources = files(folder).into_iter().map(|file| (module(&file), fs::read_to_string(file).unwrap()));
    sources.filter(|(module, _)| !module.starts_with("bin/")).collect()
}

/// The imports among the modules at the top of a crate; what is below one counts as its own.
fn imports(sources: &[(String, String)]) -> Imports {
    let top = |module: &str| module.split('/').next().unwrap_or_default().to_owned();
    let modules: BTreeSet<_> = sources.iter().map(|(module, _)| top(module)).collect();
    let mut imports = Imports::from([(ROOT.to_owned(), &modules - &BTreeSet::from([ROOT.to_owned()]))]);
    for (module, text) in sources.iter().filter(|(module, _)| module != ROOT) {
        let code: String = text.lines().filter_map(|line| line.split("//").next()).collect();
        let from_root = paths(&code, "crate::").into_iter();
        let from_root = from_root.map(|name| if modules.contains(&name) { name } else { ROOT.to_owned() });
        let up = "super::".repeat(module.split('/').count());
        // What is not a module is a parent's of a module in the file itself.
        let from_above = paths(&code, &up).into_iter().filter(|name| modules.contains(name));
        let found: BTreeSet<_> = from_root.chain(from_above).filter(|name| *name != top(module)).collect();
        imports.entry(top(module)).or_default().extend(found);
    }
    imports
}

/// The first names after a prefix: `a` of `a::b`, `a` and `d` of `{a::{b, c}, d}`.
fn paths(code: &str, prefix: &str) -> Vec<String> {
    let name =
        |path: &str| path.trim().split(|end: char| !end.is_alphanumeric() && end != '_').next().map(str::to_owned);
    let names = code.split(prefix).skip(1).flat_map(|path| {
        let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
        let mut open = 1;
        let mut is_over = |character| {
            open += i32::from(character == '{') - i32::from(character == '}');
            open == 0
        };
        let group = &group[..group.find(&mut is_over).unwrap_or(group.len())];
        let mut open = 0;
        let parts = group.split(|character| {
            open += i32::from(character == '{') - i32::from(character == '}');
            open == 0 && character == ','
        });
        parts.map(name).collect()
    });
    names.flatten().filter(|name| !name.is_empty()).collect()
}

/// What is left when nothing can be taken away that imports nothing of the rest: the circles, and what
/// imports them.
fn circles(mut imports: Imports) -> Imports {
    while let Some(module) = imports.iter().find(|(_, imported)| imported.is_empty()).map(|(module, _)| module.clone())
    {
        imports.remove(&module);
        for imported in imports.values_mut() {
            imported.remove(&module);
        }
    }
    imports
}

#[test]
fn no_modules_import_one_another_in_a_circle() {
    for name in CRATES {
        let imports = imports(&sources(&root().join(name)));
        assert!(imports.len() > 2, "{name}: {imports:#?}");
        let circles = circles(imports);
        assert!(circles.is_empty(), "{name}: {circles:#?}");
    }
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let circle = |a: &str, b: &str, c: &str| {
        let sources = [("lib", ""), ("a", a), ("b/below", b), ("c", c)].map(|(name, text)| (name.into(), text.into()));
        circles(imports(&sources)).into_keys().collect::<Vec<_>>()
    };
    assert!(circle("use crate::{b::{self, X}, c};", "use crate::c::Y;", "").is_empty());
    assert!(circle("use crate::b;", "use super::a;", "// use crate::a").is_empty());
    assert_eq!(
        circle("use crate::{d::{c, b}, b::X};", "use crate::c::Y;", "fn f() { crate::a::f() }"),
        ["a", "b", "c", "lib"]
    );
    assert_eq!(circle("use super::b;", "use super::super::a;", ""), ["a", "b", "lib"]);
    assert_eq!(circle("use crate::Item;", "", ""), ["a", "lib"]);
}
