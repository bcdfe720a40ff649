"""What the routes share: the application behind them, and whether it takes work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pie.application import Application
from pie.core.errors import Unavailable
from pie.core.model import ModelInfo
from pie.server.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Backend:
    """What the server serves. `blockers` gives the reasons why no program can start now; empty is ready."""

    application: Application
    models: Callable[[], Sequence[ModelInfo]]
    blockers: Callable[[], Sequence[str]]


class Service:
    """Loading → ready → draining. Listens from the first moment on and says which of them it is."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._backend: Backend | None = None
        self._draining = False

    def attach(self, backend: Backend) -> None:
        self._backend = backend

    def drain(self) -> None:
        """No new work from now on; what runs goes on until the application is closed."""
        self._draining = True

    @property
    def draining(self) -> bool:
        return self._draining

    def blockers(self) -> list[str]:
        """Why no program can start now, for /readyz."""
        if self._draining:
            return ["the server is shutting down"]
        if self._backend is None:
            return ["the server is still loading its model"]
        return list(self._backend.blockers())

    def backend(self) -> Backend:
        """Raises Unavailable while loading."""
        if self._backend is None:
            raise Unavailable("the server is still loading its model: ask again soon (GET /readyz tells)")
        return self._backend

    def application(self) -> Application:
        return self.backend().application

    def launching(self) -> Application:
        """The application, for new work. Raises Unavailable while loading or draining."""
        if self._draining:
            raise Unavailable("the server is shutting down and takes no new work")
        return self.application()
