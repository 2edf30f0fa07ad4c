"""Solves the feeders of this folder with OpenDSS and writes what it gives beside them.

pip install dss-python==0.15.7 (engine 0.14.5); python expected.py
FEEDER.nodes.csv: voltages and bases; FEEDER.controls.csv: where controls stopped;
FEEDER.yprim.csv: primitive admittance of every element, row by row.
Controls act at OpenDSS's own tolerance; then all is solved once more to 1e-10 with them held.
"""
import pathlib

from dss import DSS as dss

HERE = pathlib.Path(__file__).parent


def solve(feeder):
    dss.AllowForms = False
    dss.AllowChangeDir = False
    dss.Text.Command = "clear"
    dss.Text.Command = f'compile "{HERE / (feeder + ".dss")}"'
    dss.Text.Command = "set controlmode=off tolerance=1e-10 maxiterations=1000"
    dss.Text.Command = "solve"
    circuit = dss.ActiveCircuit
    assert circuit.Solution.Converged, feeder
    with open(HERE / f"{feeder}.nodes.csv", "w") as out:
        out.write("node_id,v_re_volt,v_im_volt,base_ln_volt\n")
        for i in range(circuit.NumBuses):
            bus = circuit.Buses(i)
            volts = bus.Voltages
            for k, node in enumerate(bus.Nodes):
                out.write(f"{bus.Name}.{node},{volts[2*k]:.12g},{volts[2*k+1]:.12g},{bus.kVBase*1000:.12g}\n")
    with open(HERE / f"{feeder}.controls.csv", "w") as out:
        out.write("element,position\n")
        for control in circuit.RegControls:
            out.write(f"transformer.{control.Transformer},{control.TapNumber}\n")
        for capacitor in circuit.Capacitors:
            out.write(f"capacitor.{capacitor.Name},{sum(capacitor.States)}\n")
    with open(HERE / f"{feeder}.yprim.csv", "w") as out:
        out.write("element,order,re_im_siemens\n")
        for name in circuit.AllElementNames:
            kind = name.split(".")[0].lower()
            circuit.SetActiveElement(name)
            element = circuit.ActiveCktElement
            if kind in ("line", "transformer", "capacitor", "reactor", "vsource") and element.Enabled:
                y = element.Yprim
                order = int(round((len(y) / 2) ** 0.5))
                values = " ".join(f"{x:.12g}" for x in y)
                out.write(f"{name.lower()},{order},{values}\n")


for path in sorted(HERE.glob("*.dss")):
    solve(path.stem)
