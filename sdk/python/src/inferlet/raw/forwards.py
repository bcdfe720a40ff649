"""Trait *forward*: runs the model, and says who sees what."""

from collections.abc import Iterable

from inferlet.checks import text, unsigned, unsigned_list
from inferlet.host import bound
from inferlet.raw.calls import call


def forward(
    queue: int,
    ikv: Iterable[int],
    iemb: Iterable[int],
    okv: Iterable[int] = (),
    okv_offset: int = 0,
    oemb: Iterable[int] = (),
    outputs: Iterable[int] = (),
    mask: Iterable[Iterable[int]] | None = None,
) -> None:
    """Runs `iemb` through the model.

    ikv: pages whose written tokens the inputs see. What is left out is invisible.
    iemb: n embedded tokens; they see one another too.
    okv, okv_offset: pages that take the n keys and values, from this token of the first page on; empty:
        nothing is stored.
    oemb: takes the hidden states of the last `len(oemb)` inputs, or of those whose index (0 to n - 1)
        stands in `outputs`.
    mask: n rows of run lengths over the tokens of `ikv` (page size each), then over the inputs; alternately
        hidden and visible, beginning with hidden. Without it an input sees earlier or equal positions.
    """
    call(
        bound.host.forward.forward, unsigned("queue", queue), unsigned_list("ikv", ikv),
        unsigned_list("iemb", iemb), unsigned_list("okv", okv), unsigned("okv_offset", okv_offset),
        unsigned_list("oemb", oemb), unsigned_list("outputs", outputs),
        None if mask is None else [unsigned_list("mask", row) for row in mask],
    )


def mask_kvpage(queue: int, page: int, visible: int) -> None:
    """Bit i of `visible` shows (1) or hides (0) token i of a page for all later forwards."""
    call(
        bound.host.forward.mask_kvpage, unsigned("queue", queue), unsigned("page", page),
        unsigned("visible", visible),
    )


def available_adapters(model: str) -> list[str]:
    """Names of the LoRA adapters that the operator has loaded for this model."""
    return call(bound.host.forward.available_adapters, text("model", model))


def forward_with_adapter(
    queue: int,
    adapter: str,
    ikv: Iterable[int],
    iemb: Iterable[int],
    okv: Iterable[int] = (),
    okv_offset: int = 0,
    oemb: Iterable[int] = (),
    outputs: Iterable[int] = (),
    mask: Iterable[Iterable[int]] | None = None,
) -> None:
    """`forward` through a LoRA adapter. Pages filled through an adapter hold its keys and values."""
    call(
        bound.host.forward.forward_with_adapter, unsigned("queue", queue), text("adapter", adapter),
        unsigned_list("ikv", ikv), unsigned_list("iemb", iemb), unsigned_list("okv", okv),
        unsigned("okv_offset", okv_offset), unsigned_list("oemb", oemb), unsigned_list("outputs", outputs),
        None if mask is None else [unsigned_list("mask", row) for row in mask],
    )
