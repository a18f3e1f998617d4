#!/usr/bin/env python3
"""Runs a program under a wall clock of its own: the system's, and as many seconds on as a file says at that moment.

    clock.py FILE PROGRAM [ARGUMENT]...

The file holds an integer, which may be negative, and may be replaced while the program runs. No other clock is touched: the monotonic
one, by which a program measures how long something takes, goes on as it does when somebody sets a machine's clock.

A static program of Go's can't be told the time by a library that is loaded before it, so the kernel asks us. A filter (seccomp_unotify(2))
hands each `clock_gettime(CLOCK_REALTIME)` to a keeper, a process beside the program, which writes the answer into the program's memory.
Mostly a program asks no kernel, but the code that the kernel maps into it (vdso(7)). So the keeper stops it for a moment when it has been
loaded and takes that code's address out of what it is told at its start (getauxval(3)). The program has the process, and so the id, that
this script was started with, and signals reach it as ever. The keeper ends when it does.

For Linux 5.19 and later, x86-64 and AArch64 (tried on the former alone), and for programs that ask for the time as Go's do and start no
others. It needs no privileges.
"""

import ctypes
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import sys
import time

# What the kernel calls the architecture (AUDIT_ARCH_...), and its numbers for `clock_gettime` and `seccomp`.
NUMBERS = {"x86_64": (0xC000003E, 228, 317), "aarch64": (0xC00000B7, 113, 277)}

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_ulong, ctypes.c_ulong]
libc.ptrace.restype = libc.syscall.restype = ctypes.c_long


def main():
    file, *command = sys.argv[1:]
    program = os.getpid()
    to_keeper, to_program = socket.socketpair()
    keeper = os.fork()
    if keeper == 0:
        to_keeper.close()
        keep(program, to_program, file)
        return
    to_program.close()
    # Where only a parent may trace (Yama), the keeper may, too. Elsewhere that is an error, and no matter.
    libc.prctl(PR_SET_PTRACER, keeper, 0, 0, 0)
    socket.send_fds(to_keeper, [b"asked here"], [filtered()])
    if not to_keeper.recv(1):
        sys.exit("there is no keeper of the clock: what it said is above")
    os.execv(command[0], command)


def filtered():
    """From here on whoever asks for the time is answered by who listens at this descriptor (bpf(4), seccomp(2))."""
    if platform.machine() not in NUMBERS:
        sys.exit(f"no clock can be set on {platform.machine()}")
    architecture, clock_gettime, seccomp = NUMBERS[platform.machine()]
    # Each line: load a word of `struct seccomp_data`; go on where it is that value, else skip so many lines; answer.
    lines = [
        (LOAD, 0, 0, 4), (IS_EQUAL, 0, 5, architecture),
        (LOAD, 0, 0, 0), (IS_EQUAL, 0, 3, clock_gettime),
        (LOAD, 0, 0, 16), (IS_EQUAL, 0, 1, time.CLOCK_REALTIME),
        (ANSWER, 0, 0, SECCOMP_RET_USER_NOTIF),
        (ANSWER, 0, 0, SECCOMP_RET_ALLOW),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    described = struct.pack("@HP", len(lines), ctypes.addressof(code))
    done(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    arguments = (ctypes.c_long(seccomp), ctypes.c_ulong(SECCOMP_SET_MODE_FILTER), ctypes.c_ulong(flags))
    return done(libc.syscall(*arguments, described))


def keep(program, to_program, file):
    """Keeps the program's clock until it is over."""
    # Such may go to the whole group of processes, and the program, which may take its time to end, still wants to know what it is.
    for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    [asked] = socket.recv_fds(to_program, 16, 1)[1]
    done(libc.ptrace(PTRACE_SEIZE, program, 0, PTRACE_O_TRACEEXEC))
    to_program.send(b"!")
    _, status = os.waitpid(program, 0)
    if status >> 8 != signal.SIGTRAP | PTRACE_EVENT_EXEC << 8:
        sys.exit(f"the program did not begin: it is at {status:#x}")
    # It stays open, and so does the right to write there.
    memory = os.open(f"/proc/{program}/mem", os.O_RDWR)
    hide_vdso(program, memory)
    done(libc.ptrace(PTRACE_DETACH, program, 0, 0))
    answer(asked, memory, file)


def hide_vdso(program, memory):
    """Makes a program that has just been loaded believe that the kernel mapped no code into it."""

    def word(at):
        return struct.unpack("=Q", os.pread(memory, 8, at))[0]

    # Where its stack begins: arguments behind their count, the environment, and pairs (proc(5), `startstack`).
    with open(f"/proc/{program}/stat") as stat:
        at = int(stat.read().rpartition(")")[2].split()[25])
    at += 8 * (1 + word(at) + 1)
    while word(at):
        at += 8
    at += 8
    while word(at) not in (AT_NULL, AT_SYSINFO_EHDR):
        at += 16
    if word(at) == AT_SYSINFO_EHDR:
        os.pwrite(memory, struct.pack("=Q", AT_IGNORE), at)


def answer(asked, memory, file):
    """Says what time it is, as often as somebody asks, until there is nobody left who could."""
    waiting = select.poll()
    waiting.register(asked, select.POLLIN)
    while waiting.poll()[0][1] & select.POLLIN:
        question = bytearray(struct.calcsize(QUESTION))
        try:
            fcntl.ioctl(asked, SECCOMP_IOCTL_NOTIF_RECV, question)
            number, where = struct.unpack(QUESTION, question)
            with open(file) as ahead:
                now = time.time_ns() + int(ahead.read()) * NANOSECONDS
            os.pwrite(memory, struct.pack("=qq", *divmod(now, NANOSECONDS)), where)
            fcntl.ioctl(asked, SECCOMP_IOCTL_NOTIF_SEND, struct.pack(ANSWERED, number, 0, 0, 0))
        except OSError:
            # Who asked was killed meanwhile. Anything else would show at once: nobody is answered.
            continue


def done(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


NANOSECONDS = 1_000_000_000

# linux/filter.h
LOAD, IS_EQUAL, ANSWER = 0x20, 0x15, 0x06

# linux/seccomp.h. A question: number, process, flags; call, architecture, place, and six arguments, of which the second says where to
# write. An answer: number, result, error, flags.
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
# A signal interrupts nobody whose question was taken: else the answer might be written where something else stands by now.
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5
SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW = 0x7FC00000, 0x7FFF0000
SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND = 0xC0502100, 0xC0182101
QUESTION, ANSWERED = "=Q8x16x8xQ32x", "=QqiI"

# linux/prctl.h, linux/ptrace.h
PR_SET_NO_NEW_PRIVS, PR_SET_PTRACER = 38, 0x59616D61
PTRACE_SEIZE, PTRACE_DETACH, PTRACE_O_TRACEEXEC, PTRACE_EVENT_EXEC = 0x4206, 17, 1 << 4, 4

# linux/auxvec.h
AT_NULL, AT_IGNORE, AT_SYSINFO_EHDR = 0, 1, 33

if __name__ == "__main__":
    main()
