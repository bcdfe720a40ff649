"""`@inferlet`: a plain Python function that runs next to the model."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, overload

from pie.client.async_client import AsyncClient
from pie.client.function import Function
from pie.client.running import AsyncRunning
from pie.client.sync_client import Client, Running

P = ParamSpec("P")
R = TypeVar("R")


class Inferlet(Function, Generic[P, R]):
    """What `@inferlet` makes; the clients' `launch` and `run` take it, too."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs it on the server of this machine (or `PIE_SERVER`) and gives its result."""
        with Client() as client:
            result: R = client.run(self, *args, **kwargs)
            return result

    @overload
    def run(self, client: Client, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run(self, client: AsyncClient, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
    def run(self, client: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        return client.run(self, *args, **kwargs)

    @overload
    def launch(self, client: Client, *args: P.args, **kwargs: P.kwargs) -> Running[R]: ...
    @overload
    def launch(
        self, client: AsyncClient, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, AsyncRunning[R]]: ...
    def launch(self, client: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Starts it and gives back the running program, for its messages."""
        return client.launch(self, *args, **kwargs)


@overload
def inferlet(function: Callable[P, Coroutine[Any, Any, R]]) -> Inferlet[P, R]: ...
@overload
def inferlet(function: Callable[P, R]) -> Inferlet[P, R]: ...
def inferlet(function: Any) -> Inferlet[Any, Any]:
    """Makes a plain function one that runs on a Pie server, next to the model.

        from inferlet import Model
        from pie.client import inferlet

        @inferlet
        async def shout(text: str, times: int = 1) -> str:
            ...

        shout("hello", times=2)               # on this machine's server, waits for the result
        shout.run(client, "hello")            # on another one; with an AsyncClient, await it
        shout.launch(client, "hello")         # gives the running program, for its messages

    Its source text travels, with those things of the same file that it names: imports from the standard
    library and `inferlet`, top-level functions, and values that are JSON-like (None, bool, int, float, str,
    and lists, tuples and dicts of these), as they are at the time of the call. Arguments and the result
    travel as JSON. A program that fails raises ProgramFailed with the lines of this very file.

    Raises CannotSend at once for what can never travel: lambdas, methods, builtins, generators, closures,
    functions under other decorators, and functions whose source text is not available; and at the call for
    names and arguments that cannot be carried.
    """
    return function if isinstance(function, Inferlet) else Inferlet(function)
