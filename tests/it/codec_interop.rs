//! Python reads every value that we write, and we read every value that Python writes: the same `repr` on both
//! sides.
//!
//! Each direction is one Python process. The bytes go through lists in Redis.

use num_bigint::BigInt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rq_core::{Codec, Job, Payload, Value, zlib};
use rq_tests::{Python, Scratch};

/// The same values in every run.
const SEED: [u8; 32] = [7; 32];
/// How many values, and how many calls, go each way in each codec.
const VALUES: usize = 300;
const CALLS: usize = 150;

/// What both Python programs begin with: lists in Redis, and `shown`, a `repr` in which sets are sorted (Python's
/// order is not ours) and all is ASCII (versions of Unicode differ in what is printable).
const PYTHON: &str = r#"
import decimal, pickle, random, uuid, zlib
from rq.serializers import DefaultSerializer, JSONSerializer
from rq.utils import get_call_string

def key(name):
    return os.environ['RQ_KEY_PREFIX'] + ':' + name

def read(name):
    return conn.lrange(key(name), 0, -1)

def write(name, items):
    pipeline = conn.pipeline()
    for item in items:
        pipeline.rpush(key(name), item)
    pipeline.execute()

def ascii_of(text):
    return text.encode('ascii', 'backslashreplace').decode()

def shown(value):
    if type(value) is list:
        return '[' + ', '.join(map(shown, value)) + ']'
    if type(value) is tuple:
        return '(' + ', '.join(map(shown, value)) + (',)' if len(value) == 1 else ')')
    if type(value) is set and value:
        return '{' + ', '.join(sorted(map(shown, value))) + '}'
    if type(value) is frozenset and value:
        return 'frozenset({' + ', '.join(sorted(map(shown, value))) + '})'
    if type(value) is dict:
        return '{' + ', '.join(shown(k) + ': ' + shown(v) for k, v in value.items()) + '}'
    if type(value) is bytearray:
        value = bytes(value)
    return ascii_of(repr(value))

def call_shown(call):
    func, instance, args, kwargs = call
    assert instance is None
    return ascii_of(get_call_string(func, args, kwargs, max_length=75))
"#;

#[test]
fn python_reads_what_we_write() {
    let scratch = Scratch::new();
    let mut sent = Vec::new();
    for codec in [Codec::Pickle, Codec::Json] {
        let values = generated(values(codec, true), VALUES);
        let encoded = values.iter().map(|value| codec.encode_value(value).unwrap());
        push(&scratch, &format!("{codec}:values"), encoded);
        sent.push((format!("{codec}:values"), values.iter().map(shown).collect::<Vec<_>>()));

        let calls = generated(calls(codec), CALLS);
        let encoded = calls.iter().map(|call| zlib::deflate(&codec.encode_payload(call).unwrap()));
        push(&scratch, &format!("{codec}:calls"), encoded);
        sent.push((format!("{codec}:calls"), calls.iter().map(|call| ascii(&call.description())).collect()));
    }
    let read = "
for name, serializer in [('pickle', DefaultSerializer), ('json', JSONSerializer)]:
    values = [shown(serializer.loads(value)) for value in read(name + ':values')]
    write(name + ':values:shown', values)
    calls = [call_shown(serializer.loads(zlib.decompress(call))) for call in read(name + ':calls')]
    write(name + ':calls:shown', calls)
";
    Python::new(&scratch).run(&format!("{PYTHON}{read}"));
    for (name, expected) in sent {
        let shown = pull_text(&scratch, &format!("{name}:shown"));
        assert_eq!(shown.len(), expected.len(), "{name}");
        for (index, (python, ours)) in shown.iter().zip(&expected).enumerate() {
            assert_eq!(python, ours, "{name} {index}");
        }
    }
}

/// Every protocol of pickle, and JSON; shared references, batches of more than a thousand items, and all the classes
/// that are plain data to us.
#[test]
fn we_read_what_python_writes() {
    let scratch = Scratch::new();
    let write = format!(
        r#"
random.seed(7)

def pick(*makers):
    return random.choice(makers)()

def integer():
    return random.choice([-1, 1]) * random.getrandbits(random.choice([1, 8, 16, 31, 32, 63, 64, 65, 300]))

def number():
    return random.choice([0.0, -0.0, 1e16, 1e-5, 5e-324, 1.7976931348623157e308, float('inf'), float('-inf'),
                          float('nan'), random.random(), random.gauss(0, 1e9), random.random() * 1e-300])

# A high surrogate is never followed by a low one, which JSON would join.
def text():
    letters = random.choice(['abc xyz', 'a\'"\\\n\t\x00\x7f', 'é日本\u200b\U0001f600', 'a\ud800', 'a\udfff'])
    length = random.choice([0, 1, 5, 12, 255, 256, 300])
    return ''.join(random.choice(letters) for _ in range(length))

def plain_text():
    return ''.join(random.choice('ab é日\U0001f600\'"\\') for _ in range(random.randrange(12)))

def binary():
    return random.randbytes(random.choice([0, 1, 10, 255, 256, 300]))

def date():
    return datetime.date(random.randint(1, 9999), random.randint(1, 12), random.randint(1, 28))

def clock():
    us = random.choice([0, 1, 999999, random.randrange(10**6)])
    return datetime.time(random.randrange(24), random.randrange(60), random.randrange(60), us)

def zone():
    seconds = random.choice([0, 19800, -1800, 3661, -86399, 86399])
    return datetime.timezone.utc if seconds == 0 else datetime.timezone(datetime.timedelta(seconds=seconds))

def moment():
    return datetime.datetime.combine(date(), clock(), random.choice([None, zone()]))

def span():
    return random.choice([datetime.timedelta(0), datetime.timedelta.max, datetime.timedelta.min,
                          datetime.timedelta(random.randint(-999, 999), random.randint(-99999, 99999), 5)])

def decimal_number():
    return decimal.Decimal(random.choice(['0', '-0', '1.10', '1E+30', '-1.5E-20', 'NaN', 'Infinity',
                                          str(random.randrange(10**25))]))

def identifier():
    return uuid.UUID(int=random.getrandbits(128))

def hashable():
    simple = lambda: pick(integer, text, binary, date, moment, span, identifier, lambda: None, lambda: True)
    return random.choice([simple, lambda: tuple(simple() for _ in range(random.randrange(3)))])()

def leaf():
    return pick(lambda: None, lambda: random.random() < 0.5, integer, number, text, binary,
                lambda: bytearray(binary()), date, clock, moment, span, decimal_number, identifier)

def several(make):
    return [make() for _ in range(random.randrange(5))]

def shared():
    inner = [leaf()]
    word = text()
    return [inner, inner, {{word: word}}, (inner, word)]

def value(depth=3):
    deeper = lambda: value(depth - 1)
    if depth == 0:
        return leaf()
    sets = lambda: random.choice([set, frozenset])(several(hashable))
    entries = lambda: {{hashable(): deeper() for _ in range(3)}}
    return pick(leaf, lambda: several(deeper), lambda: tuple(several(deeper)), sets, sets, entries, shared)

def json_value(depth=3):
    simple = lambda: pick(lambda: None, lambda: True, integer, number, text)
    if depth == 0:
        return simple()
    deeper = lambda: json_value(depth - 1)
    return pick(simple, lambda: several(deeper), lambda: {{text(): deeper() for _ in range(3)}})

# As other languages write it: UTF-8, which has no lone surrogates.
def compact(value):
    try:
        return json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(',', ':')).encode()

def call(argument):
    kwargs = {{name: argument() for name in random.sample(['x', 'y2', 'y', 'z_z'], random.randrange(4))}}
    args = tuple(argument() for _ in range(random.randrange(4)))
    return ('tasks.' + random.choice(['add', 'größe']), None, args, kwargs)

# No sets, whose order is not ours, and text that all versions of Unicode print alike.
def argument():
    simple = lambda: pick(lambda: None, integer, number, plain_text, binary, date, moment, span,
                          decimal_number, identifier)
    return pick(simple, lambda: several(simple), lambda: tuple(several(simple)),
                lambda: {{plain_text(): simple()}})

def json_argument():
    simple = lambda: pick(lambda: None, lambda: False, integer, number, plain_text)
    return pick(simple, lambda: several(simple), lambda: {{plain_text(): simple()}})

large = [list(range(2500)), {{n: str(n) for n in range(2500)}}, set(range(2500)), 'x' * 70000, b'y' * 70000]
values = [value() for _ in range({VALUES})] + large
for protocol in range(6):
    write(f'pickle{{protocol}}', [pickle.dumps(v, protocol) for v in values])
write('pickle:shown', [shown(v) for v in values])
values = [json_value() for _ in range({VALUES})]
write('json', [JSONSerializer.dumps(v) for v in values])
write('json:compact', [compact(v) for v in values])
write('json:shown', [shown(v) for v in values])
calls = [call(argument) for _ in range({CALLS})]
write('pickle:calls', [zlib.compress(DefaultSerializer.dumps(c)) for c in calls])
write('pickle:calls:shown', [call_shown(c) for c in calls])
calls = [call(json_argument) for _ in range({CALLS})]
write('json:calls', [zlib.compress(JSONSerializer.dumps(c)) for c in calls])
write('json:calls:shown', [call_shown(c) for c in calls])
"#
    );
    Python::new(&scratch).run(&format!("{PYTHON}{write}"));

    let pickles = (0..6).map(|protocol| (Codec::Pickle, format!("pickle{protocol}"), "pickle:shown"));
    let jsons = ["json", "json:compact"].map(|name| (Codec::Json, name.to_owned(), "json:shown"));
    for (codec, name, expected) in pickles.chain(jsons) {
        check_all(&scratch, &name, expected, VALUES, |bytes| {
            assert_eq!(Codec::detect_value(bytes), codec);
            codec.decode_value(bytes).map(|value| shown(&value))
        });
    }
    for codec in [Codec::Pickle, Codec::Json] {
        let (name, expected) = (format!("{codec}:calls"), format!("{codec}:calls:shown"));
        check_all(&scratch, &name, &expected, CALLS, |bytes| {
            let (detected, call) = Job::new("j", "q", bytes.to_vec()).payload()?;
            assert_eq!(detected, codec);
            Ok(ascii(&call.description()))
        });
    }
}

/// What Python's zones say of times of all kinds, those that a zone has twice or not at all among them.
#[test]
fn times_in_named_zones_are_read_with_pythons_offsets() {
    let scratch = Scratch::new();
    let write = r"
import dateutil.tz, pickle, random, zoneinfo
random.seed(7)
names = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Etc/GMT+5', 'UTC', 'Africa/Casablanca']
zones = [zoneinfo.ZoneInfo(name) for name in names] + [dateutil.tz.gettz('Europe/Berlin'), dateutil.tz.tzutc()]
changes = [datetime.datetime(2024, 3, 31, 2, 30), datetime.datetime(2024, 10, 27, 2, 30), datetime.datetime(2024, 11, 3, 1, 30)]
anywhen = lambda: datetime.datetime(random.randint(1950, 2037), random.randint(1, 12), random.randint(1, 28), random.randrange(24))
times = [when.replace(tzinfo=zone, fold=fold) for zone in zones for when in changes + [anywhen() for _ in range(30)]
         for fold in (0, 1)]
# Before protocol 4 a pickle has no fold.
pickles = [pickle.dumps(when, protocol) for when in times for protocol in (4, 5)]
pickles += [pickle.dumps(when, protocol) for when in times if not when.fold for protocol in (0, 2)]
write('zones', pickles)
shown = [when.isoformat() for when in times for _ in range(2)] + [when.isoformat() for when in times if not when.fold for _ in range(2)]
write('zones:shown', [text.encode() for text in shown])
";
    Python::new(&scratch).run(&format!("{PYTHON}{write}"));
    check_all(&scratch, "zones", "zones:shown", 1000, |bytes| {
        let time = Codec::Pickle.decode_value(bytes)?;
        Ok(time.deserialize_into::<String>().unwrap())
    });
}

/// Compares what `read` makes of each item with what Python shows for it.
fn check_all(
    scratch: &Scratch,
    name: &str,
    expected: &str,
    at_least: usize,
    read: impl Fn(&[u8]) -> Result<String, rq_core::CodecError>,
) {
    let (items, expected) = (pull(scratch, name), pull_text(scratch, expected));
    assert!(items.len() == expected.len() && items.len() >= at_least, "{name}: {} items", items.len());
    for (index, (item, python)) in items.iter().zip(&expected).enumerate() {
        match read(item) {
            Ok(ours) => assert_eq!(&ours, python, "{name} {index}"),
            Err(error) => panic!("{name} {index}: {error}: {python}"),
        }
    }
}

fn push(scratch: &Scratch, name: &str, items: impl Iterator<Item = Vec<u8>>) {
    scratch.query::<()>("RPUSH", std::iter::once(scratch.key(name).into_bytes()).chain(items));
}

fn pull(scratch: &Scratch, name: &str) -> Vec<Vec<u8>> {
    scratch.query("LRANGE", [scratch.key(name), "0".to_owned(), "-1".to_owned()])
}

fn pull_text(scratch: &Scratch, name: &str) -> Vec<String> {
    let items = pull(scratch, name).into_iter();
    items.map(|item| String::from_utf8(item).expect("Python sends ASCII")).collect()
}

/// Python's `shown`.
fn shown(value: &Value) -> String {
    ascii(&sorted(value).repr())
}

/// With the members of sets in the order of their texts.
fn sorted(value: &Value) -> Value {
    let all = |items: &[Value]| items.iter().map(sorted).collect::<Vec<_>>();
    let in_order = |items: &[Value]| {
        let mut items = all(items);
        items.sort_by_key(|item| ascii(&item.repr()));
        items
    };
    match value {
        Value::List(items) => Value::List(all(items)),
        Value::Tuple(items) => Value::Tuple(all(items)),
        Value::Set(items) => Value::Set(in_order(items)),
        Value::FrozenSet(items) => Value::FrozenSet(in_order(items)),
        Value::Dict(entries) => {
            Value::Dict(entries.iter().map(|(key, value)| (sorted(key), sorted(value))).collect())
        }
        other => other.clone(),
    }
}

/// Python's `backslashreplace`.
fn ascii(text: &str) -> String {
    let escaped = |c: char| match u32::from(c) {
        _ if c.is_ascii() => c.to_string(),
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ ..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    };
    text.chars().map(escaped).collect()
}

// What we write

fn generated<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut next = || strategy.new_tree(&mut runner).expect("the strategies reject nothing").current();
    (0..count).map(|_| next()).collect()
}

fn calls(codec: Codec) -> impl Strategy<Value = Payload> {
    let kwargs = proptest::collection::btree_map("[a-z_]{1,8}", values(codec, false), 0..4);
    let args = vec(values(codec, false), 0..4);
    ("[a-zé]{1,10}\\.[a-z]{1,10}", args, kwargs).prop_map(|(func, args, kwargs)| Payload {
        func,
        args,
        kwargs: kwargs.into_iter().collect(),
    })
}

/// Values that the codec has types for; JSON gives back lists and text keys alone.
fn values(codec: Codec, with_sets: bool) -> BoxedStrategy<Value> {
    let is_json = codec == Codec::Json;
    let leaf = if is_json { json_leaves() } else { leaves() };
    leaf.prop_recursive(4, 32, 5, move |inner| {
        let list = vec(inner.clone(), 0..5).prop_map(Value::List);
        let key = if is_json { text() } else { hashable() };
        let dict = vec((key, inner.clone()), 0..5).prop_map(dict);
        if is_json {
            return prop_oneof![list, dict].boxed();
        }
        let tuple = vec(inner, 0..5).prop_map(Value::Tuple);
        if !with_sets {
            return prop_oneof![list, dict, tuple].boxed();
        }
        let members = || vec(hashable(), 0..5).prop_map(distinct);
        prop_oneof![list, dict, tuple, members().prop_map(Value::Set), members().prop_map(Value::FrozenSet)]
            .boxed()
    })
    .boxed()
}

fn json_leaves() -> BoxedStrategy<Value> {
    let float = prop_oneof![any::<f64>(), (-50_i32..50).prop_map(|exponent| 10_f64.powi(exponent))];
    let surrogates = (0xa0_u8..0xc0, 0x80_u8..0xc0)
        .prop_map(|(second, third)| Value::Surrogates(vec![b'a', 0xed, second, third, b'.']));
    let bool = any::<bool>().prop_map(Value::Bool);
    prop_oneof![Just(Value::Null), bool, integer(), float.prop_map(Value::Float), text(), surrogates].boxed()
}

fn leaves() -> BoxedStrategy<Value> {
    let decimal = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?|-?[1-9]\\.[0-9]{1,5}E[+-][1-9][0-9]|NaN|-?Infinity";
    let bytes = vec(any::<u8>(), 0..300).prop_map(Value::Bytes);
    prop_oneof![json_leaves(), bytes, times(), decimal.prop_map(Value::Decimal), uuids()].boxed()
}

/// None of which equals one of another type.
fn hashable() -> BoxedStrategy<Value> {
    let scalar = prop_oneof![Just(Value::Null), integer(), text(), uuids()];
    prop_oneof![scalar.clone(), vec(scalar, 0..3).prop_map(Value::Tuple)].boxed()
}

fn integer() -> BoxedStrategy<Value> {
    let large = vec(any::<u8>(), 0..40).prop_map(|bytes| BigInt::from_signed_bytes_le(&bytes).into());
    prop_oneof![
        any::<i8>().prop_map(|small| Value::Int(small.into())),
        any::<i64>().prop_map(Value::Int),
        large
    ]
    .boxed()
}

/// Characters whose printing no version of Unicode has changed.
fn text() -> BoxedStrategy<Value> {
    prop_oneof!["[ -~]{0,12}", "[a-z]{250,260}", "[a\n\t'\"\\\\é日\u{200b}\u{1f600}\0\u{7f}\u{ad}]{0,12}"]
        .prop_map(Value::Str)
        .boxed()
}

fn uuids() -> BoxedStrategy<Value> {
    any::<u128>().prop_map(|number| Value::Uuid(uuid::Uuid::from_u128(number))).boxed()
}

fn times() -> BoxedStrategy<Value> {
    const LONGEST_US: i128 = 999_999_999 * 86_400_000_000;
    let date = || (1_i16..=9999, 1_i8..=12, 1_i8..=28).prop_map(|(y, m, d)| jiff::civil::date(y, m, d));
    let time = || {
        let us = prop_oneof![Just(0), 0_i32..1_000_000];
        (0_i8..24, 0_i8..60, 0_i8..60, us).prop_map(|(h, m, s, us)| jiff::civil::time(h, m, s, us * 1000))
    };
    let offset =
        prop_oneof![Just(0), (-1439_i32..=1439).prop_map(|minutes| minutes * 60), -86_399_i32..=86_399]
            .prop_map(|seconds| jiff::tz::Offset::from_seconds(seconds).expect("less than a day"));
    let moment = (date(), time(), proptest::option::of(offset))
        .prop_map(|(date, time, offset)| Value::DateTime { civil: date.to_datetime(time), offset });
    let span = prop_oneof![-1_000_000_000_i128..1_000_000_000, -LONGEST_US..=LONGEST_US];
    prop_oneof![
        moment,
        date().prop_map(Value::Date),
        time().prop_map(Value::Time),
        span.prop_map(Value::TimeDelta)
    ]
    .boxed()
}

fn distinct(items: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

fn dict(entries: Vec<(Value, Value)>) -> Value {
    let mut kept: Vec<(Value, Value)> = Vec::new();
    for (key, value) in entries {
        if kept.iter().all(|(known, _)| *known != key) {
            kept.push((key, value));
        }
    }
    Value::Dict(kept)
}
