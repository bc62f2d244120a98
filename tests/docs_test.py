#!/usr/bin/env python3
"""Runs the commands that the documents show, on a server with a small assistant: every `lakeloop ...` in code, every SQL block,
every Python block. A command with words that only a reader can fill in is filled in below; one that is in none of the forms fails."""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "clients"))
from server import ROOT, Server  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Shown for their form; run by tests of their own.
ELSEWHERE = re.compile(r"lakeloop (server|hub import ID|endpoint create (gpt|local-embedding)|token$)|lakeloop-llm")


def commands(text):
    for block in re.findall(r"```\w*\n(.*?)```", text, re.S):
        for line in block.splitlines():
            if line.startswith("$ lakeloop "):
                yield line[2:]
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    for code in re.findall(r"`(lakeloop [^`]+)`", prose):
        yield " ".join(code.split())


def fill(command, values):
    for word, value in values.items():
        command = re.sub(rf"(?<![\w/.-]){word}(?![\w/.-])", lambda _: value, command)
    return command


def main():
    from conftest import make_assistant
    passed, problems = 0, []
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        documents = pathlib.Path(folder, "documents")
        documents.mkdir()
        make_assistant(server, documents)
        answer = server.lakeloop("ask", "docs-assistant", "What is the default port of the server?").stdout
        trace = re.search(r"tr-[0-9a-f]{32}", answer)[0]
        prompt = pathlib.Path(folder, "prompt.txt")
        prompt.write_text("Context: {{context}}\nQuestion: {{question}}")
        values = {"DIR": str(documents), "TRACE": trace, "tr-[0-9a-f]{32}": trace, "NAME": "main.docs.prompt", "FILE": str(prompt),
                  "chain.yaml": str(server.data / "chain.yaml")}
        for page in PAGES:
            text = page.read_text()
            for command in commands(text):
                if ELSEWHERE.match(command):
                    continue
                filled = shlex.split(fill(command, values))[1:]
                # What the assistant made already is kept; the offline server has no embedding endpoint and no second chat model.
                if filled[:2] == ["index", "create"]:
                    filled.append("--if-absent")
                if filled[:2] == ["endpoint", "create"]:
                    filled = [word.replace("smollm2_135m_instruct", "lakeloop_tiny") for word in filled] + ["--replace"]
                if "--embedding" in filled:
                    at = filled.index("--embedding")
                    del filled[at:at + 2]
                result = server.lakeloop(*filled, check=False)
                if result.returncode == 0:
                    passed += 1
                else:
                    problems.append(f"{page.name}: {command}\n    {result.stdout}{result.stderr}")
            for statement in re.findall(r"```sql\n(.*?)```", text, re.S):
                result = server.lakeloop("sql", statement, check=False)
                if result.returncode == 0:
                    passed += 1
                else:
                    problems.append(f"{page.name}: {statement}\n    {result.stdout}{result.stderr}")
    print("\n".join(problems))
    print(f"{passed} passed, {len(problems)} failed, 0 skipped")
    return 1 if problems or passed < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
