"""Checks that addresses are public: clients must not reach the server's own network."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")  # all that is handed out; beyond are tunnels, locals, the past
_AZURE_HOST = IPv4Address("168.63.129.16")  # looks public; on Azure it is the host itself


class ForbiddenAddress(OSError):
    """The name leads to an address that is not public."""


def public_addresses(host: str, port: int) -> list[str]:
    """Resolve ``host``; return its addresses, best first. Blocks.

    Raises ForbiddenAddress if any of them is not public, OSError if there are none. Connect to one
    of these: a second look-up may give another answer.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not all(is_public(address) for address in addresses):
        raise ForbiddenAddress(f"{host} leads to an address that is not public.")
    return list(dict.fromkeys(addresses))


def is_public(address: str) -> bool:
    """Return whether the address is routed on the Internet; of a translated one, both sides.

    >>> is_public("1.1.1.1"), is_public("10.0.0.1"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    ip = ip_address(address.split("%")[0])
    inner = _embedded_ipv4(ip)
    if isinstance(ip, IPv6Address) and inner is None and ip not in _UNICAST:
        return False
    if ip == _AZURE_HOST:
        return False
    return ip.is_global and not ip.is_multicast and (inner is None or is_public(str(inner)))


def _embedded_ipv4(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address embeds; None if there is none."""
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    teredo = ip.teredo
    return ip.ipv4_mapped or ip.sixtofour or (teredo[1] if teredo else None)
