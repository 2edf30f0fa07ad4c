//! Crashes: after each step, and before and after each request to the store.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::CopyOptions;
use object_store::DynObjectStore;
use object_store::GetOptions;
use object_store::GetResult;
use object_store::ListResult;
use object_store::MultipartUpload;
use object_store::ObjectMeta;
use object_store::ObjectStore;
use object_store::PutMultipartOptions;
use object_store::PutOptions;
use object_store::PutPayload;
use object_store::PutResult;
use object_store::UploadPart;
use object_store::memory::InMemory;
use object_store::path::Path as StorePath;
use url::Url;

use super::*;

const KEEP: Policy = Policy { compact_files: 3, retain_ms: None };

/// Kills at the given time a step of that kind is reached.
fn dying(step: Step, time: usize) -> impl FnMut(Step) {
    let mut reached = 0;
    move |at| {
        reached += usize::from(at == step);
        assert!(at != step || reached != time, "killed at {step:?}");
    }
}

#[test]
fn a_crash_after_any_step_loses_and_doubles_nothing() {
    for step in [Step::Widened, Step::Written, Step::Committed] {
        let room = room();
        let (log, archive) = sealed(room.path(), 4, 2);
        drop(archive);
        (5..=8).for_each(|number| log.append(number));
        let killed = catch_unwind(AssertUnwindSafe(|| {
            open(room.path()).seal(log.all(), &mut dying(step, 1)).unwrap()
        }));
        killed.unwrap_err();
        let mut reopened = open(room.path());
        let committed = if step == Step::Committed { 8 } else { 4 };
        assert_eq!(reopened.sealed().tick, tick(committed), "{step:?}");
        assert_whole(&mut reopened, &log);
        reopened.seal(log.all(), &mut quietly).unwrap();
        assert_eq!(reopened.sealed().tick, tick(8));
        assert_whole(&mut reopened, &log);
    }
}

#[test]
fn a_crash_in_the_midst_of_upkeep_loses_and_doubles_nothing() {
    for (step, time) in
        [(Step::Written, 1), (Step::Committed, 1), (Step::Written, 2), (Step::Committed, 2)]
    {
        let room = room();
        let (log, archive) = sealed(room.path(), 9, 1);
        drop(archive);
        let killed = catch_unwind(AssertUnwindSafe(|| {
            open(room.path()).maintain(KEEP, &mut dying(step, time)).unwrap()
        }));
        killed.unwrap_err();
        let mut reopened = open(room.path());
        assert_whole(&mut reopened, &log);
        reopened.maintain(KEEP, &mut quietly).unwrap();
        assert_whole(&mut reopened, &log);
    }
}

/// A store that dies at its `last`th writing request: before doing it, or after, telling nobody.
#[derive(Debug)]
struct Mortal {
    store: Arc<InMemory>,
    last: u64,
    after: bool,

    requests: AtomicU64,
    dead: AtomicBool,
}

impl fmt::Display for Mortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mortal store")
    }
}

fn gone() -> object_store::Error {
    object_store::Error::Generic { store: "mortal", source: "killed".into() }
}

impl Mortal {
    fn alive(&self) -> object_store::Result<()> {
        if self.dead.load(Ordering::SeqCst) { Err(gone()) } else { Ok(()) }
    }

    /// Lets a writing request through, or not; whether its answer arrives is the inner result.
    fn write(&self) -> object_store::Result<bool> {
        self.alive()?;
        let dies = self.requests.fetch_add(1, Ordering::SeqCst) + 1 == self.last;
        if dies {
            self.dead.store(true, Ordering::SeqCst);
            if !self.after {
                return Err(gone());
            }
        }
        Ok(!dies)
    }
}

fn answered<T>(answered: bool, result: object_store::Result<T>) -> object_store::Result<T> {
    if answered { result } else { Err(gone()) }
}

/// An upload that counts its completion as a request: parts are nothing until then.
#[derive(Debug)]
struct MortalUpload {
    mortal: Arc<Mortal>,
    upload: Box<dyn MultipartUpload>,
}

#[async_trait::async_trait]
impl MultipartUpload for MortalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let lives = self.mortal.write()?;
        answered(lives, self.upload.complete().await)
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.upload.abort().await
    }
}

/// The store as a client holds it.
#[derive(Clone, Debug)]
struct Client(Arc<Mortal>);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Client {
    async fn put_opts(
        &self,
        location: &StorePath,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let lives = self.0.write()?;
        answered(lives, self.0.store.put_opts(location, payload, options).await)
    }

    async fn put_multipart_opts(
        &self,
        location: &StorePath,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.alive()?;
        let upload = self.0.store.put_multipart_opts(location, options).await?;
        Ok(Box::new(MortalUpload { mortal: self.0.clone(), upload }))
    }

    async fn get_opts(
        &self,
        location: &StorePath,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.0.alive()?;
        self.0.store.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<StorePath>>,
    ) -> BoxStream<'static, object_store::Result<StorePath>> {
        match self.0.write() {
            Ok(_) => self.0.store.delete_stream(locations),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(
        &self,
        prefix: Option<&StorePath>,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match self.0.alive() {
            Ok(()) => self.0.store.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&StorePath>,
    ) -> object_store::Result<ListResult> {
        self.0.alive()?;
        self.0.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        let lives = self.0.write()?;
        answered(lives, self.0.store.copy_opts(from, to, options).await)
    }
}

fn within(store: Arc<DynObjectStore>) -> Location {
    Location::within(Url::parse("memory:///archive").unwrap(), store)
}

/// All that an archive does in its life, on a store that dies on the way; whether it died.
fn live(store: &Arc<InMemory>, log: &Log, last: u64, after: bool) -> bool {
    let (requests, dead) = (AtomicU64::new(0), AtomicBool::new(false));
    let mortal = Arc::new(Mortal { store: store.clone(), last, after, requests, dead });
    let lived = lives(within(Arc::new(Client(mortal.clone()))), log);
    let died = mortal.dead.load(Ordering::SeqCst);
    assert!(died || lived.is_ok(), "{lived:?}");
    died
}

fn lives(location: Location, log: &Log) -> Result<(), ArchiveError> {
    let mut archive = Archive::open(location, NORTH)?;
    for upto in [1, 2, 3, 4, 6] {
        archive.seal(log.upto(upto), &mut quietly)?;
        archive.maintain(Policy { compact_files: 2, retain_ms: None }, &mut quietly)?;
    }
    Ok(())
}

#[test]
fn a_crash_at_any_request_loses_and_doubles_nothing() {
    let log = Log::of(6);
    for after in [false, true] {
        let mut last = 1;
        loop {
            let store = Arc::new(InMemory::new());
            let died = live(&store, &log, last, after);
            // What the next process finds, and then does.
            let mut archive = Archive::open(within(store), NORTH).unwrap();
            assert_whole(&mut archive, &log);
            archive.seal(log.all(), &mut quietly).unwrap();
            archive.maintain(KEEP, &mut quietly).unwrap();
            assert_eq!(archive.sealed().count, log.head().count);
            assert_whole(&mut archive, &log);
            if !died {
                break;
            }
            last += 1;
        }
        assert!(last > 20, "only {last} requests were made");
    }
}
