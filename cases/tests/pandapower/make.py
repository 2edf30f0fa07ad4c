"""Writes small networks with element kinds that the public cases lack, and pandapower's solutions.

    python -m venv venv && venv/bin/pip install pandapower==3.5.6 numba && venv/bin/python make.py

Each network is a file `<name>.json` beside this script (pandapower's to_json) and a file
`<name>.solution.json`: voltages of buses (pu, degrees), powers at the ends of branches (MW, Mvar,
from the bus into the branch; three ends for three windings), powers into the network of injections.
Identifiers are those of `cases::pandapower`. All numbers are made up for the test.
"""

import json
import math
from pathlib import Path

import pandapower as pp
import pandapower.networks

HERE = Path(__file__).parent


def feeder(name):
    """110 kV source, a 20 kV busbar behind a transformer, and a line to a second 20 kV bus."""
    net = pp.create_empty_network(name=name, sn_mva=10.0, f_hz=50.0)
    high = pp.create_bus(net, 110.0, name="high")
    low = pp.create_bus(net, 20.0, name="low")
    end = pp.create_bus(net, 20.0, name="end")
    pp.create_ext_grid(net, high, vm_pu=1.02, va_degree=5.0, s_sc_max_mva=1000.0, rx_max=0.1)
    transformer(net, high, low)
    line(net, low, end, 4.0)
    pp.create_load(net, end, 4.0, 1.5, name="village")
    return net, high, low, end


def line(net, a, b, km, **more):
    values = dict(r_ohm_per_km=0.16, x_ohm_per_km=0.12, c_nf_per_km=270.0, max_i_ka=0.3)
    values.update(more)
    return pp.create_line_from_parameters(net, a, b, km, **values)


def transformer(net, hv, lv, **more):
    values = dict(sn_mva=25.0, vn_hv_kv=112.0, vn_lv_kv=20.5, vk_percent=12.0, vkr_percent=0.41,
                  pfe_kw=14.0, i0_percent=0.07, shift_degree=150.0)
    values.update(more)
    return pp.create_transformer_from_parameters(net, hv, lv, **values)


def lines():
    net, high, low, end = feeder("lines")
    far = pp.create_bus(net, 20.0)
    line(net, end, far, 2.5, parallel=2, df=0.8, g_us_per_km=3.0)
    line(net, low, far, 6.0)
    pp.create_load(net, far, 2.0, 0.4, scaling=0.7)
    pp.create_load(net, far, 1.0, 0.4, in_service=False)
    pp.create_sgen(net, far, 1.2, -0.1, scaling=0.9, type="PV")
    pp.create_impedance(net, end, far, rft_pu=0.02, xft_pu=0.05, sn_mva=4.0,
                        gf_pu=0.001, bf_pu=0.002, gt_pu=0.003, bt_pu=0.004)
    return net


def taps():
    net, high, low, end = feeder("taps")
    ratio = dict(tap_neutral=0, tap_min=-9, tap_max=9, tap_changer_type="Ratio")
    transformer(net, high, low, tap_side="hv", tap_pos=3, tap_step_percent=1.5, **ratio)
    transformer(net, high, low, tap_side="lv", tap_pos=-2, tap_step_percent=1.25, **ratio)
    transformer(net, high, low, tap_side="hv", tap_pos=2, tap_step_percent=1.0, parallel=2,
                tap_step_degree=60.0, tap_neutral=1, tap_min=-5, tap_max=5,
                tap_changer_type="Ratio")
    pst = dict(tap_neutral=0, tap_min=-5, tap_max=5)
    transformer(net, high, low, tap_side="lv", tap_pos=2, tap_step_percent=0.5,
                tap_step_degree=90.0, tap_changer_type="Symmetrical", **pst)
    transformer(net, high, low, tap_side="hv", tap_pos=-2, tap_step_degree=0.8,
                tap_changer_type="Ideal", **pst)
    transformer(net, high, low, tap_side="lv", tap_pos=3, tap_step_percent=0.9,
                tap_changer_type="Ideal", **pst)
    transformer(net, high, low, tap_side="hv", tap_pos=2, tap_step_percent=1.0,
                tap2_side="lv", tap2_pos=1, tap2_step_percent=2.0, tap2_neutral=0, tap2_min=-2,
                tap2_max=2, tap2_changer_type="Ratio", **ratio)
    # A position without a type does nothing.
    transformer(net, high, low, tap_side="hv", tap_pos=4, tap_step_percent=1.5, tap_neutral=0,
                tap_min=-9, tap_max=9)
    return net


def pi_model():
    net, *_ = feeder("pi_model")
    pp.set_user_pf_options(net, trafo_model="pi")
    return net


def tap_table():
    import pandas as pd
    net, high, low, end = feeder("tap_table")
    transformer(net, high, low, tap_side="hv", tap_pos=2, tap_neutral=0, tap_min=-2, tap_max=2,
                tap_changer_type="Tabular", tap_dependency_table=True, id_characteristic_table=0)
    rows = [(0, s, 1 + 0.015 * s, 0.3 * s, 12.0 + 0.1 * s, 0.41 + 0.01 * s) for s in range(-2, 3)]
    columns = ["id_characteristic", "step", "voltage_ratio", "angle_deg", "vk_percent",
               "vkr_percent"]
    net["trafo_characteristic_table"] = pd.DataFrame(rows, columns=columns)
    return net


def three_windings(losses, **more):
    net = pp.create_empty_network(name=f"three_windings_{losses}", sn_mva=50.0, f_hz=50.0)
    high, mid, low = (pp.create_bus(net, kv) for kv in (110.0, 20.0, 10.0))
    pp.create_ext_grid(net, high, vm_pu=1.01)
    values = dict(
        vn_hv_kv=115.0, vn_mv_kv=20.5, vn_lv_kv=10.2, sn_hv_mva=40.0, sn_mv_mva=25.0,
        sn_lv_mva=15.0, vk_hv_percent=10.5, vk_mv_percent=11.0, vk_lv_percent=12.5,
        vkr_hv_percent=0.3, vkr_mv_percent=0.35, vkr_lv_percent=0.4, pfe_kw=35.0, i0_percent=0.4,
        shift_mv_degree=30.0, shift_lv_degree=150.0)
    values.update(more)
    pp.create_transformer3w_from_parameters(net, high, mid, low, **values)
    pp.create_load(net, mid, 12.0, 4.0)
    pp.create_load(net, low, 6.0, 1.0)
    pp.set_user_pf_options(net, trafo3w_losses=losses)
    return net


def three_windings_taps():
    """Taps at each terminal, one transformer each, and an open winding."""
    ratio = dict(tap_neutral=0, tap_min=-9, tap_max=9, tap_changer_type="Ratio")
    net = three_windings("hv", tap_side="hv", tap_pos=3, tap_step_percent=1.2, **ratio)
    net.name = "three_windings_taps"
    for side, pos, degree in (("mv", -2, 0.0), ("lv", 4, 60.0)):
        buses = [pp.create_bus(net, kv) for kv in (20.0, 10.0)]
        values = net.trafo3w.loc[0].to_dict()
        keep = {k: v for k, v in values.items() if k.startswith(("vn_", "sn_", "vk", "pfe", "i0", "shift"))}
        pp.create_transformer3w_from_parameters(
            net, 0, *buses, **keep, tap_side=side, tap_pos=pos, tap_step_percent=0.8,
            tap_step_degree=degree, **ratio)
        for bus, mw in zip(buses, (5.0, 3.0)):
            pp.create_load(net, bus, mw, mw / 4)
    open_bus = net.trafo3w.lv_bus.at[1]
    pp.create_switch(net, open_bus, 1, et="t3", closed=False)
    pp.create_switch(net, net.trafo3w.mv_bus.at[2], 2, et="t3", closed=True)
    pp.create_switch(net, 0, 2, et="t3", closed=True)
    return net


def shunts():
    net, high, low, end = feeder("shunts")
    pp.create_shunt(net, end, q_mvar=-0.4, p_mw=0.01, vn_kv=21.0, step=3, max_step=4)
    pp.create_shunt(net, low, q_mvar=0.6, p_mw=0.0, in_service=False)
    pp.create_ward(net, end, ps_mw=0.5, qs_mvar=0.2, pz_mw=0.3, qz_mvar=-0.1, name="neighbour")
    pp.create_xward(net, low, ps_mw=0.4, qs_mvar=0.1, pz_mw=0.2, qz_mvar=0.05, r_ohm=2.0,
                    x_ohm=9.0, vm_pu=1.01)
    return net


def loads():
    net, high, low, end = feeder("loads")
    buses = [pp.create_bus(net, 20.0) for _ in range(5)]
    for bus in buses:
        line(net, end, bus, 1.5)
    pp.create_load(net, buses[0], 2.0, 0.7, const_z_p_percent=40.0, const_i_p_percent=30.0,
                   const_z_q_percent=20.0, const_i_q_percent=50.0, scaling=1.1)
    pp.create_motor(net, buses[1], pn_mech_mw=0.8, cos_phi=0.86, efficiency_percent=93.0,
                    loading_percent=80.0, scaling=0.9)
    pp.create_storage(net, buses[2], p_mw=-0.6, max_e_mwh=2.0, q_mvar=0.1)
    pp.create_asymmetric_load(net, buses[3], p_a_mw=0.2, p_b_mw=0.3, p_c_mw=0.1, q_a_mvar=0.05,
                              q_b_mvar=0.02, q_c_mvar=0.01)
    pp.create_asymmetric_sgen(net, buses[4], p_a_mw=0.2, p_b_mw=0.0, p_c_mw=0.1, scaling=0.5)
    return net


def generators():
    net, high, low, end = feeder("generators")
    pp.create_gen(net, end, p_mw=3.0, vm_pu=1.01, min_q_mvar=-2.0, max_q_mvar=2.5, scaling=0.8)
    pp.create_gen(net, low, p_mw=1.0, vm_pu=1.0, in_service=False)
    far = [pp.create_bus(net, 20.0) for _ in range(2)]
    line(net, *far, 3.0)
    pp.create_gen(net, far[0], p_mw=0.0, vm_pu=1.03, slack=True, max_q_mvar=9.0)
    pp.create_load(net, far[1], 1.0, 0.2)
    return net


def switches():
    net, high, low, end = feeder("switches")
    second, third, dark, beyond, lonely = (pp.create_bus(net, 20.0) for _ in range(5))
    pp.create_switch(net, end, second, et="b", closed=True, type="CB", name="coupler")
    open_line = line(net, second, third, 2.0)
    fed_line = line(net, low, third, 5.0)
    pp.create_switch(net, third, open_line, et="l", closed=False)
    pp.create_switch(net, second, open_line, et="l", closed=True)
    pp.create_switch(net, low, fed_line, et="l", closed=True)
    pp.create_switch(net, third, dark, et="b", closed=False)
    pp.create_switch(net, third, beyond, et="b", closed=True, z_ohm=0.35)
    pp.create_switch(net, second, beyond, et="b", closed=False, z_ohm=0.35)
    spare = transformer(net, high, lonely)
    pp.create_switch(net, lonely, spare, et="t", closed=False)
    pp.create_switch(net, high, spare, et="t", closed=True)
    for bus, mw in ((second, 0.5), (third, 0.6), (dark, 0.7), (beyond, 0.8)):
        pp.create_load(net, bus, mw, 0.1)
    # Out of service at one end.
    idle = pp.create_bus(net, 20.0, in_service=False)
    line(net, third, idle, 3.0)
    return net


def measured():
    net, high, low, end = feeder("measured")
    pp.runpp(net, tolerance_mva=1e-11)
    load, trafo, cable = net.res_load.loc[0], net.res_trafo.loc[0], net.res_line.loc[0]
    add = lambda *what, **more: pp.create_measurement(net, *what, **more)
    add("v", "bus", net.res_bus.vm_pu.at[low], 0.004, low, name="busbar")
    add("va", "bus", net.res_bus.va_degree.at[end], 0.5, end)
    add("p", "bus", net.res_bus.p_mw.at[end], 0.05, end)
    add("q", "bus", net.res_bus.q_mvar.at[end], 0.05, end)
    add("p", "load", load.p_mw, 0.06, 0)
    add("q", "ext_grid", net.res_ext_grid.q_mvar.at[0], 0.07, 0)
    add("p", "trafo", trafo.p_hv_mw, 0.08, 0, side="hv")
    add("q", "trafo", trafo.q_lv_mvar, 0.09, 0, side="lv")
    add("i", "trafo", trafo.i_hv_ka, 0.001, 0, side="hv")
    add("i", "line", cable.i_to_ka, 0.002, 0, side="to")
    add("p", "line", cable.p_from_mw, 0.03, 0, side=int(low))
    return net


def not_modelled():
    net, high, low, end = feeder("not_modelled")
    pp.create_dcline(net, low, end, p_mw=0.5, loss_percent=1.0, loss_mw=0.01, vm_from_pu=1.0,
                     vm_to_pu=1.0, in_service=False)
    pp.create_dcline(net, low, end, p_mw=0.5, loss_percent=1.0, loss_mw=0.01, vm_from_pu=1.0,
                     vm_to_pu=1.0, name="link")
    pp.create_impedance(net, low, end, rft_pu=0.02, xft_pu=0.05, rtf_pu=0.03, xtf_pu=0.05,
                        sn_mva=4.0)
    pp.create_switch(net, low, 0, et="l")
    net.switch.loc[0, "bus"] = high
    pp.create_poly_cost(net, 0, "ext_grid", 1.0)
    pp.create_measurement(net, "p", "ext_grid", 1.0, 0.0, 0)
    return net


def older(net, name):
    """The same network as pandapower 2.14 wrote it: other columns, and no types of tap changers."""
    text = json.loads(pp.to_json(net))
    tables = text["_object"]
    tables["name"], tables["format_version"], tables["version"] = name, "2.14.0", "2.14.0"

    def change(table, rename, drop, add):
        frame = json.loads(tables[table]["_object"])
        keep = [i for i, c in enumerate(frame["columns"]) if c not in drop]
        frame["columns"] = [rename.get(frame["columns"][i], frame["columns"][i]) for i in keep]
        frame["data"] = [[row[i] for i in keep] for row in frame["data"]]
        for column, values in add.items():
            frame["columns"].append(column)
            for row, value in zip(frame["data"], values):
                row.append(value)
        tables[table]["_object"] = json.dumps(frame)
        tables[table]["dtype"] = {c: t for c, t in tables[table]["dtype"].items()
                                  if c in frame["columns"]}

    change("load", {"const_z_p_percent": "const_z_percent", "const_i_p_percent": "const_i_percent"},
           {"const_z_q_percent", "const_i_q_percent"}, {})
    types = net.trafo.tap_changer_type
    change("trafo", {}, {"tap_changer_type", "tap2_changer_type", "tap_dependency_table",
                         "id_characteristic_table"},
           {"tap_phase_shifter": [kind == "Ideal" for kind in types]})
    return text


def old_format():
    net, high, low, end = feeder("old_format")
    transformer(net, high, low, tap_side="hv", tap_pos=3, tap_step_percent=1.5, tap_neutral=0,
                tap_min=-9, tap_max=9, tap_changer_type="Ratio")
    transformer(net, high, low, tap_side="hv", tap_pos=-2, tap_step_degree=0.8, tap_neutral=0,
                tap_min=-9, tap_max=9, tap_changer_type="Ideal")
    net.load.loc[0, ["const_z_p_percent", "const_z_q_percent"]] = 30.0
    net.load.loc[0, ["const_i_p_percent", "const_i_q_percent"]] = 20.0
    return net


def zip_loads():
    """pandapower's case14 with loads of every law, some of a load's powers by one and some by another."""
    net = pp.networks.case14()
    net.name = "zip_loads"
    shares = [(100, 0, 100, 0), (0, 100, 0, 100), (0, 0, 0, 0), (30, 30, 50, 20), (60, 0, 0, 60)]
    for i in net.load.index:
        columns = ["const_z_p_percent", "const_i_p_percent", "const_z_q_percent", "const_i_q_percent"]
        net.load.loc[i, columns] = [float(share) for share in shares[i % len(shares)]]
    # Far from nominal voltage, where the laws differ.
    net.ext_grid.vm_pu = 0.95
    net.gen.vm_pu = [0.94, 0.93, 0.96, 0.96]
    return net


def q_limits():
    """pandapower's case14, its loads grown by a half and its machines' limits drawn in: two are at their
    upper limits, one at its lower, one is within."""
    net = pp.networks.case14()
    net.name = "q_limits"
    net.load.p_mw *= 1.5
    net.load.q_mvar *= 1.5
    net.gen.min_q_mvar = [-40.0, 0.0, -6.0, 45.0]
    net.gen.max_q_mvar = [50.0, 120.0, 12.0, 60.0]
    return net


def solution(net):
    def pairs(frame, *columns):
        return [[clean(frame.at[i, c]) for c in columns] for i in frame.index]

    def clean(value):
        return 0.0 if math.isnan(value) else float(value)

    found = {"buses": {}, "branches": {}, "injections": {}}
    for prefix, table in (("B", net.res_bus), ("XW", net.res_xward)):
        columns = ("vm_pu", "va_degree") if prefix == "B" else ("vm_internal_pu", "va_internal_degree")
        for i, row in zip(table.index, pairs(table, *columns)):
            found["buses"][f"{prefix}{i}"] = row
    ends = {"L": (net.res_line, ("from", "to")), "T": (net.res_trafo, ("hv", "lv")),
            "TW": (net.res_trafo3w, ("hv", "mv", "lv")), "IMP": (net.res_impedance, ("from", "to"))}
    for prefix, (table, sides) in ends.items():
        columns = [c for side in sides for c in (f"p_{side}_mw", f"q_{side}_mvar")]
        for i, row in zip(table.index, pairs(table, *columns)):
            found["branches"][f"{prefix}{i}"] = row
    signs = {"LD": (net.res_load, -1), "SG": (net.res_sgen, 1), "G": (net.res_gen, 1),
             "EG": (net.res_ext_grid, 1), "ST": (net.res_storage, -1), "MO": (net.res_motor, -1),
             "AL": (net.res_asymmetric_load, -1), "AS": (net.res_asymmetric_sgen, 1)}
    for prefix, (table, sign) in signs.items():
        for i, row in zip(table.index, pairs(table, "p_mw", "q_mvar")):
            found["injections"][f"{prefix}{i}"] = [sign * value for value in row]
    return found


def write(net, text=None):
    name = net.name if text is None else text["_object"]["name"]
    text = json.loads(pp.to_json(net)) if text is None else text
    # Empty tables, results and type libraries are most of a file and nothing of a network.
    for key in list(text["_object"]):
        value = text["_object"][key]
        table = isinstance(value, dict) and value.get("_class") == "DataFrame"
        empty = table and not json.loads(value["_object"])["data"]
        if key.startswith("res_") or (empty and key != "measurement"):
            del text["_object"][key]
    text["_object"]["std_types"] = {}
    (HERE / f"{name}.json").write_text(json.dumps(text, indent=1) + "\n")
    options = dict(tolerance_mva=1e-12, calculate_voltage_angles=True, max_iteration=50)
    if name != "not_modelled":
        if name == "q_limits":
            options["enforce_q_lims"] = True
        pp.runpp(net, **options)
        (HERE / f"{name}.solution.json").write_text(json.dumps(solution(net), indent=1) + "\n")


def main():
    for net in (lines(), taps(), pi_model(), tap_table(), shunts(), loads(), generators(),
                switches(), measured(), not_modelled(), three_windings_taps(), zip_loads(), q_limits()):
        write(net)
    for losses in ("hv", "mv", "lv", "star"):
        write(three_windings(losses))
    net = old_format()
    text = older(net, "old_format")
    write(net, text)


if __name__ == "__main__":
    main()
