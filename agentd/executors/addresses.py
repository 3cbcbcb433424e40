"""Which hosts a policy rule names. Pure; which addresses are public is `protocol.addresses`."""

from __future__ import annotations

import ipaddress


def matches_host(pattern: str, host: str, port: int) -> bool:
    """Whether a pattern of a policy rule names this host.

    `example.com` is that host, `*.example.com` every host below it, `*` any host; `:8443` at the
    end demands that port. Case and a final dot do not matter; an IPv6 address stands in brackets.
    """
    pattern = pattern.strip().lower()
    head, colon, wanted_port = pattern.rpartition(":")
    if colon and wanted_port.isdigit() and (":" not in head or head.endswith("]")):
        if int(wanted_port) != port:
            return False
        pattern = head
    pattern = pattern.strip("[]").removesuffix(".")
    host = host.lower().removesuffix(".")
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        # The numbers of an address are no domains of each other: 127.0.0.1 is not below 0.0.1.
        below = host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
        return below and not _is_address(host)
    return bool(pattern) and host == pattern


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
