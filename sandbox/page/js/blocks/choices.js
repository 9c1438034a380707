/* Elements that choose among options: selects, multi-selects, radio buttons, checkboxes, overflow menus. */
import { h } from "../dom.js";
import { app, marksOf } from "../state.js";
import { CHARACTERS } from "../text/emoji.js";
import { textObject, unescape } from "../text/mrkdwn.js";

const same = (one, other) => one && other && one.value === other.value;
const bareText = (object) =>
  unescape(String((object && object.text) || "")).replace(
    /:([a-z0-9_+'-]+):/g,
    (whole, name) => CHARACTERS[name] || whole,
  );

/** What can be chosen: [{label, description, key, payload-part}] with group names. */
function choices(element) {
  if (element.type.endsWith("users_select"))
    return [
      {
        options: app.people.map((person) => ({
          key: person.id,
          label: [person.name, ...marksOf(person)].join(" · "),
          chosen: person.id,
        })),
      },
    ];
  if (["channels_select", "conversations_select"].includes(element.type))
    return [
      { options: app.channels.map((channel) => ({ key: channel.id, label: `#${channel.name}`, chosen: channel.id })) },
    ];
  const groups = element.option_groups || [{ options: element.options || [] }];
  return groups.map((group) => ({
    label: group.label ? bareText(group.label) : "",
    options: group.options.map((option) => ({
      key: option.value,
      label: bareText(option.text),
      option,
      chosen: option,
    })),
  }));
}

const SINGLE = {
  users_select: ["selected_user", "initial_user"],
  channels_select: ["selected_channel", "initial_channel"],
  conversations_select: ["selected_conversation", "initial_conversation"],
};

export function select({ element, held, hooks, send }) {
  const [key, initial] = SINGLE[element.type] || ["selected_option", "initial_option"];
  const current = key in held ? held[key] : element[initial];
  const currentKey = current && typeof current === "object" ? current.value : current;
  const groups = choices(element);
  const option = (choice) => h("option", { value: choice.key }, choice.label);
  const placeholder = (element.placeholder && bareText(element.placeholder)) || "Choose";
  const node = h(
    "select.entry",
    {
      ...hooks,
      onchange: async (event) => {
        const choice = groups.flatMap((group) => group.options).find((each) => each.key === event.target.value);
        if (choice && !(await send({ [key]: choice.chosen }, event.target))) event.target.value = currentKey || "";
      },
    },
    h("option", { value: "", disabled: true, hidden: true }, placeholder),
    groups.map((group) =>
      group.label ? h("optgroup", { label: group.label }, group.options.map(option)) : group.options.map(option),
    ),
  );
  node.value = currentKey || "";
  return node;
}

export function multiSelect({ element, held, hooks, send }) {
  const users = element.type === "multi_users_select";
  const key = users ? "selected_users" : "selected_options";
  const initial = held[key] || element[users ? "initial_users" : "initial_options"] || [];
  const picked = new Set(initial.map((each) => (users ? each : each.value)));
  const all = choices(element).flatMap((group) => group.options);
  const limit = element.max_selected_items || Infinity;
  const summary = h("p.multi-summary");
  const boxes = all.map((choice) => {
    const box = h("input", {
      type: "checkbox",
      value: choice.key,
      checked: picked.has(choice.key),
      onchange: () => {
        if (box.checked && picked.size >= limit) {
          box.checked = false;
          return;
        }
        if (box.checked) picked.add(choice.key);
        else picked.delete(choice.key);
        tell();
        send({ [key]: all.filter((each) => picked.has(each.key)).map((each) => each.chosen) });
      },
    });
    return h("label.choice", { dataset: { label: choice.label.toLowerCase() } }, box, h("span", {}, choice.label));
  });
  const tell = () => {
    summary.textContent = picked.size ? `${picked.size} of ${all.length} chosen` : `None of ${all.length} chosen`;
  };
  tell();
  const filter =
    all.length > 8
      ? h("input.entry.multi-filter", {
          type: "search",
          placeholder: "Filter",
          "aria-label": "Filter options",
          oninput: (event) => {
            const wanted = event.target.value.toLowerCase();
            boxes.forEach((label) => {
              label.hidden = !label.dataset.label.includes(wanted);
            });
          },
        })
      : null;
  return h("div.multi", { ...hooks, role: "group" }, filter, h("div.multi-list", {}, boxes), summary);
}

const described = (option) =>
  h(
    "span.choice-text",
    {},
    h("span", {}, textObject(option.text)),
    option.description ? h("span.choice-description", {}, textObject(option.description)) : null,
  );

let groups = 0;

export function radioList({ element, held, hooks, send }) {
  groups += 1;
  const name = `radio-${groups}`;
  const current = "selected_option" in held ? held.selected_option : element.initial_option;
  return h(
    "div.choices",
    { ...hooks, role: "radiogroup" },
    (element.options || []).map((option) =>
      h(
        "label.choice",
        {},
        h("input", {
          type: "radio",
          name,
          value: option.value,
          checked: same(option, current),
          onchange: (event) => send({ selected_option: option }, event.target.parentElement),
        }),
        described(option),
      ),
    ),
  );
}

export function checkList({ element, held, hooks, send }) {
  const initial = held.selected_options || element.initial_options || [];
  const picked = new Set(initial.map((option) => option.value));
  return h(
    "div.choices",
    { ...hooks, role: "group" },
    (element.options || []).map((option) =>
      h(
        "label.choice",
        {},
        h("input", {
          type: "checkbox",
          value: option.value,
          checked: picked.has(option.value),
          onchange: (event) => {
            if (event.target.checked) picked.add(option.value);
            else picked.delete(option.value);
            send(
              { selected_options: element.options.filter((each) => picked.has(each.value)) },
              event.target.parentElement,
            );
          },
        }),
        described(option),
      ),
    ),
  );
}

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
