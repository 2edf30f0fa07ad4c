"""The archive as other people's libraries see it: read it, or change it as they would.

    archive.py read TABLE       what is in it, by three readers, as JSON
    archive.py edit TABLE ID    another reason for the first step of an action
    archive.py delete TABLE ID  an action that never was
    archive.py compact TABLE    small files become one
"""

import json
import sys

import duckdb
import polars
from deltalake import DeltaTable


def read(path):
    table = DeltaTable(path)
    frame = polars.read_delta(path)
    counts = frame.group_by("record_kind").len().sort("record_kind").rows()
    actions = frame.filter(polars.col("record_kind") == "action")
    states = actions.group_by("state").len().sort("state").rows()
    first = actions.sort("tick_at", "subject", "sequence").row(0, named=True)
    ducks = duckdb.sql(
        f"""SELECT record_kind, count(*) FROM
            read_parquet({table.file_uris()!r}, hive_partitioning = true)
            GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    adds = table.get_add_actions(flatten=True)
    return {
        "instance": table.metadata().configuration["gridloom.instance"],
        "partitions": table.metadata().partition_columns,
        "sealed": table.transaction_version(table.metadata().configuration["gridloom.instance"]),
        "polars": dict(counts),
        "duckdb": dict(ducks),
        "delta-rs": sum(adds["num_records"].to_pylist()),
        "states": dict(states),
        "kw": actions["active_power_kw"].sum(),
        "first": {
            "tick_at": first["tick_at"].isoformat(),
            "action_id": first["action_id"],
            "hash": first["hash"],
        },
        "chained": chained(frame),
    }


def chained(frame):
    """How many records name another's hash as their previous one; all but the first do."""
    return frame.join(frame, left_on="previous_hash", right_on="hash", how="semi").height


def main(command, path, *rest):
    table = DeltaTable(path)
    where = f"record_kind = 'action' AND action_id = '{rest[0]}'" if rest else None
    if command == "read":
        print(json.dumps(read(path)))
    elif command == "edit":
        table.update(predicate=f"{where} AND state = 'proposed'", updates={"reason": "'bribed'"})
    elif command == "delete":
        table.delete(where)
    elif command == "compact":
        table.optimize.compact()
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
