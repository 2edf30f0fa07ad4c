//! TPC-H: all 22 queries as maintained views, while orders come and go.
//!
//! The relations are those of the generator at a scale that is stated. At the first tick there is
//! most of them; then batch by batch the next orders come with their lines, the oldest go, and a
//! few customers, parts, suppliers and offers go and come back. After every batch a view must show
//! what batch DataFusion answers of the rows that are there.
//!
//! The texts are those of the specification with its validation parameters, without the ORDER BY
//! where no LIMIT follows: a view has no order. Q15 has its revenue view in WITH.

pub mod data;
pub mod run;

/// The queries: number and text.
pub static QUERIES: [(u32, &str); 22] = [
    (1, include_str!("tpch/sql/q01.sql")),
    (2, include_str!("tpch/sql/q02.sql")),
    (3, include_str!("tpch/sql/q03.sql")),
    (4, include_str!("tpch/sql/q04.sql")),
    (5, include_str!("tpch/sql/q05.sql")),
    (6, include_str!("tpch/sql/q06.sql")),
    (7, include_str!("tpch/sql/q07.sql")),
    (8, include_str!("tpch/sql/q08.sql")),
    (9, include_str!("tpch/sql/q09.sql")),
    (10, include_str!("tpch/sql/q10.sql")),
    (11, include_str!("tpch/sql/q11.sql")),
    (12, include_str!("tpch/sql/q12.sql")),
    (13, include_str!("tpch/sql/q13.sql")),
    (14, include_str!("tpch/sql/q14.sql")),
    (15, include_str!("tpch/sql/q15.sql")),
    (16, include_str!("tpch/sql/q16.sql")),
    (17, include_str!("tpch/sql/q17.sql")),
    (18, include_str!("tpch/sql/q18.sql")),
    (19, include_str!("tpch/sql/q19.sql")),
    (20, include_str!("tpch/sql/q20.sql")),
    (21, include_str!("tpch/sql/q21.sql")),
    (22, include_str!("tpch/sql/q22.sql")),
];
