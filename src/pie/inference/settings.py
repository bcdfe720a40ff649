"""What the operator decides about a driver."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    page_size: int = 16
    """Tokens in one key-value page."""
    pages: int = 4096
    host_pages: int = 8192
    disk_pages: int = 0
    """Pages of suspended programs on disk, when host memory is full."""
    swap_folder: str = ""
    """Where; the file has no name and goes with the process. Empty: the system's folder for such files."""
    embs: int = 32768
    slots: int = 16384
    """Token slots."""
    matchers: int = 4096
    """Places in grammars."""
    grammars: int = 64
    """Different grammars that are kept; each may take up to some 60 MB, most take one."""
    threads: int = 2
    precision: str = "auto"
    """`auto`, `int4`, `int8`, `fp32` or `bf16`."""
    kv_precision: str = "auto"
    """Of keys and values in pages: `auto`, `fp32` or `int8`."""
    kernels: Literal["auto", "torch"] = "auto"
    """`torch` does without the compiled kernels."""
    kernels_folder: str = ""
    """Where compiled kernels are kept; empty: `PIE_HOME/kernels`."""
    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:N`."""
    cuda_graphs: bool = False
    """Passes that only decode are launched as one; on a GPU."""
    adapters: tuple[tuple[str, str], ...] = ()
    """LoRA adapters: the name that programs use, and PEFT's folder."""
    pass_seconds: float = 300.0
    """A pass that takes longer counts as hung: the driver is killed and restarted."""
    start_seconds: float = 600.0
    """A driver that is not ready by then has failed to start (the first start prepares the weights)."""
    restarts: int = 5
    """Restarts within `restart_window_seconds` before the supervisor gives up."""
    restart_window_seconds: float = 60.0
    restart_delay_seconds: float = 0.1
    """Pause before the first restart; doubles with each further one in the window, up to 5 seconds."""
