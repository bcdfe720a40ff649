"""Rotary positions as complex numbers: one multiplication turns queries and keys."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.inference.columns import Ints
from pie.models import ModelConfig, RopeScaling

KNOWN = 2048

Frequencies = NDArray[np.float32]
Turns = NDArray[np.complexfloating[Any, Any]]


class Rotary:
    """Turns the pair (2i, 2i + 1) of a head by position × frequency i. (Checkpoints pair i with
    i + head_dim / 2: prepared weights have the rows of queries and keys reordered.)"""

    def __init__(self, config: ModelConfig) -> None:
        kinds = [frequencies(config)]
        theta = config.window_rope_theta
        if theta is not None:
            kinds.append(frequencies(replace(config, rope_theta=theta, rope_scaling=None)))
        self._frequencies = np.stack(kinds)[:, None, None, :]
        self._known = self._computed(np.arange(KNOWN, dtype=np.int32))
        """Of the first positions, which most passes are at: looking up is one operation, not six."""

    def turns(self, positions: Ints) -> Turns:
        """Complex [kinds, inputs, 1, head_dim / 2], of length one. Where windowed layers turn by other
        frequencies there are two kinds, theirs the second; else one."""
        if len(positions) and int(positions.max()) < KNOWN:
            return self._known.take(positions, 1)
        return self._computed(positions)

    def _computed(self, positions: Ints) -> Turns:
        angles = positions.astype(np.float32)[:, None, None] * self._frequencies
        found = np.empty(angles.shape, np.complex64)
        np.cos(angles, out=found.real)
        np.sin(angles, out=found.imag)
        return found


def frequencies(config: ModelConfig) -> Frequencies:
    """[head_dim / 2], radians a token."""
    exponents = (np.arange(0, config.head_dim, 2) / config.head_dim).astype(np.float32).astype(np.float64)
    base: Frequencies = np.float32(1.0) / (np.float64(config.rope_theta) ** exponents).astype(np.float32)
    return scaled(base, config.rope_scaling) if config.rope_scaling else base


def scaled(base: Frequencies, scaling: RopeScaling) -> Frequencies:
    if scaling.kind == "linear":
        return base / np.float32(scaling.factor)
    if scaling.kind == "factors":
        divided: Frequencies = np.divide(base, np.array(scaling.factors, np.float32))
        return divided
    return scaled_by_wave_length(base, scaling)


def scaled_by_wave_length(base: Frequencies, scaling: RopeScaling) -> Frequencies:
    """As in Llama 3.1: long waves are stretched, short ones kept, those between blended."""
    waves = 2 * math.pi / base
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    blend = (scaling.original_context_length / waves - low) / (high - low)
    blended = (1 - blend) * base / scaling.factor + blend * base
    stretched = np.where(waves > scaling.original_context_length / low, base / scaling.factor, blended)
    found: Frequencies = np.where(waves < scaling.original_context_length / high, base, stretched)
    return found.astype(np.float32)
