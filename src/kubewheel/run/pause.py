"""The pause program: what holds a pod's namespaces. A static ELF put together here, since users have no compiler.

In: nothing. Out: bytes of an executable that reaps zombies (it may be PID 1 of a shared PID namespace) and exits on
SIGINT or SIGTERM. Called by: run/images.

It blocks TERM, INT and CHLD, then loops: reap with wait4(-1, WNOHANG) until there is nothing, rt_sigtimedwait; anything
but CHLD ends it with status 0. Blocked signals reach even PID 1, where unhandled ones would be dropped.
"""

from __future__ import annotations

import struct

BASE = 0x400000
HEADERS = 64 + 56
SIGNALS = 1 << (15 - 1) | 1 << (2 - 1) | 1 << (17 - 1)  # TERM, INT, CHLD


def executable(architecture: str) -> bytes:
    """KeyError for an architecture without a program here."""
    machine, code = {"amd64": (62, _amd64), "arm64": (183, _arm64)}[architecture]
    mask_at = BASE + HEADERS
    body = struct.pack("<Q", SIGNALS)
    program = code(mask_at)
    entry = mask_at + len(body)
    size = HEADERS + len(body) + len(program)
    header = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8) + struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    return header + segment + body + program


def _amd64(mask_at: int) -> bytes:
    def load(register: bytes, value: int) -> bytes:  # mov r32, imm32
        return register + struct.pack("<I", value)

    eax, edi, esi, edx = b"\xb8", b"\xbf", b"\xbe", b"\xba"
    clear_edx, clear_esi, clear_edi, clear_r10 = b"\x31\xd2", b"\x31\xf6", b"\x31\xff", b"\x4d\x31\xd2"
    syscall = b"\x0f\x05"
    # rt_sigprocmask(SIG_BLOCK, &mask, 0, 8)
    block = (load(eax, 14) + clear_edi + load(esi, mask_at) + clear_edx + b"\x41\xba" + struct.pack("<I", 8) + syscall)
    # wait4(-1, 0, WNOHANG, 0); again while it returned a pid
    reap = load(eax, 61) + b"\x48\xc7\xc7\xff\xff\xff\xff" + clear_esi + load(edx, 1) + clear_r10 + syscall
    reap += b"\x85\xc0"  # test eax, eax
    reap += b"\x7f" + struct.pack("<b", -(len(reap) + 2))  # jg reap
    # rt_sigtimedwait(&mask, 0, 0, 8)
    wait = load(eax, 128) + load(edi, mask_at) + clear_esi + clear_edx + b"\x41\xba" + struct.pack("<I", 8) + syscall
    again = b"\x83\xf8\x11"  # cmp eax, SIGCHLD
    again += b"\x74" + struct.pack("<b", -(len(reap) + len(wait) + len(again) + 2))  # je reap
    # -EINTR (stopped and continued, or traced) is no signal of ours: wait again
    again += b"\x83\xf8\xfc"  # cmp eax, -EINTR
    again += b"\x74" + struct.pack("<b", -(len(reap) + len(wait) + len(again) + 2))
    leave = load(eax, 231) + clear_edi + syscall  # exit_group(0)
    return block + reap + wait + again + leave


def _arm64(mask_at: int) -> bytes:
    def movz(register: int, value: int, shift: int = 0) -> int:
        return 0xD2800000 | (shift // 16) << 21 | (value & 0xFFFF) << 5 | register

    def movk(register: int, value: int, shift: int) -> int:
        return 0xF2800000 | (shift // 16) << 21 | (value & 0xFFFF) << 5 | register

    def address(register: int) -> list[int]:
        return [movz(register, mask_at), movk(register, mask_at >> 16, 16)]

    svc = 0xD4000001
    block = [movz(0, 0), *address(1), movz(2, 0), movz(3, 8), movz(8, 135), svc]
    reap = [0x92800000, movz(1, 0), movz(2, 1), movz(3, 0), movz(8, 260), svc]  # movn x0, 0
    reap += [0xF100001F]  # cmp x0, #0
    reap += [0x5400000C | (-len(reap) & 0x7FFFF) << 5]  # b.gt reap
    wait = [*address(0), movz(1, 0), movz(2, 0), movz(3, 8), movz(8, 137), svc]
    again = [0xF100441F]  # cmp x0, #17
    again += [0x54000000 | (-(len(reap) + len(wait) + len(again)) & 0x7FFFF) << 5]  # b.eq reap
    again += [0xB100101F]  # cmn x0, #4
    again += [0x54000000 | (-(len(reap) + len(wait) + len(again)) & 0x7FFFF) << 5]
    leave = [movz(0, 0), movz(8, 94), svc]
    return struct.pack(f"<{len(block + reap + wait + again + leave)}I", *block, *reap, *wait, *again, *leave)
