"""Functions with a safer counterpart in base/ are not called."""
import re

from tree import c_files, code_only, read

BANNED = ("strtol strtoul strtoll strtoull atoi atol sscanf sprintf vsprintf strcpy strcat "
          "strncpy strncat strtok gets gmtime localtime rand srand alloca").split()
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")

PLANTED = {
    "call": {"src/base/x.c": "int f(const char *s)\n{\n\treturn atoi(s);\n}\n"},
    "spaced": {"src/net/x.c": "void f(char *s)\n{\n\tstrcpy (s, s);\n}\n"},
}


def problems(root):
    found = []
    for path in c_files(root):
        text = code_only(read(root, path))
        for m in CALL.finditer(text):
            line = text.count("\n", 0, m.start()) + 1
            found.append(f"{path}:{line}: {m.group(1)}() is banned; "
                         "use num, span or textbuf of base/")
    return found
