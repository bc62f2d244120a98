"""A third-party API, for which a genuine llama-server stands: the same chain answers through it after one change of configuration;
its key is sealed; its death is a clear error."""
import json
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from conftest import make_assistant
from server import ROOT, Server

KEY = "sk-third-party-key-0123456789"
QUESTION = [{"role": "user", "content": "What is the default port of the server?"}]


@pytest.fixture(scope="module")
def provider():
    program = shutil.which("llama-server")
    if program is None:
        pytest.skip("llama-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([program, "-m", ROOT / "assets/models/lakeloop-tiny-q8_0.gguf", "-c", "1024", "-np", "1", "-t", "1", "--host",
                                "127.0.0.1", "--port", str(port), "--api-key", KEY], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(url + "/health", timeout=1)
            break
        except OSError:
            assert process.poll() is None, "llama-server ended"
            time.sleep(0.05)
    yield url + "/v1", process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def server(provider, tmp_path_factory):
    with Server(args=["--allow-private-upstreams"]) as running:
        make_assistant(running, tmp_path_factory.mktemp("documents"))
        yield running


def external(url, **config):
    return {"served_entities": [{"external_model": {
        "name": "tiny", "provider": "custom", "task": "llm/v1/chat",
        "custom_provider_config": {"custom_provider_url": url, "bearer_token_auth": {"token_plaintext": KEY}} | config}}]}


def ask(server, endpoint, **more):
    return server.request("POST", "/v1/chat/completions", {"model": endpoint, "messages": QUESTION, "max_tokens": 40, "temperature": 0} | more)


def test_same_answer_local_or_third_party(server, provider):
    status, _, local = ask(server, "local-chat")
    assert status == 200, local
    status, _, made = server.request("POST", "/api/2.0/serving-endpoints", {"name": "third-party", "config": external(provider[0])})
    assert status == 200, made
    assert KEY not in json.dumps(made)
    status, _, remote = ask(server, "third-party")
    assert status == 200, remote
    assert remote["choices"][0]["message"]["content"] == local["choices"][0]["message"]["content"]
    assert remote["usage"]["completion_tokens"] == local["usage"]["completion_tokens"]


def test_streaming_through_the_relay(server, provider):
    status, _, whole = ask(server, "third-party")
    status, headers, text = server.request("POST", "/v1/chat/completions", {"model": "third-party", "messages": QUESTION, "max_tokens": 40,
                                                                            "temperature": 0, "stream": True}, raw=True)
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    events = [line[6:] for line in text.decode().split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    pieces = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]


def test_the_chain_writes_prose_with_it(server, provider):
    chain = server.data / "prose.yaml"
    chain.write_text("rag_chain: 1\nretriever: {index: main.docs.chunks_index}\nmodels: {chat: third-party}\n"
                     "answer: {mode: prose, max_tokens: 40}\n")
    server.lakeloop("chain", "register", "main.docs.prose", "--file", chain, "--alias", "champion")
    server.lakeloop("endpoint", "create", "prose", "--model", "main.docs.prose@champion")
    status, _, answer = ask(server, "prose")
    assert status == 200, answer
    outputs = answer["custom_outputs"]
    assert outputs["generated"] is True and "unsupported" in outputs
    assert answer["usage"]["total_tokens"] > 0
    for _ in range(40):  # visible within two seconds
        status, _, trace = server.request("GET", f"/api/3.0/mlflow/traces/get?trace_id={outputs['trace_id']}")
        if status == 200:
            break
        time.sleep(0.05)
    assert {span["name"] for span in trace["trace"]["spans"]} >= {"retrieve", "render_prompt", "chat_model"}


def test_the_key_is_sealed(server, provider):
    for shown in ("/api/2.0/serving-endpoints/third-party", "/api/2.0/serving-endpoints"):
        assert KEY not in json.dumps(server.request("GET", shown)[2])
    server.restart()
    for path in pathlib.Path(server.data).rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    assert ask(server, "third-party")[0] == 200, "and works after a restart"


def test_the_key_goes_to_its_host_alone(server, provider):
    elsewhere = external("http://127.0.0.2:9/v1")
    del elsewhere["served_entities"][0]["external_model"]["custom_provider_config"]["bearer_token_auth"]
    status, _, got = server.request("PUT", "/api/2.0/serving-endpoints/third-party/config", elsewhere)
    assert status == 200, got
    back = external(provider[0])
    del back["served_entities"][0]["external_model"]["custom_provider_config"]["bearer_token_auth"]
    assert server.request("PUT", "/api/2.0/serving-endpoints/third-party/config", back)[0] == 200
    status, _, got = ask(server, "third-party")
    assert status == 502 and "credentials" in got["error"]["message"], got
    assert server.request("PUT", "/api/2.0/serving-endpoints/third-party/config", external(provider[0]))[0] == 200
    assert ask(server, "third-party")[0] == 200


def test_private_addresses_are_refused_by_default(provider, tmp_path):
    with Server() as guarded:
        status, _, got = guarded.request("POST", "/api/2.0/serving-endpoints", {"name": "inside", "config": external(provider[0])})
        assert status == 200, got
        status, _, got = ask(guarded, "inside")
        assert status in (400, 403), got


def test_a_dead_provider_is_a_clear_error(server, provider):
    provider[1].kill()
    provider[1].wait()
    status, _, got = ask(server, "third-party")
    assert status == 502 and got["error"]["type"] == "server_error", got
    assert KEY not in json.dumps(got)
