/* The middle pane for a channel or the direct message with the app: messages, the hint of an empty channel, notices. */
import { append, coalesce, find, h } from "./dom.js";
import { get } from "./api.js";
import { drawMessages } from "./messages.js";
import { app, userName } from "./state.js";
import { clockOf } from "./text/time.js";

const SHOWN = 300;
let box = null;
let list = null;
let shown = null;
let hooks = {};

/** `handlers`: onThread(ts), onSuggest(text) */
export function prepareConversation(handlers) {
  hooks = handlers;
}

export function openConversation(place) {
  shown = place.id;
  list = h("div.messages", {
    testid: "messages",
    role: "log",
    "aria-live": "polite",
    "aria-label": "Messages",
    "aria-relevant": "additions text",
  });
  box = h("div.scroll", { tabindex: "0", "aria-label": "Conversation" }, h("div.push-down"), h("p.quiet.older", { hidden: true }, `Only the last ${SHOWN} messages are shown.`), list);
  find("conversation").replaceChildren(box);
  return refresh();
}

const nearBottom = () => box.scrollHeight - box.scrollTop - box.clientHeight < 140;

async function refresh() {
  const channel = shown;
  if (!channel || !app.place || app.place.id !== channel) return;
  const person = app.as;
  const answer = await get("messages", { as: person, channel });
  if (channel !== shown || person !== app.as || !list) return;
  const all = answer.messages.filter(
    (message) => !message.deleted && (!message.thread_ts || message.thread_ts === message.ts || message.broadcast),
  );
  const visible = all.slice(-SHOWN);
  box.querySelector(".older").hidden = all.length === visible.length;
  const stick = nearBottom() || !list.querySelector("[data-ts]");
  const added = drawMessages(list, visible, { onThread: hooks.onThread });
  hint(visible.length === 0);
  if (stick && (added || list.dataset.first !== "no"))
    requestAnimationFrame(() => {
      box.scrollTop = box.scrollHeight;
    });
  else if (stick) box.scrollTop = box.scrollHeight;
  if (list.dataset.first !== "no") showLinked();
  list.dataset.first = "no";
}

/** A permalink (?ts=) scrolls to its message and marks it, once. */
function showLinked() {
  const ts = app.linked;
  app.linked = null;
  const element = ts && list.querySelector(`[data-ts="${CSS.escape(ts)}"]`);
  if (!element) return;
  requestAnimationFrame(() => element.scrollIntoView({ block: "center" }));
  element.classList.add("changed-now");
}

export const refreshConversation = coalesce(refresh);

/** An error that Slack itself shows to this person alone, in the conversation. */
export function notice(text) {
  if (!list) return;
  const now = new Date();
  const element = h(
    "article.message.ephemeral.notice",
    { testid: "notice" },
    h("div.gutter", {}, h("span.avatar.slackbot", { "aria-hidden": "true" }, "S")),
    h(
      "div.message-body",
      {},
      h(
        "p.only-you",
        {},
        h("span.eye", { "aria-hidden": "true" }),
        "Only visible to you ",
        h("button.link", { type: "button", onclick: () => element.remove() }, "Dismiss"),
      ),
      h("header.message-head", {}, h("strong.author", {}, "Slackbot"), h("time.message-time", {}, clockOf(now))),
      h("div.message-text", {}, text),
    ),
  );
  list.append(element);
  box.scrollTop = box.scrollHeight;
}

function hint(empty) {
  const there = list.querySelector(".welcome");
  if (!empty) {
    if (there) there.remove();
    return;
  }
  if (there) return;
  const command = app.commands[0] ? app.commands[0].command : "/rollout";
  const suggestion = (text, why) =>
    h(
      "li",
      {},
      h("button.suggestion", { type: "button", onclick: () => hooks.onSuggest(text) }, h("code", {}, text)),
      h("span", {}, why),
    );
  list.append(
    append(h("section.welcome", { testid: "welcome" }), [
      h("h3", {}, "Nothing here yet"),
      h(
        "p",
        {},
        "Type ",
        h("code", {}, command),
        ` to see what waits for you. You act as `,
        h("strong", {}, userName(app.me.id)),
        "; the switch at the top left makes you somebody else.",
      ),
      h("ul", {}, [
        suggestion(command, "what waits for you and what you may do"),
        app.verbs.includes("status") ? suggestion(`${command} status`, "where the rollout stands") : null,
        app.verbs.includes("plan") ? suggestion(`${command} plan`, "what would change; changes nothing") : null,
        app.verbs.includes("help") ? suggestion(`${command} help`, "all commands") : null,
      ]),
      h("p.quiet", {}, "On the right: the workspaces being upgraded, and a calendar that you may run fast."),
    ]),
  );
}
