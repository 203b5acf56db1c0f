"""Google's and AWS's SDKs as clients of the suite, in the form of clients.py."""

import base64
import json
import os

import boto3
import botocore
import botocore.config
from google import genai
from google.genai import types

from clients import TOOLS, _ignore, _leave


class Gemini:
    """Google's generateContent."""

    def __init__(self, base, key):
        options = types.HttpOptions(base_url=base, timeout=20_000, retry_options=types.HttpRetryOptions(attempts=1))
        self.sdk = genai.Client(api_key=key, vertexai=False, http_options=options)

    def whole(self, model, ask):
        return self._result([self.sdk.models.generate_content(**self._params(model, ask))])

    def stream(self, model, ask):
        chunks, deltas = [], 0
        for chunk in self.sdk.models.generate_content_stream(**self._params(model, ask)):
            chunks.append(chunk)
            if _gemini_text(chunk):
                deltas += 1
                ask.get("on_text", _ignore)(_gemini_text(chunk))
        return self._result(chunks) | {"deltas": deltas}

    def abort(self, model, ask):
        return _leave(self.sdk.models.generate_content_stream(**self._params(model, ask)), _gemini_text)

    def _params(self, model, ask):
        parts = [types.Part(text=ask["prompt"])]
        if ask.get("image"):
            parts.append(types.Part.from_bytes(data=base64.b64decode(ask["image"]), mime_type="image/png"))
        contents = [types.Content(role="user", parts=parts)]
        if ask.get("history"):
            contents.append(ask["history"])
        if ask.get("results"):
            names = {p.function_call.id: p.function_call.name for p in ask["history"].parts if p.function_call}
            results = [types.FunctionResponse(id=i, name=names[i], response={"output": text}) for i, text in ask["results"]]
            contents.append(types.Content(role="user", parts=[types.Part(function_response=r) for r in results]))
        if ask.get("follow"):
            contents.append(types.Content(role="user", parts=[types.Part(text=ask["follow"])]))
        config = types.GenerateContentConfig()
        if ask.get("cache"):
            config.system_instruction = ask["cache"]
        if ask.get("think"):
            config.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
        if ask.get("tools"):
            made = [types.FunctionDeclaration(name=n, description=d, parameters_json_schema=s) for n, d, s in TOOLS]
            config.tools = [types.Tool(function_declarations=made)]
        if ask.get("schema"):
            config.response_mime_type, config.response_json_schema = "application/json", ask["schema"]
        return {"model": model, "contents": contents, "config": config}

    def _result(self, chunks):
        parts = _joined([p for c in chunks for p in _gemini_parts(c)])
        last = next((c for c in reversed(chunks) if c.usage_metadata), chunks[-1])
        stop = next((c.candidates[0].finish_reason for c in reversed(chunks) if c.candidates and c.candidates[0].finish_reason), None)
        calls = [p.function_call for p in parts if p.function_call]
        turn, u = types.Content(role="model", parts=parts), last.usage_metadata
        return {
            "raw": {"turn": turn.model_dump(mode="json"), "stop": stop, "usage": u and u.model_dump(mode="json"), "model": last.model_version},
            "turn": turn,
            "text": "".join(p.text for p in parts if p.text and not p.thought),
            "think": "".join(p.text for p in parts if p.text and p.thought),
            "calls": [{"id": c.id, "name": c.name, "args": c.args or {}} for c in calls],
            "stop": "tools" if calls else {"STOP": "stop", "MAX_TOKENS": "length"}.get(stop, stop),
            "usage": u
            and {
                "in": u.prompt_token_count,
                "out": (u.candidates_token_count or 0) + (u.thoughts_token_count or 0),
                "cached": u.cached_content_token_count or 0,
            },
        }


def _gemini_parts(chunk):
    content = chunk.candidates[0].content if chunk.candidates else None
    return (content and content.parts) or []


def _gemini_text(chunk):
    return "".join(p.text for p in _gemini_parts(chunk) if p.text and not p.thought)


def _joined(pieces):
    """The parts of an answer, pieces of one text or thought joined up to its signature."""
    parts = []
    for p in pieces:
        last = parts[-1] if parts else None
        same = last and last.text is not None and p.text is not None and last.thought == p.thought
        if same and not last.thought_signature:
            parts[-1] = p.model_copy(update={"text": last.text + p.text})
        elif p.text or p.function_call or p.thought_signature:
            parts.append(p)
    return parts


class Converse:
    """Bedrock's Converse, with a bearer token, which boto3 sends over TLS only;
    without cert, the file of a certificate, it asks in the clear and unsigned."""

    def __init__(self, base, key, cert=None):
        config = botocore.config.Config(
            retries={"total_max_attempts": 1}, read_timeout=20, connect_timeout=5, signature_version=None if cert else botocore.UNSIGNED
        )
        if cert:
            os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key
        self.sdk = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=base, config=config, verify=cert)

    def whole(self, model, ask):
        raw = self.sdk.converse(**self._params(model, ask))
        return self._result(raw["output"]["message"]["content"], raw["stopReason"], raw["usage"])

    def stream(self, model, ask):
        blocks, stop, usage, deltas = {}, None, None, 0
        for event in self.sdk.converse_stream(**self._params(model, ask))["stream"]:
            _join(blocks, event)
            stop = event.get("messageStop", {}).get("stopReason", stop)
            usage = event.get("metadata", {}).get("usage", usage)
            if _converse_text(event):
                deltas += 1
                ask.get("on_text", _ignore)(_converse_text(event))
        for block in blocks.values():
            if "toolUse" in block:
                block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
        return self._result(list(blocks.values()), stop, usage) | {"deltas": deltas}

    def abort(self, model, ask):
        return _leave(self.sdk.converse_stream(**self._params(model, ask))["stream"], _converse_text)

    def _params(self, model, ask):
        content = [{"text": ask["prompt"]}]
        if ask.get("image"):
            content.append({"image": {"format": "png", "source": {"bytes": base64.b64decode(ask["image"])}}})
        messages = [{"role": "user", "content": content}]
        if ask.get("history"):
            messages.append({"role": "assistant", "content": ask["history"]})
        if ask.get("results"):
            results = [{"toolResult": {"toolUseId": i, "content": [{"text": text}]}} for i, text in ask["results"]]
            messages.append({"role": "user", "content": results})
        if ask.get("follow"):
            messages.append({"role": "user", "content": [{"text": ask["follow"]}]})
        params = {"modelId": model, "messages": messages, "inferenceConfig": {"maxTokens": 4096}}
        if ask.get("cache"):
            params["system"] = [{"text": ask["cache"]}, {"cachePoint": {"type": "default"}}]
        if ask.get("think"):
            params["additionalModelRequestFields"] = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
        if ask.get("tools"):
            tools = [{"toolSpec": {"name": n, "description": d, "inputSchema": {"json": s}}} for n, d, s in TOOLS]
            params["toolConfig"] = {"tools": tools}
        if ask.get("schema"):
            form = {"jsonSchema": {"name": "person", "schema": json.dumps(ask["schema"])}}
            params["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": form}}
        return params

    def _result(self, content, stop, u):
        def of(member):
            return [b[member] for b in content if member in b]

        read, made = u.get("cacheReadInputTokens", 0), u.get("cacheWriteInputTokens", 0)
        return {
            "raw": {"content": content, "stop": stop, "usage": u},
            "turn": content,
            "text": "".join(of("text")),
            "think": "".join(r.get("reasoningText", {}).get("text", "") for r in of("reasoningContent")),
            "calls": [{"id": c["toolUseId"], "name": c["name"], "args": c["input"]} for c in of("toolUse")],
            "stop": {"end_turn": "stop", "tool_use": "tools", "max_tokens": "length"}.get(stop, stop),
            "usage": {"in": u["inputTokens"] + read + made, "out": u["outputTokens"], "cached": read},
        }


def _converse_text(event):
    return event.get("contentBlockDelta", {}).get("delta", {}).get("text")


def _join(blocks, event):
    """Adds an event to the blocks of a message; the SDK joins none itself."""
    start, delta = event.get("contentBlockStart"), event.get("contentBlockDelta")
    if start and "toolUse" in start["start"]:
        blocks[start["contentBlockIndex"]] = {"toolUse": start["start"]["toolUse"] | {"input": ""}}
    if not delta:
        return
    block, piece = blocks.setdefault(delta["contentBlockIndex"], {}), delta["delta"]
    if "text" in piece:
        block["text"] = block.get("text", "") + piece["text"]
    if "toolUse" in piece:
        block["toolUse"]["input"] += piece["toolUse"]["input"]
    if "reasoningContent" in piece:
        thought = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
        thought["text"] += piece["reasoningContent"].get("text", "")
        if "signature" in piece["reasoningContent"]:
            thought["signature"] = piece["reasoningContent"]["signature"]
