"""The autoregressive loop in raw calls: allocate, embed, forward, distribution, decode, free.

`text-completion` does the same in three lines of library; this is what lies beneath it.
"""

from inferlet import Model, raw, send


async def main(prompt: str, max_tokens: int = 32) -> None:
    """Continues a text greedily, with the raw calls only."""
    model = Model()
    queue = raw.create_queue(model.name)
    size = raw.kvpage_size(model.name)
    tokens = raw.tokenize(model.name, prompt)

    # One page for `size` tokens, one embedding for each token of the prompt, and one for the output.
    pages = range(-(-(len(tokens) + max_tokens) // size))
    embs, output = range(len(tokens)), len(tokens)
    raw.alloc_kvpage(queue, pages)
    raw.alloc_emb(queue, [*embs, output])

    position, text = 0, b""
    for _ in range(max_tokens):
        end = position + len(tokens)
        inputs = embs[: len(tokens)]
        raw.embed_txt(queue, tokens, range(position, end), inputs)
        seen, written = pages[: -(-position // size)], pages[position // size : -(-end // size)]
        raw.forward(queue, seen, inputs, written, okv_offset=position % size, oemb=[output])
        dist = await raw.get_next_dist(queue, output, top_k=1)
        token = dist.max_index()
        if token in model.stop_tokens:
            break
        text += raw.token_bytes(model.name, [token])
        position, tokens = end, [token]

    send(text.decode("utf-8", "replace"))
    raw.dealloc_emb(queue, [*embs, output])
    raw.dealloc_kvpage(queue, pages)
