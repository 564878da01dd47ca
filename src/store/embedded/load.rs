//! Building the engine from the ledger.

use super::{
    keep::{self, Unreadable},
    ledger::{Ledger, ReadError, Table},
};
use crate::mailbox::{
    Limits,
    engine::{Engine, Mark, RecordKey, Told},
};

/// Why the ledger could not be read into an engine.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// The engine as the ledger has it.
pub(super) fn load(ledger: &Ledger, limits: Limits, told: Told) -> Result<Engine, LoadError> {
    let mut engine = Engine::new(limits, told);
    let marks = marks(ledger)?;
    let mut rest = marks.as_slice();
    scan(ledger, Table::Transactions, |key, value| {
        let (key, header) = keep::decode_transaction(key, value)?;
        // Both tables are in the order of keys.
        let skipped = rest.iter().take_while(|(of, _)| *of < key).count();
        rest = rest.get(skipped..).unwrap_or_default();
        let own: Vec<_> = rest
            .iter()
            .take_while(|(of, _)| *of == key)
            .map(|&(_, mark)| mark)
            .collect();
        engine.restore_transaction(key, header, &own);
        Ok(())
    })?;
    scan(ledger, Table::Groups, |key, value| {
        let (name, members) = keep::decode_group(key, value)?;
        engine.restore_group(name, members);
        Ok(())
    })?;
    scan(ledger, Table::Secured, |key, value| {
        let (queue, credentials) = keep::decode_secured(key, value)?;
        engine.restore_secured(queue, credentials);
        Ok(())
    })?;
    scan(ledger, Table::Keys, |key, value| {
        let (key, push) = keep::decode_key(key, value)?;
        engine.restore_key(key, push);
        Ok(())
    })?;
    scan(ledger, Table::Pops, |key, value| {
        let (queue, second) = keep::decode_pop(key, value)?;
        engine.restore_last_pop(queue, second);
        Ok(())
    })?;
    Ok(engine)
}

/// A mark with the transaction and the ordinal of its message.
type OwnedMark = (RecordKey, (u32, Mark));

/// All marks, by record key and ordinal.
fn marks(ledger: &Ledger) -> Result<Vec<OwnedMark>, LoadError> {
    let mut marks = Vec::new();
    scan(ledger, Table::Marks, |key, value| {
        let (key, ordinal, mark) = keep::decode_mark(key, value)?;
        marks.push((key, (ordinal, mark)));
        Ok(())
    })?;
    Ok(marks)
}

fn scan(
    ledger: &Ledger,
    table: Table,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    ledger.scan(table, &mut visit)
}
