"""shellcheck is content with every shell script; it runs nothing."""
import pathlib
import subprocess

PLANTED = {"unquoted": {"dev": "#!/usr/bin/env bash\nrm $1\n"}}


def scripts(root):
    root = pathlib.Path(root)
    named = [root / "dev", root / ".ci/run", root / "test/suite",
             root / "pkg/completion/bash/evenkeel", root / "debian/evenkeel.postinst",
             root / "debian/evenkeel.postrm"]
    found = [p for top in ("test", "pkg") for p in (root / top).rglob("*.sh")]
    return [str(p.relative_to(root)) for p in named + found if p.exists()]


def problems(root):
    names = scripts(root)
    if not names:
        return ["no shell script found"]
    run = subprocess.run(["shellcheck", "-f", "gcc", *names], cwd=root,
                         capture_output=True, text=True, check=False)
    return run.stdout.splitlines() + run.stderr.splitlines()
