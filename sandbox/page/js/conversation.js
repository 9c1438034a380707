/* The middle pane for a channel or the direct message with the app: messages, the hint of an empty channel, notices. */
import { append, coalesce, find, h, inOrder, released } from "./dom.js";
import { get } from "./api.js";
import { drawMessages } from "./messages.js";
import { app, userName } from "./state.js";
import { clockOf } from "./text/time.js";

const SHOWN = 300;
let box = null;
let list = null;
let shown = null;
let hooks = {};
let pill = null;
const turn = inOrder();
let held = null; // where the pane was put to show an answer from its beginning

/** `handlers`: onThread(ts), onSuggest(text) */
export function prepareConversation(handlers) {
  hooks = handlers;
}

export function openConversation(place) {
  shown = place.id;
  held = null;
  list = h("div.messages", {
    testid: "messages",
    role: "log",
    "aria-live": "polite",
    "aria-label": "Messages",
    "aria-relevant": "additions text",
  });
  box = h(
    "div.scroll",
    { tabindex: "0", "aria-label": "Conversation" },
    h("div.push-down"),
    h("p.quiet.older", { hidden: true }, `Only the last ${SHOWN} messages are shown.`),
    list,
  );
  pill = h("button.newest", { type: "button", testid: "newest", hidden: true, onclick: toEnd }, "Newest ↓");
  box.addEventListener("scroll", () => {
    if (nearBottom()) pill.hidden = true;
  });
  find("conversation").replaceChildren(box, pill);
  return refresh();
}

const nearBottom = () => box.scrollHeight - box.scrollTop - box.clientHeight < 140;

function toEnd() {
  box.scrollTop = box.scrollHeight;
}

const newest = () => [...list.querySelectorAll(":scope > [data-ts]")].pop();

async function refresh() {
  const channel = shown;
  if (!channel || !app.place || app.place.id !== channel) return;
  const person = app.as;
  const news = turn();
  const answer = await get("messages", { as: person, channel });
  await released();
  if (channel !== shown || person !== app.as || !list || !news()) return;
  const all = answer.messages.filter(
    (message) => !message.deleted && (!message.thread_ts || message.thread_ts === message.ts || message.broadcast),
  );
  const visible = all.slice(-SHOWN);
  box.querySelector(".older").hidden = all.length === visible.length;
  const first = list.dataset.first !== "no";
  const stick = first || (nearBottom() && !reading());
  const before = newest();
  const added = drawMessages(list, visible, { onThread: hooks.onThread });
  hint(visible.length === 0);
  const last = newest();
  // What only this person sees is the answer to what they just did: it is shown even to somebody who had scrolled away.
  const mine = !first && added && last && last !== before && last.dataset.ephemeral === "true";
  requestAnimationFrame(() => follow(last !== before && !first ? last : null, stick || mine, added));
  if (first) showLinked();
  list.dataset.first = "no";
}

const reading = () => held !== null && Math.abs(box.scrollTop - held) < 2;

/** Stays at the end; an answer that is taller than the pane is shown from its beginning, and left there. */
function follow(fresh, move, added) {
  if (!move) {
    if (added && !nearBottom()) pill.hidden = false;
    return;
  }
  const tall = fresh && fresh.dataset.ephemeral === "true" && fresh.offsetHeight > box.clientHeight;
  if (tall) box.scrollTop += fresh.getBoundingClientRect().top - box.getBoundingClientRect().top;
  else toEnd();
  held = tall ? box.scrollTop : null;
}

/** A permalink (?ts=) scrolls to its message and marks it, once. */
function showLinked() {
  const ts = app.linked;
  app.linked = null;
  const element = ts && list.querySelector(`[data-ts="${CSS.escape(ts)}"]`);
  if (!element) return;
  requestAnimationFrame(() => element.scrollIntoView({ block: "center" }));
  element.classList.add("linked-now");
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
      h("p.quiet", {}, "On the right: a calendar that you may run fast, weather that you may make bad, and the workspaces being upgraded."),
    ]),
  );
}
