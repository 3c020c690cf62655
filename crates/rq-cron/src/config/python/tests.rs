use crate::cron::Cron;
use rq_core::{Codec, Payload, zlib};

/// The calls of a configuration, and when they are due.
fn read(text: &str) -> Vec<String> {
    let cron = Cron::from_python(text).unwrap_or_else(|error| panic!("{error}\n{text}")).check().unwrap();
    let shown = |entry: &crate::entry::CheckedEntry| {
        let job = entry.job(Codec::Pickle).unwrap();
        format!("{} on {} {}", job.description.unwrap(), entry.queue_name(), entry.schedule())
    };
    cron.entries().iter().map(shown).collect()
}

fn refused(text: &str) -> String {
    Cron::from_python(text).expect_err(text).to_string()
}

#[test]
fn functions_are_named_by_how_they_are_imported() {
    for (import, function, name) in [
        ("import tasks", "tasks.greet", "tasks.greet"),
        ("import app.tasks", "app.tasks.greet", "app.tasks.greet"),
        ("import app.tasks as t", "t.greet", "app.tasks.greet"),
        ("import os, app.tasks as t, sys", "t.greet", "app.tasks.greet"),
        ("from app import tasks", "tasks.greet", "app.tasks.greet"),
        ("from app.tasks import greet", "greet", "app.tasks.greet"),
        ("from app.tasks import greet as hello", "hello", "app.tasks.greet"),
        ("from app.tasks import (\n    other,  # the other one\n    greet,\n)", "greet", "app.tasks.greet"),
        ("x = 1", "'tasks.greet'", "tasks.greet"),
        ("from app.tasks import greet\nhello = greet", "hello", "app.tasks.greet"),
    ] {
        let text = format!("from rq import cron\n{import}\ncron.register({function}, 'q', interval=60)\n");
        assert_eq!(read(&text), [format!("{name}() on q every 60 seconds")], "{text}");
    }
}

#[test]
fn register_is_found_wherever_it_comes_from() {
    for (import, call) in [
        ("from rq import cron", "cron.register"),
        ("from rq import cron as c", "c.register"),
        ("import rq.cron", "rq.cron.register"),
        ("from rq.cron import register", "register"),
        ("from rq.cron import register as r", "job = r"),
    ] {
        let text = format!("{import}\n{call}('tasks.greet', 'q', cron='0 3 * * *')");
        assert_eq!(read(&text), ["tasks.greet() on q at 0 3 * * * (local)"], "{text}");
    }
}

#[test]
fn values_are_those_of_python() {
    for (written, shown) in [
        ("1_000, -2, +3, 0x1f, 0o17, 0b11", "1000, -2, 3, 31, 15, 3"),
        ("1.5, -2e3, .5, 5.", "1.5, -2000.0, 0.5, 5.0"),
        ("True, False, None", "True, False, None"),
        (
            r#"'a', "b", 'it\'s', "\n\t\x41\u00e9\101", r'\d', 'a' "b""#,
            r#"'a', 'b', "it's", '\n\tAéA', '\\d', 'ab'"#,
        ),
        ("'''a\n'b' ''', \"\"\"c\"\"\"", r#""a\n'b' ", 'c'"#),
        (r"b'a\x00\xff', b'''b'''", r"b'a\x00\xff', b'b'"),
        ("[1, [2, 3,]], [], (), (1,), (1, 2), (1)", "[1, [2, 3]], [], (), (1,), (1, 2), 1"),
        ("{'a': 1, 'b': {'c': []}, 'a': 2}, {}", "{'a': 2, 'b': {'c': []}}, {}"),
        ("60*60, 2 + 3 * 4, (2 + 3) * 4, 7 // 2, -7 // 2, -7 % 3, 10 - 2 - 3", "3600, 14, 20, 3, -4, 2, 5"),
        ("HOUR, 2 * HOUR, NAMES", "3600, 7200, ['a', 'b']"),
        ("'a' # , 'b'\n    , 'c' \\\n , 'd'", "'a', 'c', 'd'"),
    ] {
        let text = format!(
            "'''Entries'''\nfrom rq import cron\nHOUR = 60 * 60; NAMES: list[str] = ['a', 'b']\n\
             cron.register('f.f', 'q', interval=1, args=[\n{written},\n])"
        );
        let cron =
            Cron::from_python(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).check().unwrap();
        let job = cron.entries()[0].job(Codec::Pickle).unwrap();
        let payload: Payload =
            Codec::Pickle.decode_payload(&zlib::inflate(&job.data, 1 << 20).unwrap()).unwrap();
        assert_eq!(payload.description(), format!("f.f({shown})"), "{text}");
    }
}

#[test]
fn parameters_have_names_or_places() {
    let text = "
from rq import cron, Webhook
cron.register('f.f', 'low', (1,), {'b': 2}, 300, None, '1h', 10, 20, 30, {'m': 1}, [
    Webhook('https://example.com', 'failed', method='POST', headers={'X-A': 'b'}, timeout=5),
], 'n')
";
    let cron = Cron::from_python(text).unwrap().check().unwrap();
    let entry = &cron.entries()[0];
    let job = entry.job(Codec::Pickle).unwrap();
    assert_eq!(
        (entry.name(), entry.queue_name(), entry.schedule().to_string().as_str()),
        ("n", "low", "every 300 seconds")
    );
    assert_eq!(job.description.as_deref(), Some("f.f(1, b=2)"));
    assert_eq!(job.timeout.unwrap().to_wire(), 3_600);
    assert_eq!(job.result_ttl.unwrap().to_wire(), 10);
    assert_eq!((job.ttl_s, job.failure_ttl.unwrap().to_wire()), (Some(20), 30));
    assert!(job.meta.is_some() && job.webhooks.is_some());
    let plain =
        "from rq.cron import register\nregister('f.f', 'q', interval=0, cron='@daily', name='', args=None)";
    let cron = Cron::from_python(plain).unwrap().check().unwrap();
    assert_eq!(cron.entries()[0].name(), "f.f");
    assert_eq!(cron.entries()[0].job(Codec::Pickle).unwrap().result_ttl.unwrap().to_wire(), 500);
}

#[test]
fn what_is_not_plain_is_refused_with_its_line() {
    let instead = "never executed; write the entries in rq.toml";
    for (line, says) in [
        ("for x in [1, 2]:", instead),
        ("if True: pass", instead),
        ("@job", instead),
        ("def f(): pass", instead),
        ("import os\nx = os.environ['A']", "`os.environ[..]` is not read"),
        ("import os\ncron.register('f.f', os.getenv('Q'), interval=1)", "`os.getenv` cannot be called"),
        ("cron.register('f.f', QUEUE, interval=1)", "`QUEUE` is not known"),
        ("cron.register('f.f', f'q{1}', interval=1)", "a text with values in it"),
        ("cron.register('f.f', 'q', interval=1.5 * 2)", "whole numbers alone"),
        ("cron.register('f.f', 'q', interval=1 // 0)", "no number of 64 bits"),
        ("cron.register('f.f', 'q', interval=9223372036854775807 + 1)", "no number of 64 bits"),
        ("cron.register('f.f', 'q', interval=60 if x else 5)", instead),
        ("cron.register('f.f', 'q', args=[x for x in y], interval=1)", "`x` is not known"),
        ("cron.register('f.f', 'q', **options)", instead),
        ("cron.register('f.f', 'q', interval=1, 'x')", "behind an argument with a name"),
        ("cron.register('f.f', 'q', every=1)", "there is no `every`"),
        ("cron.register('f.f', 'q', intervall=1)", "did you mean `interval`"),
        ("cron.register('f.f', 'q')", "when it is due: write `interval` or `cron`"),
        ("cron.register('f.f', 'q', interval=1, cron='* * * * *')", "both `interval` and `cron`"),
        ("cron.register('f.f', interval=1)", "needs a `queue_name`"),
        ("cron.register('f.f', 'q', interval=-1)", "`interval` cannot be used"),
        ("cron.register('f.f', 'q', cron='61 * * * *')", "minute has 61"),
        ("cron.register('f.f', 'q', interval=1, job_timeout='soon')", "`job_timeout` cannot be used"),
        ("cron.register('f.f', 'q', interval=1, interval=2)", "given twice"),
        ("cron.register(lambda: 1, 'q', interval=1)", "`lambda` is not known"),
        ("cron.unregister('f.f')", "`rq.cron.unregister` cannot be called"),
        ("print('hello')", instead),
        ("x = 'a", "no end"),
        ("x = '''a", "no end"),
        ("x = 012", "no number"),
        ("x = 99999999999999999999", "no number"),
        ("x = 1j", "no number"),
        ("x = [1", "not closed"),
        ("x = [1)", "where `]` is expected"),
        ("x = $", "is not read"),
        ("x = {'a', 'b'}", "where `:` is expected"),
        ("from . import tasks", "relative import"),
        ("from tasks import *", "write the names"),
        ("    x = 1", "a line that is set in is not read here"),
        ("for x in [1]:\n    pass", "a block of `for` is not read here"),
        ("async def f():\n    pass", "a block of `async` is not read here"),
        ("cron", "only calls of `register`"),
    ] {
        let text = format!("# a comment\nfrom rq import cron\n\n{line}\n");
        let said = refused(&text);
        let number = 4 + line.matches('\n').count();
        assert!(said.contains(says), "{line}: {said}");
        assert!(said.starts_with(&format!("line {number}: ")), "{line}: {said}");
    }
}

#[test]
fn depth_has_an_end() {
    let text = format!("x = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(refused(&text).contains("within each other"));
}

/// Constants of constants.
#[test]
fn what_constants_grow_to_has_an_end() {
    let mut text = "a0 = [1, 1]\n".to_owned();
    for number in 1..64 {
        let before = number - 1;
        text += &format!("a{number} = [a{before}, a{before}]\n");
    }
    assert!(refused(&text).contains("the values come to more than"));
    let long = format!("t = '{}'\nx = [{}]\n", "x".repeat(100_000), "t,".repeat(200));
    assert!(refused(&long).starts_with("line 2: "));
}

#[test]
fn errors_of_entries_have_their_lines() {
    let said = refused("from rq import cron\ncron.register(\n 'f.f',\n 'q,r',\n interval=5)");
    assert!(said.starts_with("line 4: "), "{said}");
    let said = refused("from rq import cron\ncron.register(\n lambda_,\n 'q',\n interval=5)");
    assert!(said.starts_with("line 3: "), "{said}");
    let said = refused(
        "from rq import cron\ncron.register('f.f', 'q', interval=5)\n\ncron.register('f.f', 'q', interval=6)",
    );
    assert!(
        said.starts_with("line 4: two entries are called \"f.f\"") && said.contains("name='..'"),
        "{said}"
    );
    let said = refused("from rq import cron\ncron.register(\n 'f.f',\n 'q',\n interval='never')");
    assert!(said.starts_with("line 5: "), "{said}");
}

proptest::proptest! {
    #[test]
    fn no_text_does_harm(text in "(?s)[a-z0-9'\"\\\\\\[\\](){}.,:=+*/ #\\n-]{0,200}|(?s).{0,80}") {
        let _ = Cron::from_python(&text);
        let _ = Cron::from_python(&format!("from rq.cron import register\nregister({text})"));
    }
}
