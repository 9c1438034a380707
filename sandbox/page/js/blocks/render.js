/* Blocks -> elements. A context says where they are: {surface, container, values, errors, act, input}. */
import { h } from "../dom.js";
import { markdown } from "../text/markdown.js";
import { plainText, textObject } from "../text/mrkdwn.js";
import { chart } from "./chart.js";
import { control } from "./controls.js";
import { richText } from "./rich.js";
import { table } from "./table.js";

const DRAW = {
  header: (block) => h("h3.block-header", {}, textObject(block.text)),
  section,
  context: (block) =>
    h(
      "div.block-context",
      {},
      (block.elements || []).map((item) =>
        item.type === "image" ? picture(item, "context-image") : h("span.context-item", {}, textObject(item)),
      ),
    ),
  divider: () => h("hr.block-divider"),
  actions: (block, context) =>
    h(
      "div.block-actions",
      {},
      (block.elements || []).map((element) => control(element, block, context)),
    ),
  context_actions: (block, context) =>
    h(
      "div.block-actions",
      {},
      (block.elements || []).map((element) => control(element, block, context)),
    ),
  input,
  rich_text: (block) => h("div.block-rich", {}, richText(block.elements)),
  markdown: (block) => h("div.block-markdown", {}, markdown(block.text)),
  table,
  data_table: table,
  image: (block) =>
    h(
      "figure.block-image",
      {},
      block.title ? h("figcaption", {}, textObject(block.title)) : null,
      picture(block, "block-picture"),
    ),
  data_visualization: chart,
  alert: (block) => h(`div.block-alert.level-${block.level || "default"}`, { role: "note" }, textObject(block.text)),
};

export function renderBlocks(blocks, context) {
  return (blocks || []).map((block) => {
    const draw = DRAW[block.type];
    const element = draw
      ? draw(block, context)
      : h("div.block-unknown", {}, `This page cannot draw a block of type "${block.type}".`);
    element.classList.add("block");
    element.dataset.blockType = block.type;
    if (block.block_id) element.dataset.blockId = block.block_id;
    return element;
  });
}

function section(block, context) {
  const body = h(
    "div.section-body",
    {},
    block.text ? h("div.section-text", {}, textObject(block.text)) : null,
    block.fields
      ? h(
          "div.section-fields",
          {},
          block.fields.map((field) => h("div.section-field", {}, textObject(field))),
        )
      : null,
  );
  const accessory =
    block.accessory &&
    (block.accessory.type === "image"
      ? picture(block.accessory, "accessory-image")
      : control(block.accessory, block, context));
  return h(
    accessory ? "div.block-section.with-accessory" : "div.block-section",
    {},
    body,
    accessory ? h("div.section-accessory", {}, accessory) : null,
  );
}

let numbers = 0;

function input(block, context) {
  numbers += 1;
  const id = `field-${numbers}`;
  const problem = context.errors && context.errors[block.block_id];
  const element = block.element || {};
  const group = /^(radio_buttons|checkboxes|multi_.*)$/.test(element.type || "");
  const described = [block.hint ? `${id}-hint` : null, `${id}-error`].filter(Boolean).join(" ");
  const made = control(element, block, context, { id, describedby: described, invalid: Boolean(problem) });
  const label = [...textObject(block.label), block.optional ? h("span.optional", {}, " (optional)") : null];
  return h(
    group ? "fieldset.block-input" : "div.block-input",
    { testid: "field", dataset: { blockId: block.block_id } },
    group ? h("legend.input-label", {}, label) : h("label.input-label", { for: id }, label),
    made,
    h(
      "p.field-error",
      { id: `${id}-error`, testid: "field-error", role: "alert", hidden: !problem },
      problem ? plainText(problem) : "",
    ),
    block.hint ? h("p.input-hint", { id: `${id}-hint` }, textObject(block.hint)) : null,
  );
}

function picture(item, kind) {
  const source = item.image_url || "";
  const safe = /^(https?:|data:image\/)/i.test(source);
  const note = h("span.image-missing", { hidden: safe }, `[image: ${item.alt_text || "no description"}]`);
  const image = safe
    ? h(`img.${kind}`, { src: source, alt: item.alt_text || "", loading: "lazy", referrerpolicy: "no-referrer" })
    : null;
  if (image) {
    image.addEventListener("error", () => {
      image.hidden = true;
      note.hidden = false;
    });
  }
  return h(`span.image-frame.${kind}-frame`, {}, image, note);
}
