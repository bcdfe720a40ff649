"""Types of the component model, as frozen values that can be compared, hashed and shown."""

from collections.abc import Iterator
from dataclasses import dataclass

from wasmtime import Engine, component


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, bool, char or string, by its WIT name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListOf:
    item: "Type"

    def __str__(self) -> str:
        return f"list<{self.item}>"


@dataclass(frozen=True, slots=True)
class TupleOf:
    items: "tuple[Type, ...]"

    def __str__(self) -> str:
        return f"tuple<{', '.join(map(str, self.items))}>"


@dataclass(frozen=True, slots=True)
class RecordOf:
    fields: "tuple[tuple[str, Type], ...]"

    def __str__(self) -> str:
        return "record {" + ", ".join(f"{name}: {type}" for name, type in self.fields) + "}"


@dataclass(frozen=True, slots=True)
class VariantOf:
    cases: "tuple[tuple[str, Type | None], ...]"

    def __str__(self) -> str:
        return "variant {" + ", ".join(f"{name}({type or ''})" for name, type in self.cases) + "}"


@dataclass(frozen=True, slots=True)
class EnumOf:
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "enum {" + ", ".join(self.names) + "}"


@dataclass(frozen=True, slots=True)
class FlagsOf:
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "flags {" + ", ".join(self.names) + "}"


@dataclass(frozen=True, slots=True)
class OptionOf:
    item: "Type"

    def __str__(self) -> str:
        return f"option<{self.item}>"


@dataclass(frozen=True, slots=True)
class ResultOf:
    ok: "Type | None"
    err: "Type | None"

    def __str__(self) -> str:
        return f"result<{self.ok or '_'}, {self.err or '_'}>"


@dataclass(frozen=True, slots=True)
class Handle:
    """A resource, owned or borrowed."""

    owned: bool

    def __str__(self) -> str:
        return "own" if self.owned else "borrow"


Type = Scalar | ListOf | TupleOf | RecordOf | VariantOf | EnumOf | FlagsOf | OptionOf | ResultOf | Handle


@dataclass(frozen=True, slots=True)
class Signature:
    params: tuple[tuple[str, Type], ...]
    result: Type | None

    def __str__(self) -> str:
        params = ", ".join(f"{name}: {type}" for name, type in self.params)
        return f"func({params})" + (f" -> {self.result}" if self.result else "")


@dataclass(frozen=True, slots=True)
class Imported:
    """An interface that a component wants: its functions, and the names of its resources."""

    functions: dict[str, Signature]
    resources: tuple[str, ...]


class UnknownType(Exception):
    """A type that no host function of ours takes or gives (streams, futures, error contexts)."""


def resolve(found: component.ValType) -> Type:
    """Our type for one of wasmtime-py's."""
    match found:
        case component.ListType():
            return ListOf(resolve(found.element))
        case component.TupleType():
            return TupleOf(tuple(map(resolve, found.elements)))
        case component.RecordType():
            return RecordOf(tuple((name, resolve(type)) for name, type in found.fields))
        case component.VariantType():
            return VariantOf(tuple((name, _resolve_optional(type)) for name, type in found.cases))
        case component.EnumType():
            return EnumOf(tuple(found.names))
        case component.FlagsType():
            return FlagsOf(tuple(found.names))
        case component.OptionType():
            return OptionOf(resolve(found.payload))
        case component.ResultType():
            return ResultOf(_resolve_optional(found.ok), _resolve_optional(found.err))
        case component.OwnType() | component.BorrowType():
            return Handle(isinstance(found, component.OwnType))
    return _resolve_scalar(found)


def _resolve_optional(found: component.ValType | None) -> Type | None:
    return None if found is None else resolve(found)


def _resolve_scalar(found: component.ValType) -> Scalar:
    name = type(found).__name__.lower()
    if name not in SCALARS:
        raise UnknownType(name)
    return Scalar(name)


SCALARS = frozenset(
    ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"]
)


def signature(found: component.FuncType) -> Signature:
    return Signature(
        tuple((name, resolve(type)) for name, type in found.params), _resolve_optional(found.result)
    )


def imports(found: component.Component, engine: Engine) -> Iterator[tuple[str, Imported | None]]:
    """Each import of a component; None stands for one that is not an interface."""
    for name, extern in found.type.imports(engine).items():
        item = extern.ty
        yield name, _interface(item, engine) if isinstance(item, component.ComponentInstanceType) else None


def _interface(found: component.ComponentInstanceType, engine: Engine) -> Imported:
    functions: dict[str, Signature] = {}
    resources: list[str] = []
    for name, extern in found.exports(engine).items():
        item = extern.ty
        if isinstance(item, component.FuncType):
            functions[name] = signature(item)
        elif isinstance(item, component.ResourceType):
            resources.append(name)
    return Imported(functions, tuple(resources))


def export(found: component.Component, engine: Engine, name: str) -> Signature | None:
    """The type of an exported function, if there is one of that name."""
    extern = found.type.exports(engine).get(name)
    item = None if extern is None else extern.ty
    return signature(item) if isinstance(item, component.FuncType) else None
