"""The Debian package in a bare system: installed, run, removed, purged."""
import os
import pathlib
import re
import shutil
import subprocess

from soaklib import OUT, ROOT, Skipped

SUITE = "bookworm"
TOOLS = ("debootstrap", "unshare", "ip", "setpriv", "systemd-analyze", "strace", "man")
# What apt and dpkg note down themselves.
NOTES = re.compile(r"^(var/(lib/(apt|dpkg)|cache|log/(apt|dpkg\.log|alternatives\.log))"
                   r"|etc/(ld\.so\.cache|(passwd|group|shadow|gshadow|subuid|subgid)-?$)"
                   r"|proc|sys|dev|run|tmp)")

# In the bare system, in a network of its own: the packaged file as it is.
SESSION = r"""
set -e
evenkeel check
setpriv --reuid evenkeel --regid evenkeel --clear-groups --no-new-privs \
    --inh-caps=-all,+net_bind_service --ambient-caps=+net_bind_service \
    --bounding-set=-all,+net_bind_service \
    evenkeel -c /etc/evenkeel/lb.ini --demo run 2>/tmp/messages &
pid=$!
n=0
until evenkeel status >/tmp/status 2>&1; do
	n=$((n + 1))
	[ $n -lt 200 ] || { cat /tmp/messages /tmp/status; exit 1; }
	sleep 0.1
done
for i in 1 2 3 4; do
	exec 3<>/dev/tcp/127.0.0.1/80
	printf 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&3
	cat <&3
	exec 3<&-
done
kill -TERM $pid
wait $pid
echo "exit $?"
stat -c '%U:%G %a %n' /var/log/evenkeel /var/log/evenkeel/access.log
wc -l </var/log/evenkeel/access.log
"""

# A system of its own with systemd as its first process, which ends it.
BOOT = r"""
set -e
mount --make-rprivate /
mount --bind "$0" "$0"
cd "$0"
mkdir -p oldroot
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd ||
    mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for d in null zero random urandom full tty; do cp -a /dev/$d dev/$d; done
mkdir -p dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
pivot_root . oldroot
cd /
umount -l /oldroot
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=probe.service --show-status=no </dev/null
"""
PROBE_UNIT = """[Unit]
Requires=dbus.socket systemd-journald.service
After=basic.target systemd-journald.service
[Service]
Type=oneshot
TimeoutStartSec=60
StandardOutput=append:/probe.out
StandardError=append:/probe.out
ExecStart=/bin/bash /probe.sh
ExecStopPost=/bin/systemctl --no-block poweroff
"""
PROBE = r"""
pid() { systemctl show -p MainPID --value evenkeel; }
# until_so SECONDS COMMAND...
until_so() {
	local n=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		n=$((n - 1))
		[ $n -gt 0 ] || return
		sleep 0.05
	done
}
ip link set lo up
systemctl start evenkeel && echo "started: $(systemctl show -p StatusText --value evenkeel)"
exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && head -1 <&3
exec 3<&-
evenkeel status | head -1
until_so 10 test -s /var/log/evenkeel/access.log
logrotate -f /etc/logrotate.d/evenkeel && test -s /var/log/evenkeel/access.log.1 && echo rotated
until_so 10 sh -c 'journalctl -u evenkeel | grep "opened anew"' && echo reopened
p=$(pid)
systemctl kill -s USR2 --kill-whom=main evenkeel
until_so 20 sh -c '[ $(systemctl show -p MainPID --value evenkeel) != '$p' ]' &&
    until_so 20 sh -c "! kill -0 $p" && evenkeel status >/dev/null &&
    echo "upgraded: $(systemctl is-active evenkeel) $(systemctl show -p StatusText --value evenkeel)"
p=$(pid)
[ "$p" -gt 0 ] && kill -KILL $p
# Its control socket may answer a moment before it is ready.
until_so 20 sh -c '[ $(systemctl show -p MainPID --value evenkeel) -gt '$p' ] && evenkeel status' &&
    until_so 20 systemctl is-active evenkeel && echo "back: $(systemctl is-active evenkeel)"
systemctl stop evenkeel
echo "stopped: $(systemctl show -p Result --value evenkeel)"
printf '[Socket]\nListenStream=80\n' >/etc/systemd/system/evenkeel.socket
systemctl daemon-reload && systemctl start evenkeel.socket
exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && echo "by its socket: $(head -1 <&3)"
exec 3<&-
until_so 10 sh -c 'journalctl -u evenkeel | grep "socket of systemd"' && echo "told of its socket"
systemctl stop evenkeel.socket evenkeel
rm /etc/systemd/system/evenkeel.socket && systemctl daemon-reload
sed -i '/^control/d' /etc/evenkeel/lb.ini
systemctl start evenkeel
evenkeel --control /run/evenkeel/evenkeel.sock status >/dev/null && echo "without control"
systemctl stop evenkeel
echo 'nonsense = x' >>/etc/evenkeel/lb.ini
systemctl start evenkeel || echo "refused: $(systemctl is-active evenkeel)"
echo done
"""
SERVED = ("started: ready", "502 Bad Gateway", "evenkeel 0.", "rotated", "reopened",
          "upgraded: active ready: upgraded", "back: active", "stopped: success",
          "by its socket: HTTP/1.1 502 Bad Gateway", "told of its socket", "without control", "refused: failed", "done")


def sh(command, **more):
    """-> CompletedProcess; standard error is part of its output."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=540, check=False, **more)


def bare_system(folder):
    """A minimal system of its own; EVENKEEL_BARE names one to copy."""
    root = folder / "bare"
    if os.environ.get("EVENKEEL_BARE"):
        made = sh(["cp", "-a", os.environ["EVENKEEL_BARE"], str(root)])
    else:
        made = sh(["debootstrap", "--variant=minbase", SUITE, str(root)])
    assert made.returncode == 0, made.stdout[-3000:]
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    return root


def inside(root, script, net=False):
    """A bash script in the system; its mounts, processes and network end with it."""
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    up = ":" if net else "ip link set lo up"
    if not net:
        enter.append("--net")
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
           "LC_ALL": "C.UTF-8"}
    return sh([*enter, "bash", "-ec", f'mount -t proc proc "$0/proc"; {up}; '
               'exec chroot "$0" bash -c "$1"', str(root), script], env={**os.environ, **env})


def files(root):
    return {str(p.relative_to(root)) for p in root.rglob("*")
            if not NOTES.match(str(p.relative_to(root)))}


def build(report):
    made = sh([str(ROOT / "dev"), "package"])
    debs = list((ROOT / "build/package").glob("evenkeel_*.deb"))
    if not report.check("./dev package, lintian content", made.returncode == 0 and len(debs) == 1):
        print(made.stdout[-3000:])
    return debs[0] if debs else None


def check_install(report, root, deb):
    shutil.copy(deb, root / "tmp/evenkeel.deb")
    r = inside(root, "apt-get update -qq && apt-get install -y -qq --no-install-recommends "
               "/tmp/evenkeel.deb", net=True)
    if not report.check("apt install", r.returncode == 0):
        print(r.stdout[-3000:])
    r = inside(root, SESSION)
    ok = (r.returncode == 0 and "exit 0" in r.stdout and r.stdout.count("200 OK") == 4
          and "evenkeel:evenkeel 750 /var/log/evenkeel\n" in r.stdout
          and "evenkeel:evenkeel 640 /var/log/evenkeel/access.log\n4\n" in r.stdout)
    if not report.check("check, run --demo on port 80 without root, status, stop, logs", ok):
        print(r.stdout[-3000:])


def check_removal(report, root, before, deps):
    r = inside(root, "echo '; mine' >>/etc/evenkeel/lb.ini && dpkg -r evenkeel && "
               "! command -v evenkeel && grep -c mine /etc/evenkeel/lb.ini && id evenkeel")
    report.check("dpkg -r keeps the configuration and the logs",
                 r.returncode == 0 and (root / "var/log/evenkeel/access.log").exists())
    r = inside(root, f"dpkg -P evenkeel && apt-get purge -y -qq {deps}", net=True)
    left = files(root) - before
    gone = before - files(root)
    left |= {"run/evenkeel"} if (root / "run/evenkeel").exists() else set()
    users = [name for name in ("passwd", "group") if "evenkeel" in
             (root / "etc" / name).read_text()]
    if not report.check("dpkg -P leaves nothing", r.returncode == 0 and not left and not gone
                        and not users):
        print(r.stdout[-3000:], left, gone, users)


def check_pages(report, tree):
    for page in ("man1/evenkeel.1.gz", "man5/lb.ini.5.gz"):
        r = subprocess.run(["man", "--warnings", "-l", str(tree / "usr/share/man" / page)],
                           env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
                           capture_output=True, text=True, timeout=60, check=False)
        report.check(f"man {page}", r.returncode == 0 and not r.stderr
                     and "SEE ALSO" in r.stdout, r.stderr)


def check_unit(report, tree):
    unit = tree / "lib/systemd/system/evenkeel.service"
    # The command must be there, so it is the one that was unpacked.
    unit.write_text(unit.read_text().replace("=/usr/bin/", f"={tree}/usr/bin/"))
    r = sh(["systemd-analyze", "verify", "--man=no", str(unit)])
    report.check("systemd-analyze verify", r.returncode == 0 and not r.stdout, r.stdout)
    r = sh(["systemd-analyze", "security", "--offline=yes", str(unit)])
    m = re.search(r"exposure level for \S+: ([\d.]+)", r.stdout)
    report.check("systemd-analyze security", m and float(m.group(1)) <= 2.0,
                 m.group(1) if m else r.stdout[-300:])


def allowed_calls():
    """The calls of SystemCallFilter=@system-service without @privileged and @resources."""
    sets, name = {}, None
    for line in sh(["systemd-analyze", "syscall-filter", "--no-pager"]).stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            sets[name] = set()
        elif name and word and not word.startswith("#"):
            sets[name].add(word)

    def flat(which):
        return {c for w in sets[which] for c in (flat(w) if w.startswith("@") else {w})}
    return (flat("@system-service") | flat("@default")) - flat("@privileged") - flat("@resources")


def check_calls(report, root, folder):
    """A session under strace makes only calls that the unit lets through."""
    trace = folder / "trace"
    r = sh(["strace", "-f", "-qq", "-e", "signal=none", "-o", str(trace), "unshare", "--mount",
            "--net", "bash", "-ec", 'mount -t proc proc "$0/proc"; ip link set lo up; '
            'exec chroot "$0" bash -c "$1"', str(root), SESSION])
    calls, ours = set(), set()
    lines = [line.split(None, 1) for line in trace.read_text(errors="replace").splitlines()]
    # Of the service alone: verbs are root's.  A call may be split in two lines.
    start = next((i for i, (_, what) in enumerate(lines)
                  if what.startswith('execve("/usr/bin/evenkeel"') and '"run"' in what), len(lines))
    ours.update(pid for pid, _ in lines[start:start + 1])
    for pid, what in lines[start:]:
        made = re.search(r"^(?:<\.\.\. )?clone3?\b.* = (\d+)$", what)
        if pid in ours and made:
            ours.add(made.group(1))
    for pid, what in lines[start:]:
        called = re.match(r"([a-z_0-9]+)\(", what)
        if pid in ours and called:
            calls.add(called.group(1))
    odd = calls - allowed_calls()
    report.check("calls of a session pass the filter of the unit",
                 r.returncode == 0 and len(ours) > 2 and {"epoll_wait", "accept4"} <= calls
                 and not odd, f"{len(calls)} calls of {len(ours)} threads {sorted(odd) or ''}")


def check_service(report, root):
    """The unit, by a systemd of its own."""
    r = inside(root, "apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus "
               "logrotate iproute2 /tmp/evenkeel.deb", net=True)
    if not report.check("apt install beside systemd", r.returncode == 0):
        print(r.stdout[-3000:])
        return
    (root / "probe.sh").write_text(PROBE)
    (root / "etc/systemd/system/probe.service").write_text(PROBE_UNIT)
    r = sh(["timeout", "-k", "5", "120", "unshare", "--mount", "--pid", "--fork", "--net",
            "--uts", "--ipc", "--kill-child", "bash", "-c", BOOT, str(root)])
    if not (root / "probe.out").exists():
        report.note(f"systemd does not run here: {r.stdout[-300:]}")
        return
    said = (root / "probe.out").read_text()
    missing = [part for part in SERVED if part not in said]
    if not report.check("the service starts, rotates, comes back, stops, refuses", not missing,
                        ", ".join(missing)):
        print(said[-3000:])


def run(report, options):
    if os.geteuid() != 0:
        raise Skipped("root makes the bare system")
    missing = [t for t in TOOLS if not shutil.which(t)]
    if missing:
        raise Skipped(f"{', '.join(missing)} not installed")
    deb = build(report)
    if deb is None:
        return
    OUT.mkdir(parents=True, exist_ok=True)
    tree = pathlib.Path(options.folder) / "tree"
    sh(["dpkg-deb", "-x", str(deb), str(tree)])
    check_pages(report, tree)
    check_unit(report, tree)
    root = bare_system(pathlib.Path(options.folder))
    depends = sh(["dpkg-deb", "-f", str(deb), "Depends"]).stdout
    before, had = files(root), sh(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W",
                                   "-f", "${Package} "]).stdout.split()
    deps = " ".join(p for p in re.findall(r"[a-z][\w.+-]+(?= \(|,|\n|$)", depends)
                    if p not in had)
    check_install(report, root, deb)
    check_calls(report, root, pathlib.Path(options.folder))
    check_removal(report, root, before, deps)
    check_service(report, root)
