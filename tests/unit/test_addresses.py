"""Which addresses are public, whatever they are dressed as."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.media.addresses import ForbiddenAddress, is_public, public_addresses

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff0e::1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "2001:0:102:304::80ff:fffe",
    "::ffff:10.0.0.1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::1.1.1.1"])
def test_what_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4).filter(lambda ip: not ip.is_global))
def test_translated_addresses_gain_nothing(ip: IPv4Address) -> None:
    number = int(ip)
    assert not is_public(f"64:ff9b::{ip}")
    assert not is_public(f"::ffff:{ip}")
    assert not is_public(f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1")


@pytest.mark.parametrize(
    ("addresses", "fine"),
    [(["1.1.1.1"], True), (["1.1.1.1", "127.0.0.1"], False), (["10.0.0.1"], False)],
)
def test_a_single_private_address_is_one_too_many(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], fine: bool
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    if fine:
        assert public_addresses("name", 80) == addresses
    else:
        with pytest.raises(ForbiddenAddress, match="name"):
            public_addresses("name", 80)


@pytest.mark.parametrize("name", ["localhost", "127.1", "0x7f.1", "2130706433", "0"])
def test_other_spellings_of_home(name: str) -> None:
    with pytest.raises(OSError, match=r"."):
        public_addresses(name, 80)
