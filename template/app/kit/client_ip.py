"""The IP of the client, taken from `X-Forwarded-For` if `FORWARDED_ALLOW_IPS` trusts the proxy."""

import ipaddress
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

__all__ = ["ClientIpDep", "network_of", "unmap"]


async def get_client_ip(connection: HTTPConnection) -> str:
    """Return the client's IP; an IPv4 address written as IPv6 is returned as IPv4."""
    return unmap(connection.client.host) if connection.client else "unknown"


ClientIpDep = Annotated[str, Depends(get_client_ip)]


def unmap(ip: str) -> str:
    """Return an IPv4 address that is written as IPv6 (RFC 4291, 2.5.5.2) as IPv4."""
    if ":" not in ip:
        return ip
    try:
        mapped = ipaddress.IPv6Address(ip).ipv4_mapped
    except ValueError:
        return ip
    return ip if mapped is None else str(mapped)


def network_of(client_ip: str) -> str:
    """Return what one client controls: an IPv4 address or a /64 network of IPv6 (RFC 6177)."""
    try:
        ip = ipaddress.ip_address(unmap(client_ip))
    except ValueError:
        return client_ip
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
