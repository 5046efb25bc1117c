//! A value that was fetched in part, fetched whole: exactly that version of the row, or nothing.

use drtui::compare::engine::{Wanted, whole};
use drtui::compare::model::Cut;
use drtui::compare::{Options, RowVersion, Side, Verdict};
use tokio::sync::watch;

use super::pair::{Pair, Story};
use super::wire::{self, Wire};

fn long(of: &str) -> String {
    of.repeat(50_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_value_is_fetched_whole_and_only_from_its_own_row() {
    let pair = Pair::make(
        "whole",
        &Story {
            setup: "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
                    CREATE TABLE notes (id int PRIMARY KEY, \"the body\" text);
                    INSERT INTO notes SELECT n, repeat('ab', 50000) FROM generate_series(1, 3) n;
                    CREATE TABLE dropped (id int PRIMARY KEY, body text);
                    INSERT INTO dropped SELECT n, repeat('xy', 50000) FROM generate_series(1, 3) n",
            after: "UPDATE notes SET \"the body\" = repeat('ab', 49999) || 'cd' WHERE id = 2; DROP TABLE dropped",
            ..Story::default()
        },
    );
    let told = wire::directly(&pair, Options { value_bytes: 100, ..Options::default() }).await;
    let (table, gone) = (told.table("notes"), told.table("dropped"));
    let row = &table.rows[0];
    let (live, restored) = (row.live.as_ref().unwrap(), row.restored.as_ref().unwrap());
    // A table that only one side has says too that this is not all of the value.
    assert_eq!((&gone.verdict, gone.rows.len()), (&Verdict::Gone, 3));
    assert_eq!((gone.key.as_slice(), gone.rows[0].key.len()), (["id".to_owned()].as_slice(), 1));
    let lost = gone.rows[0].restored.as_ref().unwrap();
    let value = lost.values[1].as_ref().unwrap();
    assert_eq!((value.text.len(), value.cut.as_ref().map(|c| c.bytes)), (100, Some(100_000)));

    let (_stop, stopped) = watch::channel(false);
    let asked = async |side, name: &str, column: &str, version: &RowVersion, limit| {
        let port = if side == Side::Live { pair.live.port } else { pair.restored.port };
        let table = if name == "notes" { table.table.clone() } else { gone.table.clone() };
        let (ctid, xmin) = (version.ctid.clone(), version.xmin);
        let wanted = Wanted { side, table, column: column.into(), ctid, xmin };
        whole(&Wire { port, user: "reader".into() }, &wanted, limit, &stopped).await
    };
    let body = "the body";
    let text = |found: Option<Option<drtui::compare::Value>>| found.unwrap().unwrap();
    let found = text(asked(Side::Live, "notes", body, live, 1 << 20).await.unwrap());
    assert!(found.text.ends_with("cd") && found.text.len() == 100_000 && found.cut.is_none());
    let found = text(asked(Side::Restored, "notes", body, restored, 1 << 20).await.unwrap());
    assert!(found.text == long("ab") && found.cut.is_none());
    let found = text(asked(Side::Restored, "dropped", "body", lost, 1 << 20).await.unwrap());
    assert_eq!(found.text, long("xy"));
    let found = text(asked(Side::Restored, "dropped", "body", lost, 5_000).await.unwrap());
    assert!(matches!(found.cut, Some(Cut { bytes: 100_000, .. })) && found.text.len() == 5_000);

    // Written again meanwhile: what lies there now is another version, and is not taken for this one.
    pair.live.sql(
        "app",
        "UPDATE notes SET \"the body\" = 'short' WHERE id = 2; VACUUM notes; UPDATE notes SET id = id",
    );
    assert_eq!(asked(Side::Live, "notes", body, live, 1 << 20).await.unwrap(), None);
    let said = asked(Side::Live, "notes", "no such", live, 10).await.unwrap_err().to_string();
    assert!(said.contains("live") && said.contains("does not exist"), "{said}");
}
