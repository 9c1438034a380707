"""Many messages, dialogs and Home tabs on one sheet, drawn by the page's own modules as wide as in the page."""

from typing import TYPE_CHECKING

from tests.sandbox.say.blocks import Json

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

DRAW = """async ([views, width, columns]) => {
  const { renderBlocks } = await import("/page/js/blocks/render.js");
  const { plainText } = await import("/page/js/text/mrkdwn.js");
  const { h } = await import("/page/js/dom.js");
  const quiet = { act: async () => {}, input: async () => {} };
  const draw = {
    message: (view) =>
      h("article.message", {}, h("div.gutter", {}, h("span.avatar.robot", {}, "R")),
        h("div.message-body", {}, h("div.message-blocks", {},
          renderBlocks(view.blocks, { ...quiet, surface: "message", values: {} })))),
    home: (view) => h("div.home", {}, renderBlocks(view.view.blocks, { ...quiet, surface: "home", values: {} })),
    modal: ({ view }) =>
      h("form.dialog", { role: "dialog" },
        h("header.dialog-head", {}, h("h2", {}, plainText(view.title.text)), h("button.close", {}, "×")),
        h("div.dialog-body", {},
          renderBlocks(view.blocks, { ...quiet, surface: "modal", values: {}, errors: view.errors || {} })),
        h("footer.dialog-foot", {},
          h("button.button", { type: "button" }, view.close ? plainText(view.close.text) : "Close"),
          view.submit ? h("button.button.primary", { type: "button" }, plainText(view.submit.text)) : null)),
  };
  const wide = { message: width, home: Math.min(width, 820), modal: Math.min(width, 560) };
  const sheet = h("div", { id: "sheet", style:
    `columns:${columns};width:${columns * (width + 16)}px;column-gap:16px;padding:8px;background:var(--bg)` },
    views.map((view) => {
      const made = draw[view.surface](view);
      made.style.cssText += ";position:relative;max-height:none;max-width:none;width:100%";
      return h("div.sheet-view", { dataset: { name: view.name }, style:
        `width:${wide[view.surface]}px;margin:0 0 16px;break-inside:avoid;border:1px dashed var(--line-strong)` },
        h("p.quiet", { style: "font-size:11px" }, view.name), made);
    }));
  for (const body of sheet.querySelectorAll(".dialog-body")) body.style.cssText = "overflow:visible;max-height:none";
  document.documentElement.style.cssText = document.body.style.cssText = "height:auto;overflow:visible";
  document.body.replaceChildren(sheet);
  await new Promise((done) => setTimeout(done, 300));
}"""


def draw(page: "Page", views: list[Json], width: int, columns: int = 3) -> "Locator":
    """Replace the page by a sheet of views ({name, surface, blocks | view}); the drawn views, in order."""
    page.set_viewport_size({"width": columns * (width + 16) + 32, "height": 1000})
    page.evaluate(DRAW, [views, width, columns])
    return page.locator(".sheet-view")
