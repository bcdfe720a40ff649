"""`pie:inferlet/forward`: running embeddings through the model."""

from collections.abc import Sequence

from pie.application.guest import Guest
from pie.core.commands import Forward, MaskPage
from pie.core.errors import InvalidArgument
from pie.core.ids import QueueId, VirtualEmb, VirtualPage


def forward(
    guest: Guest,
    queue: QueueId,
    ikv: Sequence[VirtualPage],
    iemb: Sequence[VirtualEmb],
    okv: Sequence[VirtualPage],
    okv_offset: int,
    oemb: Sequence[VirtualEmb],
    outputs: Sequence[int],
    mask: Sequence[Sequence[int]] | None,
) -> None:
    guest.session.submit(queue, Forward(ikv, iemb, okv, okv_offset, oemb, outputs, mask))


def mask_kvpage(guest: Guest, queue: QueueId, page: VirtualPage, visible: int) -> None:
    guest.session.submit(queue, MaskPage(page, visible))


def available_adapters(guest: Guest, model: str) -> Sequence[str]:
    return guest.session.adapters(model)


def forward_with_adapter(
    guest: Guest,
    queue: QueueId,
    adapter: str,
    ikv: Sequence[VirtualPage],
    iemb: Sequence[VirtualEmb],
    okv: Sequence[VirtualPage],
    okv_offset: int,
    oemb: Sequence[VirtualEmb],
    outputs: Sequence[int],
    mask: Sequence[Sequence[int]] | None,
) -> None:
    if not adapter:
        raise InvalidArgument("forward_with_adapter: no adapter is named: use forward, or available_adapters")
    guest.session.submit(queue, Forward(ikv, iemb, okv, okv_offset, oemb, outputs, mask, adapter))


FUNCTIONS = (forward, mask_kvpage, available_adapters, forward_with_adapter)
