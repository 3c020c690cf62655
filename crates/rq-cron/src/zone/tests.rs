use super::*;
use crate::schedule::Schedule;

fn schedule(expression: &str, zone: &str) -> Schedule {
    Schedule::At { expression: Expression::parse(expression).unwrap(), zone: Zone::named(zone).unwrap() }
}

/// So many ticks after a time by the zone's clocks, as these show them, with their distance from UTC.
fn ticks(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let rules = TimeZone::get(zone).unwrap();
    let schedule = schedule(expression, zone);
    let after = after.parse::<DateTime>().unwrap().to_zoned(rules.clone()).unwrap();
    let mut at = Timestamp::from_epoch_us(after.timestamp().as_microsecond());
    let mut step = || {
        at = schedule.next_after(at)?;
        let shown = jiff::Timestamp::from_microsecond(at.epoch_us()).unwrap().to_zoned(rules.clone());
        Some(shown.strftime("%m-%d %H:%M %:z").to_string())
    };
    (0..count).map_while(|_| step()).collect()
}

#[track_caller]
fn assert_ticks(expression: &str, zone: &str, after: &str, expected: &[&str]) {
    assert_eq!(ticks(expression, zone, after, expected.len()), expected, "{expression} in {zone}");
}

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";

#[test]
fn a_time_that_clocks_are_put_forward_over_is_due_as_they_are() {
    assert_ticks("30 2 * * *", BERLIN, "2026-03-28T02:30", &["03-29 03:00 +02:00", "03-30 02:30 +02:00"]);
    assert_ticks("30 2 * * *", NEW_YORK, "2026-03-07T03:00", &["03-08 03:00 -04:00", "03-09 02:30 -04:00"]);
    // In the south the year is the other way round.
    assert_ticks(
        "30 2 * * *",
        "Australia/Sydney",
        "2026-10-03T03:00",
        &["10-04 03:00 +11:00", "10-05 02:30 +11:00"],
    );
    // By half an hour.
    assert_ticks(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T03:00",
        &["10-04 02:30 +11:00", "10-05 02:15 +11:00"],
    );
    // At midnight, so that a day begins at one.
    assert_ticks(
        "0 0 * * *",
        "Asia/Beirut",
        "2026-03-28T00:00",
        &["03-29 01:00 +03:00", "03-30 00:00 +03:00"],
    );
}

#[test]
fn several_such_times_are_due_once() {
    assert_ticks(
        "0,20,40 2 * * *",
        BERLIN,
        "2026-03-28T02:40",
        &["03-29 03:00 +02:00", "03-30 02:00 +02:00"],
    );
    // One that is due as the clocks are put forward is not another tick.
    assert_ticks("30 2,3 * * *", BERLIN, "2026-03-28T03:30", &["03-29 03:00 +02:00", "03-29 03:30 +02:00"]);
    assert_ticks("0 2,3 * * *", BERLIN, "2026-03-28T03:00", &["03-29 03:00 +02:00", "03-30 02:00 +02:00"]);
}

#[test]
fn a_time_that_comes_twice_is_due_once() {
    assert_ticks("30 2 * * *", BERLIN, "2026-10-24T02:30", &["10-25 02:30 +02:00", "10-26 02:30 +01:00"]);
    assert_ticks("30 1 * * *", NEW_YORK, "2026-10-31T02:00", &["11-01 01:30 -04:00", "11-02 01:30 -05:00"]);
    assert_ticks(
        "45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-04T02:00",
        &["04-05 01:45 +11:00", "04-06 01:45 +10:30"],
    );
    assert_ticks(
        "0,30 2 * * *",
        BERLIN,
        "2026-10-24T02:30",
        &["10-25 02:00 +02:00", "10-25 02:30 +02:00", "10-26 02:00 +01:00"],
    );
}

#[test]
fn a_time_that_comes_twice_is_not_due_in_its_second_hour() {
    // 01:15 UTC is 02:15 for the second time.
    let second = Timestamp::parse("2026-10-25T01:15:00Z").unwrap();
    let next = schedule("30 2 * * *", BERLIN).next_after(second).unwrap();
    assert_eq!(next.to_string(), "2026-10-26T01:30:00.000000Z");
    let third_hour = schedule("30 3 * * *", BERLIN).next_after(second).unwrap();
    assert_eq!(third_hour.to_string(), "2026-10-25T02:30:00.000000Z");
}

#[test]
fn a_rhythm_goes_on_through_both_changes() {
    let spring = ["03-29 01:40 +01:00", "03-29 03:00 +02:00", "03-29 03:20 +02:00"];
    assert_ticks("*/20 * * * *", BERLIN, "2026-03-29T01:20", &spring);
    let autumn = [
        "10-25 02:00 +02:00",
        "10-25 02:20 +02:00",
        "10-25 02:40 +02:00",
        "10-25 02:00 +01:00",
        "10-25 02:20 +01:00",
        "10-25 02:40 +01:00",
        "10-25 03:00 +01:00",
    ];
    assert_ticks("*/20 * * * *", BERLIN, "2026-10-25T01:40", &autumn);
    assert_ticks("0 * * * *", BERLIN, "2026-10-25T01:00", &["10-25 02:00 +02:00", "10-25 02:00 +01:00"]);
    // A star with a step is one, and 02:30 is not there that day.
    assert_ticks("30 */2 * * *", BERLIN, "2026-03-29T00:30", &["03-29 04:30 +02:00"]);
    assert_ticks(
        "0,30 * * * *",
        "Australia/Lord_Howe",
        "2026-04-05T01:00",
        &["04-05 01:30 +11:00", "04-05 01:30 +10:30", "04-05 02:00 +10:30"],
    );
}

#[test]
fn a_zone_may_change_its_mind() {
    // Samoa went over the date line, and had no 30th of December.
    assert_ticks(
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-28T12:00",
        &["12-29 12:00 -10:00", "12-31 00:00 +14:00", "12-31 12:00 +14:00"],
    );
    // Moscow went back for good in 2014, and Turkey stayed in summer in 2016.
    assert_ticks(
        "30 1 * * *",
        "Europe/Moscow",
        "2014-10-25T02:00",
        &["10-26 01:30 +04:00", "10-27 01:30 +03:00"],
    );
    assert_ticks("0 3 * * *", "Europe/Istanbul", "2016-10-29T03:00", &["10-30 03:00 +03:00"]);
    // Morocco changes around Ramadan, in years that rules have no end for.
    assert_ticks(
        "0 2 * * *",
        "Africa/Casablanca",
        "2026-02-14T02:00",
        &["02-15 02:00 +01:00", "02-16 02:00 +00:00"],
    );
}

#[test]
fn what_is_due_seldom_is_found_beyond_many_changes() {
    assert_ticks("30 2 29 2 *", BERLIN, "2096-03-01T00:00", &["02-29 02:30 +01:00"]);
    assert_ticks("0 9 * 2 mon#5", NEW_YORK, "2026-11-28T00:00", &["02-29 09:00 -05:00"]);
    assert_eq!(ticks("0 0 1 1 * 0 2020", BERLIN, "2026-01-01T00:00", 1), Vec::<String>::new());
}

#[test]
fn names_are_those_of_the_iana_database() {
    for name in ["UTC", "local", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Ushuaia"] {
        assert_eq!(Zone::named(name).unwrap().name(), name);
    }
    for name in ["", "Berlin", "Europe/Atlantis", "../../etc/passwd", "CEST"] {
        let error = Zone::named(name).unwrap_err();
        assert!(error.to_string().contains("such as Europe/Berlin"), "{error}");
    }
}
