"""GuideLLM and `vllm bench serve`, unmodified. Both are gigabytes: they run where they are installed
(on the PATH, or named by GUIDELLM and VLLM)."""

import json
import os
import shutil
import subprocess

import pytest
from conftest import MODEL, Server

REQUESTS = 8


def program(variable, name):
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        pytest.skip(f"no {name} on the PATH, and {variable} names none")
    return found


@pytest.fixture
def open_server(tmp_path):
    server = Server(tmp_path)
    yield server
    server.stop()


def run(*command):
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_guidellm(open_server, tmp_path):
    report = tmp_path / "report.json"
    run(
        program("GUIDELLM", "guidellm"),
        "run",
        "--backend",
        f"kind=openai_http,target={open_server.url},model=tiny",
        "--profile",
        "kind=concurrent,streams=2",
        "--constraint",
        f"kind=max_requests,count={REQUESTS}",
        "--tokenizer",
        f"kind=huggingface_auto,model={MODEL}",
        "--data",
        "kind=synthetic_text,prompt_tokens=32,output_tokens=16",
        "--output",
        f"kind=json,path={report}",
        "--disable-console",
    )
    benchmark = json.loads(report.read_text())["benchmarks"][0]
    totals = benchmark["metrics"]["request_totals"]
    assert totals["successful"] == REQUESTS and totals["errored"] == 0


def test_vllm_bench_serve(open_server, tmp_path):
    run(
        program("VLLM", "vllm"),
        *["bench", "serve", "--base-url", open_server.url, "--model", "tiny", "--tokenizer", MODEL],
        *["--dataset-name", "random", "--random-input-len", "32", "--random-output-len", "16"],
        *["--num-prompts", str(REQUESTS), "--max-concurrency", "2"],
        *["--save-result", "--result-filename", str(tmp_path / "result.json")],
    )
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["completed"] == REQUESTS
    assert result["total_output_tokens"] == 16 * REQUESTS
