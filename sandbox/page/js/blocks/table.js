/* The `table` block: first row is the header; cells are raw or rich text; wide tables scroll inside their own frame. */
import { h } from "../dom.js";
import { withSigns } from "../text/emoji.js";
import { richText } from "./rich.js";

export function table(block) {
  const settings = block.column_settings || [];
  const [head, ...rows] = block.rows || [];
  const line = (row, tag) =>
    h(
      "tr",
      {},
      (row || []).map((cell, index) => {
        const setting = settings[index] || {};
        const classes = `${tag}.align-${setting.align || "left"}${setting.is_wrapped === false || isShort(cell) ? ".nowrap" : ""}`;
        return h(classes, tag === "th" ? { scope: "col" } : {}, content(cell));
      }),
    );
  return h(
    "div.table-scroll",
    { tabindex: "0", role: "region", "aria-label": "Table" },
    h(
      "table.block-table",
      {},
      block.caption ? h("caption", {}, withSigns(String(block.caption.text ?? block.caption))) : null,
      h("thead", {}, head ? line(head, "th") : null),
      h(
        "tbody",
        {},
        rows.map((row) => line(row, "td")),
      ),
    ),
  );
}

/** A few words stay on one line; a table that gets too wide by that scrolls in its frame. */
const isShort = (cell) => cell && cell.type !== "rich_text" && String(cell.text ?? cell.value ?? "").length <= 18;

function content(cell) {
  if (!cell) return [];
  if (cell.type === "rich_text") return richText(cell.elements);
  return String(cell.text ?? cell.value ?? "")
    .split("\n")
    .flatMap((row, index) => (index ? [h("br"), ...breakable(row)] : breakable(row)));
}

/** Long names may break after - _ . / : and nowhere uglier, so that the last column is not pushed out of sight. */
function breakable(row) {
  return withSigns(row).flatMap((node) =>
    node.nodeType === Node.TEXT_NODE
      ? node.data.split(/(?<=[-_./:])(?=\S)/).flatMap((part, index) => (index ? [h("wbr"), part] : [part]))
      : [node],
  );
}
