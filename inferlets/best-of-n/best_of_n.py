"""Best of n: several answers from one shared prompt, and the model as their judge."""

import asyncio

from inferlet import Context, Sampler


async def answer(trunk: Context, seed: int, max_tokens: int) -> tuple[float, str]:
    """One answer, and how sure the model is that it is a good one."""
    with trunk.fork() as branch:
        text = await branch.generate(max_tokens, Sampler(0.9, top_p=0.95, seed=seed))
        branch.fill("\n\nIs this a correct answer? Answer yes or no:")
        yes, no = (sum(score) for score in await branch.score_all([" yes", " no"]))
        return yes - no, text


async def main(
    question: str = "Why is the sky blue?", n: int = 4, max_tokens: int = 48, seed: int = 0
) -> str:
    """Answers a question n times at once, lets the model judge, and gives the best answer."""
    with Context() as trunk:
        trunk.fill_chat([{"role": "user", "content": question}])
        answers = await asyncio.gather(*(answer(trunk, seed + i, max_tokens) for i in range(n)))
    return max(answers)[1]
