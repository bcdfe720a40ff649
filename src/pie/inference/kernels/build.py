"""Builds the kernels once for each machine and version, with their SHA-256: `PIE_HOME/kernels/<key>/`."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pie.core.progress import Progress

SOURCES = Path(__file__).parent
MAIN = "kernels.cpp"
LIBRARY = "kernels.so"
DIGEST = "kernels.sha256"
COMPILERS = ("c++", "g++", "clang++")
SECONDS = 300.0
LAST_LINES = 12
# Like -ffast-math, but NaN and infinity stay what they are: a damaged model must be noticed.
FLAGS = (
    "-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math",
    "-fvisibility=hidden", "-fPIC", "-fopenmp", "-w",
)  # fmt: skip
X86 = ("-march=native", "-mprefer-vector-width=512")
OTHERS = ("-mcpu=native",)


class NoKernels(RuntimeError):
    """There are none and they cannot be built here; the message says why."""


@dataclass(frozen=True, slots=True)
class Builder:
    """`folder` is `PIE_HOME/kernels`; `compiler` a command, found by itself where it is None."""

    folder: Path
    compiler: str | None = None
    seconds: float = SECONDS

    def build(self, progress: Progress) -> Path:
        """The library, built where it is missing or damaged. Raises `NoKernels`."""
        place = self.place()
        if not is_whole(place):
            with progress.start("Compiling kernels for this processor"):
                self._compile(self._compiler(), place)
        return place

    def place(self) -> Path:
        """Where the library is, or will be. Raises `NoKernels` where nothing can compile."""
        return self.folder / self.key(self._compiler()) / LIBRARY

    def _compiler(self) -> str:
        return self.compiler or find_compiler()

    def key(self, compiler: str) -> str:
        """Everything that the library depends on."""
        said = (compiler, *flags(), version("torch"), processor(), *(text for _, text in sources()))
        return hashlib.sha256("\0".join(said).encode()).hexdigest()[:32]

    def _compile(self, compiler: str, place: Path) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".making-", dir=self.folder) as name:
                made = Path(name) / "ready"
                made.mkdir()
                part, whole = Path(name) / "kernels.o", made / LIBRARY
                self._run(compiler, *flags(), "-c", str(SOURCES / MAIN), "-o", str(part))
                # Without -fopenmp: the library must not bring a second pool of threads.
                self._run(compiler, "-shared", str(part), "-o", str(whole))
                (made / DIGEST).write_text(digest(whole))
                if place.parent.exists() and not is_whole(place):
                    place.parent.rename(Path(name) / "damaged")
                if not place.parent.exists():  # another driver may have been faster
                    made.rename(place.parent)
        except OSError as error:
            if not is_whole(place):
                raise NoKernels(f"cannot write to {self.folder}: {error.strerror or error}") from error

    def _run(self, *command: str) -> None:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise NoKernels(f"{command[0]} took longer than {self.seconds:g} s") from None
        except OSError as error:
            raise NoKernels(f"cannot run {command[0]}: {error.strerror or error}") from error
        if done.returncode:
            said = "\n".join(done.stderr.strip().splitlines()[-LAST_LINES:])
            raise NoKernels(f"{command[0]} failed with exit code {done.returncode}: {said}")


def digest(library: Path) -> str:
    return hashlib.sha256(library.read_bytes()).hexdigest()


def is_whole(library: Path) -> bool:
    """Whether it is there as it was built: half a library would end the process that loads it."""
    try:
        return (library.parent / DIGEST).read_text() == digest(library)
    except OSError:
        return False


def find_compiler() -> str:
    """`CXX`, or the first of the usual names. Raises `NoKernels`."""
    wanted = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
    for name in wanted:
        found = shutil.which(name)
        if found:
            return found
    raise NoKernels(f"no C++ compiler was found ({', '.join(wanted)}); install one, such as Debian's g++")


def flags() -> Sequence[str]:
    return (*FLAGS, *(X86 if platform.machine() in ("x86_64", "AMD64") else OTHERS))


def sources() -> list[tuple[str, str]]:
    files = sorted(path for path in SOURCES.iterdir() if path.suffix in (".h", ".cpp"))
    return [(path.name, path.read_text()) for path in files]


def processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    said = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(said)}))
