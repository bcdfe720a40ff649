"""What simulated programs do: each a generator that asks, and yields what it waits for."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from world import PAGE_SIZE, emb_names, page_names

from pie.core.commands import (
    DecodeAhead,
    EmbedText,
    ExportPages,
    ForkPages,
    Forward,
    FreeEmbs,
    FreePages,
    ImportPages,
    NewMatchers,
    NextDist,
    ReadMatcher,
    SamplingSpec,
    Synchronize,
)
from pie.core.grammar import Grammar
from pie.core.ids import QueueId, Token, VirtualEmb, VirtualMatcher

if TYPE_CHECKING:
    from simulated import Answer, Simulated

VOCABULARY = 101
FIRST = QueueId(0)
"""Every program has it."""


@dataclass(frozen=True)
class Sleep:
    """Until then the program waits for a tool."""

    seconds: float


Script = Generator["Answer | Sleep", None, None]


@dataclass
class Text:
    """Tokens that were read, and the pages they lie in."""

    program: "Simulated"
    queue: QueueId
    pages: list[int] = field(default_factory=list)
    length: int = 0
    unread: list[Token] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.emb, self.state = self.program.new_embs(2)

    def read(self, tokens: Sequence[Token]) -> None:
        """In one forward; the hidden state after the last is in `state` then."""
        program, tokens = self.program, [*self.unread, *tokens]
        end = self.length + len(tokens)
        self.make_room(end)
        embs = program.new_embs(len(tokens))
        program.submit(EmbedText(tokens, range(self.length, end), emb_names(embs)), self.queue)
        first, last = self.length // PAGE_SIZE, (end - 1) // PAGE_SIZE
        okv = page_names(self.pages[first : last + 1])
        ikv, oemb = page_names(self.pages[: last + 1]), [VirtualEmb(self.state)]
        forward = Forward(ikv, emb_names(embs), okv, self.length % PAGE_SIZE, oemb, (), None)
        program.submit(forward, self.queue)
        program.submit(FreeEmbs(emb_names(embs)), self.queue)
        self.length, self.unread = end, []

    def decode(self, steps: int, spec: SamplingSpec) -> Generator["Answer", None, None]:
        """Waits for `steps` more tokens; the last is still to be read."""
        self.make_room(self.length + steps - 1)
        run = DecodeAhead(
            spec, self.length, page_names(self.pages), self.length, VirtualEmb(self.emb),
            VirtualEmb(self.state), steps,
        )  # fmt: skip
        answer = self.program.ask(run, self.queue)
        yield answer
        self.length += steps - 1
        self.unread = [Token(answer.expected[-1])]

    def step(self) -> Generator["Answer", None, None]:
        """Waits for the best token, and reads it."""
        answer = self.program.ask(NextDist(VirtualEmb(self.state), 2, []), self.queue)
        yield answer
        self.read([Token(answer.expected.tokens[0])])

    def make_room(self, length: int) -> None:
        pages = self.program.new_pages(-(-length // PAGE_SIZE) - len(self.pages), self.queue)
        self.pages += pages

    def fork(self, queue: QueueId) -> "Text":
        """The other goes on in another queue, once this one's is through."""
        pages = self.program.new_names(len(self.pages))
        self.program.submit(ForkPages(page_names(self.pages), page_names(pages)), self.queue)
        return Text(self.program, queue, pages, self.length, list(self.unread))

    def close(self) -> None:
        self.program.submit(FreePages(page_names(self.pages)), self.queue)
        self.program.submit(FreeEmbs(emb_names([self.emb, self.state])), self.queue)


def complete(program: "Simulated") -> Script:
    """A prompt, and a run of tokens."""
    text = program.new_text()
    text.read(program.some_tokens(16))
    yield from text.decode(program.dice.randint(1, 10), program.some_spec())


def step_by_step(program: "Simulated") -> Script:
    """Asks for one token at a time."""
    text = program.new_text()
    text.read(program.some_tokens(12))
    for _ in range(program.dice.randint(1, 8)):
        yield from text.step()
    text.close()


def agent(program: "Simulated") -> Script:
    """Holds its pages while it waits for tools; sometimes says that it will need them, or not."""
    text = program.new_text()
    text.read(program.some_tokens(6))
    for _ in range(program.dice.randint(1, 3)):
        yield from text.decode(program.dice.randint(1, 4), program.some_spec())
        program.hint(text.pages)
        yield Sleep(program.dice.choice([0.001, 0.1, 1.0, 20.0]))
        program.hint(text.pages)
        text.read(program.some_tokens(2))
    yield program.ask(Synchronize(), text.queue)


def tree(program: "Simulated") -> Script:
    """Branches share their beginning, each in a queue of its own."""
    text = program.new_text()
    text.read(program.some_tokens(10))
    yield program.ask(Synchronize(), text.queue)
    branches = [text.fork(program.new_queue()) for _ in range(program.dice.randint(1, 2))]
    yield program.ask(Synchronize(), text.queue)
    for branch in branches:
        branch.read(program.some_tokens(3))
    for branch in branches:
        yield from branch.decode(program.dice.randint(1, 5), program.some_spec())
    text.close()


def publish(program: "Simulated") -> Script:
    """Others may read its pages, for a while or as long as it lives."""
    text = program.new_text()
    text.read(program.some_tokens(9))
    name = program.free_name()
    if name is not None:
        seconds = program.dice.choice([None, 0.2, 3.0, 100.0])
        program.submit(ExportPages(page_names(text.pages), name, seconds, 0, b""), text.queue)
    yield from text.decode(2, program.some_spec())
    yield Sleep(program.dice.choice([0.1, 2.0]))


def subscribe(program: "Simulated") -> Script:
    """Goes on from pages that somebody else has published, as soon as there are any."""
    for _ in range(3):
        name = program.published_name()
        if name is not None:
            yield from read_on(program, name)
            return
        yield Sleep(0.3)
    yield from complete(program)


def read_on(program: "Simulated", name: str) -> Script:
    count = len(program.naive.exports[name])
    imported = program.new_names(count)
    program.submit(ImportPages(name, page_names(imported)), FIRST)
    length = program.length_of(name)
    text = Text(program, FIRST, imported, length).fork(FIRST)
    text.read(program.some_tokens(3))
    yield from text.decode(2, program.some_spec())


def generous(program: "Simulated") -> Script:
    """Gives back what it can spare when it is told that pages run short."""
    spare = Text(program, FIRST)
    spare.read(program.some_tokens(12))
    program.listen(spare.close)
    text = program.new_text()
    text.read(program.some_tokens(4))
    for _ in range(3):
        yield from text.step()
        yield Sleep(0.05)
    program.ignore()
    yield program.ask(Synchronize(), text.queue)


def match(program: "Simulated") -> Script:
    """Has places in a grammar."""
    names = [VirtualMatcher(0), VirtualMatcher(1)]
    program.submit(NewMatchers(Grammar("regex", "[a-c]+", "of a simulation"), names), FIRST)
    yield program.ask(ReadMatcher(names[0]), FIRST)
    yield from complete(program)


def greedy(program: "Simulated") -> Script:
    """Wants more than there is at all, and gets an error."""
    program.too_much = True
    pages = program.new_pages(program.simulation.world.spec.pages + 1, FIRST)
    embs = program.new_embs(1)
    program.submit(EmbedText([Token(1)], [0], emb_names(embs)), FIRST)
    for page in pages:
        forward = Forward([], emb_names(embs), page_names([page]), 0, [], (), None)
        program.submit(forward, FIRST)
    yield program.ask(Synchronize(), FIRST)


SCRIPTS: dict[Callable[["Simulated"], Script], float] = {
    complete: 4,
    step_by_step: 2,
    agent: 4,
    tree: 2,
    publish: 1.5,
    subscribe: 1.5,
    generous: 1,
    match: 0.1,
    greedy: 0.2,
}
"""And how often each is taken."""
