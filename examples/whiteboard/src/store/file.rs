//! A file of boards: one table, from their names to their snapshots.

use std::path::Path;
use std::sync::Arc;

use redb::{Builder, Database, ReadableDatabase, TableDefinition};
use tokio::task;

use super::StoreError;
use crate::name::BoardName;

/// A file that this process alone has open.
#[derive(Debug)]
pub(crate) struct File(Arc<Database>);

impl File {
    /// Opens it; makes it where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(StoreError::unavailable)?;
        let file = Self(Arc::new(database));
        // So that a table is there for whoever reads first.
        in_table(&file.0, |_| Ok(())).map_err(StoreError::unavailable)?;
        Ok(file)
    }

    pub(super) async fn read(&self, name: &BoardName) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.clone();
        self.work(move |database| {
            let table = database.begin_read()?.open_table(BOARDS)?;
            Ok(table.get(name.as_str())?.map(|found| found.value().to_vec()))
        })
        .await
    }

    /// Returns once it is on the disk.
    pub(super) async fn write(&self, name: &BoardName, text: String) -> Result<(), StoreError> {
        let name = name.clone();
        self.work(move |database| {
            in_table(database, |table| {
                table.insert(name.as_str(), text.as_bytes())?;
                Ok(())
            })
        })
        .await
    }

    /// Disks make one wait, and a runtime's threads have no time for that.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.0);
        let done = task::spawn_blocking(move || work(&database)).await;
        done.map_err(StoreError::unavailable)?
            .map_err(StoreError::unavailable)
    }
}

fn in_table(
    database: &Database,
    work: impl FnOnce(&mut redb::Table<&str, &[u8]>) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    work(&mut transaction.open_table(BOARDS)?)?;
    Ok(transaction.commit()?)
}

const BOARDS: TableDefinition<&str, &[u8]> = TableDefinition::new("boards");

/// How much of the file is kept in memory, in bytes: boards in use are in memory already. The crate's own default is 1 GiB.
const CACHE_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_written_is_there_after_the_file_was_closed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boards.redb");
        let (name, other) = (BoardName::parse("one").unwrap(), BoardName::parse("two").unwrap());
        let file = File::open(&path).unwrap();
        assert_eq!(file.read(&name).await.unwrap(), None);
        for text in ["first", "second"] {
            file.write(&name, text.into()).await.unwrap();
        }
        drop(file);
        let file = File::open(&path).unwrap();
        assert_eq!(file.read(&name).await.unwrap(), Some(b"second".to_vec()));
        assert_eq!(file.read(&other).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_file_that_another_has_open_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boards.redb");
        let _open = File::open(&path).unwrap();
        let refused = File::open(&path).unwrap_err().to_string();
        assert!(refused.contains("already open"), "{refused}");
    }
}
