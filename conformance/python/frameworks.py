"""LangChain and Pydantic AI as clients of the suite, in the form of clients.py."""

import asyncio
import base64
import time

import anthropic
import openai
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic_ai import Agent
from pydantic_ai import messages as m
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.profiles.anthropic import AnthropicModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from clients import TOOLS, _ignore, _leave


class LangChain:
    """LangChain's ChatOpenAI."""

    def __init__(self, base, key):
        self.base, self.key = base, key

    def whole(self, model, ask):
        return self._result(self._chat(model, ask).invoke(self._messages(ask), **self._options(ask)))

    def stream(self, model, ask):
        total, deltas = None, 0
        for chunk in self._chat(model, ask).stream(self._messages(ask), **self._options(ask)):
            total = total + chunk if total else chunk
            if chunk.text:
                deltas += 1
                ask.get("on_text", _ignore)(chunk.text)
        return self._result(total) | {"deltas": deltas}

    def abort(self, model, ask):
        return _leave(self._chat(model, ask).stream(self._messages(ask)), lambda c: c.text)

    def agent(self, model):
        agent = create_agent(self._chat(model, {}), tools=[list_files])
        return agent.invoke({"messages": [HumanMessage("List files")]})["messages"][-1].text

    def _chat(self, model, ask):
        more = {"reasoning_effort": "low"} if ask.get("think") else {}
        usage = bool(ask.get("usage"))
        chat = ChatOpenAI(model=model, base_url=self.base + "/v1", api_key=self.key, max_retries=0, timeout=20, stream_usage=usage, **more)
        if not ask.get("tools"):
            return chat
        return chat.bind_tools([{"type": "function", "function": {"name": n, "description": d, "parameters": s}} for n, d, s in TOOLS])

    def _options(self, ask):
        if not ask.get("schema"):
            return {}
        form = {"name": "person", "strict": True, "schema": ask["schema"]}
        return {"response_format": {"type": "json_schema", "json_schema": form}}

    def _messages(self, ask):
        content = [{"type": "text", "text": ask["prompt"]}]
        if ask.get("image"):
            content.append({"type": "image_url", "image_url": {"url": "data:image/png;base64," + ask["image"]}})
        messages = [SystemMessage(ask["cache"])] if ask.get("cache") else []
        messages.append(HumanMessage(content))
        if ask.get("history"):
            messages.append(ask["history"])
        messages += [ToolMessage(text, tool_call_id=i) for i, text in ask.get("results", [])]
        return messages + ([HumanMessage(ask["follow"])] if ask.get("follow") else [])

    def _result(self, message):
        u, stop = message.usage_metadata, message.response_metadata.get("finish_reason")
        calls = [{"id": c["id"], "name": c["name"], "args": c["args"]} for c in message.tool_calls]
        return {
            "raw": {"content": message.content, "calls": calls, "stop": stop, "usage": u},
            "turn": message,
            "text": message.text,
            "think": "",
            "calls": calls,
            "stop": {"tool_calls": "tools"}.get(stop, stop),
            "usage": u and {"in": u["input_tokens"], "out": u["output_tokens"], "cached": (u.get("input_token_details") or {}).get("cache_read") or 0},
        }


class Pydantic:
    """Pydantic AI's models, asked directly; how one is made and thinks, its subclasses say."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()

    def whole(self, model, ask):
        async def run():
            return await model_request(self._model(model), self._messages(ask), **self._options(ask))

        return self._result(self.loop.run_until_complete(run()))

    def stream(self, model, ask):
        async def run():
            deltas = 0
            async with model_request_stream(self._model(model), self._messages(ask), **self._options(ask)) as stream:
                async for event in stream:
                    if text := _text(event):
                        deltas += 1
                        ask.get("on_text", _ignore)(text)
                return stream.get(), deltas

        got, deltas = self.loop.run_until_complete(run())
        return self._result(got) | {"deltas": deltas}

    def abort(self, model, ask):
        async def run():
            texts = 0
            async with model_request_stream(self._model(model), self._messages(ask)) as stream:
                async for event in stream:
                    texts += bool(_text(event))
                    if texts == 4:
                        return time.time() * 1000
            raise AssertionError("the stream ended by itself")

        return self.loop.run_until_complete(run())

    def agent(self, model):
        return self.loop.run_until_complete(Agent(self._model(model), tools=[list_files]).run("List files")).output

    def close(self):
        self.loop.run_until_complete(self.sdk.close())
        self.loop.close()

    def _messages(self, ask):
        content = [ask["prompt"]]
        if ask.get("image"):
            content.append(m.BinaryContent(base64.b64decode(ask["image"]), media_type="image/png"))
        parts = [m.SystemPromptPart(ask["cache"])] if ask.get("cache") else []
        messages = [m.ModelRequest([*parts, m.UserPromptPart(content)])]
        if ask.get("history"):
            messages.append(ask["history"])
        if ask.get("results"):
            names = {p.tool_call_id: p.tool_name for p in ask["history"].parts if isinstance(p, m.ToolCallPart)}
            messages.append(m.ModelRequest([m.ToolReturnPart(names[i], text, tool_call_id=i) for i, text in ask["results"]]))
        if ask.get("follow"):
            messages.append(m.ModelRequest([m.UserPromptPart(ask["follow"])]))
        return messages

    def _options(self, ask):
        params = {}
        if ask.get("tools"):
            params["function_tools"] = [ToolDefinition(name=n, description=d, parameters_json_schema=s) for n, d, s in TOOLS]
        if ask.get("schema"):
            params["output_mode"] = "native"
            params["output_object"] = OutputObjectDefinition(json_schema=ask["schema"], name="person", strict=True)
        return {"model_request_parameters": ModelRequestParameters(**params), "model_settings": self._settings(ask)}

    def _result(self, got):
        def of(kind):
            return [p for p in got.parts if isinstance(p, kind)]

        calls = [{"id": c.tool_call_id, "name": c.tool_name, "args": c.args_as_dict()} for c in of(m.ToolCallPart)]
        usage = {"in": got.usage.input_tokens, "out": got.usage.output_tokens, "cached": got.usage.cache_read_tokens}
        think, text = "".join(p.content for p in of(m.ThinkingPart)), "".join(p.content for p in of(m.TextPart))
        return {
            "raw": {"text": text, "think": think, "calls": calls, "stop": got.finish_reason, "usage": usage},
            "turn": got,
            "text": text,
            "think": think,
            "calls": calls,
            "stop": {"tool_call": "tools"}.get(got.finish_reason, got.finish_reason),
            "usage": usage,
        }


class PydanticOpenAI(Pydantic):
    """Pydantic AI over OpenAI's chat completions."""

    def __init__(self, base, key):
        super().__init__()
        self.sdk = openai.AsyncOpenAI(api_key=key, base_url=base + "/v1", max_retries=0, timeout=20)

    def _model(self, name):
        return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=self.sdk))

    def _settings(self, ask):
        return OpenAIChatModelSettings(openai_reasoning_effort="low") if ask.get("think") else None


class PydanticAnthropic(Pydantic):
    """Pydantic AI over Anthropic's messages."""

    def __init__(self, base, key):
        super().__init__()
        self.sdk = anthropic.AsyncAnthropic(api_key=key, base_url=base, max_retries=0, timeout=20)

    def _model(self, name):
        profile = AnthropicModelProfile(supports_json_schema_output=True)  # as of Claude, whose names it knows
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=self.sdk), profile=profile)

    def _settings(self, ask):
        more = {"anthropic_thinking": {"type": "enabled", "budget_tokens": 2048}} if ask.get("think") else {}
        if ask.get("cache"):
            more["anthropic_cache_instructions"] = True
        return AnthropicModelSettings(max_tokens=4096, **more)


def list_files() -> str:
    """Files"""
    return "a.txt"


def _text(event):
    if isinstance(event, m.PartStartEvent) and isinstance(event.part, m.TextPart):
        return event.part.content
    if isinstance(event, m.PartDeltaEvent) and isinstance(event.delta, m.TextPartDelta):
        return event.delta.content_delta
    return ""
