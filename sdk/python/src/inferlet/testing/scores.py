"""Scores, attention shares and images of the fake."""

import math

from inferlet.testing.device import FakeDevice
from inferlet.testing.pages import ErrorKind, HostError, invalid
from inferlet.testing.runtime import FakeRuntime


class FakeScores:
    """The interfaces `score` and `introspect`. Attention is spread evenly over visible tokens."""

    def __init__(self, device: FakeDevice, runtime: FakeRuntime) -> None:
        self._device = device
        self._runtime = runtime

    def logprobs(self, queue: int, embs: list[int], targets: list[int]) -> int:
        self._runtime.command("logprobs", queue)
        if len(embs) != len(targets):
            raise invalid(f"{len(embs)} embs and {len(targets)} targets")
        answers = [dict(self._device.best(emb)) for emb in embs]
        shares = [answer.get(token, 0.0) for answer, token in zip(answers, targets, strict=True)]
        return self._runtime.promise(queue, [math.log(share) if share else -math.inf for share in shares])

    def take_logprobs(self, future: int) -> list[float]:
        values: list[float] = self._runtime.take(future)
        return values

    def attention_stats(self, queue: int, ikv: list[int], iemb: list[int]) -> int:
        self._runtime.command("attention_stats", queue)
        counts = [sum(1 for slot in self._device.pages.find(page) if slot and slot.visible) for page in ikv]
        counts.append(len(iemb))
        return self._runtime.promise(queue, [count / sum(counts) for count in counts])

    def take_stats(self, future: int) -> list[float]:
        values: list[float] = self._runtime.take(future)
        return values


class FakeEyes:
    """The interface `input-image`, of a model that cannot see."""

    def num_embs_needed(self, model: str, width: int, height: int) -> int:  # noqa: ARG002
        raise _blind()

    def embed_img(self, queue: int, blob: bytes, positions: list[int], embs: list[int]) -> None:  # noqa: ARG002
        raise _blind()


def _blind() -> HostError:
    return HostError(ErrorKind.UNAVAILABLE, "trait input-image is not available: the model reads text only")
