"""No network for a child process: the kernel refuses it internet sockets, whatever the program is configured to do.

A seccomp filter (Linux, x86-64 and arm64) makes ``socket(AF_INET…)`` and ``socket(AF_INET6…)`` fail with EACCES.
It needs no privilege, holds for all descendants and cannot be taken off. Source: the Linux kernel's
Documentation/userspace-api/seccomp_filter.rst, linux/bpf_common.h, linux/seccomp.h, linux/audit.h.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
import struct
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""AUDIT_ARCH value and number of the system call ``socket``."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _instructions(architecture: int, socket_call: int) -> list[tuple[int, int, int, int]]:
    """(code, jump if true, jump if false, operand): everything but internet sockets, and no foreign architecture."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUALS, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_EQUALS, 0, 3, socket_call),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUALS, 2, 0, socket.AF_INET),
        (_EQUALS, 1, 0, socket.AF_INET6),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
    ]


def confinement() -> Callable[[], None]:
    """What a child is to call between fork and exec: it dies with its parent and gets no internet socket.

    Everything is prepared here, since between fork and exec little is safe. Where the kernel knows no such filter
    (not Linux, another processor), the child only dies with its parent.
    """
    if sys.platform != "linux":
        return _nothing
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    machine = _MACHINES.get(platform.machine())
    code = b"".join(struct.pack("<HBBI", *step) for step in _instructions(*machine)) if machine else b""
    program = _Program(len(code) // 8, code)

    def confine() -> None:
        prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if code:
            prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            if prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "this system does not allow seccomp filters")

    return confine


def _nothing() -> None:
    return
