// Asks both doors through JDBC what tools ask: rows, values, and everything about relations.
import java.sql.*;
import java.util.*;

public class Jdbc {
    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next()) values.add(rows.getString(name));
        rows.close();
        return values;
    }

    static void postgres(String url, String token) throws Exception {
        Properties properties = new Properties();
        properties.put("user", "admin");
        properties.put("password", token);
        try (Connection c = DriverManager.getConnection(url, properties)) {
            try (PreparedStatement s = c.prepareStatement(
                    "SELECT meter_id, limit_kw FROM meters WHERE limit_kw > ? AND feeder_id = ?")) {
                s.setDouble(1, 6);
                s.setString(2, "f1");
                // Often enough that the driver prepares it on the server and asks for binary.
                for (int i = 0; i < 8; i++) {
                    ResultSet rows = s.executeQuery();
                    check(rows.next() && rows.getString(1).equals("m2"), "rows");
                    check(rows.getDouble(2) == 7.5 && !rows.next(), "values");
                }
            }
            c.setAutoCommit(false);
            try (Statement s = c.createStatement()) {
                s.setFetchSize(1000);
                ResultSet rows = s.executeQuery("SELECT sequence FROM audit.actions");
                int n = 0;
                while (rows.next()) n++;
                check(n == 200000, "fetched in parts: " + n);
                rows = s.executeQuery("SELECT at, n, kw FROM readings ORDER BY meter_id");
                check(rows.next() && rows.getTimestamp(1).getTime() == 1767225600000L, "instant");
                rows.close();
            }
            c.commit();
            c.setAutoCommit(true);
            about(c, "public", true);
            try (Statement s = c.createStatement()) {
                s.executeUpdate("CREATE INDEX by_limit ON meters (limit_kw, feeder_id)");
                DatabaseMetaData meta = c.getMetaData();
                ResultSet index = meta.getIndexInfo(null, "public", "meters", false, true);
                check(index.next() && index.getString("INDEX_NAME").equals("by_limit"), "made");
                check(index.getBoolean("NON_UNIQUE"), "nothing is unique by it");
                check(index.getString("COLUMN_NAME").equals("limit_kw"), "first");
                check(column(index, "COLUMN_NAME").equals(List.of("feeder_id")), "second");
                index = meta.getIndexInfo(null, "public", "meters", true, true);
                check(column(index, "COLUMN_NAME").isEmpty(), "unique");
                s.executeUpdate("CREATE MATERIALIZED VIEW j AS SELECT * FROM meters");
                check(s.executeQuery("SELECT count(*) FROM j").next(), "made");
                s.setQueryTimeout(1);
                try {
                    s.executeQuery("SELECT count(*) FROM audit.actions a, audit.actions b "
                        + "WHERE a.sequence < b.sequence * 2");
                    throw new AssertionError("not stopped");
                } catch (SQLException e) {
                    check("57014".equals(e.getSQLState()), "cancelled: " + e);
                }
            }
        }
    }

    static void about(Connection c, String schema, boolean postgres) throws Exception {
        DatabaseMetaData about = c.getMetaData();
        List<String> tables = column(about.getTables(null, schema, "%", null), "TABLE_NAME");
        check(tables.containsAll(List.of("meters", "readings", "feeder_kw")), "tables: " + tables);
        List<String> columns = column(about.getColumns(null, schema, "meters", "%"), "COLUMN_NAME");
        check(columns.equals(List.of("meter_id", "feeder_id", "limit_kw")), "columns: " + columns);
        List<String> keys = column(about.getPrimaryKeys(null, schema, "readings"), "COLUMN_NAME");
        check(keys.equals(List.of("meter_id")), "keys: " + keys);
        check(column(about.getPrimaryKeys(null, schema, "meters"), "COLUMN_NAME").isEmpty(), "none");
        List<String> types = column(about.getTypeInfo(), "TYPE_NAME");
        // The Flight SQL driver does not ask the server for them.
        check(!postgres || types.containsAll(List.of("text", "int8")), "types: " + types);
        List<String> schemas = column(about.getSchemas(), "TABLE_SCHEM");
        check(schemas.contains("public") && schemas.contains("audit"), "schemas: " + schemas);
        check(!column(about.getTableTypes(), "TABLE_TYPE").isEmpty(), "table types");
        check(!column(about.getCatalogs(), "TABLE_CAT").isEmpty(), "catalogs");
        column(about.getImportedKeys(null, schema, "meters"), "FKCOLUMN_NAME");
        column(about.getExportedKeys(null, schema, "meters"), "FKCOLUMN_NAME");
        if (postgres) {
            ResultSet index = about.getIndexInfo(null, schema, "readings", false, true);
            check(column(index, "COLUMN_NAME").equals(List.of("meter_id")), "index");
            column(about.getFunctions(null, schema, "%"), "FUNCTION_NAME");
            column(about.getProcedures(null, schema, "%"), "PROCEDURE_NAME");
            column(about.getCrossReference(null, schema, "meters", null, schema, "readings"),
                "FKCOLUMN_NAME");
            column(about.getBestRowIdentifier(null, schema, "readings",
                DatabaseMetaData.bestRowSession, true), "COLUMN_NAME");
            column(about.getVersionColumns(null, schema, "readings"), "COLUMN_NAME");
            column(about.getUDTs(null, schema, "%", null), "TYPE_NAME");
            List<String> all = column(about.getColumns(null, null, "%", "%"), "COLUMN_NAME");
            check(all.containsAll(List.of("limit_kw", "hydrated_percent")), "all columns: " + all);
            ResultSet kinds = about.getColumns(null, schema, "readings", "%");
            List<String> names = column(kinds, "TYPE_NAME");
            check(names.equals(List.of("text", "timestamptz", "float8", "int8")), "kinds: " + names);
            check(about.getSQLKeywords().contains("view"), "keywords");
            check(about.getMaxColumnNameLength() == 63, "longest name");
        }
    }

    static void flight(String url, String token) throws Exception {
        Properties properties = new Properties();
        properties.put("user", "admin");
        properties.put("password", token);
        properties.put("useEncryption", "false");
        try (Connection c = DriverManager.getConnection(url, properties)) {
            try (Statement s = c.createStatement()) {
                ResultSet rows = s.executeQuery("SELECT feeder_id, meters FROM feeder_kw ORDER BY 1");
                check(rows.next() && rows.getString(1).equals("f1") && rows.getLong(2) == 2, "rows");
            }
            try (PreparedStatement s = c.prepareStatement(
                    "SELECT meter_id FROM meters WHERE limit_kw > $1")) {
                s.setDouble(1, 10);
                ResultSet rows = s.executeQuery();
                check(rows.next() && rows.getString(1).equals("m3") && !rows.next(), "values");
            }
            about(c, "public", false);
        }
    }

    public static void main(String[] args) throws Exception {
        if (args[0].equals("postgres")) postgres(args[1], args[2]);
        else flight(args[1], args[2]);
        System.out.println("done");
    }
}
