// The tools that the conformance suite asks for, as an MCP server behind the gateway (stdio).

import { setTimeout as pause } from "node:timers/promises";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { ErrorCode, McpError } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

const text = (text) => ({ type: "text", text });
const image = { type: "image", data: PNG, mimeType: "image/png" };
const resource = (uri, mimeType, text) => ({ type: "resource", resource: { uri, mimeType, text } });

const answers = {
  test_simple_text: async () => [text("This is a simple text response for testing.")],
  test_image_content: async () => [image],
  test_audio_content: async () => [{ type: "audio", data: WAV, mimeType: "audio/wav" }],
  test_embedded_resource: async () => [
    resource("test://embedded-resource", "text/plain", "This is an embedded resource content."),
  ],
  test_multiple_content_types: async () => [
    text("Multiple content types test:"),
    image,
    resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
  ],
  test_error_handling: async () => {
    throw new Error("This tool intentionally returns an error for testing");
  },
  // Long enough for the gateway to say three times that the call goes on.
  test_tool_with_progress: async () => {
    await pause(7000);
    return [text("It came to its end.")];
  },
};

// Those of its `tasks-*` scenarios. What takes its time there waits for people here, so `slow_compute` itself is quick.
const tasks = {
  greet: [{ name: z.string() }, async ({ name }) => [text(`Hello, ${name}!`)]],
  slow_compute: [
    { seconds: z.number(), label: z.string() },
    async ({ seconds, label }) => [text(`computed ${label} for ${seconds} s`)],
  ],
  // Asks its client for nothing here.
  confirm_delete: [{ filename: z.string() }, async ({ filename }) => [text(`deleted ${filename}`)]],
  failing_job: [
    {},
    async () => {
      throw new Error("This job fails");
    },
  ],
  // The one error that the SDK answers as JSON-RPC does.
  protocol_error_job: [
    {},
    async () => {
      throw new McpError(ErrorCode.UrlElicitationRequired, "This job fails in the protocol", { elicitations: [] });
    },
  ],
};

const server = new McpServer({ name: "probes", version: "1" });
for (const [name, answer] of Object.entries(answers)) {
  server.registerTool(name, { description: name }, async () => ({ content: await answer() }));
}
for (const [name, [inputSchema, answer]] of Object.entries(tasks)) {
  server.registerTool(name, { description: name, inputSchema }, async (given) => ({ content: await answer(given) }));
}
await server.connect(new StdioServerTransport());
