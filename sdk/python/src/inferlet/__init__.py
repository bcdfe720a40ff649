"""Write programs that drive a language model from next to it.

    from inferlet import Context

    async def main(prompt: str = "Hello"):
        with Context() as context:
            context.fill(prompt)
            return await context.generate(max_tokens=32)

`raw` has every call of the server under its published name; `testing` runs programs without a server.
"""

from inferlet import http, raw, store
from inferlet.context import Context
from inferlet.decoding import Decoder
from inferlet.dist import Dist
from inferlet.errors import InferletError
from inferlet.futures import Future
from inferlet.host import Host, bind
from inferlet.messaging import get_arg, log, receive, receive_blob, send, send_blob
from inferlet.model import Model
from inferlet.sampling import Sampler, greedy, min_p, temperature, top_k, top_p
from inferlet.spawning import myself, spawn
from inferlet.speculation import PromptLookup
from inferlet.stopping import StopString, StopToken, StopWhen
from inferlet.topics import topic

__all__ = [
    "Context", "Decoder", "Dist", "Future", "Host", "InferletError", "Model", "PromptLookup", "Sampler",
    "StopString", "StopToken", "StopWhen", "bind", "get_arg", "greedy", "http", "log", "min_p", "myself",
    "raw", "receive", "receive_blob", "send", "send_blob", "spawn", "store", "temperature", "top_k", "top_p",
    "topic",
]
