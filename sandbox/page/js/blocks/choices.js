/* Elements that choose among options: selects, multi-selects, radio buttons, checkboxes. */
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

const entryOf = (option) => ({ key: option.value, label: bareText(option.text), chosen: option });

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
  if (/(channels|conversations)_select$/.test(element.type)) {
    const shared = !(element.filter && element.filter.exclude_external_shared_channels);
    const channels = app.channels.filter((channel) => shared || !channel.ext_shared);
    return [{ options: channels.map((channel) => ({ key: channel.id, label: `#${channel.name}`, chosen: channel.id })) }];
  }
  const groups = element.option_groups || [{ options: element.options || [] }];
  return groups.map((group) => ({
    label: group.label ? bareText(group.label) : "",
    options: group.options.map(entryOf),
  }));
}

/* What the element holds, and what it begins with. */
const HOLDS = {
  users_select: ["selected_user", "initial_user"],
  channels_select: ["selected_channel", "initial_channel"],
  conversations_select: ["selected_conversation", "initial_conversation"],
  multi_users_select: ["selected_users", "initial_users"],
  multi_channels_select: ["selected_channels", "initial_channels"],
  multi_conversations_select: ["selected_conversations", "initial_conversations"],
};

/** Options that the app would be asked for while a person types; the local Slack does not ask. */
const asked = (element) => element.type.endsWith("external_select");
const NOT_ASKED = "This sandbox does not ask the app for these options.";

export function select({ element, held, hooks, send }) {
  const [key, initial] = HOLDS[element.type] || ["selected_option", "initial_option"];
  const current = key in held ? held[key] : element[initial];
  const currentKey = current && typeof current === "object" ? current.value : current;
  const groups = asked(element) ? [{ options: current ? [entryOf(current)] : [] }] : choices(element);
  const option = (choice) => h("option", { value: choice.key }, choice.label);
  const placeholder = (element.placeholder && bareText(element.placeholder)) || "Choose";
  const node = h(
    "select.entry",
    {
      ...hooks,
      disabled: asked(element),
      title: asked(element) ? NOT_ASKED : null,
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
  const [key, begin] = HOLDS[element.type] || ["selected_options", "initial_options"];
  const initial = held[key] || element[begin] || [];
  const picked = new Set(initial.map((each) => (typeof each === "object" ? each.value : each)));
  const all = asked(element) ? initial.map(entryOf) : choices(element).flatMap((group) => group.options);
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
    if (asked(element)) summary.textContent = NOT_ASKED;
    else summary.textContent = picked.size ? `${picked.size} of ${all.length} chosen` : `None of ${all.length} chosen`;
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
