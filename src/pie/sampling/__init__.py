"""How a token is drawn from the best of a distribution: the one definition, for host and driver alike.

Knows `core` only. `draw.py` draws for many rows at once, `spec.py` says what settings may be.
"""

from pie.sampling.draw import Rows, draw
from pie.sampling.seeds import step_seed, uniform
from pie.sampling.spec import check_spec

KEPT = 256
"""All sampling starts from so many best tokens of a distribution (or from the whole vocabulary, if that is
smaller)."""

__all__ = ["KEPT", "Rows", "check_spec", "draw", "step_seed", "uniform"]
