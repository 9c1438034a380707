/* The overflow menu: a few actions behind one button. */
import { h } from "../dom.js";
import { textObject } from "../text/mrkdwn.js";

export function overflow({ element, hooks, send }) {
  const frame = h("div.overflow");
  const opener = h(
    "button.button.overflow-button",
    {
      ...hooks,
      type: "button",
      "aria-label": "More actions",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      onclick: () => (menu.hidden ? open() : close()),
    },
    "⋯",
  );
  const menu = h(
    "div.overflow-menu",
    { role: "menu", hidden: true },
    (element.options || []).map((option) =>
      h(
        "button",
        {
          type: "button",
          role: "menuitem",
          onclick: () => {
            close();
            if (option.url && /^https?:/i.test(option.url)) window.open(option.url, "_blank", "noopener");
            send({ selected_option: option }, opener);
          },
        },
        textObject(option.text),
      ),
    ),
  );
  const outside = (event) => {
    if (!frame.contains(event.target) || event.key === "Escape") close();
  };
  const open = () => {
    menu.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", outside);
    frame.addEventListener("keydown", keys);
    menu.querySelector("button")?.focus();
  };
  const close = () => {
    menu.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside);
    frame.removeEventListener("keydown", keys);
  };
  const keys = (event) => {
    const items = [...menu.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement);
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
      opener.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      items[(at + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length]?.focus();
    }
  };
  frame.append(opener, menu);
  return frame;
}
