//! A sample of simulated runs, and the same runs twice. `.ci/run` simulates twenty times as many.

use simulation::{
    Plan, Told, campaign,
    faults::{Deed, Fault, Moment},
    run,
};

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in 0..200 {
        let [first, second] = [(), ()].map(|()| run(&Plan::new(seed, 1), true));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert!(first.trace.is_some_and(|trace| trace.lines().count() > 10), "seed {seed}");
    }
}

#[test]
fn a_sample_of_runs_keeps_every_invariant() {
    let report = campaign::simulate(13, 1_000, None, &|_| {}).unwrap();
    println!("{report}");
    assert_eq!(report.failures(), 0, "{report}");
}

#[test]
fn runs_with_a_field_in_their_request_are_drawn_and_a_field_of_none_is_refused() {
    let report = campaign::simulate(13, 20, Some("retain"), &|_| {}).unwrap().to_string();
    assert!(report.starts_with("20 runs of seed 13") && !report.contains("  Delete  "), "{report}");
    let refused = campaign::simulate(13, 20, Some("retian"), &|_| {}).err();
    assert_eq!(refused.as_deref(), Some("--with: no run's request has the field retian"));
}

#[test]
fn a_run_without_faults_succeeds_or_reaches_its_timeout() {
    let mut succeeded = 0;
    for number in 0..40 {
        let finished = run(&Plan::new(7, number).with_faults(vec![]), true);
        assert!(finished.violations.is_empty(), "{}", Told(&finished));
        match finished.outcome.as_str() {
            "SUCCEEDED" => succeeded += 1,
            outcome => assert_eq!(outcome, "FAILED TimedOut", "{}", Told(&finished)),
        }
    }
    assert!(succeeded >= 30, "{succeeded}");
}

#[test]
fn an_aborted_run_that_is_redriven_fails_and_leaves_nothing_but_what_its_plan_keeps() {
    // Every second run is aborted just after an operation has succeeded, and every second one replaces an image.
    let plans = (0..600).map(|number| Plan::new(29, number));
    let (replaces, others): (Vec<_>, Vec<_>) = plans.partition(|plan| plan.operation.replaces());
    let plans = replaces.into_iter().zip(others).take(80).flat_map(|(replace, other)| [replace, other]);
    let mut redriven = 0;
    for (number, plan) in (0..).zip(plans) {
        let at = match number / 2 % 2 {
            0 => Moment::AfterOperation(1 + u8::try_from(number / 4 % 3).unwrap(), number),
            _ => Moment::Millis(number * number * 40),
        };
        let abort = Fault::Person { does: Deed::Abort, at };
        let redrive = Fault::Person { does: Deed::Redrive, at: Moment::MillisAfterEnd(number * 7_919 % 90_000) };
        let finished = run(&plan.with_faults(vec![abort, redrive]), true);
        assert!(finished.violations.is_empty(), "{}", Told(&finished));
        assert_ne!(finished.outcome, "ABORTED", "{}", Told(&finished));
        redriven += u32::from(finished.outcome == "FAILED RunRedriven");
    }
    println!("{redriven} of 160 runs went on after an abort");
    assert!(redriven > 40, "{redriven}");
}
