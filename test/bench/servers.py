"""The processes of the benchmark: proxies, the floor, the backend; their CPU and memory."""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import string
import subprocess
import time

import space

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "test" / "bench"
OUT = ROOT / "build" / "bench"
START_S = 60  # valgrind takes its time
STOP_S = 20

CORES = sorted(os.sched_getaffinity(0))
PROXY_CORES = CORES[-1:]
LOAD_CORES = CORES[:-1] or CORES

FILES = {"evenkeel": "evenkeel.ini", "nginx": "nginx.conf", "haproxy": "haproxy.cfg"}
# evenkeel tells backends about the client and numbers requests unless told
# otherwise; the others, as configured here, do not.
EQUAL_WORK = "forwarded = off\nrequest_id = off"
NGINX_BUFFERS = "proxy_buffers 8 64k; proxy_busy_buffers_size 128k;"


def spawn(args, cores, **more):
    return subprocess.Popen([str(a) for a in args], **more,
                            preexec_fn=lambda: os.sched_setaffinity(0, cores))


def get(port, path, timeout=5, trust=None):
    """The body; over TLS when given whom to `trust`."""
    if trust:
        c = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=trust)
    else:
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request("GET", path)
        r = c.getresponse()
        body = r.read()
        if r.status != 200:
            raise OSError(f"status {r.status}")
        return body
    finally:
        c.close()


def tree(root):
    """`root` and its descendants."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found = [root]
    for pid in found:
        found += [p for p, parent in parents.items() if parent == pid]
    return found


class Server:
    """One process (with its children) that answers on self.port."""

    def __init__(self, name, port, args, cores, folder, trust=None):
        self.name, self.port, self.folder, self.trust = name, port, folder, trust
        with open(folder / "output", "wb") as output:
            self.process = spawn(args, cores, stdout=output, stderr=output,
                                 stdin=subprocess.DEVNULL)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        self.pids = tree(self.process.pid)

    def _wait(self):
        end = time.monotonic() + START_S
        while True:
            try:
                get(self.port, "/", START_S, self.trust)
                return
            except (OSError, http.client.HTTPException):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{self.name} does not answer:\n" + (
                        self.folder / "output").read_text(errors="replace")) from None
                time.sleep(0.02)

    def url(self):
        return f"{'https' if self.trust else 'http'}://127.0.0.1:{self.port}/"

    def cpu_ns(self):
        total = 0
        for pid in self.pids:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def memory(self, field="VmRSS"):
        """Bytes; VmRSS, or RssAnon without files mapped."""
        total = 0
        for pid in self.pids:
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(field + ":"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for pid in tree(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


def configuration(name, folder, port, backend, **options):
    """The template of conf/ filled in; a file in `folder`."""
    values = {"note": f"made from test/bench/conf/{FILES[name]}", "dir": folder,
              "port": port, "backend": backend, "workers": 1,
              "listener": "",                                                 # evenkeel
              "body": "option splice-auto", "bufsize": 16384,                 # HAProxy
              "connections": space.files() - 1000,
              "files": space.files(), "master": "on", "buffers": NGINX_BUFFERS,  # nginx
              "user": "user root;" if os.geteuid() == 0 else "", "ssl": "",
              "tls": ""}  # all
    values.update(options)
    text = string.Template((HERE / "conf" / FILES[name]).read_text()).substitute(values)
    path = folder / FILES[name]
    path.write_text(text)
    return path


def command(name, folder, port, backend, options):
    if name == "floor":
        return [OUT / "floor", port, backend]
    file = configuration(name, folder, port, backend, **options)
    if name == "evenkeel":
        return [ROOT / "build/release/evenkeel", "-c", file, "run"]
    if name == "nginx":
        return ["nginx", "-p", folder, "-e", folder / "error.log", "-c", file]
    return ["haproxy", "-db", "-q", "-f", file]


def proxy(name, backend, label=None, prefix=(), cores=None, trust=None, **options):
    """
    Starts one of evenkeel, nginx, haproxy, floor before the backend on that
    port; with `trust` it is asked over TLS.
    """
    folder = OUT / "run" / re.sub(r"[^\w]+", "-", label or name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = space.free_port()
    args = [*prefix, *command(name, folder, port, backend, options)]
    return Server(label or name, port, args, cores or PROXY_CORES, folder, trust)


def start_backend(cores=None):
    folder = OUT / "run" / "backend"
    folder.mkdir(parents=True, exist_ok=True)
    port = space.free_port()
    return Server("backend", port, [OUT / "backend", port], cores or LOAD_CORES, folder)


def accepted(backend):
    """Connections the backend was asked for so far, without this question's."""
    return json.loads(get(backend.port, "/count"))["connections"] - 1


def compile_tools():
    """The C programs of this folder, and `pick` with evenkeel's libraries."""
    OUT.mkdir(parents=True, exist_ok=True)
    cc = ["cc", "-O2", "-g", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-I", HERE]
    for name, sources in (("backend", ["backend.c"]), ("floor", ["floor.c"]),
                          ("load", ["load.c", "latency.c", "response.c", "stream.c"])):
        subprocess.run([*cc, "-o", OUT / name, *(HERE / s for s in sources), "-lssl",
                        "-lcrypto"], check=True)
    libraries = sorted((ROOT / "build/release").glob("libevenkeel_*.a"))
    subprocess.run([*cc, "-I", ROOT / "include", "-o", OUT / "pick", HERE / "pick.c",
                    "-Wl,--start-group", *libraries, "-Wl,--end-group", "-levent_core",
                    "-linih", "-lssl", "-lcrypto", "-lpthread"], check=True)
