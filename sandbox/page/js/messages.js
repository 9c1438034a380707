/* Messages -> elements, kept by their ts: an unchanged message keeps its element, so nothing jumps while others change. */
import { h } from "./dom.js";
import { contextFor } from "./acting.js";
import { moreActions } from "./shortcuts.js";
import { renderBlocks } from "./blocks/render.js";
import { fileLink } from "./files.js";
import { app, hueOf, initials, marksOf, personById, userName } from "./state.js";
import { mrkdwn } from "./text/mrkdwn.js";
import { clockOf, dateOf, dayName, fullTime } from "./text/time.js";

const hidden = new Set(); // ephemeral messages that the person dismissed here

export function avatar(person, size = "") {
  return h(
    `span.avatar${size}`,
    { "aria-hidden": "true", style: `--hue:${hueOf(person)}` },
    initials(person ? person.name : "?"),
  );
}

export function appAvatar(size = "") {
  return h(`span.avatar.robot${size}`, { "aria-hidden": "true" }, "R");
}

/** Draws `messages` into `list`; `options.thread` says that this is the thread panel. Returns true when something is new. */
export function drawMessages(list, messages, options = {}) {
  const kept = new Map(
    [...list.querySelectorAll(":scope > [data-key]")].map((element) => [element.dataset.key, element]),
  );
  const wanted = [];
  let day = "";
  let previous = null;
  let added = false;
  for (const message of messages) {
    if (message.deleted || hidden.has(message.ts)) continue;
    const today = dayName(dateOf(message.ts));
    if (today !== day && !options.thread) {
      day = today;
      wanted.push(keep(kept, `day-${day}`, "", () => h("div.day", { role: "separator" }, h("span", {}, day))));
      previous = null;
    }
    const joined = Boolean(
      previous &&
      previous.user === message.user &&
      previous.bot === message.bot &&
      !message.ephemeral &&
      !previous.ephemeral &&
      !hasBlocks(message) &&
      !hasBlocks(previous) &&
      message.ts - previous.ts < 300,
    );
    const signature = JSON.stringify([message, joined, app.as, app.people.length]);
    if (!kept.has(message.ts)) added = true;
    wanted.push(keep(kept, message.ts, signature, () => draw(message, joined, options)));
    previous = message;
    if (options.thread && message === messages[0]) {
      const count = messages.length - 1;
      wanted.push(
        keep(kept, "day-replies", count, () =>
          h("div.day", { role: "separator" }, h("span", {}, count === 1 ? "1 reply" : `${count || "No"} replies`)),
        ),
      );
      previous = null;
    }
  }
  place(list, wanted);
  return added;
}

const hasBlocks = (message) =>
  (message.bot && message.blocks && message.blocks.length > 0) || (message.files && message.files.length > 0);

function keep(kept, key, signature, make) {
  const old = kept.get(key);
  if (old && old.signature === signature) return old;
  const element = make();
  element.dataset.key = key;
  element.signature = signature;
  if (old && !key.startsWith("day-")) element.classList.add("changed-now");
  return element;
}

function place(list, wanted) {
  const set = new Set(wanted);
  for (const child of [...list.children]) if (child.dataset.key && !set.has(child)) child.remove();
  let cursor = keyed(list.firstElementChild);
  for (const element of wanted) {
    if (element === cursor) cursor = keyed(cursor.nextElementSibling);
    else list.insertBefore(element, cursor);
  }
}

/** The first element from here on that is a message or a day line (notices and hints are not). */
function keyed(element) {
  let at = element;
  while (at && !at.dataset.key) at = at.nextElementSibling;
  return at;
}

function draw(message, joined, options) {
  const person = message.bot ? null : personById(message.user);
  const slackbot = message.user === "USLACKBOT";
  const name = slackbot ? "Slackbot" : message.bot ? app.bot.name || "rollout" : userName(message.user);
  const when = dateOf(message.ts);
  const time = h("time.message-time", { datetime: when.toISOString(), title: fullTime(when) }, clockOf(when));
  const context = contextFor(
    "message",
    { channel: message.channel, ts: message.ts },
    (message.state && message.state.values) || {},
  );
  const blocks =
    message.blocks && message.blocks.length
      ? renderBlocks(message.blocks, context)
      : message.text
        ? [h("div.block.message-text", {}, mrkdwn(message.text))]
        : [];
  for (const part of message.attachments || []) blocks.push(attachment(part, context));
  for (const file of message.files || []) blocks.push(fileLink(file));
  return h(
    `article.message${joined ? ".joined" : ""}${message.ephemeral ? ".ephemeral" : ""}`,
    {
      testid: "message",
      dataset: { ts: message.ts, ephemeral: String(Boolean(message.ephemeral)), bot: String(Boolean(message.bot)) },
    },
    h(
      "div.gutter",
      {},
      joined
        ? time.cloneNode(true)
        : slackbot
          ? h("span.avatar.slackbot", { "aria-hidden": "true" }, "S")
          : message.bot
            ? appAvatar()
            : avatar(person),
    ),
    h(
      "div.message-body",
      {},
      message.ephemeral
        ? h(
            "p.only-you",
            {},
            eye(),
            "Only visible to you ",
            h("button.link", { type: "button", onclick: (event) => dismiss(message.ts, event) }, "Dismiss"),
          )
        : null,
      joined
        ? null
        : h(
            "header.message-head",
            {},
            h("strong.author", {}, name),
            message.bot && !slackbot ? h("span.badge", {}, "APP") : null,
            person && marksOf(person).length ? h("span.badge.mark", {}, marksOf(person).join(", ")) : null,
            time,
          ),
      h(
        "div.message-blocks",
        {},
        blocks,
        message.edited ? h("span.edited", { title: "This message was changed after it was posted" }, "(edited)") : null,
      ),
      options.thread || !message.replies
        ? null
        : h(
            "button.replies",
            { type: "button", testid: "open-thread", onclick: () => options.onThread(message.ts) },
            `${message.replies} ${message.replies === 1 ? "reply" : "replies"}`,
            h("span", { "aria-hidden": "true" }, " ›"),
          ),
    ),
    message.ephemeral
      ? null
      : h(
          "div.hover-tools",
          {},
          options.thread
            ? null
            : h(
                "button",
                {
                  type: "button",
                  "aria-label": "Reply in thread",
                  title: "Reply in thread",
                  onclick: () => options.onThread(message.ts),
                },
                "Reply",
              ),
          moreActions(message),
        ),
  );
}

/** A message attachment, the older form: a coloured bar with text or blocks. */
function attachment(part, context) {
  const colour = /^#?[0-9a-f]{6}$/i.test(part.color || "") ? `#${part.color.replace("#", "")}` : "var(--line-strong)";
  const text = part.text || (part.blocks ? "" : part.fallback);
  return h(
    "div.attachment",
    { style: `border-color:${colour}` },
    part.title ? h("strong", {}, mrkdwn(part.title)) : null,
    text ? h("div.block", {}, mrkdwn(text)) : null,
    part.blocks ? renderBlocks(part.blocks, context) : null,
  );
}

function dismiss(ts, event) {
  hidden.add(ts);
  event.target.closest("article").remove();
}

const eye = () => h("span.eye", { "aria-hidden": "true" });
