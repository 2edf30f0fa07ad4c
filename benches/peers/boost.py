"""LightGBM beside our own booster: same rows, features and parameters, one thread.

    python boost.py --data GRIDLOOM_DATA --ours PATH [--repetitions 4] [--seeds 8] [--only NAME]

PATH is the example `boost_peer` (cargo build --release -p gridloom-forecast --example boost_peer).
Needs lightgbm, numpy and pandas (measured with 4.7.0, 2.4.6, 3.1.1). Each case is written as binary
columns that both read; a line of JSON a comparison. Times are processor seconds, the least of the
repetitions, ours and LightGBM's by turns; LightGBM counts by columns and by rows in turn, so that
its better way is taken. Its time to fit includes its Dataset, as ours includes the bins.

    victoria    load less load a week ago, 2012-01..2013-06 -> 2013-07..12, absolute error
    gefcom-z2   zone 2, the same, 2004-01..2007-06 -> 2007-07..2008-06
    wind-wf1    power by the newest forecast, 2009-07..2010-12 -> 2011-01..2012-06
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import lightgbm
import numpy as np
import pandas as pd

SEED = 1


def calendar(at, step_h):
    """Slot of the day, weekday, day of the year."""
    slot = (at.dt.hour * 60 + at.dt.minute) // int(step_h * 60)
    return {"slot": slot, "weekday": at.dt.day_of_week, "day": at.dt.day_of_year}


def load_case(at, load, temperature, holiday, step_h, begin, split, end):
    """Load less that of a week ago, from what is known a day ahead and the temperature."""
    day = int(24 / step_h)
    alpha = 1 - np.exp(-step_h / 24)
    features = calendar(at, step_h)
    features["holiday"] = holiday
    features["t"] = temperature
    features["t_24h"] = temperature.shift(day)
    features["t_168h"] = temperature.shift(7 * day)
    features["t_ewma_24h"] = temperature.ewm(alpha=alpha, adjust=False).mean()
    for days in (1, 2, 7, 14):
        features[f"load_{24 * days}h"] = load.shift(days * day)
    base = load.shift(7 * day)
    known = load.notna() & base.notna() & (at >= begin) & (at < end)
    frame = pd.DataFrame(features)[known]
    return frame, (load - base)[known], load[known], (at[known] < split).sum()


def victoria(data):
    d = pd.read_csv(data / "load_vic_au_30min_2012_2013.csv")
    at = pd.to_datetime(d.time_utc).dt.tz_localize(None) + pd.Timedelta(hours=10)
    span = ("2012-01-01", "2013-07-01", "2014-01-01")
    return load_case(at, d.load_mw, d.temp_c, d.holiday, 0.5, *map(pd.Timestamp, span))


def gefcom_z2(data):
    d = pd.read_csv(data / "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv")
    at = pd.to_datetime(d.time_local)
    t = d[[f"t{i:02}_degF" for i in range(1, 12)]].mean(axis=1)
    span = ("2004-01-01", "2007-07-01", "2008-07-01")
    return load_case(at, d.z02_kw, t, d.holiday, 1.0, *map(pd.Timestamp, span))


def wind_wf1(data):
    power = pd.read_csv(data / "wind_gefcom2012_power_hourly_wf1-4.csv")
    at = pd.to_datetime(power.time_utc).dt.tz_localize(None)
    wind = pd.read_csv(data / "wind_gefcom2012_nwp_wf1.csv")
    wind["at"] = pd.to_datetime(wind.issue_time_utc, format="%Y%m%dT%H")
    wind["at"] += pd.to_timedelta(wind.lead_h, unit="h")
    wind = wind.sort_values(["at", "lead_h"]).drop_duplicates("at").set_index("at")
    wind = wind.reindex(at).reset_index(drop=True)
    speed, angle = np.hypot(wind.u_ms, wind.v_ms), np.arctan2(wind.v_ms, wind.u_ms)
    features = {"hour": at.dt.hour, "day": at.dt.day_of_year, "lead": wind.lead_h}
    features |= {"u": wind.u_ms, "v": wind.v_ms, "speed": speed, "angle": angle}
    for step in (-2, -1, 1, 2):
        features[f"speed_{step}"] = speed.shift(-step)
    features["power_48h"] = power.wf1_pu.shift(48)
    known = power.wf1_pu.notna() & wind.u_ms.notna()
    known &= (at >= pd.Timestamp("2009-07-01")) & (at < pd.Timestamp("2012-07-01"))
    y = power.wf1_pu[known]
    return pd.DataFrame(features)[known], y, None, (at[known] < pd.Timestamp("2011-01-01")).sum()


CASES = {"victoria": victoria, "gefcom-z2": gefcom_z2, "wind-wf1": wind_wf1}
SIZES = [(500, 48), (300, 31)]
# Beyond the plain absolute error: draws, and the other objectives.
MORE = [
    {"objective": "squared"},
    {"objective": {"quantile": {"level": 0.9}}},
    {"objective": "absolute", "row_fraction": 0.8, "feature_fraction": 0.8},
]


def ours_params(trees, leaves, more):
    params = {
        "objective": "absolute", "trees": trees, "leaves": leaves, "learning_rate": 0.05,
        "rows_leaf_min": 20, "l2": 0.0, "bins_max": 255, "feature_fraction": 1.0,
        "row_fraction": 1.0, "row_fraction_every": 1, "early_stop": None, "seed": SEED,
    }
    return params | more


def peer_params(ours):
    """The same for LightGBM; what is not named here is its default."""
    params = {
        "num_leaves": ours["leaves"], "learning_rate": ours["learning_rate"],
        "min_data_in_leaf": ours["rows_leaf_min"], "lambda_l2": ours["l2"],
        "max_bin": ours["bins_max"], "feature_fraction": ours["feature_fraction"],
        "bagging_fraction": ours["row_fraction"],
        "bagging_freq": ours["row_fraction_every"] if ours["row_fraction"] < 1 else 0,
        "num_threads": 1, "verbose": -1, "seed": ours["seed"], "deterministic": True,
        "min_sum_hessian_in_leaf": 0.0,
    }
    objective = ours["objective"]
    if objective == "squared":
        return params | {"objective": "regression"}
    if objective == "absolute":
        return params | {"objective": "regression_l1"}
    return params | {"objective": "quantile", "alpha": objective["quantile"]["level"]}


def error(objective, target, predicted):
    """The mean loss that was to be made small (RMSE for the squared)."""
    under = target - predicted
    if objective == "squared":
        return float(np.sqrt(np.mean(under**2)))
    if objective == "absolute":
        return float(np.mean(np.abs(under)))
    level = objective["quantile"]["level"]
    return float(np.mean(np.maximum(level * under, (level - 1) * under)))


def once(x, y, learned, params, rounds):
    """LightGBM: predictions, seconds to fit, seconds to predict."""
    begin = time.process_time()
    data = lightgbm.Dataset(x[:learned], y[:learned], params=params)
    booster = lightgbm.train(params, data, rounds)
    middle = time.process_time()
    predicted = booster.predict(x[learned:], num_threads=1)
    return predicted, middle - begin, time.process_time() - middle


def write(folder, x, y):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "columns.f32").write_bytes(np.ascontiguousarray(x.T).tobytes())
    (folder / "targets.f32").write_bytes(y.tobytes())


def ours_once(executable, folder, learned, features, params):
    """Ours: predictions and what the example says of them."""
    about = {"features": features, "learned": learned, "params": params}
    (folder / "case.json").write_text(json.dumps(about))
    line = f"{folder}\n".encode()
    answer = subprocess.run([executable], input=line, check=True, capture_output=True)
    return np.fromfile(folder / "ours.f64"), json.loads(answer.stdout)


def compare(name, case, trees, leaves, more, arguments, folder):
    """One fit each, for the time; its error hangs on ties and edges of bins: see `spread`."""
    x, y, whole, learned = case
    params = ours_params(trees, leaves, more)
    ours, peer = [], []
    for repetition in range(arguments.repetitions):
        # Either may be faster and LightGBM's own trial costs time: each in turn.
        way = ["force_col_wise", "force_row_wise"][repetition % 2]
        ours.append(ours_once(arguments.ours, folder, learned, x.shape[1], params))
        peer.append(once(x, y, learned, peer_params(params) | {way: True}, trees))
    objective, test = params["objective"], y[learned:]
    mine, theirs = error(objective, test, ours[0][0]), error(objective, test, peer[0][0])
    fit, fit_peer = min(o[1]["fit_s"] for o in ours), min(p[1] for p in peer)
    predict, predict_peer = min(o[1]["predict_s"] for o in ours), min(p[2] for p in peer)
    result = {
        "case": name, "rows": learned, "features": x.shape[1], "trees": trees, "leaves": leaves,
        **more, "error_ours": mine, "error_lightgbm": theirs, "error_ratio": mine / theirs,
        "fit_s_ours": fit, "fit_s_lightgbm": fit_peer, "fit_ratio": fit / fit_peer,
        "predict_s_ours": predict, "predict_s_lightgbm": predict_peer,
        "predict_ratio": predict / predict_peer, "record_bytes": ours[0][1]["record_bytes"],
    }
    if whole is not None:
        load = whole.to_numpy()[learned:]
        mape = lambda p: float(100 * np.mean(np.abs((test - p) / load)))
        result |= {"mape_ours": mape(ours[0][0]), "mape_lightgbm": mape(peer[0][0])}
    print(json.dumps(result), flush=True)


def spread(name, case, seeds, arguments, folder):
    """Errors over seeds, with rows and features drawn: which is better beyond chance."""
    x, y, _, learned = case
    mine, theirs = [], []
    for seed in range(1, seeds + 1):
        params = ours_params(300, 31, MORE[-1] | {"seed": seed})
        predicted, _ = ours_once(arguments.ours, folder, learned, x.shape[1], params)
        mine.append(error("absolute", y[learned:], predicted))
        predicted, _, _ = once(x, y, learned, peer_params(params), 300)
        theirs.append(error("absolute", y[learned:], predicted))
    result = {
        "case": name, "seeds": seeds, "trees": 300, "leaves": 31, **MORE[-1],
        "mean_ours": np.mean(mine), "deviation_ours": np.std(mine, ddof=1),
        "mean_lightgbm": np.mean(theirs), "deviation_lightgbm": np.std(theirs, ddof=1),
        "error_ratio": np.mean(mine) / np.mean(theirs),
    }
    print(json.dumps(result), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.environ.get("GRIDLOOM_DATA"))
    parser.add_argument("--ours", required=True)
    parser.add_argument("--repetitions", type=int, default=4)
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=8, help="fits for `spread`; 0: none")
    parser.add_argument("--only")
    parser.add_argument("--plain", action="store_true", help="the absolute error alone")
    arguments = parser.parse_args()
    data = pathlib.Path(arguments.data) / "forecast"
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.work or pathlib.Path(scratch)
        for name, make in CASES.items():
            if arguments.only in (None, name):
                frame, y, whole, learned = make(data)
                x = np.ascontiguousarray(frame.to_numpy(np.float32))
                case = x, y.to_numpy(np.float32), whole, int(learned)
                write(folder / name, *case[:2])
                for trees, leaves in SIZES:
                    compare(name, case, trees, leaves, {}, arguments, folder / name)
                for more in [] if arguments.plain else MORE:
                    compare(name, case, 300, 31, more, arguments, folder / name)
                if arguments.seeds:
                    spread(name, case, arguments.seeds, arguments, folder / name)


if __name__ == "__main__":
    main()
