"""Functions with a safer counterpart of ours are not called elsewhere."""
import re

from tree import c_files, code_only, read

BANNED = ("strtol strtoul strtoll strtoull atoi atol sscanf sprintf vsprintf strcpy strcat "
          "strncpy strncat strtok gets gmtime localtime rand srand alloca").split()
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")

# Where a function may be called: in the counterpart itself.
ONLY_IN = {"pthread_create": "src/net/thread.c"}
ONLY = re.compile(r"(?<![\w.>])(" + "|".join(ONLY_IN) + r")\s*\(")

PLANTED = {
    "thread": {"src/net/x.c": "int f(pthread_t *t)\n{\n"
                              "\treturn pthread_create(t, NULL, run, NULL);\n}\n"},
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
        for m in ONLY.finditer(text):
            if path.parts[0] == "src" and path.as_posix() != ONLY_IN[m.group(1)]:
                line = text.count("\n", 0, m.start()) + 1
                found.append(f"{path}:{line}: {m.group(1)}() is called only in "
                             f"{ONLY_IN[m.group(1)]}")
    return found
