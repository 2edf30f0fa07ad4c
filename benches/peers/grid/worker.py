"""A peer behind a pipe: lines of JSON in, a line of JSON out for each.

    python worker.py NAME        NAME is one of the modules beside this file

    {"do": "hello"}                                         -> {"ok": true, "versions": {...}}
    {"do": "prepare", "network": N, "path": P}              -> {"ok": true, "about": {...}}
    {"do": "run", "network": N, "task": T, "repetitions": R, "round": K}
                                                            -> {"ok": true, "ns": [...], ...}

Whatever fails answers {"ok": false, "why": "..."}: the bench prints it and goes on. The model of a
network is kept between requests, so that what is timed is the solver and not its preparation.
Times are processor time of this process, without what the clock itself costs, except where a task
says `wall`.
"""

import os

# Before numpy is loaded: what is measured is one thread, unless a task says otherwise.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import gc
import importlib
import json
import sys
import time
import traceback
import warnings

CLOCK = time.process_time_ns
WALL = time.perf_counter_ns


def cost(clock):
    """What two readings of a clock cost, in ns: the median of many."""
    costs = []
    for _ in range(2_001):
        begin = clock()
        costs.append(clock() - begin)
    return sorted(costs)[len(costs) // 2]


def timed(call, clock=CLOCK, calls=1):
    """Runs `call` and returns (its result, ns): the clock's own cost is taken off."""
    begin = clock()
    result = call()
    ns = clock() - begin - (CLOCK_NS if clock is CLOCK else 0)
    return result, max(ns, 1) / calls


CLOCK_NS = cost(CLOCK)


def answer(peer, request):
    do = request["do"]
    if do == "hello":
        return {"versions": peer.versions()}
    if do == "prepare":
        return {"about": peer.prepare(request["network"], request["path"]) or {}}
    if do == "run":
        gc.disable()
        try:
            return peer.run(
                request["network"], request["task"], request["repetitions"], request["round"]
            )
        finally:
            gc.enable()
    raise ValueError(f"nobody here can {do}")


def main():
    warnings.filterwarnings("ignore")
    # Libraries print: what they print goes to stderr, and the protocol keeps stdout for itself.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    peer, why = None, ""
    try:
        peer = importlib.import_module(sys.argv[1])
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    for line in sys.stdin:
        try:
            if peer is None:
                raise RuntimeError(why)
            reply = {"ok": True, **answer(peer, json.loads(line))}
        except Exception as error:
            if os.environ.get("GRIDLOOM_BENCH_TRACE"):
                traceback.print_exc()
            # One line: the table has room for no more.
            text = " ".join(str(error).split())[:160]
            reply = {"ok": False, "why": f"{type(error).__name__}: {text}"}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    # The modules beside import this file by its name: both must be one.
    sys.modules["worker"] = sys.modules["__main__"]
    main()
