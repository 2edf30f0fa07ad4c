"""LightGBM at the origins of a backtest, from the features that ours was given.

    python forecast.py FOLDER

FOLDER holds case.json {columns, day, origins}, rows.f32 (a row of features a step; zeros where there
is none yet) and load.f64, little-endian, as benches/src/foresight/real.rs writes them. It prints a
line of JSON {mape, mape_1h, seconds}: percent, and processor seconds of one thread.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import json
import pathlib
import sys
import time

import lightgbm
import numpy as np

PARAMS = {
    "objective": "l1", "learning_rate": 0.05, "num_leaves": 48, "min_data_in_leaf": 30,
    "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0,
    "verbose": -1, "num_threads": 1, "seed": 1, "deterministic": True,
}
TREES = 300
# A model for each stretch of hours ahead: one for all cannot tell the first hour from the last.
HOURS = [(1, 1), (2, 3), (4, 8), (9, 24)]
REFIT_DAYS = 91
ROWS_MAX = 60_000

folder = pathlib.Path(sys.argv[1])
case = json.loads((folder / "case.json").read_text())
day, origins = case["day"], np.array(case["origins"])
hour = day // 24
load = np.fromfile(folder / "load.f64", "<f8")
rows = np.fromfile(folder / "rows.f32", "<f4").reshape(-1, case["columns"])
rows = np.vstack([rows, np.zeros((len(load) - len(rows), rows.shape[1]), "f4")])
last = np.flatnonzero(np.isfinite(load))
filled = np.interp(np.arange(len(load)), last, load[last])
sums = np.concatenate([[0.0], np.cumsum(filled)])
week = 7 * day


def frame(o, h):
    """Features of the targets h steps after the origins o."""
    t = o + h
    mean = (sums[o + 1] - sums[np.maximum(o + 1 - day, 0)]) / day
    at_origin = [filled[o], filled[o - hour], filled[np.maximum(o - day, 0)]]
    at_origin += [filled[np.maximum(o - week, 0)], mean, filled[np.maximum(t - week, 0)]]
    # Trees do not subtract: what the load differs by from its own week before is given to them.
    before = np.maximum(o - week, 0)
    mean_before = (sums[before + 1] - sums[np.maximum(before + 1 - day, 0)]) / day
    at_origin += [filled[o] - filled[before], mean - mean_before]
    return np.column_stack([rows[t], h, t % day, *at_origin])


chance = np.random.default_rng(1)
begin = time.process_time()
models, fitted, errors, errors_1h = [], None, [], []
for o in origins:
    if fitted is None or o >= fitted + REFIT_DAYS * day:
        models, fitted = [], o
        for low, high in HOURS:
            t = np.arange(15 * day, o + 1)
            t = t[np.isfinite(load[t]) & (np.abs(rows[t]).sum(1) > 0)]
            if len(t) > ROWS_MAX:
                t = np.sort(chance.choice(t, ROWS_MAX, replace=False))
            h = chance.integers((low - 1) * hour + 1, high * hour + 1, len(t))
            keep = t - h >= week
            t, h = t[keep], h[keep]
            data = lightgbm.Dataset(frame(t - h, h), load[t] - filled[t - week])
            models.append(lightgbm.train(PARAMS, data, TREES))
    h = np.arange(1, day + 1)
    x = frame(np.full(day, o), h)
    parts = [
        model.predict(x[(low - 1) * hour:high * hour], num_threads=1)
        for (low, high), model in zip(HOURS, models)
    ]
    said = np.concatenate(parts) + filled[o + h - week]
    actual = load[o + h]
    error = 100 * np.abs((said - actual) / actual)
    errors.append(error[np.isfinite(error)])
    errors_1h.append(error[hour - 1])
print(json.dumps({
    "mape": float(np.mean(np.concatenate(errors))), "mape_1h": float(np.nanmean(errors_1h)),
    "seconds": time.process_time() - begin,
}))
