"""Pure layers call nothing outside and own no writable data (nm on the release)."""
import pathlib
import re
import subprocess

from tree import PURE

BUILD = "build/release"
ALLOWED = re.compile(
    r"^(mem[a-z]*|str[a-z]*|inet_[a-z]+|__stack_chk_fail|__[a-z_]+_chk|check_failed"
    r"|_GLOBAL_OFFSET_TABLE_)$")
EXEMPT_OBJECTS = {"check.c.o"}

# Each planted file is compiled into libevenkeel_policy.a of a tree of its own.
PLANTED = {
    "malloc": {"plant.c": "#include <stdlib.h>\nvoid *f(void) { return malloc(3); }\n"},
    "clock": {"plant.c": "#include <time.h>\ntime_t f(void) { return time(0); }\n"},
    "global": {"plant.c": "int counter; int f(void) { return ++counter; }\n"},
    "static": {"plant.c": "int f(void) { static int n = 4; return n++; }\n"},
}


def plant(root, files):
    """Builds the planted source into archives where problems() looks."""
    out = pathlib.Path(root) / BUILD
    out.mkdir(parents=True)
    (out / "empty.c").write_text("int empty(void) { return 0; }\n")
    for name, text in files.items():
        (out / name).write_text(text)
    for layer in PURE:
        source = "plant" if layer == "policy" else "empty"
        obj = f"{layer}.c.o"
        subprocess.run(["cc", "-O2", "-c", f"{source}.c", "-o", obj], cwd=out, check=True)
        subprocess.run(["ar", "rcs", f"libevenkeel_{layer}.a", obj], cwd=out, check=True)


def symbols(archive):
    """(object, type letter, section, name) of each symbol of the machine code: a
    named target keeps nm from the compiler's plugin, which knows global ones only."""
    text = subprocess.run(["nm", "--target=default", "-A", "--format=sysv", archive],
                          check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        columns = [c.strip() for c in line.split("|")]
        if len(columns) != 7 or columns[2] == "Class":
            continue
        where, name = columns[0].rsplit(":", 1)
        yield where.rsplit(":", 1)[-1], columns[2], columns[6], name


def writable(letter, section):
    """Constant tables of pointers lie in .data.rel.ro, read-only once loaded."""
    return letter in "bBdDcCsSgG" and not section.startswith((".data.rel.ro", ".rodata"))


def problems(root):
    archives = {layer: pathlib.Path(root) / BUILD / f"libevenkeel_{layer}.a"
                for layer in PURE}
    absent = [str(a) for a in archives.values() if not a.exists()]
    if absent:
        return [f"{a}: not built" for a in absent]
    table = {layer: list(symbols(a)) for layer, a in archives.items()}
    defined = {name for rows in table.values()
               for _, letter, _, name in rows if letter not in "Uw"}
    found = []
    for layer, rows in table.items():
        for obj, letter, section, name in rows:
            if layer == "base" and obj in EXEMPT_OBJECTS:
                continue
            if letter in "Uw" and name not in defined and not ALLOWED.match(name):
                found.append(f"{layer}/{obj}: calls {name}, which is not pure")
            if writable(letter, section):
                found.append(f"{layer}/{obj}: {name} is writable data")
    return found
