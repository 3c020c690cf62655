//! [`Table`]: all that is said of each field, by whom.

use super::content::Content;
use super::field::Field;
use super::file::SettingsFile;
use super::origin::Origin;
use super::redis;

/// What one says of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) content: Content,
    pub(crate) origin: Origin,
}

impl Said {
    /// The text; empty where it is none.
    pub(crate) fn text(&self) -> &str {
        self.content.text().unwrap_or_default()
    }

    /// That it can be used for the field, now that it counts. The error is a sentence.
    pub(super) fn check(&self, field: Field) -> Result<(), String> {
        let Content::Wrong { words, reason } = &self.content else { return Ok(()) };
        let called = format!("{}: {}", self.origin, field.name());
        Err(match field == Field::RedisPort && redis::is_of_kubernetes(words) {
            true => redis::of_kubernetes(&called, words),
            false => format!("{called} cannot be used: {reason}"),
        })
    }
}

/// All that is said: of each field first what has precedence, options, then the environment, then the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table(Vec<(Field, Said)>);

impl Table {
    /// What these say. An empty option, and an empty variable, say nothing.
    pub(super) fn new(
        options: &[(Field, &'static str, &str)],
        environment: &dyn Fn(&str) -> Option<String>,
        file: Option<&SettingsFile>,
    ) -> Table {
        let mut table = Table::default();
        let text = |text: &str| Some(Content::Text(text.to_owned())).filter(|_| !text.is_empty());
        for (field, option, value) in options {
            let said = text(value).map(|content| Said { content, origin: Origin::Flag(option) });
            table.0.extend(said.map(|said| (*field, said)));
        }
        for field in Field::all() {
            for variable in field.variables() {
                let content = environment(variable).and_then(|value| text(&value));
                let said = content.map(|content| Said { content, origin: Origin::Variable(variable) });
                table.0.extend(said.map(|said| (field, said)));
            }
        }
        table.0.extend(file.into_iter().flat_map(|file| file.said.iter().cloned()));
        table
    }

    /// Takes in what a variable says that comes before all others, and behind the options.
    pub(super) fn hand(&mut self, field: Field, variable: &'static str, value: &str) {
        let said = Said { content: Content::Text(value.to_owned()), origin: Origin::Variable(variable) };
        let at = self.0.iter().position(|(_, said)| !matches!(said.origin, Origin::Flag(_)));
        self.0.insert(at.unwrap_or(self.0.len()), (field, said));
    }

    /// What counts of a field.
    pub(crate) fn first(&self, field: Field) -> Option<&Said> {
        self.all(field).next()
    }

    /// All that is said of a field, what counts first.
    pub(crate) fn all(&self, field: Field) -> impl Iterator<Item = &Said> {
        self.0.iter().filter(move |(known, _)| *known == field).map(|(_, said)| said)
    }

    /// What the file alone says.
    pub(super) fn of_file(&self) -> Table {
        Table(self.0.iter().filter(|(_, said)| said.origin.is_file()).cloned().collect())
    }
}
