/* Starts the page and ties its parts together: where the visitor looks, whom they act as, what changed. */
import { coalesce, find } from "./dom.js";
import { post } from "./api.js";
import { follow } from "./acting.js";
import { prepareCalendar, refreshCalendar } from "./calendar.js";
import { composer } from "./composer.js";
import { notice, openConversation, prepareConversation, refreshConversation } from "./conversation.js";
import { prepareFleet, refreshFleet } from "./fleet.js";
import { openHome, refreshHome } from "./home.js";
import { live } from "./live.js";
import { refreshModals, shut } from "./modal.js";
import { drawEntries, drawSidebar, prepareSidebar } from "./sidebar.js";
import { app, channelById, channelNamed, loadState, rememberPlace } from "./state.js";
import { closeThread, openThread, refreshThread } from "./thread.js";
import { failure } from "./toast.js";
import { refreshKill } from "./weather/kill.js";
import { prepareWeather, refreshWeather } from "./weather/weather.js";

let hangUp = () => {};
let box = null;

async function send(text, thread) {
  const channel = app.place.kind === "channel" ? app.place.id : app.dm;
  if (thread && text.startsWith("/")) {
    failure("Slash commands do not work in threads. Type it in the channel.");
    return false;
  }
  try {
    const answer = await post("command", { as: app.as, channel, text, thread });
    refreshConversation();
    if (thread) refreshThread();
    // A command that fails is told by Slackbot in the conversation, so nothing more is shown here.
    follow(answer.request, () => {}).then(
      () => refreshModals(),
      (problem) => failure(problem.message),
    );
    return true;
  } catch (problem) {
    if (thread) failure(problem.message);
    else notice(problem.message);
    return false;
  }
}

async function show(place) {
  app.place = place;
  closeThread();
  app.unread.delete(place.id);
  rememberPlace();
  drawEntries();
  const home = place.kind === "home";
  const channel = home ? null : channelById(place.id);
  const name = app.bot.name || "rollout";
  find("pane-name").textContent = home ? `${name} · Home` : channel ? `# ${channel.name}` : `${name} · Messages`;
  find("pane-topic").textContent = home
    ? "What the app shows to you alone"
    : channel
      ? channel.topic || ""
      : "Direct messages between you and the app";
  find("composer-area").replaceChildren();
  if (home) await openHome();
  else {
    const command = app.commands[0] ? app.commands[0].command : "/rollout";
    box = composer({ placeholder: `Type ${command} to see what waits for you`, onSend: (text) => send(text) });
    find("composer-area").replaceChildren(box);
    await openConversation(place);
    if (!find("modal-root").firstChild) box.focusText();
  }
}

const DEFAULT = () => (app.me && app.me.default_channel && channelNamed(app.me.default_channel)) || app.channels[0];

function wantedPlace(word) {
  if (word === "home") return { kind: "home" };
  if (word === "dm" && app.dm) return { kind: "channel", id: app.dm };
  const channel = (word && channelNamed(word)) || DEFAULT();
  return { kind: "channel", id: channel ? channel.id : app.dm };
}

async function become(key, word) {
  document.body.dataset.ready = "false"; // what still stands here is another person's
  hangUp();
  shut();
  app.as = key;
  app.unread.clear();
  await loadState();
  drawSidebar();
  hangUp = live(app.as, changed, () => {
    refreshState();
    everything();
  });
  await show(wantedPlace(word));
  refreshModals();
  document.body.dataset.ready = "true";
}

function everything() {
  refreshConversation();
  refreshThread();
  refreshHome();
  refreshModals();
  refreshCalendar();
  refreshFleet();
  refreshWeather();
}

const refreshState = coalesce(async () => {
  await loadState();
  drawSidebar();
  refreshKill();
});

/** Something changed on the server; what it was says only what to fetch again. */
function changed(event) {
  const type = String(event.type || "");
  if (type.startsWith("message")) {
    const channel = event.channel || (event.message && event.message.channel);
    if (
      channel &&
      app.place &&
      channel !== app.place.id &&
      type === "message" &&
      (channelById(channel) || channel === app.dm)
    ) {
      app.unread.add(channel);
      drawEntries();
    }
    refreshConversation();
    refreshThread();
  } else if (type.startsWith("view")) refreshModals();
  else if (type === "home") refreshHome();
  else if (type === "clock") refreshCalendar();
  else if (type === "fleet") refreshFleet();
  else if (type === "weather") refreshWeather();
  else if (type === "bot") refreshState();
}

function preparePanelToggle() {
  const button = find("fleet-toggle");
  if (window.innerWidth <= 820) {
    find("app").classList.add("without-panel"); // there is room for one of them
    button.setAttribute("aria-expanded", "false");
  }
  button.addEventListener("click", () => {
    const covered = app.thread && window.innerWidth < 1600;
    const hide = covered ? false : !find("app").classList.contains("without-panel");
    if (covered) closeThread();
    find("app").classList.toggle("without-panel", hide);
    button.setAttribute("aria-expanded", String(!hide));
  });
}

async function start() {
  preparePanelToggle();
  prepareSidebar({
    onPerson: (key) => become(key).catch((problem) => failure(problem.message)),
    onPlace: (place) => show(place).catch((problem) => failure(problem.message)),
  });
  prepareConversation({
    onThread: (ts) => openThread(app.place.id, ts, send).catch((problem) => failure(problem.message)),
    onSuggest: (text) => box.fill(text),
  });
  const word = new URLSearchParams(location.search).get("channel");
  await loadState();
  await become(app.as, word);
  await Promise.allSettled([prepareCalendar(), prepareWeather(), prepareFleet()]);
  refreshKill();
}

start().catch((problem) => {
  failure(problem.message);
  setTimeout(() => location.reload(), 3000);
});
