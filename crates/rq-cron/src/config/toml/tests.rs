use crate::catch_up::CatchUp;
use crate::cron::Cron;
use crate::overlap::Overlap;
use rq_core::{Codec, Value};

fn refused(text: &str) -> String {
    Cron::from_toml(text).expect_err(text).to_string()
}

#[test]
fn every_key_is_read() {
    let cron = Cron::from_toml(
        r#"
[worker]
queues = ["high"]

[[cron]]
name = "daily report"
function = "reports.daily"
queue = "low"
args = [2026, 1.5, true, "x", [1, 2], { a = 1 }, 2026-11-28T15:00:00+01:00, 2026-11-28]
kwargs = { zeta = 1, alpha = "b" }
at = "0 3 * * *"
zone = "Europe/Berlin"
overlap = "skip"
catch_up = "all"
timeout = "10m"
result_ttl = "1h"
ttl = 60
failure_ttl = "7d"
meta = { team = "ops" }
description = "the daily report"
webhooks = [{ url = "https://example.com", status = "failed", method = "POST", timeout = 5, headers = { X-A = "b" } }]

[[cron]]
function = "accounts.sync"
every = "5m"

[cron.kwargs]
deep = true
"#,
    );
    let cron = cron.unwrap().check().unwrap();
    let [report, sync] = cron.entries() else { panic!("two entries") };
    let job = report.job(Codec::Pickle).unwrap();
    assert_eq!((report.name(), report.queue_name()), ("daily report", "low"));
    assert_eq!(report.schedule().to_string(), "at 0 3 * * * (Europe/Berlin)");
    assert_eq!((report.overlap(), report.catch_up()), (Overlap::Skip, CatchUp::All));
    assert_eq!(job.description.as_deref(), Some("the daily report"));
    assert_eq!(job.timeout.unwrap().to_wire(), 600);
    assert_eq!((job.result_ttl.unwrap().to_wire(), job.failure_ttl.unwrap().to_wire()), (3_600, 604_800));
    assert_eq!(job.ttl_s, Some(60));
    let payload = Codec::Pickle.decode_payload(&rq_core::zlib::inflate(&job.data, 1 << 20).unwrap()).unwrap();
    assert_eq!(
        payload.description(),
        "reports.daily(2026, 1.5, True, 'x', [1, 2], {'a': 1}, \
         datetime.datetime(2026, 11, 28, 15, 0, tzinfo=datetime.timezone(datetime.ti..., \
         datetime.date(2026, 11, 28), alpha='b', zeta=1)"
    );
    assert_eq!(payload.kwargs[0].0, "zeta", "as they were written");
    let meta = Codec::Pickle.decode_value(job.meta.as_deref().unwrap()).unwrap();
    assert_eq!(meta, Value::Dict(vec![("team".into(), "ops".into())]));
    assert!(job.webhooks.is_some());
    assert_eq!((sync.name(), sync.queue_name()), ("accounts.sync", "default"));
    assert_eq!(sync.schedule().to_string(), "every 300 seconds");
    assert_eq!(sync.job(Codec::Pickle).unwrap().description.as_deref(), Some("accounts.sync(deep=True)"));
    assert_eq!(sync.job(Codec::Pickle).unwrap().result_ttl.unwrap().to_wire(), 500);
}

#[test]
fn a_file_without_entries_has_none() {
    for text in ["", "[worker]\nqueues = []\n", "cron = []\n"] {
        assert_eq!(Cron::from_toml(text).unwrap().check().unwrap().entries().len(), 0);
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_line() {
    for (line, number, says) in [
        ("every = 5\nfunction = \"a.b\"\ntimout = 5", 5, "did you mean `timeout`"),
        ("every = 5\nfunction = \"a.b\"\nxyz = 5", 5, "there is no `xyz`, but `function`"),
        ("every = 5", 2, "no `function`"),
        ("function = \"a.b\"", 2, "when it is due: write `every` or `at`"),
        ("function = \"a.b\"\nevery = 5\nat = \"@daily\"", 2, "both `every` and `at`"),
        ("function = \"a.b\"\nevery = 0", 4, "a second at least"),
        ("function = \"a.b\"\nevery = \"often\"", 4, "`every` cannot be used"),
        ("function = \"a.b\"\nat = \"0 3 * *\"", 4, "4 fields"),
        ("function = \"a.b\"\nat = \"@daily\"\nzone = \"Berlin\"", 5, "such as Europe/Berlin"),
        ("function = \"a.b\"\nevery = 5\nzone = \"UTC\"", 5, "says nothing of an interval"),
        ("function = \"a b\"\nevery = 5", 2, "dotted path"),
        ("function = \"a.b\"\nevery = 5\nqueue = \"a,b\"", 5, "comma"),
        ("function = \"a.b\"\nevery = 5\nname = \" a\"", 5, "white space"),
        ("function = \"a.b\"\nevery = 5\noverlap = \"never\"", 5, "`allow`, `skip`"),
        ("function = \"a.b\"\nevery = 5\ncatch_up = true", 5, "`none`, `latest`, `all`"),
        ("function = \"a.b\"\nevery = 5\nargs = 5", 5, "no list"),
        ("function = \"a.b\"\nevery = 5\ntimeout = 0", 5, "more than 0, or -1"),
        ("function = \"a.b\"\nevery = 5\nwebhooks = [{ url = \"x\" }]", 5, "needs a `status`"),
        ("function = \"a.b\"\nevery = 5\nwebhooks = [{ url = \"x\", status = \"failed\" }]", 2, "webhook"),
        (
            "function = \"a.b\"\nevery = 5\nwebhooks = [{ uri = \"x\", status = \"failed\" }]",
            5,
            "did you mean `url`",
        ),
        ("function = \"a.b\"\nevery = 5\nevery = 6", 5, "duplicate key"),
        ("function = \"a.b\"\nevery = 99999999999999999999", 4, ""),
        ("function = a.b", 3, ""),
    ] {
        let text = format!("\n[[cron]]\n{line}\n");
        let said = refused(&text);
        assert!(said.contains(says), "{line}: {said}");
        assert!(said.starts_with(&format!("line {number}: ")), "{line}: {said}");
    }
    assert!(refused("[cron]\nfunction = \"a.b\"").contains("[[cron]]"));
    assert!(refused("cron = 5").contains("[[cron]]"));
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let text = "[[cron]]\nfunction = \"a.b\"\nevery = 5\n".repeat(2);
    let said = refused(&text);
    let expected = "line 4: two entries are called \"a.b\", this one and that of line 1: give one of them another name, with `name = \"..\"`";
    assert_eq!(said, expected);
}

#[test]
fn a_table_that_is_nearly_ours_is_found() {
    for (text, found) in [
        ("[[crons]]\nfunction = \"a.b\"", Some("`crons`, in line 1")),
        ("\n[[corn]]\n", Some("`corn`, in line 2")),
        ("[worker]\n[core]\n[jobs]\n", None),
    ] {
        let found_there = super::nearly_ours(text);
        assert_eq!(found_there.as_deref(), found, "{text}");
    }
}
