"""Rotary positions as complex numbers: one multiplication turns queries and keys."""

import math
from dataclasses import replace

import torch

from pie.inference.columns import Ints
from pie.inference.devices import CPU, sent
from pie.models import ModelConfig, RopeScaling

KNOWN = 2048


class Rotary:
    """Turns the pair (2i, 2i + 1) of a head by position × frequency i. (Checkpoints pair i with
    i + head_dim / 2: prepared weights have the rows of queries and keys reordered.)"""

    def __init__(self, config: ModelConfig, device: torch.device = CPU) -> None:
        self._device = device
        self._frequencies = frequencies(config)
        theta = config.window_rope_theta
        if theta is not None:
            windowed = replace(config, rope_theta=theta, rope_scaling=None)
            self._frequencies = torch.stack((self._frequencies, frequencies(windowed)))
        self._frequencies = self._frequencies.to(device)
        self._known = self._computed(torch.arange(KNOWN, device=device))
        """Of the first positions, which most passes are at: looking up is one operation, not six."""

    def turns(self, positions: Ints) -> torch.Tensor:
        """Complex [kinds, inputs, 1, head_dim / 2], of length one. Where windowed layers turn by other
        frequencies there are two kinds, theirs the second; else one."""
        there = sent(positions, self._device)
        if len(positions) and int(positions.max()) < KNOWN:
            return self._known.index_select(1, there)
        return self._computed(there)

    def _computed(self, positions: torch.Tensor) -> torch.Tensor:
        kinds = self._frequencies.view(-1, 1, 1, self._frequencies.shape[-1])
        angles = positions.float()[:, None, None] * kinds
        return torch.polar(torch.ones_like(angles), angles)


def frequencies(config: ModelConfig) -> torch.Tensor:
    """[head_dim / 2], radians a token."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.int64).float() / config.head_dim
    base = 1.0 / (config.rope_theta**exponents)
    return scaled(base, config.rope_scaling) if config.rope_scaling else base


def scaled(base: torch.Tensor, scaling: RopeScaling) -> torch.Tensor:
    if scaling.kind == "linear":
        return base / scaling.factor
    if scaling.kind == "factors":
        return base / torch.tensor(scaling.factors)
    return scaled_by_wave_length(base, scaling)


def scaled_by_wave_length(base: torch.Tensor, scaling: RopeScaling) -> torch.Tensor:
    """As in Llama 3.1: long waves are stretched, short ones kept, those between blended."""
    waves = 2 * math.pi / base
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    blend = (scaling.original_context_length / waves - low) / (high - low)
    blended = (1 - blend) * base / scaling.factor + blend * base
    stretched = torch.where(waves > scaling.original_context_length / low, base / scaling.factor, blended)
    return torch.where(waves < scaling.original_context_length / high, base, stretched)
