"""Bytes that processes sent and received over TCP, as the Linux kernel counts them for each connection (sock_diag).

Connections are found by the inodes among the processes' open descriptors. A connection that opens and closes between
two calls is missed. Elsewhere than on Linux, or where the kernel refuses, nothing is returned.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Iterator

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_INFO = 2  # INET_DIAG_INFO: attach struct tcp_info
_ALL_STATES = 0xFFF & ~(1 << 10)  # listening sockets carry no bytes
_HEADER = struct.Struct("=IHHII")
_DIAG_BYTES = 72  # struct inet_diag_msg; its last field is the inode
# Places in struct tcp_info (linux/tcp.h). Acknowledged bytes count a connection's opening too, so the bytes sent less
# those sent again are better where the kernel has them (4.19).
_ACKED_AT, _RECEIVED_AT, _SENT_AT = 120, 128, 200


class TcpBytes:
    """Remembers what each connection of the asked processes carried, closed ones included."""

    def __init__(self) -> None:
        """Open the kernel's socket, where there is one."""
        self._seen: dict[int, tuple[int, int]] = {}  # inode -> (sent, received)
        self._netlink: socket.socket | None = None
        with contextlib.suppress(OSError, AttributeError):
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
            self._netlink.settimeout(0.2)

    def of(self, pids: Iterable[int]) -> dict[str, float]:
        """Return bytes sent and received so far; empty where the kernel does not tell."""
        if self._netlink is None:
            return {}
        inodes = {inode for pid in pids for inode in _socket_inodes(pid)}
        if inodes:
            try:
                for family in (socket.AF_INET, socket.AF_INET6):
                    for inode, sent, received in _connections(self._netlink, family):
                        if inode in inodes:
                            self._seen[inode] = (sent, received)
            except OSError:
                self.close()
                return {}
        return {
            "tcp_sent_bytes": float(sum(sent for sent, _ in self._seen.values())),
            "tcp_received_bytes": float(sum(received for _, received in self._seen.values())),
        }

    def close(self) -> None:
        """Close the kernel's socket."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None


def _socket_inodes(pid: int) -> Iterator[int]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            target = os.readlink(f"{folder}/{name}")
            if target.startswith("socket:["):
                yield int(target[8:-1])


def _connections(netlink: socket.socket, family: int) -> Iterator[tuple[int, int, int]]:
    """Yield (inode, bytes sent and acknowledged, bytes received) of each TCP connection of this network namespace."""
    request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ALL_STATES)
    netlink.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
    while True:
        data = netlink.recv(1 << 16)
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                raise OSError(-struct.unpack_from("=i", data, at + _HEADER.size)[0], "sock_diag")
            if kind == _SOCK_DIAG_BY_FAMILY:
                yield from _parsed(data[at + _HEADER.size : at + length])
            at += (length + 3) & ~3


def _parsed(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the one connection of a message if its attributes carry byte counts."""
    (inode,) = struct.unpack_from("=I", message, _DIAG_BYTES - 4)
    at = _DIAG_BYTES
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if kind == _INFO and length >= 4 + _RECEIVED_AT + 8:
            sent, received = struct.unpack_from("=QQ", message, at + 4 + _ACKED_AT)
            if length >= 4 + _SENT_AT + 16:
                total, again = struct.unpack_from("=QQ", message, at + 4 + _SENT_AT)
                sent = total - again
            yield inode, sent, received
        at += max((length + 3) & ~3, 4)
