"""A tool-calling agent: the model writes a call, Python makes it, the model answers with its result."""

from operator import add, mul, sub, truediv
from typing import Literal

from inferlet import Chat, tool


@tool
def calculate(a: int, operation: Literal["+", "-", "*", "/"], b: int) -> float:
    """Adds, subtracts, multiplies or divides two numbers."""
    return {"+": add, "-": sub, "*": mul, "/": truediv}[operation](a, b)


async def main(question: str = "What is 17 times 23?") -> str:
    """Answers a question that takes a calculation."""
    with Chat(tools=[calculate]) as chat:
        return await chat.ask(question, must_call=True)
