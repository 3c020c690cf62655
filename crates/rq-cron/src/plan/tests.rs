use super::*;
use crate::expression::Expression;
use crate::schedule::Interval;
use crate::zone::Zone;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn every(seconds: u64) -> Schedule {
    Schedule::Every(Interval::new(Duration::from_secs(seconds)).unwrap())
}

fn times(expression: &str) -> Schedule {
    Schedule::At { expression: Expression::parse(expression).unwrap(), zone: Zone::utc() }
}

const NOON: &str = "2026-11-28T12:00:00Z";

fn seconds_later(seconds: u64) -> Timestamp {
    at(NOON).after(Duration::from_secs(seconds))
}

#[test]
fn an_interval_is_due_when_it_is_first_seen() {
    let first_seen = at(NOON);
    for catch_up in [CatchUp::None, CatchUp::Latest, CatchUp::All] {
        let plan = plan(&every(300), catch_up, Decided::Nothing { first_seen }, first_seen);
        assert_eq!(plan.fire, [first_seen]);
        assert_eq!((plan.decided, plan.next), (Some(first_seen), Some(seconds_later(300))));
    }
}

#[test]
fn an_expression_is_due_at_its_first_time_after_it_was_seen() {
    let first_seen = at(NOON);
    let plan = plan(&times("0 12 * * *"), CatchUp::All, Decided::Nothing { first_seen }, first_seen);
    assert_eq!((plan.fire, plan.decided), (vec![], None));
    assert_eq!(plan.next, Some(at("2026-11-29T12:00:00Z")));
}

#[test]
fn intervals_go_by_the_tick_and_not_by_when_it_was_fired() {
    let late = plan(&every(60), CatchUp::Latest, Decided::Until(at(NOON)), seconds_later(79));
    assert_eq!((late.fire, late.next), (vec![seconds_later(60)], Some(seconds_later(120))));
}

#[test]
fn each_way_of_catching_up_after_an_hour() {
    for schedule in [every(600), times("*/10 * * * *")] {
        let look = |catch_up| plan(&schedule, catch_up, Decided::Until(at(NOON)), seconds_later(3_661));
        let next = Some(seconds_later(4_200));
        let all = look(CatchUp::All);
        assert_eq!(all.fire, [600, 1_200, 1_800, 2_400, 3_000, 3_600].map(seconds_later));
        assert_eq!((all.dropped, all.has_more, all.next), (None, false, next));
        let latest = look(CatchUp::Latest);
        let (first, last) = (seconds_later(600), seconds_later(3_000));
        assert_eq!(latest.fire, [seconds_later(3_600)]);
        assert_eq!(latest.dropped, Some(Dropped { first, last, count: 5, why: Why::Superseded }));
        let none = look(CatchUp::None);
        let last = seconds_later(3_600);
        assert_eq!(none.fire, []);
        assert_eq!(none.dropped, Some(Dropped { first, last, count: 6, why: Why::Missed }));
        assert_eq!((none.decided, none.next), (Some(last), next));
    }
}

#[test]
fn a_tick_within_the_grace_was_not_missed() {
    let look = |late_s: u64| {
        plan(&times("0 * * * *"), CatchUp::None, Decided::Until(at(NOON)), seconds_later(7_200 + late_s))
    };
    let in_time = look(59);
    assert_eq!(in_time.fire, [seconds_later(7_200)]);
    assert_eq!(in_time.dropped.map(|dropped| (dropped.count, dropped.why)), Some((1, Why::Missed)));
    assert_eq!(look(60).fire, []);
}

#[test]
fn a_look_fires_no_more_than_it_may() {
    let first = plan(&every(1), CatchUp::All, Decided::Until(at(NOON)), seconds_later(250));
    assert_eq!((first.fire.len(), first.has_more), (TICKS_MAX, true));
    assert_eq!(first.decided, Some(seconds_later(100)));
    let third = plan(&every(1), CatchUp::All, Decided::Until(seconds_later(200)), seconds_later(250));
    assert_eq!((third.fire.len(), third.has_more), (50, false));
}

#[test]
fn years_are_made_up_for_without_going_through_their_ticks() {
    let years_ago = at("1990-01-01T00:00:00Z");
    for (schedule, counted) in [(every(1), 1_164_715_199), (times("* * * * * *"), 1_000)] {
        for catch_up in [CatchUp::None, CatchUp::Latest, CatchUp::All] {
            let plan = plan(
                &schedule,
                catch_up,
                Decided::Until(years_ago),
                at(NOON).after(Duration::from_millis(1)),
            );
            let newest = at(NOON);
            assert_eq!(plan.next, Some(seconds_later(1)));
            match catch_up {
                CatchUp::All => assert_eq!((plan.fire.len(), plan.has_more), (TICKS_MAX, true)),
                _ => {
                    assert_eq!(plan.fire, [newest]);
                    let dropped = plan.dropped.unwrap();
                    assert_eq!(dropped.last, newest.before(Duration::from_secs(1)));
                    assert_eq!(dropped.count, counted);
                }
            }
        }
    }
}

#[test]
fn a_clock_that_was_put_back_has_nothing_to_do() {
    let plan = plan(&every(60), CatchUp::All, Decided::Until(seconds_later(3_600)), at(NOON));
    assert_eq!((plan.fire, plan.decided, plan.next), (vec![], None, Some(seconds_later(3_660))));
}

#[test]
fn an_expression_that_is_over_has_no_next() {
    let plan = plan(&times("0 0 1 1 * 0 2020"), CatchUp::All, Decided::Until(at(NOON)), seconds_later(5));
    assert_eq!((plan.fire, plan.next), (vec![], None));
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let zones = prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]);
    let texts = prop::sample::select(vec![
        "* * * * *",
        "*/7 * * * *",
        "0 * * * *",
        "30 2 * * *",
        "15,45 1-3 * * *",
        "0 0 31 * *",
        "* * * * * */20",
    ]);
    let expressions = (texts, zones).prop_map(|(text, zone)| Schedule::At {
        expression: Expression::parse(text).unwrap(),
        zone: Zone::named(zone).unwrap(),
    });
    prop_oneof![(1_u64..5_000).prop_map(every), expressions]
}

/// Looks at growing times, each some seconds after the last; also around the days that clocks change.
fn looks() -> impl Strategy<Value = (Timestamp, Vec<u64>)> {
    let starts = [
        "2026-03-07T20:00:00Z",
        "2026-03-28T22:00:00Z",
        "2026-10-24T20:00:00Z",
        "2026-10-31T22:00:00Z",
        NOON,
    ];
    let starts = prop::sample::select(starts.to_vec()).prop_map(at);
    (starts, prop::collection::vec(prop_oneof![1_u64..90, 1_u64..20_000], 1..12))
}

/// All that is fired at these looks, and that each plan keeps its word.
fn fired(
    schedule: &Schedule,
    catch_up: CatchUp,
    first_seen: Timestamp,
    looks_s: &[u64],
) -> (Vec<Timestamp>, Timestamp) {
    let (mut decided, mut now, mut fired) = (Decided::Nothing { first_seen }, first_seen, Vec::new());
    for pause_s in looks_s {
        now = now.after(Duration::from_secs(*pause_s));
        for _ in 0..10_000 {
            let plan = plan(schedule, catch_up, decided, now);
            assert!(plan.fire.len() <= TICKS_MAX);
            assert!(plan.next.is_none_or(|next| next > now), "{plan:?} at {now}");
            if let Some(newest) = plan.decided {
                assert!(newest <= now);
                decided = Decided::Until(newest);
            }
            let has_more = plan.has_more;
            fired.extend(plan.fire);
            if !has_more {
                break;
            }
        }
    }
    (fired, now)
}

/// Its ticks one by one.
fn ticks(schedule: &Schedule, first_seen: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let first = match schedule {
        Schedule::Every(_) => Some(first_seen),
        Schedule::At { .. } => schedule.next_after(first_seen),
    };
    let due = first.filter(|first| *first <= now);
    std::iter::successors(due, |tick| schedule.next_after(*tick).filter(|next| *next <= now)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_fires_each_tick_once(schedule in schedules(), (start, looks_s) in looks()) {
        let (fired, now) = fired(&schedule, CatchUp::All, start, &looks_s);
        prop_assert_eq!(fired, ticks(&schedule, start, now));
    }

    #[test]
    fn the_others_fire_ticks_once_and_in_order(
        schedule in schedules(), (start, looks_s) in looks(), is_none in any::<bool>()
    ) {
        let catch_up = if is_none { CatchUp::None } else { CatchUp::Latest };
        let (fired, now) = fired(&schedule, catch_up, start, &looks_s);
        let ticks = ticks(&schedule, start, now);
        prop_assert!(fired.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(fired.iter().all(|tick| ticks.contains(tick)));
        if catch_up == CatchUp::Latest {
            prop_assert_eq!(fired.last(), ticks.last());
        }
    }

    #[test]
    fn what_is_dropped_and_what_is_fired_is_all(schedule in schedules(), (start, looks_s) in looks()) {
        let now = start.after(Duration::from_secs(looks_s.iter().sum()));
        let plan = plan(&schedule, CatchUp::Latest, Decided::Nothing { first_seen: start }, now);
        let ticks = ticks(&schedule, start, now);
        let dropped = plan.dropped.map_or(0, |dropped| dropped.count as usize);
        if ticks.len() < 1_000 {
            prop_assert_eq!(dropped + plan.fire.len(), ticks.len());
        }
        if let Some(dropped) = plan.dropped {
            prop_assert_eq!(Some(&dropped.first), ticks.first());
            prop_assert_eq!(Some(&dropped.last), ticks.iter().rev().nth(1));
        }
    }
}
