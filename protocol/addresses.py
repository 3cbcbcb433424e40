"""Which addresses are public: what somebody else's URL may make a program of ours connect to.

Pure. Owns the table of addresses that are nobody's business: loopback, private, link-local (cloud
metadata), carrier-grade NAT, multicast, documentation, reserved, and every form of IPv6 that
carries one of these inside. An agent asks it about the URL of an order, the hub about that of a
webhook; resolving and connecting is theirs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IANA special-purpose registries (RFC 6890 and successors); kept here because the tables of the
# standard library differ between patch releases.
_CLOSED_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_OPEN_V6: Final = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that `texts` spell, such as `127.0.0.1/32`.

    Raises:
        ValueError: one is no network.
    """
    return tuple(ipaddress.ip_network(text) for text in texts)


def unwrap_address(address: Address) -> Address:
    """Return the IPv4 address inside a mapped or NAT64 one, any other as it is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_reachable(address: Address, allowed_private: Sequence[Network] = ()) -> bool:
    """Whether one may connect to `address`: it is public, or in a network that its owner listed."""
    address = unwrap_address(address)
    if any(
        address.version == network.version and address in network for network in allowed_private
    ):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    # A zone (`fe80::1%eth0`) names an interface of this machine, never a public host.
    if address.scope_id is not None:
        return False
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)
