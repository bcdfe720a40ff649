"""Every call of the contract under its published name; what the library above is made of.

Pages and embeddings are numbers that the program chooses itself (below 2**20: the library takes its own from
there on). A call that takes a queue is executed later, in the queue's order; it returns at once, and raises
at once if an argument is wrong or an id unknown. What fails later poisons the queue: its later calls and
futures fail with that error until `reset_queue`.

Wrong types raise `TypeError`, everything else a subclass of `InferletError`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, ParamSpec, TypeVar

from inferlet.checks import U64_MAX, text, unsigned, unsigned_list
from inferlet.dist import Dist, GreedyTokens
from inferlet.futures import BlobFuture, DoneFuture, Future, TextFuture, poll, wait_any
from inferlet.host import ModelRecord, UsageRecord, bound, translate

__all__ = [
    "Span", "alloc_emb", "alloc_kvpage", "apply_chat_template", "available_models", "available_traits",
    "copy_kvpage", "create_queue", "dealloc_emb", "dealloc_kvpage", "debug_query", "decode_greedy",
    "decode_step", "detokenize", "embed_txt", "fork_kvpage", "forward", "get_arg", "get_instance_id",
    "get_next_dist", "get_version", "get_vocabs", "kvpage_size", "log", "log_error", "mask_kvpage", "now",
    "poll", "receive", "receive_blob", "reset_queue", "send", "send_blob", "set_queue_priority", "sleep",
    "synchronize", "token_bytes", "tokenize", "usage", "wait_any",
]

P = ParamSpec("P")
R = TypeVar("R")


class Span(NamedTuple):
    """`length` tokens from `src_offset` of the source page to `dst_offset` of the target page."""

    src_offset: int
    dst_offset: int
    length: int


def _call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return function(*args, **kwargs)
    except bound.host.error as failure:
        raise translate(failure) from None


# --- core runtime --------------------------------------------------------------------------------------


def get_version() -> str:
    """The server's version."""
    return bound.host.runtime.get_version()


def get_instance_id() -> str:
    """This program's id, as `pie ps` shows it."""
    return bound.host.runtime.get_instance_id()


def get_arg() -> list[str]:
    """The launch arguments."""
    return bound.host.runtime.get_arg()


def send(msg: str) -> None:
    """Sends text to the client that launched this program."""
    _call(bound.host.runtime.send, text("msg", msg))


def send_blob(msg: bytes) -> None:
    """Sends bytes to the client that launched this program."""
    _call(bound.host.runtime.send_blob, bytes(memoryview(msg)))


def receive() -> Future[str]:
    """The next text message from the client."""
    return TextFuture(_call(bound.host.runtime.receive))


def receive_blob() -> Future[bytes]:
    """The next binary message from the client."""
    return BlobFuture(_call(bound.host.runtime.receive_blob))


def log(piece: str) -> None:
    """Writes to the program's log, as `print` does."""
    runtime = bound.host.runtime
    runtime.log(runtime.Stream.STDOUT, text("piece", piece))


def log_error(piece: str) -> None:
    """Writes to the program's log as standard error."""
    runtime = bound.host.runtime
    runtime.log(runtime.Stream.STDERR, text("piece", piece))


def sleep(ms: int) -> Future[None]:
    """Ready after `ms` milliseconds."""
    return DoneFuture(_call(bound.host.runtime.sleep, unsigned("ms", ms, U64_MAX)))


def now() -> int:
    """Milliseconds since the program started, in steps of a millisecond."""
    return bound.host.runtime.now()


def available_models() -> list[ModelRecord]:
    """The models that are served, the default one first."""
    return bound.host.runtime.available_models()


def available_traits(model: str) -> list[str]:
    """What a model can do: "core-runtime", "allocate", "forward", ..."""
    return _call(bound.host.runtime.available_traits, text("model", model))


def create_queue(model: str) -> int:
    """A new command queue of a model. Queues are independent of one another."""
    return _call(bound.host.runtime.create_queue, text("model", model))


def set_queue_priority(queue: int, priority: int) -> None:
    """Higher goes first; 0 is ordinary."""
    if not isinstance(priority, int):
        raise TypeError(f"priority must be an integer, not {priority!r}")
    clipped = max(-(2**31), min(priority, 2**31 - 1))
    _call(bound.host.runtime.set_queue_priority, unsigned("queue", queue), clipped)


def synchronize(queue: int) -> Future[None]:
    """Ready when everything queued before it has been executed."""
    return DoneFuture(_call(bound.host.runtime.synchronize, unsigned("queue", queue)))


def reset_queue(queue: int) -> None:
    """Throws away what is queued and forgets the error that poisoned the queue."""
    _call(bound.host.runtime.reset_queue, unsigned("queue", queue))


def debug_query(queue: int) -> str:
    """A queue's state in words, for people."""
    return _call(bound.host.runtime.debug_query, unsigned("queue", queue))


def usage() -> UsageRecord:
    """What this program has used, and what is left of its limits."""
    record: UsageRecord = bound.host.runtime.usage()
    return record


# --- allocate ------------------------------------------------------------------------------------------


def kvpage_size(model: str) -> int:
    """Tokens in one key-value page."""
    return _call(bound.host.allocate.kvpage_size, text("model", model))


def alloc_kvpage(queue: int, pages: Iterable[int]) -> None:
    """Takes fresh, empty pages under the given ids. Fails for an id that is in use."""
    _call(bound.host.allocate.alloc_kvpage, unsigned("queue", queue), unsigned_list("pages", pages))


def dealloc_kvpage(queue: int, pages: Iterable[int]) -> None:
    """Gives pages back, when what is queued before has been executed; the ids are free at once."""
    _call(bound.host.allocate.dealloc_kvpage, unsigned("queue", queue), unsigned_list("pages", pages))


def alloc_emb(queue: int, embs: Iterable[int]) -> None:
    """Takes embeddings (one holds one token's vector) under the given ids."""
    _call(bound.host.allocate.alloc_emb, unsigned("queue", queue), unsigned_list("embs", embs))


def dealloc_emb(queue: int, embs: Iterable[int]) -> None:
    """Gives embeddings back, when what is queued before has been executed."""
    _call(bound.host.allocate.dealloc_emb, unsigned("queue", queue), unsigned_list("embs", embs))


def copy_kvpage(queue: int, src: Iterable[int], dst: Iterable[int], spans: Iterable[Span]) -> None:
    """Copies tokens between pages: one span `(src_offset, dst_offset, length)` for each pair."""
    checked = [Span(*unsigned_list("spans", span)) for span in spans]
    _call(
        bound.host.allocate.copy_kvpage, unsigned("queue", queue), unsigned_list("src", src),
        unsigned_list("dst", dst), checked,
    )


def fork_kvpage(queue: int, src: Iterable[int], dst: Iterable[int]) -> None:
    """Each of `dst` (new ids) shares the page of its `src` until one of the two is written."""
    _call(
        bound.host.allocate.fork_kvpage, unsigned("queue", queue), unsigned_list("src", src),
        unsigned_list("dst", dst),
    )


# --- forward -------------------------------------------------------------------------------------------


def forward(
    queue: int,
    ikv: Iterable[int],
    iemb: Iterable[int],
    okv: Iterable[int] = (),
    okv_offset: int = 0,
    oemb: Iterable[int] = (),
    outputs: Iterable[int] = (),
    mask: Iterable[Iterable[int]] | None = None,
) -> None:
    """Runs `iemb` through the model.

    ikv: pages whose written tokens the inputs see. What is left out is invisible.
    iemb: n embedded tokens; they see one another too.
    okv, okv_offset: pages that take the n keys and values, from this token of the first page on; empty:
        nothing is stored.
    oemb: takes the hidden states of the last `len(oemb)` inputs, or of those whose index (0 to n - 1)
        stands in `outputs`.
    mask: n rows of run lengths over the tokens of `ikv` (page size each), then over the inputs; alternately
        hidden and visible, beginning with hidden. Without it an input sees earlier or equal positions.
    """
    _call(
        bound.host.forward.forward, unsigned("queue", queue), unsigned_list("ikv", ikv),
        unsigned_list("iemb", iemb), unsigned_list("okv", okv), unsigned("okv_offset", okv_offset),
        unsigned_list("oemb", oemb), unsigned_list("outputs", outputs),
        None if mask is None else [unsigned_list("mask", row) for row in mask],
    )


def mask_kvpage(queue: int, page: int, visible: int) -> None:
    """Bit i of `visible` shows (1) or hides (0) token i of a page for all later forwards."""
    _call(
        bound.host.forward.mask_kvpage, unsigned("queue", queue), unsigned("page", page),
        unsigned("visible", visible),
    )


# --- input text, tokenize ------------------------------------------------------------------------------


def embed_txt(queue: int, tokens: Iterable[int], positions: Iterable[int], embs: Iterable[int]) -> None:
    """Puts tokens, each with its position (from 0), into embeddings; three lists of one length."""
    _call(
        bound.host.input_text.embed_txt, unsigned("queue", queue), unsigned_list("tokens", tokens),
        unsigned_list("positions", positions), unsigned_list("embs", embs),
    )


def tokenize(model: str, string: str) -> list[int]:
    """The tokens of a text; special tokens in it are recognised, none are added."""
    return _call(bound.host.tokenize.tokenize, text("model", model), text("string", string))


def detokenize(model: str, tokens: Iterable[int]) -> str:
    """The text of tokens; bytes that are not UTF-8 become U+FFFD."""
    return _call(bound.host.tokenize.detokenize, text("model", model), unsigned_list("tokens", tokens))


def token_bytes(model: str, tokens: Iterable[int]) -> bytes:
    """The bytes behind tokens, for a stream that may stop within a character."""
    return _call(bound.host.tokenize.token_bytes, text("model", model), unsigned_list("tokens", tokens))


def get_vocabs(model: str) -> list[bytes]:
    """The bytes of every token of the vocabulary, by token."""
    return _call(bound.host.tokenize.get_vocabs, text("model", model))


def apply_chat_template(model: str, messages: str, add_generation_prompt: bool = True) -> str:
    """Renders the model's chat template. `messages` is JSON: `[{"role": ..., "content": ...}, ...]`."""
    return _call(
        bound.host.tokenize.apply_chat_template, text("model", model), text("messages", messages),
        bool(add_generation_prompt),
    )


# --- output text ---------------------------------------------------------------------------------------


def get_next_dist(queue: int, emb: int, top_k: int = 256, tokens: Sequence[int] = ()) -> Dist:
    """The distribution of the token after the one at `emb` (a hidden state that `forward` put out).

    top_k: how many of the best tokens are kept; who only wants the best asks for 1.
    tokens: their exact log-probabilities are kept too.
    """
    return Dist(
        _call(
            bound.host.output_text.get_next_dist, unsigned("queue", queue), unsigned("emb", emb),
            unsigned("top_k", top_k), unsigned_list("tokens", tokens),
        )
    )


def decode_step(
    queue: int, token: int, position: int, ikv: Iterable[int], emb: int, okv: int, okv_offset: int, oemb: int,
    top_k: int = 256,
) -> Dist:
    """One step of ordinary decoding as one call: the same as `embed_txt`, `forward` and `get_next_dist`.

    token, position: what goes into `emb`. ikv: the pages it sees. okv, okv_offset: the page and the token in
    it that take its keys and values. oemb: takes its hidden state. top_k: as in `get_next_dist`.
    """
    return Dist(
        _call(
            bound.host.output_text.decode_step, unsigned("queue", queue), unsigned("token", token),
            unsigned("position", position), unsigned_list("ikv", ikv), unsigned("emb", emb),
            unsigned("okv", okv), unsigned("okv_offset", okv_offset), unsigned("oemb", oemb),
            unsigned("top_k", top_k),
        )
    )


def decode_greedy(
    queue: int, token: int, position: int, pages: Iterable[int], emb: int, oemb: int, count: int,
    stop: Iterable[int] = (),
) -> GreedyTokens:
    """Greedy decoding as one call: `decode_step` of `token`, then each time of the best token.

    pages: those of the whole text from position 0 on, with room for `count` more tokens. count: how many
    tokens to find. stop: tokens that end it; the one found is the last of the result. `await` the result for
    the list of tokens; all but its last have been run through the model.
    """
    return GreedyTokens(
        _call(
            bound.host.output_text.decode_greedy, unsigned("queue", queue), unsigned("token", token),
            unsigned("position", position), unsigned_list("pages", pages), unsigned("emb", emb),
            unsigned("oemb", oemb), unsigned("count", count), unsigned_list("stop", stop),
        )
    )
