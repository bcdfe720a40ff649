"""The distribution of the next token. It stays with the server; what a program asks for is copied."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from inferlet.checks import U64_MAX, number, unsigned, unsigned_list
from inferlet.futures import Future
from inferlet.host import Host, bound, translate


class Sampling(NamedTuple):
    """The WIT record `sampling`. `top_k` 0, `top_p` 1 and `min_p` 0 leave everything in.

    `repetition_penalty` 1 and the other penalties 0 change nothing; `seen` are the tokens that they count.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int = 0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seen: Sequence[int] = ()


class Dist(Future["Dist"]):
    """Probabilities of the next token. `await` it once (it is the future of itself), then read it.

    Only the best tokens are kept (as many as `top_k` said when it was asked for); `sample` draws from
    those. `entropy` and the log-probabilities of tokens asked for are exact, over the whole vocabulary.
    """

    __slots__ = ("_host", "position", "seen")

    def __init__(self, id: int, position: int = 0) -> None:
        super().__init__(id)
        self._host: Host = bound.host
        self.position = position
        """Position of the token that it predicts; samplers mix it into their seed."""
        self.seen: Sequence[int] = ()
        """Tokens that the generation has used so far, for penalties."""

    def _take(self) -> "Dist":
        return self

    def max_index(self) -> int:
        """The most probable token."""
        host = self._host
        try:
            return host.output_text.dist_max_index(self.id)
        except host.error as failure:
            raise translate(failure) from None

    def sample(
        self, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0, min_p: float = 0.0, seed: int = 0
    ) -> int:
        """A token drawn with `seed`: the same seed draws the same token.

        `top_p` keeps the smallest set of best tokens with that much probability, `top_k` that many (0: all
        that were kept), `min_p` those with at least that share of the best one's probability.
        """
        how = Sampling(
            number("temperature", temperature), number("top_p", top_p), unsigned("top_k", top_k),
            number("min_p", min_p), unsigned("seed", seed, U64_MAX),
        )
        return self.sample_as(how)

    def sample_as(self, how: Sampling) -> int:
        """`sample` with its settings in one value."""
        host = self._host
        if type(how.seen) is not list:
            how = how._replace(seen=unsigned_list("seen", how.seen))
        try:
            return host.output_text.dist_sample(self.id, how)
        except host.error as failure:
            raise translate(failure) from None

    def top(self, k: int) -> list[tuple[int, float]]:
        """At most `k` tokens with their probabilities, best first."""
        tokens, probs = self._read("dist_top", unsigned("k", k))
        return list(zip(tokens, probs, strict=True))

    def logprob(self, token: int) -> float:
        """Natural logarithm of a token's probability; for tokens asked for, and for the kept ones."""
        value: float = self._read("dist_logprob", unsigned("token", token))
        return value

    def entropy(self) -> float:
        """Of the whole distribution, in nats."""
        value: float = self._read("dist_entropy")
        return value

    def _read(self, call: str, *args: int) -> Any:
        host = self._host
        try:
            return getattr(host.output_text, call)(self.id, *args)
        except host.error as failure:
            raise translate(failure) from None
