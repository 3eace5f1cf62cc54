"""What the checks know about the source tree: its files, layers, functions."""
import pathlib
import re

# Bottom to top; a layer may include those of lower rank and itself.
RANK = {"base": 0, "http": 1, "policy": 2, "config": 3, "net": 4, "proxy": 5,
        "control": 6}
PURE = ("base", "http", "policy", "config")


def c_files(root):
    """Every .c and .h of the program, as paths relative to root."""
    root = pathlib.Path(root)
    found = [p for top in ("src", "include") for p in (root / top).rglob("*.[ch]")]
    return sorted(p.relative_to(root) for p in found)


def layer_of(path):
    """The layer of src/<layer>/x.c or include/evenkeel/<layer>/x.h, or None."""
    parts = pathlib.Path(path).parts
    if parts[:1] == ("src",) and len(parts) == 3:
        return parts[1]
    if parts[:2] == ("include", "evenkeel") and len(parts) == 4:
        return parts[2]
    return None


def code_only(text):
    """The text with comments and string contents blanked; lines keep."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])*'",
                       re.S)

    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return token.sub(blank, text)


def read(root, path):
    return (pathlib.Path(root) / path).read_text(errors="replace")
