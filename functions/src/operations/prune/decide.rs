//! Which images of a series go, and why each of the others stays.

use std::{cmp::Reverse, collections::BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    aws::ec2,
    model::{
        retention::{Action, Retain},
        tags::Tags,
    },
};

/// For how long, in seconds, an image stays in any case: EC2 tells of a launch up to a day later (DescribeImages,
/// LastLaunchedTime).
const DAY: i64 = 24 * 3600;
/// Up to so many images of a series go at once whatever their share of it.
const FEW: usize = 5;

/// What is done to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It is deleted.
    Delete,
    /// It stays, and is changed.
    Changes(Change),
}

/// How an image changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is enabled again, with its launch permissions, as it is to stay.
    Enable,
    /// It is disabled.
    Disable,
    /// It is disabled until it is deleted.
    Quarantine,
    /// It is deprecated.
    Deprecate,
}

/// What a rule decides about one image that none keeps.
enum Fate {
    Does(Does),
    /// It is in quarantine until that time, in seconds since 1970.
    Waits(i64),
    Stays(&'static str),
}

/// An image of a series, as EC2 shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// When it was made, in seconds since 1970; none where EC2 shows no time.
    pub created: Option<i64>,
    /// Whether it can be launched.
    pub is_available: bool,
    /// Whether it is disabled.
    pub is_disabled: bool,
    /// Since when a prune has disabled it, in seconds since 1970.
    pub quarantined_since: Option<i64>,
    /// Whether it is deprecated.
    pub is_deprecated: bool,
    /// What protects it from deregistration.
    pub protection: Option<String>,
    /// When an instance was last launched from it, in seconds since 1970.
    pub last_launched: Option<i64>,
    /// Its tags.
    pub tags: Tags,
}

/// What becomes of the images of a series, each with its id; those that go come oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// They go in that way, unless something uses them.
    pub go: Vec<(String, Does)>,
    /// They stay, each for a reason.
    pub stay: Vec<(String, String)>,
    /// They are in quarantine and still wait for its end, each with the reason.
    pub wait: Vec<(String, String)>,
    /// Those in quarantine.
    pub quarantined: BTreeSet<String>,
}

impl Decision {
    /// What is in quarantine and is to stay.
    pub(super) fn back(&self) -> impl Iterator<Item = &str> {
        self.stay.iter().map(|(id, _)| id).filter(|id| self.quarantined.contains(*id)).map(String::as_str)
    }
}

/// Decides about all images of one series. Of those younger than a day, only the one that is `certain` counts: the run
/// of another one may still fail, and remove it.
pub fn decide(retain: &Retain, mut series: Vec<Candidate>, certain: Option<&str>, now: i64) -> Decision {
    series.sort_by_key(|image| (Reverse(image.created), image.id.clone()));
    let mut decision = Decision::default();
    let mut newer = 0;
    for image in series {
        let is_young = image.created.is_some_and(|created| now - created < DAY);
        let counts = image.is_available && (!is_young || certain == Some(image.id.as_str()));
        let why = why_it_stays(retain, &image, newer, counts, now);
        let fate = if why.is_none() { fate(retain, &image, now) } else { Fate::Stays("") };
        // One that stays disabled by what the request wants does not come back.
        if image.quarantined_since.is_some() && (why.is_some() || !matches!(fate, Fate::Stays(_))) {
            decision.quarantined.insert(image.id.clone());
        }
        match (why, fate) {
            (Some(why), _) => decision.stay.push((image.id, why)),
            (None, Fate::Stays(why)) => decision.stay.push((image.id, why.to_owned())),
            (None, Fate::Does(does)) => decision.go.push((image.id, does)),
            (None, Fate::Waits(until)) => {
                let why = format!("it is in quarantine until {}", ec2::shown(until));
                decision.wait.push((image.id, why));
            }
        }
        newer += usize::from(counts);
    }
    decision.go.reverse();
    decision
}

/// `newer` is how many images that count are newer, and `counts` whether this one does.
fn why_it_stays(retain: &Retain, image: &Candidate, newer: usize, counts: bool, now: i64) -> Option<String> {
    let Retain { count, age, at_least, exclusions, .. } = retain;
    let Some(created) = image.created else { return Some("EC2 does not show when it was made".to_owned()) };
    if counts && newer < *at_least {
        return Some(format!("it is among the newest {at_least} available ones (atLeast)"));
    }
    // One that cannot be launched takes no place, and keeps its own.
    if let Some(count) = count.filter(|count| newer < *count) {
        return Some(format!("it is among the newest {count} (count)"));
    }
    if let Some(age) = age.filter(|age| now - created < *age) {
        return Some(format!("it is younger than {} days (age)", age / DAY));
    }
    if now - created < DAY {
        return Some("it is less than a day old".to_owned());
    }
    if let Some(protection) = &image.protection {
        return Some(format!("its deregistration protection is {protection}"));
    }
    if let Some((key, _)) = exclusions.tag_map.iter().find(|(key, value)| image.tags.get(*key) == Some(value)) {
        return Some(format!("it has the tag {key} (exclusions.tagMap)"));
    }
    let launched = exclusions.last_launched.zip(image.last_launched);
    if let Some((within, _)) = launched.filter(|(within, launched)| now - launched < *within) {
        return Some(format!(
            "an instance was launched from it within {} days (exclusions.lastLaunched)",
            within / DAY
        ));
    }
    None
}

/// What becomes of an image that no rule keeps.
fn fate(retain: &Retain, image: &Candidate, now: i64) -> Fate {
    let can_be_launched = image.is_available || image.is_disabled;
    let since = image.quarantined_since.filter(|_| image.is_disabled);
    match (retain.action, retain.quarantine) {
        (Action::Disable, _) if image.is_disabled => Fate::Stays("it is disabled"),
        (Action::Deprecate, _) if image.is_deprecated => Fate::Stays("it is deprecated"),
        (Action::Disable | Action::Deprecate, _) if !can_be_launched => Fate::Stays("it cannot be launched"),
        (Action::Disable, _) => Fate::Does(Does::Changes(Change::Disable)),
        (Action::Deprecate, _) => Fate::Does(Does::Changes(Change::Deprecate)),
        // It may be disabled for a reason that no rule knows.
        (Action::Delete, Some(_)) if image.is_disabled && since.is_none() => Fate::Stays("somebody has disabled it"),
        (Action::Delete, Some(quarantine)) if can_be_launched => match since.map(|since| since + quarantine) {
            None => Fate::Does(Does::Changes(Change::Quarantine)),
            Some(until) if until > now => Fate::Waits(until),
            Some(_) => Fate::Does(Does::Delete),
        },
        (Action::Delete, _) => Fate::Does(Does::Delete),
    }
}

/// Why a prune is refused as a whole: a wrong clock or a wrong tag looks like many images that go at once.
pub fn too_many(retain: &Retain, series: &[Decision]) -> Option<String> {
    let Retain { max_per_run, max_percent_per_run, .. } = retain;
    let all: usize = series.iter().map(|one| one.go.len()).sum();
    if all > *max_per_run {
        return Some(format!("{all} images would go, and retain.maxPerRun is {max_per_run}"));
    }
    let share = series.iter().map(|one| (one.go.len(), one.go.len() + one.wait.len() + one.stay.len()));
    let (go, of) = share.into_iter().find(|(go, of)| *go > FEW && go * 100 > of * max_percent_per_run)?;
    Some(format!("{go} of {of} images would go, and retain.maxPercentPerRun is {max_percent_per_run}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fastrand::Rng;

    use super::*;
    use crate::model::retention::Exclusions;

    const NOW: i64 = 1_800_000_000;

    fn image(id: &str, days: i64) -> Candidate {
        Candidate { id: id.to_owned(), created: Some(NOW - days * DAY), is_available: true, ..Candidate::default() }
    }

    fn ids(decision: &Decision) -> Vec<&str> {
        decision.go.iter().map(|(id, _)| id.as_str()).collect()
    }

    fn retain(count: Option<usize>, age: Option<i64>, at_least: usize) -> Retain {
        let age = age.map(|days| days * DAY);
        let (exclusions, action) = (Exclusions::default(), Action::default());
        Retain { count, age, at_least, max_per_run: 20, max_percent_per_run: 50, exclusions, action, quarantine: None }
    }

    #[test]
    fn the_union_of_the_rules_stays_and_each_of_it_has_its_reason() {
        let mut series: Vec<_> = (1..=9).map(|days| image(&format!("ami-{days}"), days * 10)).collect();
        series[4].protection = Some("enabled-with-cooldown".to_owned());
        series[5].tags.insert("Keep".to_owned(), "yes".to_owned());
        series[6].last_launched = Some(NOW - 3 * DAY);
        series[1].is_available = false;
        series.push(image("ami-0", 0));
        series.push(Candidate { created: None, ..image("ami-unknown", 0) });
        let mut rules = retain(Some(2), Some(35), 1);
        rules.exclusions = Exclusions {
            last_launched: Some(7 * DAY),
            tag_map: Tags::from([("Keep".to_owned(), "yes".to_owned())]),
            shared: false,
        };
        let decision = decide(&rules, series, None, NOW);
        assert_eq!(ids(&decision), ["ami-9", "ami-8", "ami-4"]);
        let why = |id: &str| decision.stay.iter().find(|(one, _)| one == id).unwrap().1.clone();
        // One of today may be of a run that still fails.
        assert!(why("ami-0").contains("(count)") && why("ami-1").contains("atLeast"));
        // What cannot be launched takes no place of the two.
        assert!(why("ami-2").contains("(count)") && why("ami-3").contains("(count)"));
        assert!(why("ami-5").contains("protection") && why("ami-6").contains("tagMap"));
        assert!(why("ami-7").contains("lastLaunched") && why("ami-unknown").contains("does not show"));
    }

    #[test]
    fn an_image_of_less_than_a_day_stays_and_counts_only_if_it_is_certain_and_a_tie_is_broken_by_the_id() {
        let series = vec![image("ami-b", 0), image("ami-a", 0), image("ami-d", 5), image("ami-c", 5)];
        let decided = |certain| decide(&retain(Some(1), None, 1), series.clone(), certain, NOW);
        assert_eq!(ids(&decided(None)), ["ami-d"]);
        assert_eq!(ids(&decided(Some("ami-a"))), ["ami-d", "ami-c"]);
    }

    #[test]
    fn what_looks_like_a_mistake_is_refused() {
        let rules = retain(Some(1), None, 1);
        let of = |go: usize, all: usize| Decision {
            go: vec![(String::new(), Does::Delete); go],
            stay: vec![(String::new(), String::new()); all - go],
            ..Decision::default()
        };
        let refusal = |series: &[Decision]| too_many(&rules, series).unwrap_or_default();
        assert_eq!(refusal(&[of(20, 40)]), "");
        assert!(refusal(&[of(21, 400)]).contains("maxPerRun is 20"));
        assert!(refusal(&[of(5, 6), of(5, 6), of(5, 6), of(6, 60)]).contains("21 images"), "of all series together");
        assert!(refusal(&[of(6, 11)]).contains("maxPercentPerRun is 50"));
        assert_eq!(refusal(&[of(5, 6)]), "");
    }

    #[test]
    fn what_goes_is_disabled_for_its_quarantine_and_comes_back_if_a_rule_keeps_it_again() {
        let mut series: Vec<_> = (1..=5).map(|days| image(&format!("ami-{days}"), days)).collect();
        for (at, since) in [(2, 1), (3, 5), (4, 20)] {
            (series[at].is_available, series[at].is_disabled) = (false, true);
            series[at].quarantined_since = Some(NOW - since * DAY);
        }
        let rules = Retain { quarantine: Some(7 * DAY), ..retain(Some(1), None, 1) };
        let go = |rules: &Retain| decide(rules, series.clone(), None, NOW).go;
        let expected = [("ami-5", Does::Delete), ("ami-2", Does::Changes(Change::Quarantine))];
        assert_eq!(go(&rules), expected.map(|(id, does)| (id.to_owned(), does)));
        let waiting = decide(&rules, series.clone(), None, NOW).wait;
        assert_eq!(waiting.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["ami-3", "ami-4"]);
        // One that cannot be launched needs no quarantine.
        let mut failed = series.clone();
        failed[1].is_available = false;
        assert_eq!(decide(&rules, failed, None, NOW).go[1], ("ami-2".to_owned(), Does::Delete));
        let more = decide(&Retain { count: Some(9), ..rules.clone() }, series.clone(), None, NOW);
        assert_eq!((more.go.len(), more.back().collect::<Vec<_>>()), (0, vec!["ami-3", "ami-4", "ami-5"]));
        for (action, expected) in
            [(Action::Disable, Does::Changes(Change::Disable)), (Action::Deprecate, Does::Changes(Change::Deprecate))]
        {
            let mut series = series.clone();
            series[2].is_deprecated = true;
            let decision = decide(&Retain { action, ..retain(Some(1), None, 1) }, series, None, NOW);
            assert!(decision.go.iter().all(|(_, does)| *does == expected));
            let why = decision.stay.iter().find(|(id, _)| id == "ami-3").map(|(_, why)| why.as_str());
            assert_eq!(why, Some(if action == Action::Disable { "it is disabled" } else { "it is deprecated" }));
        }
    }

    /// Whatever the series, the rules and the clock: what the rules name stays, and nothing is lost or named twice. The
    /// environment variable `DECISIONS` asks for more of them.
    #[test]
    fn ten_thousand_random_series_keep_what_they_must() {
        let mut rng = Rng::with_seed(16);
        let asked = std::env::var("DECISIONS").ok().and_then(|count| count.parse().ok());
        for _ in 0..asked.unwrap_or(10_000) {
            let some = |rng: &mut Rng, most: usize| rng.bool().then(|| rng.usize(1..=most));
            let mut rules = retain(some(&mut rng, 9), None, rng.usize(1..4));
            rules.age = rng.bool().then(|| rng.i64(1..60) * DAY);
            rules.exclusions.last_launched = rng.bool().then(|| rng.i64(1..30) * DAY);
            rules.action = rng.choice([Action::Delete, Action::Disable, Action::Deprecate]).unwrap();
            rules.quarantine = (rng.bool() && rules.action == Action::Delete).then(|| rng.i64(1..9) * DAY);
            let series: Vec<_> = (0..rng.usize(0..30))
                .map(|number| Candidate {
                    // Clocks may be wrong: some images come from the future.
                    created: (rng.u8(0..20) > 0).then(|| NOW - rng.i64(-2 * DAY..90 * DAY)),
                    is_available: rng.u8(0..4) > 0,
                    protection: (rng.u8(0..8) == 0).then(|| "enabled-without-cooldown".to_owned()),
                    last_launched: rng.bool().then(|| NOW - rng.i64(0..60 * DAY)),
                    is_disabled: rng.bool(),
                    is_deprecated: rng.bool(),
                    quarantined_since: rng.bool().then(|| NOW - rng.i64(0..20 * DAY)),
                    ..image(&format!("ami-{number}"), 0)
                })
                .collect();
            let certain = rng.bool().then(|| format!("ami-{}", rng.usize(0..30)));
            let decision = decide(&rules, series.clone(), certain.as_deref(), NOW);
            // One that waits cannot be launched either.
            let of_all = |decision: &Decision| -> Vec<String> {
                let go = decision.go.iter().map(|(id, _)| id);
                let others = decision.wait.iter().chain(&decision.stay).map(|(id, _)| id);
                go.chain(others).cloned().collect()
            };
            let gone: BTreeSet<_> = decision.go.iter().map(|(id, _)| id).collect();
            let all: BTreeSet<_> = of_all(&decision).into_iter().collect();
            assert_eq!((all.len(), of_all(&decision).len()), (series.len(), series.len()));
            let waits = |image: &Candidate| image.is_disabled && image.quarantined_since.is_some();
            let of_id = |id: &String| series.iter().find(|image| image.id == *id).unwrap();
            assert!(decision.wait.iter().all(|(id, _)| waits(of_id(id)) && rules.quarantine.is_some()));
            assert!(decision.back().all(|id| of_id(&id.to_owned()).quarantined_since.is_some()));
            assert!(decision.stay.iter().all(|(_, why)| !why.is_empty()));
            let launchable = series.iter().filter(|image| image.is_available).count();
            let left = series.iter().filter(|image| image.is_available && !gone.contains(&image.id)).count();
            assert!(left >= rules.at_least.max(rules.count.unwrap_or(0)).min(launchable), "{rules:?} {series:?}");
            // Though every image of the last day went: their runs may fail.
            let is_old = |image: &&Candidate| image.created.is_some_and(|created| NOW - created >= DAY);
            let is_sure =
                |image: &&Candidate| image.is_available && (is_old(image) || certain.as_ref() == Some(&image.id));
            let sure = series.iter().filter(is_sure).count();
            let left = series.iter().filter(is_sure).filter(|image| !gone.contains(&image.id)).count();
            assert!(left >= rules.at_least.min(sure), "{rules:?} {series:?}");
            let newest = series.iter().filter(|image| image.is_available && image.created.is_some());
            let newest = newest.max_by_key(|image| (image.created, Reverse(image.id.clone())));
            assert!(newest.is_none_or(|newest| !gone.contains(&newest.id)), "the newest available one stays");
            for (id, does) in &decision.go {
                let image = series.iter().find(|image| image.id == *id).unwrap();
                let since = image.quarantined_since.filter(|_| image.is_disabled);
                let can_be_launched = image.is_available || image.is_disabled;
                let is_over = |days| since.is_some_and(|since| NOW - since >= days);
                let right = match does {
                    Does::Delete => rules.quarantine.is_none_or(|days| is_over(days) || !can_be_launched),
                    Does::Changes(Change::Quarantine) => rules.quarantine.is_some() && !image.is_disabled,
                    Does::Changes(Change::Disable) => rules.action == Action::Disable && !image.is_disabled,
                    Does::Changes(Change::Deprecate) => rules.action == Action::Deprecate && !image.is_deprecated,
                    Does::Changes(Change::Enable) => false,
                };
                assert!(right, "{does:?} {image:?} {rules:?}");
            }
            for image in series.iter().filter(|image| gone.contains(&image.id)) {
                let age = NOW - image.created.unwrap();
                assert!(age >= DAY && image.protection.is_none() && rules.age.is_none_or(|least| age >= least));
            }
        }
    }
}
