/* rich_text -> nodes: sections, lists, quotes, preformatted parts, with styles, links, people, channels and emoji. */
import { h } from "../dom.js";
import { channelName } from "../state.js";
import { shortcode, withSigns } from "../text/emoji.js";
import { code, link, mention } from "../text/mrkdwn.js";
import { slackDate } from "../text/time.js";

export function richText(elements) {
  const nodes = [];
  for (const element of elements || []) {
    if (element.type === "rich_text_list") nodes.push(list(element));
    else if (element.type === "rich_text_quote") nodes.push(h("blockquote", {}, inlineElements(element.elements)));
    else if (element.type === "rich_text_preformatted")
      nodes.push(h("pre", {}, (element.elements || []).map((item) => item.text || item.url || "").join("")));
    else if (element.type === "rich_text_section")
      nodes.push(h("div.rich-section", {}, inlineElements(element.elements)));
    else nodes.push(h("div.block-unknown", {}, `This page cannot draw "${element.type}".`));
  }
  return nodes;
}

const MARKERS = ["decimal", "lower-alpha", "lower-roman"];
const BULLETS = ["disc", "circle", "square"];

function list(element) {
  const ordered = element.style === "ordered";
  const indent = Math.min(element.indent || 0, 8);
  const kind = (ordered ? MARKERS : BULLETS)[indent % 3];
  return h(
    ordered ? "ol.rich-list" : "ul.rich-list",
    {
      style: `margin-left:${indent * 22}px;list-style-type:${kind}`,
      start: ordered && element.offset ? element.offset + 1 : null,
    },
    (element.elements || []).map((item) =>
      h("li", {}, item.type === "rich_text_section" ? inlineElements(item.elements) : richText([item])),
    ),
  );
}

export function inlineElements(elements) {
  return (elements || []).flatMap((element) => styled(draw(element), element.style));
}

function draw(element) {
  switch (element.type) {
    case "text":
      return String(element.text ?? "")
        .split("\n")
        .flatMap((row, index) => (index ? [h("br"), ...withSigns(row)] : withSigns(row)));
    case "link":
      return [link(element.url || "", withSigns(element.text || element.url || ""))];
    case "user":
      return [mention(element.user_id)];
    case "usergroup":
      return [h("span.mention", {}, "@group")];
    case "channel":
      return [h("span.mention", {}, `#${channelName(element.channel_id)}`)];
    case "broadcast":
      return [h("span.mention.loud", {}, `@${element.range}`)];
    case "emoji":
      return [shortcode(element.name) || document.createTextNode(`:${element.name}:`)];
    case "date":
      return [h("time", {}, slackDate(+element.timestamp, element.format || "{date_short} {time}"))];
    case "color":
      return [h("code", {}, element.value)];
    default:
      return [document.createTextNode(element.text || "")];
  }
}

function styled(nodes, style) {
  if (!style) return nodes;
  let made = nodes;
  if (style.code) made = [code(made.map((node) => node.textContent).join(""))];
  if (style.strike) made = [h("s", {}, made)];
  if (style.underline) made = [h("u", {}, made)];
  if (style.italic) made = [h("em", {}, made)];
  if (style.bold) made = [h("strong", {}, made)];
  return made;
}
