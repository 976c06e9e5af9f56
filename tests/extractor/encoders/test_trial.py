"""Pictures that encoders are tried on."""

from __future__ import annotations

import numpy as np

from extractor.encoders.trial import trial_pictures


def test_they_are_the_same_every_time_and_each_another() -> None:
    found = trial_pictures(64, 16)
    assert found.shape == (16, 64, 64, 3) and found.dtype == np.uint8
    assert np.array_equal(found, trial_pictures(64, 16))
    assert np.array_equal(found[:3], trial_pictures(64, 3))
    apart = np.abs(found[:, None].astype(float) - found[None]).mean(axis=(2, 3, 4))
    assert apart[~np.eye(16, dtype=bool)].min() > 10


def test_they_are_no_noise_and_not_empty() -> None:
    found = trial_pictures(64, 16).astype(float)
    beside = np.abs(np.diff(found, axis=2)).mean()
    anywhere = np.abs(found - np.roll(found, 32, axis=2)).mean()
    assert beside < 0.4 * anywhere
    assert found.std(axis=(1, 2)).mean() > 20
