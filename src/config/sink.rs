//! What of the history goes into one collection.

use toml::{Table, Value};

use super::value;

/// A collection, and what goes into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sink {
    /// Which events.
    pub event: SinkEvent,
    /// The collection's name.
    pub collection: String,
    /// Of those, which: each of these fields must have one of its values, where `""` stands for having none.
    pub filter: Vec<(Field, Vec<String>)>,
    /// What of them is kept; empty: everything.
    pub take: Vec<Field>,
}

/// Which events go into a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkEvent {
    /// New states of messages.
    NewState,
    /// Requests.
    Action,
    /// All of them.
    Any,
}

/// What a document of the history may have in it, besides its id, its event and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Which server has told.
    Agent,
    /// The message's transaction, or the one that the request is about.
    Transaction,
    /// The message's queue, or the queue or group that the request is about.
    Queue,
    /// Whose that is.
    Tenant,
    /// `secured`, if it is.
    Realm,
    /// The message's new state.
    State,
    /// Where the producer wants to be told of deliveries.
    Callback,
    /// What was asked for.
    Action,
    /// How many messages at most.
    MaxMsg,
    /// How many there were.
    TotalMsg,
    /// The body of the request.
    Postdata,
    /// What was wrong with it.
    Error,
}

/// How many sinks there may be.
const SINKS_MAX: usize = 16;

/// The longest name of a collection, in bytes: with its database's it must stay below what MongoDB allows.
const COLLECTION_BYTES_MAX: usize = 160;

impl Sink {
    /// What `history.sinks` may be.
    pub(super) const LIST_FORM: &str = "a list of 1 to 16 sinks { event = \"NEWSTATE\" or \"ACTION\" or \"*\", \
        collection = \"name\", filter = { field = \"value\" or [\"value\"] }, take = [\"field\"] }, \
        where filter and take may be left out";

    /// Reads all of them.
    pub(super) fn read_list(value: &Value) -> Option<Vec<Self>> {
        let sinks = value::tables(value)?;
        let may_be = (1..=SINKS_MAX).contains(&sinks.len());
        let sinks: Option<Vec<_>> = sinks.iter().map(Self::read).collect();
        sinks.filter(|_| may_be)
    }

    fn read(table: &Table) -> Option<Self> {
        let known = ["event", "collection", "filter", "take"];
        if !table.keys().all(|key| known.contains(&key.as_str())) {
            return None;
        }
        let event = match table.get("event")?.as_str()? {
            "NEWSTATE" => SinkEvent::NewState,
            "ACTION" => SinkEvent::Action,
            "*" => SinkEvent::Any,
            _ => return None,
        };
        let collection = table.get("collection")?.as_str()?;
        let filter = match table.get("filter") {
            Some(filter) => read_filter(filter.as_table()?)?,
            None => Vec::new(),
        };
        let take = match table.get("take") {
            Some(names) => {
                let fields = names.as_array()?.iter();
                let fields = fields.map(|name| Field::of_name(name.as_str()?));
                fields.collect::<Option<Vec<_>>>()?
            }
            None => Vec::new(),
        };
        is_collection(collection).then(|| Self {
            event,
            collection: collection.to_owned(),
            filter,
            take,
        })
    }
}

fn read_filter(table: &Table) -> Option<Vec<(Field, Vec<String>)>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    };
    let conditions = table.iter().map(|(name, value)| {
        let values = match value {
            Value::Array(values) => values.iter().map(one).collect::<Option<Vec<_>>>()?,
            value => vec![one(value)?],
        };
        Some((Field::of_name(name)?, values))
    });
    conditions.collect()
}

/// Whether MongoDB takes this as the name of a collection that is not its own.
fn is_collection(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= COLLECTION_BYTES_MAX
        && !name.contains(['$', '\0'])
        && !name.starts_with("system.")
        && !name.starts_with('.')
        && !name.ends_with('.')
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Agent,
        Self::Transaction,
        Self::Queue,
        Self::Tenant,
        Self::Realm,
        Self::State,
        Self::Callback,
        Self::Action,
        Self::MaxMsg,
        Self::TotalMsg,
        Self::Postdata,
        Self::Error,
    ];

    /// What it is called in a document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Transaction => "transaction",
            Self::Queue => "queue",
            Self::Tenant => "tenant",
            Self::Realm => "realm",
            Self::State => "state",
            Self::Callback => "callback",
            Self::Action => "action",
            Self::MaxMsg => "max_msg",
            Self::TotalMsg => "total_msg",
            Self::Postdata => "postdata",
            Self::Error => "error",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<Sink>> {
        Sink::read_list(&Value::String(text.to_owned()))
    }

    #[test]
    fn sinks_are_read() {
        let sinks = read(
            r#"[{event = "NEWSTATE", collection = "PopBoxState",
                 filter = {state = ["Delivered", "Dead"], tenant = ""}, take = ["queue", "transaction"]},
                {event = "ACTION", collection = "PopBoxAction", filter = {total_msg = 0}},
                {event = "*", collection = "a.b"}]"#,
        )
        .unwrap();
        let values = |values: &[&str]| values.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let expected = [
            Sink {
                event: SinkEvent::NewState,
                collection: "PopBoxState".to_owned(),
                filter: vec![
                    (Field::State, values(&["Delivered", "Dead"])),
                    (Field::Tenant, values(&[""])),
                ],
                take: vec![Field::Queue, Field::Transaction],
            },
            Sink {
                event: SinkEvent::Action,
                collection: "PopBoxAction".to_owned(),
                filter: vec![(Field::TotalMsg, values(&["0"]))],
                take: Vec::new(),
            },
            Sink {
                event: SinkEvent::Any,
                collection: "a.b".to_owned(),
                filter: Vec::new(),
                take: Vec::new(),
            },
        ];
        assert_eq!(sinks, expected);
    }

    #[test]
    fn anything_else_is_refused() {
        let many = vec![r#"{event = "*", collection = "a"}"#; SINKS_MAX + 1].join(",");
        for text in [
            "",
            "[]",
            "x",
            &format!("[{many}]"),
            "[1]",
            r#"[{collection = "a"}]"#,
            r#"[{event = "*"}]"#,
            r#"[{event = "newstate", collection = "a"}]"#,
            r#"[{event = "*", collection = ""}]"#,
            r#"[{event = "*", collection = "a$b"}]"#,
            r#"[{event = "*", collection = "system.users"}]"#,
            r#"[{event = "*", collection = "a."}]"#,
            r#"[{event = "*", collection = "a", filter = {colour = "red"}}]"#,
            r#"[{event = "*", collection = "a", filter = {state = 1.5}}]"#,
            r#"[{event = "*", collection = "a", filter = ["state"]}]"#,
            r#"[{event = "*", collection = "a", take = ["_id"]}]"#,
            r#"[{event = "*", collection = "a", take = "queue"}]"#,
            r#"[{event = "*", collection = "a", keep = []}]"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
