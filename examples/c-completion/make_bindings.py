"""Writes `pie.h`, the contract in C: `wasm-tools component wit --json wit | python make_bindings.py > pie.h`.

In memory a component value lies as the C struct of the same shape does on wasm32, so records, options,
results and lists become structs, and only a call's arguments must be taken apart ("flattened"): that is what
the inline function around each import does. The rules are the Canonical ABI's of the Component Model.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST_FLAT_PARAMETERS = 16
"""With more of them a call takes one pointer to a struct of its arguments."""
SCALARS = {
    "bool": ("bool", "int32_t"), "u8": ("uint8_t", "int32_t"), "u16": ("uint16_t", "int32_t"),
    "u32": ("uint32_t", "int32_t"), "s32": ("int32_t", "int32_t"), "u64": ("uint64_t", "int64_t"),
    "f32": ("float", "float"), "f64": ("double", "double"),
}
"""The type in memory, and as an argument."""
HEADER = """/* The contract of pie:inferlet in C. Made by make_bindings.py from wit/; do not edit. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { char *data; size_t size; } pie_string;
"""

Flat = list[tuple[str, str]]
"""(type, expression) of each core argument."""


def snake(name: str) -> str:
    return name.replace("-", "_")


@dataclass
class Types:
    """Types of the WIT and the C declarations of those that were asked for, in order."""

    all: list[Any]
    declarations: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def name(self, type: Any) -> str:
        """The C name of a type; declares it, and what it is made of, at the first call."""
        if isinstance(type, str):
            return "pie_string" if type == "string" else SCALARS[type][0]
        found = self.all[type]
        kind, content = self.kind(type)
        if kind == "type":
            return self.name(content)
        name = f"pie_{snake(found['name'])}" if found["name"] else f"pie_{self.word(type)}"
        if name not in self.names:
            self.names.add(name)
            if kind in ("enum", "variant"):
                self.constants(name, content["cases"])
            body = getattr(self, f"declare_{kind}")(content)
            self.declarations.append(f"typedef {body} {name};")
        return name

    def kind(self, type: int) -> tuple[str, Any]:
        kind = self.all[type]["kind"]
        return next(iter(kind.items()))

    def resolve(self, type: Any) -> Any:
        """Without aliases."""
        while isinstance(type, int) and self.kind(type)[0] == "type":
            type = self.kind(type)[1]
        return type

    def word(self, type: Any) -> str:
        """A name for a type that has none in the WIT."""
        type = self.resolve(type)
        if type is None:
            return "unit"
        if isinstance(type, str):
            return type
        found, (kind, content) = self.all[type], self.kind(type)
        if found["name"]:
            return snake(found["name"])
        parts = {"result": lambda: [content["ok"], content["err"]], "tuple": lambda: content["types"]}
        return "_".join([kind, *map(self.word, parts.get(kind, lambda: [content])())])

    def declare_record(self, record: Any) -> str:
        fields = "".join(f" {self.name(each['type'])} {snake(each['name'])};" for each in record["fields"])
        return f"struct {{{fields} }}"

    def declare_tuple(self, items: Any) -> str:
        fields = "".join(f" {self.name(item)} _{i};" for i, item in enumerate(items["types"]))
        return f"struct {{{fields} }}"

    def declare_enum(self, enum: Any) -> str:
        del enum
        return "uint8_t"

    def declare_list(self, item: Any) -> str:
        return f"struct {{ {self.name(item)} *data; size_t size; }}"

    def declare_option(self, item: Any) -> str:
        return f"struct {{ bool some; {self.name(item)} value; }}"

    def declare_result(self, result: Any) -> str:
        ok = f"{self.name(result['ok'])} ok; " if result["ok"] is not None else ""
        return f"struct {{ bool failed; union {{ {ok}{self.name(result['err'])} error; }}; }}"

    def declare_variant(self, variant: Any) -> str:
        payloads = [each for each in variant["cases"] if each["type"] is not None]
        fields = "".join(f" {self.name(each['type'])} {snake(each['name'])};" for each in payloads)
        return f"struct {{ uint8_t tag; union {{{fields} }}; }}"

    def constants(self, name: str, cases: Any) -> None:
        words = ", ".join(f"{name}_{snake(each['name'])}".upper() for each in cases)
        self.declarations.append(f"enum {{ {words} }};")

    def flat(self, type: Any, value: str) -> Flat:
        """A value as core arguments."""
        type = self.resolve(type)
        if isinstance(type, str) and type != "string":
            return [(SCALARS[type][1], value)]
        kind, content = ("list", None) if type == "string" else self.kind(type)
        if kind == "list":
            return [("const void *", f"{value}.data"), ("size_t", f"{value}.size")]
        if kind == "enum":
            return [("int32_t", value)]
        if kind == "option":
            return [("int32_t", f"{value}.some"), *self.flat(content, f"{value}.value")]
        if kind == "record":
            fields = [(each["type"], f"{value}.{snake(each['name'])}") for each in content["fields"]]
            return [one for field in fields for one in self.flat(*field)]
        if kind == "variant":
            return [("int32_t", f"{value}.tag"), *self.flat_payload(content["cases"], value)]
        raise NotImplementedError(f"arguments of kind {kind}")

    def flat_payload(self, cases: Any, value: str) -> Flat:
        """Cases share their arguments. Ours have one shape or none: the first payload stands for all."""
        payloads = [each for each in cases if each["type"] is not None]
        flats = [self.flat(each["type"], f"{value}.{snake(each['name'])}") for each in payloads]
        if any([type for type, _ in flat] != [type for type, _ in flats[0]] for flat in flats):
            raise NotImplementedError("cases with payloads of different shapes")
        return flats[0]


def function(types: Types, module: str, interface: str, found: Any) -> Iterator[str]:
    """The import of one function, and the inline function that people call."""
    name = f"pie_{snake(found['name'])}"
    params = [(types.name(each["type"]), snake(each["name"]), each["type"]) for each in found["params"]]
    flat = [one for _, param, type in params for one in types.flat(type, param)]
    before = ""
    if len(flat) > MOST_FLAT_PARAMETERS:
        fields = "".join(f" {type} {param};" for type, param, _ in params)
        before = f"struct {{{fields} }} arguments = {{ {', '.join(param for _, param, _ in params)} }};\n  "
        flat = [("const void *", "&arguments")]
    result = found.get("result")
    direct = result is None or (isinstance(types.resolve(result), str) and types.resolve(result) != "string")
    c_result = "void" if result is None else types.name(result)
    raw_result = ("void" if result is None else SCALARS[types.resolve(result)][1]) if direct else "void"
    raw = [type for type, _ in flat] + ([] if direct else ["void *"])
    values = [value for _, value in flat] + ([] if direct else ["&result"])
    yield f'__attribute__((import_module("{module}/{interface}@0.1.0"), import_name("{found["name"]}")))'
    yield f"{raw_result} {name}_import({', '.join(raw) or 'void'});"
    taken = ", ".join(f"{type} {param}" for type, param, _ in params) or "void"
    yield f"static inline {c_result} {name}({taken}) {{"
    call = f"{name}_import({', '.join(values)})"
    if direct:
        yield f"  {before}{'' if result is None else 'return '}{call};"
    else:
        yield f"  {before}{c_result} result;\n  {call};\n  return result;"
    yield "}\n"


def header(wit: Any) -> str:
    """Every interface that the world `inferlet` imports."""
    world = next(each for each in wit["worlds"] if each["name"] == "inferlet")
    types = Types(wit["types"])
    interfaces = [wit["interfaces"][each["interface"]["id"]] for each in world["imports"].values()]
    lines = [
        line
        for interface in interfaces
        for found in interface["functions"].values()
        for line in function(types, "pie:inferlet", interface["name"], found)
    ]
    types.name(world["exports"]["run"]["function"]["result"])
    return "\n".join([HEADER, *types.declarations, "", *lines])


if __name__ == "__main__":
    print(header(json.load(sys.stdin)))
