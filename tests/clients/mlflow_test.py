"""The unmodified mlflow client: experiments, runs, tracing, search, feedback, prompts, models, artifacts; and a bare OTLP exporter."""
import os
import time
import uuid

import mlflow
import pytest
from mlflow.entities import AssessmentSource, AssessmentSourceType
from mlflow.exceptions import MlflowException


class Address:
    def __init__(self, url, token):
        self.url, self.token = url, token


@pytest.fixture(scope="session")
def address(request):
    """A server that runs already, or the one of all client tests."""
    if os.environ.get("LAKELOOP_URL"):
        return Address(os.environ["LAKELOOP_URL"], os.environ["LAKELOOP_TOKEN"])
    server = request.getfixturevalue("server")
    return Address(server.url, server.token)


@pytest.fixture(autouse=True)
def tracking(address, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", address.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    mlflow.set_tracking_uri(address.url)
    mlflow.set_registry_uri(address.url)
    return mlflow.MlflowClient()


@pytest.fixture
def experiment():
    name = "clients-" + uuid.uuid4().hex[:8]
    return mlflow.set_experiment(name)


def human(name="ann"):
    return AssessmentSource(source_type=AssessmentSourceType.HUMAN, source_id=name)


def test_experiments(tracking, experiment):
    assert tracking.get_experiment_by_name(experiment.name).experiment_id == experiment.experiment_id
    assert mlflow.set_experiment(experiment.name).experiment_id == experiment.experiment_id
    assert tracking.get_experiment("0").name == "Default"
    tracking.set_experiment_tag(experiment.experiment_id, "team", "a")
    assert [e.name for e in mlflow.search_experiments(filter_string=f"name = '{experiment.name}' AND tags.team = 'a'")] == [experiment.name]
    with pytest.raises(MlflowException) as refused:
        tracking.create_experiment(experiment.name)
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    tracking.delete_experiment(experiment.experiment_id)
    assert tracking.get_experiment(experiment.experiment_id).lifecycle_stage == "deleted"
    tracking.restore_experiment(experiment.experiment_id)
    assert tracking.get_experiment_by_name("none-" + uuid.uuid4().hex) is None


def test_runs(tracking, experiment):
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_params({"lr": 0.1, "note": "it's"})
        for step in range(3):
            mlflow.log_metric("acc", step / 2, step=step)
        mlflow.log_metrics({"zero": 0, "nan": float("nan"), "inf": float("inf")})
        mlflow.set_tags({"team": "red", "a b": "c"})
        mlflow.log_text("hello", "notes/a b.txt")
        mlflow.log_dict({"k": 1}, "config.json")
    with mlflow.start_run(run_name="second"):
        mlflow.log_metric("acc", 0.25)
    read = tracking.get_run(run.info.run_id)
    assert read.info.status == "FINISHED" and read.info.run_name == "first"
    assert read.data.params == {"lr": "0.1", "note": "it's"}
    assert read.data.metrics["acc"] == 1.0 and read.data.metrics["zero"] == 0
    assert read.data.metrics["nan"] != read.data.metrics["nan"] and read.data.metrics["inf"] == float("inf")
    assert read.data.tags["team"] == "red"
    assert [m.value for m in tracking.get_metric_history(run.info.run_id, "acc")] == [0, 0.5, 1]
    found = mlflow.search_runs(filter_string="metrics.acc > 0.5 AND params.note = \"it's\"", output_format="list")
    assert [r.info.run_name for r in found] == ["first"]
    ordered = mlflow.search_runs(order_by=["metrics.acc ASC"], output_format="list")
    assert [r.info.run_name for r in ordered] == ["second", "first"]
    assert [f.path for f in tracking.list_artifacts(run.info.run_id)] == ["config.json", "notes"]
    assert [f.path for f in tracking.list_artifacts(run.info.run_id, "notes")] == ["notes/a b.txt"]
    assert mlflow.artifacts.load_text(run.info.artifact_uri + "/config.json") == '{\n  "k": 1\n}'
    with pytest.raises(MlflowException, match="not found"):
        tracking.get_run("0" * 32)
    with pytest.raises(MlflowException, match="Changing param values"):
        tracking.log_param(run.info.run_id, "lr", "0.2")
    tracking.delete_run(run.info.run_id)
    assert [r.info.run_name for r in mlflow.search_runs(output_format="list")] == ["second"]
    tracking.restore_run(run.info.run_id)


@mlflow.trace(span_type="RETRIEVER")
def retrieve(question):
    return [{"page_content": "the port is 8443", "metadata": {"doc_uri": "guide.md"}}]


@mlflow.trace(name="answer", span_type="CHAIN")
def answer(question, fail=False):
    mlflow.update_current_trace(tags={"kind": "qa"}, metadata={"mlflow.trace.session": "s-1", "mlflow.trace.user": "ann"})
    documents = retrieve(question)
    with mlflow.start_span("model", span_type="CHAT_MODEL") as span:
        span.set_inputs({"messages": [{"role": "user", "content": question}]})
        span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 11, "output_tokens": 4, "total_tokens": 15})
        span.set_outputs("8443")
    if fail:
        raise ValueError("no \"answer\"")
    return {"answer": "8443", "documents": len(documents)}


def traced(question="which port?", fail=False):
    try:
        answer(question, fail)
    except ValueError:
        pass
    mlflow.flush_trace_async_logging()
    return mlflow.get_last_active_trace_id()


def test_a_trace_goes_and_comes(experiment):
    trace_id = traced("wo läuft es? 色 \"quoted\"")
    trace = mlflow.get_trace(trace_id)
    assert trace.info.state == "OK"
    assert trace.info.experiment_id == experiment.experiment_id
    assert trace.info.tags["kind"] == "qa"
    assert trace.info.tags["mlflow.traceName"] == "answer"
    assert trace.info.trace_metadata["mlflow.trace.session"] == "s-1"
    assert trace.info.token_usage == {"input_tokens": 11, "output_tokens": 4, "total_tokens": 15}
    assert {s.name: s.span_type for s in trace.data.spans} == {"answer": "CHAIN", "retrieve": "RETRIEVER", "model": "CHAT_MODEL"}
    root = next(s for s in trace.data.spans if s.parent_id is None)
    assert root.inputs == {"question": "wo läuft es? 色 \"quoted\"", "fail": False}
    assert root.outputs == {"answer": "8443", "documents": 1}
    model = next(s for s in trace.data.spans if s.name == "model")
    assert model.outputs == "8443"
    assert model.parent_id == root.span_id


def test_traces_are_searched(experiment):
    first, second = traced("one"), traced("two", fail=True)

    def found(filter_string, **more):
        return [t.info.trace_id for t in mlflow.search_traces(filter_string=filter_string, return_type="list", **more)]

    assert found(None) == [second, first]
    assert found("trace.status = 'ERROR'") == [second]
    assert found("tags.kind = 'qa'", max_results=1) == [second]
    assert found("span.name = 'model' AND span.type = 'CHAT_MODEL'") == [second, first]
    assert found("span.attributes.`mlflow.spanType` = 'RETRIEVER'") == [second, first]
    assert found("trace.text LIKE '%one%'") == [first]
    assert found("metadata.`mlflow.trace.user` = 'ann'", order_by=["timestamp_ms ASC"]) == [first, second]
    assert found("name = 'answer'") == [second, first]
    with pytest.raises(MlflowException) as refused:
        found("nonsense = 'x'")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert len(mlflow.search_traces()) == 2  # pandas


def test_trace_tags_and_deletion(tracking, experiment):
    trace_id, other = traced(), traced()
    mlflow.set_trace_tag(trace_id, "reviewed", "yes")
    assert mlflow.get_trace(trace_id).info.tags["reviewed"] == "yes"
    mlflow.delete_trace_tag(trace_id, "reviewed")
    assert "reviewed" not in mlflow.get_trace(trace_id).info.tags
    assert tracking.delete_traces(experiment.experiment_id, trace_ids=[trace_id]) == 1
    assert mlflow.get_trace(trace_id, silent=True) is None if "silent" in mlflow.get_trace.__code__.co_varnames else mlflow.get_trace(trace_id) is None
    assert tracking.delete_traces(experiment.experiment_id, max_timestamp_millis=int(time.time() * 1000) + 1000, max_traces=5) == 1
    assert mlflow.get_trace(other) is None


def test_traces_of_a_run(experiment):
    with mlflow.start_run() as run:
        trace_id = traced()
    assert [t.info.trace_id for t in mlflow.search_traces(run_id=run.info.run_id, return_type="list")] == [trace_id]


def test_feedback(experiment):
    trace_id = traced()
    zero = mlflow.log_feedback(trace_id=trace_id, name="score", value=0, source=human(), rationale="it's wrong")
    mlflow.log_feedback(trace_id=trace_id, name="fine", value=False, source=human())
    mlflow.log_feedback(trace_id=trace_id, name="empty", value="", source=human())
    mlflow.log_feedback(trace_id=trace_id, name="list", value=["a", "b"], source=human())
    mlflow.log_expectation(trace_id=trace_id, name="expected", value={"n": 1, "answer": "8443"}, source=human())
    stored = {a.name: a for a in mlflow.get_trace(trace_id).info.assessments}
    assert stored["score"].value == 0 and stored["score"].rationale == "it's wrong"
    assert stored["fine"].value is False and stored["empty"].value == "" and stored["list"].value == ["a", "b"]
    assert stored["expected"].value == {"n": 1, "answer": "8443"}

    better = mlflow.override_feedback(trace_id=trace_id, assessment_id=zero.assessment_id, value=1, rationale="looked again", source=human("bob"))
    assert mlflow.get_assessment(trace_id, zero.assessment_id).valid is False
    assert mlflow.get_assessment(trace_id, better.assessment_id).overrides == zero.assessment_id
    assert [t.info.trace_id for t in mlflow.search_traces(filter_string="feedback.score = 1", return_type="list")] == [trace_id]
    assert mlflow.search_traces(filter_string="feedback.score = 0", return_type="list") == []
    mlflow.delete_assessment(trace_id, better.assessment_id)
    assert mlflow.get_assessment(trace_id, zero.assessment_id).valid is True

    from mlflow.entities import Feedback
    mlflow.update_assessment(trace_id, zero.assessment_id, Feedback(name="score", value=0.5, rationale="half"))
    assert mlflow.get_assessment(trace_id, zero.assessment_id).value == 0.5
    with pytest.raises(MlflowException):
        mlflow.get_assessment(trace_id, "a-none")


def test_prompts(experiment):
    name = "qa-" + uuid.uuid4().hex[:8]
    first = mlflow.genai.register_prompt(name=name, template="Answer: {{question}}", commit_message="first", tags={"team": "a"})
    second = mlflow.genai.register_prompt(name=name, template=[{"role": "user", "content": "Briefly: {{question}}"}])
    assert (first.version, second.version) == (1, 2)
    mlflow.genai.set_prompt_alias(name, alias="champion", version=1)
    assert mlflow.genai.load_prompt(f"prompts:/{name}@champion").format(question="why?") == "Answer: why?"
    assert mlflow.genai.load_prompt(name, version=2).template == [{"role": "user", "content": "Briefly: {{question}}"}]
    assert mlflow.genai.load_prompt(f"prompts:/{name}@latest").version == 2
    assert [p.name for p in mlflow.genai.search_prompts(f"name = '{name}'")] == [name]
    mlflow.genai.delete_prompt_alias(name, alias="champion")
    assert mlflow.genai.load_prompt(f"prompts:/{name}@champion", allow_missing=True) is None


def test_registered_models(tracking):
    name = "model-" + uuid.uuid4().hex[:8]
    tracking.create_registered_model(name, tags={"k": "v"}, description="text")
    tracking.create_model_version(name, source="mlflow-artifacts:/0/models/m-1/artifacts", tags={"a": "b"})
    tracking.set_registered_model_alias(name, "champion", "1")
    version = tracking.get_model_version_by_alias(name, "champion")
    assert version.version in (1, "1") and version.tags == {"a": "b"} and version.status == "READY"
    assert name in [m.name for m in tracking.search_registered_models()]
    assert [v.name for v in tracking.search_model_versions(f"name = '{name}'")] == [name]
    tracking.set_model_version_tag(name, "1", "c", "d")
    tracking.update_model_version(name, "1", description="better")
    assert tracking.get_model_version(name, "1").description == "better"
    tracking.delete_model_version(name, "1")
    with pytest.raises(MlflowException):
        tracking.get_model_version_by_alias(name, "champion")
    tracking.delete_registered_model(name)


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return model_input


def test_a_logged_model_is_registered_and_read(tracking, experiment):
    name = "echo-" + uuid.uuid4().hex[:8]
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(name="echo", python_model=Echo(), pip_requirements=["mlflow"], registered_model_name=name)
    assert tracking.get_logged_model(info.model_id).status == "READY"
    assert [m.model_id for m in mlflow.search_logged_models(output_format="list")] == [info.model_id]
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict(["a"]) == ["a"]


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_an_exporter_alone(address, experiment, compression):
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter = OTLPSpanExporter(endpoint=address.url + "/v1/traces", compression=Compression(compression),
                                headers={"authorization": "Bearer " + address.token, "x-mlflow-experiment-id": experiment.experiment_id})
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("outer") as outer:
        outer.set_attribute("gen_ai.operation.name", "chat")
        outer.set_attribute("gen_ai.usage.input_tokens", 7)
        outer.set_attribute("gen_ai.usage.output_tokens", 2)
        outer.set_attribute("gen_ai.input.messages", '[{"role": "user", "content": "hi"}]')
        with tracer.start_as_current_span("inner"):
            pass
        trace_id = f"tr-{outer.get_span_context().trace_id:032x}"
    provider.shutdown()
    trace = mlflow.get_trace(trace_id)
    assert trace.info.state == "OK"
    assert trace.info.tags["service.name"] == "shop"
    assert trace.info.token_usage == {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
    assert {s.name for s in trace.data.spans} == {"outer", "inner"}
    outer = next(s for s in trace.data.spans if s.name == "outer")
    assert outer.span_type == "CHAT_MODEL"
    assert outer.inputs == [{"role": "user", "content": "hi"}]
    mlflow.log_feedback(trace_id=trace_id, name="score", value=1, source=human())
    assert [t.info.trace_id for t in mlflow.search_traces(filter_string="span.name = 'inner' AND feedback.score = 1", return_type="list")] == [trace_id]
