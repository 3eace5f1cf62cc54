"""pyflakes is content with every Python file: no name unknown, none unused."""
import pathlib
import subprocess

PLANTED = {
    "unused": {"test/x.py": "import os\n"},
    "unknown": {"test/e2e/x.py": "print(y)\n"},
}


def problems(root):
    names = sorted(str(p.relative_to(root)) for p in (pathlib.Path(root) / "test").rglob("*.py"))
    if not names:
        return ["no Python file found"]
    run = subprocess.run(["pyflakes3", *names], cwd=root, capture_output=True, text=True,
                         check=False)
    return run.stdout.splitlines() + run.stderr.splitlines()
