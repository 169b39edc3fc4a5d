//! The orders that instances are listed in, each that of an index, and the place of an instance in them.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::instance_words as words;
use super::statement::{Asked, Value};
use crate::clock::to_milliseconds;
use crate::elements::Instance;

/// The order of a list; the id decides between equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstanceOrder {
    /// What needs the operator first, then the newest.
    #[default]
    Attention,
    /// The newest first.
    Newest,
    /// By name, whatever its case.
    Name,
    /// The latest event first.
    LastEvent,
}

/// The place of an instance in an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstancePlace {
    number: i64,
    text: String,
    id: Uuid,
}

/// A text that is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in a list of instances")]
pub struct NoPlace;

impl InstanceOrder {
    /// As an expression of columns, the one its index has.
    fn key(self) -> &'static str {
        match self {
            Self::Attention => {
                "CASE state WHEN 'needs_attention' THEN 8 WHEN 'failed' THEN 7 WHEN 'unknown' THEN 6 WHEN 'provisioning' THEN 5 WHEN 'connected' THEN 4 WHEN 'paused' THEN 3 WHEN 'disconnecting' THEN 2 ELSE 1 END"
            }
            Self::Newest => "0",
            Self::Name => "sort_name",
            Self::LastEvent => "COALESCE(last_event_at, 0)",
        }
    }

    pub(super) fn place(self, instance: &Instance) -> InstancePlace {
        let number = match self {
            Self::Attention => rank(instance.state.as_str()),
            Self::LastEvent => instance.last_event_at.map_or(0, to_milliseconds),
            Self::Newest | Self::Name => 0,
        };
        let text = if self == Self::Name { words::sort_name(&instance.name) } else { String::new() };
        InstancePlace { number, text, id: instance.id }
    }

    /// Each stretch of an index that is still to be walked; those of one state by its own index where the order is that of
    /// their ids.
    pub(super) fn stretches(
        self,
        columns: &str,
        state: Option<&str>,
        after: Option<&InstancePlace>,
    ) -> Vec<Asked> {
        let from = match (self, state) {
            (Self::Attention | Self::Newest, Some(state)) => vec![Self::of_state(state, after)],
            (Self::Newest, None) => vec![Self::older(after)],
            _ => {
                let equal = after.map(|after| self.equals(after));
                equal.into_iter().chain([self.beyond(after)]).collect()
            }
        };
        let select = |asked: Asked| Asked { sql: format!("SELECT {columns} {}", asked.sql), ..asked };
        from.into_iter().map(select).collect()
    }

    /// Whether within one state it is that of the ids.
    pub(super) fn is_of_ids_in_one_state(self) -> bool {
        matches!(self, Self::Attention | Self::Newest)
    }

    fn of_state(state: &str, after: Option<&InstancePlace>) -> Asked {
        let id = InstancePlace::id_before(after);
        let sql = "FROM instances WHERE state = $1 AND id < $2 ORDER BY id DESC";
        Asked { sql: sql.to_owned(), values: vec![state.into(), id.into()] }
    }

    fn older(after: Option<&InstancePlace>) -> Asked {
        let id = InstancePlace::id_before(after);
        let sql = "FROM instances WHERE id < $1 ORDER BY id DESC";
        Asked { sql: sql.to_owned(), values: vec![id.into()] }
    }

    /// The rest of those with the same key.
    fn equals(self, after: &InstancePlace) -> Asked {
        let (key, beyond, way) = (self.key(), self.sign(), self.way());
        let sql = format!("FROM instances WHERE {key} = $1 AND id {beyond} $2 ORDER BY id {way}");
        Asked { sql, values: vec![self.value(after), after.id.into()] }
    }

    /// Those with a key beyond, all where nothing went before.
    fn beyond(self, after: Option<&InstancePlace>) -> Asked {
        let (key, beyond, in_order) = (self.key(), self.sign(), self.in_order());
        let start = if self.upwards() { Value::from("") } else { Value::from(i64::MAX) };
        let sql = format!("FROM instances WHERE {key} {beyond} $1 {in_order}");
        Asked { sql, values: vec![after.map_or(start, |after| self.value(after))] }
    }

    /// The same as a condition, for few rows.
    pub(super) fn is_after(self, after: &InstancePlace, asked: &mut Asked) -> String {
        let (key, beyond) = (self.key(), self.sign());
        let (value, id) = (asked.value(self.value(after)), asked.value(after.id));
        format!("({key} {beyond} {value} OR ({key} = {value} AND id {beyond} {id}))")
    }

    /// As a clause.
    pub(super) fn in_order(self) -> String {
        let (key, way) = (self.key(), self.way());
        if self == Self::Newest {
            format!("ORDER BY id {way}")
        } else {
            format!("ORDER BY {key} {way}, id {way}")
        }
    }

    fn value(self, place: &InstancePlace) -> Value {
        if self == Self::Name { place.text.as_str().into() } else { place.number.into() }
    }

    fn upwards(self) -> bool {
        self == Self::Name
    }

    fn sign(self) -> &'static str {
        if self.upwards() { ">" } else { "<" }
    }

    fn way(self) -> &'static str {
        if self.upwards() { "ASC" } else { "DESC" }
    }
}

/// The higher, the sooner an instance in this state needs somebody.
pub(super) fn rank(state: &str) -> i64 {
    match state {
        "needs_attention" => 8,
        "failed" => 7,
        "unknown" => 6,
        "provisioning" => 5,
        "connected" => 4,
        "paused" => 3,
        "disconnecting" => 2,
        _ => 1,
    }
}

impl InstancePlace {
    /// After the instance with this id, where the newest come first.
    pub fn after_id(id: Uuid) -> Self {
        Self { number: 0, text: String::new(), id }
    }

    /// Those after it have lower ones, where the newest come first.
    pub(super) fn id_before(place: Option<&Self>) -> Uuid {
        place.map_or(Uuid::max(), |place| place.id)
    }

    /// The key of its instance.
    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Of the instance it names.
    pub fn id(&self) -> Uuid {
        self.id
    }
}

/// `ID.NUMBER.TEXT`
impl fmt::Display for InstancePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.id, self.number, self.text)
    }
}

impl FromStr for InstancePlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(NoPlace);
        let id = part()?.parse().map_err(|_| NoPlace)?;
        let number = part()?.parse().map_err(|_| NoPlace)?;
        Ok(Self { number, text: part()?.to_owned(), id })
    }
}
