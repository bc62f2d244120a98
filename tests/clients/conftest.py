"""One server with a small assistant for all client tests."""
import pathlib
import sys

try:
    import pytest
except ImportError:  # make_assistant() is used without it
    pytest = None

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from server import ROOT, Server  # noqa: E402

DOCUMENTS = {
    "guide.md": "# Guide\n\n## Install\n\nThe installer needs 512 megabytes of disk. Run the program `setup` as root.\n\n"
                "## Ports\n\nThe default port of the server is 8443. The metrics port is 9090.\n",
    "support.md": "# Support\n\n## Refunds\n\nRefunds are processed within five business days. Gift cards cannot be returned.\n\n"
                  "## Hours\n\nThe support desk is open from nine to five on weekdays.\n",
}


def make_assistant(server, folder):
    """The main job on the tiny model and a text-only index, by ordinary subcommands."""
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text)
    server.lakeloop("hub", "import", "lakeloop-tiny", "--file", ROOT / "assets/models/lakeloop-tiny-q8_0.gguf")
    server.lakeloop("endpoint", "create", "local-chat", "--model", "system.ai.lakeloop_tiny/1")
    server.lakeloop("ingest", folder, "--table", "main.docs.pages")
    server.lakeloop("chunk", "--pages", "main.docs.pages", "--table", "main.docs.chunks")
    server.lakeloop("index", "create", "main.docs.chunks_index", "--table", "main.docs.chunks", "--wait")
    chain = server.data / "chain.yaml"
    chain.write_text("rag_chain: 1\nretriever: {index: main.docs.chunks_index}\nmodels: {chat: local-chat}\nanswer: {mode: cited}\n")
    server.lakeloop("chain", "register", "main.docs.assistant", "--file", chain, "--alias", "champion")
    server.lakeloop("endpoint", "create", "docs-assistant", "--model", "main.docs.assistant@champion", "--payload",
                    "main.docs.assistant")


if pytest is not None:
    @pytest.fixture(scope="session")
    def server(tmp_path_factory):
        with Server() as running:
            make_assistant(running, tmp_path_factory.mktemp("documents"))
            yield running
