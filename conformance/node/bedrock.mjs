// The AWS SDK's client of Bedrock as a client of the suite: HTTP/2 without TLS
// from the first byte on, a bearer token, streams of binary frames.

import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { TOOLS } from "./suite.mjs";
import { abortAfter } from "./openai.mjs";

export function connect({ base, key }) {
  return new BedrockRuntimeClient({
    region: "us-east-1", endpoint: base, token: { token: key }, authSchemePreference: ["httpBearerAuth"], maxAttempts: 1,
  });
}

export const converse = {
  make(at) {
    const sdk = connect(at);
    return {
      sdk,
      async whole(model, input) {
        const { output, stopReason, usage } = await sdk.send(new ConverseCommand(params(model, input)));
        return result(output.message.content, stopReason, usage);
      },
      async stream(model, input) {
        const { stream } = await sdk.send(new ConverseStreamCommand(params(model, input)));
        const blocks = [];
        let stopReason, usage;
        let deltas = 0;
        for await (const event of stream) {
          join(blocks, event);
          stopReason = event.messageStop?.stopReason ?? stopReason;
          usage = event.metadata?.usage ?? usage;
          const text = textOf(event);
          if (!text) continue;
          deltas++;
          input.onText?.(text);
        }
        for (const { toolUse } of blocks) if (toolUse) toolUse.input = JSON.parse(toolUse.input || "{}");
        return { ...result(blocks, stopReason, usage), deltas };
      },
      async abort(model, input) {
        const control = new AbortController();
        const { stream } = await sdk.send(new ConverseStreamCommand(params(model, input)), { abortSignal: control.signal });
        return abortAfter(stream, control, textOf);
      },
    };
  },
};

const textOf = (event) => event.contentBlockDelta?.delta?.text;

/** Adds an event to the blocks of a message; the SDK joins none itself. */
function join(blocks, { contentBlockStart: start, contentBlockDelta: delta }) {
  if (start?.start?.toolUse) blocks[start.contentBlockIndex] = { toolUse: { ...start.start.toolUse, input: "" } };
  if (!delta) return;
  const block = (blocks[delta.contentBlockIndex] ??= {});
  const { text, toolUse, reasoningContent } = delta.delta;
  if (text !== undefined) block.text = (block.text ?? "") + text;
  if (toolUse) block.toolUse.input += toolUse.input;
  if (!reasoningContent) return;
  if (reasoningContent.redactedContent) block.reasoningContent = reasoningContent;
  const thought = (block.reasoningContent ??= { reasoningText: { text: "" } }).reasoningText;
  if (thought) thought.text += reasoningContent.text ?? "";
  if (thought && reasoningContent.signature) thought.signature = reasoningContent.signature;
}

function params(model, input) {
  const content = [{ text: input.prompt }];
  if (input.image) content.push({ image: { format: "png", source: { bytes: Buffer.from(input.image, "base64") } } });
  const messages = [{ role: "user", content }];
  if (input.history) messages.push({ role: "assistant", content: input.history });
  if (input.results) {
    messages.push({ role: "user", content: input.results.map((r) => ({ toolResult: { toolUseId: r.id, content: [{ text: r.text }] } })) });
  }
  if (input.follow) messages.push({ role: "user", content: [{ text: input.follow }] });
  return {
    modelId: model,
    messages,
    inferenceConfig: { maxTokens: 4096 },
    ...(input.cache && { system: [{ text: input.cache }, { cachePoint: { type: "default" } }] }),
    ...(input.think && { additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 2048 } } }),
    ...(input.tools && {
      toolConfig: { tools: TOOLS.map((t) => ({ toolSpec: { name: t.name, description: t.description, inputSchema: { json: t.schema } } })) },
    }),
    ...(input.schema && {
      outputConfig: { textFormat: { type: "json_schema", structure: { jsonSchema: { name: "person", schema: JSON.stringify(input.schema) } } } },
    }),
  };
}

const STOPS = { end_turn: "stop", tool_use: "tools", max_tokens: "length" };

function result(content, stopReason, usage) {
  const of = (member) => content.filter((b) => b[member] !== undefined).map((b) => b[member]);
  return {
    raw: { content, stopReason, usage },
    turn: content,
    think: of("reasoningContent").map((r) => r.reasoningText?.text ?? "").join(""),
    text: of("text").join(""),
    calls: of("toolUse").map((c) => ({ id: c.toolUseId, name: c.name, args: c.input })),
    stop: STOPS[stopReason] ?? stopReason,
    usage: usage && {
      in: usage.inputTokens + (usage.cacheReadInputTokens ?? 0) + (usage.cacheWriteInputTokens ?? 0),
      out: usage.outputTokens,
      cached: usage.cacheReadInputTokens ?? 0,
    },
  };
}
