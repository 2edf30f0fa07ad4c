"""Makes the networks of this folder and what Power Grid Model says of them.

    python -m venv venv && venv/bin/pip install power-grid-model==1.12.110
    venv/bin/python make.py

Each network shows one kind of component. `<name>.json` is the dataset, `<name>.answer.json` the
node voltages and the flows of a symmetric Newton-Raphson power flow to 1e-12, and for networks with
sensors those of a state estimation. The networks are invented; nothing is taken from elsewhere.
"""

import json
import math
from pathlib import Path

from power_grid_model import CalculationMethod, LoadGenType, PowerGridModel, WindingType
from power_grid_model.utils import json_deserialize

HERE = Path(__file__).parent
SOURCE = {"id": 90, "node": 1, "status": 1, "u_ref": 1.02, "u_ref_angle": 0.1, "sk": 2e8, "rx_ratio": 0.3, "z01_ratio": 1.5}


def load(id, node, p, q, type=LoadGenType.const_power, status=1):
    return {"id": id, "node": node, "status": status, "type": int(type), "p_specified": p, "q_specified": q}


def line(id, a, b, ends=(1, 1), **other):
    return {
        "id": id, "from_node": a, "to_node": b, "from_status": ends[0], "to_status": ends[1],
        "r1": 0.25, "x1": 0.2, "c1": 4e-7, "tan1": 0.02, "r0": 1.0, "x0": 1.0, "c0": 2e-7, "tan0": 0.0,
        "i_n": 300.0,
    } | other


def nodes(*volts):
    return [{"id": k + 1, "u_rated": float(v)} for k, v in enumerate(volts)]


def transformer(id, a, b, u1, u2, **other):
    return {
        "id": id, "from_node": a, "to_node": b, "from_status": 1, "to_status": 1, "u1": u1, "u2": u2,
        "sn": 6.3e5, "uk": 0.06, "pk": 6.5e3, "i0": 0.012, "p0": 1.1e3,
        "winding_from": int(WindingType.delta), "winding_to": int(WindingType.wye_n), "clock": 5,
        "tap_side": 0, "tap_pos": 1, "tap_min": -2, "tap_max": 3, "tap_nom": 0, "tap_size": 250.0,
    } | other


def three_winding(**other):
    return {
        "id": 10, "node_1": 1, "node_2": 2, "node_3": 3, "status_1": 1, "status_2": 1, "status_3": 1,
        "u1": 52500.0, "u2": 10600.0, "u3": 3150.0, "sn_1": 2.5e7, "sn_2": 1.6e7, "sn_3": 9e6,
        "uk_12": 0.11, "uk_13": 0.16, "uk_23": 0.07, "pk_12": 6e4, "pk_13": 5.2e4, "pk_23": 3.1e4,
        "i0": 0.004, "p0": 2.3e4,
        "winding_1": int(WindingType.wye_n), "winding_2": int(WindingType.delta), "winding_3": int(WindingType.delta),
        "clock_12": 11, "clock_13": 5, "tap_side": 0, "tap_pos": 3, "tap_min": -8, "tap_max": 8,
        "tap_nom": 0, "tap_size": 600.0,
        "uk_12_min": 0.125, "uk_12_max": 0.1, "pk_12_max": 5.6e4,
    } | other


def network(**tables):
    return {"version": "1.0", "type": "input", "is_batch": False, "attributes": {}, "data": tables}


def compact(dataset, *components):
    for component in components:
        rows = dataset["data"][component]
        names = list(rows[0])
        dataset["attributes"][component] = names
        dataset["data"][component] = [[row.get(name) for name in names] for row in rows]
    return dataset


TWO = dict(node=nodes(10500, 400), source=[SOURCE], sym_load=[load(20, 2, 2.5e5, 9e4)])
STAR = dict(
    node=nodes(50000, 10500, 3000), source=[SOURCE | {"sk": 1.5e9}],
    sym_load=[load(20, 2, 8e6, 3e6), load(21, 3, 4e6, 1e6)],
)

NETWORKS = {
    "line": network(
        node=nodes(10500, 10500, 10500), line=[line(10, 1, 2), line(11, 2, 3)],
        source=[SOURCE], sym_load=[load(20, 2, 1e6, 4e5), load(21, 3, 7e5, -1e5), load(22, 3, 9e5, 0, status=0)],
    ),
    "line_open_at_an_end": network(
        node=nodes(10500, 10500, 10500, 10500),
        line=[line(10, 1, 2), line(11, 2, 3, (1, 0)), line(12, 1, 3, (1, 1)), line(13, 3, 4, (0, 1)), line(14, 2, 4), line(15, 1, 4, (0, 0))],
        source=[SOURCE], sym_load=[load(20, 2, 1e6, 4e5), load(21, 3, 7e5, 1e5), load(22, 4, 3e5, 1e5)],
    ),
    "load_types": network(
        node=nodes(10500, 10500), line=[line(10, 1, 2, r1=3.0, x1=4.0)], source=[SOURCE],
        sym_load=[load(20, 2, 5e5, 2e5), load(21, 2, 4e5, 1e5, LoadGenType.const_impedance), load(22, 2, 3e5, 2e5, LoadGenType.const_current)],
        sym_gen=[load(23, 2, 2e5, -5e4), load(24, 2, 1e5, 3e4, LoadGenType.const_impedance), load(25, 2, 1.5e5, 2e4, LoadGenType.const_current)],
        asym_load=[load(26, 2, [9e4, 5e4, 1e4], [1e4, 2e4, 3e4])],
        asym_gen=[load(27, 2, [1e4, 2e4, 3e4], [5e3, 1e3, 2e3], LoadGenType.const_current)],
    ),
    "shunt": network(
        node=nodes(10500, 10500), line=[line(10, 1, 2)], source=[SOURCE | {"rx_ratio": None, "sk": 5e8, "u_ref_angle": None}],
        shunt=[{"id": 30, "node": 2, "status": 1, "g1": 1e-4, "b1": 5e-3, "g0": 0.0, "b0": 0.0},
               {"id": 31, "node": 2, "status": 0, "g1": 1e-4, "b1": -5e-3, "g0": 0.0, "b0": 0.0}],
        sym_load=[load(20, 2, 1e6, 4e5)],
    ),
    "link": network(
        node=nodes(10500, 10500, 10500, 10500), line=[line(10, 1, 2)], source=[SOURCE],
        link=[{"id": 40, "from_node": 2, "to_node": 3, "from_status": 1, "to_status": 1},
              {"id": 41, "from_node": 2, "to_node": 4, "from_status": 1, "to_status": 0},
              {"id": 42, "from_node": 3, "to_node": 4, "from_status": 1, "to_status": 1}],
        # Little power over the links: the library gives them an impedance, we give them none.
        sym_load=[load(20, 2, 1e6, 4e5), load(21, 3, 400, 100), load(22, 4, 200, 0)],
    ),
    "generic_branch": network(
        node=nodes(110000, 20000, 20000),
        generic_branch=[
            {"id": 10, "from_node": 1, "to_node": 2, "from_status": 1, "to_status": 1, "r1": 0.4, "x1": 3.1, "g1": 2e-6, "b1": -3e-5, "k": 0.97, "theta": math.pi / 6, "sn": 2e7},
            {"id": 11, "from_node": 2, "to_node": 3, "from_status": 1, "to_status": 1, "r1": 0.6, "x1": 0.5, "g1": 1e-6, "b1": 4e-5},
        ],
        source=[SOURCE | {"sk": 3e9}], sym_load=[load(20, 3, 4e6, 1e6)],
    ),
    "transformer_from_tap": network(transformer=[transformer(10, 1, 2, 10750.0, 420.0)], **TWO),
    "transformer_to_tap": network(
        transformer=[transformer(10, 1, 2, 10250.0, 410.0, tap_side=1, tap_size=10.0, tap_pos=-2, clock=12, winding_from=int(WindingType.wye))], **TWO),
    "transformer_turned_taps": network(
        transformer=[transformer(10, 1, 2, 10250.0, 410.0, tap_min=5, tap_max=1, tap_nom=3, tap_pos=4, tap_size=256.25,
                                 uk_min=0.071, uk_max=0.052, pk_min=7.2e3, pk_max=6e3, clock=-1)], **TWO),
    "transformer_without_position": network(
        transformer=[transformer(10, 1, 2, 10250.0, 410.0, tap_pos=None, tap_nom=2, uk_max=0.05, tap_min=2, tap_max=2)], **TWO),
    "transformer_upwards": network(
        node=nodes(400, 10500), source=[SOURCE | {"sk": 2e7}], sym_load=[load(20, 2, 1.5e5, 4e4)],
        transformer=[transformer(10, 1, 2, 400.0, 10500.0, tap_side=1, clock=1, winding_from=int(WindingType.wye_n), winding_to=int(WindingType.delta), to_status=1)],
    ),
    "transformer_open": network(
        node=nodes(10500, 400, 400), source=[SOURCE],
        sym_load=[load(20, 2, 2.5e5, 9e4)],
        transformer=[transformer(10, 1, 2, 10750.0, 420.0), transformer(11, 1, 3, 10750.0, 420.0, to_status=0, clock=7)],
    ),
    "three_winding_tap_1": network(three_winding_transformer=[three_winding()], **STAR),
    "three_winding_tap_2": network(three_winding_transformer=[three_winding(tap_side=1, tap_pos=-5, tap_size=90.0)], **STAR),
    "three_winding_tap_3": network(three_winding_transformer=[three_winding(tap_side=2, tap_pos=2, tap_min=4, tap_max=-4, tap_size=40.0, uk_23=0.02)], **STAR),
    "three_winding_open": network(three_winding_transformer=[three_winding(status_3=0)], **(STAR | {"sym_load": [load(20, 2, 8e6, 3e6)]})),
    "compact": compact(
        network(
            node=nodes(10500, 10500, 10500), line=[line(10, 1, 2), line(11, 2, 3, i_n=None)],
            source=[SOURCE], sym_load=[load(20, 2, 1e6, 4e5), load(21, 3, 7e5, -1e5)],
        ),
        "node", "line", "sym_load",
    ),
    "sensors": network(
        node=nodes(10500, 10500, 10500), line=[line(10, 1, 2), line(11, 2, 3)], source=[SOURCE],
        sym_load=[load(20, 2, None, None), load(21, 3, None, None)],
        sym_gen=[load(22, 2, None, None)],
        shunt=[{"id": 30, "node": 2, "status": 1, "g1": 1e-4, "b1": 5e-4, "g0": 0.0, "b0": 0.0}],
        sym_voltage_sensor=[
            {"id": 50, "measured_object": 1, "u_measured": 10700.0, "u_angle_measured": 0.1, "u_sigma": 30.0},
            {"id": 51, "measured_object": 3, "u_measured": 10550.0, "u_sigma": 50.0},
        ],
        sym_power_sensor=[
            {"id": 60, "measured_object": 10, "measured_terminal_type": 0, "p_measured": 1.65e6, "q_measured": 4.1e5, "power_sigma": 2e4},
            {"id": 61, "measured_object": 11, "measured_terminal_type": 1, "p_measured": -7.0e5, "q_measured": 1.0e5, "p_sigma": 1e4, "q_sigma": 1.5e4},
            {"id": 62, "measured_object": 90, "measured_terminal_type": 2, "p_measured": 1.66e6, "q_measured": 4.0e5, "power_sigma": 3e4},
            {"id": 63, "measured_object": 20, "measured_terminal_type": 4, "p_measured": 1.2e6, "q_measured": 4.4e5, "power_sigma": 2e4},
            {"id": 64, "measured_object": 22, "measured_terminal_type": 5, "p_measured": 2.5e5, "q_measured": 1e4, "power_sigma": 1e4},
            {"id": 65, "measured_object": 3, "measured_terminal_type": 9, "p_measured": -7.1e5, "q_measured": 9e4, "power_sigma": 2e4},
            {"id": 66, "measured_object": 30, "measured_terminal_type": 3, "p_measured": 1.1e4, "q_measured": -5.5e4, "power_sigma": 1e3},
        ],
        sym_current_sensor=[
            {"id": 70, "measured_object": 11, "measured_terminal_type": 0, "angle_measurement_type": 1, "i_measured": 39.0, "i_angle_measured": 0.15, "i_sigma": 0.5, "i_angle_sigma": 0.02},
            {"id": 71, "measured_object": 10, "measured_terminal_type": 1, "angle_measurement_type": 0, "i_measured": 91.0, "i_angle_measured": -2.9, "i_sigma": 1.0, "i_angle_sigma": 0.02},
        ],
    ),
}


def answer(dataset):
    model = PowerGridModel(json_deserialize(json.dumps(dataset)))
    # The admittance of a link, 1e6 per unit, leaves no digits for more.
    tolerance = 2e-9 if "link" in dataset["data"] else 1e-12
    if "sym_power_sensor" in dataset["data"]:
        result = model.calculate_state_estimation(
            calculation_method=CalculationMethod.newton_raphson, error_tolerance=tolerance, max_iterations=100)
    else:
        result = model.calculate_power_flow(
            calculation_method=CalculationMethod.newton_raphson, error_tolerance=tolerance, max_iterations=100)
    keep = {
        "node": ["energized", "u_pu", "u_angle"],
        "line": ["p_from", "q_from", "p_to", "q_to"],
        "generic_branch": ["p_from", "q_from", "p_to", "q_to"],
        "transformer": ["p_from", "q_from", "p_to", "q_to"],
        "source": ["p", "q"],
    }
    return {
        kind: {str(row["id"]): [float(row[name]) for name in names] for row in result[kind]}
        for kind, names in keep.items()
        if kind in result
    }


def main():
    for name, dataset in NETWORKS.items():
        (HERE / f"{name}.json").write_text(pretty(dataset) + "\n")
        (HERE / f"{name}.answer.json").write_text(pretty({"data": answer(dataset)}) + "\n")


def pretty(dataset):
    """A row a line."""
    head = {key: value for key, value in dataset.items() if key != "data"}
    out = ["{"] + [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()] + [' "data": {']
    tables = []
    for kind, rows in dataset["data"].items():
        if isinstance(rows, dict):
            body, ends = [f"   {json.dumps(id)}: {json.dumps(row)}" for id, row in rows.items()], "{}"
        else:
            body, ends = [f"   {json.dumps(row)}" for row in rows], "[]"
        tables.append(f"  {json.dumps(kind)}: {ends[0]}\n" + ",\n".join(body) + f"\n  {ends[1]}")
    return "\n".join(out) + "\n" + ",\n".join(tables) + "\n }\n}"


if __name__ == "__main__":
    main()
