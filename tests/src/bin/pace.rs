//! `cargo pace`: the tables of the README's performance section.

use clap::{Parser, ValueEnum};
use local_aws::simulation::{
    self, Kept, Shape, Way, fewest_looks, figures,
    scale::{Watcher, load},
};

/// Prints a table of the README's performance section, or every one.
#[derive(Parser)]
#[command(name = "cargo pace", bin_name = "cargo pace")]
struct Cli {
    /// Which one
    table: Option<Table>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Table {
    /// Looks and lag, beside others
    Looks,
    /// What was tried
    Tried,
    /// With an event at the end of each image
    Events,
    /// Many images at once
    Scale,
}

fn main() {
    let wanted = Cli::parse().table;
    for table in Table::value_variants().iter().filter(|table| wanted.is_none_or(|wanted| wanted == **table)) {
        match table {
            Table::Looks => looks(),
            Table::Tried => tried(),
            Table::Events => events(),
            Table::Scale => scale(),
        }
        println!();
    }
}

fn heading() {
    println!("| who | progress | looks | calls | lag | p95 | of the time | gave up |");
    println!("|---|---|---|---|---|---|---|---|");
}

fn row(name: &str, way: Way, shape: Option<Shape>, lost: f64) {
    let figures = figures(way, shape.unwrap_or(Shape::Linear), lost);
    println!(
        "| {name} | {} | {:.1} | {:.1} | {:.1} s | {:.1} s | {:.1} % | {:.1} % |",
        shape.map_or("any", Shape::name),
        figures.looks,
        figures.calls,
        figures.lag,
        figures.lag_p95,
        100.0 * figures.lag_share,
        100.0 * figures.given_up,
    );
}

fn looks() {
    println!("{} images", simulation::IMAGES);
    println!();
    heading();
    for shape in Shape::ALL {
        row(Way::Ours.name(), Way::Ours, Some(shape), 1.0);
    }
    for way in Way::PEERS {
        row(way.name(), way, None, 1.0);
    }
    println!();
    println!("Without progress and events, whoever knows the distribution needs at least");
    println!("{:.0} looks for 2.5 s of mean lag,", fewest_looks(Kept::Seconds(2.5)));
    println!("{:.1} looks for a mean lag of 5 % of the time.", fewest_looks(Kept::Share(0.05)));
}

fn tried() {
    heading();
    for way in Way::TRIED {
        for shape in Shape::ALL {
            row(way.name(), way, Some(shape), 1.0);
        }
    }
}

fn events() {
    heading();
    for lost in [0.0, 0.1, 1.0] {
        for way in [Way::Ours, Way::OursRelyingOnEvents] {
            for shape in Shape::ALL {
                row(&format!("{}, {:.0} % lost", way.name(), 100.0 * lost), way, Some(shape), lost);
            }
        }
    }
}

fn scale() {
    println!("| who | progress | images | most in flight | looks | peak calls/s | throttled | lag | an image |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let rows = [
        (Way::Ours, Watcher::Each, Shape::Linear),
        (Way::Ours, Watcher::Each, Shape::Jumping),
        (Way::Ours, Watcher::Each, Shape::Silent),
        (Way::Ours, Watcher::Shared, Shape::Linear),
        (Way::Ours, Watcher::Shared, Shape::Silent),
        (Way::Terraform, Watcher::Each, Shape::Linear),
    ];
    for (way, watcher, shape) in rows {
        let name = if watcher == Watcher::Shared { "a shared watcher" } else { way.name() };
        for images in [1, 10, 100, 1_000, 10_000] {
            let load = load(way, watcher, shape, images);
            println!(
                "| {name} | {} | {images} | {} | {:.1} | {:.1} | {} | {:.1} s | ${:.5} |",
                shape.name(),
                load.in_flight,
                load.looks,
                load.peak,
                load.throttled,
                load.lag,
                load.dollars,
            );
        }
    }
}
