"""Real clients and servers, as users have them."""
import re
import subprocess
import sys

import pytest

from harness import Client, until
from harness.flow import BLOCK

pytestmark = pytest.mark.plain_only("front: test_tls_front.py has the programs over TLS")

PAGE = BLOCK * 8


@pytest.fixture
def spawn(cleanup):
    def make(command, **more):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **more)

        def end():
            process.terminate()
            process.wait(10)
        cleanup["backend"].append(end)
        return process
    return make


def answers(port):
    try:
        with Client(port) as c:
            return c.ask(fields=["Connection: close"]).status
    except OSError:
        return False


@pytest.fixture
def nginx(tool, spawn, tmp_path, free_port):
    """An nginx with a page and an upload sink; -> its port."""
    port = free_port()
    root = tmp_path / "nginx"
    root.mkdir()
    (root / "page").write_bytes(PAGE)
    (root / "conf").write_text(f"""
daemon off; master_process off; pid {root}/pid; error_log {root}/error;
events {{ worker_connections 256; }}
http {{ access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/p;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  client_max_body_size 0;
  server {{ listen 127.0.0.1:{port}; root {root};
    location = /echo {{ return 200 "$request_method $content_length\\n"; }} }} }}
""")
    spawn([tool("nginx"), "-p", str(root), "-c", str(root / "conf")])
    until(lambda: answers(port), "nginx to answer")
    return port


def curl(tool, *args):
    run = subprocess.run([tool("curl"), "-sS", "--max-time", "20", *args], check=False,
                         capture_output=True, timeout=30)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_curl_and_nginx(tool, lb, nginx):
    proxy = lb([f"127.0.0.1:{nginx}"])
    url = f"http://127.0.0.1:{proxy.port}"
    assert curl(tool, f"{url}/page") == PAGE
    assert curl(tool, "-I", f"{url}/page").startswith(b"HTTP/1.1 200")
    assert curl(tool, "--http1.0", f"{url}/page") == PAGE
    assert curl(tool, "-r", "10-19", f"{url}/page") == PAGE[10:20]
    assert curl(tool, f"{url}/page", f"{url}/page") == PAGE * 2
    assert all(r["status"] in (200, 206) for r in proxy.access(6))


def test_curl_uploads(tool, lb, backend, tmp_path):
    """With Expect: 100-continue by itself, and chunked."""
    def echo(conn):
        while True:
            request = conn.head()
            if "100-continue" in request.tokens("expect"):
                conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            conn.answer(conn.body(request).body)
    url = f"http://127.0.0.1:{lb([backend(echo)]).port}/"
    big = tmp_path / "big"
    big.write_bytes(PAGE * 3)
    assert curl(tool, "-T", str(big), url) == PAGE * 3
    assert curl(tool, "--data-binary", f"@{big}", url) == PAGE * 3
    assert curl(tool, "-T", str(big), "-H", "Transfer-Encoding: chunked", url) == PAGE * 3
    assert curl(tool, "--expect100-timeout", "10", "-H", "Expect: 100-continue",
                "--data-binary", f"@{big}", url) == PAGE * 3


def test_python_http_server(tool, lb, spawn, tmp_path, free_port):
    """An HTTP/1.0 backend that closes after every response."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "page").write_bytes(PAGE)
    port = free_port()
    spawn([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
          cwd=tmp_path / "www")
    until(lambda: answers(port), "http.server to answer")
    proxy = lb([f"127.0.0.1:{port}"])
    for _ in range(3):
        assert curl(tool, f"http://127.0.0.1:{proxy.port}/page") == PAGE


def test_wrk(tool, lb, nginx):
    proxy = lb([f"127.0.0.1:{nginx}"], workers=2)
    run = subprocess.run([tool("wrk"), "-t1", "-c16", "-d2", f"http://127.0.0.1:{proxy.port}/echo"],
                         capture_output=True, text=True, timeout=30, check=True)
    assert "Non-2xx" not in run.stdout and "Socket errors" not in run.stdout, run.stdout
    assert int(re.search(r"(\d+) requests in", run.stdout).group(1)) > 100


def test_h2load(tool, lb, nginx):
    proxy = lb([f"127.0.0.1:{nginx}"], workers=2)
    run = subprocess.run([tool("h2load"), "--h1", "-n2000", "-c16", "-m4",
                          f"http://127.0.0.1:{proxy.port}/echo"],
                         capture_output=True, text=True, timeout=60, check=True)
    assert "2000 succeeded, 0 failed" in run.stdout, run.stdout
    assert len(proxy.access(2000)) == 2000
