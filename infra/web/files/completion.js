// Completions of a filter: a list under the field, by ARIA's combobox pattern.

import { Part, Refused } from "jobledger/requests";

export function offer(field, list, changed) {
  const part = new Part();
  let offers = [];
  let chosen = -1;

  async function loadOffers() {
    try {
      const query = new URLSearchParams({ filter: field.value, caret: field.selectionStart });
      const text = await part.read(`/fleet/offers?${query}`);
      if (text !== null) draw(JSON.parse(text));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      draw([]);
    }
  }

  function draw(found) {
    const chosenText = offers[chosen]?.text;
    offers = document.activeElement === field ? found : [];
    chosen = -1;
    list.replaceChildren(...offers.map(option));
    list.hidden = !offers.length;
    field.setAttribute("aria-expanded", String(!!offers.length));
    field.removeAttribute("aria-activedescendant");
    // A late answer keeps the option that was chosen.
    const again = offers.findIndex(({ text }) => text === chosenText);
    if (again >= 0) choose(again);
  }

  function option({ text }, n) {
    const item = Object.assign(document.createElement("li"), { id: `offer-${n}`, role: "option", textContent: text });
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      accept(n);
    });
    return item;
  }

  function choose(n) {
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = (n + offers.length) % offers.length;
    const item = list.children[chosen];
    item.setAttribute("aria-selected", "true");
    item.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", item.id);
  }

  function accept(n) {
    const { from, to, text } = offers[n];
    // The user may have typed more of the word since it was offered.
    field.setRangeText(text, from, Math.max(to, field.selectionStart), "end");
    draw([]);
    changed();
    loadOffers();
  }

  field.addEventListener("input", loadOffers);
  field.addEventListener("focus", loadOffers);
  field.addEventListener("blur", () => draw([]));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && offers.length) return event.preventDefault(), draw([]);
    if (event.key === "ArrowDown" && !offers.length) return loadOffers();
    if (!offers.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(event.key === "ArrowDown" ? chosen + 1 : Math.max(chosen, 0) - 1);
    } else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) {
      event.preventDefault();
      accept(chosen);
    }
  });
}
