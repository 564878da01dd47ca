//! A JSON list, as far as it may go.

use super::Json;

/// The elements of a list up to a maximum; what is past it is looked at but not kept.
#[derive(Debug)]
pub struct List<T> {
    /// Its first valid elements.
    pub elements: Vec<T>,
    /// Whether an element is not what it should be.
    pub has_invalid: bool,
    /// Whether there are more valid elements than may be.
    pub is_too_long: bool,
}

impl<T> List<T> {
    /// Reads a value, if it is a list. `parse` understands an element, or finds it invalid.
    pub fn read<'a>(
        value: Json<'a>,
        count_max: usize,
        parse: impl Fn(Json<'a>) -> Option<T>,
    ) -> Option<Self> {
        if !value.is_list() {
            return None;
        }
        let mut list = Self {
            elements: Vec::new(),
            has_invalid: false,
            is_too_long: false,
        };
        value.for_each_element(|element| match parse(element) {
            None => list.has_invalid = true,
            Some(_) if list.elements.len() == count_max => list.is_too_long = true,
            Some(parsed) => list.elements.push(parsed),
        });
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<List<usize>> {
        let value = serde_json::from_str(text).unwrap();
        List::read(value, 2, |element| element.source().parse().ok())
    }

    #[test]
    fn a_list_is_read_to_its_end_but_kept_only_so_far() {
        let list = read("[1, 2, 3, 4]").unwrap();
        assert_eq!(list.elements, [1, 2]);
        assert!(list.is_too_long && !list.has_invalid);
        let list = read("[1, 2, 3, null]").unwrap();
        assert!(list.is_too_long && list.has_invalid);
        let list = read("[null, 1, 2]").unwrap();
        assert!(!list.is_too_long && list.has_invalid);
        assert!(read("[]").unwrap().elements.is_empty());
        assert!(read("{}").is_none());
        assert!(read("\"[]\"").is_none());
    }
}
