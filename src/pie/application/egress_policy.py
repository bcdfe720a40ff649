"""Where programs may connect to: hosts that the operator and the launch allow, and no private addresses."""

from collections.abc import Iterable, Sequence

from pie.application.egress_addresses import Address, is_private, is_public
from pie.application.egress_hosts import HostPattern, Url
from pie.core.errors import NotPermitted, Unreachable


class Policy:
    """The operator's. `private_hosts` are allowed too, and may have private addresses."""

    def __init__(self, hosts: Sequence[HostPattern], private_hosts: Sequence[HostPattern]) -> None:
        self._hosts = (*hosts, *private_hosts)
        self._private_hosts = private_hosts

    def check_host(self, url: Url, narrowed: Sequence[HostPattern] | None) -> None:
        """Raises `NotPermitted`. `narrowed`: what the program's launch allows; None is all of ours."""
        if not _any_matches(self._hosts, url):
            raise NotPermitted(
                f"programs may not talk to {_name(url)}: whoever runs the server can allow it with the "
                "setting allow_hosts, or allow_private_hosts for this machine and private networks "
                "(--allow-host and --allow-private-host of `pie run` and `pie serve`)"
            )
        if narrowed is not None and not _any_matches(narrowed, url):
            raise NotPermitted(f"this program may not talk to {_name(url)}: its launch does not allow it")

    def check_addresses(self, url: Url, addresses: Sequence[Address]) -> None:
        """All of a name's addresses must be allowed: its owner chooses which one is used."""
        if not addresses:
            raise Unreachable(f"{url.host} has no address")
        private_too = _any_matches(self._private_hosts, url)
        for address in addresses:
            if not is_public(address) and not (private_too and is_private(address)):
                raise NotPermitted(
                    f"{url.host} has the address {address}, which is private or has a special use: the "
                    "operator can allow private ones with the setting allow_private_hosts"
                )


def _any_matches(patterns: Iterable[HostPattern], url: Url) -> bool:
    return any(pattern.matches(url.host, url.port) for pattern in patterns)


def _name(url: Url) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}"
