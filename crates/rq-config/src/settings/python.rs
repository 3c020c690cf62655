//! A module of settings, as Python's `rq -c` takes it: its names in capitals.

use rq_wire::Value;

use super::{KNOWN, Setting, builtins};
use crate::Fault;
use crate::python::{self, Argument, Assigned, Call, Dialect, Term};

/// The way on.
const INSTEAD: &str = "a settings file is read and never executed; write the table [settings] of rq.toml";
/// The same for what another module has, and for what fills the environment.
const INSTEAD_OF_IMPORT: &str =
    "another module is never read; move the setting here, or write the table [settings] of rq.toml";
const INSTEAD_OF_FILLING: &str = "a settings file is read and never executed; set the variables before `rq` is started, leave \
                                  this out, and write os.environ.get('NAME') for each";
/// The modules that fill the environment, or read files for it.
const FILLING: [&str; 4] = ["dotenv", "decouple", "environ", "environs"];
/// The environment, and its functions.
const ENVIRONMENT: &str = "os.environ";
const GET: [&str; 2] = ["os.environ.get", "os.getenv"];
/// The parameters of these.
const GET_PARAMETERS: [&str; 2] = ["key", "default"];
/// Levels of Python's logging, which `DICT_CONFIG` may name so.
const LEVELS: [(&str, i64); 8] = [
    ("logging.NOTSET", 0),
    ("logging.DEBUG", 10),
    ("logging.INFO", 20),
    ("logging.WARNING", 30),
    ("logging.WARN", 30),
    ("logging.ERROR", 40),
    ("logging.CRITICAL", 50),
    ("logging.FATAL", 50),
];

/// The settings of a module in Python, where it is plain: imports, constants, and the environment. Nothing is executed;
/// what is not plain is refused. A name that was imported is no setting; one that RQ knows must not be.
///
/// `environment` is asked for variables by name. What they hold is in no fault.
///
/// ```
/// let text = "import os\nHOST = os.environ.get('HOST', 'localhost')\nREDIS_URL = f'redis://{HOST}:6379/0'\n";
/// let settings = rq_config::settings_of_python(text, &|name| (name == "HOST").then(|| "h".to_owned()))?;
/// assert_eq!(settings[1].name, "REDIS_URL");
/// assert_eq!(settings[1].value, "redis://h:6379/0".into());
/// # Ok::<(), rq_config::Fault>(())
/// ```
pub fn settings_of_python(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Setting>, Fault> {
    check_encoding(text)?;
    let assigned =
        python::read(text, &mut Settings { environment }).map_err(|fault| with_variable(text, fault))?;
    let settings = assigned.into_iter().filter(|assigned| is_setting(&assigned.name));
    settings.filter_map(|assigned| setting(assigned).transpose()).collect()
}

/// Names the variable as well, where what is assigned to in the line has one.
fn with_variable(text: &str, fault: Fault) -> Fault {
    let lines: Vec<&str> = text.lines().take(fault.line).collect();
    let assigned = |line: &&str| {
        let (name, _) = line.trim_start().split_once(['=', ':'])?;
        KNOWN.iter().find(|(known, _)| *known == name.trim_end()).and_then(|(_, variable)| *variable)
    };
    // A value may go over several lines, of which the first one begins with a name.
    let begins = |line: &&&str| line.starts_with(|first: char| first.is_alphabetic() || first == '_');
    let variable =
        lines.last().and_then(assigned).or_else(|| lines.iter().rev().find(begins).and_then(assigned));
    match variable {
        Some(variable) if fault.reason.ends_with(INSTEAD) => {
            let reason = format!("{}, or leave this out and set the variable {variable}", fault.reason);
            Fault { reason, ..fault }
        }
        _ => fault,
    }
}

/// As RQ decides.
fn is_setting(name: &str) -> bool {
    name.to_uppercase() == name
}

fn setting(Assigned { name, line, term }: Assigned) -> Result<Option<Setting>, Fault> {
    match term {
        Term::Value(value) => Ok(Some(Setting { name, line, value })),
        Term::Path(path) | Term::Nothing(path) if KNOWN.iter().any(|(known, _)| *known == name) => {
            Err(Fault::new(line, format!("`{name}` is `{path}` of another module: {INSTEAD_OF_IMPORT}")))
        }
        _ => Ok(None),
    }
}

/// That the file is in UTF-8, which its bytes alone do not say.
fn check_encoding(text: &str) -> Result<(), Fault> {
    for (at, line) in text.lines().take(2).enumerate() {
        let comment = line.trim_start_matches(['\u{feff}', ' ', '\t', '\x0c']).strip_prefix('#');
        let named = comment.and_then(|comment| {
            let (_, name) = comment.split_once("coding")?;
            let name = name.strip_prefix([':', '='])?.trim_start_matches([' ', '\t']);
            name.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).next()
        });
        let is_known = |name: &str| {
            let name = name.to_ascii_lowercase().replace('_', "-");
            name.is_empty()
                || name.starts_with("utf-8")
                || name == "utf8"
                || name == "ascii"
                || name == "us-ascii"
        };
        match named {
            Some(name) if !is_known(name) && !text.is_ascii() => {
                let reason = format!(
                    "the file is in `{name}`, and only UTF-8 is read: write it in that, and leave this out"
                );
                return Err(Fault::new(at + 1, reason));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What settings may say.
struct Settings<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Dialect for Settings<'_> {
    fn instead(&self) -> &str {
        INSTEAD
    }

    fn instead_of_call(&self, path: &str) -> &str {
        let module = path.split('.').next().unwrap_or_default();
        if FILLING.contains(&module) { INSTEAD_OF_FILLING } else { INSTEAD }
    }

    fn instead_of_import(&self) -> Option<&str> {
        Some(INSTEAD_OF_IMPORT)
    }

    fn statements(&self) -> &str {
        "assignments"
    }

    fn knows(&self, path: &str) -> bool {
        GET.contains(&path) || builtins::NAMES.contains(&path)
    }

    fn call(&mut self, call: Call) -> Result<Option<Value>, Fault> {
        match GET.contains(&call.path.as_str()) {
            true => self.get(call),
            false => builtin(call),
        }
        .map(Some)
    }

    fn constant(&self, path: &str) -> Option<Value> {
        LEVELS.iter().find(|(level, _)| *level == path).map(|(_, number)| Value::Int(*number))
    }

    fn item(&mut self, path: &str, key: &Value, line: usize) -> Option<Result<Value, Fault>> {
        let (ENVIRONMENT, Value::Str(name)) = (path, key) else { return None };
        let variable = (self.environment)(name).map(Value::Str);
        Some(variable.ok_or_else(|| {
            Fault::new(
                line,
                format!("there is no variable `{name}` in the environment: set it, or give it a default, `os.environ.get('{name}', ..)`"),
            )
        }))
    }

    fn is_wide(&self) -> bool {
        true
    }
}

impl Settings<'_> {
    /// `os.environ.get('X')`, `os.getenv('X', default)`.
    fn get(&self, call: Call) -> Result<Value, Fault> {
        let (line, path) = (call.line, call.path);
        let mut given = [None, None];
        for argument in call.arguments {
            let place = match &argument.name {
                Ok(name) => GET_PARAMETERS.iter().position(|known| known == name),
                Err(place) => Some(*place),
            };
            match place.and_then(|place| given.get_mut(place)) {
                Some(empty @ None) => *empty = Some(argument.value(INSTEAD)?),
                _ => return Err(Fault::new(line, format!("`{path}` takes a name and a default"))),
            }
        }
        let [Some(Value::Str(name)), default] = given else {
            return Err(Fault::new(line, format!("`{path}` takes a name, which is a text, and a default")));
        };
        Ok((self.environment)(&name).map(Value::Str).or(default).unwrap_or(Value::Null))
    }
}

fn builtin(Call { path, line, arguments }: Call) -> Result<Value, Fault> {
    let Ok([argument]) = <[Argument; 1]>::try_from(arguments) else {
        return Err(Fault::new(line, format!("`{path}` is read of one value alone: {INSTEAD}")));
    };
    if argument.name.is_ok() {
        return Err(Fault::new(line, format!("the value of `{path}` has no name")));
    }
    builtins::called(&path, &argument.value(INSTEAD)?).map_err(|reason| Fault::new(line, reason))
}

#[cfg(test)]
mod tests;
