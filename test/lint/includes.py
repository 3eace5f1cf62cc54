"""Includes go down the layers; pure layers touch no system, net/ alone libraries."""
import re

from tree import PURE, RANK, c_files, layer_of, read

PURE_LIBC = {"stddef.h", "stdint.h", "stdbool.h", "string.h", "strings.h",
             "limits.h", "inttypes.h", "stdarg.h", "stdalign.h", "arpa/inet.h",
             "emmintrin.h"}
# base/check writes its last words; textbuf may format.
PURE_EXEMPT = {"src/base/check.c": {"stdio.h", "stdlib.h"}}
# Third-party headers and the system's network and clock: for net/ alone.
NET_ONLY = re.compile(
    r"^(event2/|openssl/|ini\.h$|event\.h$|sys/(socket|epoll|eventfd|timerfd|un|uio|sendfile)\.h$"
    r"|netinet/|netdb\.h$|syslog\.h$|poll\.h$|time\.h$|sys/time\.h$)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

PLANTED = {
    "upward include": {"src/base/x.c": '#include "evenkeel/net/loop.h"\n'},
    "upward among the pure": {"include/evenkeel/http/x.h": '#include "evenkeel/policy/flow.h"\n'},
    "impure header": {"src/policy/x.c": "#include <stdlib.h>\n"},
    "library outside net": {"src/proxy/x.c": "#include <event2/event.h>\n"},
    "socket outside net": {"src/control/x.c": "#include <sys/socket.h>\n"},
    "unknown layer": {"src/util/x.c": "int x;\n"},
}


def own_problem(layer, target):
    """What is wrong with a file of `layer` including evenkeel/<target>."""
    other = target.split("/")[1] if target.count("/") == 2 else None
    if other not in RANK:
        return f'"{target}" is in no layer'
    if other != layer and RANK[other] >= RANK[layer]:
        return f'layer {layer} must not include "{target}" of layer {other}'
    return None


def system_problem(path, layer, header):
    if layer in PURE:
        allowed = PURE_LIBC | PURE_EXEMPT.get(str(path), set())
        if header not in allowed:
            return f"pure layer {layer} must not include <{header}>"
    elif layer != "net" and NET_ONLY.match(header):
        return f"<{header}> is for layer net alone, not {layer}"
    return None


def problems(root):
    found = []
    for path in c_files(root):
        layer = layer_of(path)
        if str(path) == "src/main.c":
            continue
        if layer not in RANK:
            found.append(f"{path}: not in a layer ({', '.join(RANK)})")
            continue
        text = read(root, path)
        for m in INCLUDE.finditer(text):
            kind, target = m.groups()
            why = (own_problem(layer, target) if target.startswith("evenkeel/")
                   else system_problem(path, layer, target) if kind == "<"
                   else f'"{target}": own headers are included as "evenkeel/LAYER/x.h"')
            if why:
                line = text.count("\n", 0, m.start(2)) + 1
                found.append(f"{path}:{line}: {why}")
    return found
