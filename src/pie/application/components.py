"""Components that can be launched: the runner, and those that were uploaded."""

import asyncio
import hashlib
from collections import OrderedDict

import wasmtime

from pie.application.cache import CompiledCache, disk_problem, private_folder
from pie.application.linked import Linked
from pie.application.linker import Contract, Linkers
from pie.application.runner import RunnerFiles
from pie.application.settings import ApplicationSettings
from pie.application.stage import Stage
from pie.core.errors import BadProgram, NotFound, WrongState
from pie.core.progress import NoProgress, Progress

COMPONENT_HEADER = b"\0asm\x0d\0\1\0"
MODULE_HEADER = b"\0asm\1\0\0\0"
KEPT_LINKED = 32
"""Uploaded components that stay mapped; others are loaded again when they are launched."""


class Components:
    """Everything that is linked, by digest."""

    def __init__(self, settings: ApplicationSettings, engine: wasmtime.Engine, stage: Stage) -> None:
        self._settings = settings
        self._cache = CompiledCache(settings.home / "compiled", engine, settings.build_seconds)
        self._uploads = private_folder(settings.home / "components")
        self._linkers = Linkers(engine, stage)
        self._runner: Linked | None = None
        self._linked: OrderedDict[str, Linked] = OrderedDict()

    async def prepare_runner(self, progress: Progress) -> None:
        """Builds, compiles and links the runner, as far as that is not done yet."""
        folder, seconds = self._settings.home / "guests", self._settings.build_seconds
        runner = RunnerFiles(folder, seconds)
        digest = runner.digest()
        loaded = None if digest is None else await asyncio.to_thread(self._cache.load, digest)
        if loaded is None:
            path, digest = await runner.make(progress)
            loaded = await self._cache.compile(path, digest, "Compiling the runner guest", progress)
        self._runner = self._linkers.link_runner(loaded)

    @property
    def runner(self) -> Linked:
        if self._runner is None:
            raise WrongState("the application layer has not been started")
        return self._runner

    @property
    def contract(self) -> Contract:
        """Our interfaces, as the runner declares them."""
        return self._linkers.contract

    async def add(self, wasm: bytes) -> str:
        """Checks and compiles an upload; its digest. Raises `BadProgram`. Doing it again costs nothing."""
        check_upload(wasm, self._settings.max_component_bytes)
        digest = hashlib.sha256(wasm).hexdigest()
        if digest not in self._linked:
            await self._compile(digest, wasm)
        return digest

    def find(self, digest: str) -> Linked:
        """Raises `NotFound` for what was never uploaded here."""
        linked = self._linked.get(digest)
        if linked is None:
            linked = self._load(digest)
            self._keep(digest, linked)
        self._linked.move_to_end(digest)
        return linked

    def _load(self, digest: str) -> Linked:
        loaded = self._cache.load(digest)
        if loaded is None:
            raise NotFound(f"no program with digest {digest} is here: upload it first")
        return self._linkers.link(loaded)

    async def _compile(self, digest: str, wasm: bytes) -> None:
        loaded = self._cache.load(digest)
        if loaded is None:
            path = self._uploads / f"{digest}.wasm"
            try:
                path.write_bytes(wasm)
                loaded = await self._cache.compile(path, digest, "Compiling the program", NoProgress())
            except OSError as error:
                raise disk_problem(path, error) from error
            finally:
                path.unlink(missing_ok=True)
        self._keep(digest, self._linkers.link(loaded))

    def _keep(self, digest: str, linked: Linked) -> None:
        self._linked[digest] = linked
        while len(self._linked) > KEPT_LINKED:
            self._linked.popitem(last=False)


def check_upload(wasm: bytes, most: int) -> None:
    """Whether it can be a component at all."""
    if len(wasm) > most:
        raise BadProgram(f"the component has {len(wasm)} bytes; at most {most} are allowed")
    if wasm.startswith(MODULE_HEADER):
        raise BadProgram(
            "this is a core WebAssembly module, not a component: build it with `pie build` or "
            "`wasm-tools component new`"
        )
    if not wasm.startswith(COMPONENT_HEADER):
        raise BadProgram("this is not a WebAssembly component")
