use super::*;

mod hostile;

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
fn the_way_on_is_true() {
    let table = "write the table [settings] of rq.toml";
    let moved =
        "another module is never read; move the setting here, or write the table [settings] of rq.toml";
    for (text, ends) in [
        ("REDIS_URL = made()", "or leave this out and set the variable REDIS_URL"),
        ("KEY_PREFIX: str = (\n  'x' +\n  made())", "or leave this out and set the variable RQ_KEY_PREFIX"),
        ("if X:\n    EXECUTOR = 'x'", "or leave this out and set the variable RQ_WORKER_CLASS"),
        ("QUEUES = made()", table),
        ("DICT_CONFIG = {\n  'x': made(),\n}", table),
        ("OTHER = made()", table),
        ("from .base import REDIS_URL", moved),
        ("from base import *", moved),
        ("from base import REDIS_URL", moved),
        ("from dotenv import load_dotenv\nload_dotenv()", "and write os.environ.get('NAME') for each"),
        ("from decouple import config\nREDIS_URL = config('X')", "and write os.environ.get('NAME') for each"),
    ] {
        let fault = refused(text);
        assert!(fault.reason.ends_with(ends), "{text}: {fault}");
    }
    let reason = refused("import dotenv\ndotenv.load_dotenv()").reason;
    assert!(reason.contains("set the variables before `rq` is started"), "{reason}");
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
        ("A", 1, "`A` is not known"),
        ("1 + 1", 1, "only assignments are read"),
        ("__import__('os').system('x')", 1, "`__import__` is not known"),
    ] {
        let fault = refused(text);
        assert!(fault.line == line && fault.reason.contains(says), "{text}: {fault}");
    }
}

#[test]
fn texts_have_methods() {
    for (text, expected) in [
        (
            "A = ' a,b ,,'.split(','), ''.split(','), 'a--b-'.split('--')",
            "A=([' a', 'b ', '', ''], [''], ['a', 'b-'])",
        ),
        (
            "A = ' a\\x1cb\\u3000c\\n'.split(), ' '.split(), 'a b'.split(None)",
            "A=(['a', 'b', 'c'], [], ['a', 'b'])",
        ),
        (
            "A = '\\x1f a \\x85'.strip(), '/a/b//'.strip('/'), '-+a+'.lstrip('+-'), 'a  '.rstrip()",
            "A=('a', 'a/b', 'a+', 'a')",
        ),
        ("A = 'ÀB'.lower(), 'ΑΣ'.lower(), 'ßx'.upper()", "A=('àb', 'ας', 'SSX')"),
        (
            "A = 'aaa'.replace('aa', 'b'), 'ab'.replace('', '-'), 'ab'.replace('a', '')",
            "A=('ba', '-a-b-', 'b')",
        ),
        (
            "A = 'abc'.startswith('ab'), 'abc'.endswith(('x', 'bc')), 'a'.startswith(())",
            "A=(True, True, False)",
        ),
        ("A = ','.join(['a', 'b']), ''.join(('a',)), ','.join([])", "A=('a,b', 'a', '')"),
        ("a = 'X, Y'\nA = a.lower().replace(' ', '').split(',') + ['z']", "A=['x', 'y', 'z']"),
        ("import os\nA = os.environ['HOST'].split('.')", "A=['redis', 'example']"),
        ("import os\nA = f\"{os.getenv('NO', 'x').upper()}-{','.join(['a', 'b'])}\"", "A='X-a,b'"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    for (text, says) in [
        ("'a'.split('')", "`.split` is read with nothing, or with one text that is not empty"),
        ("'a'.split(',', 1)", "`.split` is read with"),
        ("'a'.split(sep=',')", "what `.split` is given has no names here"),
        ("'a'.split(5)", "`.split` is read with"),
        ("'a'.strip(5)", "`.strip` is read with"),
        ("'a'.lower('x')", "`.lower` is read with nothing"),
        ("'a'.replace('a')", "`.replace` is read with two texts"),
        ("'a'.replace('a', 'b', 1)", "`.replace` is read with two texts"),
        ("'a'.startswith(['a'])", "`.startswith` is read with a text, or a tuple of texts"),
        ("'a'.endswith('a', 0)", "`.endswith` is read with"),
        ("','.join('ab')", "`.join` is read with a list of texts"),
        ("','.join(['a', 5])", "`.join` is read with a list of texts alone"),
        ("None.split()", "`.split` is a method of texts, and there is None"),
        ("b'a'.split()", "`.split` is read of texts, and not of a bytes"),
        ("[1].join([])", "`.join` is read of texts, and not of a list"),
        ("'a'.lower", "`.lower`, a method of a value, is not read"),
        ("'a'.lower()()", "a value cannot be called"),
        ("'a b'.split()[0]", "`[..]`, a part of a value, is not read"),
        ("'a'.title()", "`.title`, a method of a value, is not read"),
        ("'a'.split(x)", "`x` is not known"),
    ] {
        let fault = refused(&format!("A = {text}"));
        assert!(fault.reason.contains(says) && fault.reason.ends_with(INSTEAD), "{text}: {fault}");
    }
}

#[test]
fn values_are_compared() {
    for (text, expected) in [
        ("1 == 1.0 == True, 1 == '1', 'a' != 'b', None == 0", "(True, False, True, False)"),
        ("[1, [2.0]] == [True, [2]], [1] == (1,), (1,) != (1, 2)", "(True, False, True)"),
        (
            "{'a': 1, 'b': [2]} == {'b': [2], 'a': True}, {1: 2} == {1: 3}, {1, 2} == {2, 1.0}",
            "(True, False, True)",
        ),
        (
            "b'a' == 'a', b'a' == b'a', {} == [], {1: 2} != {2: 2}, {1} == {1, 2}",
            "(False, True, False, True, False)",
        ),
        ("'b' in 'abc', '' in '', 'x' not in 'abc'", "(True, True, True)"),
        (
            "1 in (0, True), 'a' in [], 2 in {1, 2.0}, 'k' in {'k': 0}, 0 not in {'k': 0}",
            "(True, False, True, True, True)",
        ),
        ("1 == 2 == 2, 1 in [1] == True, 1 != 2 != 1", "(False, False, True)"),
        ("not 1, not not 'a', not 1 == 2, not 'a' in 'b'", "(False, True, True, True)"),
        ("1 and 2, 0 and 2, '' or 0 and 1, 1 or 0 and 2, not 0 and 3", "(2, 0, 0, 1, 3)"),
        ("1 + 1 == 2, 2 * 3 in (6,), -1 == 0 - 1", "(True, True, True)"),
        (
            "1 if 2 else 3, 1 if '' else 3, 1 if 0 else 2 if 0 else 3, 1 if 1 else 2 if 1 else 3",
            "(1, 3, 3, 1)",
        ),
        ("(1 if 0 else 2) if (3 if 1 else 0) else 4, 0 or 1 if 1 and 0 or 1 else 5", "(2, 1)"),
        (
            "[1 if 0 else 2, 3], {'a' if 1 else 'b': 1 if 1 else 2}, int('5' if 1 else 'x')",
            "([2, 3], {'a': 1}, 5)",
        ),
        ("f'{1 if 0 else 2}{1 == 1}' if f'{1}' == '1' else 'x'", "'2True'"),
    ] {
        assert_eq!(read(&format!("A = {text}")), format!("A={expected}"), "{text}");
    }
    for (text, line, says) in [
        ("A = 1 < 2", 1, "`<` is not read"),
        ("A = 1 is None", 1, "`is` is not read"),
        ("A = 1 == not 1", 1, "`not` is not known"),
        ("A = 1 not 2", 1, "`not` is not read"),
        ("A = 1 in 5", 1, "`in` is not read of a int"),
        ("A = 1 in '1'", 1, "`in` looks for a int in a text"),
        ("A = [] in {1}", 1, "a list can be no key"),
        ("a = float('nan')\nA = a == a", 2, "`nan` is compared with itself"),
        ("A = {float('nan')}", 1, "`nan` is not even itself"),
        ("A = 1 if 2", 1, "the end of the line is not read where `else` is expected"),
        ("A = 1 if else 2", 1, "`else` is not known"),
        ("A = 1 2 if 3 else 4", 1, "a number is not read before `if`"),
        ("A = [\n  1\n  if x\n  else 2]", 3, "`x` is not known"),
        ("A = 1 if 1 else x", 1, "`x` is not known"),
        ("import a\nA = 1 if a.b else 2", 2, "`a.b` is no value that is written out"),
        ("A = [1 for x in (1, 2) if x]", 1, "`for` is not read"),
        ("A = [x.strip() for x in 'a,b'.split(',') if x]", 1, "a comprehension is not read"),
        ("A = [str(x) for x in (1, 2)]", 1, "a comprehension is not read"),
        ("a.b = 1 if 2 else 3", 1, "`a` is not known"),
        ("A = 1\nA += 1 if 2 else 3", 2, "`+=` is not read"),
    ] {
        let fault = refused(text);
        assert!(fault.line == line && fault.reason.contains(says), "{text}: {fault}");
    }
}

#[test]
fn what_python_does_not_get_to_is_no_fault() {
    for text in [
        "1 if 1 else os.environ['NO']",
        "os.environ['NO'] if 0 else 1",
        "os.environ['NO'].split(',') if '' else 1",
        "int(os.environ['NO']) + 5 in os.environ['NO'] and 1 if 0 else 1",
        "0 if 0 else 1 if 1 else os.environ['NO']",
        "1 or os.environ['X' + 'Y'].lower() == 5",
        "(0 and os.environ['NO'] in 5) or 1",
        "int(1 == 1 != 1 == os.environ['NO']) or 1",
        "not (0 and int('x')) and 1",
        "1 if 1 else ','.join(5)",
    ] {
        assert_eq!(read(&format!("import os\nA = {text}")), "A=1", "{text}");
    }
    for text in [
        "os.environ['NO'] if 1 else 1",
        "1 if os.environ['NO'] else 1",
        "1 if 0 else os.environ['NO']",
        "1 and os.environ['NO']",
        "1 == 1 == os.environ['NO']",
        "0 and 1 or os.environ['NO']",
    ] {
        let fault = refused(&format!("import os\nA = {text}"));
        assert!(fault.reason.contains("there is no variable `NO`"), "{text}: {fault}");
    }
}

#[test]
fn the_way_on_is_told() {
    for text in ["if 1: pass", "f()", "A += 1", "A, B = 1, 2"] {
        assert!(refused(text).reason.ends_with(INSTEAD), "{text}");
    }
}

#[test]
fn no_variable_is_told() {
    for text in [
        "A = int(os.environ['SECRET'])",
        "A = os.environ['SECRET'] + 1",
        "A = -os.environ['SECRET']",
        "A = 5 in os.environ['SECRET']",
        "A = os.environ['SECRET'] in 5",
        "A = os.environ['SECRET'].replace(5, 6)",
        "A = ','.join(os.environ['SECRET'])",
        "A = [1].split(os.environ['SECRET'])",
    ] {
        let fault = refused(&format!("import os\n{text}"));
        assert!(!fault.reason.contains("s3cret"), "{text}: {fault}");
    }
}
