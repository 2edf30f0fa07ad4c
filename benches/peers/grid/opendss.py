"""OpenDSS (dss-python): a feeder is solved again after its loads have changed, controls off.

Controls run once and are then frozen where they stopped. The kW and kvar of each
load are set through the interface, which is not timed, as it is not on our side. Its tolerance is
its default: solved when no voltage moves by more than 1e-4 per unit.
"""

import importlib.metadata
import re

import numpy as np

import case
from worker import timed

SEED = 88172645463325252

kept = {}


def versions():
    from dss import DSS

    engine = re.search(r"version (\S+)", DSS.Version)
    return {
        "dss-python": importlib.metadata.version("dss-python"),
        "OpenDSS": engine.group(1) if engine else DSS.Version,
    }


class Feeder:
    def __init__(self, path):
        from dss import DSS

        # An engine of its own: a circuit stays as it is while others are solved.
        self.dss = DSS.NewContext()
        text = self.dss.Text
        text.Command = f'compile "{path}"'
        text.Command = "set maxcontroliter=1000 maxiterations=200"
        self.circuit = self.dss.ActiveCircuit
        self.solution = self.circuit.Solution
        self.solution.Solve()
        if not self.solution.Converged:
            raise ArithmeticError("does not converge with its controls")
        text.Command = "set controlmode=off"
        loads = self.circuit.Loads
        self.base = np.array([(load.kW, load.kvar) for load in loads])
        self.solution.Solve()
        self.volt = np.concatenate(
            [np.full(bus.NumNodes, bus.kVBase * 1e3) for bus in self.circuit.ActiveBus]
        )

    def about(self):
        """What must be alike on the other side: names, bases, and where controls stand."""
        circuit, taps, steps = self.circuit, [], []
        for control in circuit.RegControls:
            circuit.Transformers.Name = control.Transformer
            circuit.Transformers.Wdg = control.TapWinding
            taps.append([control.Transformer, control.TapWinding, circuit.Transformers.Tap])
        for capacitor in circuit.Capacitors:
            steps.append([capacitor.Name, int(sum(capacitor.States))])
        return {
            "nodes": [name.lower() for name in circuit.AllNodeNames],
            "volt": self.volt.tolist(),
            "loads": [load.Name.lower() for load in circuit.Loads],
            "watts": (self.base[:, 0] * 1e3).tolist(),
            "vars": (self.base[:, 1] * 1e3).tolist(),
            "taps": taps,
            "steps": steps,
        }

    def voltages(self):
        v = np.array(self.circuit.AllBusVolts).view(complex) / self.volt
        return case.voltages(np.abs(v), np.angle(v))

    def set_loads(self, factors):
        for load, (kw, kvar), factor in zip(self.circuit.Loads, self.base, factors):
            load.kW = kw * factor
            load.kvar = kvar * factor

    def solve(self):
        self.solution.Solve()
        if not self.solution.Converged:
            raise ArithmeticError("diverged")


def prepare(network, path):
    kept[network] = feeder = Feeder(path)
    return feeder.about()


def run(network, task, repetitions, turn):
    feeder = kept[network]
    ns, iterations = [], 0
    for k in range(repetitions):
        scenario = turn * 1_000 + k
        draws = case.deviates(SEED, scenario, len(feeder.base))
        if task == "loads":
            feeder.set_loads(1.0 + 0.01 * draws)
        else:
            raise ValueError(f"it has no {task}")
        _, took = timed(feeder.solve)
        iterations = feeder.solution.Iterations
        ns.append(took)
    return {"ns": ns, "iterations": iterations, **feeder.voltages()}
