"""Programs as tests launch them: a text, its arguments, and how it must end."""

from pie.application import Application, Instance
from pie.core.events import Failed, Finished
from pie.core.programs import Launch, Limits, Source


class Programs:
    """For whatever has an application. A program's file is called `mine.py`."""

    __slots__ = ()

    application: Application

    def launch(self, text: str, *args: str, limits: Limits | None = None) -> Instance:
        return self.application.launch(Launch(Source(text, "mine.py"), args, limits or Limits()))

    async def run(self, text: str, *args: str, limits: Limits | None = None) -> Finished | Failed:
        return await self.launch(text, *args, limits=limits).wait()

    async def result(self, text: str, *args: str) -> str:
        """Raises `AssertionError` when it fails."""
        ended = await self.run(text, *args)
        if not isinstance(ended, Finished):
            raise AssertionError(ended)
        return ended.result

    async def failure(self, text: str, *args: str, limits: Limits | None = None) -> Failed:
        """Raises `AssertionError` when it does not fail."""
        ended = await self.run(text, *args, limits=limits)
        if not isinstance(ended, Failed):
            raise AssertionError(ended)
        return ended
