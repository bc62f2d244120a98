#!/usr/bin/env python3
"""The documents are complete and true where a machine can see it: limits, dependencies, modules, links, READMEs."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def problems():
    found = []
    limits = (ROOT / "docs/limits.md").read_text()
    for name in re.findall(r"inline constexpr \S+ (k\w+)", (ROOT / "src/base/limits.h").read_text()):
        if f"`{name}`" not in limits:
            found.append(f"docs/limits.md: no line for {name} of src/base/limits.h")
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    for name in re.findall(r"^lakeloop_module\((\w+)", (ROOT / "src/CMakeLists.txt").read_text(), re.M):
        if f"| `{name}` |" not in architecture:
            found.append(f"ARCHITECTURE.md: no line for the module {name}")
        if not (ROOT / "src" / name / "README.md").exists():
            found.append(f"src/{name}: no README.md")
    for page in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                found.append(f"{page.relative_to(ROOT)}: broken link to {target}")
    return found


if __name__ == "__main__":
    found = problems()
    print("\n".join(found) if found else "documents hold")
    sys.exit(bool(found))
