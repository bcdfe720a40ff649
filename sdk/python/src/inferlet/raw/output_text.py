"""Trait *output text*: distributions of the next token."""

from collections.abc import Iterable, Sequence

from inferlet.checks import unsigned, unsigned_list
from inferlet.dist import Dist
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.raw.calls import call


def get_next_dist(queue: int, emb: int, top_k: int = 256, tokens: Sequence[int] = ()) -> Dist:
    """The distribution of the token after the one at `emb` (a hidden state that `forward` put out).

    top_k: how many of the best tokens are kept; who only wants the best asks for 1.
    tokens: their exact log-probabilities are kept too.
    """
    return Dist(
        call(
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
        call(
            bound.host.output_text.decode_step, unsigned("queue", queue), unsigned("token", token),
            unsigned("position", position), unsigned_list("ikv", ikv), unsigned("emb", emb),
            unsigned("okv", okv), unsigned("okv_offset", okv_offset), unsigned("oemb", oemb),
            unsigned("top_k", top_k),
        )
    )


def decode_greedy(
    queue: int, token: int, position: int, pages: Iterable[int], emb: int, oemb: int, count: int,
    stop: Iterable[int] = (),
) -> Future[list[int]]:
    """Greedy decoding as one call: `decode_step` of `token`, then each time of the best token.

    pages: those of the whole text from position 0 on, with room for `count` more tokens. count: how many
    tokens to find. stop: tokens that end it; the one found is the last of the result. `await` the result for
    the list of tokens; all but its last have been run through the model.
    """
    return Reading(
        call(
            bound.host.output_text.decode_greedy, unsigned("queue", queue), unsigned("token", token),
            unsigned("position", position), unsigned_list("pages", pages), unsigned("emb", emb),
            unsigned("oemb", oemb), unsigned("count", count), unsigned_list("stop", stop),
        ),
        bound.host.output_text.take_tokens,
        waits=True,
    )
