//! What both catalogues say together: the ground, the pairs of tables, and definitions that differ.

use super::CompareError;
use super::session::Session;
use super::table::Teller;
use crate::compare::ask::{catalogue as ask, session as ask_session};
use crate::compare::catalogue::{self, Catalogue, Pair};
use crate::compare::gates::Ground;
use crate::compare::model::{Options, SchemaChange, Side};
use crate::compare::schema::{self, Definition};

/// A side's catalogue, and its printed definitions if they could be read.
pub type Answer = (Catalogue, Option<Vec<Definition>>);

/// What the catalogues said.
pub struct Known {
    pub ground: Ground,
    pub pairs: Vec<Pair>,
    /// Of each pair.
    pub schema: Vec<Vec<SchemaChange>>,
    /// Of nothing that is compared.
    pub elsewhere: Vec<SchemaChange>,
}

/// Reads the answers together.
pub fn understand(
    (live, live_definitions): Answer,
    (restored, restored_definitions): Answer,
    options: &Options,
    tell: &Teller,
) -> Result<Known, CompareError> {
    let ground = Ground { live: live.facts(), restored: restored.facts(), mode: options.mode };
    if ground.is_one_server() {
        return Err(CompareError::OneServer { database: ground.live.database });
    }
    for (side, facts) in [(Side::Live, &ground.live), (Side::Restored, &ground.restored)] {
        if facts.version_num < 140_000 {
            return Err(CompareError::TooOld { side, version: facts.version.clone() });
        }
    }
    let one_origin = ground.one_origin();
    let pairs = catalogue::pair(&live, &restored, one_origin, options);
    if pairs.is_empty() {
        return Err(CompareError::NoTable);
    }
    let names =
        |p: &Pair| Some((p.live.as_ref()?.table().to_string(), p.restored.as_ref()?.table().to_string()));
    let renamed: Vec<(String, String)> = pairs.iter().filter_map(names).filter(|(l, r)| l != r).collect();
    let mut elsewhere = match (live_definitions, restored_definitions) {
        (Some(live), Some(restored)) => schema::of_definitions(&live, &restored, &renamed),
        _ => {
            tell.note("definitions other than columns could not be read: they were not compared".to_owned());
            Vec::new()
        }
    };
    elsewhere.extend(schema::of_sequences(&live.sequences, &restored.sequences));
    let mut of_pairs = Vec::new();
    for pair in &pairs {
        let mut mine = schema::of_table(pair, one_origin);
        let on = pair.table().to_string();
        let (own, others) = elsewhere.into_iter().partition(|c| c.on == on);
        elsewhere = others;
        // A table on one side only differs in everything.
        if pair.live.is_some() && pair.restored.is_some() {
            mine.extend::<Vec<SchemaChange>>(own);
        }
        of_pairs.push(mine);
    }
    if !options.tables.is_empty() {
        elsewhere.clear();
    }
    let cautions = schema::cautions(&live, &restored);
    cautions.into_iter().for_each(|text| tell.note(text));
    Ok(Known { ground, pairs, schema: of_pairs, elsewhere })
}

/// T0 of one side; without sizes if somebody took a lock meanwhile.
pub async fn read(session: &Session) -> Result<Answer, CompareError> {
    let what = "its catalogue";
    let question = ask::catalogue(true);
    let (text, definitions) =
        tokio::join!(session.text(what, &question), session.rows("its definitions", ask::DEFINITIONS));
    let text = match text {
        Err(CompareError::Refused { code, .. }) if code == "55P03" => {
            session.run("a new snapshot", &ask_session::renew(session.side)).await?;
            session.text(what, &ask::catalogue(false)).await?
        }
        text => text?,
    };
    let catalogue = Catalogue::read(&text).map_err(|why| session.garbled(what, &why))?;
    let definitions = match definitions {
        Ok(rows) => Some(rows.iter().filter_map(definition).collect()),
        Err(e) if e.is_cut() || e == CompareError::Cancelled => return Err(e),
        // Rows can be compared without them.
        Err(_) => {
            session.run("a new snapshot", &ask_session::renew(session.side)).await?;
            None
        }
    };
    Ok((catalogue, definitions))
}

fn definition(row: &tokio_postgres::Row) -> Option<Definition> {
    Some(Definition {
        what: row.try_get(0).ok()?,
        on: row.try_get(1).ok()?,
        name: row.try_get(2).ok()?,
        text: row.try_get::<_, Option<String>>(3).ok()?.unwrap_or_default(),
    })
}
