//! RQ's configurations in Python register with us what they register with RQ.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rq_core::Codec;
use rq_cron::{CheckedEntry, Cron, Schedule};
use rq_tests::{Folder, Python, Scratch};
use serde_json::{Value, json};

/// What is compared of the hashes of jobs.
const FIELDS: [&str; 8] =
    ["origin", "description", "timeout", "result_ttl", "ttl", "failure_ttl", "meta", "webhooks"];

/// Configurations as people write them.
const CONFIGS: [(&str, &str); 15] = [
    (
        "as RQ's documentation has it",
        "
from rq import cron
from interop import add, echo

# Every five minutes
cron.register(add, queue_name='default', args=(1, 2), interval=300)
cron.register(echo, queue_name='low', kwargs={'value': 'x'}, cron='0 3 * * *')
",
    ),
    ("a module's functions", "import interop\nfrom rq import cron\ncron.register(interop.add, 'q', (1, 2), interval=5)"),
    ("under other names", "import interop as i\nfrom rq.cron import register as r\nr(i.add, 'q', [1, 2], None, 5)"),
    ("by its whole path", "import rq.cron, interop\nrq.cron.register(interop.add, 'q', args=(), interval=60 * 60)"),
    (
        "constants",
        "
'''The entries of this program'''
from __future__ import annotations
from rq.cron import register
from interop import (
    add,
    echo as say,  # says it
)

HOUR = 60 * 60
QUEUE: str = 'low'
PAIR = (1, 2)

register(add, QUEUE, args=PAIR, interval=2 * HOUR, name='a')
register(say, QUEUE, args=['x'], interval=HOUR // 2 - 1, name='b')
",
    ),
    (
        "every option",
        "
from rq import cron
from rq.webhook import Webhook
import interop
cron.register(
    func=interop.add,
    queue_name='default',
    args=(1,),
    kwargs={'y': 2},
    interval=3600,
    job_timeout=30,
    result_ttl=10,
    ttl=100,
    failure_ttl=50,
    meta={'m': 1, 'deep': {'list': [1, 2.5, None]}},
    webhooks=[
        Webhook('https://example.com/done', 'finished'),
        Webhook(url='http://127.0.0.1:9/', job_status='failed', method='POST', headers={'X-A': 'b'}, timeout=5),
    ],
    name='my-interval',
)
",
    ),
    (
        "in their order",
        "from rq import cron, Webhook\nfrom interop import add\n\
         cron.register(add, 'q', (1, 2), {}, 60, None, '1h', -1, 20, -1, {'a': 'b'}, \
         [Webhook('https://example.com', 'failed')], 'n')",
    ),
    ("a timeout with a unit", "from rq import cron\nfrom interop import add\ncron.register(add, 'q', interval=1, job_timeout='2H')"),
    ("no timeout", "from rq import cron\nfrom interop import add\ncron.register(add, 'q', interval=1, job_timeout=-1)"),
    (
        "what is not given",
        "from rq import cron\nfrom interop import add\ncron.register(add, 'q', None, None, 0, '@daily', None, 500, None, None, None, None, '')",
    ),
    (
        "texts",
        r#"
from rq import cron
from interop import echo
cron.register(echo, "q", args=('it\'s', "a" 'b', r'\d', '''three
lines
''', '\x41\u00e9\101\n', u'ü', '\q', 'a\
b'), cron='0 0 * * mon-fri')
"#,
    ),
    ("bytes", "from rq import cron\nfrom interop import echo\ncron.register(echo, 'q', args=(b'a\\x00\\xff', B'', rb'\\d'), interval=5)"),
    (
        "numbers",
        "from rq import cron\nfrom interop import echo\n\
         cron.register(echo, 'q', args=(1_000, 0xff, 0o17, 0b11, -1, +2, 1.5, -2e3, .5, 5., -7 // 2, -7 % 3, 7 % -3, (1 + 2) * 3), interval=5)",
    ),
    (
        "values within values",
        "from rq import cron\nfrom interop import echo\n\
         cron.register(echo, 'q', args=[[1, [2, (3,)]], {'a': {'b': [None, True, False]}, 1: 'one', (1, 2): 'pair'}, (), [], {}, (1)], interval=5)",
    ),
    (
        "lines and comments",
        "from rq import cron; import interop\nif_ = 5 ; \\\nq = 'low'  # the queue\njob = cron.register(\n  interop.add, # the function\n\n  q,\n# no more\n  interval=if_,)\n\n\n# the end",
    ),
];

/// Loads a configuration as RQ's scheduler does, enqueues each entry, and prints in what it is not as we read it.
const COMPARE: &str = r#"
import base64, pickle, zlib
from rq.cron import CronScheduler
def call(data):
    # RQ keeps a list of arguments as one, and calls with it all the same.
    function, instance, args, kwargs = pickle.loads(zlib.decompress(data))
    return function, instance, tuple(args), kwargs
scheduler = CronScheduler(connection=conn, logging_level='ERROR')
scheduler.load_config_from_file(CONFIG)
jobs, ours = scheduler.get_jobs(), json.load(open(OURS))
if len(jobs) != len(ours):
    print(f'{len(jobs)} entries, ours {len(ours)}')
for job, our in zip(jobs, ours):
    hash = conn.hgetall(job.enqueue(conn).key)
    theirs = {'name': job.name, 'interval': job.interval or None, 'cron': job.cron}
    read = {'name': our['name'], 'interval': our['interval'], 'cron': our['cron']}
    plain = {'meta': pickle.loads, 'webhooks': json.loads}
    for field in FIELDS:
        text = plain.get(field, bytes.decode)
        raw, given = hash.get(field.encode()), our['fields'].get(field)
        theirs[field] = text(raw) if raw else None
        read[field] = text(base64.b64decode(given)) if given else None
    theirs['call'] = call(hash[b'data'])
    read['call'] = call(base64.b64decode(our['fields']['data']))
    for key, value in theirs.items():
        if (repr(value) if key == 'call' else value) != (repr(read[key]) if key == 'call' else read[key]):
            print(f'{key} is {value!r}, ours {read[key]!r}')
print(len(jobs), 'compared')
"#;

#[test]
fn configurations_register_what_they_register_with_rq() {
    let folder = Folder::new("cron-configs");
    for (number, (about, config)) in CONFIGS.iter().enumerate() {
        let file = folder.path().join(format!("config_{number}.py"));
        std::fs::write(&file, config).unwrap();
        let cron = Cron::read(&file).unwrap_or_else(|error| panic!("{about}: {error}")).check().unwrap();
        let entries: Vec<Value> = cron.entries().iter().map(shown).collect();
        let ours = folder.path().join("ours.json");
        std::fs::write(&ours, json!(entries).to_string()).unwrap();
        let scratch = Scratch::new();
        let snippet = format!("CONFIG, OURS, FIELDS = {file:?}, {ours:?}, {FIELDS:?}\n{COMPARE}");
        let printed = Python::new(&scratch).run(&snippet);
        assert_eq!(printed, format!("{} compared\n", entries.len()), "{about}");
    }
}

/// An entry as we read it, for Python to compare.
fn shown(entry: &CheckedEntry) -> Value {
    let (interval, cron) = match entry.schedule() {
        Schedule::Every(interval) => (Some(interval.duration().as_secs()), None),
        Schedule::At { expression, .. } => (None, Some(expression.as_str())),
    };
    let fields = entry.job(Codec::Pickle).unwrap().to_fields();
    let field = |name: &str| fields.get(name).map(|bytes| STANDARD.encode(bytes));
    let fields: serde_json::Map<String, Value> =
        FIELDS.iter().chain(&["data"]).map(|name| ((*name).to_owned(), json!(field(name)))).collect();
    json!({"name": entry.name(), "interval": interval, "cron": cron, "fields": fields})
}
