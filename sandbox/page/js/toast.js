/* Passing errors, at the bottom of the page, read out by screen readers. */
import { find, h } from "./dom.js";

export function failure(text) {
  const toast = h(
    "div.toast",
    { testid: "toast" },
    h("span", {}, text),
    h("button", { type: "button", "aria-label": "Dismiss", onclick: () => toast.remove() }, "×"),
  );
  const box = find("toasts");
  box.append(toast);
  while (box.children.length > 3) box.firstElementChild.remove();
  setTimeout(() => toast.remove(), 7000);
}
