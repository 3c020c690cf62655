use super::*;

/// The environment of these tests.
fn variable(name: &str) -> Option<String> {
    let variables = [("HOST", "redis.example"), ("PORT", "6380"), ("EMPTY", ""), ("SECRET", "s3cret")];
    variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

#[track_caller]
fn read(text: &str) -> String {
    let settings = settings_of_python(text, &variable).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    let shown = settings.iter().map(|setting| format!("{}={}", setting.name, setting.value.repr()));
    shown.collect::<Vec<_>>().join("; ")
}

#[track_caller]
fn refused(text: &str) -> Fault {
    match settings_of_python(text, &variable) {
        Err(fault) => fault,
        Ok(settings) => panic!("{text} gives {settings:?}"),
    }
}

#[test]
fn the_last_assignment_counts() {
    let text = "A = 1\nB = 2\nA = 3  # again\n";
    let settings = settings_of_python(text, &variable).unwrap();
    let shown: Vec<_> =
        settings.iter().map(|setting| (setting.name.as_str(), setting.line, setting.value.repr())).collect();
    assert_eq!(shown, [("B", 2, "2".to_owned()), ("A", 3, "3".to_owned())]);
}

#[test]
fn assignments_are_pythons() {
    for (text, expected) in [
        ("A = B = 1", "A=1; B=1"),
        ("A: str = 'x'\nB: Dict[str, List[int]] = {}\nC: int\n", "A='x'; B={}"),
        ("a = 1\nB = a\n_ = 2\nABC_1 = 3", "B=1; _=2; ABC_1=3"),
        ("Ab = 1\nΩ = 2\nß = 3", "Ω=2"),
        ("A = 1, 'x',\nB = ()", "A=(1, 'x'); B=()"),
        ("A = 'x' 'y' + 'z'\nB = [1] + [2]", "A='xyz'; B=[1, 2]"),
        ("A = {1: 'a', True: 'b', 1.0: 'c', 'x': 0, ('x', 1): 2}", "A={1: 'c', 'x': 0, ('x', 1): 2}"),
        ("A = {'x', 'x', 1, True,}", "A={'x', 1}"),
        ("import logging\nA = logging.DEBUG\nlevel = logging.WARN\nB = [level]", "A=10; B=[30]"),
        ("from logging import INFO\nA = INFO", "A=20"),
        ("from elsewhere import THING\nA = 1\nOTHER = THING", "A=1"),
        ("\u{feff}# -*- coding: utf-8 -*-\n'''doc\n'''\nA = 'é'\r\nB = '''a\r\nb'''", "A='é'; B='a\\nb'"),
        ("# about\rA = 1", "A=1"),
        ("match = 1\nprint = 2\nA = match", "A=1"),
        ("A = (\n  'a'\n  # why\n  'b'\n)", "A='ab'"),
        ("if_ = 1; A = if_; pass", "A=1"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn the_environment_is_read() {
    for (text, expected) in [
        ("import os\nA = os.environ['HOST']", "A='redis.example'"),
        ("import os\nA = os.environ.get('HOST')\nB = os.environ.get('NO')", "A='redis.example'; B=None"),
        ("import os\nA = os.getenv('NO', 'd')\nB = os.getenv('NO', default=5)", "A='d'; B=5"),
        ("import os as o\nA = o.getenv(key='PORT')", "A='6380'"),
        ("from os import environ, getenv\nA = environ['PORT'] + getenv('EMPTY')", "A='6380'"),
        ("from os import environ as env, getenv as g\nA = env.get('NO', g('PORT'))", "A='6380'"),
        ("import os\ne = os.environ\nget = e.get\nA = get('PORT')\nENV = e", "A='6380'"),
        ("import os.path\nA = int(os.environ.get('PORT', 6379)) + 1", "A=6381"),
        (
            "import os\nA = bool(os.environ.get('EMPTY'))\nB = bool('0')\nC = str(5) + str(None)",
            "A=False; B=True; C='5None'",
        ),
        (
            "import os\nA = os.environ.get('EMPTY') or 'd'\nB = os.environ.get('NO') or None or 0",
            "A='d'; B=0",
        ),
        ("import os\nA = os.environ.get('HOST') or os.environ['NO'] + 'x'", "A='redis.example'"),
        ("import os\nA = 1 or int(os.environ['NO']) * -int('x')", "A=1"),
        (
            "import os\nHOST = os.environ['HOST']\nA = f'redis://{HOST}:{6379 + 1}/0'",
            "HOST='redis.example'; A='redis://redis.example:6380/0'",
        ),
        (
            "import os\nA = f\"{os.environ['HOST']} {{x}}\" rf'\\d{1}\\{2}' '{x}'",
            "A='redis.example {x}\\\\d1\\\\2{x}'",
        ),
        ("a = None\nA = f'{a}{ 1.50 }{True}'", "A='None1.5True'"),
        ("int = 5\nA = int", "A=5"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_plain_is_refused_with_its_line() {
    for (text, line, says) in [
        ("if DEBUG:\n    A = 1", 2, "a block of `if` is not read here"),
        ("if DEBUG: A = 1", 1, "`if` is not read here"),
        ("A = 1 if 2 else 3", 1, "`if` is not read behind a whole statement"),
        ("\nclass Config:\n    A = 1", 3, "a block of `class`"),
        ("try:\n    import x\nexcept ImportError:\n    x = 1", 2, "a block of `try`"),
        ("with open('x') as f: pass", 1, "`with` is not read"),
        ("def f(): pass", 1, "`def` is not read"),
        ("A = [x for x in (1, 2)]", 1, "a comprehension is not read"),
        ("A = lambda: 1", 1, "`lambda` is not known"),
        ("from x import *", 1, "an import of everything"),
        ("from . import x", 1, "relative import"),
        ("from .base import A", 1, "relative import"),
        ("A = 1\nA += 1", 2, "`+=` is not read"),
        ("A, B = 1, 2", 1, "several names at once"),
        ("import os\nos.environ['A'] = 'x'", 2, "there is no variable `A`"),
        ("import os\nos.environ['HOST'] = 'x'", 2, "only names are assigned to"),
        ("a = 1\na.b = 2", 2, "`.b`, a method of a value"),
        ("A = 'x%s' % 'y'", 1, "`%` is read between whole numbers alone"),
        ("A = 'x' + 5", 1, "`+` joins two texts"),
        ("A = '{}'.format(5)", 1, "`.format`, a method of a value, is not read"),
        ("import os\nA = os.environ.get('HOST').split(',')", 2, "`.split`, a method of a value, is not read"),
        ("A = [1, 2][0]", 1, "a part of a value"),
        ("from decouple import config\nA = config('A')", 2, "`decouple.config` cannot be called"),
        ("from dotenv import load_dotenv\n\nload_dotenv()", 3, "`dotenv.load_dotenv` cannot be called"),
        ("import os\nA = os.path.join('a', 'b')", 2, "`os.path.join` cannot be called"),
        ("import os\nA = os.environ['NO']", 2, "there is no variable `NO` in the environment"),
        ("import os\nA = [\n  1,\n  os.environ['NO'],\n]", 4, "there is no variable `NO`"),
        ("import os\nA = 0 or os.environ['NO']", 2, "there is no variable `NO`"),
        ("import os\nA = os.environ.get(5)", 2, "takes a name, which is a text"),
        ("import os\nA = os.environ.get()", 2, "takes a name"),
        ("import os\nA = os.getenv('A', 1, 2)", 2, "takes a name and a default"),
        ("import os\nA = os.environ.copy()", 2, "`os.environ.copy` cannot be called"),
        ("import sys\nA = sys.argv[0]", 2, "`sys.argv[..]` is not read"),
        ("A = int('x')", 1, "no whole number"),
        ("A = int('5', 16)", 1, "one value alone"),
        ("A = f'{B}'", 1, "`B` is not known"),
        ("A = f'{1!r}'", 1, "a text with values in it"),
        ("A = f'{1:>5}'", 1, "a text with values in it"),
        ("A = f'{[1]}'", 1, "are shown within a text"),
        ("A = f'}'", 1, "a text with values in it"),
        ("A = f'{'", 1, "a text with values in it"),
        ("A = {[]: 1}", 1, "a list can be no key"),
        ("A = open('x').read()", 1, "`open` is not known"),
        ("from app import REDIS_URL", 1, "`REDIS_URL` is `app.REDIS_URL` of another module"),
        ("import conf\n\nREDIS_URL = conf.url", 3, "`REDIS_URL` is `conf.url` of another module"),
        ("A = '\\x+1'", 1, "no character's number"),
        ("# coding: latin-1\nA = 'é'", 1, "the file is in `latin-1`"),
        ("@x\ndef f(): pass", 1, "`@` is not read"),
        ("del A", 1, "`del` is not read"),
        ("A = not 1", 1, "`not` is not known"),
        ("A", 1, "`A` is not known"),
        ("1 + 1", 1, "only assignments are read"),
        ("__import__('os').system('x')", 1, "`__import__` is not known"),
    ] {
        let fault = refused(text);
        assert!(fault.line == line && fault.reason.contains(says), "{text}: {fault}");
    }
}

#[test]
fn the_way_on_is_told() {
    for text in ["if 1: pass", "from x import *", "f()", "A += 1", "from x import QUEUES", "A, B = 1, 2"] {
        assert!(refused(text).reason.ends_with(INSTEAD), "{text}");
    }
}

#[test]
fn no_variable_is_told() {
    for text in ["A = int(os.environ['SECRET'])", "A = os.environ['SECRET'] + 1", "A = -os.environ['SECRET']"]
    {
        let fault = refused(&format!("import os\n{text}"));
        assert!(!fault.reason.contains("s3cret"), "{text}: {fault}");
    }
}

/// Each would take minutes or gigabytes if it were read as it is written.
#[test]
fn hostile_files_have_an_end() {
    let long = "x".repeat(900_000);
    let many = |piece: &str, count: usize| piece.repeat(count);
    let doubled = (1..64).map(|number| format!("a{number} = a{0} + a{0}\n", number - 1)).collect::<String>();
    let nested = (1..2_000).map(|number| format!("a{number} = [a{}]\n", number - 1)).collect::<String>();
    for (about, text, is_read) in [
        ("a large file", many("A = 1\n", 200_000), false),
        ("brackets", format!("A = {}{}", many("[", 400_000), many("]", 400_000)), false),
        ("texts of texts", format!("a0 = 'xxxxxxxx'\n{doubled}"), false),
        ("lists of lists", format!("a0 = 1\n{nested}"), false),
        ("a long path, often", format!("import {long} as a\nA = [{}]", many("a,", 50_000)), false),
        ("a path of many parts", format!("import a{} as b", many(".a", 400_000)), true),
        (
            "a dict",
            format!("A = {{{}}}", (0..90_000).map(|key| format!("{key}:1,")).collect::<String>()),
            true,
        ),
        ("a chain", format!("a0 = [{}]\n{}a0", many("1,", 50_000), many("A = ", 100_000)), false),
        (
            "a module, often",
            format!("from {} import {}", &long[..500_000], many("a, ", 100_000) + "b"),
            false,
        ),
        ("texts in texts", format!("A = {}1{}", many("f'{", 200_000), many("}'", 200_000)), false),
        ("values in a text", format!("a = '{}'\nA = f'{}'", &long[..100_000], many("{a}", 200_000)), false),
        ("a variable, often", format!("import os\nA = [{}]", many("os.environ['LARGE'],", 40_000)), false),
        ("alternatives", format!("A = {}1", many("0 or ", 150_000)), true),
        ("sums", format!("A = {}1", many("1+", 400_000)), true),
    ] {
        let large = "x".repeat(100_000);
        let began = std::time::Instant::now();
        let read = settings_of_python(&text, &|_| Some(large.clone()));
        assert_eq!(read.is_ok(), is_read, "{about}: {:?}", read.err());
        assert!(began.elapsed().as_secs() < 20, "{about} takes {:?}", began.elapsed());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_does_harm(text in "(?s)[a-z0-9'\"\\\\\\[\\](){}.,:=+*/ #\\n-]{0,200}|(?s).{0,80}") {
        let _ = settings_of_python(&text, &variable);
        let _ = settings_of_python(&format!("import os\nA = {text}"), &variable);
        let _ = settings_of_python(&format!("A = f'{text}'"), &variable);
    }
}
