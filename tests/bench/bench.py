#!/usr/bin/env python3
"""Times wherry, and podman and docker where they are, on the same work.

    make bench
    tests/bench/bench.py target/wherry [--runs 0.5] [--only REGEX] [--peers podman]

Runs are interleaved: one of each contestant, then the next of each. Shown are
medians in milliseconds and the ratio to wherry. Images come from a registry on
127.0.0.1 (docker-registry, skopeo); stores are below a temporary directory and
removed. Run it as an ordinary user for the rootless figures, as root for
rootful ones. On a busy machine believe the ratios. `--size 0.1` makes the large
images a tenth, to see whether the rows work. Rows about networks and published
ports need iperf3, nginx-light and wrk.

Docker takes part when its daemon answers; as root, one of its own is started by

    tests/bench/dockerd tests/bench/bench.py target/wherry --only images

The rows about what is outside need a neighbour that root makes:

    tests/bench/outside USER tests/bench/bench.py target/wherry --outside --only outside
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import images
from scenario import Measured, Scenario, usage

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Contestant:
    """One engine with a store of its own."""

    def __init__(self, name, command, root, registries):
        self.name, self.command, self.root, self.daemon = name, command, root, None
        root.mkdir()
        (root / "registries.conf").write_text(
            "".join(f'[[registry]]\nlocation = "{r.host}"\ninsecure = true\n' for r in registries))
        self.run_dir = Path(tempfile.mkdtemp(prefix="wb", dir="/dev/shm"))
        self.env = {"PATH": PATH, "HOME": str(root), "XDG_DATA_HOME": str(root / "data"),
                    "XDG_RUNTIME_DIR": str(self.run_dir), "XDG_CONFIG_HOME": str(root / "config"),
                    "CONTAINERS_REGISTRIES_CONF": str(root / "registries.conf")}
        if name == "docker":
            self.env = {"PATH": PATH, "HOME": str(root), "DOCKER_BUILDKIT": "1"}
            self.env |= {n: os.environ[n] for n in ("DOCKER_HOST",) if n in os.environ}
            # Of a daemon that is not ours nothing can be asked.
            pids = [pid for pid in processes() if comm(pid) == "dockerd"] if os.geteuid() == 0 else []
            self.daemon = pids[0] if len(pids) == 1 else None
        self.made = []

    def start(self, *args, **options):
        return subprocess.Popen(self.command + list(args), env=self.env, stdin=subprocess.DEVNULL,
                                stdout=options.get("out", subprocess.DEVNULL),
                                stderr=subprocess.PIPE)

    def run(self, *args, check=True):
        """Runs a command; its stdout."""
        process = self.start(*args, out=subprocess.PIPE)
        out, err = process.communicate(timeout=600)
        if check and process.returncode != 0:
            raise RuntimeError(f"{self.name} {' '.join(args)}: {err.decode().strip()}")
        return out.decode()

    def time(self, *args):
        """Milliseconds of one command."""
        began = time.perf_counter()
        self.run(*args)
        return (time.perf_counter() - began) * 1000

    def usage(self, *args):
        """What one command takes."""
        if self.name == "docker" and not self.daemon:
            raise RuntimeError("only root can ask what dockerd takes, and of one daemon")
        return usage(self.command + list(args), self.env, self.daemon)

    def works(self, *args):
        return subprocess.run(self.command + list(args), env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def close(self):
        names = self.run("ps", "-aq", check=False).split()
        if self.name != "docker" and names:
            self.run("rm", "-f", *names, check=False)
        elif self.made:
            self.run("rm", "-f", *self.made, check=False)
        for path in (self.root, self.run_dir):
            shutil.rmtree(path, ignore_errors=True)
            if path.exists():
                subprocess.run(["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", path],
                               stderr=subprocess.DEVNULL, check=False)


class Registry:
    """docker-registry on a free port, with the images in it."""

    def __init__(self, root, name="registry"):
        config, self.storage = root / f"{name}.yml", root / name
        config.write_text("version: 0.1\nlog: {level: error}\nstorage: {filesystem: "
                          f"{{rootdirectory: {self.storage}}}}}\nhttp: {{addr: 127.0.0.1:%d}}\n" % self.free())
        self.host = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen(["docker-registry", "serve", str(config)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        sys.exit("docker-registry does not start (apt-get install docker-registry)")

    def free(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        return self.port

    def push(self, layout, name):
        subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false",
                        f"oci:{layout}", f"docker://{self.host}/{name}:latest"], check=True)

    def empty(self):
        shutil.rmtree(self.storage, ignore_errors=True)

    def close(self):
        self.process.terminate()
        self.process.wait()


def blob(layout, media, data):
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": media, "digest": "sha256:" + digest, "size": len(data)}


def write_image(layout, layers, packing):
    """An OCI layout of uncompressed tar layers."""
    base = "application/vnd.oci.image"
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    diff_ids = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in layers]
    described = []
    for tar in layers:
        if packing == "gzip":
            packed = gzip.compress(tar, 6, mtime=0)
        else:
            packed = subprocess.run(["zstd", "-q", "-3", "-c"], input=tar, stdout=subprocess.PIPE,
                                    check=True).stdout
        described.append(blob(layout, f"{base}.layer.v1.tar+{packing}", packed))
    config = {"architecture": arch, "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
              "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": [{"created_by": "bench"}] * len(layers)}
    manifest = {"schemaVersion": 2, "mediaType": f"{base}.manifest.v1+json",
                "config": blob(layout, f"{base}.config.v1+json", json.dumps(config).encode()),
                "layers": described}
    entry = blob(layout, manifest["mediaType"], json.dumps(manifest).encode())
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def tar_of(files):
    """files: (path, bytes or None for a directory, mode)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, data, mode in files:
            info = tarfile.TarInfo(path)
            info.mode = mode
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.size = len(data or b"")
            tar.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def busybox():
    binary = Path("/bin/busybox").read_bytes()
    files = [(name, None, 0o755) for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp")]
    files += [("bin/" + name, binary, 0o755) for name in ("busybox", "sh", "true", "sleep", "cat")]
    files += [("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644)]
    return tar_of(files)


def big(size):
    """Four layers of about 600 MB and 20,000 files that compress to a third or so;
    `size` is a factor."""
    dice = random.Random(1)
    words = [dice.randbytes(dice.randint(3, 12)) for _ in range(5000)]
    layers = [busybox()]
    for n in range(4):
        files = [(f"l{n}", None, 0o755)]
        for d in range(max(1, round(50 * size))):
            files.append((f"l{n}/{d}", None, 0o755))
            for f in range(100):
                data = b"".join(dice.choices(words, k=dice.choice((10, 200, 1000, 14000))))
                files.append((f"l{n}/{d}/{f}", data, 0o644))
        layers.append(tar_of(files))
    return layers


def pss(pids):
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
        except (OSError, TypeError):
            pass
    return total


def processes():
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def comm(pid):
    try:
        # The kernel keeps 15 characters.
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None
    return "containerd-shim" if name.startswith("containerd-shim") else name


def ten_monitors(engine, image):
    """PSS in KiB of the engine's processes for each of ten sleeping containers."""
    before = processes()
    for n in range(10):
        engine.run("run", "-d", "--name", f"bench-mem{n}", "--network", "none", image, "sleep", "600")
    engine.made += [f"bench-mem{n}" for n in range(10)]
    time.sleep(1)
    names = {Path(engine.command[0]).name, "conmon", "catatonit", "pasta", "pasta.avx2", "passt.avx2",
             "slirp4netns", "rootlessport", "fuse-overlayfs", "containerd-shim", "docker-proxy"}
    helpers = [pid for pid in processes() if pid not in before and comm(pid) in names]
    value = pss(helpers) / 10
    engine.run("rm", "-f", *[f"bench-mem{n}" for n in range(10)])
    return value


def together(engine, count, *args):
    began = time.perf_counter()
    running = [engine.start(*args) for _ in range(count)]
    for process in running:
        _, err = process.communicate(timeout=120)
        if process.returncode != 0:
            raise RuntimeError(f"{engine.name} {' '.join(args)}: {err.decode().strip()}")
    return (time.perf_counter() - began) * 1000


def lines(root):
    """200 MB of numbered lines."""
    path = root / "lines"
    with path.open("w") as out:
        for n in range(2_250_000):
            out.write(f"{n:08} the quick brown fox jumps over the lazy dog, and then it does it again and again\n")
    return path


def write_log(engine, image, path):
    """Milliseconds for a container that writes the file to its standard output."""
    engine.run("rm", "-f", "bench-log", check=False)
    driver = {"podman": "k8s-file"}.get(engine.name, "json-file")
    began = time.perf_counter()
    engine.run("run", "-d", "--name", "bench-log", "--network", "none", "--log-driver", driver, "--log-opt",
               "max-size=1g", "-v", f"{path}:/lines:ro", image, "cat", "/lines")
    engine.run("wait", "bench-log")
    engine.made.append("bench-log")
    return (time.perf_counter() - began) * 1000


NEIGHBOUR = "198.51.100.1"
# What dynamic programs of the host need in a container.
HOSTS_OWN = [word for name in ("/usr", "/lib", "/lib64") if Path(name).exists()
             for word in ("-v", f"{name}:{name}:ro")]
CONNECT = """
import os, socket, statistics, sys, time
def connects(end):
    taken = []
    while time.perf_counter() < end:
        began = time.perf_counter()
        with socket.create_connection(("%s", 7000)) as s:
            taken.append(time.perf_counter() - began)
            s.recv(1)
    return taken
count, seconds = int(sys.argv[1]), float(sys.argv[2])
end = time.perf_counter() + seconds
pipes = []
for _ in range(count):
    read, write = os.pipe()
    if os.fork() == 0:
        taken = connects(end)
        os.write(write, f"{len(taken)} {statistics.median(taken)}".encode())
        os._exit(0)
    pipes.append(read)
parts = [os.read(p, 100).split() for p in pipes]
print(sum(int(n) for n, _ in parts) / seconds, float(parts[0][1]) * 1e6)
""" % NEIGHBOUR


def in_container(engine, image, *command):
    return engine.run("run", "--rm", *HOSTS_OWN, image, *command)


def gbits(report):
    """What arrived, by a report of iperf3."""
    try:
        report = json.loads(report)
        if "error" in report:
            raise RuntimeError(f"iperf3: {report['error']}")
        return report["end"]["sum_received"]["bits_per_second"] / 1e9
    except (ValueError, KeyError) as error:
        raise RuntimeError(f"iperf3 has no report: {error!r}") from error


def iperf(engine, image, *options):
    """Gbit/s that arrive."""
    command = ["/usr/bin/iperf3", "-c", NEIGHBOUR, "-t", "4", "-J", *options]
    report = in_container(engine, image, *command) if engine else subprocess.check_output(command)
    return gbits(report)


def connects(engine, image, count, column):
    command = ["/usr/bin/python3", "-c", CONNECT, str(count), "3"]
    out = in_container(engine, image, *command) if engine else subprocess.check_output(command)
    return float(out.split()[column])


def outside(box):
    """What the host itself gets is printed below each row."""
    def row(name, work, unit, more):
        def host():
            return "the host itself", statistics.median(work(None) for _ in range(3))
        return Scenario(f"outside, {name}", 3, work, unit=unit, more=more, floor=host)

    for name, options in (("to", ()), ("from", ("-R",)), ("to, 4 streams", ("-P", "4"))):
        yield row(name, lambda e, o=options: iperf(e, box, *o), "Gbit/s", True)
    yield row("new connections", lambda e: connects(e, box, 8, 0), "per s", True)
    yield row("one connect", lambda e: connects(e, box, 1, 1), "us", False)


STEPS = """FROM {box}
ENV A=1 B=2
WORKDIR /app
COPY few/ /app/few/
RUN echo one >one && busybox mkdir -p d/1 d/2
RUN for i in 1 2 3 4 5 6 7 8 9; do echo $i >d/1/$i; done
COPY tree/ /app/tree/
RUN cat tree/0/* >all
RUN busybox rm d/1/1 && busybox cp all all2
LABEL x=y
RUN busybox find /app -type f >list
CMD ["sh", "-c", "cat /app/list"]
"""
NOTHING = "FROM {box}\n" + "RUN true\n" * 10
FILES = "FROM {box}\nCOPY . /all\n"
STAGES = """FROM {box} AS a
RUN sleep 5; echo a >/a
FROM {box} AS b
RUN sleep 5; echo b >/b
FROM {box}
COPY --from=a /a /
COPY --from=b /b /
"""


def context(root, name, dockerfile, directories=0, each=0, size=1000):
    """A directory to build in."""
    path = root / name
    if not path.exists():
        (path / "few").mkdir(parents=True)
        (path / "few/a").write_text("a\n")
        for d in range(directories):
            (path / f"tree/{d}").mkdir(parents=True)
            for f in range(each):
                (path / f"tree/{d}/{f}").write_text(f"{d} {f}\n" * size)
        (path / "Dockerfile").write_text(dockerfile)
    return path


def builds(box, root):
    steps, nothing, files, stages = (text.format(box=box) for text in (STEPS, NOTHING, FILES, STAGES))
    twelve = context(root, "twelve", steps, 10, 30)
    many = context(root, "many", files, 100, 100, 10)

    def build(engine, path, *options):
        return engine.time("build", "-q", *options, "-t", f"bench-{path.name}", str(path))

    def changed(engine):
        (many / "tree/50/50").write_text(f"{time.time_ns()}\n")
        return build(engine, many)

    yield from Measured("build 12 steps, cold", 5, lambda e: e.usage(
        "build", "-q", "--no-cache", "-t", "bench-twelve", str(twelve))).rows()
    yield Scenario("build 12 steps, cached", 30, lambda e: build(e, twelve), lambda e: build(e, twelve))
    yield Scenario("build, each of 10 empty RUN", 5,
                   lambda e: build(e, context(root, "nothing", nothing), "--no-cache") / 10)
    yield Scenario("build, 10,000 files, cached", 10, lambda e: build(e, many), lambda e: build(e, many))
    yield Scenario("build, 10,000 files, one changed", 5, changed, lambda e: build(e, many))
    yield Scenario("build, two stages of 5 s", 1,
                   lambda e: build(e, context(root, "stages", stages), "--no-cache"))


ASK = """
import socket, struct, sys
question = struct.pack(">6H", 7, 256, 1, 0, 0, 0) + b"\\x0a" + b"bench-peer" + struct.pack(">BHH", 0, 1, 1)
lost = 0
for _ in range(int(sys.argv[1])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.sendto(question, ("127.0.0.11", 53))
        try:
            lost += s.recv(512)[7] != 1
        except TimeoutError:
            lost += 1
print(lost)
"""


class Bridged:
    """A network with a server of iperf3 in it, and a sleeper on the default one."""

    def __init__(self, image):
        self.image = image

    def up(self, engine):
        engine.run("network", "create", "bench-net")
        engine.run("run", "-d", "--name", "bench-peer", "--network", "bench-net", *HOSTS_OWN, self.image,
                   "/usr/bin/iperf3", "-s")
        engine.run("run", "-d", "--name", "bench-first", self.image, "sleep", "600")
        engine.made += ["bench-peer", "bench-first"]
        time.sleep(1)

    def down(self, engine):
        engine.run("rm", "-f", "bench-peer", "bench-first", check=False)
        engine.run("network", "rm", "bench-net", check=False)

    def inside(self, engine, *command):
        return engine.run("run", "--rm", "--network", "bench-net", *HOSTS_OWN, self.image, *command)

    def iperf(self, engine):
        """Gbit/s from one container to another."""
        report = self.inside(engine, "/usr/bin/iperf3", "-c", "bench-peer", "-t", "3", "-J")
        return gbits(report)

    def names(self, engine):
        """10,000 questions while containers come and go; how many were lost."""
        asker = engine.start("run", "--rm", "--network", "bench-net", *HOSTS_OWN, self.image,
                             "/usr/bin/python3", "-c", ASK, "10000", out=subprocess.PIPE)
        for _ in range(5):
            together(engine, 10, "run", "--rm", "--network", "bench-net", self.image, "true")
        out, err = asker.communicate(timeout=300)
        if asker.returncode != 0:
            raise RuntimeError(err.decode().strip())
        return float(out)


NGINX = """daemon off; user root; pid /tmp/pid; error_log stderr; worker_processes 1;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
  uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e; keepalive_requests 1000000;
  server { listen 80; location / { return 200 "hello\\n"; } } }
"""


class Published:
    """A container with iperf3 and nginx behind published ports of 127.0.0.1."""

    def __init__(self, image):
        self.image = image
        self.ports = {}

    def up(self, engine):
        config = engine.root / "nginx"
        config.mkdir(exist_ok=True)
        (config / "nginx.conf").write_text(NGINX)
        engine.run("run", "-d", "--name", "bench-web", "-p", "127.0.0.1::5201", "-p", "127.0.0.1::80",
                   *HOSTS_OWN, "-v", f"{config}:/n:ro", self.image, "sh", "-c",
                   "busybox mkdir -p /var/log/nginx; echo root:x:0: >/etc/group; "
                   "/usr/bin/iperf3 -s >/dev/null & exec /usr/sbin/nginx -c /n/nginx.conf")
        engine.made.append("bench-web")
        self.ports[engine.name] = [self.port(engine, inner) for inner in ("5201", "80")]
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", self.ports[engine.name][1]), 1) as stream:
                    stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    if stream.recv(100).startswith(b"HTTP/1.1 200"):
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"nginx does not answer: {engine.run('logs', 'bench-web', check=False)}")

    def at(self, engine):
        if engine.name not in self.ports:
            raise RuntimeError("the container is not there")
        return self.ports[engine.name]

    def port(self, engine, inner):
        out = engine.run("port", "bench-web", inner)
        if ":" not in out:
            raise RuntimeError(f"{engine.name} publishes nothing: {engine.run('logs', 'bench-web', check=False)}")
        return int(out.splitlines()[0].rsplit(":", 1)[1])

    def down(self, engine):
        engine.run("rm", "-f", "bench-web", check=False)

    def iperf(self, engine, *options):
        command = ["iperf3", "-c", "127.0.0.1", "-p", str(self.at(engine)[0]), "-t", "3", "-J", *options]
        return gbits(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)

    def wrk(self, engine, *options):
        """Requests per second, and the time in which 99 % of them were answered."""
        url = f"http://127.0.0.1:{self.at(engine)[1]}/"
        out = subprocess.run(["wrk", "-t", "1", "-d", "3s", "--latency", *options, url],
                             stdout=subprocess.PIPE, check=True).stdout.decode()
        rate = float(re.search(r"Requests/sec:\s*([0-9.]+)", out)[1])
        tail, unit = re.search(r"99%\s*([0-9.]+)(us|ms|s)\b", out).groups()
        return rate, float(tail) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    def scenarios(self):
        yield Scenario("published, to the container", 3, self.iperf, self.up, unit="Gbit/s", more=True)
        yield Scenario("published, from the container", 3, lambda e: self.iperf(e, "-R"), unit="Gbit/s", more=True)
        alive, new = ("-c", "16"), ("-c", "8", "-H", "Connection: close")
        for name, options, after in (("kept alive", alive, None), ("new connections", new, self.down)):
            yield Scenario(f"published, requests, {name}", 3, lambda e, o=options: self.wrk(e, *o)[0],
                           unit="per s", more=True)
            yield Scenario(f"published, slowest 1 %, {name}", 3, lambda e, o=options: self.wrk(e, *o)[1], after=after)


def bare_pair():
    """Gbit/s between two namespaces on one bridge, without any engine."""
    script = """
set -e
ip link add br0 type bridge && ip addr add 10.9.9.1/24 dev br0 && ip link set br0 up
for n in 2 3; do
    unshare --net sleep 30 & pid=$!
    while [ "$(readlink /proc/$pid/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
    ip link add v$n master br0 type veth peer name eth0 netns $pid && ip link set v$n up
    nsenter -t $pid -n ip addr add 10.9.9.$n/24 dev eth0 && nsenter -t $pid -n ip link set eth0 up
    [ $n = 3 ] || { nsenter -t $pid -n iperf3 -s >/dev/null & }
done
sleep 1
nsenter -t $pid -n iperf3 -c 10.9.9.2 -t 3 -J
kill $(jobs -p)
"""
    command = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "bash", "-c", script]
    report = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    return "two namespaces on a bridge", gbits(report)


def scenarios(registry, second, root, size):
    box, none = f"{registry.host}/box:latest", ("--network", "none")

    def hundred(engine):
        for n in range(100):
            engine.run("create", "--name", f"bench-ps{n}", *none, box, "true")
            engine.made.append(f"bench-ps{n}")

    def no_hundred(engine):
        engine.run("rm", *[f"bench-ps{n}" for n in range(100)])

    def sleeper(engine):
        engine.run("run", "-d", "--name", "bench-exec", *none, box, "sleep", "600")
        engine.made.append("bench-exec")

    yield Scenario("run --rm --network none IMAGE true", 50,
                   lambda e: e.time("run", "--rm", *none, box, "true"))
    yield Scenario("run --rm IMAGE true (default network)", 20, lambda e: e.time("run", "--rm", box, "true"))
    net = Bridged(box)
    yield Scenario("networks: run --rm IMAGE, network is up", 50, lambda e: e.time("run", "--rm", box, "true"), net.up)
    yield Scenario("networks: run --rm --network N IMAGE", 50,
                   lambda e: e.time("run", "--rm", "--network", "bench-net", box, "true"))
    yield Scenario("networks: container to container", 3, net.iperf, unit="Gbit/s", more=True, floor=bare_pair)
    yield Scenario("networks: lost of 10,000 questions", 1, net.names, after=net.down, unit="")
    yield from Published(box).scenarios()
    yield Scenario("exec C true", 50, lambda e: e.time("exec", "bench-exec", "true"), sleeper,
                   lambda e: e.run("rm", "-f", "bench-exec"))
    yield Scenario("ps -a, 100 containers", 30, lambda e: e.time("ps", "-a"), hundred, no_hundred)
    yield Scenario("images", 30, lambda e: e.time("images"))
    yield Scenario("inspect IMAGE", 30, lambda e: e.time("inspect", box))
    yield Scenario("20 run --rm at once", 5,
                   lambda e: together(e, 20, "run", "--rm", *none, box, "true"))
    yield from builds(box, root)
    yield Scenario("memory per idle container", 1, lambda e: ten_monitors(e, box), unit="KiB PSS")
    yield Scenario("200 MB of lines into the log", 3, lambda e: write_log(e, box, root / "lines"))
    yield Scenario("200 MB of lines read back", 3, lambda e: e.time("logs", "bench-log"),
                   lambda e: write_log(e, box, root / "lines"))
    yield Scenario("logs --tail 100 of them", 20, lambda e: e.time("logs", "--tail", "100", "bench-log"),
                   lambda e: write_log(e, box, root / "lines"), lambda e: e.run("rm", "-f", "bench-log"))
    yield from images.rows(registry, second, root, size)
    zstd = f"{registry.host}/big-zstd:latest"

    def fetch(engine):
        taken = engine.time("pull", "-q", zstd)
        engine.run("rmi", "-f", zstd)
        return taken
    yield Scenario("images: pull 600 MB, zstd", 3, fetch)


def peers(wanted):
    found = []
    for name in wanted:
        program = docker() if name == "docker" else shutil.which(name, path=PATH)
        if program is None:
            continue
        works = subprocess.run([program, "info"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               timeout=60, check=False).returncode == 0
        print(f"{name}: " + ("takes part" if works else "is there but does not work, left out"))
        if works:
            found.append((name, [program] + runtime(name)))
    return found


def docker():
    """The first client that builds by BuildKit, else the first: from 23 on that takes
    the plugin buildx."""
    found = [program for program in (shutil.which("docker", path=d) for d in PATH.split(":")) if program]

    def builds(program):
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        major = re.search(r"version (\d+)", version)
        return (major and int(major[1]) < 23) or subprocess.run(
            [program, "buildx", "version"], capture_output=True, check=False).returncode == 0
    return next(filter(builds, found), next(iter(found), None))


def runtime(name):
    """crun, podman's default, refuses hosts with both cgroup versions; runc does not."""
    hybrid = Path("/sys/fs/cgroup/unified").exists()
    return ["--runtime", "runc"] if name == "podman" and hybrid and shutil.which("runc", path=PATH) else []


def measure(scenario, engines):
    values, faults = {e.name: [] for e in engines}, {}

    def attempt(engine, act):
        if engine.name in faults:
            return None
        try:
            return act(engine)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            faults[engine.name] = str(error)
            return None
    for engine in engines:
        attempt(engine, scenario.before)
    for turn in range(scenario.runs):
        shift = turn % len(engines)
        for engine in engines[shift:] + engines[:shift]:
            value = attempt(engine, scenario.work)
            if value is not None:
                values[engine.name].append(value)
    for engine in engines:
        attempt(engine, scenario.after)
    return values, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wherry")
    parser.add_argument("--runs", type=float, default=1, help="factor on the number of runs")
    parser.add_argument("--only", default="", help="regular expression on the scenario's name")
    parser.add_argument("--outside", action="store_true", help="there is a neighbour made by tests/bench/outside")
    parser.add_argument("--size", type=float, default=1, help="factor on the size of large images")
    parser.add_argument("--peers", default="podman,docker", help="comma-separated; none: empty")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for tool, package in (("docker-registry",) * 2, ("skopeo",) * 2, ("zstd",) * 2,
                          ("/bin/busybox", "busybox-static")):
        if shutil.which(tool, path=PATH) is None:
            sys.exit(f"{tool} is missing: apt-get install {package}")
    root = Path(tempfile.mkdtemp(prefix="wherry-bench", dir="/var/tmp"))
    registry, second, engines, bad = None, None, [], False
    try:
        registry, second = Registry(root), Registry(root, "second")
        everything = list(scenarios(registry, second, root, options.size))
        if options.outside:
            everything += outside(f"{registry.host}/box:latest")
        chosen = [s for s in everything if re.search(options.only, s.name)]
        write_image(root / "box", [busybox()], "gzip")
        registry.push(root / "box", "box")
        if any("lines" in s.name or "logs" in s.name for s in chosen):
            lines(root)
        if any(" MB" in s.name and s.name.startswith("images") for s in chosen):
            print("making the large images")
            layers = big(options.size)
            for packing in ("gzip", "zstd"):
                write_image(root / packing, layers, packing)
                registry.push(root / packing, f"big-{packing}")
        binary = str(Path(options.wherry).resolve())
        engines = [Contestant("wherry", [binary], root / "wherry", (registry, second))]
        for name, command in peers([p for p in options.peers.split(",") if p]):
            engines.append(Contestant(name, command, root / name, (registry, second)))
        for engine in engines:
            engine.run("pull", "-q", f"{registry.host}/box:latest")
        print(f"\n{'':40}" + "".join(f"{e.name:>12}" for e in engines))
        for scenario in chosen:
            scenario.runs = max(1, round(scenario.runs * options.runs))
            values, faults = measure(scenario, engines)
            medians = {name: statistics.median(v) if v else None for name, v in values.items()}
            own = medians["wherry"]
            row = f"{scenario.name:40}"
            for name, median in medians.items():
                row += f"{median:12.1f}" if median is not None else f"{'n/a':>12}"
            ratio = (lambda m: own / m) if scenario.more else (lambda m: m / own)
            others = [f"{ratio(m):.1f}x {n}" for n, m in medians.items() if n != "wherry" and m and own]
            print(f"{row}  {scenario.unit}  {' '.join(others)}")
            if scenario.floor:
                try:
                    words, value = scenario.floor()
                    print(f"    {words}: {value:.1f} {scenario.unit}")
                except RuntimeError as error:
                    print(f"    nothing to compare with: {error}")
            for name, fault in faults.items():
                bad |= name == "wherry"
                print(f"    {name}: {fault}")
    finally:
        for engine in engines:
            engine.close()
        for one in (registry, second):
            if one:
                one.close()
        shutil.rmtree(root, ignore_errors=True)
    sys.exit(1 if bad else 0)


main()
