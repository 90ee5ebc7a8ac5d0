"""Compiles a Docker seccomp profile with libseccomp, the way runc does.

stdin: {"profile": {...}, "caps": ["CAP_..."], "numbers": {"name": n}}; `numbers`
are native calls that this libseccomp is too old to name. stdout: one line for
each of the three ABIs of x86_64, its BPF program in hex."""

import ctypes
import json
import os
import sys
import tempfile

LIB = ctypes.CDLL("libseccomp.so.2", use_errno=True)
LIB.seccomp_init.restype = ctypes.c_void_p
ARCHES = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X32": 0x4000003E, "SCMP_ARCH_X86": 0x40000003}
NATIVE = ARCHES["SCMP_ARCH_X86_64"]
OPERATORS = ["", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
ACTIONS = {
    "KILL": 0, "KILL_THREAD": 0, "KILL_PROCESS": 0x80000000, "TRAP": 0x30000,
    "ERRNO": 0x50000, "TRACE": 0x7FF00000, "LOG": 0x7FFC0000, "ALLOW": 0x7FFF0000,
}
ACT_BADARCH = 2


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def check(result, what):
    if result < 0:
        sys.exit(f"{what}: {os.strerror(-result)}")


def action(name, errno):
    value = ACTIONS[name.removeprefix("SCMP_ACT_")]
    return value | (1 if errno is None else errno) if name.endswith(("ERRNO", "TRACE")) else value


def applies(call, caps):
    out, into = call.get("excludes") or {}, call.get("includes") or {}
    if set(out.get("caps") or []) & caps or "amd64" in (out.get("arches") or []):
        return False
    arches = into.get("arches") or ["amd64"]
    return set(into.get("caps") or []) <= caps and "amd64" in arches


def rules_of(args):
    compares = [Compare(a["index"], OPERATORS.index(a["op"].removeprefix("SCMP_CMP_")), a["value"], a.get("valueTwo", 0)) for a in args]
    repeated = len({c.arg for c in compares}) < len(compares)
    return [[c] for c in compares] if repeated else [compares]


def add(context, call, default, arch, numbers):
    ret = action(call["action"], call.get("errnoRet"))
    if ret == default:
        return
    for name in call["names"]:
        number = LIB.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            if arch != NATIVE or name not in numbers:
                continue
            number = numbers[name]
        for compares in rules_of(call.get("args") or []):
            array = (Compare * len(compares))(*compares)
            result = LIB.seccomp_rule_add_array(ctypes.c_void_p(context), ctypes.c_uint32(ret), number, len(compares), array)
            if result != -17:  # the same rule twice
                check(result, name)


def program(request, arch):
    profile, caps = request["profile"], set(request["caps"])
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = LIB.seccomp_init(ctypes.c_uint32(default))
    pointer = ctypes.c_void_p(context)
    check(LIB.seccomp_attr_set(pointer, ACT_BADARCH, ctypes.c_uint32(default)), "bad arch")
    if arch != NATIVE:
        check(LIB.seccomp_arch_add(pointer, ctypes.c_uint32(arch)), "add arch")
        check(LIB.seccomp_arch_remove(pointer, ctypes.c_uint32(NATIVE)), "remove arch")
    for call in profile["syscalls"]:
        if applies(call, caps):
            add(context, call, default, arch, request["numbers"])
    with tempfile.TemporaryFile() as file:
        check(LIB.seccomp_export_bpf(pointer, file.fileno()), "export")
        file.seek(0)
        return file.read().hex()


REQUEST = json.load(sys.stdin)
for token in ARCHES.values():
    print(program(REQUEST, token))
