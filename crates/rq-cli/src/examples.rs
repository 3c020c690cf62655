//! [`shown`]: the examples in help, for a program of another name than `rq`.

use crate::called::Called;

/// What examples call the program that has jobs.
const PROGRAM: &str = "my-jobs";
/// The option that a program with jobs does without: it has them itself.
const APP: &str = " --app ./my-jobs";
/// What is said of an example which differs from the one before it by that option alone.
const SAME: &str = "# the same";
/// The blanks between an example and what is said of it.
const GAP: &str = "  ";

/// `examples` as they are typed for the program that is `called` so: one that is not `rq` has the jobs itself.
pub(crate) fn shown(examples: &str, called: &Called) -> String {
    let Some(name) = called.name_in_examples() else { return examples.to_owned() };
    let lines = examples.lines().filter(|line| !line.ends_with(SAME));
    let lines: Vec<(String, Option<&str>)> = lines.map(|line| renamed(line, name)).collect();
    let told = lines.iter().filter(|(_, said)| said.is_some());
    let width = told.map(|(example, _)| example.chars().count()).max().unwrap_or_default();
    let lines = lines.into_iter().map(|(example, said)| match said {
        Some(said) => format!("{example:width$}{GAP}{}", said.replace("`rq ", &format!("`{name} "))),
        None => example,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// An example with the program's name in it, and what is said of it.
fn renamed<'a>(line: &'a str, name: &str) -> (String, Option<&'a str>) {
    let (example, said) = match line.find("  # ") {
        Some(at) => (line[..at].trim_end(), Some(line[at..].trim_start())),
        None => (line, None),
    };
    let example = example.replace(APP, "");
    let example = match example.strip_prefix("  rq ") {
        Some(rest) => format!("  {name} {rest}"),
        None => example,
    };
    (example.replace(&format!("./{PROGRAM}"), name).replace(PROGRAM, name), said)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLES: &str = "\
Examples:
  my-jobs worker high           # a program that is an rq
  rq worker --app ./my-jobs high  # the same
  rq worker --app ./my-jobs -b  # see `rq worker stop`
  rq dev -- ./my-jobs worker
  rq enqueue rq.f text";

    #[test]
    fn a_program_is_called_by_its_name() {
        let check = |path: &str, expected: &str| {
            assert_eq!(shown(EXAMPLES, &Called::by(&[path.into()])), expected);
        };
        check(
            "/srv/app/tasks",
            "Examples:\n  tasks worker high  # a program that is an rq\n  tasks worker -b    # see `tasks worker stop`\n  \
             tasks dev -- tasks worker\n  tasks enqueue rq.f text",
        );
        check("/usr/bin/rq", EXAMPLES);
        // A link is one command, and the examples are of all.
        check("rqworker", EXAMPLES);
    }
}
