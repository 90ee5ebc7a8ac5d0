"""Images that come and go: pull, push, save, load, commit."""

import random
import shutil
import subprocess

from scenario import Measured, usage

# Each layer unpacked once and hashed once, by one process each.
UNPACK = """set -euo pipefail
for layer in "$@"; do zcat "$layer" | tee >(sha256sum >&2) | tar -xf -; done"""
PACK = "set -euo pipefail; tar -C \"$1\" -cf - . | sha256sum"


def hundred(root, size):
    """A directory of 100 files, 100 MB together, that compress to a half or so."""
    path = root / "hundred"
    if not path.exists():
        path.mkdir()
        dice = random.Random(2)
        words = [dice.randbytes(dice.randint(3, 12)) for _ in range(5000)]
        for n in range(100):
            (path / str(n)).write_bytes(b"".join(dice.choices(words, k=int(140_000 * size)))[:int(1_000_000 * size)])
    return path


def shell(script, directory, *arguments):
    """What a script of bash takes in an empty directory."""
    directory.mkdir()
    try:
        return usage(["bash", "-c", script, "bash", *map(str, arguments)], cwd=directory)
    finally:
        shutil.rmtree(directory)


def archive(root):
    """The image as docker writes it, by skopeo."""
    path = root / "big.tar"
    if not path.exists():
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci:{root}/gzip",
                        f"docker-archive:{path}:bench-loaded:latest"], check=True)
    return path


def rows(registry, second, root, size):
    box, big = f"{registry.host}/box:latest", f"{registry.host}/big-gzip:latest"
    pushed = f"{second.host}/pushed:latest"

    def pull(engine):
        spent = engine.usage("pull", "-q", big)
        engine.run("rmi", "-f", big)
        return spent

    def have(engine):
        engine.run("pull", "-q", big)

    def have_not(engine):
        engine.run("rmi", "-f", big, check=False)

    def push(engine):
        second.empty()
        engine.run("tag", big, pushed)
        return engine.usage("push", "-q", pushed)

    def pushed_all(engine):
        engine.run("rmi", "-f", pushed, check=False)
        have_not(engine)

    def save(engine):
        path = engine.root / "saved.tar"
        try:
            return engine.usage("save", "-o", str(path), big)
        finally:
            path.unlink(missing_ok=True)

    def load(engine):
        spent = engine.usage("load", "-q", "-i", str(archive(root)))
        names = ("localhost/bench-loaded:latest", "docker.io/library/bench-loaded:latest", "bench-loaded:latest")
        # Not forced: that succeeds for a name that is not there.
        if not any(engine.works("rmi", name) for name in names):
            raise RuntimeError("what was loaded is not there")
        return spent

    def changed(engine):
        engine.run("rm", "-f", "bench-commit", check=False)
        engine.run("run", "--name", "bench-commit", "--network", "none", "-v", f"{hundred(root, size)}:/h:ro", box,
                   "busybox", "cp", "-r", "/h", "/changed")
        engine.made.append("bench-commit")

    def commit(engine):
        spent = engine.usage("commit", "bench-commit", "bench-committed")
        engine.run("rmi", "-f", "bench-committed")
        return spent

    def unpacking():
        layers = sorted((root / "gzip/blobs/sha256").iterdir(), key=lambda p: p.stat().st_size)[-5:]
        return "zcat | sha256sum | tar -x", shell(UNPACK, root / "floor", *layers)

    def packing():
        return "tar | sha256sum", shell(PACK, root / "floor", hundred(root, size))

    for one in (Measured("images: pull 600 MB", 3, pull, floor=unpacking),
                Measured("images: push 600 MB", 3, push, have, pushed_all),
                Measured("images: save 600 MB", 3, save, have, have_not),
                Measured("images: load 600 MB", 3, load),
                Measured("images: commit 100 MB", 5, commit, changed,
                         lambda e: e.run("rm", "-f", "bench-commit", check=False), packing)):
        yield from one.rows()
