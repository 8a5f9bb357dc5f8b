//! What became of many runs, in tables.

use std::{collections::BTreeMap, fmt};

use permissions::Lines;

use crate::{
    check::INVARIANTS,
    coverage::Coverage,
    run::{Finished, run},
    shrink::shrink,
};

/// How many violations are shown in full.
const SHOWN: usize = 3;

/// Counts of what happened.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    runs: u64,
    outcomes: BTreeMap<(String, String), u64>,
    /// Planned and struck.
    faults: BTreeMap<String, (u64, u64)>,
    coverage: Coverage,
    calls: Lines,
    /// By the runs' numbers.
    failed: BTreeMap<u64, Finished>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            runs: 0,
            outcomes: BTreeMap::new(),
            faults: BTreeMap::new(),
            coverage: Coverage::default(),
            calls: Lines::default(),
            failed: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, mut finished: Finished) {
        self.runs += 1;
        self.coverage.add(std::mem::take(&mut finished.coverage));
        self.calls.append(std::mem::take(&mut finished.calls));
        let operation = format!("{:?}", finished.plan.operation);
        *self.outcomes.entry((operation, finished.outcome.clone())).or_default() += 1;
        for fault in &finished.plan.faults {
            self.faults.entry(fault.kind()).or_default().0 += 1;
        }
        for kind in &finished.struck {
            self.faults.entry(kind.clone()).or_default().1 += 1;
        }
        if !finished.violations.is_empty() {
            self.failed.insert(finished.plan.number, finished);
        }
    }

    /// What the functions have called, as IAM judges it.
    #[must_use]
    pub fn calls(&self) -> &Lines {
        &self.calls
    }

    /// How many runs violated an invariant.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.failed.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} runs of seed {}\n\n{:>8}  operation        outcome", self.runs, self.seed, "runs")?;
        for ((operation, outcome), runs) in &self.outcomes {
            writeln!(f, "{runs:>8}  {operation:<16} {outcome}")?;
        }
        writeln!(f, "\n{:>8} {:>8}  fault", "planned", "struck")?;
        for (kind, (planned, struck)) in &self.faults {
            writeln!(f, "{planned:>8} {struck:>8}  {kind}")?;
        }
        write!(f, "\n{}", self.coverage)?;
        writeln!(f, "\n{:>8}  invariant", "violated")?;
        for (number, name) in INVARIANTS.iter().enumerate() {
            let violated = |finished: &&Finished| finished.violations.iter().any(|one| one.invariant == number);
            writeln!(f, "{:>8}  {name}", self.failed.values().filter(violated).count())?;
        }
        if self.failed.len() > SHOWN {
            let numbers: Vec<_> = self.failed.keys().skip(SHOWN).take(50).map(u64::to_string).collect();
            writeln!(f, "\nmore runs that violate an invariant: {}", numbers.join(" "))?;
        }
        self.failed.values().take(SHOWN).try_for_each(|finished| {
            let smallest = shrink(finished);
            writeln!(f, "\n--seed {} --only {}, with no more than these faults:", self.seed, finished.plan.number)?;
            write!(f, "{}", Told(&run(&smallest.plan, true)))
        })
    }
}

/// A run, told in full.
#[derive(Debug)]
pub struct Told<'a>(pub &'a Finished);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finished = self.0;
        finished.plan.faults.iter().try_for_each(|fault| writeln!(f, "  {fault:?}"))?;
        writeln!(f, "{:?}: {}", finished.plan.operation, finished.outcome)?;
        for violation in &finished.violations {
            writeln!(f, "VIOLATED: {}\n  {}", INVARIANTS[violation.invariant], violation.seen)?;
        }
        f.write_str(finished.trace.as_deref().unwrap_or_default())
    }
}
