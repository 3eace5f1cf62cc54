"""clang-tidy, with the checks of .clang-tidy, over src/."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess

BUILD = "build/tidy"  # configured for clang, never built
PLANTED = {
    "bug": {"src/net/x.c": "int f(int n)\n{\n\tint x;\n\tif (n)\n\t\tx = 1;\n\treturn x;\n}\n"},
}


def plant(root, files):
    root = pathlib.Path(root)
    rows = []
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        rows.append({"directory": str(root), "file": name, "command": f"cc -c {name}"})
    (root / BUILD).mkdir(parents=True)
    (root / BUILD / "compile_commands.json").write_text(json.dumps(rows))
    here = pathlib.Path(__file__).resolve().parents[2]
    shutil.copy(here / ".clang-tidy", root)


def commands(root):
    """Compile commands of src/, as clang gets them."""
    if (pathlib.Path(root) / "CMakeLists.txt").exists():
        subprocess.run(["cmake", "-S", ".", "-B", BUILD, "-DCMAKE_C_COMPILER=clang",
                        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DEVENKEEL_TESTS=OFF"],
                       cwd=root, check=True, capture_output=True)
    return json.loads((pathlib.Path(root) / BUILD / "compile_commands.json").read_text())


def tidy(root, name):
    run = subprocess.run(["clang-tidy", "--quiet", "-p", BUILD, name], cwd=root,
                         capture_output=True, text=True, check=False)
    lines = [line for line in run.stdout.splitlines()
             if ": warning:" in line or ": error:" in line]
    if run.returncode and not lines:
        lines = [f"{name}: clang-tidy failed: {run.stderr.strip()[-300:]}"]
    return [line.replace(str(root) + "/", "") for line in lines]


def problems(root):
    root = pathlib.Path(root).resolve()
    files = {(pathlib.Path(c["directory"]) / c["file"]).resolve() for c in commands(root)}
    names = sorted(str(f.relative_to(root)) for f in files if f.is_relative_to(root / "src"))
    if not names:
        return ["no compile command of src/ found"]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return sorted({line for lines in pool.map(lambda n: tidy(root, n), names)
                       for line in lines})
