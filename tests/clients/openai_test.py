"""The unmodified openai clients, Python and Node: chat, streaming, embeddings errors, models, JSON schema."""
import json
import os
import subprocess

import openai
import pytest

QUESTION = [{"role": "user", "content": "What is the default port of the server?"}]


@pytest.fixture(params=["/v1", "/serving-endpoints"])
def client(server, request):
    return openai.OpenAI(base_url=server.url + request.param, api_key=server.token, max_retries=0)


def test_answer_with_citations(client):
    answer = client.chat.completions.create(model="docs-assistant", messages=QUESTION)
    assert "8443" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    citation = answer.model_extra["custom_outputs"]["citations"][0]
    assert citation["source_path"] == "guide.md"
    assert citation["section"].endswith("Ports")
    assert citation["quote"] == "The default port of the server is 8443."
    assert answer.choices[0].message.annotations[0].type == "url_citation"


def test_streamed_equals_unstreamed(client):
    whole = client.chat.completions.create(model="local-chat", messages=QUESTION, max_tokens=20, temperature=0)
    chunks = list(client.chat.completions.create(model="local-chat", messages=QUESTION, max_tokens=20, temperature=0, stream=True,
                                                 stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    # A repeated prompt is found in the cache, so its details differ; what is counted does not.
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert whole.usage.prompt_tokens > 0 and whole.usage.completion_tokens > 0
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason


def test_chain_streams_its_citations(client):
    chunks = list(client.chat.completions.create(model="docs-assistant", messages=QUESTION, stream=True))
    assert "8443" in "".join(c.choices[0].delta.content or "" for c in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].model_extra["custom_outputs"]["citations"][0]["source_path"] == "guide.md"


def test_json_schema_is_held_by_grammar(client):
    schema = {"type": "object", "properties": {"port": {"type": "integer"}, "open": {"type": "boolean"}},
              "required": ["port", "open"], "additionalProperties": False}
    answer = client.chat.completions.create(
        model="local-chat", messages=QUESTION, max_tokens=60,
        response_format={"type": "json_schema", "json_schema": {"name": "port", "schema": schema, "strict": True}})
    parsed = json.loads(answer.choices[0].message.content)
    assert isinstance(parsed["port"], int) and isinstance(parsed["open"], bool)


def test_nothing_is_invented(client):
    answer = client.chat.completions.create(model="docs-assistant",
                                            messages=[{"role": "user", "content": "Who won the chess olympiad in Batumi?"}])
    assert answer.model_extra["custom_outputs"]["found"] is False
    assert answer.choices[0].message.content == "I cannot find this in the documents."


def test_models(server):
    client = openai.OpenAI(base_url=server.url + "/v1", api_key=server.token)
    assert {"docs-assistant", "local-chat"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("docs-assistant").object == "model"


def test_errors_in_openai_shape(server, client):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="no-such-endpoint", messages=QUESTION)
    assert missing.value.body["type"] == "not_found_error"
    with pytest.raises(openai.BadRequestError) as empty:
        client.chat.completions.create(model="docs-assistant", messages=[])
    assert empty.value.body["param"] == "messages"
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="docs-assistant", input="x")
    stranger = openai.OpenAI(base_url=server.url + "/v1", api_key="llp_0000000000000000_" + "0" * 64, max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="docs-assistant", messages=QUESTION)


def test_node_client(server, tmp_path):
    script = tmp_path / "ask.mjs"
    script.write_text("""
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.BASE + '/v1', apiKey: process.env.TOKEN, maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is the default port of the server?' }];
const whole = await client.chat.completions.create({ model: 'docs-assistant', messages });
let streamed = '';
const begin = Date.now();
for await (const chunk of await client.chat.completions.create({ model: 'docs-assistant', messages, stream: true }))
  streamed += chunk.choices[0]?.delta?.content ?? '';
console.log(JSON.stringify({ whole: whole.choices[0].message.content, streamed, citations: whole.custom_outputs.citations.length }));
""")
    modules = os.environ["LAKELOOP_NODE_MODULES"]
    (tmp_path / "node_modules").symlink_to(modules)
    out = subprocess.run(["node", script], capture_output=True, text=True, timeout=60,
                         env=os.environ | {"BASE": server.url, "TOKEN": server.token})
    assert out.returncode == 0, out.stderr
    got = json.loads(out.stdout)
    assert got["whole"] == got["streamed"] and "8443" in got["whole"] and got["citations"] >= 1
