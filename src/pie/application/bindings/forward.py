"""`pie:inferlet/forward`: running embeddings through the model."""

from collections.abc import Sequence

from pie.application.guest import Guest
from pie.core.commands import Forward, MaskPage
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


FUNCTIONS = (forward, mask_kvpage)
