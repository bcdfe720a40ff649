"""Random programs that decode greedily through masks, dropped pages, copies and forks, and what a dense model
says to each of their steps.

A program is a list of operations that do not depend on the tokens found (plain JSON, so that it can run in a
sandbox too). `follow` replays it with those tokens: every token ever run is a node that saw other nodes, and
pages hold nodes. So the reference is one dense run over all nodes with an explicit attention mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch

Operation = list[Any]
"""One of ["alloc", pages], ["free", pages], ["fork", src, dst], ["copy", src, dst, spans],
["mask", page, bits], ["branch", parent] (another one begins where its parent stands), and
["run", branch, tokens or None for the branch's next one, positions, ikv, okv, offset, mask or None]."""
EMPTY = -1
MOST_BRANCHES = 3


@dataclass
class Page:
    """What the author of a program knows: which tokens (by a number of his own), and which can be seen."""

    tokens: list[int]
    visible: list[bool]

    def copy(self) -> "Page":
        return Page(list(self.tokens), list(self.visible))


@dataclass
class Branch:
    pages: list[int]
    position: int = 0


@dataclass
class Author:
    """Writes one random program. No input ever sees a token twice: a dense run could not."""

    dice: Random
    page_size: int
    vocabulary: int
    program: list[Operation] = field(default_factory=list)
    pages: dict[int, Page] = field(default_factory=dict)
    branches: list[Branch] = field(default_factory=list)
    tokens: int = 0
    names: int = 0

    def write(self, steps: int) -> list[Operation]:
        self.branches.append(Branch([]))
        self.prefill(self.branches[0], self.dice.randint(3, 2 * self.page_size + 3))
        ways = (self.step, self.mask, self.drop, self.move, self.fork)
        for way in self.dice.choices(ways, (8, 2, 1, 1.5, 1), k=steps):
            way(self.dice.choice(self.branches))
        return self.program

    def alloc(self) -> int:
        name, self.names = self.names, self.names + 1
        self.pages[name] = Page([EMPTY] * self.page_size, [True] * self.page_size)
        self.program.append(["alloc", [name]])
        return name

    def prefill(self, branch: Branch, count: int) -> None:
        branch.pages = [self.alloc() for _ in range(-(-count // self.page_size))]
        tokens = [self.dice.randrange(self.vocabulary) for _ in range(count)]
        self.run(branch, branch.pages, 0, tokens, None)

    def step(self, branch: Branch) -> None:
        page, offset = self.room(branch)
        self.run(branch, [page], offset, None, self.explicit(branch) if self.dice.random() < 0.2 else None)

    def room(self, branch: Branch) -> tuple[int, int]:
        """A page of this branch alone, and its first place behind all tokens."""
        for name in branch.pages[-1:]:
            if not any(name in other.pages for other in self.branches if other is not branch):
                written = [i for i, token in enumerate(self.pages[name].tokens) if token != EMPTY]
                if max(written, default=-1) + 1 < self.page_size:
                    return name, max(written, default=-1) + 1
        branch.pages.append(self.alloc())
        return branch.pages[-1], 0

    def explicit(self, branch: Branch) -> list[list[int]]:
        """A mask of one row that always shows the input itself."""
        width = len(branch.pages) * self.page_size
        edges = sorted(self.dice.randint(0, width) for _ in range(2 * self.dice.randint(0, 3)))
        runs = [b - a for a, b in zip([0, *edges], [*edges, width], strict=True)]
        return [[*runs, 1]]

    def run(
        self,
        branch: Branch,
        okv: list[int],
        offset: int,
        tokens: list[int] | None,
        mask: list[list[int]] | None,
    ) -> None:
        count = len(tokens or [0])
        positions = [branch.position + i for i in range(count)]
        branch.position += count + (self.dice.randint(1, 5) if self.dice.random() < 0.1 else 0)
        place = [(name, i) for name in okv for i in range(self.page_size)][offset : offset + count]
        for name, i in place:
            self.pages[name].tokens[i], self.tokens = self.tokens, self.tokens + 1
        index = self.branches.index(branch)
        ikv = list(branch.pages)
        self.program.append(["run", index, tokens, positions, ikv, list(okv), offset, mask])

    def mask(self, branch: Branch) -> None:
        name = self.dice.choice(branch.pages)
        self.show(name, [self.dice.random() < 0.7 for _ in range(self.page_size)])

    def show(self, name: int, wanted: Sequence[bool]) -> None:
        page = self.pages[name]
        page.visible = [
            seen and (token == EMPTY or not self.is_elsewhere(name, token))
            for seen, token in zip(wanted, page.tokens, strict=True)
        ]
        self.program.append(["mask", name, sum(1 << i for i, seen in enumerate(page.visible) if seen)])

    def is_elsewhere(self, name: int, token: int) -> bool:
        """In another page of some branch that has this one."""
        holders = [branch for branch in self.branches if name in branch.pages]
        return any(
            token in self.pages[other].tokens for branch in holders for other in branch.pages if other != name
        )

    def drop(self, branch: Branch) -> None:
        """A page that is left out of `ikv` from now on; sometimes it is freed, too."""
        if len(branch.pages) > 1:
            name = branch.pages.pop(self.dice.randrange(len(branch.pages)))
            if not any(name in other.pages for other in self.branches) and self.dice.random() < 0.5:
                self.program.append(["free", [name]])

    def move(self, branch: Branch) -> None:
        """Copies a few tokens into a new page and hides them where they were."""
        name, new = self.dice.choice(branch.pages), self.alloc()
        first, to = self.dice.randrange(self.page_size), self.dice.randrange(self.page_size)
        length = self.dice.randint(1, self.page_size - max(first, to))
        source, target = self.pages[name], self.pages[new]
        target.tokens[to : to + length] = source.tokens[first : first + length]
        target.visible[to : to + length] = source.visible[first : first + length]
        self.program.append(["copy", [name], [new], [[first, to, length]]])
        branch.pages.insert(self.dice.randint(0, len(branch.pages)), new)
        self.show(name, list(source.visible))

    def fork(self, branch: Branch) -> None:
        """Another branch with the same pages, some of them forked."""
        if len(self.branches) == MOST_BRANCHES:
            return
        other = Branch(list(branch.pages), branch.position)
        chosen = [i for i in range(len(other.pages)) if self.dice.random() < 0.6]
        src = [other.pages[i] for i in chosen]
        for i in chosen:
            name, self.names = self.names, self.names + 1
            self.pages[name] = self.pages[other.pages[i]].copy()
            other.pages[i] = name
        self.program.append(["fork", src, [other.pages[i] for i in chosen]])
        self.branches.append(other)
        self.program.append(["branch", self.branches.index(branch)])


def write_program(seed: int, page_size: int, vocabulary: int, steps: int) -> list[Operation]:
    return Author(Random(seed), page_size, vocabulary).write(steps)


@dataclass(frozen=True, slots=True)
class Node:
    token: int
    position: int
    seen: frozenset[int]


Slots = dict[int, list[int]]


@dataclass
class Follower:
    """Executes a program on nodes. `found`: the token that each "run" gave, in their order."""

    page_size: int
    nodes: list[Node] = field(default_factory=list)
    pages: Slots = field(default_factory=dict)
    visible: dict[int, list[bool]] = field(default_factory=dict)
    branches: list[int] = field(default_factory=lambda: [0])
    """The next token of each."""
    last: list[int] = field(default_factory=list)
    """The last node of each "run"."""

    def follow(self, program: Sequence[Operation], found: Sequence[int]) -> None:
        answers = iter(found)
        for name, *values in program:
            if name == "run":
                self.run(*values, next(answers))
            else:
                getattr(self, name)(*values)

    def alloc(self, pages: list[int]) -> None:
        for page in pages:
            self.pages[page], self.visible[page] = [EMPTY] * self.page_size, [True] * self.page_size

    def free(self, pages: list[int]) -> None:
        for page in pages:
            del self.pages[page], self.visible[page]

    def branch(self, parent: int) -> None:
        self.branches.append(self.branches[parent])

    def fork(self, src: list[int], dst: list[int]) -> None:
        for one, other in zip(src, dst, strict=True):
            self.pages[other], self.visible[other] = list(self.pages[one]), list(self.visible[one])

    def copy(self, src: list[int], dst: list[int], spans: list[list[int]]) -> None:
        for one, other, (first, to, length) in zip(src, dst, spans, strict=True):
            for table in (self.pages, self.visible):
                table[other][to : to + length] = table[one][first : first + length]

    def mask(self, page: int, bits: int) -> None:
        self.visible[page] = [bool(bits >> i & 1) for i in range(self.page_size)]

    def run(
        self,
        branch: int,
        tokens: list[int] | None,
        positions: list[int],
        ikv: list[int],
        okv: list[int],
        offset: int,
        mask: list[list[int]] | None,
        answer: int,
    ) -> None:
        inputs = self.branches[branch : branch + 1] if tokens is None else tokens
        targets = [(page, i) for page in okv for i in range(self.page_size)][offset:][: len(inputs)]
        cached = [
            node if self.visible[page][i] and (page, i) not in targets else EMPTY
            for page in ikv
            for i, node in enumerate(self.pages[page])
        ]
        base = len(self.nodes)
        for row, (token, position) in enumerate(zip(inputs, positions, strict=True)):
            shown = None if mask is None else expand(mask[row], len(cached) + len(inputs))
            seen = {
                node
                for column, node in enumerate(cached)
                if node != EMPTY and (shown[column] if shown else self.nodes[node].position <= position)
            }
            seen |= {
                base + other
                for other, there in enumerate(positions)
                if (shown[len(cached) + other] if shown else there <= position)
            }
            self.nodes.append(Node(token, position, frozenset(seen)))
        for (page, i), node in zip(targets, range(base, base + len(inputs)), strict=True):
            self.pages[page][i] = node
        self.last.append(len(self.nodes) - 1)
        self.branches[branch] = answer


def expand(runs: Sequence[int], width: int) -> list[bool]:
    """Alternately hidden and visible, beginning with hidden; what is left out is hidden."""
    bits = [bool(i % 2) for i, run in enumerate(runs) for _ in range(run)]
    return (bits + [False] * width)[:width]


def dense_logprobs(model: torch.nn.Module, nodes: Sequence[Node], rows: Sequence[int]) -> torch.Tensor:
    """[rows, vocabulary]: one run of a transformers model over all nodes, each seeing what it saw."""
    count = len(nodes)
    mask = torch.zeros(count, count, dtype=torch.bool)
    for index, node in enumerate(nodes):
        mask[index, list(node.seen)] = True
    with torch.no_grad():
        logits = model(
            input_ids=torch.tensor([[node.token for node in nodes]]),
            position_ids=torch.tensor([[node.position for node in nodes]]),
            attention_mask=biases(model, mask, torch.tensor([node.position for node in nodes])),
            use_cache=False,
        ).logits[0]
    chosen: torch.Tensor = logits[list(rows)].float().log_softmax(-1)
    return chosen


def biases(
    model: torch.nn.Module, mask: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor | dict[str, torch.Tensor]:
    """`mask` as transformers wants it; by kind of layer where the model has kinds. A window comes on top."""
    config: Any = model.config
    window = getattr(config, "sliding_window", None)
    near = mask & (positions[:, None] - positions < window) if window else mask
    full, sliding = (
        torch.zeros(mask.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[None, None]
        for seen in (mask, near)
    )
    kinds = set(getattr(config, "layer_types", None) or ())
    if len(kinds) > 1:
        return {"full_attention": full, "sliding_attention": sliding}
    return full if kinds == {"full_attention"} else sliding


def worst_miss(
    model: torch.nn.Module, program: Sequence[Operation], found: Sequence[int], page_size: int
) -> float:
    """By how much the worst of the tokens found falls short of the dense model's best one, in nats."""
    follower = Follower(page_size)
    follower.follow(program, found)
    scores = dense_logprobs(model, follower.nodes, follower.last)
    taken = scores[torch.arange(len(found)), torch.tensor(found)]
    return float((scores.amax(1) - taken).max())
