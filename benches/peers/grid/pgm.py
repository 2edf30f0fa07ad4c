"""Power Grid Model: Newton power flow and both estimators, one by one and in batches.

Generators that hold a voltage stand here with the reactive power they have in the solved state:
this version has none that hold one. The source is stiff (10^9 times the power base). Estimators
get the same measurements with the same sigmas; a node's injection is one sensor of the node.
"""

import importlib.metadata

import numpy as np

import case
from worker import CLOCK, WALL, timed

TOLERANCE = 1e-8
ITERATIONS_MAX = 50
ALL_CORES = 0
ONE_THREAD = -1

kept = {}


def versions():
    import power_grid_model  # noqa: F401: it must load

    return {"power-grid-model": importlib.metadata.version("power-grid-model")}


class Grid:
    def __init__(self, path):
        import power_grid_model as pgm

        self.case = read = case.read(path)
        self.base = read["base_mva"] * 1e6
        self.volt = read["bus"]["kv"] * 1e3
        self.next = len(self.volt)
        self.data = {}
        node = pgm.initialize_array("input", "node", len(self.volt))
        node["id"], node["u_rated"] = np.arange(len(self.volt)), self.volt
        self.data["node"] = node
        self.branch_id = self.branches(pgm)
        self.shunts(pgm)
        self.source(pgm)
        self.load_id = self.powers(pgm, "sym_load", read["load"], -1.0)
        static, machine = read["static"], read["machine"]
        generation = {k: np.concatenate([static[k], machine[k]]) for k in ("bus", "p", "q")}
        self.powers(pgm, "sym_gen", generation, 1.0)
        self.model = pgm.PowerGridModel(self.data, system_frequency=read["frequency_hz"])
        self.sensors(pgm)
        self.estimator = None

    def ids(self, count):
        self.next += count
        return np.arange(self.next - count, self.next)

    def branches(self, pgm):
        b, volt = self.case["branch"], self.volt
        ohm = volt[b["to"]] ** 2 / self.base
        omega = 2 * np.pi * self.case["frequency_hz"]
        plain = (b["ratio"] == 1.0) & (b["shift_deg"] == 0.0)
        plain &= volt[b["from"]] == volt[b["to"]]
        number = np.zeros(len(plain), dtype=int)
        line = pgm.initialize_array("input", "line", int(plain.sum()))
        generic = pgm.initialize_array("input", "generic_branch", int((~plain).sum()))
        for table, which in ((line, plain), (generic, ~plain)):
            table["id"] = number[which] = self.ids(int(which.sum()))
            table["from_node"], table["to_node"] = b["from"][which], b["to"][which]
            for status in ("from_status", "to_status"):
                table[status] = b["in_service"][which]
            table["r1"], table["x1"] = b["r"][which] * ohm[which], b["x"][which] * ohm[which]
        siemens = (b["b"] / ohm)[plain]
        line["c1"] = siemens / omega
        leak = (b["g"] / ohm)[plain]
        line["tan1"] = np.divide(leak, siemens, out=np.zeros_like(leak), where=siemens != 0.0)
        which = ~plain
        generic["g1"], generic["b1"] = b["g"][which] / ohm[which], b["b"][which] / ohm[which]
        generic["k"], generic["theta"] = b["ratio"][which], np.deg2rad(b["shift_deg"][which])
        for name, table in (("line", line), ("generic_branch", generic)):
            if len(table):
                self.data[name] = table
        return number

    def shunts(self, pgm):
        s = self.case["shunt"]
        if len(s["bus"]) == 0:
            return
        table = pgm.initialize_array("input", "shunt", len(s["bus"]))
        siemens = self.base / self.volt[s["bus"]] ** 2
        table["id"], table["node"], table["status"] = self.ids(len(table)), s["bus"], 1
        table["g1"], table["b1"] = s["g"] * siemens, s["b"] * siemens
        self.data["shunt"] = table

    def source(self, pgm):
        s = self.case["slack"]
        table = pgm.initialize_array("input", "source", 1)
        table["id"], table["node"], table["status"] = self.ids(1), s["bus"], 1
        table["u_ref"], table["u_ref_angle"] = s["vm"], np.deg2rad(s["va_deg"])
        table["sk"] = self.base * 1e9
        self.data["source"] = table

    def powers(self, pgm, kind, given, sign):
        if len(given["bus"]) == 0:
            return np.zeros(0, dtype=int)
        table = pgm.initialize_array("input", kind, len(given["bus"]))
        table["id"] = self.ids(len(table))
        table["node"], table["status"], table["type"] = given["bus"], 1, 0
        table["p_specified"] = sign * given["p"] * self.base
        table["q_specified"] = sign * given["q"] * self.base
        self.data[kind] = table
        return table["id"]

    def sensors(self, pgm):
        """Rows of the measurement table come in pairs of P and Q, after the voltages."""
        m, volt, base = self.case["measurement"], self.volt, self.base
        self.voltage_rows = np.flatnonzero(m["kind"] == 0)
        self.p_rows = np.flatnonzero((m["kind"] == 1) | (m["kind"] == 3))
        self.q_rows = self.p_rows + 1
        v = pgm.initialize_array("input", "sym_voltage_sensor", len(self.voltage_rows))
        v["id"], v["measured_object"] = self.ids(len(v)), m["at"][self.voltage_rows]
        self.volt_of = volt[m["at"][self.voltage_rows]]
        v["u_sigma"] = m["sigma"][self.voltage_rows] * self.volt_of
        v["u_measured"] = m["truth"][self.voltage_rows] * self.volt_of
        s = pgm.initialize_array("input", "sym_power_sensor", len(self.p_rows))
        at, flow = m["at"][self.p_rows], m["kind"][self.p_rows] == 3
        s["id"] = self.ids(len(s))
        s["measured_object"] = at
        s["measured_object"][flow] = self.branch_id[at[flow]]
        terminal = pgm.MeasuredTerminalType
        s["measured_terminal_type"] = np.where(
            flow, int(terminal.branch_from), int(terminal.node)
        )
        s["p_measured"], s["p_sigma"] = m["truth"][self.p_rows] * base, m["sigma"][self.p_rows] * base
        s["q_measured"], s["q_sigma"] = m["truth"][self.q_rows] * base, m["sigma"][self.q_rows] * base
        s["power_sigma"] = np.hypot(s["p_sigma"], s["q_sigma"])
        self.voltage_sensor, self.power_sensor = v, s

    def estimating(self):
        """The model with sensors: made when first asked for."""
        import power_grid_model as pgm

        if self.estimator is None:
            data = {
                **self.data,
                "sym_voltage_sensor": self.voltage_sensor,
                "sym_power_sensor": self.power_sensor,
            }
            self.estimator = pgm.PowerGridModel(data, system_frequency=self.case["frequency_hz"])
        return self.estimator

    def load_update(self, scenarios):
        import power_grid_model as pgm

        table = pgm.initialize_array("update", "sym_load", (len(scenarios), len(self.load_id)))
        table["id"] = self.load_id
        load = self.case["load"]
        for row, scenario in zip(table, scenarios):
            factors = case.load_factors(self.case, scenario)
            row["p_specified"] = -load["p"] * factors * self.base
            row["q_specified"] = -load["q"] * factors * self.base
        return {"sym_load": table}

    def sensor_update(self, ticks):
        import power_grid_model as pgm

        v = pgm.initialize_array(
            "update", "sym_voltage_sensor", (len(ticks), len(self.voltage_sensor))
        )
        s = pgm.initialize_array("update", "sym_power_sensor", (len(ticks), len(self.power_sensor)))
        v["id"], s["id"] = self.voltage_sensor["id"], self.power_sensor["id"]
        for k, tick in enumerate(ticks):
            value = case.readings(self.case, tick)
            v["u_measured"][k] = value[self.voltage_rows] * self.volt_of
            s["p_measured"][k] = value[self.p_rows] * self.base
            s["q_measured"][k] = value[self.q_rows] * self.base
        return {"sym_voltage_sensor": v, "sym_power_sensor": s}


def batch(call, count, clock=CLOCK):
    """Times a batch; where scenarios fail, says how many and why the first did."""
    from power_grid_model.errors import PowerGridBatchError

    try:
        node, took = timed(call, clock, count)
    except PowerGridBatchError as error:
        failed, first = len(error.failed_scenarios), str(error.error_messages[0]).split("\n")[0]
        raise ArithmeticError(f"{failed} of {count} scenarios fail: {first}") from None
    return found([took], node)


def prepare(network, path):
    kept[network] = Grid(path)
    return {}


def power_flow(grid, **more):
    from power_grid_model import CalculationMethod

    return grid.model.calculate_power_flow(
        calculation_method=CalculationMethod.newton_raphson,
        error_tolerance=TOLERANCE,
        max_iterations=ITERATIONS_MAX,
        output_component_types={"node": ["id", "u_pu", "u_angle"]},
        **more,
    )["node"]


def estimate(grid, method, **more):
    from power_grid_model import CalculationMethod

    return grid.estimating().calculate_state_estimation(
        calculation_method=CalculationMethod[method],
        error_tolerance=TOLERANCE,
        max_iterations=200,
        output_component_types={"node": ["id", "u_pu", "u_angle"]},
        **more,
    )["node"]


def found(ns, node):
    """Of a batch the last scenario."""
    last = [np.atleast_2d(node[column])[-1] for column in ("u_pu", "u_angle")]
    return {"ns": ns, **case.voltages(*last)}


def run(network, task, repetitions, turn):
    grid = kept[network]
    ns = []
    if task == "flat":
        for _ in range(repetitions):
            node, took = timed(lambda: power_flow(grid))
            ns.append(took)
        return found(ns, node)
    if task.startswith("batch"):
        # A few first: a thousand that diverge take minutes to say so.
        few = grid.load_update(range(4))
        batch(lambda: power_flow(grid, update_data=few, threading=ONE_THREAD), 4)
        update = grid.load_update(range(repetitions))
        threading = ALL_CORES if task == "batch_wall" else ONE_THREAD
        call = lambda: power_flow(grid, update_data=update, threading=threading)
        return batch(call, repetitions, WALL if task == "batch_wall" else CLOCK)
    method, _, how = task.partition(" ")
    if how == "single":
        for _ in range(repetitions):
            node, took = timed(lambda: estimate(grid, method))
            ns.append(took)
        return found(ns, node)
    update = grid.sensor_update(range(turn * 1_000, turn * 1_000 + repetitions))
    call = lambda: estimate(grid, method, update_data=update, threading=ONE_THREAD)
    return batch(call, repetitions)
