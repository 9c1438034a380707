/* A few actions behind one button: by mouse, and by keyboard with the arrows and Escape. */
import { h } from "./dom.js";

/** `opener` are the attributes of the button; `items` are {words, title, choose(button)}. */
export function menu({ opener: attributes, items, kind = "" }) {
  const frame = h("div.overflow");
  const opener = h(
    `button${kind}`,
    {
      ...attributes,
      type: "button",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      onclick: () => (list.hidden ? open() : close()),
    },
    "⋯",
  );
  const list = h(
    "div.overflow-menu",
    { role: "menu", hidden: true },
    items.map((item) =>
      h(
        "button",
        {
          type: "button",
          role: "menuitem",
          title: item.title || null,
          onclick: () => {
            close();
            item.choose(opener);
          },
        },
        item.words,
      ),
    ),
  );
  const outside = (event) => {
    if (!frame.contains(event.target) || event.key === "Escape") close();
  };
  const open = () => {
    list.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", outside);
    frame.addEventListener("keydown", keys);
    list.querySelector("button")?.focus();
  };
  const close = () => {
    list.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside);
    frame.removeEventListener("keydown", keys);
  };
  const keys = (event) => {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
      opener.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      buttons[(at + (event.key === "ArrowDown" ? 1 : -1) + buttons.length) % buttons.length]?.focus();
    }
  };
  frame.append(opener, list);
  return frame;
}
