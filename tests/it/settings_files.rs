//! Settings files are read as Python imports them, or refused with the line that cannot be read.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rq_config::{Fault, Setting, settings_of_python, settings_of_toml};
use rq_core::Value;
use rq_tests::{Python, Scratch};

/// Files that are read.
const READ: [&str; 22] = [
    "annotated",
    "by_condition",
    "casts",
    "commented",
    "compose",
    "django_module",
    "documented",
    "empty",
    "flask_config",
    "logging_dict",
    "lower_case",
    "overridden",
    "parts",
    "queue_texts",
    "queues_by_environment",
    "sentinel",
    "sentry",
    "single_url",
    "truths",
    "twelve_factor",
    "unicode_texts",
    "windows",
];
/// Files that are not, the line that is to blame, and what is said of it.
const REFUSED: [(&str, usize, &str); 20] = [
    ("refused_augmented", 2, "`+=` is not read"),
    ("refused_class", 5, "a block of `class` is not read"),
    ("refused_comprehension", 4, "a comprehension is not read"),
    ("refused_condition", 7, "there is no variable `NO_SUCH` in the environment"),
    ("refused_decouple", 3, "`decouple.config` cannot be called"),
    ("refused_dotenv", 4, "`dotenv.load_dotenv` cannot be called"),
    ("refused_format", 3, "`.format`, a method of a value, is not read"),
    ("refused_function", 5, "a block of `def` is not read"),
    ("refused_if_debug", 6, "a block of `if` is not read"),
    ("refused_imported", 1, "`REDIS_URL` is `app.settings.REDIS_URL` of another module"),
    ("refused_less", 4, "`>` is not read"),
    ("refused_missing", 5, "there is no variable `NO_SUCH` in the environment"),
    ("refused_path", 3, "`pathlib.Path` cannot be called"),
    ("refused_percent", 3, "`%` is read between whole numbers alone"),
    ("refused_relative", 1, "a relative import"),
    ("refused_split", 4, "`.split` is read with nothing, or with one text that is not empty"),
    ("refused_star", 1, "an import of everything is not read"),
    ("refused_try", 4, "a block of `try` is not read"),
    (
        "refused_unset",
        4,
        "`.split` is a method of texts, and there is None, as of a variable that is not set",
    ),
    ("refused_with", 2, "a block of `with` is not read"),
];
/// Tables of `rq.toml`, and the modules that say the same.
const TABLES: [&str; 3] = ["logging_dict", "parts", "sentinel"];
/// The environment.
const VARIABLES: [(&str, &str); 9] = [
    ("REDIS_URL", "redis://of-the-environment:6380/2"),
    ("STAGE", "stäge"),
    ("WEB_CONCURRENCY", "4"),
    ("REDIS_PORT", "6390"),
    ("SPACED", "\t 6_400 "),
    ("EMPTY", ""),
    ("DEBUG", "0"),
    ("TLS", "Yes"),
    ("QUEUES", "high, default ,low"),
];

/// Imports modules as RQ does, and prints of each what is plain: name, line, repr.
const IMPORT: &str = r"
import ast
from rq.cli.helpers import read_config_file
sys.path.insert(0, FOLDER)
for name in [name for name in os.environ if name not in KEPT]:
    del os.environ[name]
os.environ.update(VARIABLES)
def is_plain(value):
    if isinstance(value, (list, tuple, set)):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(is_plain(part) for pair in value.items() for part in pair)
    return value is None or isinstance(value, (bool, int, float, str, bytes))
def lines(module):
    lines = {}
    for statement in ast.parse(open(f'{FOLDER}/{module}.py', 'rb').read()).body:
        for target in getattr(statement, 'targets', [getattr(statement, 'target', None)]):
            if isinstance(target, ast.Name) and statement.value is not None:
                lines[target.id] = target.lineno
    return lines
for module in MODULES:
    settings, at = read_config_file(module), lines(module)
    plain = {name: [at[name], repr(value)] for name, value in settings.items() if is_plain(value)}
    print(json.dumps(plain))
";

/// Configures Python's logging as RQ's worker does, in a process for each case, logs a line at each level, and prints what
/// is not as the table has it.
const LOG: &str = r"
import logging.config, tempfile
import rq.cli
from rq.logutils import setup_loghandlers
def log(case):
    open('old.log', 'w').write('before\n')
    for descriptor, name in ((1, 'out'), (2, 'err')):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    logging.config.dictConfig(case['config'])
    # The command does so, and the worker that it starts.
    setup_loghandlers(None)
    setup_loghandlers(case['level'])
    for level in ('debug', 'info', 'warning', 'error'):
        getattr(logging.getLogger('rq.worker'), level)('a line at %s', level)
    sys.stdout.flush()
    sys.stderr.flush()
def read(path):
    return ''.join('0' if char.isdigit() else char for char in open(path).read())
cases = json.load(open(CASES))
for case in cases:
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.chdir(folder)
                log(case)
                code = 0
            finally:
                os._exit(code)
        code = os.waitpid(child, 0)[1]
        written = {name: read(f'{folder}/{name}') for name in os.listdir(folder)}
        if code != 0 or written != case['written']:
            print(case['about'], code, written)
print(len(cases), 'compared')
";

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/settings")).join(name)
}

fn of_python(name: &str) -> Result<Vec<Setting>, Fault> {
    let text = fs::read_to_string(file(&format!("{name}.py"))).unwrap();
    let variable =
        |name: &str| VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    settings_of_python(&text, &variable)
}

#[test]
fn modules_give_what_their_import_gives() {
    let variables: BTreeMap<&str, &str> = VARIABLES.into_iter().collect();
    let kept = ["PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONUTF8"];
    let snippet = format!(
        "FOLDER, MODULES, KEPT = {:?}, {READ:?}, {kept:?}\nVARIABLES = json.loads({:?})\n{IMPORT}",
        file(""),
        serde_json::to_string(&variables).unwrap(),
    );
    let printed = Python::new(&Scratch::new()).run(&snippet);
    assert_eq!(printed.lines().count(), READ.len());
    for (name, line) in READ.iter().zip(printed.lines()) {
        let theirs: BTreeMap<String, (usize, String)> = serde_json::from_str(line).unwrap();
        let settings = of_python(name).unwrap_or_else(|fault| panic!("{name}.py, {fault}"));
        let ours: BTreeMap<String, (usize, String)> = settings
            .into_iter()
            .map(|setting| (setting.name, (setting.line, setting.value.repr())))
            .collect();
        assert_eq!(ours, theirs, "{name}.py");
    }
}

/// What our log does with these is in the unit tests of `rq-cli`.
#[test]
fn the_table_of_dict_configs_is_pythons() {
    let snippet = format!("CASES = {:?}\n{LOG}", file("dict_configs.json"));
    let printed = Python::new(&Scratch::new()).run(&snippet);
    let compared = printed.strip_suffix(" compared\n").and_then(|count| count.parse::<usize>().ok());
    assert!(compared.is_some_and(|count| count > 30), "{printed}");
}

#[test]
fn what_cannot_be_read_is_told() {
    for (name, line, says) in REFUSED {
        let Err(fault) = of_python(name) else { panic!("{name}.py is read") };
        assert!(fault.line == line && fault.reason.contains(says), "{name}.py, {fault}");
        let ways = ["[settings]", "environment variables", "write ", "set it"];
        assert!(ways.iter().any(|way| fault.reason.contains(way)), "{name}.py names no way on: {fault}");
    }
}

#[test]
fn each_file_is_in_one_of_the_tables() {
    let known = READ.into_iter().chain(REFUSED.map(|(name, ..)| name)).map(|name| format!("{name}.py"));
    let mut known: Vec<String> = known.chain(TABLES.map(|name| format!("{name}.toml"))).collect();
    known.extend(["README.md", "dict_configs.json"].map(str::to_owned));
    known.sort();
    let names = fs::read_dir(file("")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, known);
}

#[test]
fn tables_say_what_modules_say() {
    for name in TABLES {
        let text = fs::read_to_string(file(&format!("{name}.toml"))).unwrap();
        let table = settings_of_toml(&text).unwrap_or_else(|fault| panic!("{name}.toml, {fault}"));
        let shown = |settings: Vec<Setting>| -> BTreeMap<String, String> {
            let settings = settings.into_iter().map(|setting| (setting.name, in_toml(setting.value)));
            settings
                .filter(|(_, value)| *value != Value::Null)
                .map(|(name, value)| (name, value.repr()))
                .collect()
        };
        assert_eq!(shown(table), shown(of_python(name).unwrap()), "{name}");
    }
}

/// A value as far as TOML has a word for it: no tuples, and nothing that is nothing.
fn in_toml(value: Value) -> Value {
    match value {
        Value::List(values) | Value::Tuple(values) => Value::List(values.into_iter().map(in_toml).collect()),
        Value::Dict(pairs) => {
            let pairs = pairs.into_iter().filter(|(_, value)| *value != Value::Null);
            Value::Dict(pairs.map(|(key, value)| (key, in_toml(value))).collect())
        }
        value => value,
    }
}
