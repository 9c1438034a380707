/* The dialog of a `confirm` object. Drawn by the client, as in Slack: a denial sends nothing. */
import { find, h, trapFocus } from "./dom.js";
import { textObject } from "./text/mrkdwn.js";

/** Shows the question; resolves to true when the person confirms. */
export function confirmDialog(question) {
  return new Promise((resolve) => {
    const root = find("confirm-root");
    const done = (answer) => {
      release();
      root.replaceChildren();
      document.removeEventListener("keydown", keys, true);
      resolve(answer);
    };
    const keys = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      done(false);
    };
    const ok = h(
      `button.button${question.style === "danger" ? ".danger" : ".primary"}`,
      { type: "button", testid: "confirm-ok", onclick: () => done(true) },
      question.confirm ? textObject(question.confirm) : "Yes",
    );
    const dialog = h(
      "div.dialog.confirm",
      {
        role: "alertdialog",
        "aria-modal": "true",
        "aria-labelledby": "confirm-title",
        "aria-describedby": "confirm-text",
        testid: "confirm",
      },
      h("header.dialog-head", {}, h("h2", { id: "confirm-title" }, textObject(question.title))),
      h("div.dialog-body", { id: "confirm-text" }, textObject(question.text)),
      h(
        "footer.dialog-foot",
        {},
        h(
          "button.button",
          { type: "button", testid: "confirm-cancel", onclick: () => done(false) },
          question.deny ? textObject(question.deny) : "Cancel",
        ),
        ok,
      ),
    );
    root.replaceChildren(
      h("div.overlay", { onpointerdown: (event) => event.target === event.currentTarget && done(false) }, dialog),
    );
    const release = trapFocus(dialog);
    document.addEventListener("keydown", keys, true);
    ok.focus();
  });
}
