/* The menu of a message with the app's shortcuts, as far as its manifest declares some. */
import { follow } from "./acting.js";
import { post } from "./api.js";
import { menu } from "./menu.js";
import { app } from "./state.js";
import { failure } from "./toast.js";

/** The "…" button with its menu; null where the app has no shortcut for messages. */
export function moreActions(message) {
  if (!app.shortcuts.length) return null;
  return menu({
    opener: { testid: "more-actions", "aria-label": "Menu of this message", title: "Menu" },
    items: app.shortcuts.map((shortcut) => ({
      words: `${shortcut.name} · ${app.bot.name || "rollout"}`,
      title: shortcut.description,
      choose: () => choose(message, shortcut),
    })),
  });
}

async function choose(message, shortcut) {
  try {
    const answer = await post("shortcut", {
      as: app.as,
      channel: message.channel,
      ts: message.ts,
      callback_id: shortcut.callback_id,
    });
    await follow(answer.request);
  } catch (problem) {
    failure(problem.message);
  }
}
