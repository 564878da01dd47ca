//! A JSON object whose values are still text.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{Json, compact::is_too_deep};

/// Most fields of one object: far more than any client has use for, few enough to be no burden.
const FIELDS_MAX: usize = 10_000;

/// As many fields have most objects, without asking for memory twice.
const FIELDS_USUAL: usize = 8;

/// The fields of a JSON object. Where a name comes twice, the last one counts.
#[derive(Clone, Debug, Default)]
pub struct Fields<'a> {
    list: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// Not a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid json: {0}")]
pub struct InvalidJson(String);

impl<'a> Fields<'a> {
    /// Reads the body of a request. An empty one has no fields.
    pub fn parse(body: &'a [u8]) -> Result<Self, InvalidJson> {
        let text = std::str::from_utf8(body)
            .map_err(|_| InvalidJson("not UTF-8".to_owned()))?
            .trim_matches([' ', '\t', '\n', '\r']);
        if text.is_empty() {
            return Ok(Self::default());
        }
        // Checked here since the parser's own error would repeat a string of any length.
        if !text.starts_with('{') {
            return Err(InvalidJson("not an object".to_owned()));
        }
        serde_json::from_str(text).map_err(|error| InvalidJson(error.to_string()))
    }

    /// The fields of a value that is an object.
    pub fn of(object: Json<'a>) -> Option<Self> {
        serde_json::from_str(object.source()).ok()
    }

    /// The value of a field.
    pub fn find(&self, name: &str) -> Option<Json<'a>> {
        let mut fields = self.list.iter().rev();
        fields.find(|field| field.0 == name).map(|field| field.1)
    }

    /// The value of a field, unless that is `null`.
    pub fn given(&self, name: &str) -> Option<Json<'a>> {
        self.find(name).filter(|value| !value.is_null())
    }

    /// Those fields whose names are `wanted`, each once, in the order in which the names first came.
    pub fn select(&self, wanted: impl Fn(&str) -> bool) -> Vec<(&str, Json<'a>)> {
        let mut selected: Vec<(&str, Json<'a>)> = Vec::new();
        let mut places = HashMap::new();
        for (name, value) in self.list.iter().filter(|field| wanted(&field.0)) {
            let place = *places.entry(name).or_insert(selected.len());
            match selected.get_mut(place) {
                Some(field) => field.1 = *value,
                None => selected.push((name, *value)),
            }
        }
        selected
    }
}

/// A field's name; borrowed from the text unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut list = Vec::with_capacity(FIELDS_USUAL);
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, Json<'de>>()? {
            if list.len() == FIELDS_MAX {
                return Err(A::Error::custom(format_args!(
                    "more than {FIELDS_MAX} fields"
                )));
            }
            if is_too_deep(value.source()) {
                return Err(A::Error::custom("nested too deeply"));
            }
            list.push((name, value));
        }
        Ok(Fields { list })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &[u8]) -> String {
        Fields::parse(body).unwrap_err().to_string()
    }

    #[test]
    fn empty_bodies_have_no_fields() {
        assert!(Fields::parse(b"").unwrap().list.is_empty());
        assert!(Fields::parse(b" \r\n\t").unwrap().list.is_empty());
        assert!(Fields::parse(b"{}").unwrap().list.is_empty());
    }

    #[test]
    fn the_last_of_two_fields_counts() {
        let fields = Fields::parse(br#" {"a":1,"b":2,"\u0061":3} "#).unwrap();
        assert_eq!(fields.find("a").unwrap().source(), "3");
        let all = fields.select(|_| true);
        let all: Vec<_> = all
            .iter()
            .map(|(name, value)| (*name, value.source()))
            .collect();
        assert_eq!(all, [("a", "3"), ("b", "2")]);
    }

    #[test]
    fn null_is_found_but_not_given() {
        let fields = Fields::parse(br#"{"a":null}"#).unwrap();
        assert!(fields.find("a").is_some());
        assert!(fields.given("a").is_none());
    }

    #[test]
    fn what_is_no_object_is_refused_in_few_words() {
        assert_eq!(error(b"[1]"), "invalid json: not an object");
        assert_eq!(error(b"nope"), "invalid json: not an object");
        assert_eq!(error(b"\"x\""), "invalid json: not an object");
        assert_eq!(error(b"{\"a\":\"\xff\"}"), "invalid json: not UTF-8");
        for body in [
            &b"{"[..],
            b"{\"a\":1",
            b"{\"a\":01}",
            b"{\"a\":1}}",
            b"{\"a\":1,}",
            b"{\"a\":\"\n\"}",
            b"{\"\\ud800\":1}",
            b"{\"a\":nul}",
            b"{\"a\":tru }",
        ] {
            let text = error(body);
            assert!(
                text.starts_with("invalid json: ") && text.len() < 120,
                "{text}"
            );
        }
    }

    #[test]
    fn bombs_are_refused_and_huge_numbers_are_not() {
        let bomb = format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
        assert!(error(bomb.as_bytes()).contains("nested too deeply"));
        let wide = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(FIELDS_MAX));
        assert!(error(wide.as_bytes()).contains("more than 10000 fields"));
        let digits = "9".repeat(100_000);
        let body = format!("{{\"a\":{digits},\"b\":1e999999999}}");
        let fields = Fields::parse(body.as_bytes()).unwrap();
        assert_eq!(fields.find("a").unwrap().text(), digits);
    }
}
