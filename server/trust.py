"""Whether an encoder may answer for a store: the same one, or one that the user says made the vectors."""

from __future__ import annotations

from collections.abc import Collection

from core.types import UNKNOWN, EncoderSpec


def distrusted(made_by: EncoderSpec, trusted: Collection[str]) -> str | None:
    """Why the store cannot be asked yet, whatever is loaded: nobody has vouched for what was imported."""
    if made_by.weights != UNKNOWN or made_by.name in trusted:
        return None
    return (
        f"The index holds imported vectors that are said to be of {made_by.name}, of unknown weights; "
        f"--trust-import {made_by.name} takes that for true."
    )


def misfit(made_by: EncoderSpec, loaded: EncoderSpec) -> str | None:
    """Why this encoder's queries do not meet those vectors."""
    if made_by.weights != UNKNOWN:
        if loaded.fingerprint == made_by.fingerprint:
            return None
        return (
            f"The index was made by {made_by.name} ({made_by.fingerprint}), "
            f"and the encoder loaded here is {loaded.name} ({loaded.fingerprint})."
        )
    # Of imported vectors no more is said than that.
    if (loaded.name, loaded.dim) == (made_by.name, made_by.dim):
        return None
    return (
        f"The index holds imported vectors of {made_by.name} with {made_by.dim} numbers, "
        f"and the encoder loaded here is {loaded.name} with {loaded.dim}."
    )
