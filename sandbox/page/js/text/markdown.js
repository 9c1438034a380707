/* The `markdown` block: ordinary Markdown -> nodes (headings, lists, tables, quotes, code, links, styles). */
import { h } from "../dom.js";
import { shortcode, withSigns } from "./emoji.js";
import { link } from "./mrkdwn.js";

export function markdown(source) {
  return blocks(
    String(source ?? "")
      .replace(/\r/g, "")
      .split("\n"),
  );
}

const RULE = /^ {0,3}([-*_])( *\1){2,} *$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)]) +(.*)$/;

function blocks(rows) {
  const nodes = [];
  let at = 0;
  while (at < rows.length) {
    const row = rows[at];
    const fence = row.match(/^ {0,3}(```+|~~~+)/);
    const heading = row.match(/^ {0,3}(#{1,6}) +(.*?) *#* *$/);
    if (!row.trim()) at += 1;
    else if (fence) {
      let end = at + 1;
      while (end < rows.length && !rows[end].trim().startsWith(fence[1])) end += 1;
      nodes.push(h("pre", {}, rows.slice(at + 1, end).join("\n")));
      at = end + 1;
    } else if (heading) {
      nodes.push(h(`h${Math.min(6, heading[1].length + 2)}.md-h${heading[1].length}`, {}, inlineMarkdown(heading[2])));
      at += 1;
    } else if (RULE.test(row)) {
      nodes.push(h("hr"));
      at += 1;
    } else if (/^ {0,3}> ?/.test(row)) {
      let end = at;
      while (end < rows.length && /^ {0,3}> ?/.test(rows[end])) end += 1;
      nodes.push(h("blockquote", {}, blocks(rows.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, "")))));
      at = end;
    } else if (ITEM.test(row)) {
      let end = at;
      while (end < rows.length && (ITEM.test(rows[end]) || /^\s+\S/.test(rows[end]))) end += 1;
      nodes.push(list(rows.slice(at, end)));
      at = end;
    } else if (row.includes("|") && /^[\s|:-]+$/.test(rows[at + 1] || "") && (rows[at + 1] || "").includes("-")) {
      let end = at + 2;
      while (end < rows.length && rows[end].includes("|")) end += 1;
      nodes.push(pipeTable(rows.slice(at, end)));
      at = end;
    } else {
      let end = at + 1;
      while (
        end < rows.length &&
        rows[end].trim() &&
        !/^ {0,3}(#{1,6} |>|```|~~~)/.test(rows[end]) &&
        !ITEM.test(rows[end])
      )
        end += 1;
      nodes.push(
        h(
          "p",
          {},
          rows
            .slice(at, end)
            .flatMap((line, index) => (index ? [h("br"), ...inlineMarkdown(line)] : inlineMarkdown(line))),
        ),
      );
      at = end;
    }
  }
  return nodes;
}

function list(rows) {
  const first = rows[0].match(ITEM);
  const indent = first[1].length;
  const items = [];
  for (const row of rows) {
    const match = row.match(ITEM);
    if (match && match[1].length <= indent) items.push({ text: match[3], inner: [] });
    else items[items.length - 1].inner.push(row);
  }
  const ordered = /\d/.test(first[2]);
  return h(
    ordered ? "ol" : "ul",
    { start: ordered ? parseInt(first[2], 10) : null },
    items.map((item) => {
      const task = item.text.match(/^\[([ xX])\] +(.*)$/);
      const content = task
        ? [
            h("input", { type: "checkbox", disabled: true, checked: task[1] !== " ", "aria-label": task[2] }),
            " ",
            ...inlineMarkdown(task[2]),
          ]
        : inlineMarkdown(item.text);
      const nested = item.inner.length
        ? ITEM.test(item.inner[0])
          ? [list(item.inner)]
          : blocks(item.inner.map((row) => row.trim()))
        : [];
      return h("li", {}, content, nested);
    }),
  );
}

function pipeTable(rows) {
  const cells = (row) =>
    row
      .trim()
      .replace(/^\||\|$/g, "")
      .split("|")
      .map((cell) => cell.trim());
  const aligns = cells(rows[1]).map((cell) => (/^:.*:$/.test(cell) ? "center" : /:$/.test(cell) ? "right" : "left"));
  const line = (row, tag) =>
    h(
      "tr",
      {},
      cells(row).map((cell, index) => h(`${tag}.align-${aligns[index] || "left"}`, {}, inlineMarkdown(cell))),
    );
  return h(
    "div.table-scroll",
    { tabindex: "0", role: "region", "aria-label": "Table" },
    h(
      "table.block-table",
      {},
      h("thead", {}, line(rows[0], "th")),
      h(
        "tbody",
        {},
        rows.slice(2).map((row) => line(row, "td")),
      ),
    ),
  );
}

const TOKENS = [
  [/^`+([^`]+?)`+/, (match) => h("code", {}, match[1])],
  [/^!?\[([^\]]*)\]\(([^)\s]+)(?:\s+"[^"]*")?\)/, (match) => link(match[2], inlineMarkdown(match[1]))],
  [/^<(https?:[^>\s]+)>/, (match) => link(match[1], [match[1]])],
  [/^https?:\/\/[^\s<>()]+[^\s<>().,;:!?]/, (match) => link(match[0], [match[0]])],
  [/^\*\*\*(\S(?:.*?\S)?)\*\*\*/, (match) => h("strong", {}, h("em", {}, inlineMarkdown(match[1])))],
  [/^(\*\*|__)(\S(?:.*?\S)?)\1/, (match) => h("strong", {}, inlineMarkdown(match[2]))],
  [/^~~(\S(?:.*?\S)?)~~/, (match) => h("s", {}, inlineMarkdown(match[1]))],
  [/^\*([^\s*](?:[^*]*[^\s*])?)\*/, (match) => h("em", {}, inlineMarkdown(match[1]))],
  [/^_([^\s_](?:[^_]*[^\s_])?)_(?![\p{L}\p{N}])/u, (match) => h("em", {}, inlineMarkdown(match[1]))],
  [/^:([a-z0-9_+'-]+):/, (match) => shortcode(match[1])],
];

export function inlineMarkdown(text) {
  const nodes = [];
  let plain = "";
  const flush = () => {
    if (plain) nodes.push(...withSigns(plain));
    plain = "";
  };
  for (let at = 0; at < text.length;) {
    if (text[at] === "\\" && /[\\`*_{}[\]()#+\-.!|~<>]/.test(text[at + 1] || "")) {
      plain += text[at + 1];
      at += 2;
      continue;
    }
    if (/[`![<h*_~:]/.test(text[at])) {
      const rest = text.slice(at);
      const blocked = text[at] === "_" && /[\p{L}\p{N}]/u.test(text[at - 1] || " ");
      const made = blocked ? null : first(rest);
      if (made) {
        flush();
        nodes.push(made.node);
        at += made.length;
        continue;
      }
    }
    plain += text[at];
    at += 1;
  }
  flush();
  return nodes;
}

function first(rest) {
  for (const [pattern, make] of TOKENS) {
    const match = pattern.exec(rest);
    const node = match && make(match);
    if (node) return { node, length: match[0].length };
  }
  return null;
}
