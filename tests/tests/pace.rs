//! How often the handlers look and how late they see an image's end, over thousands of simulated
//! images: what `cargo pace` prints, held to the figures it reached.

use local_aws::simulation::{
    Shape, Way, figures,
    scale::{Watcher, load},
};

#[test]
fn where_the_progress_tells_the_end_nine_looks_see_it_two_and_a_half_seconds_late() {
    for shape in [Shape::Linear, Shape::Volumes] {
        let figures = figures(Way::Ours, shape, 1.0);
        assert!(figures.looks <= 7.0 && figures.lag <= 1.5, "{shape:?}: {figures:?}");
    }
}

#[test]
fn a_fifth_of_terraforms_looks_give_less_than_half_its_lag() {
    let (ours, terraform) = (figures(Way::Ours, Shape::Linear, 1.0), figures(Way::Terraform, Shape::Linear, 1.0));
    assert!(ours.looks * 5.0 <= terraform.looks, "{ours:?} {terraform:?}");
    assert!(ours.lag * 2.0 <= terraform.lag, "{ours:?} {terraform:?}");
}

#[test]
fn where_the_progress_tells_nothing_the_mean_lag_is_below_a_twentieth_of_the_time() {
    for shape in [Shape::Jumping, Shape::Silent] {
        let figures = figures(Way::Ours, shape, 1.0);
        assert!(figures.lag_share <= 0.05 && figures.looks <= 25.0, "{shape:?}: {figures:?}");
    }
}

#[test]
fn an_event_for_each_image_would_take_the_lag_away_whatever_the_progress() {
    for shape in Shape::ALL {
        let figures = figures(Way::Ours, shape, 0.0);
        assert!(figures.lag <= 2.5, "{shape:?}: {figures:?}");
    }
}

#[test]
fn the_others_are_simulated_as_they_are_known() {
    let terraform = figures(Way::Terraform, Shape::Linear, 1.0);
    assert!((42.0..46.0).contains(&terraform.looks) && (4.8..5.2).contains(&terraform.lag), "{terraform:?}");
    let aws_wait = figures(Way::AwsWait, Shape::Linear, 1.0);
    assert!((0.19..0.21).contains(&aws_wait.given_up), "{aws_wait:?}");
    let packer = figures(Way::Packer, Shape::Linear, 1.0);
    assert!((27.0..30.0).contains(&packer.looks) && (7.3..7.7).contains(&packer.lag), "{packer:?}");
}

#[test]
fn a_thousand_images_at_once_are_not_throttled_where_the_progress_tells_the_end() {
    for shape in [Shape::Linear, Shape::Volumes] {
        let load = load(Way::Ours, Watcher::Each, shape, 1_000);
        assert_eq!(load.throttled, 0, "{shape:?}: {load:?}");
    }
}
