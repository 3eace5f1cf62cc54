"""What the package brings besides the program; nothing is built here: ./dev soak package."""
import pathlib
import re
import socket
import subprocess

import pytest

from harness import build_of, ini, until

pytestmark = pytest.mark.plain_only("no traffic")

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEBIAN, MAN = ROOT / "debian", ROOT / "docs/man"
COMPLETION = ROOT / "pkg/completion"

# A stand-in whose help has a verb that takes the name of a backend.
STAND_IN = """#!/bin/sh
if [ "$1" = --help ]; then
	echo "usage: evenkeel [-c FILE] [VERB]"
	echo
	echo "  move POOL/BACKEND [--wait D]"
	echo "                      --never an option"
	echo "  -c FILE               the file"
elif [ "$*" = "-c f.ini config" ] || [ "$*" = config ]; then
	echo "[pool web]"
	echo "backend = 10.0.0.1:3000 weight=2"
	echo "backend = 10.0.0.2:3000 name=two"
fi
"""
BASH = """source "$1"; COMP_LINE=$3; COMP_POINT=${#3}
COMP_WORDBREAKS=$' \\t\\n:='
_evenkeel "$2"; printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """compadd() { [[ $1 == -a ]] && print -l -- ${(P)2} }
_describe() { print -l -- ${(P)4} }
_files() { print FILES }
script=$1; shift; words=("$@"); CURRENT=$#words; source $script
"""


def output(command, **more):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=30,
                       check=False, **more)
    assert r.returncode == 0 and not r.stderr, (command, r.stdout, r.stderr)
    return r.stdout


def help_words():
    """(verbs, options) that --help names at the start of a line."""
    lines = [m.group(1) for m in re.finditer(r"^  (\S.*)$", output([build_of(), "--help"]), re.M)]
    verbs = [line.split()[0].rstrip(",") for line in lines if not line.startswith("-")]
    options = {o for line in lines for o in re.findall(r"-[a-z-]*[a-z]\b", line.split("   ")[0])
               if not re.search(r"\w" + o, line)}
    assert {"run", "check", "status", "config"} <= set(verbs)
    assert {"-c", "--control", "--json", "--demo", "--version"} <= options
    return verbs, options


def plain(page):
    """The page without macros, fonts and escapes."""
    text = re.sub(r"^\.[A-Z]+ ?|\\f[BIR]|\"", "", page.read_text(), flags=re.M)
    return text.replace("\\-", "-").replace(" [ ", " [")


def test_manual_of_the_program_names_all_verbs_and_options():
    text = plain(MAN / "evenkeel.1")
    verbs, options = help_words()
    for verb in verbs:
        assert re.search(rf"^\.TP\n\.(B|BR|BI) {verb}\b", (MAN / "evenkeel.1").read_text(), re.M), verb
    for option in options:
        assert re.search(rf"(?<![\w-]){option}\b", text), option


def test_manual_of_the_file_names_all_keys():
    """All of them stand in `config --defaults`, some behind a `;`."""
    page = (MAN / "lb.ini.5").read_text()
    printed = output([build_of(), "-c", ROOT / "lb.ini", "config", "--defaults"])
    keys = set(re.findall(r"^(?:; )?(\w+) = ", printed, re.M))
    assert len(keys) > 50
    for key in keys:
        assert re.search(rf"^\.TP\n\.B {key}$|^\.TP\n\.BR {key} \" \*\"$", page, re.M), key


@pytest.mark.parametrize("page", ["evenkeel.1", "lb.ini.5"])
def test_manuals_render_without_warnings(tool, page):
    text = output([tool("groff"), "-man", "-ww", "-b", "-Tascii", "-P-cbou", MAN / page])
    assert "NAME" in text and "SEE ALSO" in text
    assert not re.search(r"`|\*\*|\\", text.replace("'", "")), "Markdown was left"


def bash(tool, program, line, cwd=None):
    script = COMPLETION / "bash/evenkeel"
    return output([tool("bash"), "-c", BASH, "bash", script, program, line], cwd=cwd).split()


def zsh(tool, *words, cwd=None):
    script = COMPLETION / "zsh/_evenkeel"
    return output([tool("zsh"), "-fc", ZSH, "zsh", script, *words], cwd=cwd).split("\n")[:-1]


def test_bash_completes_verbs_and_options(tool):
    verbs, options = help_words()
    offers = bash(tool, build_of(), "evenkeel ")
    assert set(verbs) <= set(offers)
    for verb in verbs:
        offers += bash(tool, build_of(), f"evenkeel {verb} -")
    assert options - {"-t", "-h"} <= set(offers)
    assert bash(tool, build_of(), "evenkeel stat") == ["status"]
    assert bash(tool, build_of(), f"evenkeel -c {ROOT}/lb.i") == [f"{ROOT}/lb.ini"]
    assert "--json" not in bash(tool, build_of(), "evenkeel -c status check --")


def test_zsh_completes_verbs_and_options(tool):
    verbs, options = help_words()
    offers = zsh(tool, build_of(), "")
    assert set(verbs) <= {o.split(":")[0] for o in offers}
    for verb in verbs:
        offers += zsh(tool, build_of(), verb, "-")
    assert options - {"-t", "-h"} <= set(offers)
    assert zsh(tool, build_of(), "-c", "") == ["FILES"]
    assert "FILES" in zsh(tool, build_of(), "simulate", "")
    assert "FILES" not in zsh(tool, build_of(), "status", "")
    assert "--json" not in zsh(tool, build_of(), "-c", "status", "check", "-")


def test_zsh_takes_the_completion_as_evenkeels(tool, tmp_path):
    found = output([tool("zsh"), "-fc", "fpath=($1 $fpath); autoload -Uz compinit; compinit -uD; "
                    "print $_comps[evenkeel]", "zsh", COMPLETION / "zsh"], cwd=tmp_path)
    assert found == "_evenkeel\n"


def test_completion_of_backends(tool, tmp_path):
    program = tmp_path / "evenkeel"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    names = {"web/10.0.0.1:3000", "web/two"}
    assert set(bash(tool, program, "evenkeel move ")) == names | {"--wait", "-c"}
    assert set(bash(tool, program, "evenkeel -c f.ini move web/")) == names
    assert bash(tool, program, "evenkeel -c other move web/") == []
    assert bash(tool, program, "evenkeel move web/10.0.0.1:3") == ["3000"]
    assert set(zsh(tool, program, "-c", "f.ini", "move", "")) == names | {"--wait", "-c"}


def test_a_program_that_fails_completes_nothing(tool):
    assert bash(tool, "/nonexistent/evenkeel", "evenkeel ") == []
    assert zsh(tool, "/nonexistent/evenkeel", "") in ([], [""])


def test_unit_is_valid(tool, tmp_path):
    unit = tmp_path / "evenkeel.service"
    text = (DEBIAN / "evenkeel.service").read_text()
    unit.write_text(text.replace("=/usr/bin/evenkeel", f"={build_of()}"))
    assert output([tool("systemd-analyze"), "verify", "--man=no", unit]) == ""


def test_packaged_file_fits_the_unit_and_logrotate(tmp_path):
    unit = (DEBIAN / "evenkeel.service").read_text()
    text = (DEBIAN / "lb.ini").read_text()
    assert "\nuser = evenkeel\n" in text and "\nUser=evenkeel\n" in unit
    # There is no such user here.
    (tmp_path / "lb.ini").write_text(text.replace("\nuser = evenkeel\n", "\n"))
    output([build_of(), "check"], cwd=tmp_path)
    printed = output([build_of(), "config"], cwd=tmp_path)
    runtime = re.search(r"^RuntimeDirectory=(\S+)$", unit, re.M).group(1)
    logs = re.search(r"^LogsDirectory=(\S+)$", unit, re.M).group(1)
    assert f"\ncontrol = /run/{runtime}/evenkeel.sock\n" in printed
    assert f"\naccess_log = /var/log/{logs}/access.log\n" in printed
    rotate = (DEBIAN / "evenkeel.logrotate").read_text()
    assert rotate.startswith(f"/var/log/{logs}/*.log {{") and "USR1 evenkeel.service" in rotate
    # Without the key, both the service and the verbs of its user find the socket there.
    assert f"Environment=XDG_RUNTIME_DIR=%t/{runtime}\n" in unit


def test_versions_agree():
    cmake = re.search(r"project\(evenkeel VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
    log = re.match(r"evenkeel \((\S+)\)", (DEBIAN / "changelog").read_text())
    assert output([build_of(), "--version"]) == f"evenkeel {cmake.group(1)}\n"
    assert log.group(1) == cmake.group(1)


def test_service_manager_is_told(evenkeel, backend, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        lb = evenkeel(ini([backend()]), env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert manager.recv(4096).startswith(b"READY=1\nSTATUS=ready")
        lb.stop()
        told = manager.recv(4096).decode()
        # shutdown_timeout = 5s, and some more for the rest
        assert told.startswith("STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000\nSTATUS=stopping")
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(1)


def test_a_manager_that_is_gone_does_not_matter(evenkeel, backend, client, tmp_path):
    lb = evenkeel(ini([backend()]), env={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert client(lb).ask().status == 200
    until(lambda: "evenkeel ready" in lb.stderr(), "ready")
