"""Runs the Python cells of the conformance suite.

Reads {"replay", "tailplane", "secure", "cert", "key", "corpus", "cells"} from standard
input ("secure" is Tailplane behind TLS, "cert" its certificate) and writes one JSON
line per cell: {"label", "results": [{"name", "error"}], "cancels": [ms]}. A cell
has its upstream's "at", as node/upstreams.mjs describes it.
The scenarios are those of node/suite.mjs; what each expects stands there too.
"""

import itertools
import json
import sys
import time
import urllib.parse
import urllib.request

from clients import PIXEL, SCHEMA, Azure, Chat, Messages, Responses
from clouds import Converse, Gemini
from frameworks import LangChain, PydanticAnthropic, PydanticOpenAI

CLIENTS = {
    "openai-chat": Chat,
    "openai-responses": Responses,
    "azure-classic": Azure,
    "anthropic": Messages,
    "gemini": Gemini,
    "bedrock": Converse,
    "langchain-openai": LangChain,
    "pydantic-openai": PydanticOpenAI,
    "pydantic-anthropic": PydanticAnthropic,
}
PLAIN = {"text": "The capital of France is Paris.", "calls": [], "stop": "stop", "usage": {"in": 12, "out": 7, "cached": 0}}
TWO_CALLS = [
    {"id": "call_1", "name": "get_weather", "args": {"city": "Paris", "days": 2}},
    {"id": "call_2", "name": "get_time", "args": {"zone": "Europe/Paris"}},
]
SIGNATURE = "c2lnbmVkLWJ5LXJlcGxheQ=="
THOUGHT = "Six times seven."
LONG = "A long text that is worth keeping. " * 40

nonces = itertools.count(1)


def same(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {json.dumps(got)[:300]}, want {json.dumps(want)[:300]}")


def check(got, want):
    for key, value in want.items():
        if key not in got.get("unread", ()):
            same(got[key], value, key)


def expect(ok, why):
    if not ok:
        raise AssertionError(why)


class Cell:
    """A client, through Tailplane, to an upstream; on a pass cell also the
    provider itself, whose answer must be the same."""

    def __init__(self, spec, env):
        self.id, self.up = spec["id"], spec["up"]
        self.at, self.without = spec["at"], spec.get("without", {})
        self.is_pass = spec.get("pass", False)
        self.env, self.cancels = env, []
        client = CLIENTS[spec["client"]]
        self.through = Converse(env["secure"], env["key"], env["cert"]) if client is Converse else client(env["tailplane"], env["key"])
        self.oracle = client(env["replay"], "direct")

    def fresh(self, scenario, mode="w"):
        return f"sc.{scenario}.{mode}.{self.at.get('mark', '')}{self.id}{next(nonces)}"

    def arrivals(self, model):
        address = f"{self.env['replay']}/stats?model={urllib.parse.quote(model)}"
        with urllib.request.urlopen(address) as answer:
            return json.load(answer)

    def target(self, fault=None):
        return f"{self.id}-{fault}" if fault else f"up-{self.up}"

    def ask(self, scenario, ask, stream=False, mode="w"):
        model, how = self.fresh(scenario, mode), "stream" if stream else "whole"
        got = getattr(self.through, how)(f"{self.target()}/{model}", ask)
        seen = self.arrivals(model)
        same(len(seen), 1, "requests at the provider")
        path = stream and self.at.get("streams") or self.at["path"]
        same(seen[0]["path"], path.replace("MODEL", model), "the upstream dialect")
        if self.is_pass:
            own = self.fresh(scenario, mode)
            want = getattr(self.oracle, how)(own, ask)
            strip = lambda raw, name: json.loads(json.dumps(raw).replace(name, "MODEL"))
            same(strip(got["raw"], model), strip(want["raw"], own), "the SDK's aggregate, against the direct one")
        unread = ["think"] if "thoughts" in self.without else []
        unread += ["usage"] if stream and "usage of streams" in self.without else []
        return got | {"sent": seen[0]["body"], "unread": unread}


def plain(c):
    check(c.ask("plain", {"prompt": "Capital of France?"}), PLAIN)
    check(c.ask("length", {"prompt": "Tell a story"}), {"text": "Once upon a", "stop": "length"})


def stream(c):
    for mode in "wb":
        got = c.ask("plain", {"prompt": "Capital of France?"}, stream=True, mode=mode)
        check(got, {"text": PLAIN["text"], "stop": "stop"})
        expect(got["deltas"] >= 2, "the text came in one piece")
        same(got.get("unasked", 0), 0, "usage that was not asked for")
        if c.at["says"] == "chat":
            same(got["sent"].get("stream_options"), {"include_usage": True}, "what the provider was asked for")


def stream_usage(c):
    check(c.ask("plain", {"prompt": "Capital of France?", "usage": True}, stream=True), PLAIN)


def tools(c):
    for streamed in (False, True):
        ask = {"prompt": "Weather and time in Paris?", "tools": True}
        got = c.ask("tools", ask, stream=streamed, mode="b" if streamed else "w")
        check(got, {"text": "Let me look.", "calls": TWO_CALLS, "stop": "tools"})
        results = [("call_1", "sunny, 21 degrees"), ("call_2", "12:05")]
        after = c.ask("plain", ask | {"history": got["turn"], "results": results})
        check(after, PLAIN)
        sent = json.dumps(after["sent"])
        for part in ("call_1", "call_2", "sunny, 21 degrees", "12:05", "Let me look."):
            expect(part in sent, f"{part} did not reach the provider in the second turn")


def no_arguments(c):
    for streamed in (False, True):
        ask = {"prompt": "List files", "tools": True}
        got = c.ask("noargs", ask, stream=streamed)
        check(got, {"text": "", "calls": [{"id": "call_1", "name": "list_files", "args": {}}], "stop": "tools"})
        check(c.ask("plain", ask | {"history": got["turn"], "results": [("call_1", "a.txt")]}), PLAIN)


def schema(c):
    for streamed in (False, True):
        got = c.ask("schema", {"prompt": "Who?", "schema": SCHEMA}, stream=streamed)
        same(json.loads(got["text"]), {"name": "Ada", "age": 36}, "the object")
        sent = got["sent"]
        at = {
            "chat": lambda: sent["response_format"]["json_schema"]["schema"],
            "responses": lambda: sent["text"]["format"]["schema"],
            "anthropic": lambda: (sent.get("output_config") or {}).get("format", {}).get("schema") or sent["output_format"]["schema"],
            "gemini": lambda: sent["generationConfig"].get("responseJsonSchema") or sent["generationConfig"]["responseSchema"],
            "converse": lambda: json.loads(sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]),
        }[c.at["says"]]()
        same(at["properties"], SCHEMA["properties"], "the schema as the provider got it")


def image(c):
    got = c.ask("image", {"prompt": "What is this?", "image": PIXEL})
    check(got, {"text": "A red square.", "stop": "stop"})
    expect(PIXEL in json.dumps(got["sent"]), "the image did not reach the provider")


def reasoning(c):
    for streamed in (False, True):
        ask = {"prompt": "What is 6 x 7?", "think": True}
        got = c.ask("think", ask, stream=streamed)
        check(got, {"text": "It is 42.", "think": THOUGHT, "stop": "stop"})
        after = c.ask("plain", ask | {"history": got["turn"], "follow": "Sure?"})
        check(after, PLAIN)
        sent = json.dumps(after["sent"])
        says = "chat" if c.without.keys() & {"thoughts", "signatures"} else c.at["says"]
        if says != "chat":
            expect(SIGNATURE in sent, "the signature did not come back to the provider intact")
        if says not in ("chat", "gemini"):
            expect(THOUGHT in sent, "the thought did not come back to the provider")
        expect("tp1." not in sent, "a wrapped signature reached the provider")


def cache(c):
    for streamed in (False, True):
        got = c.ask("cache", {"prompt": "Go on", "cache": LONG, "usage": True}, stream=streamed)
        check(got, {"text": "Cached.", "usage": {"in": 120, "out": 2, "cached": 100}})
        expect(LONG in json.dumps(got["sent"]), "the text to cache did not arrive")


def abort(c):
    # The gateway's share of the time is there in every try, what a busy machine adds is not.
    took = aborted(c)
    for _ in range(2):
        took = min(took, aborted(c)) if took > 100 else took
    expect(took <= 100, f"the provider saw the cancel after {took:.0f} ms at best")
    c.cancels.append(max(0, round(took)))


def aborted(c):
    """Lets the client leave in the middle of a stream; the milliseconds until the provider saw it."""
    model = c.fresh("slow")
    at = c.through.abort(f"{c.target()}/{model}", {"prompt": "Go on and on"})
    seen = {}
    for _ in range(60):
        time.sleep(0.02)
        seen = c.arrivals(model)[0]
        if seen.get("cancelled"):
            break
    expect(seen.get("cancelled"), "the provider never saw the cancel")
    return seen["cancelled"] - at


def raised(f):
    try:
        value = f()
    except AssertionError:
        raise
    except Exception as error:
        return error
    raise AssertionError(f"no error was raised; the answer was {json.dumps(value.get('text'))}")


def cause(error):
    """The SDK's own error, where a framework has wrapped it."""
    return error.__cause__ if type(error).__module__.startswith("pydantic_ai") and error.__cause__ else error


def status_of(error):
    """The HTTP status of an SDK's error: OpenAI's and Anthropic's, Google's, AWS's."""
    error = cause(error)
    if hasattr(error, "status_code"):
        return error.status_code
    if hasattr(error, "code"):
        return error.code
    return getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode")


def retry_after(error):
    """The seconds that an error demands to wait: a header, at Google in its body."""
    error = cause(error)
    details = getattr(error, "details", None)
    if isinstance(details, dict):
        info = [d for d in details["error"].get("details", []) if "retryDelay" in d]
        return float(info[0]["retryDelay"].rstrip("s")) if info else None
    answer = error.response
    headers = answer["ResponseMetadata"]["HTTPHeaders"] if isinstance(answer, dict) else answer.headers
    return float(headers["retry-after"]) if "retry-after" in headers else None


def errors(c):
    flaky = c.fresh("flaky")
    check(c.through.whole(f"{c.target('flaky')}/{flaky}", {"prompt": "?"}), PLAIN)
    same(len(c.arrivals(flaky)), 2, "requests at the provider: one that failed and its retry")
    for how in ("whole", "stream"):
        got = getattr(c.through, how)(f"fallback-{c.id}", {"prompt": "?"})
        check(got, {"text": PLAIN["text"], "stop": "stop"})
    down = raised(lambda: c.through.whole(f"{c.target('down')}/{c.fresh('down')}", {"prompt": "?"}))
    expect((status_of(down) or 0) >= 500, f"an outage came as {down}")
    bad = raised(lambda: c.through.whole(f"{c.target()}/{c.fresh('bad')}", {"prompt": "?"}))
    same(status_of(bad), 400, "the status of a refusal")
    expect("scripted refusal" in str(bad), f"the provider's words: {bad}")
    for scenario in ("cut", "event"):
        pieces = []
        ask = {"prompt": "?", "on_text": pieces.append}
        broke = raised(lambda: c.through.stream(f"{c.target('broken')}/{c.fresh(scenario)}", ask))
        expect(pieces, f"{scenario}: no text came before the break ({broke})")
        expect("incomplete chunked read" not in str(broke), f"{scenario}: the connection was cut instead of an error event")


TYPED = ("RateLimitError", "ThrottlingException", "ClientError")  # as the names end


def rate_limit(c):
    limited = raised(lambda: c.through.whole(f"{c.target('limited')}/{c.fresh('limited')}", {"prompt": "?"}))
    same(status_of(limited), 429, f"the status ({limited})")
    expect(type(cause(limited)).__name__.endswith(TYPED), f"the error's type ({limited!r})")
    hurried = not c.at.get("unhurried")
    if hurried:
        after = retry_after(limited)
        expect(after and 30 <= after <= 37, f"retry-after is {after}, the provider said 37")
    once = c.fresh("once")
    check(c.through.whole(f"{c.target('once')}/{once}", {"prompt": "?"}), PLAIN)
    seen = c.arrivals(once)
    same(len(seen), 2, "requests at the provider")
    waited = seen[1]["at"] - seen[0]["at"]
    expect(not hurried or waited >= 990, f"asked again after {waited} ms, the provider demanded 1 s")


def agent(c):
    model = c.fresh("agent")
    same(c.through.agent(f"{c.target()}/{model}"), PLAIN["text"], "what the agent says")
    seen = c.arrivals(model)
    same(len(seen), 2, "requests at the provider: the question and the tool's result")
    expect("a.txt" in json.dumps(seen[1]["body"]), "the tool's result did not reach the provider")


SCENARIOS = {
    "plain": plain,
    "stream": stream,
    "stream with usage": stream_usage,
    "parallel tool calls": tools,
    "tool call without arguments": no_arguments,
    "JSON-schema output": schema,
    "image input": image,
    "reasoning round trip": reasoning,
    "prompt-cache fields": cache,
    "client abort": abort,
    "upstream errors": errors,
    "rate limit": rate_limit,
}


def outcome(run):
    try:
        run()
        return ""
    except Exception as error:
        text = str(error).split("\n")[0]
        return text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"


def simulator(env):
    """The simulator through both SDKs."""
    chat, messages = Chat(env["tailplane"], env["key"]), Messages(env["tailplane"], env["key"])
    results = []
    for name, client in (("openai", chat), ("anthropic", messages)):
        for how in ("whole", "stream"):

            def run():
                got = getattr(client, how)("sim/fast", {"prompt": "Say something about Paris", "usage": True})
                expect("simulated" in got["text"], f"the text is {got['text'][:80]}")
                expect(got["usage"]["out"] > 0, "no usage")

            results.append({"name": f"{name} {how}", "error": outcome(run)})

    def embed():
        got = chat.sdk.embeddings.create(model="sim/fast", input=["one", "two"])
        same(len(got.data), 2, "vectors")

    results.append({"name": "openai embeddings", "error": outcome(embed)})
    return {"label": "openai-python, anthropic-python -> simulator", "results": results}


def invoke_model(env):
    """Bedrock's InvokeModel, whose body is of the model's maker: here Claude's."""
    sdk, results = Converse(env["secure"], env["key"], env["cert"]).sdk, []
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]})

    def model():
        return f"up-bedrock/sc.plain.w.claude-b{next(nonces)}"

    def whole():
        got = json.load(sdk.invoke_model(modelId=model(), body=body)["body"])
        same(got["content"][0]["text"], PLAIN["text"], "the text")

    def stream():
        got = sdk.invoke_model_with_response_stream(modelId=model(), body=body)["body"]
        pieces = [json.loads(event["chunk"]["bytes"]) for event in got]
        same("".join(p.get("delta", {}).get("text", "") for p in pieces), PLAIN["text"], "the text")

    for run in (whole, stream):
        results.append({"name": run.__name__, "error": outcome(run)})
    return {"label": "boto3-python InvokeModel -> bedrock", "results": results}


def recordings(env):
    """Recorded streams: the SDK makes of each what it makes of it directly."""
    with urllib.request.urlopen(env["replay"] + "/recordings") as answer:
        tape = [r for r in json.load(answer) if r["streamed"]]
    for dialect, client in (("chat", Chat), ("responses", Responses), ("anthropic", Messages)):
        through, direct = client(env["tailplane"], env["key"]).sdk, client(env["replay"], "direct").sdk
        results, equal = [], 0
        for rec in (r for r in tape if r["dialect"] == dialect):
            body = rec.get("request") or DEFAULTS[dialect]
            want = aggregate(direct, dialect, body, f"rec.{rec['number']}.w.pd")
            got = aggregate(through, dialect, body, f"up-{dialect}/rec.{rec['number']}.w.pt")
            error = ""
            if got[0] != want[0]:
                error = f"{got[1][:200]} instead of {want[1][:200]}"
            elif got[0] == "value" and got[1] != want[1]:
                error = f"the aggregates differ: {got[1][:150]} instead of {want[1][:150]}"
            equal += got == want and got[0] == "value"
            results.append({"name": rec["name"], "error": error})
        note = f"{equal} aggregates equal, {sum(not r['error'] for r in results) - equal} raise both ways"
        yield {"label": f"recordings {dialect}, streams, Python", "results": results, "note": note}


DEFAULTS = {
    "chat": {"messages": [{"role": "user", "content": "?"}], "stream_options": {"include_usage": True}},
    "responses": {"input": "?"},
    "anthropic": {"max_tokens": 1024, "messages": [{"role": "user", "content": "?"}]},
}


def aggregate(sdk, dialect, body, model):
    """("value", JSON) or ("raised", words) of a streamed call with a recorded body."""
    mine = {"model": model, "stream": None}
    rest = {k: v for k, v in body.items() if k not in mine}
    try:
        if dialect == "chat":
            with sdk.chat.completions.stream(model=model, messages=rest.pop("messages"), extra_body=rest) as stream:
                return "value", stream.get_final_completion().model_dump_json()
        if dialect == "responses":
            with sdk.responses.stream(model=model, input=rest.pop("input", "?"), extra_body=rest) as stream:
                return "value", stream.get_final_response().model_dump_json()
        need = {k: rest.pop(k) for k in ("messages", "max_tokens")}
        with sdk.messages.stream(model=model, **need, extra_body=rest) as stream:
            return "value", stream.get_final_message().model_dump_json()
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"


def main():
    env = json.load(sys.stdin)
    for spec in env["cells"]:
        cell = Cell(spec, env)
        wanted = {name: run for name, run in SCENARIOS.items() if name not in cell.without}
        if hasattr(cell.through, "agent"):
            wanted["an agent with a tool"] = agent
        results = [{"name": name, "error": outcome(lambda: run(cell))} for name, run in wanted.items()]
        for client in (cell.through, cell.oracle):
            getattr(client, "close", lambda: None)()
        note = "; ".join(f"without {name}: {why}" for name, why in cell.without.items())
        print(json.dumps({"label": spec["label"], "results": results, "cancels": cell.cancels, "note": note}), flush=True)
    print(json.dumps(simulator(env)), flush=True)
    print(json.dumps(invoke_model(env)), flush=True)
    for cell in recordings(env) if env["corpus"] else ():
        print(json.dumps(cell), flush=True)


main()
