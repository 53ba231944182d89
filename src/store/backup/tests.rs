use super::*;
use crate::sqlite::backup::size;
use crate::store::{self, SCHEMA_VERSION};
use std::fs;

fn database(folder: &Path) -> PathBuf {
    let path = folder.join("talks.db");
    drop(store::open(&path, true).unwrap());
    path
}

#[test]
fn a_copy_of_an_earlier_schema_is_made_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    store::migrations::tests::upgrade();
    let copied = back_up(&path, &folder.path().join("copy.db"), UnixSeconds::EPOCH, &Arc::default()).unwrap();
    assert_eq!((copied.contents.schema, copied.contents.talks), (SCHEMA_VERSION, 0));
}

#[test]
fn a_copy_that_is_stopped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let copies = folder.path().join("copies");
    fs::create_dir(&copies).unwrap();
    let watch = Arc::<CopyProgress>::default();
    watch.stop();
    let stopped = back_up(&path, &copies, UnixSeconds::EPOCH, &watch);
    assert!(matches!(stopped, Err(BackupError::Stopped)), "{stopped:?}");
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 0);
}

#[test]
fn a_free_page_takes_no_room_in_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TABLE fat (bytes BLOB); INSERT INTO fat VALUES (zeroblob(4000000))")
        .unwrap();
    let fat = size(&connection).unwrap();
    connection.execute_batch("DROP TABLE fat").unwrap();
    let lean = size(&connection).unwrap();
    assert!(fat - lean > 4_000_000 - 8192, "{fat} {lean}");
    let copied = back_up(&path, &folder.path().join("copy.db"), UnixSeconds::EPOCH, &Arc::default()).unwrap();
    assert!(copied.bytes <= lean + 8192, "{} {lean}", copied.bytes);
}

#[test]
fn the_oldest_are_removed_after_a_new_one_whatever_the_clock_showed() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let copies = folder.path().join("copies");
    fs::create_dir(&copies).unwrap();
    let copy_at = |at| back_up(&path, &copies, UnixSeconds::new(at), &Arc::default()).unwrap();
    let left = || {
        let names =
            fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    for at in [0, 86_400, 172_800] {
        copy_at(at);
    }
    let last = copy_at(259_200);
    assert_eq!(prune(&last, "other", 1).unwrap(), 0);
    assert_eq!(prune(&last, "talks", 4).unwrap(), 0);
    assert_eq!(prune(&last, "talks", 2).unwrap(), 2);
    assert_eq!(left(), ["talks-1970-01-03T000000Z.db", "talks-1970-01-04T000000Z.db"]);
    // The clock was set back. The new copy stays, and is not counted twice.
    let earlier = copy_at(0);
    assert_eq!(prune(&earlier, "talks", 2).unwrap(), 0);
    assert!(earlier.path.exists());
}
