/* Modals: the top of the person's view stack, its inputs, validation errors, submit and close. */
import { coalesce, find, h, released, trapFocus } from "./dom.js";
import { get, outcome, post } from "./api.js";
import { follow } from "./acting.js";
import { renderBlocks } from "./blocks/render.js";
import { app } from "./state.js";
import { plainText } from "./text/mrkdwn.js";
import { failure } from "./toast.js";

let open = null; // {id, signature, root, pending, release}
let busy = false;

async function refresh() {
  const person = app.as;
  const { views } = await get("views", { as: person });
  await released();
  if (person !== app.as) return;
  const view = views[views.length - 1];
  if (!view) return shut();
  const { state, pending, ...rest } = view;
  const signature = JSON.stringify([rest, views.length]);
  if (open && open.signature === signature) return;
  draw(view, views, signature);
}

export const refreshModals = coalesce(refresh, 20);

export function shut() {
  if (!open) return;
  const release = open.release;
  document.removeEventListener("keydown", keys);
  open = null;
  busy = false;
  find("modal-root").replaceChildren();
  release();
}

function keys(event) {
  if (event.key === "Escape" && open && !event.defaultPrevented && !find("confirm-root").firstChild) close();
}

function draw(view, stack, signature) {
  const same = open && open.id === view.id;
  const focused = same && document.activeElement ? focusKey(document.activeElement) : null;
  const scroll = same ? open.root.querySelector(".dialog-body").scrollTop : 0;
  const pending = new Map();
  const values = (view.state && view.state.values) || {};
  if (same) keepTyped(values);
  const context = {
    surface: "modal",
    values,
    errors: view.errors || {},
    pending,
    act: async (block, element, payload) => {
      await flush(pending);
      const picks = !("value" in payload) || element.type.endsWith("input");
      const answer = picks
        ? await post("input", {
            as: app.as,
            view: view.id,
            block_id: block.block_id,
            action_id: element.action_id,
            ...payload,
          })
        : await post("act", {
            as: app.as,
            container: { view: view.id },
            block_id: block.block_id,
            action_id: element.action_id,
            ...payload,
          });
      await follow(answer.request, () => {});
      refreshModals();
    },
    input: async (block, element, payload) => {
      clearError(block.block_id);
      const answer = await post("input", {
        as: app.as,
        view: view.id,
        block_id: block.block_id,
        action_id: element.action_id,
        ...payload,
      });
      if (answer && answer.request) await follow(answer.request, () => {});
    },
  };
  const back =
    stack.length > 1 ? h("button.close.back", { type: "button", "aria-label": "Back", onclick: close }, "‹") : null;
  const foot = h(
    "footer.dialog-foot",
    {},
    h("p.modal-error", { testid: "modal-error", role: "alert", hidden: !view.error }, view.error || ""),
    h(
      "button.button",
      { type: "button", testid: "modal-close", onclick: close },
      view.close ? plainText(view.close.text) : view.submit ? "Cancel" : "Close",
    ),
    view.submit
      ? h(
          "button.button.primary",
          { type: "submit", testid: "modal-submit", disabled: Boolean(view.submit_disabled) },
          plainText(view.submit.text),
        )
      : null,
  );
  const form = h(
    "form.dialog",
    {
      testid: "modal",
      role: "dialog",
      "aria-modal": "true",
      "aria-labelledby": "modal-title",
      novalidate: true,
      dataset: { viewId: view.id, callbackId: view.callback_id },
      onsubmit: (event) => {
        event.preventDefault();
        submit(view, pending);
      },
    },
    h(
      "header.dialog-head",
      {},
      back,
      h("h2", { id: "modal-title", testid: "modal-title" }, plainText(view.title ? view.title.text : "")),
      h("button.close", { type: "button", "aria-label": "Close dialog", onclick: close }, "×"),
    ),
    h("div.dialog-body", { tabindex: "-1" }, renderBlocks(view.blocks, context)),
    foot,
  );
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.tagName === "INPUT" && event.target.type !== "checkbox" && !view.submit)
      event.preventDefault();
  });
  if (open) {
    find("modal-root").firstElementChild.replaceChildren(form);
  } else {
    find("modal-root").replaceChildren(h("div.overlay", {}, form));
    document.addEventListener("keydown", keys);
  }
  const release = open ? open.release : trapFocus(find("modal-root"));
  open = { id: view.id, signature, root: form, pending, release };
  busy = false;
  form.querySelector(".dialog-body").scrollTop = scroll;
  const target =
    (focused && form.querySelector(focused)) ||
    (same
      ? null
      : form.querySelector(".entry, .choices input") ||
        form.querySelector("[data-testid=modal-submit]") ||
        form.querySelector("[data-testid=modal-close]"));
  if (target) target.focus();
  else if (!form.contains(document.activeElement))
    form.querySelector("[data-testid=modal-submit], [data-testid=modal-close]").focus();
  // A new dialog is read from its beginning, wherever its first field stands.
  if (!same) form.querySelector(".dialog-body").scrollTop = 0;
  const wrong = form.querySelector(".field-error:not([hidden])");
  if (wrong) wrong.closest(".block-input").scrollIntoView({ block: "nearest" });
}

/** What stands in the text fields and was not sent yet survives a view that changes below the typing. */
function keepTyped(values) {
  for (const node of open.root.querySelectorAll("[data-typed=true]")) {
    const held = (values[node.dataset.blockId] || {})[node.dataset.actionId];
    if (held && "value" in held) held.value = node.value || null;
  }
  flush(open.pending).catch((trouble) => failure(trouble.message));
}

function focusKey(element) {
  if (element.dataset.testid === "modal-submit" || element.dataset.testid === "modal-close")
    return `[data-testid=${element.dataset.testid}]`;
  const block = element.closest("[data-block-id]");
  return element.dataset.actionId
    ? `[data-block-id="${CSS.escape(block.dataset.blockId)}"] [data-action-id="${CSS.escape(element.dataset.actionId)}"]`
    : null;
}

const flush = (pending) => Promise.all([...pending.values()].map((send) => send()));

function clearError(blockId) {
  const field = open && open.root.querySelector(`.block-input[data-block-id="${CSS.escape(blockId)}"] .field-error`);
  if (field) field.style.visibility = "hidden"; // its place stays: what is below must not move under a click
}

function problem(text) {
  const place = open && open.root.querySelector(".modal-error");
  if (!place) return failure(text);
  place.textContent = text;
  place.hidden = false;
  return undefined;
}

async function submit(view, pending) {
  if (busy || !open) return;
  busy = true;
  const button = open.root.querySelector("[data-testid=modal-submit]");
  button.setAttribute("aria-busy", "true");
  open.root.querySelector(".modal-error").hidden = true;
  try {
    await flush(pending);
    const { request } = await post("submit", { as: app.as, view: view.id });
    await outcome(request);
  } catch (trouble) {
    problem(trouble.message);
  } finally {
    busy = false;
    button.removeAttribute("aria-busy");
    refreshModals();
  }
}

async function close() {
  if (!open) return;
  try {
    await post("close", { as: app.as, view: open.id });
  } catch (trouble) {
    failure(trouble.message);
  }
  refreshModals();
}
