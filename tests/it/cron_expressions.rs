//! Cron expressions mean what croniter, which RQ asks, says they mean.

use std::fmt::Display;
use std::time::Duration;

use rq_core::{Timestamp, days, hours};
use rq_cron::{Expression, Schedule, Zone};
use rq_tests::{Folder, Python, Scratch};

use crate::dice::{self, Dice};

/// How many expressions are compared, each at a time of its own.
const EXPRESSIONS: usize = 10_000;
/// How many times of each.
const TIMES: usize = 3;
/// 1985 to 2090: what two-digit years, 32 bits and years without a leap day have to do with is in it.
const STARTS_S: std::ops::Range<u64> = 473_385_600..3_786_912_000;

/// Reads `start<TAB>expression` a line, and prints the next times by croniter: as RQ asks it, by clocks without a zone.
const CRONITER: &str = r#"
from croniter import croniter, CroniterBadDateError
def times(start, expression):
    try:
        found = croniter(expression, datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=int(start)))
    except Exception as error:
        return 'refused ' + ' '.join(str(error).split())
    printed = []
    for _ in range(COUNT):
        try:
            printed.append(found.get_next(datetime.datetime).strftime('%Y-%m-%dT%H:%M:%S.%fZ'))
        except CroniterBadDateError:
            break
    return 'due ' + ' '.join(printed)
for line in open(CASES, encoding='utf-8'):
    print(times(*line.rstrip('\n').split('\t')))
"#;

/// What we do on purpose otherwise than croniter: which expressions, and why (docs/cron.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Exception {
    /// `5-5` is every value to croniter, and one to whoever writes it: refused.
    EqualRange,
    /// `50-10/7`: croniter counts steps over the end of a field one off in some cases: refused.
    SteppedOverTheEnd,
    /// `r` is another value each time that a scheduler starts: refused.
    ByLot,
    /// `30w` in a month of 28 days: the last working day to croniter, no day to cron: refused.
    NearestToNoDay,
    /// `0 0 1 * 1#2`: croniter asks for both fields where one of them counts in the month: refused.
    CountedBesideDays,
    /// `*,2#1`: croniter leaves out the star: refused.
    CountedInAList,
    /// `dec-0` is all months to croniter, and some other months no range at all: refused.
    EndsInZero,
    /// `26-24,L`: thirty days and the last one are every day to croniter, beside a star: refused.
    ThirtyDaysAndTheLast,
    /// A year that is farther off than croniter looks: due.
    MoreThanFiftyYears,
}

impl Exception {
    fn of(expression: &str) -> Option<Exception> {
        let lower = expression.to_lowercase();
        let fields: Vec<&str> = lower.split_ascii_whitespace().collect();
        let items = || fields.iter().flat_map(|field| field.split(','));
        let placed = || {
            fields
                .iter()
                .enumerate()
                .flat_map(|(place, field)| field.split(',').map(move |item| (place, item)))
        };
        let ranges = || placed().filter_map(|(place, item)| Some((item, bounds(place, item)?)));
        let [_, _, of_month, _, of_week, ..] = fields[..] else { return None };
        let is_counted = |item: &str| {
            item.contains('#') || item.strip_prefix('l').is_some_and(|day| day.parse::<u32>().is_ok())
        };
        let nearest = of_month.trim_matches('w');
        if items().any(|item| matches!(item, "r" | "h") || item.starts_with("r/")) {
            Some(Exception::ByLot)
        } else if of_week.split(',').any(is_counted) && !matches!(of_month, "*" | "?")
            || nearest != of_month && !matches!(of_week, "*" | "?")
        {
            Some(Exception::CountedBesideDays)
        } else if of_week.split(',').any(is_counted) && !of_week.split(',').all(is_counted) {
            Some(Exception::CountedInAList)
        } else if nearest != of_month && matches!(nearest.trim_start_matches('0'), "29" | "30") {
            Some(Exception::NearestToNoDay)
        } else if placed().any(|(place, item)| {
            matches!(place, 2 | 3) && bounds(place, item).is_some_and(|(_, high)| high == 0)
        }) {
            Some(Exception::EndsInZero)
        } else if ranges().any(|(_, (low, high))| low == high) {
            Some(Exception::EqualRange)
        } else if ranges().any(|(item, (low, high))| item.contains('/') && low > high) {
            Some(Exception::SteppedOverTheEnd)
        } else if of_month.split(',').any(|item| item == "l")
            && of_month.contains('-')
            && of_week.contains('*')
        {
            Some(Exception::ThirtyDaysAndTheLast)
        } else {
            None
        }
    }
}

/// The first and the last value of a range; Sunday is 0.
fn bounds(place: usize, item: &str) -> Option<(usize, usize)> {
    let (low, high) = item.split(['/', '#']).next()?.split_once('-')?;
    let number = |text: &str| match (text, NAMES.iter().position(|name| *name == text)) {
        ("l", _) => Some(31),
        (_, Some(place)) if place < 7 => Some(place),
        (_, Some(place)) => Some(place - 6),
        _ => text.parse().ok().map(|number| if number == 7 && place == WEEKDAY { 0 } else { number }),
    };
    Some((number(low)?, number(high)?))
}

/// The place of weekdays.
const WEEKDAY: usize = 4;
const NAMES: [&str; 19] = [
    "sun", "mon", "tue", "wed", "thu", "fri", "sat", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug",
    "sep", "oct", "nov", "dec",
];

/// Expressions such as people write, and such as they should not.
struct Writer(Dice);

const FIELDS: [(u64, u64, &[&str]); 7] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "Mar", "APR", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 7, &["sun", "Mon", "tue", "wed", "THU", "fri", "sat"]),
    (0, 59, &[]),
    (1970, 2099, &[]),
];

impl Writer {
    fn expression(&mut self) -> String {
        if self.one_in(100) {
            let aliases =
                ["@hourly", "@daily", "@midnight", "@weekly", "@Monthly", "@yearly", "@annually", "@reboot"];
            return self.pick(&aliases).to_owned();
        }
        let count = match self.0.below(100) {
            0 => 4,
            1..=80 => 5,
            81..=95 => 6,
            _ => 7,
        };
        let fields: Vec<String> = (0..count).map(|place| self.field(place)).collect();
        fields.join(" ")
    }

    fn field(&mut self, place: usize) -> String {
        if self.0.below(100) < if place < 2 { 20 } else { 45 } {
            return "*".to_owned();
        }
        if matches!(place, 2 | 4) && self.one_in(50) {
            return "?".to_owned();
        }
        let count = if self.one_in(3) { 1 + self.0.below(4) } else { 1 };
        let items: Vec<String> = (0..count).map(|_| self.item(place)).collect();
        items.join(",")
    }

    fn item(&mut self, place: usize) -> String {
        let value = self.value(place);
        match (place, self.0.below(200)) {
            (_, 0) => "*".to_owned(),
            (_, 1) => self
                .pick(&["", "-5", "5-", "x", "r", "h", "1-2-3", "/5", "*/0", "99", "5/", "l", "1.5"])
                .to_owned(),
            (2, 2..=12) => "L".to_owned(),
            (2, 13..=20) => format!("{value}w"),
            (2, 21) => format!("W{value}"),
            (2, 22..=24) => format!("{value}-L"),
            (4, 2..=22) => format!("{value}#{}", 1 + self.0.below(6)),
            (4, 23..=30) => format!("L{}", self.0.below(8)),
            (_, 31..=57) => format!("*/{}", 1 + self.0.below(20)),
            (_, 58..=60) => format!("*/{}", 1 + self.0.below(100)),
            (_, 61..=70) => format!("{value}/{}", 1 + self.0.below(20)),
            (_, 71..=110) => format!("{value}-{}", self.value(place)),
            (_, 111..=130) => format!("{value}-{}/{}", self.value(place), 1 + self.0.below(9)),
            _ => value,
        }
    }

    fn value(&mut self, place: usize) -> String {
        let (least, most, names) = FIELDS[place];
        if !names.is_empty() && self.one_in(2) {
            return self.pick(names).to_owned();
        }
        let beyond = u64::from(self.one_in(150));
        let value = least.saturating_sub(beyond) + self.0.below(most - least + 1 + 2 * beyond);
        if self.one_in(20) { format!("0{value}") } else { value.to_string() }
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.0.below(count) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.0.below(from.len() as u64) as usize]
    }
}

/// Our answer in the form of croniter's.
fn ours(expression: &str, start: Timestamp) -> String {
    let expression = match Expression::parse(expression) {
        Ok(expression) => expression,
        Err(error) => return format!("refused {error}"),
    };
    let schedule = Schedule::At { expression, zone: Zone::utc() };
    let times = std::iter::successors(schedule.next_after(start), |time| schedule.next_after(*time));
    let times: Vec<String> = times.take(TIMES).map(|time| time.to_string()).collect();
    format!("due {}", times.join(" "))
}

/// Whether both say the same. Of an expression that is never due one may say that it cannot be, the other no time.
fn agree(ours: &str, theirs: &str) -> bool {
    let is_none = |answer: &str| answer.starts_with("refused") || answer == "due ";
    ours == theirs || is_none(ours) && is_none(theirs)
}

/// Whether the first of our times is fifty years after `start`, or more.
fn is_far_off(ours: &str, start: Timestamp) -> bool {
    let first = ours.strip_prefix("due ").and_then(|times| times.split(' ').next());
    first
        .and_then(|first| Timestamp::parse(first).ok())
        .is_some_and(|first| first.since(start) >= days(50 * 365))
}

#[test]
fn expressions_mean_what_croniter_says() {
    let seed = dice::seed();
    println!("seed {seed}");
    let mut writer = Writer(Dice::new(seed));
    let cases: Vec<(Timestamp, String)> = (0..EXPRESSIONS)
        .map(|_| {
            let start_s = STARTS_S.start + writer.0.below(STARTS_S.end - STARTS_S.start);
            (Timestamp::from_epoch_us(start_s as i64 * 1_000_000), writer.expression())
        })
        .collect();
    let theirs = printed(CRONITER, &cases, None);
    let mut wrong = Vec::new();
    let mut excepted = std::collections::BTreeMap::new();
    let mut due = 0;
    for ((start, expression), theirs) in cases.iter().zip(&theirs) {
        let ours = ours(expression, *start);
        match Exception::of(expression) {
            _ if agree(&ours, theirs) => due += usize::from(ours.starts_with("due 2")),
            _ if theirs == "due " && is_far_off(&ours, *start) => {
                *excepted.entry(Exception::MoreThanFiftyYears).or_insert(0) += 1;
            }
            // On purpose otherwise means refused, and never another time.
            Some(exception) if ours.starts_with("refused") => *excepted.entry(exception).or_insert(0) += 1,
            _ => wrong.push(format!("{expression:?} after {start}\n  ours   {ours}\n  theirs {theirs}")),
        }
    }
    println!("{due} are due alike; on purpose otherwise: {excepted:?}");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert!(due > EXPRESSIONS / 2, "the expressions are worth the comparison");
}

/// Prints when RQ's scheduler would fire next, after each time, by the clocks of `TZ`.
const RQ: &str = r#"
from rq.cron import CronJob
time.tzset()
for line in open(CASES, encoding='utf-8'):
    start, expression = line.rstrip('\n').split('\t')
    job = CronJob('default', func_name='f', cron=expression)
    job.latest_enqueue_time = datetime.datetime.fromtimestamp(int(start), datetime.timezone.utc)
    print(job.get_next_enqueue_time().strftime('%Y-%m-%dT%H:%M:%S.%fZ'))
"#;
/// How many expressions are compared in a zone.
const IN_A_ZONE: usize = 1_000;
/// How far a tick may be from a change of the clocks that is another one to RQ.
const AROUND_A_CHANGE: Duration = hours(25);

/// Away from the days on which clocks change. What we do on these is in rq-cron's zone.rs, and in docs/cron.md.
#[test]
fn zones_are_those_of_rqs_scheduler() {
    let seed = dice::seed();
    println!("seed {seed}");
    let texts = [
        "*/7 * * * *",
        "0 3 * * *",
        "30 2 * * 0",
        "15,45 */6 * * *",
        "0 0 1 * *",
        "0 12 l * *",
        "59 23 * * mon-fri",
    ];
    for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"] {
        let mut dice = Dice::new(seed);
        let zone = Zone::named(name).unwrap();
        let rules = jiff::tz::TimeZone::get(name).unwrap();
        let cases: Vec<(Timestamp, &str)> = (0..IN_A_ZONE)
            .map(|_| {
                let start_s = 1_500_000_000 + dice.below(500_000_000) as i64;
                (
                    Timestamp::from_epoch_us(start_s * 1_000_000),
                    texts[dice.below(texts.len() as u64) as usize],
                )
            })
            .collect();
        let mut around_a_change = 0;
        for ((start, text), theirs) in cases.iter().zip(printed(RQ, &cases, Some(name))) {
            let schedule = Schedule::At { expression: Expression::parse(text).unwrap(), zone: zone.clone() };
            let ours = schedule.next_after(*start).unwrap();
            let theirs = Timestamp::parse(&theirs).unwrap();
            if ours != theirs {
                let from =
                    jiff::Timestamp::from_microsecond(start.before(AROUND_A_CHANGE).epoch_us()).unwrap();
                let change = rules.following(from).next().map(|change| change.timestamp().as_microsecond());
                let until = ours.max(theirs).after(AROUND_A_CHANGE).epoch_us();
                assert!(
                    change.is_some_and(|change| change < until),
                    "{text} after {start}: {ours}, RQ {theirs}"
                );
                around_a_change += 1;
            }
        }
        println!("{name}: {around_a_change} otherwise around changes");
        assert!(around_a_change < IN_A_ZONE / 20);
    }
}

/// What a snippet of Python prints of these cases, a line each.
fn printed<T: Display>(snippet: &str, cases: &[(Timestamp, T)], zone: Option<&str>) -> Vec<String> {
    let folder = Folder::new("cron");
    let file = folder.path().join("cases");
    let lines: Vec<String> =
        cases.iter().map(|(start, text)| format!("{}\t{text}\n", start.epoch_secs())).collect();
    std::fs::write(&file, lines.concat()).unwrap();
    let zone = zone.map_or_else(String::new, |zone| format!("os.environ['TZ'] = {zone:?}\n"));
    let scratch = Scratch::new();
    let printed = Python::new(&scratch).run(&format!("{zone}CASES, COUNT = {file:?}, {TIMES}\n{snippet}"));
    printed.lines().map(str::to_owned).collect()
}
