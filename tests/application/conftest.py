from collections.abc import AsyncIterator

import pytest
from sandbox import Sandbox, make_application, make_control, shared_home


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Ready for launches; afterwards everything that programs took must be back."""
    control, driver = make_control()
    application = make_application(control, shared_home())
    await application.start()
    yield Sandbox(application, control, driver)
    await application.close(grace_seconds=0)
    control.check_integrity()
    statistics = control.statistics()
    model = statistics.models["fake"]
    assert (statistics.sessions, model.queues, model.pages.held, model.embs.held) == (0, 0, 0, 0)
