//! The blobs themselves: facts in memory, bytes in files of the run's folder, both bounded.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use md5::{Digest, Md5};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::CONTAINER;
use super::answer::Refused;
use crate::sandbox::clock::Clock;

/// Bytes of all blobs and blocks together.
const MOST_BYTES: u64 = 8 << 30;
const MOST_BLOBS: usize = 10_000;
const MOST_CONTAINERS: usize = 100;
/// Uncommitted blocks of one blob.
const MOST_BLOCKS: usize = 50_000;

/// One blob. Its bytes never change: a new upload is a new file.
#[derive(Debug, Clone)]
pub struct Blob {
    pub file: PathBuf,
    pub size: u64,
    /// Base64; blobs made of blocks have none unless their writer gave it.
    pub md5: Option<String>,
    pub etag: String,
    /// As the sandbox's clock says them, when the store gives them out; real times inside.
    pub created: DateTime<Utc>,
    pub modified: DateTime<Utc>,
    pub properties: Properties,
}

/// What the writer says about a blob.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

/// Bytes that have arrived and belong to nothing yet. Dropped, they are forgotten.
#[derive(Debug)]
pub struct Upload {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    md5: Md5,
    kept: bool,
    used: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Container {
    /// A time-based policy is locked on it.
    immutable: bool,
    blobs: BTreeMap<String, Blob>,
    /// Uncommitted blocks by blob and identifier.
    blocks: BTreeMap<String, BTreeMap<String, Block>>,
}

#[derive(Debug)]
struct Block {
    upload: Upload,
}

/// The account's containers; clones share them.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    clock: Clock,
    inner: Arc<Mutex<BTreeMap<String, Container>>>,
    next: Arc<AtomicU64>,
    used: Arc<AtomicU64>,
    /// Moves with every blob that is written.
    written: Arc<watch::Sender<u64>>,
}

impl Store {
    /// A store with the empty backup container, in the new folder `folder`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn create(folder: &Path, clock: Clock) -> io::Result<Store> {
        std::fs::DirBuilder::new().mode(0o700).create(folder)?;
        let backups = Container { immutable: true, ..Container::default() };
        let inner = Mutex::new(BTreeMap::from([(CONTAINER.to_owned(), backups)]));
        let (next, used) = (Arc::new(AtomicU64::new(1)), Arc::default());
        let written = Arc::new(watch::Sender::new(0));
        Ok(Store { folder: folder.to_path_buf(), clock, inner: Arc::new(inner), next, used, written })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Container>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file for bytes to come.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn upload(&self) -> Result<Upload, Refused> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number:08}"));
        let file = File::create_new(&path).await.map_err(|e| Refused::internal(&e))?;
        let used = Arc::clone(&self.used);
        Ok(Upload { path, file: Some(file), size: 0, md5: Md5::new(), kept: false, used })
    }

    /// Makes `container`, without a policy.
    ///
    /// # Errors
    /// It exists, or there are too many.
    pub fn make_container(&self, container: &str) -> Result<(), Refused> {
        let mut containers = self.lock();
        if containers.contains_key(container) {
            let message = "The specified container already exists.";
            return Err(Refused::new(http::StatusCode::CONFLICT, "ContainerAlreadyExists", message));
        }
        if containers.len() >= MOST_CONTAINERS {
            return Err(Refused::too_large(MOST_CONTAINERS as u64));
        }
        containers.insert(container.to_owned(), Container::default());
        Ok(())
    }

    /// Container names and whether a policy is locked on them.
    pub fn containers(&self) -> Vec<(String, bool)> {
        self.lock().iter().map(|(name, c)| (name.clone(), c.immutable)).collect()
    }

    /// One blob's facts.
    ///
    /// # Errors
    /// There is no such container or blob.
    pub fn get(&self, container: &str, name: &str) -> Result<Blob, Refused> {
        let containers = self.lock();
        let container = containers.get(container).ok_or_else(Refused::no_container)?;
        container.blobs.get(name).map(|b| self.shown(b)).ok_or_else(Refused::no_blob)
    }

    /// All blobs of a container, by name.
    ///
    /// # Errors
    /// There is no such container.
    pub fn all(&self, container: &str) -> Result<Vec<(String, Blob)>, Refused> {
        let containers = self.lock();
        let container = containers.get(container).ok_or_else(Refused::no_container)?;
        Ok(container.blobs.iter().map(|(n, b)| (n.clone(), self.shown(b))).collect())
    }

    /// Whether `name` may be written now; `only_new` refuses any existing blob (`If-None-Match: *`).
    ///
    /// # Errors
    /// It exists and may not be overwritten, or there is no such container.
    pub fn may_write(&self, container: &str, name: &str, only_new: bool) -> Result<(), Refused> {
        let containers = self.lock();
        let container = containers.get(container).ok_or_else(Refused::no_container)?;
        may_write(container, name, only_new)
    }

    /// Makes `upload` the blob `name`.
    ///
    /// # Errors
    /// As [`Store::may_write`]; bytes that could not be written.
    pub async fn put(
        &self,
        container: &str,
        name: &str,
        mut upload: Upload,
        properties: Properties,
        only_new: bool,
    ) -> Result<Blob, Refused> {
        let md5 = Some(upload.finish().await?);
        self.commit(container, name, upload, md5, properties, only_new)
    }

    fn commit(
        &self,
        container: &str,
        name: &str,
        mut upload: Upload,
        md5: Option<String>,
        properties: Properties,
        only_new: bool,
    ) -> Result<Blob, Refused> {
        let mut containers = self.lock();
        let container = containers.get_mut(container).ok_or_else(Refused::no_container)?;
        may_write(container, name, only_new)?;
        if container.blobs.len() >= MOST_BLOBS {
            return Err(Refused::too_large(MOST_BLOBS as u64));
        }
        upload.kept = true;
        let now = Utc::now();
        let old = container.blobs.remove(name);
        let blob = Blob {
            file: upload.path.clone(),
            size: upload.size,
            md5,
            etag: format!("\"0x8DE{:012X}\"", rand::random::<u64>() >> 16),
            created: old.as_ref().map_or(now, |b| b.created),
            modified: now,
            properties,
        };
        container.blobs.insert(name.to_owned(), blob.clone());
        container.blocks.remove(name);
        if let Some(old) = old {
            self.forget(&old);
        }
        self.written.send_modify(|n| *n += 1);
        Ok(self.shown(&blob))
    }

    fn shown(&self, blob: &Blob) -> Blob {
        let clock = &self.clock;
        Blob { created: clock.shown(blob.created), modified: clock.shown(blob.modified), ..blob.clone() }
    }

    /// Loses the blobs whose names begin with `prefix`, as no request could: whatever the policy says. Waits for the
    /// first of them, at most `patience`; gives their names.
    pub async fn lose(&self, container: &str, prefix: &str, patience: Duration) -> Vec<String> {
        let mut written = self.written.subscribe();
        let there = async {
            loop {
                written.mark_unchanged();
                let all = self.all(container).unwrap_or_default();
                if all.iter().any(|(name, _)| name.starts_with(prefix)) || written.changed().await.is_err() {
                    return;
                }
            }
        };
        // Nothing to lose is told by an empty answer.
        let _ = tokio::time::timeout(patience, there).await;
        let mut containers = self.lock();
        let Some(container) = containers.get_mut(container) else { return Vec::new() };
        let names: Vec<String> = container.blobs.keys().filter(|n| n.starts_with(prefix)).cloned().collect();
        for blob in names.iter().filter_map(|name| container.blobs.remove(name)) {
            self.forget(&blob);
        }
        names
    }

    fn forget(&self, blob: &Blob) {
        let _ = std::fs::remove_file(&blob.file);
        self.used.fetch_sub(blob.size, Ordering::Relaxed);
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// It does not exist, or a policy keeps it.
    pub fn delete(&self, container: &str, name: &str) -> Result<(), Refused> {
        let mut containers = self.lock();
        let container = containers.get_mut(container).ok_or_else(Refused::no_container)?;
        if !container.blobs.contains_key(name) {
            return Err(Refused::no_blob());
        }
        if container.immutable {
            return Err(Refused::immutable());
        }
        if let Some(blob) = container.blobs.remove(name) {
            self.forget(&blob);
        }
        Ok(())
    }

    /// Keeps a block for a later commit; gives the MD5 of its bytes.
    ///
    /// # Errors
    /// There is no such container, or there are too many blocks.
    pub async fn put_block(
        &self,
        container: &str,
        name: &str,
        id: &str,
        mut upload: Upload,
    ) -> Result<String, Refused> {
        let md5 = upload.finish().await?;
        let mut containers = self.lock();
        let container = containers.get_mut(container).ok_or_else(Refused::no_container)?;
        let blocks = container.blocks.entry(name.to_owned()).or_default();
        if blocks.len() >= MOST_BLOCKS && !blocks.contains_key(id) {
            let message = "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.";
            return Err(Refused::new(http::StatusCode::CONFLICT, "BlockCountExceedsLimit", message));
        }
        blocks.insert(id.to_owned(), Block { upload });
        Ok(md5)
    }

    /// Makes the blob `name` of the blocks `ids`, in that order.
    ///
    /// # Errors
    /// A block is unknown; else as [`Store::put`].
    pub async fn put_block_list(
        &self,
        container: &str,
        name: &str,
        ids: &[String],
        properties: Properties,
        only_new: bool,
    ) -> Result<Blob, Refused> {
        self.may_write(container, name, only_new)?;
        let mut blocks = {
            let mut containers = self.lock();
            let container = containers.get_mut(container).ok_or_else(Refused::no_container)?;
            let blocks = container.blocks.remove(name).unwrap_or_default();
            if ids.iter().any(|id| !blocks.contains_key(id)) {
                container.blocks.insert(name.to_owned(), blocks);
                let message = "The specified block list is invalid.";
                return Err(Refused::new(http::StatusCode::BAD_REQUEST, "InvalidBlockList", message));
            }
            blocks
        };
        let mut whole = self.upload().await?;
        for id in ids {
            let Some(block) = blocks.get_mut(id) else { continue };
            let bytes = tokio::fs::read(&block.upload.path).await.map_err(|e| Refused::internal(&e))?;
            whole.write(&bytes).await?;
        }
        whole.finish().await?;
        self.commit(container, name, whole, None, properties, only_new)
    }
}

fn may_write(container: &Container, name: &str, only_new: bool) -> Result<(), Refused> {
    match container.blobs.contains_key(name) {
        true if only_new => Err(Refused::exists()),
        true if container.immutable => Err(Refused::immutable()),
        _ => Ok(()),
    }
}

impl Upload {
    /// Takes more bytes.
    ///
    /// # Errors
    /// The account is full, or the file cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let more = bytes.len() as u64;
        if self.used.fetch_add(more, Ordering::Relaxed) + more > MOST_BYTES {
            self.used.fetch_sub(more, Ordering::Relaxed);
            return Err(Refused::too_large(MOST_BYTES));
        }
        self.size += more;
        self.md5.update(bytes);
        match &mut self.file {
            Some(file) => file.write_all(bytes).await.map_err(|e| Refused::internal(&e)),
            None => Ok(()),
        }
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Base64 of the MD5 of the bytes so far.
    pub fn digest(&self) -> String {
        STANDARD.encode(self.md5.clone().finalize())
    }

    async fn finish(&mut self) -> Result<String, Refused> {
        if let Some(mut file) = self.file.take() {
            file.flush().await.map_err(|e| Refused::internal(&e))?;
        }
        Ok(self.digest())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
            self.used.fetch_sub(self.size, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
