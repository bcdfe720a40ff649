"""A conversation, in the model's own chat format."""

from inferlet import Context, InferletError, Sampler, receive, send


async def main(
    prompt: str = "", system: str = "", max_tokens: int = 256, temperature: float = 0.0, seed: int = 0
) -> None:
    """Answers `--prompt` once, or every message of the client until it leaves or sends an empty one."""
    messages = [{"role": "system", "content": system}] if system else []
    with Context() as context:
        while text := prompt or await next_message():
            messages.append({"role": "user", "content": text})
            context.fill_chat(messages)
            reply = ""
            async for piece in context.stream(max_tokens, Sampler(temperature, seed=seed)):
                send(piece)
                reply += piece
            messages.append({"role": "assistant", "content": reply})
            if prompt:
                break
            send("\n")


async def next_message() -> str:
    """The client's next message; an empty text when it has left."""
    try:
        return await receive()
    except InferletError:
        return ""
