"""The smallest inferlet: one message to whoever launched it."""

from inferlet import send


async def main(name: str = "world") -> None:
    """Says hello."""
    send(f"Hello, {name}!")
