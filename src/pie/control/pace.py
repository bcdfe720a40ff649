"""How long passes take: measured, smoothed, apart for passes of different sizes."""

from pie.core.passes import Pass

_SMOOTHING = 0.2


class Pace:
    def __init__(self) -> None:
        self.seconds = 0.0
        """Of a pass, whatever its size."""
        self._by_size: dict[int, float] = {}

    def note(self, work: Pass, seconds: float) -> None:
        self.seconds = _smooth(self.seconds, seconds)
        size = _size(work)
        self._by_size[size] = _smooth(self._by_size.get(size, 0.0), seconds)

    def expected(self, work: Pass) -> float:
        return self._by_size.get(_size(work), self.seconds)


def _smooth(old: float, new: float) -> float:
    return old + _SMOOTHING * (new - old) if old else new


def _size(work: Pass) -> int:
    """Passes of about as many input tokens count as equal."""
    return len(work.inputs).bit_length()
