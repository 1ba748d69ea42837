"""A server for the client libraries: the real binary on the shipped model."""

import os
import pathlib
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TOUCHSTONE", str(ROOT / "build/release/cli/touchstone"))
MODEL = str(ROOT / "fixtures/models/touchstone-tiny")


class Server:
    """`touchstone serve` as a child process, until stop()."""

    def __init__(self, folder, *flags, environment=None):
        self.log_path = folder / "log"
        self.spans_path = folder / "spans.jsonl"
        port_file = folder / "port"
        command = [BINARY, "serve", MODEL, "--served-model-name", "tiny", "--host", "127.0.0.1"]
        command += ["--port", "0", "--port-file", str(port_file), *flags]
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                command, stderr=log, env={**os.environ, **(environment or {})}
            )
        deadline = time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text().strip():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log()}")
            time.sleep(0.02)
        self.port = int(port_file.read_text())
        self.url = f"http://127.0.0.1:{self.port}"

    def log(self):
        return self.log_path.read_text()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, self.log()


# The shipped model would go on with white space for ever where JSON allows it.
TOOL_FLAGS = [
    "--enable-auto-tool-choice",
    "--tool-call-parser",
    "hermes",
    "--structured-outputs-config",
    '{"disable_any_whitespace": true}',
]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    started = Server(
        tmp_path_factory.mktemp("server"),
        *TOOL_FLAGS,
        "--api-key",
        "secret",
        environment={"VLLM_ENABLE_RESPONSES_API_STORE": "1"},
    )
    yield started
    started.stop()


@pytest.fixture(scope="session")
def structured(server):
    """Skips where the server was built without xgrammar."""
    import httpx

    body = {"prompt": "a", "max_tokens": 2, "structured_outputs": {"regex": "a"}}
    answer = httpx.post(
        server.url + "/v1/completions", json=body, headers={"Authorization": "Bearer secret"}
    )
    if answer.status_code == 501:
        pytest.skip(answer.json()["error"]["message"])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
