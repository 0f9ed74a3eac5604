"""The few raw system calls that the self-check needs and Python does not offer, for x86-64 Linux.

Numbers and layouts are those of the kernel's uapi headers (asm/unistd_64.h, linux/seccomp.h,
linux/landlock.h, linux/fs.h, linux/quota.h, linux/prctl.h).
"""

import ctypes
import fcntl
import os
import struct

LIBC = ctypes.CDLL(None, use_errno=True)

NR_SECCOMP = 317
NR_LANDLOCK_CREATE_RULESET = 444
NR_QUOTACTL_FD = 443

PR_SET_NO_NEW_PRIVS = 38
PR_SCHED_CORE = 62
PR_SCHED_CORE_GET = 0

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_USER_NOTIF = 0x7FC00000
SECCOMP_IOCTL_NOTIF_RECV = 0xC0502100
SECCOMP_IOCTL_NOTIF_SEND = 0xC0182101

FS_IOC_FSGETXATTR = 0x801C581F
FS_IOC_FSSETXATTR = 0x401C5820
FS_XFLAG_PROJINHERIT = 0x200
Q_SETQUOTA_PROJECT = (0x800008 << 8) | 2  # QCMD(Q_SETQUOTA, PRJQUOTA)
QIF_LIMITS = 5  # QIF_BLIMITS | QIF_ILIMITS


def check(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def prctl(option, *arguments):
    values = [ctypes.c_ulong(value) for value in arguments] + [ctypes.c_ulong(0)] * 4
    return check(LIBC.prctl(ctypes.c_int(option), *values[:4]), f"prctl({option})")


def syscall(number, *arguments):
    return check(LIBC.syscall(ctypes.c_long(number), *arguments), f"system call {number}")


def landlock_abi():
    return syscall(NR_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))


def core_scheduling_cookie(pid=0):
    """A task's core-scheduling cookie; EINVAL without kernel support, ENODEV without SMT."""
    cookie = ctypes.c_ulong()
    values = [ctypes.c_ulong(PR_SCHED_CORE_GET), ctypes.c_ulong(pid), ctypes.c_ulong(0),
              ctypes.byref(cookie)]
    check(LIBC.prctl(ctypes.c_int(PR_SCHED_CORE), *values), "prctl(PR_SCHED_CORE)")
    return cookie.value


def listen_for(syscall_number):
    """Installs a filter that hands `syscall_number` to the returned notification descriptor."""
    statements = [(0x20, 0, 0, 0),  # load seccomp_data.nr
                  (0x15, 0, 1, syscall_number),
                  (0x06, 0, 0, SECCOMP_RET_USER_NOTIF),
                  (0x06, 0, 0, SECCOMP_RET_ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *s) for s in statements))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxQ", len(statements), ctypes.addressof(code)))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    return syscall(NR_SECCOMP, ctypes.c_uint(SECCOMP_SET_MODE_FILTER),
                   ctypes.c_uint(SECCOMP_FILTER_FLAG_NEW_LISTENER), program)


def answer_one(listener, value):
    """Waits for one notification and makes the notified call return `value`."""
    request = bytearray(80)
    fcntl.ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request)
    (identity,) = struct.unpack_from("Q", request)
    fcntl.ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND,
                bytearray(struct.pack("QqiI", identity, value, 0, 0)))


def set_project(directory, project):
    """Gives a directory, and what is made in it later, a project id."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        attributes = bytearray(28)
        fcntl.ioctl(fd, FS_IOC_FSGETXATTR, attributes)
        flags, extent, extents, _, cow = struct.unpack_from("5I", attributes)
        struct.pack_into("5I", attributes, 0, flags | FS_XFLAG_PROJINHERIT, extent, extents,
                         project, cow)
        fcntl.ioctl(fd, FS_IOC_FSSETXATTR, bytes(attributes))
    finally:
        os.close(fd)


def limit_project(directory, project, bytes_max, inodes_max):
    """Sets the hard limits of a project on the file system of `directory`."""
    blocks = bytes_max // 1024
    limits = struct.pack("8QIxxxx", blocks, blocks, 0, inodes_max, inodes_max, 0, 0, 0, QIF_LIMITS)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        syscall(NR_QUOTACTL_FD, ctypes.c_uint(fd), ctypes.c_uint(Q_SETQUOTA_PROJECT),
                ctypes.c_uint(project), ctypes.create_string_buffer(limits))
    finally:
        os.close(fd)
