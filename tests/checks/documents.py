#!/usr/bin/env python3
"""The documents are complete and true where a machine can see it: limits, modules, links, READMEs.

documents.py --write makes docs/limits.md anew from src/base/limits.h.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


LIMITS_HEAD = """# Limits

Everything has a limit. They stand in one table in the source, `src/base/limits.h`, from which this page is made. A limit that a request
meets is named in the error: 413 for what is too large, 429 and 503 with Retry-After for what is too much, 504 for what takes too long.
Sizes are bytes unless they say otherwise.
"""


def amount(name, text):
    text = text.replace("'", "").replace("ull", "").strip()
    if re.fullmatch(r"[\d* ]+", text):
        value = 1
        for factor in text.split("*"):
            value *= int(factor)
        if "Bytes" in name:
            for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
                if value >= size and value % size == 0:
                    return f"{value // size} {unit}"
        return f"{value:,}"
    return re.sub(r"(\d+)(ms|s|h)$", r"\1 \2", text)


def limits_page():
    lines = [LIMITS_HEAD]
    for line in (ROOT / "src/base/limits.h").read_text().splitlines():
        if section := re.match(r"// --- (.+)", line):
            lines.append(f"\n## {section[1][0].upper() + section[1][1:]}\n\n| limit | value | of what |\n|---|---|---|")
        elif limit := re.match(r"inline constexpr [\w:]+ (k\w+) = ([^;]+);\s*(?://\s*(.*))?", line):
            words = re.sub(r"(?<!^)([A-Z])", lambda m: " " + m[1].lower(), limit[1][1:]).capitalize()
            lines.append(f"| {words} | {amount(limit[1], limit[2])} | {limit[3] or ''} |")
    return "\n".join(lines) + "\n"


def problems():
    found = []
    if (ROOT / "docs/limits.md").read_text() != limits_page():
        found.append("docs/limits.md is not what src/base/limits.h says: run tests/checks/documents.py --write")
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
    if sys.argv[1:] == ["--write"]:
        (ROOT / "docs/limits.md").write_text(limits_page())
    found = problems()
    print("\n".join(found) if found else "documents hold")
    sys.exit(bool(found))
