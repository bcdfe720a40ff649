"""The part of the naive model that samples."""

from dataclasses import dataclass, field

from pie.application.sampling import sample
from pie.core.commands import Dist, SamplingSpec
from pie.sampling import KEPT, step_seed
from pie.testing import HashedScores
from pie.testing.scores import BEST_LOGIT


@dataclass
class NaiveSlots:
    """Tokens by virtual id."""

    vocabulary: int
    scores: HashedScores
    tokens: dict[int, int | None] = field(default_factory=dict)

    def read(self, slot: int) -> int:
        token = self.tokens[slot]
        if token is None:
            raise ValueError(f"the test reads slot {slot} before it is filled")
        return token

    def draw(self, state: int, spec: SamplingSpec) -> int:
        tokens, probs = self.scores.top(state, min(KEPT, self.vocabulary))
        seen = [*spec.seen, *(self.read(slot) for slot in spec.seen_slots)]
        return sample(Dist(tokens, probs, {}, 0.0, BEST_LOGIT), spec._replace(seen=seen))

    def draw_step(self, state: int, spec: SamplingSpec, position: int, before: list[int]) -> int:
        """A step of a run, after the tokens `before`."""
        seed = step_seed(spec.seed, position)
        return self.draw(state, spec._replace(seed=seed, seen=[*spec.seen, *before]))
