//! How often the handlers look and how late they see an image's end, over thousands of simulated
//! images: what `cargo pace` prints, held to the figures it reached.

use std::process::{Command, Stdio};

use performance::waits::{Shape, Way, figures, scale::load};

/// Without a single event.
const NONE: f64 = 1.0;
/// With all events.
const ALL: f64 = 0.0;

#[test]
fn with_events_thirteen_looks_see_the_end_two_and_a_half_seconds_late_whatever_the_progress() {
    for shape in Shape::ALL {
        let figures = figures(Way::Ours, shape, ALL);
        assert!(figures.looks <= 13.0 && figures.lag <= 2.5, "{shape:?}: {figures:?}");
        assert!(figures.images <= 7.0 && figures.calls <= 14.0, "{shape:?}: {figures:?}");
    }
}

#[test]
fn where_the_progress_is_even_five_and_a_half_looks_see_the_end_a_second_and_a_half_late_without_events_too() {
    for shape in [Shape::Linear, Shape::Volumes] {
        for lost in [ALL, NONE] {
            let figures = figures(Way::Ours, shape, lost);
            assert!(figures.looks <= 5.5 && figures.lag <= 1.5, "{shape:?}, {lost}: {figures:?}");
        }
    }
}

#[test]
fn whatever_part_of_the_events_is_lost_the_mean_lag_is_below_a_tenth_of_the_time() {
    for shape in Shape::ALL {
        for tenths in 0..=10 {
            let figures = figures(Way::Ours, shape, f64::from(tenths) / 10.0);
            assert!(figures.lag_share <= 0.1, "{tenths} tenths, {shape:?}: {figures:?}");
            assert!(figures.looks <= 13.0 && figures.calls <= 14.0, "{tenths} tenths, {shape:?}: {figures:?}");
        }
    }
}

#[test]
fn the_lag_is_the_shortest_where_all_events_come() {
    for shape in Shape::ALL {
        let lag = figures(Way::Ours, shape, ALL).lag;
        for lost in [0.1, 0.5, NONE] {
            assert!(lag <= figures(Way::Ours, shape, lost).lag, "{shape:?}, {lost}");
        }
    }
}

#[test]
fn the_others_are_simulated_as_they_are_known() {
    let terraform = figures(Way::Terraform, Shape::Linear, NONE);
    assert!((42.0..46.0).contains(&terraform.looks) && (4.8..5.2).contains(&terraform.lag), "{terraform:?}");
    let aws_wait = figures(Way::AwsWait, Shape::Linear, NONE);
    assert!((0.19..0.21).contains(&aws_wait.given_up), "{aws_wait:?}");
    let packer = figures(Way::Packer, Shape::Linear, NONE);
    assert!((27.0..30.0).contains(&packer.looks) && (7.3..7.7).contains(&packer.lag), "{packer:?}");
}

#[test]
fn of_a_thousand_images_at_once_none_times_out_and_one_call_in_a_hundred_is_throttled_at_the_most() {
    for shape in Shape::ALL {
        for lost in [ALL, NONE] {
            let load = load(Way::Ours, shape, lost, 1_000);
            assert!(load.timed_out == 0 && load.throttled_share <= 0.01, "{shape:?}, {lost}: {load:?}");
        }
    }
}

#[test]
fn of_ten_thousand_images_none_times_out() {
    for shape in Shape::ALL {
        for lost in [ALL, NONE] {
            let load = load(Way::Ours, shape, lost, 10_000);
            assert_eq!(load.timed_out, 0, "{shape:?}, {lost}: {load:?}");
        }
    }
}

#[test]
fn where_the_progress_is_even_ten_thousand_images_are_not_throttled() {
    for shape in [Shape::Linear, Shape::Volumes] {
        for lost in [ALL, NONE] {
            let load = load(Way::Ours, shape, lost, 10_000);
            assert!(load.throttled_share <= 0.01 && load.lag <= 1.5, "{shape:?}, {lost}: {load:?}");
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_of_a_table_ends_it_without_a_word() {
    let mut pace = Command::new(env!("CARGO_BIN_EXE_pace"));
    let mut pace = pace.arg("looks").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(pace.stdout.take());
    let ended = pace.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}
