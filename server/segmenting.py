"""Seconds of a video by labels: which of them each is about, or when each step of a plan is done."""

from __future__ import annotations

import numpy as np

from core.types import Float32Array, Float64Array, IntArray

NONE = -1  # of a second that no label is about


def background(labels: Float32Array) -> float:
    """What a score must exceed to say anything: the largest inner product of two different labels."""
    products = labels @ labels.T
    others = products[~np.eye(len(labels), dtype=bool)]
    return float(others.max()) if len(others) else -np.inf


def labelled(scores: Float32Array, above: float) -> IntArray:
    """The number of each second's best label, or NONE, of [labels, seconds]."""
    found: IntArray = np.where(scores.max(axis=0) > above, scores.argmax(axis=0), NONE)
    return found


def shares(scores: Float32Array) -> Float64Array:
    """[steps, seconds]: the logarithm of each step's share in a second."""
    apart = scores.astype(np.float64) - scores.max(axis=0)
    found: Float64Array = apart - np.log(np.exp(apart).sum(axis=0))
    return found


def in_order(shares: Float64Array) -> IntArray:
    """The second of each step, [steps]: each has one, one later than the step before, of all such choices the
    likeliest. There must be as many seconds as steps."""
    steps, seconds = shares.shape
    if steps > seconds:
        raise ValueError(f"{steps} steps have no second each among {seconds}.")
    best = shares[0]
    before = np.zeros((steps, seconds), np.int64)
    for step in range(1, steps):
        leader = _leaders(best)
        before[step, 1:] = leader[:-1]
        reached = np.full(seconds, -np.inf)
        reached[1:] = best[leader[:-1]] + shares[step, 1:]
        best = reached
    found = np.empty(steps, np.int64)
    found[-1] = best.argmax()
    for step in range(steps - 1, 0, -1):
        found[step - 1] = before[step, found[step]]
    return found


def _leaders(values: Float64Array) -> IntArray:
    """Where the greatest value so far is, the first of equal ones."""
    rises = values > np.concatenate([[-np.inf], np.maximum.accumulate(values)[:-1]])
    rises[0] = True
    found: IntArray = np.maximum.accumulate(np.where(rises, np.arange(len(values)), 0))
    return found
