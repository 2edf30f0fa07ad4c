"""Writes the demo's bundled data and the power-flow truth of the grid tests.

What it makes, from two published packages and nothing else:

    gridloom/data/*.parquet                      the network, five homes, weather and tariff
    gridloom/data/LICENSE-*.txt                  the licences under which they may be passed on
    grid/tests/cases/kerber_dorfnetz/*.json      the network again, and solved load cases

The outputs are kept in the repository, so nobody needs this script to build or run; it is here
so that anyone can see where each number came from and make it again. Run it in a virtual
environment outside the checkout:

    python3.11 -m venv /tmp/export && . /tmp/export/bin/activate
    pip install pandapower==3.5.6 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 pyarrow==26.0.1
    pip install --no-deps citylearn==2.1.2     # only its packaged CSV files are read
    python scripts/export_demo_data.py

The homes' files carry month, hour and day type but no date: row 0 is 31 July, hour 24 (the hour
that starts at 23:00), and 1 August is a Monday, as in 2016. Hours are local standard time; they
are written as if they were UTC, because only the order of the hours matters to the demo.
"""

import csv
import datetime
import importlib.metadata
import importlib.resources
import json
import pathlib
import random

import numpy
import pandapower
import pandapower.networks
import pyarrow
import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "gridloom" / "data"
CASES = ROOT / "grid" / "tests" / "cases" / "kerber_dorfnetz"
FEEDER = "feeder-1"
HOMES = 5
NETWORK_SEED = 2016
ROW_ZERO_STARTS_AT = datetime.datetime(2016, 7, 31, 23, tzinfo=datetime.timezone.utc)
FIRST_HOUR_AT = datetime.datetime(2016, 8, 1, tzinfo=datetime.timezone.utc)
# Thirty days that models learn from, the day that is replayed, and one hour more so that the last
# half hour can be interpolated.
HOURS = 31 * 24 + 1
# The weather goes on for as long as it is forecast at the end of the day.
WEATHER_HOURS = HOURS + 29
FILE_BYTES_MAX = 200_000

EXPECTED_VERSIONS = {"pandapower": "3.5.6", "CityLearn": "2.1.2", "pyarrow": "26.0.1"}

TIMESTAMP = pyarrow.timestamp("ms", tz="UTC")
TEXT = pyarrow.string()
FLOAT = pyarrow.float64()
INTEGER = pyarrow.int64()


def main():
    check_versions()
    DATA.mkdir(parents=True, exist_ok=True)
    CASES.mkdir(parents=True, exist_ok=True)
    # The generator draws the cable of each house connection from Python's global random numbers.
    random.seed(NETWORK_SEED)
    network = pandapower.networks.create_kerber_dorfnetz()
    tables = network_tables(network)
    for name, (fields, rows) in {**tables, **home_tables()}.items():
        write_parquet(name, fields, rows)
    write_cases(network, tables)
    write_licences()


def check_versions():
    for package, wanted in EXPECTED_VERSIONS.items():
        found = importlib.metadata.version(package)
        if found != wanted:
            raise SystemExit(f"{package} is {found}; this export was made with {wanted}")


# The network.


def bus_id(index):
    return f"bus-{index:03d}"


def network_tables(network):
    """The network as the three reference tables: name -> (fields, rows)."""
    load_at_bus = {int(load.bus): int(index) for index, load in network.load.iterrows()}
    assert len(load_at_bus) == len(network.load) == 57, "one load a bus"
    assert (network.line.parallel == 1).all() and (network.line.g_us_per_km == 0).all()
    assert (network.trafo.tap_pos == network.trafo.tap_neutral).all() and network.f_hz == 50
    buses = [
        (bus_id(i), FEEDER, float(bus.vn_kv), 0.9, 1.1, load_at_bus.get(int(i)))
        for i, bus in network.bus.iterrows()
    ]
    branches = [
        (
            f"line-{i:03d}", bus_id(line.from_bus), bus_id(line.to_bus), FEEDER,
            float(line.length_km), float(line.r_ohm_per_km), float(line.x_ohm_per_km),
            float(line.c_nf_per_km), float(line.max_i_ka * line.df * 1000),
        )
        for i, line in network.line.iterrows()
    ]
    transformers = [
        (
            f"transformer-{i}", bus_id(t.hv_bus), bus_id(t.lv_bus), FEEDER,
            float(t.sn_mva * 1000), float(t.vn_hv_kv), float(t.vn_lv_kv),
            float(t.vk_percent), float(t.vkr_percent), float(t.pfe_kw), float(t.i0_percent),
            float(t.shift_degree), str(t.tap_side), int(t.tap_neutral), int(t.tap_min),
            int(t.tap_max), int(t.tap_pos), float(t.tap_step_percent),
        )
        for i, t in network.trafo.iterrows()
    ]
    return {
        "buses": (
            [("bus_id", TEXT), ("feeder_id", TEXT), ("nominal_kv", FLOAT),
             ("voltage_pu_min", FLOAT), ("voltage_pu_max", FLOAT), ("load_index", INTEGER)],
            buses,
        ),
        "branches": (
            [("branch_id", TEXT), ("from_bus_id", TEXT), ("to_bus_id", TEXT),
             ("feeder_id", TEXT), ("length_km", FLOAT), ("r_ohm_per_km", FLOAT),
             ("x_ohm_per_km", FLOAT), ("c_nf_per_km", FLOAT), ("rated_a", FLOAT)],
            branches,
        ),
        "transformers": (
            [("transformer_id", TEXT), ("hv_bus_id", TEXT), ("lv_bus_id", TEXT),
             ("feeder_id", TEXT), ("rated_kva", FLOAT), ("hv_kv", FLOAT), ("lv_kv", FLOAT),
             ("vk_percent", FLOAT), ("vkr_percent", FLOAT), ("pfe_kw", FLOAT),
             ("i0_percent", FLOAT), ("shift_deg", FLOAT), ("tap_side", TEXT),
             ("tap_neutral", INTEGER), ("tap_min", INTEGER), ("tap_max", INTEGER),
             ("tap_position", INTEGER), ("tap_step_percent", FLOAT)],
            transformers,
        ),
    }


# The homes.


def home_tables():
    """Load and PV of homes 1-5, weather and tariff, hourly: name -> (fields, rows)."""
    folder = importlib.resources.files("citylearn") / "data" / "citylearn_challenge_2022_phase_1"
    schema = json.loads((folder / "schema.json").read_text())
    first = int((FIRST_HOUR_AT - ROW_ZERO_STARTS_AT).total_seconds() // 3600)
    hours = range(first, first + HOURS)

    homes = []
    for home in range(1, HOMES + 1):
        rows = read_csv(folder / f"Building_{home}.csv")
        pv = schema["buildings"][f"Building_{home}"]["pv"]
        nominal_kw = pv["attributes"]["nominal_power"]
        assert nominal_kw == [4, 4, 4, 5, 4][home - 1], "nominal PV power as documented"
        for t in hours:
            check_calendar(t, rows[t])
            homes.append((
                home, hour_at(t),
                # Energy in the hour in kWh is the mean power in kW.
                float(rows[t]["Equipment Electric Power [kWh]"]),
                float(rows[t]["Solar Generation [W/kW]"]) * nominal_kw / 1000,
            ))

    weather_rows = read_csv(folder / "weather.csv")
    weather = [
        (
            hour_at(t),
            float(weather_rows[t]["Outdoor Drybulb Temperature [C]"]),
            float(weather_rows[t]["Relative Humidity [%]"]),
            float(weather_rows[t]["Diffuse Solar Radiation [W/m2]"]),
            float(weather_rows[t]["Direct Solar Radiation [W/m2]"]),
        )
        for t in range(first, first + WEATHER_HOURS)
    ]
    price_rows = read_csv(folder / "pricing.csv")
    tariff = [
        (hour_at(t), round(float(price_rows[t]["Electricity Pricing [$/kWh]"]) * 1000, 9))
        for t in hours
    ]
    return {
        "homes_hourly": (
            [("home", INTEGER), ("hour_at", TIMESTAMP), ("load_kw", FLOAT), ("pv_kw", FLOAT)],
            homes,
        ),
        "weather_hourly": (
            [("hour_at", TIMESTAMP), ("temperature_c", FLOAT), ("humidity_percent", FLOAT),
             ("diffuse_w_m2", FLOAT), ("direct_w_m2", FLOAT)],
            weather,
        ),
        "tariff_hourly": ([("hour_at", TIMESTAMP), ("price_usd_per_mwh", FLOAT)], tariff),
    }


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def hour_at(row):
    return ROW_ZERO_STARTS_AT + datetime.timedelta(hours=row)


def check_calendar(row, record):
    """The reconstructed date must agree with the month, hour and weekday the file does carry."""
    at = hour_at(row)
    assert int(float(record["Month"])) == at.month, record
    assert int(float(record["Hour"])) == at.hour + 1, record
    assert int(float(record["Day Type"])) == at.isoweekday(), record


def write_parquet(name, fields, rows):
    schema = pyarrow.schema(fields)
    columns = list(zip(*rows))
    arrays = [pyarrow.array(c, type=f.type) for c, f in zip(columns, schema)]
    path = DATA / f"{name}.parquet"
    pyarrow.parquet.write_table(
        pyarrow.Table.from_arrays(arrays, schema=schema), path, compression="snappy"
    )
    assert path.stat().st_size < FILE_BYTES_MAX, path
    print(f"{path.relative_to(ROOT)}: {len(rows)} rows, {path.stat().st_size} bytes")


# The solved load cases.


def load_cases(network):
    """Name -> (p_kw, q_kvar) drawn at each load, in load order. Export is negative."""
    n = len(network.load)
    default_kw = (network.load.p_mw * 1000).tolist()
    noon, evening, stressed = random.Random(11), random.Random(12), random.Random(13)
    return {
        "default": (default_kw, [0.0] * n),
        "pv_noon": (
            [round(noon.uniform(0.2, 1.5) - noon.uniform(1.0, 5.0), 6) for _ in range(n)],
            [round(noon.uniform(-0.3, 0.5), 6) for _ in range(n)],
        ),
        "evening_mixed": (
            [round(evening.uniform(0.3, 4.0) - evening.choice((0.0, 0.0, 6.0)), 6)
             for _ in range(n)],
            [round(evening.uniform(-0.2, 0.9), 6) for _ in range(n)],
        ),
        # Far beyond the transformer's rating: the sweep must still find the root.
        "stressed": (
            [round(stressed.uniform(8.0, 14.0), 6) for _ in range(n)],
            [round(stressed.uniform(1.0, 4.0), 6) for _ in range(n)],
        ),
    }


def write_cases(network, tables):
    described = {
        name: [
            {field[0]: value for field, value in zip(fields, row)} for row in rows
        ]
        for name, (fields, rows) in tables.items()
    }
    write_json("network", {"frequency_hz": float(network.f_hz), **described})
    for name, (p_kw, q_kvar) in load_cases(network).items():
        network.load["p_mw"] = numpy.array(p_kw) / 1000
        network.load["q_mvar"] = numpy.array(q_kvar) / 1000
        pandapower.runpp(
            network, algorithm="nr", calculate_voltage_angles=True, trafo_model="t",
            tolerance_mva=1e-11, max_iteration=50, init="dc", numba=False,
        )
        write_json(name, solved_case(network, p_kw, q_kvar))


def solved_case(network, p_kw, q_kvar):
    transformer = network.res_trafo.iloc[0]
    return {
        "loads": [
            {"bus_id": bus_id(bus), "p_kw": p, "q_kvar": q}
            for bus, p, q in zip(network.load.bus, p_kw, q_kvar)
        ],
        "buses": [
            {"bus_id": bus_id(i), "vm_pu": float(r.vm_pu), "va_deg": float(r.va_degree)}
            for i, r in network.res_bus.iterrows()
        ],
        "branches": [
            {
                "branch_id": f"line-{i:03d}",
                "p_from_kw": float(r.p_from_mw * 1000), "q_from_kvar": float(r.q_from_mvar * 1000),
                "p_to_kw": float(r.p_to_mw * 1000), "q_to_kvar": float(r.q_to_mvar * 1000),
                "loading_percent": float(r.loading_percent),
            }
            for i, r in network.res_line.iterrows()
        ],
        "transformer": {
            "p_hv_kw": float(transformer.p_hv_mw * 1000),
            "q_hv_kvar": float(transformer.q_hv_mvar * 1000),
            "p_lv_kw": float(transformer.p_lv_mw * 1000),
            "q_lv_kvar": float(transformer.q_lv_mvar * 1000),
            "loading_percent": float(transformer.loading_percent),
        },
    }


def write_json(name, value):
    """One record a line, so that a change shows as a readable difference."""
    lines = ["{"]
    for i, (key, entry) in enumerate(value.items()):
        comma = "," if i + 1 < len(value) else ""
        if isinstance(entry, list):
            body = ",\n    ".join(json.dumps(record, allow_nan=False) for record in entry)
            lines.append(f'  "{key}": [\n    {body}\n  ]{comma}')
        else:
            lines.append(f'  "{key}": {json.dumps(entry, allow_nan=False)}{comma}')
    lines.append("}")
    path = CASES / f"{name}.json"
    path.write_text("\n".join(lines) + "\n")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def write_licences():
    for package in ("pandapower", "CityLearn"):
        files = importlib.metadata.files(package)
        found = next(f for f in files if f.name == "LICENSE" and "dist-info" in str(f))
        text = "\n".join(line.rstrip() for line in found.read_text().splitlines()) + "\n"
        (DATA / f"LICENSE-{package.lower()}.txt").write_text(text)
        if package == "pandapower":
            (CASES / "LICENSE-pandapower.txt").write_text(text)


if __name__ == "__main__":
    main()
