/* The left side: workspace, who the visitor acts as, channels, the app's direct message and Home tab. */
import { find, h } from "./dom.js";
import { appAvatar, avatar } from "./messages.js";
import { app, marksOf } from "./state.js";

let handlers = { onPerson: () => {}, onPlace: () => {} };

export function prepareSidebar(given) {
  handlers = given;
}

export function drawSidebar() {
  if (app.team && app.team.name) find("workspace-name").textContent = app.team.name;
  const state = find("bot-state");
  state.dataset.connected = String(Boolean(app.bot.connected));
  state.textContent = app.bot.connected
    ? `${app.bot.name || "bot"} is connected`
    : `${app.bot.name || "bot"} is not connected`;
  drawSwitch();
  drawEntries();
}

function row(person) {
  const marks = marksOf(person);
  return [
    avatar(person, ".small"),
    h(
      "span.person-text",
      {},
      h("span.person-name", {}, person.name),
      h("span.person-key", {}, [person.key, ...marks].join(" · ")),
    ),
  ];
}

function drawSwitch() {
  const box = find("switch");
  const opened = box.dataset.open === "true";
  const button = h(
    "button.switch-button",
    {
      type: "button",
      id: "person-switch",
      testid: "person-switch",
      "aria-haspopup": "listbox",
      "aria-expanded": String(opened),
      dataset: { person: app.as },
      onclick: toggle,
    },
    h("span.switch-caption", {}, "Act as"),
    h("span.switch-row", {}, row(app.me), h("span.chevron", { "aria-hidden": "true" }, "▾")),
  );
  const menu = h(
    "div.person-menu",
    { role: "listbox", "aria-label": "Act as", testid: "person-menu", hidden: !opened },
    app.people.map((person) =>
      h(
        "button.person",
        {
          type: "button",
          role: "option",
          testid: "person",
          "aria-selected": String(person.key === app.as),
          dataset: { person: person.key },
          onclick: () => {
            close();
            handlers.onPerson(person.key);
          },
        },
        row(person),
      ),
    ),
  );
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.children];
    const at = items.indexOf(document.activeElement);
    if (event.key === "Escape") {
      close();
      find("person-switch").focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      items[(at + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length].focus();
    }
  });
  box.replaceChildren(button, menu);
}

const outside = (event) => {
  if (!find("switch").contains(event.target)) close();
};

function toggle() {
  const menu = find("switch").querySelector(".person-menu");
  if (!menu.hidden) return close();
  menu.hidden = false;
  find("switch").dataset.open = "true";
  find("person-switch").setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside);
  (menu.querySelector("[aria-selected=true]") || menu.firstElementChild).focus();
  return undefined;
}

function close() {
  const menu = find("switch").querySelector(".person-menu");
  find("switch").dataset.open = "false";
  document.removeEventListener("pointerdown", outside);
  if (!menu) return;
  menu.hidden = true;
  find("person-switch").setAttribute("aria-expanded", "false");
}

export function drawEntries() {
  const here = app.place || {};
  const entry = (attributes, place, mark, name, extra) =>
    h(
      "button.entry-button",
      {
        type: "button",
        "aria-current": here.kind === place.kind && here.id === place.id ? "page" : null,
        ...attributes,
        onclick: () => handlers.onPlace(place),
      },
      mark,
      h("span.entry-name", {}, name),
      extra,
    );
  const channel = (each) =>
    entry(
      { testid: "channel", dataset: { channel: each.id, name: each.name, unread: String(app.unread.has(each.id)) } },
      { kind: "channel", id: each.id },
      h("span.hash", { "aria-hidden": "true" }, "#"),
      each.name,
      each.ext_shared ? h("span.badge.shared", { title: "Shared with another company" }, "shared") : null,
    );
  const name = app.bot.name || "rollout";
  find("entries").replaceChildren(
    h("h3", {}, "Channels"),
    ...app.channels.map(channel),
    h("h3", {}, "App"),
    entry({ testid: "home-entry" }, { kind: "home" }, appAvatar(".tiny"), `${name} · Home`),
    app.dm
      ? entry(
          { testid: "channel", dataset: { channel: app.dm, name: "dm", unread: String(app.unread.has(app.dm)) } },
          { kind: "channel", id: app.dm },
          appAvatar(".tiny"),
          `${name} · Messages`,
        )
      : "",
  );
}
