"""Two real engines, a Tailplane in front, real SDKs, and a kill.

    python run.py TAILPLANE NODE DRIVE.mjs

One line per check, then the numbers, then `real: N passed, N failed`. It starts
processes and ends exactly those.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

import anthropic
import openai

from stage import KEY, Bench, expect, free_port, wait

HERE = pathlib.Path(__file__).parent
MODEL = "small"
QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
STORY = [{"role": "user", "content": "Tell me a long story about a ship and its crew."}]
BEGINNINGS = ["Describe winter.", "Describe a harbour.", "Describe bread.", "Describe a train.", "Describe rain.", "Describe a desk."]


def config(bench, ports):
    def engine(name):
        return {"kind": "llamacpp", "url": f"http://127.0.0.1:{ports[name]}"}

    return {
        "version": 1,
        "listen": {"data": {"addr": f"127.0.0.1:{ports['data']}"}, "admin": {"addr": f"127.0.0.1:{ports['admin']}"}},
        "targets": {"engine-a": engine("engine-a"), "engine-b": engine("engine-b"), "sim": {"kind": "sim"}},
        "models": {MODEL: {"pool": ["engine-a", "engine-b"], "served_as": "smollm2", "fallback": ["sim/fast"]}},
        "keys": {"static": [{"name": "real", "key": "env:REAL_CLIENT_KEY"}]},
        "ledger": {"dir": bench.dir.name + "/state"},
    }


def sane(text, tokens, most=24):
    expect(sum(c.isalpha() for c in text) > 5, f"this is no text: {text!r}")
    expect(0 < tokens <= most, f"{tokens} output tokens")


def python_checks(bench, oa, an):
    ask = {"model": MODEL, "messages": QUESTION, "max_tokens": 24, "temperature": 0}

    def chat():
        raw = oa.chat.completions.with_raw_response.create(**ask)
        got = raw.parse()
        sane(got.choices[0].message.content, got.usage.completion_tokens)
        record = bench.why(raw.headers["x-request-id"])
        same = (record["usage"]["input"], record["usage"]["output"]) == (got.usage.prompt_tokens, got.usage.completion_tokens)
        expect(same, f"the ledger says {record['usage']}, the engine {got.usage}")
        return repr(got.choices[0].message.content)

    def chat_stream():
        with oa.chat.completions.stream(**ask, stream_options={"include_usage": True}) as stream:
            stream.until_done()
            got = stream.get_final_completion()
        sane(got.choices[0].message.content, got.usage.completion_tokens)

    def completions():
        got = oa.completions.create(model=MODEL, prompt="The capital of France is", max_tokens=12, temperature=0)
        sane(got.choices[0].text, got.usage.completion_tokens)
        return repr(got.choices[0].text)

    def embeddings():
        got = oa.embeddings.create(model=MODEL, input=["a cat", "a dog", "a tax return"])
        a, b, c = (e.embedding for e in got.data)
        near, far = (sum(x * y for x, y in zip(a, v)) for v in (b, c))
        expect(near > far, f"a cat is nearer to a tax return ({far:.2f}) than to a dog ({near:.2f})")
        return f"{len(a)} dimensions"

    brief = {"model": MODEL, "messages": QUESTION, "max_tokens": 24}

    def messages():
        got = an.messages.create(**brief)
        sane(got.content[0].text, got.usage.output_tokens)

    def messages_stream():
        with an.messages.stream(**brief) as stream:
            got = stream.get_final_message()
        sane(got.content[0].text, got.usage.output_tokens)

    bench.check("openai-python chat, usage settled", chat)
    bench.check("openai-python chat, streamed", chat_stream)
    bench.check("openai-python completions", completions)
    bench.check("openai-python embeddings", embeddings)
    bench.check("anthropic-python messages (translated)", messages)
    bench.check("anthropic-python messages, streamed (translated)", messages_stream)


def same_text(direct, oa):
    """Greedy decoding on one engine: the way through must not change the text."""
    ask = {"messages": STORY, "max_tokens": 40, "temperature": 0, "extra_body": {"cache_prompt": False}}
    want = direct.chat.completions.create(model="smollm2", **ask).choices[0].message.content
    got = oa.chat.completions.create(model="engine-a/smollm2", **ask).choices[0].message.content
    expect(got == want, f"{got!r} instead of {want!r}")


def pooled(oa):
    """Requests at the same time are spread over both engines."""
    seen = []

    def one():
        raw = oa.chat.completions.with_raw_response.create(model=MODEL, messages=STORY, max_tokens=24)
        seen.append(raw.headers["x-tailplane-target"])

    threads = [threading.Thread(target=one) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    expect(len(seen) == 6 and set(seen) == {"engine-a", "engine-b"}, f"served by {seen}")
    return ", ".join(f"{n} {seen.count(n)}" for n in sorted(set(seen)))


def abort(bench, oa, port):
    """A caller that leaves frees the engine's slot."""

    def busy():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return next(float(x.split()[1]) for x in lines if x.startswith("llamacpp:requests_processing"))

    stream = oa.chat.completions.create(model="engine-a/smollm2", messages=STORY, max_tokens=1500, stream=True)
    for _, chunk in zip(range(4), stream):
        pass
    stream.close()
    begun = time.monotonic()
    while busy() > 0:
        expect(time.monotonic() - begun < 5, "the engine still works for a caller that left")
        time.sleep(0.02)
    return f"slot free after {(time.monotonic() - begun) * 1000:.0f} ms"


def kill_while_serving(bench, oa, an, state):
    """Streams on the engine that dies end with an error in their dialect."""
    started, outcome = threading.Barrier(3), {"chat tokens": 0, "messages tokens": 0}

    def chat():
        stream = oa.chat.completions.create(model="engine-b/smollm2", messages=STORY, max_tokens=1500, stream=True)
        outcome["chat id"] = stream.response.headers["x-request-id"]
        for i, chunk in enumerate(stream):
            outcome["chat tokens"] += bool(chunk.choices and chunk.choices[0].delta.content)
            if i == 4:
                started.wait(60)
        outcome["chat"] = None

    def messages():
        ask = {"model": "engine-b/smollm2", "messages": STORY, "max_tokens": 1500}
        with an.messages.stream(**ask) as stream:
            outcome["messages id"] = stream.response.headers["request-id"]
            for i, event in enumerate(stream):
                outcome["messages tokens"] += event.type == "content_block_delta"
                if i == 6:
                    started.wait(60)
        outcome["messages"] = None

    def guarded(name, f):
        try:
            f()
        except Exception as error:
            outcome[name] = error

    threads = [threading.Thread(target=guarded, args=a) for a in (("chat", chat), ("messages", messages))]
    [t.start() for t in threads]
    started.wait(60)
    bench.kill("engine-b")
    [t.join(30) for t in threads]
    for name, kind in (("chat", openai.APIError), ("messages", anthropic.APIError)):
        got = outcome.get(name)
        expect(isinstance(got, kind) and not isinstance(got, (openai.APIConnectionError, anthropic.APIConnectionError)),
               f"{name}: {type(got).__name__} {got}, not an error event")
    state.update(outcome)
    return f"{outcome['chat']}"


def settled(bench, state):
    told = []
    for name in ("chat", "messages"):
        record = bench.why(state[name + " id"])
        usage, got = record["usage"], state[name + " tokens"]
        expect(record["outcome"] == "broken", f"{name}: outcome {record['outcome']}")
        expect(usage["input"] > 0 and abs(usage["output"] - got) <= 2, f"{name}: {usage}, the client saw {got} pieces")
        told.append(f"{name}: {usage['output']} output tokens ({usage['source']}), the client saw {got}")
    return "; ".join(told)


def goes_on(bench, oa, an, want):
    """Requests go on at whoever is left."""
    seen = []
    for i in range(4):
        raw = oa.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION, max_tokens=8)
        sane(raw.parse().choices[0].message.content, raw.parse().usage.completion_tokens)
        seen.append(raw.headers["x-tailplane-target"])
        with an.messages.stream(model=MODEL, messages=QUESTION, max_tokens=8) as stream:
            stream.get_final_message()
            seen.append(stream.response.headers["x-tailplane-target"])
    expect(set(seen) == {want}, f"served by {seen}")
    record = bench.why(raw.headers["x-request-id"])
    return f"all {len(seen)} by {want}; the last after {len(record['attempts'])} attempt(s)"


def measure(client, model, run):
    """TTFT in ms and output tokens per second of one streamed answer."""
    prompt = [{"role": "user", "content": BEGINNINGS[run % len(BEGINNINGS)]}]
    begun, first, tokens = time.monotonic(), None, 0
    stream = client.chat.completions.create(
        model=model, messages=prompt, max_tokens=48, temperature=0, stream=True,
        stream_options={"include_usage": True}, extra_body={"cache_prompt": False},
    )
    for chunk in stream:
        if first is None and chunk.choices and chunk.choices[0].delta.content:
            first = time.monotonic()
        if chunk.usage:
            tokens = chunk.usage.completion_tokens
    return (first - begun) * 1000, (tokens - 1) / (time.monotonic() - first)


def compare(direct, oa):
    ways = {"direct": (direct, "smollm2"), "through": (oa, "engine-a/smollm2")}
    found = {name: [] for name in ways}
    for run in range(len(BEGINNINGS)):
        for name, (client, model) in ways.items():
            found[name].append(measure(client, model, run))
    for name, rows in found.items():
        ttft, rate = (statistics.median(column) for column in zip(*rows))
        print(f"  {name:8} TTFT {ttft:6.1f} ms   {rate:5.1f} tokens/s   (median of {len(rows)})")


def scenario(bench, drive):
    ports = {name: free_port() for name in ("engine-a", "engine-b", "data", "admin")}
    begun = time.monotonic()
    for name in ("engine-a", "engine-b"):
        bench.start(name, [sys.executable, str(HERE / "engine.py"), str(ports[name])])
    for name in ("engine-a", "engine-b"):
        wait(f"http://127.0.0.1:{ports[name]}/health", bench.children[name])
    print(f"two llama.cpp servers with SmolLM2-135M-Instruct Q4_1, 1 thread each, up in {time.monotonic() - begun:.1f} s", flush=True)
    file = pathlib.Path(bench.dir.name) / "tailplane.yaml"
    file.write_text(json.dumps(config(bench, ports), indent=1))
    bench.start("tailplane", [bench.tailplane, "serve", "-c", str(file)])
    base = f"http://127.0.0.1:{ports['data']}"
    wait(base + "/readyz", bench.children["tailplane"], 20)
    oa = openai.OpenAI(api_key=KEY, base_url=base + "/v1", max_retries=0, timeout=120)
    an = anthropic.Anthropic(api_key=KEY, base_url=base, max_retries=0, timeout=120)
    direct = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{ports['engine-a']}/v1", max_retries=0, timeout=120)

    python_checks(bench, oa, an)
    ask = json.dumps({"base": base, "key": KEY, "model": MODEL})
    done = subprocess.run(drive, input=ask, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        print(done.stderr[-2000:])
        bench.failed += 1
    for result in json.loads(done.stdout or "[]"):
        bench.check(result["name"], lambda: expect(not result["error"], result["error"]))
    bench.check("the text is the engine's own", lambda: same_text(direct, oa))
    bench.check("a pool uses both engines", lambda: pooled(oa))
    bench.check("a caller that leaves frees the engine", lambda: abort(bench, oa, ports["engine-a"]))
    compare(direct, oa)

    state = {}
    bench.check("engine-b killed while it answers: error events", lambda: kill_while_serving(bench, oa, an, state))
    bench.check("both broken requests are settled", lambda: settled(bench, state))
    bench.check("requests go on at engine-a", lambda: goes_on(bench, oa, an, "engine-a"))
    bench.kill("engine-a")
    bench.check("requests go on at the fallback when engine-a is killed, too", lambda: goes_on(bench, oa, an, "sim"))


def main():
    bench, begun = Bench(os.path.abspath(sys.argv[1])), time.monotonic()
    try:
        scenario(bench, sys.argv[2:])
    finally:
        if os.environ.get("REAL_LOG"):
            for name, log in bench.logs.items():
                log.seek(0)
                print(f"--- {name}\n{log.read()[-4000:]}", file=sys.stderr)
        bench.close()
    print(f"real: {bench.passed} passed, {bench.failed} failed  ({time.monotonic() - begun:.0f} s)")
    sys.exit(1 if bench.failed else 0)


main()
