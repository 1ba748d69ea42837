"""examples/otel_client: one trace from the client's question to the server's llm_request, as the real
Collector received it."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from conftest import BINARY, ROOT, Server, free_port

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: 127.0.0.1:{grpc}}}
      http: {{endpoint: 127.0.0.1:{http}}}
exporters:
  file: {{path: {spans}, flush_interval: 100ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
"""


@pytest.fixture
def collector(tmp_path):
    found = subprocess.run([BINARY, "collector", "find"], capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip("no Collector: touchstone collector build")
    ports = {"grpc": free_port(), "http": free_port()}
    spans = tmp_path / "collected.jsonl"
    config = tmp_path / "collector.yaml"
    config.write_text(CONFIG.format(spans=spans, **ports))
    with open(tmp_path / "collector.log", "w") as log:
        process = subprocess.Popen(
            [found.stdout.split()[0], "--config", str(config)], stderr=log, stdout=log
        )
    yield {**ports, "spans": spans, "process": process}
    process.terminate()
    process.wait(30)


def collected(path):
    """Every span in the file: by its id."""
    spans = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    spans[span["spanId"]] = {**span, "scope": scope["scope"]["name"]}
    return spans


def test_one_trace_leads_from_the_question_to_the_model(collector, tmp_path):
    server = Server(
        tmp_path,
        "--otlp-traces-endpoint",
        f"http://127.0.0.1:{collector['grpc']}",
        environment={"OTEL_BSP_SCHEDULE_DELAY": "100"},
    )
    try:
        ran = subprocess.run(
            [
                sys.executable,
                str(ROOT / "examples/otel_client/rag.py"),
                "--base-url",
                server.url + "/v1",
                "--endpoint",
                f"http://127.0.0.1:{collector['http']}/v1/traces",
                "Who wrote of the whale?",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "OTEL_SDK_DISABLED": "false"},
        )
        assert ran.returncode == 0, ran.stderr
    finally:
        server.stop()
    trace_id = ran.stdout.split("trace ")[-1].strip()
    deadline = time.monotonic() + 20
    names = set()
    while "llm_request" not in names or "rag.ask" not in names:
        assert time.monotonic() < deadline, (names, ran.stderr)
        spans = collected(pathlib.Path(collector["spans"]))
        names = {span["name"] for span in spans.values()}
    by_name = {span["name"]: span for span in spans.values() if span["traceId"] == trace_id}
    assert set(by_name) == {"rag.ask", "rag.retrieve", "chat tiny", "llm_request"}
    path = []
    span = by_name["llm_request"]
    while span:
        path.append(span["name"])
        span = spans.get(span.get("parentSpanId", ""))
    assert path == ["llm_request", "chat tiny", "rag.ask"]
    assert by_name["rag.retrieve"]["parentSpanId"] == by_name["rag.ask"]["spanId"]
