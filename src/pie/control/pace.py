"""How long things take: passes of different sizes, programs until they ask for more. Measured, smoothed."""


from pie.core.passes import Pass

_SMOOTHING = 0.2
_SOONER = 0.5
"""The same where a pass took less than expected: what is sent ahead too late leaves the driver idle, what is
sent too early only leaves out newcomers."""
_OUTLIER = 4.0
"""One gap between programs counts for at most so many usual ones: some do other things in between."""
_LONGEST = 0.01
"""And for no more than this, in seconds."""


class Pace:
    """Of passes. Those of about as many input tokens count as equal."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Of a pass, whatever its size."""
        self._by_size: dict[int, tuple[float, float]] = {}
        """Input tokens and seconds of passes, by the number of bits of the former."""

    def note(self, work: Pass, seconds: float) -> None:
        self.seconds = _smooth(self.seconds, seconds)
        tokens = len(work.inputs)
        old = self._by_size.get(tokens.bit_length(), (0.0, 0.0))
        weight = _SOONER if seconds < old[1] else _SMOOTHING
        self._by_size[tokens.bit_length()] = _smooth(old[0], tokens), _smooth(old[1], seconds, weight)

    def expected(self, work: Pass) -> float:
        return self.expected_of(len(work.inputs))

    def expected_of(self, tokens: int) -> float:
        """Seconds of a pass with so many inputs: as those of the nearest size, with what each token adds more
        or less."""
        if not tokens:
            return self._by_size.get(0, (0.0, self.seconds))[1]
        size = tokens.bit_length()
        nearest = min((each for each in self._by_size if each), key=lambda each: abs(each - size), default=0)
        if not nearest:
            return self.seconds
        usual, seconds = self._by_size[nearest]
        fixed = min(self.fixed() or 0.0, seconds)
        return fixed + (seconds - fixed) * tokens / usual

    def fixed(self) -> float | None:
        """What a pass takes beside what each of its tokens adds. None while all were of about the same
        size."""
        line = self._line()
        return None if line is None else line[0]

    def _line(self) -> tuple[float, float] | None:
        """Through the smallest and the largest passes: where it begins, and what each token adds."""
        sizes = sorted(size for size in self._by_size if size)
        if len(sizes) < 2:
            return None
        (few, short), (many, long) = self._by_size[sizes[0]], self._by_size[sizes[-1]]
        each = max(0.0, long - short) / max(1.0, many - few)
        return max(0.0, short - few * each), each


class Comebacks:
    """Of programs that got an answer: how long each takes until it asks for more, one after the other."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = 0.0

    def answered(self, now: float) -> None:
        self._last = max(self._last, now)

    def back(self, now: float) -> None:
        gap = min(now - self._last, _LONGEST, _OUTLIER * self.seconds or _LONGEST)
        self._last = now
        self.seconds = _smooth(self.seconds, gap)


def _smooth(old: float, new: float, weight: float = _SMOOTHING) -> float:
    return old + weight * (new - old) if old else new
