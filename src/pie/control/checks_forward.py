"""Commands of ordinary inference: embed, forward, next-token distribution."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pie.control.addresses import AddressSpace
from pie.control.bounds import Bounds, Check
from pie.control.leases import EmbLease, PageLease
from pie.control.work import DistWork, EmbedWork, ForwardWork
from pie.core.commands import Completion, EmbedText, Forward, NextDist
from pie.core.errors import InvalidArgument
from pie.core.ids import VirtualEmb, VirtualPage


def embed_text(
    bounds: Bounds, space: AddressSpace, command: EmbedText, _: Completion | None
) -> EmbedWork | None:
    tokens, positions, names = command
    count = len(tokens)
    if count != len(positions) or count != len(names):
        raise InvalidArgument(
            f"embed_txt: {count} tokens, {len(positions)} positions and {len(names)} embs: "
            "give one of each for every token"
        )
    if not count:
        return None
    bounds.check_length("embed_txt", tokens)
    bounds.check_tokens("embed_txt", tokens)
    bounds.check_positions("embed_txt", positions)
    embs = space.embs.find(names)
    if count > 1:
        space.embs.check_distinct(names)
    return EmbedWork(tokens, positions, embs, 3 * count)


def forward(bounds: Bounds, space: AddressSpace, command: Forward, _: Completion | None) -> ForwardWork:
    ikv, iemb, okv, offset, oemb, outputs, mask, adapter = command
    count = len(iemb)
    if not 0 < count <= bounds.max_list:
        raise InvalidArgument(f"forward: {count} inputs: give 1 to {bounds.max_list} in iemb")
    bounds.check_length("forward: ikv", ikv)
    reads = space.pages.find(ikv)
    inputs = space.embs.find(iemb)
    size = len(ikv) + count + len(oemb)
    if len(oemb) > count:
        raise InvalidArgument(f"forward: {len(oemb)} oemb for {count} inputs: at most one for each")
    if outputs:
        _check_outputs(outputs, len(oemb), count)
    if mask is not None:
        size += _check_mask(bounds, mask, count, len(ikv) * bounds.page_size)
    bounds.check_adapter("forward_with_adapter", adapter)
    writes = _targets(bounds.page_size, space, okv, offset, count) if okv else []
    bounds.check_writable("forward", writes)
    return ForwardWork(
        reads,
        inputs,
        writes,
        offset % bounds.page_size,
        _outputs(space, oemb) if oemb else [],
        outputs or range(count - len(oemb), count),
        mask,
        size,
        adapter,
    )


def _targets(
    size: int, space: AddressSpace, okv: Sequence[VirtualPage], offset: int, count: int
) -> list[PageLease]:
    """The pages among `okv` that receive tokens."""
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


def _outputs(space: AddressSpace, oemb: Sequence[VirtualEmb]) -> list[EmbLease]:
    if len(oemb) > 1:
        space.embs.check_distinct(oemb)
    return space.embs.find(oemb)


def _check_outputs(outputs: Sequence[int], wanted: int, count: int) -> None:
    if len(outputs) != wanted:
        raise InvalidArgument(f"forward: {len(outputs)} outputs for {wanted} oemb: give one for each")
    if max(outputs) >= count or min(outputs) < 0:
        wrong = next(row for row in outputs if not 0 <= row < count)
        raise InvalidArgument(f"forward: output {wrong} is no input: there are inputs 0 to {count - 1}")


def _check_mask(bounds: Bounds, mask: Sequence[Sequence[int]], count: int, cached: int) -> int:
    """How many runs it has."""
    if len(mask) != count:
        raise InvalidArgument(f"forward: {len(mask)} mask rows for {count} inputs: give one for each")
    runs = sum(map(len, mask))
    if runs > bounds.max_list:
        raise InvalidArgument(f"forward: {runs} runs in the mask: at most {bounds.max_list}")
    for i, row in enumerate(mask):
        if row and (min(row) < 0 or sum(row) > cached + count):
            raise InvalidArgument(
                f"forward: mask row {i} covers {sum(row)} tokens, but there are {cached} in ikv "
                f"and {count} inputs"
            )
    return runs


def next_dist(
    bounds: Bounds, space: AddressSpace, command: NextDist, completion: Completion | None
) -> DistWork:
    emb, top_k, tokens, matcher = command
    most = min(bounds.vocabulary, bounds.settings.max_top_k)
    if not 1 <= top_k <= most:
        raise InvalidArgument(f"get_next_dist: top_k is {top_k}: choose 1 to {most}")
    if len(tokens) > bounds.settings.max_scored:
        raise InvalidArgument(
            f"get_next_dist: {len(tokens)} tokens to score: at most {bounds.settings.max_scored}"
        )
    bounds.check_tokens("get_next_dist", tokens)
    found = space.embs.find((emb,))[0]
    place = None if matcher is None else space.matchers.find((matcher,))[0]
    return DistWork(found, top_k, tokens, completion, 2 + len(tokens), place)


CHECKS: Mapping[type, Check] = MappingProxyType(
    {
        EmbedText: embed_text,
        Forward: forward,
        NextDist: next_dist,
    }
)
