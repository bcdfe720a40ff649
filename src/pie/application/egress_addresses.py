"""Which network addresses a program may be connected to."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

METADATA: Final = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",
            "169.254.169.253",
            "169.254.170.2",
            "169.254.170.23",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fe80::a9fe:a9fe",
        ),
    )
)
"""Where clouds hand out their machines' credentials: never, whatever the operator allows."""
NAT64 = IPv6Network("64:ff9b::/96")
GLOBAL_V6 = IPv6Network("2000::/3")
V4_EXTRA = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
"""Special uses that older Pythons call global."""


def innermost(address: Address) -> Address:
    """The IPv4 address within one that only wraps it: mapped, 6to4, NAT64."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address


def is_public(address: Address) -> bool:
    """An address of the whole Internet that belongs to somebody."""
    inner = innermost(address)
    if inner in METADATA or inner.is_multicast or not inner.is_global:
        return False
    if isinstance(inner, IPv6Address):
        return inner in GLOBAL_V6
    return not any(inner in network for network in V4_EXTRA)


def is_private(address: Address) -> bool:
    """One that an operator may open: this machine's, or of a network like an office's."""
    inner = innermost(address)
    if inner in METADATA or inner.is_multicast or inner.is_unspecified:
        return False
    if inner.is_reserved and not inner.is_loopback:
        return False
    return inner.is_loopback or inner.is_private or inner.is_link_local or not inner.is_global
