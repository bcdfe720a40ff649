"""Every setting of Pie, in one place: flag > `PIE_…` variable > `pie.toml` > default.

`launch.py` hands each room its own part; no room reads this module.
"""

import math
import os
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Policy = Literal["adaptive", "t-only", "k-only", "eager"]


def default_home() -> Path:
    return Path(platformdirs.user_cache_dir("pie"))


def default_threads() -> int:
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def split_commas(given: object) -> object:
    """Lists in environment variables are words with commas between them."""
    return [word.strip() for word in given.split(",") if word.strip()] if isinstance(given, str) else given


Key = Annotated[str, Field(min_length=1)]
Tenant = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]


class TenantSettings(BaseModel):
    """What a tenant may do, and how much of it: all its programs together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(1.0, gt=0, description="Its part of passes, where several want them")
    share: float | None = Field(None, gt=0, le=1, description="Of places and queue [tenant_share]")
    programs: float = Field(math.inf, ge=0, description="Alive at once")
    children: float = Field(math.inf, ge=0, description="Spawned ones among them")
    pages: float = Field(math.inf, ge=0, description="Key-value pages at once")
    tokens: float = Field(math.inf, ge=0, description="Input tokens through models, in each period")
    compute_ms: float = Field(math.inf, ge=0, description="Time of the devices, in each period")
    page_seconds: float = Field(math.inf, ge=0, description="Pages times seconds, in each period")
    host_calls: float = Field(math.inf, ge=0, description="In each period")
    bytes_out: float = Field(math.inf, ge=0, description="Messages and HTTP requests, in each period")


class Settings(BaseSettings):
    """Unknown keys in the file are errors; units stand in the names."""

    model_config = SettingsConfigDict(env_prefix="PIE_", toml_file="pie.toml", extra="forbid")

    home: Path = Field(default_factory=default_home, description="Folder for models and caches")
    model: str = Field("smollm2-135m-instruct", description="Name of the model to serve")
    more_models: Words = Field((), description="Models to serve beside it, each with a driver of its own")
    adapters: dict[str, Path] = Field(
        default_factory=dict, description="LoRA adapters of the model: name and PEFT folder"
    )

    precision: Literal["auto", "int4", "int8", "fp32", "bf16"] = Field(
        "auto", description="Number format of products; auto: the fastest that keeps quality"
    )
    kv_precision: Literal["auto", "fp32", "int8"] = Field(
        "auto", description="Number format of keys and values in pages"
    )
    kernels: Literal["auto", "torch"] = Field(
        "auto", description="auto: compiled on this machine; torch: none, slower"
    )
    device: str = Field("cpu", description="Where the model runs: cpu, cuda or cuda:N")
    cuda_graphs: bool = Field(False, description="Launch decoding as one CUDA graph; on a GPU only")
    page_size: int = Field(16, ge=8, le=32, description="Tokens in one key-value page")
    pages: int = Field(4096, ge=1, description="Key-value pages on the device")
    host_pages: int = Field(
        8192, ge=0, description="Pages of suspended programs in host memory, as needed; 0: never suspend"
    )
    disk_pages: int = Field(0, ge=0, description="Such pages on disk, when host memory is full")
    swap_dir: Path | None = Field(None, description="Folder for those (default: swap in the home folder)")
    embs: int = Field(32768, ge=1, description="Embedding slots on the device")
    slots: int = Field(16384, ge=1, description="Token slots on the device")
    matchers: int = Field(4096, ge=0, description="Places in grammars, of all programs together")
    grammars: int = Field(64, ge=0, description="Different grammars that the driver keeps")
    threads: int = Field(default_factory=default_threads, ge=1, description="Threads of the driver")
    pass_seconds: float = Field(300.0, gt=0, description="A pass that takes longer counts as hung")
    export_mib: int = Field(256, ge=0, description="Lasting exported pages of one tenant, at most")

    policy: Policy = Field("adaptive", description="When to send a batch to the device")
    policy_k: int = Field(32, ge=1, description="k-only: queues that must have work")
    policy_t_ms: float = Field(10.0, gt=0, description="t-only: wait after the first command")
    fuse: bool = Field(True, description="Commands of several kinds in one pass")
    passes_in_flight: int | None = Field(
        None, ge=1, description="Passes sent before the oldest has returned (default: what suits the policy)"
    )
    batch_tokens: int = Field(4096, ge=1, description="Input tokens in one pass, at most")
    prefill_tokens: int = Field(
        128, ge=1, description="Of them, those of long prompts (of all, if several tenants use the model)"
    )
    record: Path | None = Field(None, description="File for all that the planner is told and decides")
    record_mib: int = Field(1024, ge=1, description="Size at which that file ends")
    trace_events: int = Field(2048, ge=0, description="Runs and calls in a program's timeline; 0: none")

    compute_share: float | None = Field(
        None, gt=0, le=1,
        description="Of a core, for programs that compute while a driver works "
        "(default: a quarter where drivers use all cores, else all)",
    )  # fmt: skip
    memory_mib: int = Field(128, ge=32, description="Memory of one inferlet")
    cpu_seconds: float = Field(10.0, gt=0, description="Processor time of one inferlet")
    wall_seconds: float = Field(600.0, gt=0, description="Life time of one inferlet")
    page_limit: int = Field(1 << 20, ge=1, description="Key-value pages of one inferlet")
    children: int = Field(16, ge=0, description="Inferlets that one may have spawned, directly or not")
    token_limit: float = Field(math.inf, gt=0, description="Input tokens of one inferlet")
    compute_limit_ms: float = Field(math.inf, gt=0, description="Time of the device for one inferlet")
    page_second_limit: float = Field(math.inf, gt=0, description="Pages times seconds of one inferlet")
    host_call_limit: float = Field(math.inf, gt=0, description="Host calls of one inferlet")
    bytes_out_limit: float = Field(math.inf, gt=0, description="What one inferlet may send")
    instances: int = Field(2048, ge=1, description="Inferlets alive at once")
    launch_queue: int = Field(1024, ge=0, description="Launches that may wait for their turn")
    wait_seconds: float = Field(60.0, ge=0, description="How long a launch waits at most; 0: not at all")
    tenant_share: float = Field(
        0.5, gt=0, le=1, description="Of both, what one tenant may have where there are several"
    )

    allow_hosts: Words = Field(
        (), description="Hosts that inferlets may talk to: example.org, *.example.org, each with :PORT"
    )
    allow_private_hosts: Words = Field(
        (), description="The same, and these may be on this machine or in a private network"
    )
    http_seconds: float = Field(30.0, gt=0, description="Time for one HTTP request of an inferlet")
    http_response_mib: int = Field(8, ge=1, le=32, description="Body of one answer to an inferlet")
    http_connections: int = Field(64, ge=1, description="Connections of all inferlets at a time")

    store: Literal["durable", "memory"] = Field("durable", description="Where inferlets' stored values live")
    store_mib: int = Field(64, ge=1, description="Stored keys and values of one tenant")

    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8642, ge=0, le=65535, description="Port to listen on")
    api_key: str | None = Field(None, description="Key that every request must bring")
    api_keys: dict[Key, Tenant] = Field(
        default_factory=dict, description="More keys, each with the tenant that it stands for"
    )
    tenants: dict[Tenant, TenantSettings] = Field(
        default_factory=dict, description="Weights and quotas, by tenant"
    )
    quota_seconds: float = Field(3600.0, gt=0, description="The period of tenants' quotas")
    insecure: bool = Field(False, description="Allow other addresses than loopback without a key")
    grace_seconds: float = Field(5.0, ge=0, description="Time for running inferlets to end at shutdown")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
