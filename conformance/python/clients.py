"""The Python SDKs as clients of the suite: each turns an ask (a dict with
prompt, tools, schema, image, history and so on) into its SDK's call, and the
SDK's answer into one common form."""

import json
import time

import anthropic
import openai

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def _schema(**properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


TOOLS = [
    ("get_weather", "Weather of a city", _schema(city={"type": "string"}, days={"type": "integer"})),
    ("get_time", "Time in a zone", _schema(zone={"type": "string"})),
    ("list_files", "Files", _schema()),
]


def connect_openai(base, key):
    return openai.OpenAI(api_key=key, base_url=base + "/v1", max_retries=0, timeout=20)


def connect_anthropic(base, key):
    return anthropic.Anthropic(api_key=key, base_url=base, max_retries=0, timeout=20)


class Chat:
    """OpenAI's chat completions."""

    def __init__(self, base, key):
        self.sdk = connect_openai(base, key)

    def whole(self, model, ask):
        raw = self.sdk.chat.completions.create(**self._params(model, ask))
        return self._result(raw)

    def stream(self, model, ask):
        more = {"stream_options": {"include_usage": True}} if ask.get("usage") else {}
        deltas, unasked, think = 0, 0, ""
        with self.sdk.chat.completions.stream(**self._params(model, ask), **more) as stream:
            for event in stream:
                if event.type == "content.delta":
                    deltas += 1
                    ask.get("on_text", _ignore)(event.delta)
                if event.type != "chunk":
                    continue
                if event.chunk.choices:
                    think += getattr(event.chunk.choices[0].delta, "reasoning_content", None) or ""
                if event.chunk.usage and not ask.get("usage"):
                    unasked += 1
            got = self._result(stream.get_final_completion())
        return got | {"deltas": deltas, "unasked": unasked, "think": think}

    def abort(self, model, ask):
        stream = self.sdk.chat.completions.create(**self._params(model, ask), stream=True)
        return _leave(stream, lambda c: c.choices and c.choices[0].delta.content)

    def _params(self, model, ask):
        content = ask["prompt"]
        if ask.get("image"):
            url = {"url": "data:image/png;base64," + ask["image"]}
            content = [{"type": "text", "text": content}, {"type": "image_url", "image_url": url}]
        messages = [{"role": "system", "content": ask["cache"]}] if ask.get("cache") else []
        messages.append({"role": "user", "content": content})
        if ask.get("history"):
            messages.append(ask["history"])
        for call, text in ask.get("results", []):
            messages.append({"role": "tool", "tool_call_id": call, "content": text})
        if ask.get("follow"):
            messages.append({"role": "user", "content": ask["follow"]})
        params = {"model": model, "messages": messages}
        if ask.get("think"):
            params["reasoning_effort"] = "low"
        if ask.get("tools"):
            params["tools"] = [
                {"type": "function", "function": {"name": n, "description": d, "parameters": s, "strict": True}}
                for n, d, s in TOOLS
            ]
        if ask.get("schema"):
            form = {"name": "person", "strict": True, "schema": ask["schema"]}
            params["response_format"] = {"type": "json_schema", "json_schema": form}
        return params

    def _result(self, raw):
        choice = raw.choices[0]
        turn = choice.message.model_dump(exclude_unset=True)
        turn.pop("parsed", None)
        for call in turn.get("tool_calls") or []:
            call["function"].pop("parsed_arguments", None)
        usage = raw.usage and {
            "in": raw.usage.prompt_tokens,
            "out": raw.usage.completion_tokens,
            "cached": (raw.usage.prompt_tokens_details and raw.usage.prompt_tokens_details.cached_tokens) or 0,
        }
        return {
            "raw": raw.model_dump(mode="json"),
            "turn": turn,
            "text": choice.message.content or "",
            "think": getattr(choice.message, "reasoning_content", None) or "",
            "calls": [
                {"id": c.id, "name": c.function.name, "args": json.loads(c.function.arguments or "{}")}
                for c in choice.message.tool_calls or []
            ],
            "stop": {"tool_calls": "tools"}.get(choice.finish_reason, choice.finish_reason),
            "usage": usage,
        }


class Azure(Chat):
    """OpenAI's chat completions below Azure's classic paths, which name the deployment."""

    def __init__(self, base, key):
        self.sdk = openai.AzureOpenAI(api_key=key, azure_endpoint=base, api_version="2024-10-21", max_retries=0, timeout=20)


class Responses:
    """OpenAI's responses."""

    def __init__(self, base, key):
        self.sdk = connect_openai(base, key)

    def whole(self, model, ask):
        return self._result(self.sdk.responses.create(**self._params(model, ask)))

    def stream(self, model, ask):
        deltas = 0
        with self.sdk.responses.stream(**self._params(model, ask)) as stream:
            for event in stream:
                if event.type == "error":
                    raise RuntimeError(event.message)
                if event.type == "response.failed":
                    raise RuntimeError(event.response.error.message)
                if event.type == "response.output_text.delta":
                    deltas += 1
                    ask.get("on_text", _ignore)(event.delta)
            return self._result(stream.get_final_response()) | {"deltas": deltas}

    def abort(self, model, ask):
        stream = self.sdk.responses.create(**self._params(model, ask), stream=True)
        return _leave(stream, lambda e: e.type == "response.output_text.delta")

    def _params(self, model, ask):
        content = [{"type": "input_text", "text": ask["prompt"]}]
        if ask.get("image"):
            content.append({"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + ask["image"]})
        items = [{"role": "user", "content": content}, *ask.get("history", [])]
        for call, text in ask.get("results", []):
            items.append({"type": "function_call_output", "call_id": call, "output": text})
        if ask.get("follow"):
            items.append({"role": "user", "content": ask["follow"]})
        params = {"model": model, "input": items}
        if ask.get("cache"):
            params["instructions"] = ask["cache"]
        if ask.get("think"):
            params |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False}
        if ask.get("tools"):
            params["tools"] = [
                {"type": "function", "name": n, "description": d, "parameters": s, "strict": True} for n, d, s in TOOLS
            ]
        if ask.get("schema"):
            params["text"] = {"format": {"type": "json_schema", "name": "person", "strict": True, "schema": ask["schema"]}}
        return params

    def _result(self, raw):
        def of(kind):
            return [o for o in raw.output if o.type == kind]

        turn = [o.model_dump(exclude_unset=True) for o in raw.output]
        for item in turn:
            item.pop("parsed_arguments", None)
            for part in item.get("content") or []:
                part.pop("parsed", None)
        calls = of("function_call")
        details = raw.usage and raw.usage.input_tokens_details
        return {
            "raw": raw.model_dump(mode="json"),
            "turn": turn,
            "text": "".join(p.text for m in of("message") for p in m.content),
            "think": "".join(p.text for r in of("reasoning") for p in (r.summary or r.content or [])),
            "calls": [{"id": c.call_id, "name": c.name, "args": json.loads(c.arguments or "{}")} for c in calls],
            "stop": "length" if raw.status == "incomplete" else "tools" if calls else "stop",
            "usage": raw.usage
            and {"in": raw.usage.input_tokens, "out": raw.usage.output_tokens, "cached": (details and details.cached_tokens) or 0},
        }


class Messages:
    """Anthropic's messages."""

    def __init__(self, base, key):
        self.sdk = connect_anthropic(base, key)

    def whole(self, model, ask):
        return self._result(self.sdk.messages.create(**self._params(model, ask)))

    def stream(self, model, ask):
        deltas = 0
        with self.sdk.messages.stream(**self._params(model, ask)) as stream:
            for event in stream:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    deltas += 1
                    ask.get("on_text", _ignore)(event.delta.text)
            return self._result(stream.get_final_message()) | {"deltas": deltas}

    def abort(self, model, ask):
        stream = self.sdk.messages.create(**self._params(model, ask), stream=True)
        return _leave(stream, lambda e: e.type == "content_block_delta")

    def _params(self, model, ask):
        content = [{"type": "text", "text": ask["prompt"]}]
        if ask.get("image"):
            source = {"type": "base64", "media_type": "image/png", "data": ask["image"]}
            content.insert(0, {"type": "image", "source": source})
        messages = [{"role": "user", "content": content}]
        if ask.get("history"):
            messages.append({"role": "assistant", "content": ask["history"]})
        if ask.get("results"):
            results = [{"type": "tool_result", "tool_use_id": i, "content": text} for i, text in ask["results"]]
            messages.append({"role": "user", "content": results})
        if ask.get("follow"):
            messages.append({"role": "user", "content": ask["follow"]})
        params = {"model": model, "max_tokens": 4096, "messages": messages}
        if ask.get("cache"):
            params["system"] = [{"type": "text", "text": ask["cache"], "cache_control": {"type": "ephemeral"}}]
        if ask.get("think"):
            params["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        if ask.get("tools"):
            params["tools"] = [{"name": n, "description": d, "input_schema": s} for n, d, s in TOOLS]
        if ask.get("schema"):
            params["output_config"] = {"format": {"type": "json_schema", "schema": ask["schema"]}}
        return params

    def _result(self, raw):
        def of(kind):
            return [b for b in raw.content if b.type == kind]

        turn = [b.model_dump(exclude_unset=True) for b in raw.content]
        for block in turn:
            block.pop("parsed_output", None)
        u = raw.usage
        read, made = u.cache_read_input_tokens or 0, u.cache_creation_input_tokens or 0
        return {
            "raw": raw.model_dump(mode="json"),
            "turn": turn,
            "text": "".join(b.text for b in of("text")),
            "think": "".join(b.thinking for b in of("thinking")),
            "calls": [{"id": b.id, "name": b.name, "args": b.input} for b in of("tool_use")],
            "stop": {"end_turn": "stop", "tool_use": "tools", "max_tokens": "length"}.get(raw.stop_reason, raw.stop_reason),
            "usage": {"in": u.input_tokens + read + made, "out": u.output_tokens, "cached": read},
        }


def _ignore(_):
    pass


def _leave(stream, has_text):
    """Reads a few pieces of text, closes the stream, and returns when it did
    in Unix milliseconds."""
    texts = 0
    for chunk in stream:
        if has_text(chunk):
            texts += 1
        if texts == 4:
            at = time.time() * 1000
            stream.close()
            return at
    raise AssertionError("the stream ended by itself")
