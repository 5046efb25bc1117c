//! What a row holds, as one 64-bit number: the hash of `record_send`, which tells NULL from any text, 1.0 from 1.00,
//! -0 from 0, and does not change with session settings. Types whose number differs from database to database go in by
//! their own send function or as text, because `record_send` writes type numbers.

use super::ident;
use crate::compare::catalogue::Column;

/// Types made by users or extensions are numbered from here on.
const FIRST_USER_OID: u32 = 16_384;

/// A column that both sides have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    pub live: Column,
    pub restored: Column,
}

/// How columns are written so that both sides agree.
#[derive(Debug, Clone, Copy)]
pub struct Agreement {
    /// Both are copies of one database: equal type numbers mean equal types.
    pub one_origin: bool,
}

impl Agreement {
    /// The expression for `column` (one of `shared`'s two) within ROW(...).
    pub fn expression(self, shared: &Shared, column: &Column) -> String {
        let name = ident(&column.name);
        let (live, restored) = (&shared.live, &shared.restored);
        let comparable = live.type_oid == restored.type_oid || live.type_name == restored.type_name;
        if !comparable || column.send.is_none() {
            return format!("{name}::text");
        }
        let numbered = column.type_oid < FIRST_USER_OID || self.one_origin;
        if numbered && live.type_oid == restored.type_oid {
            return name;
        }
        match (column.type_kind.as_str(), column.category.as_str(), &column.send) {
            ("b", category, Some(send)) if category != "A" => format!("{send}({name})"),
            _ => format!("{name}::text"),
        }
    }

    /// Hash of the given columns of one side, an `int8`.
    pub fn hash<'a>(
        self,
        columns: impl IntoIterator<Item = &'a Shared>,
        pick: impl Fn(&Shared) -> &Column,
    ) -> String {
        let all: Vec<String> = columns.into_iter().map(|s| self.expression(s, pick(s))).collect();
        // Outside a row a bytea has no 64-bit hash that SQL can call.
        format!("hash_record_extended(ROW(record_send(ROW({}))), 0)", all.join(", "))
    }
}

/// The key of a row as one `int8`: the key itself if it is one integer, else a hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Integer(Box<Shared>),
    Hashed(Vec<Shared>),
}

impl Key {
    /// The key over these columns; `None` without any.
    pub fn over(columns: Vec<Shared>) -> Option<Key> {
        let integer = |c: &Column| matches!(c.type_oid, 20 | 21 | 23);
        match columns.as_slice() {
            [] => None,
            [one] if integer(&one.live) && integer(&one.restored) => {
                Some(Key::Integer(Box::new(one.clone())))
            }
            _ => Some(Key::Hashed(columns)),
        }
    }

    /// The expression on one side.
    pub fn expression(&self, agreement: Agreement, pick: impl Fn(&Shared) -> &Column) -> String {
        match self {
            Key::Integer(shared) => format!("{}::int8", ident(&pick(shared).name)),
            Key::Hashed(columns) => match columns.as_slice() {
                [one] if one.live.type_oid == UUID && one.restored.type_oid == UUID => {
                    format!("uuid_hash_extended({}, 0)", ident(&pick(one).name))
                }
                all => agreement.hash(all, pick),
            },
        }
    }

    /// A condition for rows with one of these keys; uses the index of an integer key.
    pub fn any(&self, keys: &[i64], agreement: Agreement, pick: impl Fn(&Shared) -> &Column) -> String {
        let left = match self {
            Key::Integer(shared) => ident(&pick(shared).name),
            Key::Hashed(_) => self.expression(agreement, pick),
        };
        format!("{left} = ANY ({})", super::physical::numbers(keys))
    }

    pub fn columns(&self) -> &[Shared] {
        match self {
            Key::Integer(one) => std::slice::from_ref(one.as_ref()),
            Key::Hashed(all) => all,
        }
    }
}

const UUID: u32 = 2_950;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::catalogue::tests::column;

    fn both(live: Column, restored: Column) -> Shared {
        Shared { live, restored }
    }

    fn user(oid: u32, kind: &str, category: &str) -> Column {
        Column {
            type_oid: oid,
            type_kind: kind.into(),
            category: category.into(),
            send: Some("public.citextsend".into()),
            type_name: "public.thing".into(),
            ..column(1, "c", 25)
        }
    }

    #[test]
    fn built_in_types_go_in_as_they_are() {
        let shared = both(column(1, "a", 23), column(1, "a", 23));
        for one_origin in [true, false] {
            assert_eq!(Agreement { one_origin }.expression(&shared, &shared.live), "\"a\"");
        }
    }

    #[test]
    fn numbers_of_user_types_are_trusted_within_one_origin_only() {
        let expression = |kind, category, one_origin| {
            let shared = both(user(16_400, kind, category), user(16_400, kind, category));
            Agreement { one_origin }.expression(&shared, &shared.live)
        };
        assert_eq!(expression("b", "S", true), "\"c\"");
        assert_eq!(expression("b", "S", false), "public.citextsend(\"c\")");
        assert_eq!(expression("e", "E", false), "\"c\"::text");
        assert_eq!(expression("b", "A", false), "\"c\"::text", "an array writes its element's number");
    }

    #[test]
    fn other_types_and_types_without_a_send_function_go_as_text() {
        let retyped = both(column(1, "a", 23), column(1, "a", 20));
        assert_eq!(Agreement { one_origin: true }.expression(&retyped, &retyped.live), "\"a\"::text");
        let acl = Column { send: None, ..column(1, "a", 1_033) };
        let shared = both(acl.clone(), acl);
        assert_eq!(Agreement { one_origin: true }.expression(&shared, &shared.live), "\"a\"::text");
    }

    #[test]
    fn one_integer_is_its_own_key() {
        let one = |oid| vec![both(column(1, "id", oid), column(1, "id", oid))];
        let agreement = Agreement { one_origin: false };
        let key = Key::over(one(23)).unwrap();
        assert_eq!(key.expression(agreement, |s| &s.live), "\"id\"::int8");
        assert_eq!(key.any(&[1, 2], agreement, |s| &s.live), "\"id\" = ANY ('{1,2}'::int8[])");
        assert_eq!(
            Key::over(one(2_950)).unwrap().expression(agreement, |s| &s.live),
            "uuid_hash_extended(\"id\", 0)"
        );
        assert!(Key::over(vec![]).is_none());
    }
}
