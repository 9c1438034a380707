/* The overflow menu: a few actions behind one button. */
import { menu } from "../menu.js";
import { textObject } from "../text/mrkdwn.js";

export function overflow({ element, hooks, send }) {
  return menu({
    kind: ".button.overflow-button",
    opener: { ...hooks, "aria-label": "More actions" },
    items: (element.options || []).map((option) => ({
      words: textObject(option.text),
      choose: (opener) => {
        if (option.url && /^https?:/i.test(option.url)) window.open(option.url, "_blank", "noopener");
        send({ selected_option: option }, opener);
      },
    })),
  });
}
