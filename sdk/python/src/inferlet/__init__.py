"""Write programs that drive a language model from next to it.

    from inferlet import Context

    async def main(prompt: str = "Hello"):
        with Context() as context:
            context.fill(prompt)
            return await context.generate(max_tokens=32)

`raw` has every call of the server under its published name; `testing` runs programs without a server.
"""

from inferlet import http, raw, store
from inferlet.chat import Chat, ChatTemplate, Reply
from inferlet.context import Context
from inferlet.decoding import Decoder
from inferlet.dist import Dist
from inferlet.embedding import Embedding
from inferlet.errors import InferletError
from inferlet.futures import Future
from inferlet.grammar import Grammar
from inferlet.host import Host, bind
from inferlet.memory import memory
from inferlet.messaging import get_arg, log, receive, receive_blob, send, send_blob
from inferlet.model import Model
from inferlet.pressure import on_pressure
from inferlet.sampling import Sampler, greedy, min_p, temperature, top_k, top_p
from inferlet.spawning import myself, spawn
from inferlet.speculation import PromptLookup
from inferlet.stopping import StopString, StopToken, StopWhen
from inferlet.tools import Tool, ToolCall, tool
from inferlet.topics import topic

__all__ = [
    "Chat", "ChatTemplate", "Context", "Decoder", "Dist", "Embedding", "Future", "Grammar", "Host",
    "InferletError", "Model", "PromptLookup", "Reply", "Sampler", "StopString", "StopToken", "StopWhen",
    "Tool", "ToolCall", "bind", "get_arg", "greedy", "http", "log", "memory", "min_p", "myself",
    "on_pressure", "raw", "receive", "receive_blob", "send", "send_blob", "spawn", "store",
    "temperature", "tool", "top_k", "top_p", "topic",
]
