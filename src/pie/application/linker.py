"""What a component may import, and the component joined with it.

Each component gets a linker of its own, made from the types that it declares: an interface of ours must be
declared exactly as `wit/` has it, a WASI function that we do not offer answers "not permitted" where its
type allows that and ends the program where not, and everything else is refused at once.
"""

from collections.abc import Mapping

import wasmtime
from wasmtime import component

from pie.application import abi
from pie.application.bindings import INTERFACES, RESOURCES, WASI, interface_name, is_offered
from pie.application.engine import address_of
from pie.application.hostcall import HostCall, HostCalls, parameters
from pie.application.lift import lift
from pie.application.linked import Linked
from pie.application.stage import Stage
from pie.application.types import Imported, ResultOf, Scalar, Signature, UnknownType, export, imports
from pie.core.errors import BadProgram, InternalError

RUN = "run"
RUN_RESULT = ResultOf(Scalar("string"), Scalar("string"))
RUN_TYPE = Signature((), RUN_RESULT)

Contract = Mapping[str, Mapping[str, Signature]]
"""The functions of each of our interfaces, by name, as the runner guest (built from `wit/`) has them."""


class Linkers:
    """Makes linkers. The contract is empty until the runner has been linked."""

    def __init__(self, engine: wasmtime.Engine, stage: Stage) -> None:
        self._engine = engine
        self._stage = stage
        self._calls = HostCalls(stage)
        self._destructor = abi.DESTRUCTOR(_destroyed)
        self.contract: Contract = {}

    def link_runner(self, loaded: component.Component) -> Linked:
        """The component that was built from `wit/`: what it declares is the contract for all others."""
        wanted = self._wanted(loaded)
        self.contract = {
            interface_name(name): found.functions
            for name, found in wanted.items()
            if interface_name(name) in INTERFACES
        }
        return self._link(loaded, wanted)

    def link(self, loaded: component.Component) -> Linked:
        """Raises `BadProgram` where the component wants what we do not offer."""
        if export(loaded, self._engine, RUN) != RUN_TYPE:
            raise BadProgram(f"the component must export `{RUN}: {RUN_TYPE}` (world `inferlet` in wit/)")
        return self._link(loaded, self._wanted(loaded))

    def _link(self, loaded: component.Component, wanted: Mapping[str, Imported]) -> Linked:
        linker = component.Linker(self._engine)
        numbers = _resource_numbers(wanted)
        calls = [call for name, found in wanted.items() for call in self._offer(linker, name, found, numbers)]
        index = loaded.get_export_index(RUN)
        if index is None:
            raise InternalError("an export that was there has no index")
        return Linked(
            linker=address_of(linker),
            component=address_of(loaded),
            run=address_of(index),
            read_result=lift(RUN_RESULT, self._stage).reader(),
            alive=(linker, loaded, index, calls, self._calls, self._destructor),
        )

    def _wanted(self, loaded: component.Component) -> dict[str, Imported]:
        wanted: dict[str, Imported] = {}
        try:
            for name, found in imports(loaded, self._engine):
                if found is None or not is_offered(name):
                    raise BadProgram(f"the component imports `{name}`, which inferlets do not have")
                wanted[name] = found
        except UnknownType as unknown:
            raise BadProgram(f"the component imports a function with a type like {unknown}") from None
        return wanted

    def _offer(
        self, linker: component.Linker, name: str, found: Imported, resources: Mapping[str, int]
    ) -> list[HostCall]:
        with linker.root() as root, root.add_instance(name) as instance:
            target = address_of(instance)
            for resource in found.resources:
                self._add_resource(target, resource, resources[resource])
            return [
                self._add_function(target, interface_name(name), function, signature)
                for function, signature in found.functions.items()
            ]

    def _add_resource(self, target: int, name: str, number: int) -> None:
        data = name.encode()
        kind = component.ResourceType.host(number)
        error = abi.linker_add_resource(
            target, data, len(data), address_of(kind), self._destructor, None, None
        )
        _check(error)

    def _add_function(self, target: int, interface: str, name: str, signature: Signature) -> HostCall:
        call = self._host_call(interface, name, signature)
        data = name.encode()
        add = abi.linker_add_func_async if call.suspends else abi.linker_add_func
        _check(add(target, data, len(data), call.callback, None, None))
        return call

    def _host_call(self, interface: str, name: str, signature: Signature) -> HostCall:
        where = f"{interface}#{name}"
        if interface in INTERFACES:
            self._check_declaration(interface, name, signature)
            return self._calls.make(where, INTERFACES[interface][name], signature)
        binding = WASI[interface].get(name)
        if binding is None:
            return self._calls.refusal(where, signature)
        return self._calls.make(where, binding, signature)

    def _check_declaration(self, interface: str, name: str, signature: Signature) -> None:
        binding = INTERFACES[interface].get(name)
        if binding is None or parameters(binding) != tuple(each for each, _ in signature.params):
            raise BadProgram(f"the component imports {interface}#{name}, which inferlets do not have")
        if self.contract and self.contract.get(interface, {}).get(name) != signature:
            raise BadProgram(
                f"the component imports {interface}#{name} as {signature}; "
                "build it against this server's wit/"
            )


def _resource_numbers(wanted: Mapping[str, Imported]) -> dict[str, int]:
    """A number for each type of resource; those that WASI bindings make have theirs already."""
    names = sorted({name for found in wanted.values() for name in found.resources})
    return {name: i for i, name in enumerate(names, len(RESOURCES))} | dict(RESOURCES)


def _destroyed(data: int, context: int, resource: int) -> None:
    """The guest has dropped a resource. Their numbers say everything, so there is nothing to free."""


def _check(error: int | None) -> None:
    if error:
        raise InternalError(f"wasmtime's linker refused: {abi.take_error(error)}")
