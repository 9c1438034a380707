/* What a person does on blocks, sent to the local Slack, and Slack's own errors shown where they would be seen. */
import { outcome, post, sentenceFor } from "./api.js";
import { app } from "./state.js";
import { failure } from "./toast.js";

/** A context for blocks of a message or the Home tab. */
export function contextFor(surface, container, values = {}) {
  return {
    surface,
    values,
    act: async (block, element, payload) => {
      const answer = await post("act", {
        as: app.as,
        container,
        block_id: block.block_id,
        action_id: element.action_id,
        ...payload,
      });
      await follow(answer.request);
    },
    input: async (block, element, payload) => {
      if (!container.home) return;
      const answer = await post("input", {
        as: app.as,
        home: true,
        block_id: block.block_id,
        action_id: element.action_id,
        ...payload,
      });
      await follow(answer.request);
    },
  };
}

/** Waits for the acknowledgement of a request; shows what Slack would show when there is none. Returns its last state. */
export async function follow(id, show = failure) {
  if (!id) return null;
  const request = await outcome(id);
  if (request.error) show(sentenceFor(request.error));
  return request;
}
