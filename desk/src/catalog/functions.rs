//! The functions of PostgreSQL's catalog.
//!
//! Most say the same for every row: what they would describe does not exist here. None of them is
//! known to statements that do not ask for the catalog, nor to views.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use arrow::array::Array;
use arrow::array::ArrayRef;
use arrow::array::BooleanArray;
use arrow::array::Int32Array;
use arrow::array::ListBuilder;
use arrow::array::StringArray;
use arrow::array::StringBuilder;
use arrow::array::cast::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Fields;
use arrow::datatypes::Int32Type;
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::ScalarFunctionArgs;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::ScalarUDFImpl;
use datafusion::logical_expr::Signature;
use datafusion::logical_expr::TypeSignature;
use datafusion::logical_expr::Volatility;
use datafusion_pg_catalog::pg_catalog as given;

use super::indexes;
use super::indexes::Index;
use super::oid;
use super::role_oid;
use crate::relations::DATABASE;
use crate::relations::Listed;
use crate::relations::PUBLIC;
use crate::relations::Sight;
use crate::settings::SERVER_VERSION;
use crate::users::ADMIN;
use crate::users::Users;

/// What a function makes of its arguments, for so many rows.
type Body = dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync;

/// A function of any arguments.
struct Function {
    name: &'static str,
    returns: DataType,
    signature: Signature,
    body: Arc<Body>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays: Result<Vec<ArrayRef>> =
            args.args.iter().map(|arg| arg.to_array(rows)).collect();
        Ok(ColumnarValue::Array((self.body)(&arrays?, rows)?))
    }
}

fn function(
    name: &'static str,
    returns: DataType,
    body: impl Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let any = vec![TypeSignature::VariadicAny, TypeSignature::Nullary];
    let signature = Signature::one_of(any, Volatility::Stable);
    ScalarUDF::from(Function { name, returns, signature, body: Arc::new(body) })
}

/// The same text for every row.
fn text(name: &'static str, value: impl Into<String>) -> ScalarUDF {
    let value = value.into();
    function(name, DataType::Utf8, move |_, rows| {
        Ok(Arc::new(StringArray::from(vec![value.as_str(); rows])))
    })
}

/// NULL for every row, as a text.
fn no_text(name: &'static str) -> ScalarUDF {
    function(name, DataType::Utf8, |_, rows| Ok(Arc::new(StringArray::new_null(rows))))
}

/// The same truth for every row.
fn truth(name: &'static str, value: bool) -> ScalarUDF {
    function(name, DataType::Boolean, move |_, rows| {
        Ok(Arc::new(BooleanArray::from(vec![value; rows])))
    })
}

/// The same number for every row.
fn number(name: &'static str, value: i64) -> ScalarUDF {
    function(name, DataType::Int64, move |_, rows| {
        Ok(Arc::new(arrow::array::Int64Array::from(vec![value; rows])))
    })
}

/// A text by the number that is the first argument; NULL where there is none.
fn by_oid(name: &'static str, texts: BTreeMap<i32, String>) -> ScalarUDF {
    function(name, DataType::Utf8, move |args, rows| {
        let Some(oids) = args.first() else { return Ok(Arc::new(StringArray::new_null(rows))) };
        let oids = cast(oids, &DataType::Int32)?;
        let oids: &Int32Array = oids.as_primitive::<Int32Type>();
        let found = oids.iter().map(|oid| oid.and_then(|oid| texts.get(&oid)));
        Ok(Arc::new(found.collect::<StringArray>()))
    })
}

/// Every function of the catalog, for a statement of `user` that sees `sight`.
pub(super) fn all(sight: &Sight, user: &str, users: &Users) -> Vec<ScalarUDF> {
    let mut all = about_session(user);
    all.extend(about_relations(sight));
    all.extend(about_roles(user, users));
    all.extend(about_nothing());
    all.push(expand_array());
    all.push(quote_literal());
    all.extend([
        given::format_type::create_format_type_udf(),
        given::quote_ident_udf::create_quote_ident_udf(),
        given::quote_ident_udf::create_parse_ident_udf(),
        given::array_bounds_udf::create_array_upper_udf(),
        given::array_bounds_udf::create_array_lower_udf(),
    ]);
    all
}

fn about_session(user: &str) -> Vec<ScalarUDF> {
    let version = format!("PostgreSQL {SERVER_VERSION} (gridloom {})", env!("CARGO_PKG_VERSION"));
    let schemas = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let settings = crate::settings::Settings::of(&crate::role::Principal::new(
        user,
        crate::role::Role::Viewer,
    ));
    vec![
        text("version", version),
        text("current_database", DATABASE),
        text("current_catalog", DATABASE),
        text("current_schema", PUBLIC),
        text("session_user", user),
        text("current_user", user),
        text("current_role", user),
        text("user", user),
        number("pg_backend_pid", 0),
        number("inet_server_port", 0),
        no_text("inet_server_addr"),
        truth("pg_is_in_recovery", false),
        text("pg_encoding_to_char", "UTF8"),
        text("pg_client_encoding", "UTF8"),
        function("current_schemas", schemas, |args, rows| {
            // Whether those are wanted that nobody has to name.
            let implicit = args.first().and_then(|arg| arg.as_boolean_opt());
            let mut builder = ListBuilder::new(StringBuilder::new());
            for row in 0..rows {
                let all = implicit.is_none_or(|implicit| implicit.value(row));
                let first = all.then_some(Some("pg_catalog"));
                builder.append_value(first.into_iter().chain([Some(PUBLIC)]));
            }
            Ok(Arc::new(builder.finish()))
        }),
        function("current_setting", DataType::Utf8, move |args, rows| {
            let Some(names) = args.first() else {
                return Ok(Arc::new(StringArray::new_null(rows)));
            };
            let names = cast(names, &DataType::Utf8)?;
            let values = names.as_string::<i32>().iter().map(|name| settings.get(name?));
            Ok(Arc::new(values.collect::<StringArray>()))
        }),
    ]
}

fn about_relations(sight: &Sight) -> Vec<ScalarUDF> {
    let each = |value: &dyn Fn(&Listed) -> String| -> BTreeMap<i32, String> {
        let numbered = sight.listed.iter().map(|l| (oid(&l.schema, &l.name), value(l)));
        numbered.collect()
    };
    let definition = |listed: &Listed| {
        let view = sight.status.views.iter().find(|view| view.name == listed.name);
        view.map(|view| query_of(&view.sql)).unwrap_or_default()
    };
    let indexes = indexes::all(&sight.listed, &sight.status);
    let keys = indexes.iter().filter(|index| index.of_key);
    let key = |index: &Index<'_>| format!("PRIMARY KEY ({})", index.columns.join(", "));
    vec![
        truth("pg_table_is_visible", true),
        truth("pg_type_is_visible", true),
        truth("pg_function_is_visible", true),
        truth("pg_relation_is_publishable", false),
        truth("pg_relation_is_updatable", false),
        truth("pg_is_other_temp_schema", false),
        by_oid("pg_get_viewdef", each(&definition)),
        by_oid("obj_description", each(&|listed| listed.comment.to_owned())),
        by_oid("pg_get_constraintdef", keys.map(|index| (index.oid(), key(index))).collect()),
        index_definition(&indexes),
        number("pg_table_size", 0),
        number("pg_relation_size", 0),
        number("pg_total_relation_size", 0),
        number("pg_indexes_size", 0),
        number("pg_database_size", 0),
        number("pg_stat_get_numscans", 0),
        function("pg_size_pretty", DataType::Utf8, |args, rows| {
            let Some(sizes) = args.first() else {
                return Ok(Arc::new(StringArray::new_null(rows)));
            };
            let sizes = cast(sizes, &DataType::Utf8)?;
            let sizes = sizes.as_string::<i32>().iter().map(|n| Some(format!("{} bytes", n?)));
            Ok(Arc::new(sizes.collect::<StringArray>()))
        }),
    ]
}

/// `pg_get_indexdef(index [, column, pretty])`: the statement of an index, or the name of its
/// column.
fn index_definition(indexes: &[Index<'_>]) -> ScalarUDF {
    let whole: BTreeMap<i32, String> =
        indexes.iter().map(|index| (index.oid(), index.definition())).collect();
    let columns: BTreeMap<i32, Vec<String>> =
        indexes.iter().map(|index| (index.oid(), index.columns.clone())).collect();
    function("pg_get_indexdef", DataType::Utf8, move |args, rows| {
        let Some(oids) = args.first() else { return Ok(Arc::new(StringArray::new_null(rows))) };
        let oids = cast(oids, &DataType::Int32)?;
        let oids = oids.as_primitive::<Int32Type>();
        let places = args.get(1).map(|places| cast(places, &DataType::Int32)).transpose()?;
        let place = |row: usize| {
            let places = places.as_ref()?.as_primitive::<Int32Type>();
            usize::try_from(places.is_valid(row).then(|| places.value(row))?).ok()
        };
        let found = oids.iter().enumerate().map(|(row, oid)| match place(row) {
            None | Some(0) => whole.get(&oid?).cloned(),
            Some(place) => columns.get(&oid?)?.get(place - 1).cloned(),
        });
        Ok(Arc::new(found.collect::<StringArray>()))
    })
}

/// The query of the statement that made a view.
fn query_of(sql: &str) -> String {
    match queries::plan::statement::view(sql) {
        Ok(view) => view.query.to_string(),
        Err(_) => sql.to_owned(),
    }
}

fn about_roles(user: &str, users: &Users) -> Vec<ScalarUDF> {
    let mut names: BTreeMap<i32, String> =
        users.list().into_iter().map(|user| (role_oid(&user.user), user.user)).collect();
    names.entry(super::OWNER).or_insert_with(|| ADMIN.to_owned());
    let reads = |name: &'static str| {
        // What is asked for stands last: `has_table_privilege(user, table, 'SELECT')`.
        function(name, DataType::Boolean, |args, rows| {
            let Some(asked) = args.last() else {
                return Ok(Arc::new(BooleanArray::new_null(rows)));
            };
            let asked = cast(asked, &DataType::Utf8)?;
            let may = |asked: &str| {
                let asked = asked.to_uppercase();
                ["SELECT", "USAGE", "CONNECT", "EXECUTE"].iter().any(|word| asked.contains(word))
            };
            let may = asked.as_string::<i32>().iter().map(|asked| asked.map(may));
            Ok(Arc::new(may.collect::<BooleanArray>()))
        })
    };
    let is_me = user.to_owned();
    vec![
        by_oid("pg_get_userbyid", names),
        reads("has_table_privilege"),
        reads("has_schema_privilege"),
        reads("has_database_privilege"),
        reads("has_any_column_privilege"),
        reads("has_column_privilege"),
        reads("has_function_privilege"),
        reads("has_sequence_privilege"),
        function("pg_has_role", DataType::Boolean, move |args, rows| {
            let Some(role) = args.first() else {
                return Ok(Arc::new(BooleanArray::new_null(rows)));
            };
            let role = cast(role, &DataType::Utf8)?;
            let same = role.as_string::<i32>().iter().map(|role| role.map(|role| role == is_me));
            Ok(Arc::new(same.collect::<BooleanArray>()))
        }),
    ]
}

/// Functions about what is not here: defaults, triggers, rules, partitions, statistics.
fn about_nothing() -> Vec<ScalarUDF> {
    let none = [
        "col_description",
        "shobj_description",
        "pg_get_expr",
        "pg_get_ruledef",
        "pg_get_triggerdef",
        "pg_get_partkeydef",
        "pg_get_functiondef",
        "pg_get_function_result",
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
        "pg_get_statisticsobjdef_columns",
        "pg_get_serial_sequence",
        "pg_tablespace_location",
        "pg_get_partition_constraintdef",
    ];
    none.into_iter().map(no_text).collect()
}

/// `quote_literal(text)`.
fn quote_literal() -> ScalarUDF {
    function("quote_literal", DataType::Utf8, |args, rows| {
        let Some(texts) = args.first() else { return Ok(Arc::new(StringArray::new_null(rows))) };
        let texts = cast(texts, &DataType::Utf8)?;
        let quoted = texts.as_string::<i32>().iter();
        let quoted = quoted.map(|text| Some(format!("'{}'", text?.replace('\'', "''"))));
        Ok(Arc::new(quoted.collect::<StringArray>()))
    })
}

/// `information_schema._pg_expandarray`: the elements of a list with their places, as a list.
fn expand_array() -> ScalarUDF {
    let fields = Fields::from(vec![
        Field::new("x", DataType::Int32, true),
        Field::new("n", DataType::Int32, true),
    ]);
    let item = Arc::new(Field::new("item", DataType::Struct(fields.clone()), true));
    let returns = DataType::List(Arc::clone(&item));
    function("_pg_expandarray", returns, move |args, rows| {
        let mut lengths = Vec::with_capacity(rows);
        let (mut values, mut places) = (Vec::new(), Vec::new());
        if let Some(lists) = args.first().and_then(|arg| arg.as_list_opt::<i32>()) {
            for list in lists.iter() {
                let list = list.map(|list| cast(&list, &DataType::Int32)).transpose()?;
                let list = list.as_ref().map(|list| list.as_primitive::<Int32Type>());
                let n = list.map_or(0, Array::len);
                values.extend(list.into_iter().flat_map(|list| list.iter()));
                places.extend((1..=i32::try_from(n).unwrap_or(i32::MAX)).map(Some));
                lengths.push(n);
            }
        } else {
            lengths.resize(rows, 0);
        }
        let arrays: Vec<ArrayRef> =
            vec![Arc::new(Int32Array::from(values)), Arc::new(Int32Array::from(places))];
        let structs = arrow::array::StructArray::try_new(fields.clone(), arrays, None)?;
        let offsets = arrow::buffer::OffsetBuffer::from_lengths(lengths);
        let list =
            arrow::array::ListArray::try_new(Arc::clone(&item), offsets, Arc::new(structs), None)?;
        Ok(Arc::new(list))
    })
}
