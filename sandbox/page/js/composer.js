/* The text box: command and verb completion, history on arrow up, Enter sends, Shift+Enter makes a line. */
import { h } from "./dom.js";
import { app } from "./state.js";

let lists = 0;

/** options: {placeholder, commands: bool, testid, onSend(text) -> Promise} -> element with .fill(text) and .focusText() */
export function composer(options) {
  lists += 1;
  const listId = `completions-${lists}`;
  const popup = h("div.completions", {
    id: listId,
    role: "listbox",
    testid: "completions",
    "aria-label": "Commands",
    hidden: true,
  });
  const text = h("textarea.composer-text", {
    testid: options.testid || "composer",
    rows: 1,
    placeholder: options.placeholder,
    "aria-label": options.placeholder,
    autocomplete: "off",
    spellcheck: "false",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": listId,
    "aria-autocomplete": "list",
  });
  const button = h(
    "button.send",
    {
      type: "button",
      testid: `${options.testid || "composer"}-send`,
      "aria-label": "Send",
      title: "Send (Enter)",
      onclick: () => send(),
    },
    "➤",
  );
  const frame = h("div.composer", {}, popup, h("div.composer-row", {}, text, button));
  let choices = [];
  let at = 0;
  let moved = false;
  let recall = -1;

  const resize = () => {
    text.style.height = "";
    if (text.value && text.scrollHeight) text.style.height = `${Math.min(text.scrollHeight, 160)}px`;
    button.disabled = !text.value.trim();
  };
  const suggest = () => {
    choices = options.commands === false ? [] : completions(text.value);
    at = 0;
    moved = false;
    show();
  };
  const show = () => {
    popup.hidden = !choices.length;
    text.setAttribute("aria-expanded", String(choices.length > 0));
    popup.replaceChildren(
      ...choices.map((choice, index) =>
        h(
          `div.completion${index === at ? ".active" : ""}`,
          {
            id: `${listId}-${index}`,
            role: "option",
            testid: "completion",
            "aria-selected": String(index === at),
            dataset: { value: choice.value },
            onpointerdown: (event) => {
              event.preventDefault();
              take(choice);
            },
          },
          h("strong", {}, choice.label),
          choice.hint ? h("span", {}, choice.hint) : null,
        ),
      ),
    );
    if (choices.length) {
      text.setAttribute("aria-activedescendant", `${listId}-${at}`);
      popup.children[at].scrollIntoView({ block: "nearest" });
    } else text.removeAttribute("aria-activedescendant");
  };
  const take = (choice) => {
    text.value = choice.value;
    resize();
    suggest();
    text.focus();
  };
  const send = async () => {
    const value = text.value.trim();
    if (!value) return;
    choices = [];
    show();
    text.value = "";
    resize();
    remember(value);
    recall = -1;
    const fine = await options.onSend(value);
    if (fine === false && !text.value) {
      text.value = value;
      resize();
    }
  };
  const browse = (step) => {
    const past = history();
    const next = recall + step;
    if (next < -1 || next >= past.length) return;
    recall = next;
    text.value = recall < 0 ? "" : past[past.length - 1 - recall];
    choices = [];
    show();
    resize();
    text.setSelectionRange(text.value.length, text.value.length);
  };
  text.addEventListener("input", () => {
    recall = -1;
    resize();
    suggest();
  });
  text.addEventListener("blur", () =>
    setTimeout(() => {
      choices = [];
      show();
    }, 120),
  );
  text.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (choices.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      at = (at + (event.key === "ArrowDown" ? 1 : -1) + choices.length) % choices.length;
      moved = true;
      show();
    } else if (choices.length && event.key === "Tab" && !event.shiftKey) {
      event.preventDefault();
      take(choices[at]);
    } else if (choices.length && event.key === "Escape") {
      event.preventDefault();
      choices = [];
      show();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      const choice = choices[at];
      const whole = choice && choice.value.trim() === text.value.trim();
      if (choice && !whole && (moved || !text.value.endsWith(" "))) take(choice);
      else send();
    } else if (event.key === "ArrowUp" && (text.value === "" || recall >= 0)) {
      event.preventDefault();
      browse(1);
    } else if (event.key === "ArrowDown" && recall >= 0) {
      event.preventDefault();
      browse(-1);
    }
  });
  frame.fill = (value) => {
    text.value = value;
    resize();
    text.focus();
    suggest();
  };
  frame.focusText = () => text.focus();
  resize();
  return frame;
}

/** What may follow in the text box: whole commands after "/", verbs after a command and a blank. */
export function completions(value) {
  if (!value.startsWith("/") || value.includes("\n")) return [];
  const blank = value.indexOf(" ");
  if (blank < 0) {
    return app.commands
      .filter((each) => each.command.startsWith(value))
      .map((each) => ({ value: `${each.command} `, label: each.command, hint: each.description }));
  }
  const command = app.commands.find((each) => each.command === value.slice(0, blank));
  const rest = value.slice(blank + 1);
  if (!command || rest.includes(" ")) return [];
  return app.verbs
    .filter((verb) => verb.startsWith(rest.toLowerCase()))
    .slice(0, 30)
    .map((verb) => ({ value: `${command.command} ${verb}`, label: verb, hint: "" }));
}

const key = () => `composer-history-${app.as}`;

function history() {
  try {
    return JSON.parse(sessionStorage.getItem(key()) || "[]");
  } catch {
    return [];
  }
}

function remember(value) {
  const past = history().filter((each) => each !== value);
  past.push(value);
  sessionStorage.setItem(key(), JSON.stringify(past.slice(-50)));
}
