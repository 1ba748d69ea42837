"""Runs openai.test.mjs, of the official OpenAI SDK for JavaScript, against a server."""

import os
import pathlib
import shutil
import subprocess

import httpx
import pytest


def test_the_javascript_sdk(server):
    node = shutil.which("node")
    modules = os.environ.get("CLIENT_NODE_MODULES")
    if not node or not modules:
        pytest.skip("no node, or CLIENT_NODE_MODULES does not name the folder of its packages")
    # Modules are looked for beside the test.
    here = pathlib.Path(__file__).parent / "openai.test.mjs"
    beside = pathlib.Path(modules).parent / here.name
    shutil.copy(here, beside)
    body = {"prompt": "a", "max_tokens": 2, "structured_outputs": {"regex": "a"}}
    key = {"Authorization": "Bearer secret"}
    probe = httpx.post(server.url + "/v1/completions", json=body, headers=key)
    ran = subprocess.run(
        [node, "--test", str(beside)],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "TOUCHSTONE_URL": server.url,
            "TOUCHSTONE_STRUCTURED": "1" if probe.status_code == 200 else "0",
        },
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
