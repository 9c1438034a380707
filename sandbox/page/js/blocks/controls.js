/* Interactive elements. Each sends what Slack's client would send, after its `confirm` dialog if it has one. */
import { h } from "../dom.js";
import { confirmDialog } from "../confirm.js";
import { plainText, textObject } from "../text/mrkdwn.js";
import { checkList, multiSelect, radioList, select } from "./choices.js";
import { overflow } from "./overflow.js";
import { failure } from "../toast.js";

/** The element for `element` of `block`; `field` holds id and aria hooks when it stands in an input block. */
export function control(element, block, context, field = {}) {
  const hooks = {
    id: field.id,
    testid: "action",
    dataset: { actionId: element.action_id, blockId: block.block_id },
    "aria-describedby": field.describedby,
    "aria-invalid": field.invalid ? "true" : null,
    "aria-label":
      element.accessibility_label || (field.id ? null : (element.placeholder && element.placeholder.text) || null),
  };
  const held = ((context.values || {})[block.block_id] || {})[element.action_id] || {};
  const inInput = block.type === "input";
  const send = (payload, node) =>
    inInput ? report(element, block, context, payload) : press(element, block, context, payload, node);
  const make = MAKERS[element.type];
  if (!make) return h("span.block-unknown", {}, `[${element.type}]`);
  return make({ element, held, hooks, send, inInput, block, context });
}

const MAKERS = {
  button,
  workflow_button: button,
  overflow,
  static_select: select,
  external_select: select,
  users_select: select,
  conversations_select: select,
  channels_select: select,
  multi_static_select: multiSelect,
  multi_external_select: multiSelect,
  multi_users_select: multiSelect,
  multi_conversations_select: multiSelect,
  multi_channels_select: multiSelect,
  radio_buttons: radioList,
  checkboxes: checkList,
  datepicker: (parts) => moment(parts, "date", "selected_date", "initial_date"),
  timepicker: (parts) => moment(parts, "time", "selected_time", "initial_time"),
  datetimepicker: dateTime,
  plain_text_input: textInput,
  email_text_input: (parts) => textInput(parts, "email"),
  url_text_input: (parts) => textInput(parts, "url"),
  rich_text_input: (parts) => textInput({ ...parts, element: { ...parts.element, ...plainly(parts) } }),
  file_input: ({ hooks }) => h("p.quiet", { ...hooks }, "This page does not upload files."),
  number_input: (parts) => textInput(parts, "text", "decimal"),
};

function button({ element, hooks, send }) {
  const look = { primary: ".primary", danger: ".danger" }[element.style] || "";
  if (element.url) {
    const safe = /^https?:/i.test(element.url);
    return h(
      `a.button${look}`,
      {
        ...hooks,
        href: safe ? element.url : null,
        target: "_blank",
        rel: "noopener noreferrer",
        onclick: (event) => send({ value: element.value }, event.currentTarget),
      },
      textObject(element.text),
    );
  }
  return h(
    `button.button${look}`,
    { ...hooks, type: "button", onclick: (event) => send({ value: element.value }, event.currentTarget) },
    textObject(element.text),
  );
}

/** Asks the confirm question, shows that the press is on its way, sends it. */
async function press(element, block, context, payload, node) {
  if (element.confirm && !(await confirmDialog(element.confirm))) return false;
  if (node) node.setAttribute("aria-busy", "true");
  try {
    await context.act(block, element, payload);
  } catch (problem) {
    failure(problem.message);
  } finally {
    if (node) node.removeAttribute("aria-busy");
  }
  return true;
}

/** A value in an input block: kept by the server, sent on only where dispatch_action asks for it. */
async function report(element, block, context, payload) {
  try {
    await context.input(block, element, payload);
  } catch (problem) {
    failure(problem.message);
  }
  return true;
}

function moment({ element, held, hooks, send }, type, key, initial) {
  return h("input.entry", {
    ...hooks,
    type,
    value: held[key] || element[initial] || "",
    onchange: (event) => send({ [key]: event.target.value || null }, event.target),
  });
}

function dateTime({ element, held, hooks, send }) {
  const seconds = held.selected_date_time || element.initial_date_time;
  const local = seconds
    ? new Date(seconds * 1000 - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 16)
    : "";
  return h("input.entry", {
    ...hooks,
    type: "datetime-local",
    value: local,
    onchange: (event) =>
      send(
        { selected_date_time: event.target.value ? Math.floor(new Date(event.target.value).getTime() / 1000) : null },
        event.target,
      ),
  });
}

/** A rich text input is written here as plain lines; the server makes rich text of them. */
function plainly({ element, held }) {
  const rich = held.rich_text_value || element.initial_value;
  const parts = rich ? rich.elements.flatMap((part) => part.elements || []) : [];
  return { multiline: true, initial_value: parts.map((part) => part.text || "").join("") };
}

function textInput({ element, held, hooks, send, context, block }, type = "text", mode = null) {
  const value = held.value ?? element.initial_value ?? "";
  const placeholder = element.placeholder ? element.placeholder.text : "";
  const common = {
    ...hooks,
    dataset: { ...hooks.dataset, typed: "true" },
    "aria-label": null,
    placeholder,
    maxlength: element.max_length,
    autocomplete: "off",
    inputmode: mode,
  };
  const node = element.multiline ? h("textarea.entry", { ...common, rows: 4 }) : h("input.entry", { ...common, type });
  node.value = value;
  let timer = null;
  let sent = value;
  const flush = () => {
    clearTimeout(timer);
    timer = null;
    if (node.value === sent) return Promise.resolve();
    sent = node.value;
    return send({ value: node.value === "" ? null : node.value });
  };
  node.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(flush, 350);
  });
  node.addEventListener("change", flush);
  if (context.pending) context.pending.set(`${block.block_id}/${element.action_id}`, flush);
  return node;
}

export const optionText = (option) => plainText((option.text && option.text.text) || "");
