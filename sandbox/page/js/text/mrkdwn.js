/* Slack's mrkdwn and plain text -> nodes. Nothing becomes markup except what is built here element by element. */
import { h } from "../dom.js";
import { app, channelName, userName } from "../state.js";
import { shortcode, withSigns } from "./emoji.js";
import { slackDate } from "./time.js";

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
export const unescape = (text) => text.replace(/&(lt|gt|amp);/g, (entity) => ENTITIES[entity]);
const wordish = /[\p{L}\p{N}]/u;

/** A whole text with pre-formatted parts, quotes and line breaks. */
export function mrkdwn(text, verbatim = false) {
  const nodes = [];
  const parts = String(text ?? "").split(/```/);
  parts.forEach((part, index) => {
    const closed = index % 2 === 1 && index < parts.length - 1;
    if (closed)
      nodes.push(
        h(
          "pre",
          {},
          unescape(
            part
              .replace(/^\n/, "")
              .replace(/\n$/, "")
              .replace(/<(?:[^<>|]*\|)?([^<>]*)>/g, "$1"),
          ),
        ),
      );
    else nodes.push(...lines(index % 2 === 1 ? "```" + part : trimAround(part, index, parts.length), verbatim));
  });
  return nodes;
}

function trimAround(part, index, count) {
  let text = part;
  if (index > 0) text = text.replace(/^\n/, "");
  if (index < count - 1) text = text.replace(/\n$/, "");
  return text;
}

function lines(text, verbatim) {
  const nodes = [];
  let quote = [];
  const flush = () => {
    if (quote.length) nodes.push(h("blockquote", {}, joined(quote, verbatim)));
    quote = [];
  };
  let plain = [];
  const flushPlain = () => {
    if (plain.length) nodes.push(...joined(plain, verbatim));
    plain = [];
  };
  if (text === "") return nodes;
  for (const line of text.split("\n")) {
    const quoted = line.match(/^(?:&gt;|>) ?(.*)$/);
    if (quoted) {
      flushPlain();
      quote.push(quoted[1]);
    } else {
      flush();
      plain.push(line);
    }
  }
  flush();
  flushPlain();
  return nodes;
}

function joined(rows, verbatim) {
  return rows.flatMap((row, index) => (index ? [h("br"), ...inline(row, verbatim)] : inline(row, verbatim)));
}

/** Code; a bar of block characters (progress) is drawn in a calm colour instead. */
export const code = (text) => h(/^[\s\u2580-\u259f\u25a0-\u25b1]+$/.test(text) ? "code.gauge" : "code", {}, text);

/** One line of mrkdwn -> nodes. */
export function inline(text, verbatim = false) {
  const nodes = [];
  let plain = "";
  const flush = () => {
    if (plain) nodes.push(...withSigns(unescape(plain)));
    plain = "";
  };
  const put = (node) => {
    flush();
    nodes.push(node);
  };
  const styles = { "*": "strong", _: "em", "~": "s" };
  for (let at = 0; at < text.length;) {
    const character = text[at];
    if (character === "`") {
      const end = text.indexOf("`", at + 1);
      if (end > at + 1) {
        put(code(unescape(text.slice(at + 1, end).replace(/<(?:[^<>|]*\|)?([^<>]*)>/g, "$1"))));
        at = end + 1;
        continue;
      }
    } else if (character === "<") {
      const end = text.indexOf(">", at);
      if (end > at + 1) {
        put(token(text.slice(at + 1, end)));
        at = end + 1;
        continue;
      }
    } else if (styles[character] && !wordish.test(text[at - 1] || " ")) {
      const end = closing(text, at, character);
      if (end > 0) {
        put(h(styles[character], {}, inline(text.slice(at + 1, end), verbatim)));
        at = end + 1;
        continue;
      }
    } else if (character === ":") {
      const match = /^:([a-z0-9_+'-]+):/.exec(text.slice(at, at + 60));
      const drawn = match && shortcode(match[1]);
      if (drawn) {
        put(drawn);
        at += match[0].length;
        continue;
      }
    }
    plain += character;
    at += 1;
  }
  flush();
  return nodes;
}

function closing(text, start, mark) {
  if (!text[start + 1] || /\s/.test(text[start + 1]) || text[start + 1] === mark) return -1;
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "`" || text[at] === "<") {
      const end = text.indexOf(text[at] === "`" ? "`" : ">", at + 1);
      if (end > 0) {
        at = end;
        continue;
      }
    }
    if (text[at] === mark && !/\s/.test(text[at - 1]) && !wordish.test(text[at + 1] || " ")) return at;
  }
  return -1;
}

/** The inside of <...>: a person, channel, group, date, special mention or link. */
function token(inside) {
  const [target, label] = split(inside);
  if (target.startsWith("@")) return mention(target.slice(1), label);
  if (target.startsWith("#")) return h("span.mention", {}, `#${label || channelName(target.slice(1))}`);
  if (target.startsWith("!date^")) {
    const [, seconds, format] = target.split("^");
    const text = Number.isFinite(+seconds) ? slackDate(+seconds, format || "{date_short} {time}") : label;
    return h("time", { title: label || "" }, text);
  }
  if (target.startsWith("!subteam^")) return h("span.mention", {}, label || "@group");
  if (target.startsWith("!")) return h("span.mention.loud", {}, `@${target.slice(1)}`);
  if (!/^[a-z][a-z0-9+.-]*:/i.test(target)) return document.createTextNode(unescape(`<${inside}>`));
  return link(unescape(target), label ? inline(label) : null);
}

function split(inside) {
  const bar = inside.indexOf("|");
  return bar < 0 ? [inside, ""] : [inside.slice(0, bar), inside.slice(bar + 1)];
}

export function mention(id, label) {
  const me = app.me && app.me.id === id;
  return h(me ? "span.mention.me" : "span.mention", {}, `@${label || userName(id)}`);
}

/** A link; only addresses that a browser may open safely become one. */
export function link(address, content) {
  const shown = content && content.length ? content : [address];
  if (!/^(https?:|mailto:|tel:)/i.test(address)) return h("span", {}, shown);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, shown);
}

/** A plain_text object's text: emoji, but no styles. */
export function plainText(text, emoji = true) {
  return String(text ?? "")
    .split("\n")
    .flatMap((row, index) => {
      const nodes = [];
      let last = 0;
      if (emoji) {
        for (const match of row.matchAll(/:([a-z0-9_+'-]+):/g)) {
          const drawn = shortcode(match[1]);
          if (!drawn) continue;
          nodes.push(...withSigns(unescape(row.slice(last, match.index))), drawn);
          last = match.index + match[0].length;
        }
      }
      nodes.push(...withSigns(unescape(row.slice(last))));
      return index ? [h("br"), ...nodes] : nodes;
    });
}

/** Any text object (or a bare string) -> nodes. */
export function textObject(object) {
  if (!object) return [];
  if (typeof object === "string") return plainText(object);
  return object.type === "mrkdwn"
    ? mrkdwn(object.text, object.verbatim)
    : plainText(object.text, object.emoji !== false);
}
