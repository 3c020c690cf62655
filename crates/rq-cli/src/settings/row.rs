//! [`Row`]: a field with what holds, as `rq config show` has it. No secret is in it.

use super::Settings;
use super::field::Field;
use super::origin::Origin;
use super::redis::Redis;
use super::table::Said;

/// A field with what holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) field: Field,
    pub(crate) value: Option<String>,
    /// `None` where the field has no say in which Redis it is.
    pub(crate) origin: Option<Origin>,
    /// What others say, and does not count.
    pub(crate) overridden: Vec<(Origin, String)>,
}

impl Row {
    /// Of all fields, where `redis` is what they come to.
    pub(crate) fn all(settings: &Settings, redis: &Redis) -> Vec<Row> {
        Field::all().map(|field| Row::of(field, settings, redis)).collect()
    }

    fn of(field: Field, settings: &Settings, redis: &Redis) -> Row {
        let mut said = settings.table.all(field);
        let has_say = !Field::of_redis().any(|other| other == field) || redis.fields.contains(&field);
        let (value, origin) = match has_say.then(|| said.next()) {
            Some(Some(said)) => (Some(said.content.shown(field)), Some(said.origin.clone())),
            Some(None) => (field.default_value().map(str::to_owned), Some(Origin::Default)),
            None => (None, None),
        };
        let overridden = |said: &Said| (said.origin.clone(), said.content.shown(field));
        Row { field, value, origin, overridden: said.map(overridden).collect() }
    }
}
