#!/usr/bin/env python3
"""An audit client as tutorials write it: one chat completion, then its span read back and held
against a list of required attributes. Standard library alone.

audit_client.py SERVER BACKEND SERVICE [--no-chat]
"""

import json
import sys
import time
import urllib.parse
import urllib.request

REQUIRED = [
    "gen_ai.model.id",
    "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.completion_tokens",
    "gen_ai.response.finish_reasons",
    "deployment.region",
]


def chat(server):
    models = json.load(urllib.request.urlopen(server + "/v1/models"))
    body = {
        "model": models["data"][0]["id"],
        "messages": [{"role": "user", "content": "Say where you run."}],
        "max_tokens": 8,
    }
    request = urllib.request.Request(
        server + "/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    return json.load(urllib.request.urlopen(request))


def newest_span(backend, service, start_ms):
    for _ in range(60):
        query = urllib.parse.urlencode(
            {"service": service, "start": start_ms, "end": int(time.time() * 1000), "limit": 20}
        )
        answer = json.load(urllib.request.urlopen(f"{backend}/api/v1/spans?{query}"))
        if answer["spans"]:
            return answer["spans"][0]
        time.sleep(0.5)
    sys.exit("no span came")


def main():
    server, backend, service = sys.argv[1:4]
    start_ms = int(time.time() * 1000) - 60_000
    if "--no-chat" not in sys.argv:
        chat(server)
    attributes = newest_span(backend, service, start_ms)["attributes"]
    missing = [key for key in REQUIRED if key not in attributes]
    for key in REQUIRED:
        print("MISSING" if key in missing else "PASS", key, attributes.get(key, ""))
    if missing:
        sys.exit(f"WARNING: {len(missing)} required attributes are missing")
    print("All required audit attributes confirmed")


if __name__ == "__main__":
    main()
