//! How changes of the engine are written into the ledger, and read again.
//!
//! | table | key | value |
//! |---|---|---|
//! | transactions | record key | header |
//! | records | record key | payload length, payload, the rest of the record |
//! | marks | record key, ordinal | what became of the message, with the numbers that go with it |
//! | keys | idempotency key | transaction, fingerprint, until when |
//! | groups | group name | members |
//! | secured | queue name | what is kept of its user |
//! | pops | queue name | second of the last pop |
//!
//! Numbers in keys and marks are big-endian, so that keys sort as numbers do; names and headers are in postcard's
//! format.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::ledger::{Table, Write};
use crate::mailbox::{
    GroupName, IdempotencyKey, QueueName, Record, UnixMillis, Update,
    engine::{Change, Header, KnownPush, Mark, RecordKey},
    told_of_callback,
};

// What a mark begins with; one is never given to another state.
const DELIVERED: u8 = 1;
const BLOCKED: u8 = 2;
const PENDING: u8 = 3;
const DEAD: u8 = 4;
const PURGED: u8 = 5;

/// A value that cannot have been written by us.
#[derive(Debug, thiserror::Error)]
#[error("an entry of {0:?} is not readable")]
pub(super) struct Unreadable(pub(super) Table);

/// The rest of a record, behind its payload.
#[derive(Default, Serialize, Deserialize)]
struct RecordRest {
    callback: Option<Box<str>>,
    fields: Vec<(Box<str>, Box<str>)>,
}

/// Adds what keeps a change. `read` gives the record that is kept under a key so far.
pub(super) fn keep<E>(
    change: Change,
    writes: &mut Vec<Write>,
    read: impl FnOnce(&[Write], RecordKey) -> Result<Record, E>,
) -> Result<(), E> {
    match change {
        Change::Stored {
            key,
            header,
            record,
        } => {
            writes.push(put(Table::Transactions, &record_key(key), encode(&header)));
            writes.push(put(
                Table::Records,
                &record_key(key),
                encode_record(&record),
            ));
        }
        Change::Header { key, header } => {
            writes.push(put(Table::Transactions, &record_key(key), encode(&header)));
        }
        Change::Updated {
            key,
            header,
            update,
        } => {
            writes.push(put(Table::Transactions, &record_key(key), encode(&header)));
            if update.payload.is_some() || update.callback.is_some() {
                let record = updated(read(writes, key)?, update);
                writes.push(put(
                    Table::Records,
                    &record_key(key),
                    encode_record(&record),
                ));
            }
        }
        Change::Removed { key, marked } => {
            writes.push(remove(Table::Transactions, &record_key(key)));
            writes.push(remove(Table::Records, &record_key(key)));
            writes.extend(
                marked
                    .into_iter()
                    .map(|it| remove(Table::Marks, &mark_key(key, it))),
            );
        }
        Change::Marked { key, ordinal, mark } => {
            let key = mark_key(key, ordinal);
            writes.push(match mark {
                Mark::Pending { deliveries: 0 } => remove(Table::Marks, &key),
                mark => put(Table::Marks, &key, encode_mark(mark)),
            });
        }
        Change::GroupStored { name, members } => {
            writes.push(put(Table::Groups, &encode(&name), encode(&members)));
        }
        Change::GroupRemoved(name) => writes.push(remove(Table::Groups, &encode(&name))),
        Change::QueueSecured { queue, credentials } => {
            writes.push(put(Table::Secured, &encode(&queue), encode(&credentials)));
        }
        Change::KeyStored { key, push } => {
            writes.push(put(Table::Keys, &encode(&key), encode(&push)));
        }
        Change::KeyForgotten(key) => writes.push(remove(Table::Keys, &encode(&*key))),
        Change::QueuePopped { queue, second } => {
            let second = Bytes::copy_from_slice(&second.to_be_bytes());
            writes.push(put(Table::Pops, &encode(&queue), second));
        }
        Change::QueueForgotten(queue) => writes.push(remove(Table::Pops, &encode(&queue))),
    }
    Ok(())
}

fn put(table: Table, key: &[u8], value: Bytes) -> Write {
    Write {
        table,
        key: key.into(),
        value: Some(value),
    }
}

fn remove(table: Table, key: &[u8]) -> Write {
    Write {
        table,
        key: key.into(),
        value: None,
    }
}

/// The key of a transaction and of its record.
pub(super) fn record_key(key: RecordKey) -> [u8; 8] {
    key.0.to_be_bytes()
}

fn mark_key(key: RecordKey, ordinal: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (front, back) = bytes.split_at_mut(8);
    front.copy_from_slice(&key.0.to_be_bytes());
    back.copy_from_slice(&ordinal.to_be_bytes());
    bytes
}

fn encode_mark(mark: Mark) -> Bytes {
    let mut value = BytesMut::with_capacity(13);
    match mark {
        Mark::Delivered => value.put_u8(DELIVERED),
        Mark::Purged => value.put_u8(PURGED),
        Mark::Pending { deliveries } => {
            value.put_u8(PENDING);
            value.put_u32(deliveries);
        }
        Mark::Dead { deliveries } => {
            value.put_u8(DEAD);
            value.put_u32(deliveries);
        }
        Mark::Blocked { until, deliveries } => {
            value.put_u8(BLOCKED);
            value.put_u64(until.0);
            value.put_u32(deliveries);
        }
    }
    value.freeze()
}

fn encode<T: Serialize>(value: &T) -> Bytes {
    // Most values fit in here, and then take their memory once and exactly, not a little more again and again.
    let mut room = [0; 256];
    if let Ok(encoded) = postcard::to_slice(value, &mut room) {
        return Bytes::copy_from_slice(encoded);
    }
    // Names, numbers and lists of them: nothing that the format lacks.
    postcard::to_allocvec(value).unwrap_or_default().into()
}

fn decode<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, Unreadable> {
    postcard::from_bytes(bytes).map_err(|_| Unreadable(table))
}

fn encode_record(record: &Record) -> Bytes {
    let rest = if record.callback.is_none() && record.fields.is_empty() {
        // What the format makes of it; most records have no more than a payload.
        Bytes::from_static(&[0, 0])
    } else {
        encode(&RecordRest {
            callback: record.callback.clone(),
            fields: record.fields.clone(),
        })
    };
    let mut value = BytesMut::with_capacity(8 + record.payload.len() + rest.len());
    value.put_u64(record.payload.len() as u64);
    value.put_slice(&record.payload);
    value.put_slice(&rest);
    value.freeze()
}

/// The payload alone, without a copy.
pub(super) fn decode_payload(value: &Bytes) -> Result<Bytes, Unreadable> {
    let mut front = value.clone();
    let unreadable = Unreadable(Table::Records);
    let Ok(length) = front.try_get_u64() else {
        return Err(unreadable);
    };
    match usize::try_from(length) {
        Ok(length) if length <= front.len() => Ok(front.split_to(length)),
        _ => Err(unreadable),
    }
}

/// What is told of the callback, if there is one, without a look at the payload.
pub(super) fn decode_callback(mut value: &[u8]) -> Result<Option<Box<str>>, Unreadable> {
    let mut read = || {
        let payload_bytes = usize::try_from(value.try_get_u64().ok()?).ok()?;
        let rest = value.get(payload_bytes..)?;
        let (callback, _) = postcard::take_from_bytes::<Option<&str>>(rest).ok()?;
        Some(
            callback
                .filter(|it| !it.is_empty())
                .map(|it| told_of_callback(it).into()),
        )
    };
    read().ok_or(Unreadable(Table::Records))
}

pub(super) fn decode_record(value: &Bytes) -> Result<Record, Unreadable> {
    let payload = decode_payload(value)?;
    let rest = value.get(8 + payload.len()..).unwrap_or_default();
    let rest: RecordRest = decode(Table::Records, rest)?;
    Ok(Record {
        payload,
        callback: rest.callback,
        fields: rest.fields,
    })
}

fn updated(mut record: Record, update: Update) -> Record {
    if let Some(payload) = update.payload {
        record.payload = payload;
    }
    if let Some(callback) = update.callback {
        record.callback = Some(callback);
    }
    record
}

pub(super) fn decode_transaction(
    key: &[u8],
    value: &[u8],
) -> Result<(RecordKey, Header), Unreadable> {
    let key: [u8; 8] = key
        .try_into()
        .map_err(|_| Unreadable(Table::Transactions))?;
    Ok((
        RecordKey(u64::from_be_bytes(key)),
        decode(Table::Transactions, value)?,
    ))
}

pub(super) fn decode_mark(
    mut key: &[u8],
    mut value: &[u8],
) -> Result<(RecordKey, u32, Mark), Unreadable> {
    let mut read = || {
        let record = RecordKey(key.try_get_u64().ok()?);
        let ordinal = key.try_get_u32().ok()?;
        let mark = match value.try_get_u8().ok()? {
            DELIVERED => Mark::Delivered,
            PURGED => Mark::Purged,
            PENDING => Mark::Pending {
                deliveries: value.try_get_u32().ok()?,
            },
            DEAD => Mark::Dead {
                deliveries: value.try_get_u32().ok()?,
            },
            BLOCKED => Mark::Blocked {
                until: UnixMillis(value.try_get_u64().ok()?),
                deliveries: value.try_get_u32().ok()?,
            },
            _ => return None,
        };
        (key.is_empty() && value.is_empty()).then_some((record, ordinal, mark))
    };
    read().ok_or(Unreadable(Table::Marks))
}

pub(super) fn decode_group(
    key: &[u8],
    value: &[u8],
) -> Result<(GroupName, Vec<Box<str>>), Unreadable> {
    Ok((decode(Table::Groups, key)?, decode(Table::Groups, value)?))
}

pub(super) fn decode_secured(
    key: &[u8],
    value: &[u8],
) -> Result<(QueueName, Box<str>), Unreadable> {
    Ok((decode(Table::Secured, key)?, decode(Table::Secured, value)?))
}

pub(super) fn decode_key(
    key: &[u8],
    value: &[u8],
) -> Result<(IdempotencyKey, KnownPush), Unreadable> {
    Ok((decode(Table::Keys, key)?, decode(Table::Keys, value)?))
}

pub(super) fn decode_pop(key: &[u8], value: &[u8]) -> Result<(QueueName, u64), Unreadable> {
    let second = value.try_into().map_err(|_| Unreadable(Table::Pops))?;
    Ok((decode(Table::Pops, key)?, u64::from_be_bytes(second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_as_they_were() {
        let whole = Record {
            payload: "p".into(),
            callback: Some("c".into()),
            fields: vec![("a".into(), "1".repeat(1000).into())],
        };
        let bare = Record {
            payload: "p".into(),
            ..Record::default()
        };
        for record in [whole, bare] {
            let value = encode_record(&record);
            assert_eq!(decode_record(&value).unwrap(), record);
            assert_eq!(decode_callback(&value).unwrap(), record.callback);
        }
        let empty = Record {
            callback: Some("".into()),
            ..Record::default()
        };
        assert_eq!(decode_callback(&encode_record(&empty)).unwrap(), None);
        let long = "x".repeat(1 << 20);
        let record = Record {
            callback: Some(long.as_str().into()),
            ..Record::default()
        };
        let told = decode_callback(&encode_record(&record)).unwrap();
        assert_eq!(told.as_deref(), Some(told_of_callback(&long)));
        assert!(decode_callback(&[0; 7]).is_err());
        assert_eq!(encode(&RecordRest::default())[..], [0, 0]);
    }
}
