"""The traits *input-text* and *input-image*, call by call."""

import pytest
from cases import MANY, NOBODY, QUEUE, Case, limit, wrong
from puppet import Code, Puppet

call = pytest.mark.call
LONG = Code(f"[0] * ({MANY} + 1)")
WRONG = [
    wrong("input-text.embed-txt", QUEUE, [1, 2], [0], [0, 1], says="2 tokens, 1 positions and 2 embs"),
    wrong("input-text.embed-txt", QUEUE, [1], [0], [NOBODY], kind="unknown-id", says="emb 99"),
    wrong("input-text.embed-txt", QUEUE, [1, 2], [0, 1], [1, 1], says="emb 1 is named twice"),
    wrong("input-text.embed-txt", 7, [1], [0], [0], kind="unknown-id", says="queue 7"),
    limit("input-text.embed-txt", QUEUE, [509], [0], [0], says="tokens are 0 to 508"),
    limit("input-text.embed-txt", QUEUE, [1], [4096], [0], says="context of 4096 tokens"),
    limit("input-text.embed-txt", QUEUE, LONG, LONG, LONG, says=f"at most {MANY}"),
    wrong("input-image.num-embs-needed", "fake", 10, 10, says="trait not available"),
    wrong("input-image.num-embs-needed", "nobody's", 10, 10, kind="unknown-id", says="no model"),
    wrong("input-image.embed-img", QUEUE, b"GIF", [0], [0], says="trait not available"),
    wrong("input-image.embed-img", 7, b"GIF", [0], [0], kind="unknown-id", says="queue 7"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@call("input-text.embed-txt", "right")
@call("input-text.embed-txt", "limit")
async def test_tokens_go_into_embeddings_with_any_position(puppet: Puppet) -> None:
    await puppet.call("input-text.embed-txt", QUEUE, [0, 508, 3], [4095, 0, 0], [7, 1, 2])
    await puppet.call("input-text.embed-txt", QUEUE, [], [], [])
    await puppet.call("forward.forward", QUEUE, [], [1, 2, 7], [], 0, [3], [], None)
    await puppet.made("runtime.synchronize", QUEUE)


@call("input-image.num-embs-needed", "right")
@call("input-image.embed-img", "right")
@call("input-image.num-embs-needed", "limit")
@call("input-image.embed-img", "limit")
async def test_a_model_that_cannot_see_does_not_offer_the_trait(puppet: Puppet) -> None:
    assert "input-image" not in await puppet.call("runtime.available-traits", "fake")
