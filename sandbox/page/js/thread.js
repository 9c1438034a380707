/* The thread panel. */
import { coalesce, find, h, inOrder, released } from "./dom.js";
import { get } from "./api.js";
import { composer } from "./composer.js";
import { drawMessages } from "./messages.js";
import { app, channelName } from "./state.js";

let list = null;
let scroll = null;
let channel = null;
const turn = inOrder();

export function openThread(inChannel, ts, onSend) {
  app.thread = ts;
  channel = inChannel;
  list = h("div.messages", { role: "log", "aria-live": "polite", "aria-label": "Thread messages" });
  scroll = h("div.scroll", { tabindex: "0", "aria-label": "Thread" }, list);
  const place = channel === app.dm ? app.bot.name : `#${channelName(channel)}`;
  find("thread").replaceChildren(
    h(
      "header.thread-head",
      {},
      h("div", {}, h("h2", {}, "Thread"), h("p", {}, place)),
      h("button.close", { type: "button", "aria-label": "Close thread", onclick: closeThread }, "×"),
    ),
    scroll,
    composer({ placeholder: "Reply…", commands: false, testid: "thread-composer", onSend: (text) => onSend(text, ts) }),
  );
  find("thread").hidden = false;
  find("app").classList.add("with-thread");
  return refresh(true);
}

export function closeThread() {
  app.thread = null;
  list = null;
  find("thread").hidden = true;
  find("thread").replaceChildren();
  find("app").classList.remove("with-thread");
}

async function refresh(first = false) {
  if (!app.thread || !list) return;
  const ts = app.thread;
  const news = turn();
  const answer = await get("messages", { as: app.as, channel, thread: ts });
  await released();
  if (ts !== app.thread || !list || !news()) return;
  const added = drawMessages(list, answer.messages, { thread: true });
  if (added || first === true) scroll.scrollTop = scroll.scrollHeight;
}

export const refreshThread = coalesce(() => refresh());
