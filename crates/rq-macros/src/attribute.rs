//! [`Attribute`]: what stands in the parentheses of `#[job(..)]`.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Result};

use crate::defaults::Defaults;
use crate::name::Identity;

/// A job's name, or the path of the contract it implements, and what is said of all its calls.
pub(crate) struct Attribute {
    pub(crate) identity: Identity,
    pub(crate) defaults: Defaults,
}

impl Parse for Attribute {
    fn parse(input: ParseStream<'_>) -> Result<Attribute> {
        let attribute = Attribute { identity: input.parse()?, defaults: input.parse()? };
        match (&attribute.identity, attribute.defaults.first()) {
            // Producers have the contract alone, so that nothing which is said here could reach their calls.
            (Identity::Contract(_), Some(key)) => Err(Error::new(
                key.span(),
                "options belong to the contract, where producers see them; this implements one",
            )),
            _ => Ok(attribute),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(attribute: &str) -> Option<String> {
        syn::parse_str::<Attribute>(attribute).err().map(|error| error.to_string())
    }

    #[test]
    fn the_name_comes_first_and_options_belong_where_it_is_said() {
        for accepted in [r#""math.add""#, r#""math.add", retry = 3,"#, "contract::add", "contract::add,"] {
            assert_eq!(refused(accepted), None, "{accepted}");
        }
        for (attribute, says) in [
            ("", "a job needs its name on the wire"),
            (r#"queue = "low""#, "the name on the wire comes first"),
            (r#"contract::add, queue = "low""#, "options belong to the contract"),
            (r#""math.add" retry = 3"#, "expected `,`"),
        ] {
            let refused = refused(attribute).unwrap();
            assert!(refused.contains(says), "{attribute}: {refused}");
        }
    }
}
