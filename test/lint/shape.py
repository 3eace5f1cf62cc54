"""Functions and files stay small; headers name their layer; modules mirror."""
import pathlib

from tree import c_files, layer_of, read

FUNCTION_LINES = 80
FILE_LINES = 800

PLANTED = {
    "long function": {
        "src/net/x.c": "int\nf(void)\n{\n" + "\t;\n" * FUNCTION_LINES + "\treturn 0;\n}\n",
        "include/evenkeel/net/x.h": "/* Layer: net. */\n"},
    "long file": {
        "include/evenkeel/net/x.h": "/* Layer: net. */\n" + "int x;\n" * FILE_LINES},
    "no layer line": {"include/evenkeel/net/x.h": "/* x - something. */\n"},
    "wrong layer line": {"include/evenkeel/net/x.h": "/* Layer: proxy. */\n"},
    "no header": {"src/net/x.c": "int x;\n"},
}


def long_functions(path, lines):
    """House style: a function's braces stand in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            length = number - start - 1
            if length > FUNCTION_LINES:
                yield (f"{path}:{start}: a function of {length} lines "
                       f"(at most {FUNCTION_LINES}, wanted 40)")
            start = None


def header_problems(path, layer, text):
    if "Layer:" not in text:
        yield f"{path}: its comment has no `Layer:` line"
    elif f"Layer: {layer}" not in text:
        yield f"{path}: its `Layer:` line does not say {layer}"


def problems(root):
    found = []
    for path in c_files(root):
        text = read(root, path)
        lines = text.splitlines()
        if len(lines) > FILE_LINES:
            found.append(f"{path}: {len(lines)} lines (at most {FILE_LINES}, wanted 500)")
        found += long_functions(path, lines)
        layer = layer_of(path)
        if path.suffix == ".h" and layer:
            found += header_problems(path, layer, text)
        if path.suffix == ".c" and layer:
            header = pathlib.Path("include/evenkeel") / layer / f"{path.stem}.h"
            if not (pathlib.Path(root) / header).exists():
                found.append(f"{path}: no {header}, which would be its contract")
    return found
