"""What programs can reach besides the model: the network, one another, the store, checks of grammars."""

import asyncio
from dataclasses import dataclass

from pie.application.children import Start
from pie.application.egress import Egress
from pie.application.egress_settings import EgressSettings
from pie.application.grammars import Grammars
from pie.application.hoard import Hoard
from pie.application.store import Store, StoreSettings
from pie.application.topics import Topics


@dataclass(frozen=True, slots=True)
class Services:
    """Of one application, between its start and its close."""

    egress: Egress
    hoard: Hoard
    """Bodies of HTTP on their way, of all programs."""
    topics: Topics
    store: Store
    start_child: Start
    grammars: Grammars

    async def close(self) -> None:
        """All programs have ended by now."""
        await self.egress.close()
        await self.grammars.close()
        await asyncio.to_thread(self.store.close)


def open_services(
    egress: EgressSettings, store: StoreSettings, start_child: Start, grammars: Grammars
) -> Services:
    return Services(Egress(egress), Hoard(egress.held_bytes), Topics(), Store(store), start_child, grammars)
