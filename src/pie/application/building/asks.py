"""What a program asks of a server beyond the model: found in its text, without running it."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

ASKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "network": ("http", "raw.http", "raw.http_get", "raw.http_post"),
        "store": (
            "store",
            "raw.store",
            "raw.store_get",
            "raw.store_set",
            "raw.store_delete",
            "raw.store_exists",
            "raw.store_list_keys",
        ),
        "spawn": ("spawn", "spawning", "myself", "raw.spawning", "raw.spawn"),
        "topics": ("topic", "topics", "raw.topics", "raw.broadcast", "raw.subscribe"),
        "export": ("memory", "raw.export_kvpage", "raw.unexport_kvpage"),
        "import": ("memory", "raw.import_kvpage", "raw.find_kvpages", "raw.exported_kvpages"),
        "adapters": ("raw.available_adapters", "raw.forward_with_adapter"),
        "images": ("raw.embed_img", "raw.num_embs_needed"),
    }
)
"""Names of `inferlet` by what their use means."""
LIBRARY = "inferlet"
URL = re.compile(r"https?://[^\s/\"'{}]+")


@dataclass(frozen=True, slots=True)
class Ask:
    what: str
    line: int
    """Where it is asked for first."""
    hosts: tuple[str, ...] = ()
    """Of a network: those whose addresses stand in the text."""


def asks(tree: ast.Module) -> list[Ask]:
    """In the order of `ASKS`."""
    uses = sorted(_uses(tree), key=lambda use: use[1])
    found = []
    for what, names in ASKS.items():
        lines = [line for name, line in uses if any(_is_in(name, each) for each in names)]
        if lines:
            found.append(Ask(what, lines[0], _hosts(tree) if what == "network" else ()))
    return found


def _is_in(name: str, known: str) -> bool:
    return name == f"{LIBRARY}.{known}" or name.startswith(f"{LIBRARY}.{known}.")


def _uses(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Full names of what is imported from the library, and of attributes of that, with their lines."""
    names = dict(_imported(tree))
    yield from ((full, line) for _, (full, line) in _imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (full := _full_name(node, names)):
            yield full, node.lineno


def _imported(tree: ast.Module) -> Iterator[tuple[str, tuple[str, int]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for each in node.names:
                yield each.asname or each.name, (f"{node.module}.{each.name}", node.lineno)
        elif isinstance(node, ast.Import):
            for each in node.names:
                bound = each.name if each.asname else each.name.partition(".")[0]
                yield each.asname or bound, (bound, node.lineno)


def _full_name(node: ast.expr, names: Mapping[str, tuple[str, int]]) -> str:
    if isinstance(node, ast.Name):
        return names[node.id][0] if node.id in names else ""
    if isinstance(node, ast.Attribute) and (owner := _full_name(node.value, names)):
        return f"{owner}.{node.attr}"
    return ""


def _hosts(tree: ast.Module) -> tuple[str, ...]:
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    urls = [url for text in constants if isinstance(text, str) for url in URL.findall(text)]
    found = [urlsplit(url).netloc for url in urls]
    return tuple(dict.fromkeys(host for host in found if host))
