/* The app's Home tab. */
import { coalesce, find, h, inOrder, released } from "./dom.js";
import { contextFor } from "./acting.js";
import { get } from "./api.js";
import { renderBlocks } from "./blocks/render.js";
import { app } from "./state.js";

let pane = null;
let signature = "";
const turn = inOrder();

export function openHome() {
  pane = h("div.home", { testid: "home" }, h("p.quiet", {}, "Opening…"));
  signature = "";
  find("conversation").replaceChildren(h("div.scroll", { tabindex: "0", "aria-label": "Home" }, pane));
  return refresh(1);
}

async function refresh(open) {
  if (!app.place || app.place.kind !== "home" || !pane) return;
  const person = app.as;
  const news = turn();
  const { view } = await get("home", { as: person, open });
  await released();
  if (person !== app.as || !pane || !news()) return;
  const now = JSON.stringify(view);
  if (now === signature) return;
  signature = now;
  if (!view)
    pane.replaceChildren(
      h(
        "div.welcome",
        {},
        h("h3", {}, "No Home tab yet"),
        h("p", {}, "The app has not published one for you. It does so when it is connected."),
      ),
    );
  else
    pane.replaceChildren(
      ...renderBlocks(view.blocks, contextFor("home", { home: true }, (view.state && view.state.values) || {})),
    );
}

export const refreshHome = coalesce(() => refresh());
