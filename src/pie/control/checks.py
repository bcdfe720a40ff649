"""Submission: names become leases and numbers are checked, in program order, before anything is queued.

What is wrong is raised at once, so that the program's own line stands in its traceback.
"""

from collections.abc import Sequence

from pie.control.addresses import AddressSpace
from pie.control.leases import EmbLease, PageLease
from pie.control.settings import ControlSettings
from pie.control.work import (
    CopyWork,
    DistWork,
    EmbedWork,
    ForkWork,
    ForwardWork,
    FreeEmbsWork,
    FreePagesWork,
    MaskWork,
    SyncWork,
    Work,
)
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    Command,
    Completion,
    CopyPages,
    EmbedText,
    ForkPages,
    Forward,
    FreeEmbs,
    FreePages,
    MaskPage,
    NextDist,
    Span,
    Synchronize,
)
from pie.core.driver import DriverSpec
from pie.core.errors import InvalidArgument
from pie.core.ids import Token, VirtualEmb, VirtualPage


class Checks:
    """For one model. A failed check changes nothing."""

    def __init__(self, spec: DriverSpec, settings: ControlSettings) -> None:
        self._page_size = spec.page_size
        self._vocabulary = spec.vocabulary_size
        self._context = spec.context_length
        self._settings = settings
        self._max_list = settings.max_list

    def check(self, space: AddressSpace, command: Command, completion: Completion | None) -> Work | None:
        """The work to queue; None where the command is done already (names allocated, empty lists)."""
        if isinstance(command, EmbedText):
            return self._embed(space, command)
        if isinstance(command, Forward):
            return self._forward(space, command)
        if isinstance(command, NextDist):
            return self._dist(space, command, completion)
        return self._rarer(space, command, completion)

    def _rarer(self, space: AddressSpace, command: Command, completion: Completion | None) -> Work | None:
        match command:
            case AllocPages(pages):
                self._check_length("alloc_kvpage", pages)
                space.pages.add(pages)
                return None
            case AllocEmbs(embs):
                self._check_length("alloc_emb", embs)
                space.embs.add(embs)
                return None
            case FreePages(pages):
                self._check_length("dealloc_kvpage", pages)
                return FreePagesWork(len(pages), space.pages.remove(pages))
            case FreeEmbs(embs):
                self._check_length("dealloc_emb", embs)
                return FreeEmbsWork(len(embs), space.embs.remove(embs))
            case CopyPages():
                return self._copy(space, command)
            case ForkPages():
                return self._fork(space, command)
            case MaskPage():
                return self._mask(space, command)
            case Synchronize():
                return SyncWork(1, completion)
        raise InvalidArgument(f"{type(command).__name__} is no command")

    def _embed(self, space: AddressSpace, command: EmbedText) -> EmbedWork | None:
        tokens, positions, names = command
        count = len(tokens)
        if count != len(positions) or count != len(names):
            raise InvalidArgument(
                f"embed_txt: {count} tokens, {len(positions)} positions and {len(names)} embs: "
                "give one of each for every token"
            )
        if not count:
            return None
        if count > self._max_list:
            raise _too_long("embed_txt", tokens, self._max_list)
        if max(tokens) >= self._vocabulary or min(tokens) < 0:
            raise self._bad_token("embed_txt", tokens)
        if max(positions) >= self._context or min(positions) < 0:
            wrong = next(position for position in positions if not 0 <= position < self._context)
            raise InvalidArgument(
                f"embed_txt: position {wrong} is outside the model's context of {self._context} tokens"
            )
        embs = space.embs.find(names)
        if count > 1:
            space.embs.check_distinct(names)
        return EmbedWork(tokens, positions, embs, 3 * count)

    def _forward(self, space: AddressSpace, command: Forward) -> ForwardWork:
        ikv, iemb, okv, offset, oemb, outputs, mask = command
        count = len(iemb)
        if not 0 < count <= self._max_list:
            raise InvalidArgument(f"forward: {count} inputs: give 1 to {self._max_list} in iemb")
        if len(ikv) > self._max_list:
            raise _too_long("forward: ikv", ikv, self._max_list)
        reads = space.pages.find(ikv)
        inputs = space.embs.find(iemb)
        size = len(ikv) + count + len(oemb)
        if len(oemb) > count:
            raise InvalidArgument(f"forward: {len(oemb)} oemb for {count} inputs: at most one for each")
        if outputs:
            self._check_outputs(outputs, len(oemb), count)
        if mask is not None:
            size += self._check_mask(mask, count, len(ikv) * self._page_size)
        return ForwardWork(
            reads,
            inputs,
            self._targets(space, okv, offset, count) if okv else [],
            offset % self._page_size,
            self._outputs(space, oemb) if oemb else [],
            outputs or range(count - len(oemb), count),
            mask,
            size,
        )

    def _targets(
        self, space: AddressSpace, okv: Sequence[VirtualPage], offset: int, count: int
    ) -> list[PageLease]:
        """The pages among `okv` that receive tokens."""
        size = self._page_size
        if offset < 0 or offset + count > len(okv) * size:
            raise InvalidArgument(
                f"forward: {count} inputs do not fit into {len(okv)} okv pages of {size} tokens from token "
                f"{offset} on: give {-(-(max(offset, 0) + count) // size)} pages"
            )
        pages = space.pages.find(okv)
        if len(pages) == 1:
            return pages
        space.pages.check_distinct(okv)
        return pages[offset // size : -(-(offset + count) // size)]

    def _outputs(self, space: AddressSpace, oemb: Sequence[VirtualEmb]) -> list[EmbLease]:
        if len(oemb) > 1:
            space.embs.check_distinct(oemb)
        return space.embs.find(oemb)

    def _check_outputs(self, outputs: Sequence[int], wanted: int, count: int) -> None:
        if len(outputs) != wanted:
            raise InvalidArgument(f"forward: {len(outputs)} outputs for {wanted} oemb: give one for each")
        if max(outputs) >= count or min(outputs) < 0:
            wrong = next(row for row in outputs if not 0 <= row < count)
            raise InvalidArgument(f"forward: output {wrong} is no input: there are inputs 0 to {count - 1}")

    def _check_mask(self, mask: Sequence[Sequence[int]], count: int, cached: int) -> int:
        """How many runs it has."""
        if len(mask) != count:
            raise InvalidArgument(f"forward: {len(mask)} mask rows for {count} inputs: give one for each")
        runs = sum(map(len, mask))
        if runs > self._max_list:
            raise InvalidArgument(f"forward: {runs} runs in the mask: at most {self._max_list}")
        for i, row in enumerate(mask):
            if row and (min(row) < 0 or sum(row) > cached + count):
                raise InvalidArgument(
                    f"forward: mask row {i} covers {sum(row)} tokens, but there are {cached} in ikv "
                    f"and {count} inputs"
                )
        return runs

    def _dist(self, space: AddressSpace, command: NextDist, completion: Completion | None) -> DistWork:
        emb, top_k, tokens = command
        most = min(self._vocabulary, self._settings.max_top_k)
        if not 1 <= top_k <= most:
            raise InvalidArgument(f"get_next_dist: top_k is {top_k}: choose 1 to {most}")
        if tokens:
            if len(tokens) > self._settings.max_scored:
                raise InvalidArgument(
                    f"get_next_dist: {len(tokens)} tokens to score: at most {self._settings.max_scored}"
                )
            if max(tokens) >= self._vocabulary or min(tokens) < 0:
                raise self._bad_token("get_next_dist", tokens)
        return DistWork(space.embs.find((emb,))[0], top_k, tokens, completion, 2 + len(tokens))

    def _copy(self, space: AddressSpace, command: CopyPages) -> CopyWork | None:
        src, dst, spans = command
        if not len(src) == len(dst) == len(spans):
            raise InvalidArgument(
                f"copy_kvpage: {len(src)} src, {len(dst)} dst and {len(spans)} spans: "
                "give one of each for every copy"
            )
        self._check_length("copy_kvpage", src)
        for span in spans:
            self._check_span(span)
        sources, targets = space.pages.find(src), space.pages.find(dst)
        return CopyWork(sources, targets, spans, 5 * len(src)) if src else None

    def _check_span(self, span: Span) -> None:
        src_offset, dst_offset, length = span
        if min(span) < 0 or max(src_offset, dst_offset) + length > self._page_size:
            raise InvalidArgument(
                f"copy_kvpage: {length} tokens from offset {src_offset} to offset {dst_offset} leave a page "
                f"of {self._page_size} tokens"
            )

    def _fork(self, space: AddressSpace, command: ForkPages) -> ForkWork | None:
        src, dst = command
        if len(src) != len(dst):
            raise InvalidArgument(f"fork_kvpage: {len(src)} src, {len(dst)} dst: give one new page for each")
        self._check_length("fork_kvpage", src)
        sources = space.pages.find(src)
        return ForkWork(2 * len(src), sources, space.pages.add(dst)) if src else None

    def _mask(self, space: AddressSpace, command: MaskPage) -> MaskWork:
        page, visible = command
        lease = space.pages.find((page,))[0]
        if not 0 <= visible < 1 << self._page_size:
            raise InvalidArgument(
                f"mask_kvpage: {visible:#x} has bits for more than the {self._page_size} tokens of a page"
            )
        signed = visible - (1 << 32) if visible >= 1 << 31 else visible
        return MaskWork(lease, signed)

    def _bad_token(self, call: str, tokens: Sequence[Token]) -> InvalidArgument:
        wrong = next(token for token in tokens if not 0 <= token < self._vocabulary)
        return InvalidArgument(
            f"{call}: token {wrong} is not in the vocabulary: tokens are 0 to {self._vocabulary - 1}"
        )

    def _check_length(self, call: str, values: Sequence[object]) -> None:
        if len(values) > self._max_list:
            raise _too_long(call, values, self._max_list)


def _too_long(call: str, values: Sequence[object], most: int) -> InvalidArgument:
    return InvalidArgument(f"{call}: a list of {len(values)}: at most {most} at once")
