"""A network as the bench hands it over, and the draws that both sides make alike.

The file is what `benches/src/physics/case.rs` writes: everything per unit of `base_mva` and of the
nominal voltage of each bus, in arrays. Draws are a function of (seed, scenario, place), so that the
two sides need not send each other a thousand scenarios and still solve the same ones.
"""

import json

import numpy as np


def read(path):
    """The case of a file, its lists as arrays."""
    with open(path) as file:
        return arrays(json.load(file))


def arrays(value):
    if isinstance(value, dict):
        return {key: arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return np.array(value)
    return value


def uniform(seed, stream, count):
    """`count` draws from [0, 1): splitmix64 (Steele, Lea, Flood 2014) at numbered places."""
    with np.errstate(over="ignore"):
        at = np.arange(count, dtype=np.uint64) + np.uint64(1)
        base = np.uint64(seed) + np.uint64(stream) * np.uint64(0xD1342543DE82EF95)
        z = base + at * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def deviates(seed, stream, count):
    """`count` draws with mean 0 and variance 1: twelve uniform ones, less six."""
    return uniform(seed, stream, 12 * count).reshape(count, 12).sum(axis=1) - 6.0


def load_factors(case, scenario):
    """What every load is multiplied by in a scenario: redrawn by one per cent."""
    return 1.0 + 0.01 * deviates(case["seed"], 1_000 + scenario, len(case["load"]["bus"]))


def readings(case, tick):
    """The values of all measurements at a tick: each drawn anew about the true one."""
    m = case["measurement"]
    return m["truth"] + m["sigma"] * deviates(case["seed"], 1_000_000 + tick, len(m["truth"]))


def voltages(vm, va):
    """What a peer found, for the bench to compare."""
    return {"vm": np.asarray(vm, float).tolist(), "va": np.asarray(va, float).tolist()}
