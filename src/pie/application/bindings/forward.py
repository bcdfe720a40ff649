"""`pie:inferlet/forward`: running embeddings through the model."""

from collections.abc import Sequence
from typing import NoReturn

from pie.application.guest import Guest
from pie.core.commands import Forward, MaskPage
from pie.core.errors import Unavailable
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


def available_adapters(guest: Guest, model: object) -> NoReturn:
    raise Unavailable("available-adapters is not built yet")


def forward_with_adapter(guest: Guest, queue: object, adapter: object, ikv: object, iemb: object, okv: object, okv_offset: object, oemb: object, outputs: object, mask: object) -> NoReturn:
    raise Unavailable("forward-with-adapter is not built yet")


FUNCTIONS = (forward, mask_kvpage, available_adapters, forward_with_adapter,)
