#!/usr/bin/env python3
"""The floors of the house: a module includes only what its line in src/CMakeLists.txt declares, and declares only lower floors."""
import pathlib
import re
import sys

# On one floor, only along the arrows that the design draws: from -> to.
ARROWS = {("journal", "codec"), ("delta", "codec"), ("net", "codec"), ("process", "codec"), ("search", "gateway"),
          ("serving", "chain")}


def read_modules(text):
    modules = {}
    for name, floor, deps in re.findall(r"^lakeloop_module\((\w+)\s+FLOOR (\d+)(?: DEPS ([^)]*?))?(?: LIBS[^)]*| PRIVATE[^)]*)?\)",
                                        text, re.M):
        deps = re.split(r" LIBS | PRIVATE ", deps)[0].split() if deps else []
        modules[name] = (int(floor), deps)
    return modules


def problems(root):
    modules = read_modules((root / "src/CMakeLists.txt").read_text())
    found = []
    for name, (floor, deps) in modules.items():
        for dep in deps:
            if dep not in modules:
                found.append(f"src/CMakeLists.txt: {name} depends on {dep}, which is no module")
            elif modules[dep][0] > floor or (modules[dep][0] == floor and (name, dep) not in ARROWS):
                found.append(f"src/CMakeLists.txt: {name} (floor {floor}) may not depend on {dep} (floor {modules[dep][0]})")
        for path in sorted((root / "src" / name).rglob("*")):
            if path.suffix not in (".h", ".cpp"):
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r'#include "(\w+)/', line)
                # A test may stand on any lower floor.
                if path.name.endswith("_test.cpp") and match and modules.get(match[1], (99,))[0] < floor:
                    continue
                if match and match[1] in modules and match[1] != name and match[1] not in deps:
                    found.append(f"{path.relative_to(root)}:{number}: {name} does not declare {match[1]}")
    return found


if __name__ == "__main__":
    found = problems(pathlib.Path(__file__).resolve().parents[2])
    print("\n".join(found) if found else "layers hold")
    sys.exit(bool(found))
